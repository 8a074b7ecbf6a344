/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ProcessContext { resource = 1: Resource { attributes = 1: KeyValue… }, attributes = 2: KeyValue… }
 * KeyValue { key = 1, value = 2: AnyValue { string_value = 1, array_value = 5: ArrayValue { values = 1: AnyValue… } } }
 * Every field is length-delimited, so one writer does for all; sizes are counted first, then written into memory of
 * exactly that size.
 */
#include "payload.h"

#include <errno.h>
#include <string.h>

#define SCHEMA_KEY "threadlocal.schema_version"
#define KEY_MAP_KEY "threadlocal.attribute_key_map"

enum {
	RESOURCE = 1,
	ATTRIBUTES = 2,
	RESOURCE_ATTRIBUTES = 1,
	KEY = 1,
	VALUE = 2,
	STRING_VALUE = 1,
	ARRAY_VALUE = 5,
	ARRAY_VALUES = 1,
};

/* ---- UTF-8 ---- */

bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned char first = *at++;
		unsigned char low = 0x80, high = 0xbf;
		int more;

		if (first < 0x80)
			continue;
		if (first >= 0xc2 && first <= 0xdf)
			more = 1;
		else if (first >= 0xe0 && first <= 0xef)
			more = 2;
		else if (first >= 0xf0 && first <= 0xf4)
			more = 3;
		else
			return false;
		/* Neither longer than needed, nor a surrogate, nor above U+10FFFF. */
		if (first == 0xe0)
			low = 0xa0;
		else if (first == 0xed)
			high = 0x9f;
		else if (first == 0xf0)
			low = 0x90;
		else if (first == 0xf4)
			high = 0x8f;
		for (; more; more--, at++) {
			if (*at < low || *at > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}

/* ---- sizes ---- */

static size_t varint_size(size_t value)
{
	size_t size = 1;

	for (; value >= 0x80; value >>= 7)
		size++;
	return size;
}

/* A length-delimited field with a number below 16. */
static size_t field_size(size_t length)
{
	return 1 + varint_size(length) + length;
}

static size_t string_value_size(const char *value)
{
	return field_size(strlen(value));
}

static size_t key_value_size(const char *key, const char *value)
{
	return field_size(strlen(key)) + field_size(string_value_size(value));
}

static size_t list_size(const struct otel_thread_context_process_attribute *list, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += field_size(key_value_size(list[i].key, list[i].value));
	return size;
}

static const char *schema_of(const struct otel_thread_context_process *process)
{
	return process->schema_version ? process->schema_version : OTEL_THREAD_CONTEXT_SCHEMA_DEVELOPMENT;
}

size_t attributes_size(const struct otel_thread_context_process *process)
{
	return field_size(list_size(process->resource, process->resource_count)) +
	       list_size(process->attributes, process->attributes_count) +
	       field_size(key_value_size(SCHEMA_KEY, schema_of(process)));
}

static size_t names_size(const struct key_map *keys)
{
	size_t size = 0;

	for (size_t i = 0; i < keys->count; i++)
		size += field_size(string_value_size(keys->names[i]));
	return size;
}

static size_t key_map_value_size(const struct key_map *keys)
{
	return field_size(names_size(keys));
}

static size_t key_map_entry_size(const struct key_map *keys)
{
	return field_size(strlen(KEY_MAP_KEY)) + field_size(key_map_value_size(keys));
}

size_t key_map_size(const struct key_map *keys)
{
	return field_size(key_map_entry_size(keys));
}

/* ---- writing ---- */

static uint8_t *write_tag(uint8_t *to, unsigned int field, size_t length)
{
	const unsigned int length_delimited = 2;

	*to++ = (uint8_t)(field << 3 | length_delimited);
	for (; length >= 0x80; length >>= 7)
		*to++ = (uint8_t)(length | 0x80);
	*to++ = (uint8_t)length;
	return to;
}

static uint8_t *write_string(uint8_t *to, unsigned int field, const char *text)
{
	size_t length = strlen(text);

	to = write_tag(to, field, length);
	memcpy(to, text, length);
	return to + length;
}

static uint8_t *write_key_value(uint8_t *to, unsigned int field, const char *key, const char *value)
{
	to = write_tag(to, field, key_value_size(key, value));
	to = write_string(to, KEY, key);
	to = write_tag(to, VALUE, string_value_size(value));
	return write_string(to, STRING_VALUE, value);
}

static uint8_t *write_list(uint8_t *to, unsigned int field, const struct otel_thread_context_process_attribute *list,
			   size_t count)
{
	for (size_t i = 0; i < count; i++)
		to = write_key_value(to, field, list[i].key, list[i].value);
	return to;
}

uint8_t *write_attributes(uint8_t *to, const struct otel_thread_context_process *process)
{
	to = write_tag(to, RESOURCE, list_size(process->resource, process->resource_count));
	to = write_list(to, RESOURCE_ATTRIBUTES, process->resource, process->resource_count);
	to = write_list(to, ATTRIBUTES, process->attributes, process->attributes_count);
	return write_key_value(to, ATTRIBUTES, SCHEMA_KEY, schema_of(process));
}

uint8_t *write_key_map(uint8_t *to, const struct key_map *keys)
{
	to = write_tag(to, ATTRIBUTES, key_map_entry_size(keys));
	to = write_string(to, KEY, KEY_MAP_KEY);
	to = write_tag(to, VALUE, key_map_value_size(keys));
	to = write_tag(to, ARRAY_VALUE, names_size(keys));
	for (size_t i = 0; i < keys->count; i++) {
		to = write_tag(to, ARRAY_VALUES, string_value_size(keys->names[i]));
		to = write_string(to, STRING_VALUE, keys->names[i]);
	}
	return to;
}

/* ---- checking ---- */

static int check_list(const struct otel_thread_context_process_attribute *list, size_t count, const char *reserved)
{
	if (count > OTEL_THREAD_CONTEXT_PROCESS_ATTRIBUTES_MAX)
		return -E2BIG;
	if (count && !list)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!list[i].key || !list[i].key[0] || !list[i].value)
			return -EINVAL;
		if (reserved && !strncmp(list[i].key, reserved, strlen(reserved)))
			return -EINVAL;
		for (size_t j = 0; j < i; j++) {
			if (!strcmp(list[i].key, list[j].key))
				return -EINVAL;
		}
		if (!is_utf8(list[i].key) || !is_utf8(list[i].value))
			return -EILSEQ;
	}
	return 0;
}

int check_process(const struct otel_thread_context_process *process)
{
	int error;

	if (!process || process->size != sizeof(*process))
		return -EINVAL;
	error = check_list(process->resource, process->resource_count, NULL);
	if (!error)
		error = check_list(process->attributes, process->attributes_count, "threadlocal.");
	if (!error && process->schema_version) {
		if (!process->schema_version[0])
			error = -EINVAL;
		else if (!is_utf8(process->schema_version))
			error = -EILSEQ;
	}
	return error;
}
