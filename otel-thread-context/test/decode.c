/* SPDX-License-Identifier: Apache-2.0 */
/* An observer for tests, see decode.h. */
#define _GNU_SOURCE
#include "decode.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- thread ---- */

bool see_record(const unsigned char *address, struct seen_record *record)
{
	uint16_t size;

	if (address[24] != 1)
		return false;
	memcpy(record->trace_id, address, 16);
	memcpy(record->span_id, address + 16, 8);
	record->trace_flags = address[25];
	memcpy(&size, address + 26, 2);
	record->attributes_size = size;
	record->attributes = address + 28;
	return true;
}

const unsigned char *see_attribute(const struct seen_record *record, unsigned int key, unsigned int *length)
{
	const unsigned char *at = record->attributes, *end = at + record->attributes_size, *value = NULL;

	while (end - at >= 2 && end - at >= 2 + at[1]) {
		if (at[0] == key) {
			*length = at[1];
			value = at + 2;
		}
		at += 2 + at[1];
	}
	return value;
}

int count_attributes(const struct seen_record *record)
{
	const unsigned char *at = record->attributes, *end = at + record->attributes_size;
	int count = 0;

	for (; end - at >= 2 && end - at >= 2 + at[1]; at += 2 + at[1])
		count++;
	return at == end ? count : -1;
}

/* ---- process ---- */

static bool read_memory(pid_t pid, uint64_t address, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)address, size };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

bool see_process_at(pid_t pid, uint64_t address, struct seen_process *process)
{
	process->header_address = address;
	for (process->retries = 0; process->retries < 100000; process->retries++) {
		uint64_t before, after, payload;
		bool is_read;

		if (!read_memory(pid, address, process->header, 32) || memcmp(process->header, "OTEL_CTX", 8) ||
		    process->header[8] != 2)
			return false;
		memcpy(&before, process->header + 16, 8);
		if (!before)
			continue;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		/* After the time, and not with it. */
		if (!read_memory(pid, address, process->header, 32))
			return false;
		memcpy(&process->payload_size, process->header + 12, 4);
		memcpy(&payload, process->header + 24, 8);
		is_read = process->payload_size <= sizeof(process->payload) &&
			  read_memory(pid, payload, process->payload, process->payload_size);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!read_memory(pid, address + 16, &after, 8))
			return false;
		if (after != before)
			continue;
		process->published_at_ns = before;
		return is_read;
	}
	return false;
}

bool see_process(pid_t pid, struct seen_process *process)
{
	static const char *const names[] = { "[anon_shmem:OTEL_CTX]", "[anon:OTEL_CTX]", "/memfd:OTEL_CTX" };
	unsigned long long found = 0;
	char line[512];
	FILE *maps;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);
	maps = fopen(line, "r");
	process->mappings = 0;
	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long start;
		char permissions[5], name[64] = "";

		if (sscanf(line, "%llx-%*x %4s %*s %*s %*s %63[^\n]", &start, permissions, name) < 2)
			continue;
		for (size_t i = 0; i < 3; i++) {
			if (strncmp(name, names[i], strlen(names[i])))
				continue;
			process->mappings++;
			found = start;
			memcpy(process->permissions, permissions, sizeof(permissions));
			memcpy(process->name, name, sizeof(name));
		}
	}
	fclose(maps);
	return found && see_process_at(pid, found, process);
}

/* ---- protobuf ---- */

struct field {
	unsigned int number;
	const unsigned char *bytes;
	size_t size;
};

/* The next length-delimited field; false at the end, or where the bytes are anything else. */
static bool next_field(const unsigned char **at, const unsigned char *end, struct field *field)
{
	unsigned int shift = 0;

	if (*at == end || (**at & 7) != 2)
		return false;
	field->number = *(*at)++ >> 3;
	field->size = 0;
	do {
		if (*at == end || shift > 28)
			return false;
		field->size |= (size_t)(**at & 0x7f) << shift;
		shift += 7;
	} while (*(*at)++ & 0x80);
	if (field->size > (size_t)(end - *at))
		return false;
	field->bytes = *at;
	*at += field->size;
	return true;
}

static bool find_field(const struct field *in, unsigned int number, struct field *found)
{
	const unsigned char *at = in->bytes, *end = at + in->size;

	while (next_field(&at, end, found)) {
		if (found->number == number)
			return true;
	}
	return false;
}

static struct field message_of(const struct seen_process *process, bool resource)
{
	struct field all = { 0, process->payload, process->payload_size }, found = { 0, all.bytes, 0 };

	if (!resource)
		return all;
	find_field(&all, 1, &found);
	return found;
}

static bool find_value(const struct seen_process *process, bool resource, const char *key, struct field *value)
{
	struct field message = message_of(process, resource), attribute, name;
	const unsigned char *at = message.bytes, *end = at + message.size;

	while (next_field(&at, end, &attribute)) {
		if (attribute.number == (resource ? 1U : 2U) && find_field(&attribute, 1, &name) &&
		    name.size == strlen(key) && !memcmp(name.bytes, key, name.size))
			return find_field(&attribute, 2, value);
	}
	return false;
}

static bool copy_string(const struct field *value, char *to, size_t size)
{
	struct field text;

	if (!find_field(value, 1, &text) || text.size >= size)
		return false;
	memcpy(to, text.bytes, text.size);
	to[text.size] = '\0';
	return true;
}

bool see_process_attribute(const struct seen_process *process, bool resource, const char *key, char *value, size_t size)
{
	struct field found;

	return find_value(process, resource, key, &found) && copy_string(&found, value, size);
}

int count_process_attributes(const struct seen_process *process, bool resource)
{
	struct field message = message_of(process, resource), field;
	const unsigned char *at = message.bytes, *end = at + message.size;
	int count = 0;

	while (next_field(&at, end, &field))
		count += field.number == (resource ? 1U : 2U);
	return at == end ? count : -1;
}

bool see_key(const struct seen_process *process, int index, char *name, size_t size)
{
	struct field value, array, entry;
	const unsigned char *at, *end;

	if (!find_value(process, false, "threadlocal.attribute_key_map", &value) || !find_field(&value, 5, &array))
		return false;
	at = array.bytes;
	end = at + array.size;
	while (next_field(&at, end, &entry)) {
		if (index-- == 0)
			return entry.number == 1 && copy_string(&entry, name, size);
	}
	return false;
}

int count_keys(const struct seen_process *process)
{
	char name[65536];
	int count = 0;

	while (see_key(process, count, name, sizeof(name)))
		count++;
	return count;
}
