/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record says: ids, flags and attributes, written so that a reader who stops the thread at any instruction finds
 * the record whole or invalid (OTEP 4947). A change sets `valid` to 0, writes, and sets it again; it never touches the
 * pointer of the thread.
 */
#include "abi.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static struct storage *storage_of(struct otel_thread_context_record *record)
{
	return (struct storage *)(void *)((char *)record - offsetof(struct storage, record));
}

int otel_thread_context_record_init(void *memory, size_t size, struct otel_thread_context_record **record)
{
	struct storage *storage = memory;
	size_t capacity;

	if (!memory || !record || (uintptr_t)memory % 4 || size < sizeof(*storage))
		return -EINVAL;
	capacity = size - sizeof(*storage);
	memset(storage, 0, sizeof(*storage));
	storage->capacity =
		capacity < OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX ? (uint16_t)capacity : OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX;
	*record = &storage->record;
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	uint8_t any = 0;

	for (size_t i = 0; i < size; i++)
		any |= bytes[i];
	return !any;
}

/* Returns what `valid` was. */
static uint8_t begin_change(struct otel_thread_context_record *record)
{
	volatile uint8_t *valid = &record->valid;
	uint8_t before = *valid;

	*valid = 0;
	/* Forbids that a store of the change moves before the record is invalid. */
	atomic_signal_fence(memory_order_seq_cst);
	return before;
}

static void end_change(struct otel_thread_context_record *record, uint8_t valid)
{
	/* Forbids that a store of the change moves behind the record's validity. */
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint8_t *)&record->valid = valid;
	/* Forbids that the next change of the caller moves before the end of this one. */
	atomic_signal_fence(memory_order_seq_cst);
}

/* The length that is left of a value: whole characters, in at most 255 bytes. */
static size_t cut_length(const char *value, size_t length)
{
	if (length <= OTEL_THREAD_CONTEXT_VALUE_MAX)
		return length;
	length = OTEL_THREAD_CONTEXT_VALUE_MAX;
	/* A character has at most three continuation bytes; more are no UTF-8 and are cut anywhere. */
	for (size_t i = 0; i < 4; i++) {
		if (((unsigned char)value[length - i] & 0xc0) != 0x80)
			return length - i;
	}
	return length;
}

/* Writes an entry behind the first `size` bytes of attributes. Returns the new size, or 0 if it does not fit. */
static size_t write_entry(struct storage *storage, size_t size, uint8_t key, const char *value, size_t length)
{
	uint8_t *entry = storage->attributes + size;

	length = cut_length(value, length);
	if (length + ENTRY_HEADER > storage->capacity - size)
		return 0;
	entry[0] = key;
	entry[1] = (uint8_t)length;
	if (length)
		memcpy(entry + ENTRY_HEADER, value, length);
	return size + ENTRY_HEADER + length;
}

/* Takes every entry of a key out of the first `size` bytes of attributes; only while the record is invalid. Returns the
 * new size. */
static size_t remove_entries(struct storage *storage, size_t size, uint8_t key)
{
	uint8_t *attributes = storage->attributes;
	size_t at = 0;

	while (at < size) {
		size_t entry = ENTRY_HEADER + (size_t)attributes[at + 1];

		if (attributes[at] == key) {
			memmove(attributes + at, attributes + at + entry, size - at - entry);
			size -= entry;
		} else {
			at += entry;
		}
	}
	return size;
}

int otel_thread_context_record_update(struct otel_thread_context_record *record, const uint8_t *trace_id,
				      const uint8_t *span_id, uint8_t trace_flags,
				      const struct otel_thread_context_attribute *attributes, size_t count)
{
	bool has_trace = trace_id && !is_zero(trace_id, sizeof(record->trace_id));
	bool has_span = span_id && !is_zero(span_id, sizeof(record->span_id));
	struct storage *storage;
	size_t size = 0;
	int result = 0;

	if (!record || has_trace != has_span || (!has_span && trace_flags) || (count && !attributes))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!attributes[i].value && attributes[i].length)
			return -EINVAL;
	}

	storage = storage_of(record);
	begin_change(record);
	if (has_span) {
		memcpy(record->trace_id, trace_id, sizeof(record->trace_id));
		memcpy(record->span_id, span_id, sizeof(record->span_id));
	} else {
		memset(record->trace_id, 0, sizeof(record->trace_id));
		memset(record->span_id, 0, sizeof(record->span_id));
	}
	record->trace_flags = trace_flags;
	for (size_t i = 0; i < count; i++) {
		size_t grown = write_entry(storage, size, attributes[i].key, attributes[i].value, attributes[i].length);

		if (grown) {
			size = grown;
			continue;
		}
		/* An earlier value of the same key would pass for this one. */
		size = remove_entries(storage, size, attributes[i].key);
		result = -ENOSPC;
	}
	record->attrs_data_size = (uint16_t)size;
	end_change(record, 1);
	return result;
}

static bool has_entry(const struct storage *storage, size_t size, uint8_t key)
{
	for (size_t at = 0; at < size; at += ENTRY_HEADER + (size_t)storage->attributes[at + 1]) {
		if (storage->attributes[at] == key)
			return true;
	}
	return false;
}

int otel_thread_context_record_set_attribute(struct otel_thread_context_record *record, uint8_t key, const char *value,
					     size_t length)
{
	struct storage *storage;
	size_t size, grown;
	uint8_t valid;

	if (!record || (!value && length))
		return -EINVAL;
	storage = storage_of(record);
	size = record->attrs_data_size;

	if (!has_entry(storage, size, key)) {
		grown = write_entry(storage, size, key, value, length);
		if (!grown)
			return -ENOSPC;
		/* Forbids that the size covers an entry that is not there yet. Readers ignore what is behind the size.
		 */
		atomic_signal_fence(memory_order_seq_cst);
		*(volatile uint16_t *)&record->attrs_data_size = (uint16_t)grown;
		/* Forbids that the next change of the caller moves before this one. */
		atomic_signal_fence(memory_order_seq_cst);
		return 0;
	}

	/* A record that was invalid stays so: its span may have ended. */
	valid = begin_change(record);
	size = remove_entries(storage, size, key);
	grown = write_entry(storage, size, key, value, length);
	record->attrs_data_size = (uint16_t)(grown ? grown : size);
	end_change(record, valid);
	return grown ? 0 : -ENOSPC;
}

int otel_thread_context_record_set_trace_flags(struct otel_thread_context_record *record, uint8_t trace_flags)
{
	if (!record || (trace_flags && is_zero(record->span_id, sizeof(record->span_id))))
		return -EINVAL;
	/* One byte: old or new, there is nothing between. The fences keep its place among the caller's other changes.
	 */
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint8_t *)&record->trace_flags = trace_flags;
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}
