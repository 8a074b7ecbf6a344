/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of a record leave in its memory, as an observer decodes it. */
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <errno.h>
#include <string.h>

static const uint8_t trace_id[16] = { 0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
				      0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36 };
static const uint8_t span_id[8] = { 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7 };
static const uint8_t zero[16];

static uint64_t memory[OTEL_THREAD_CONTEXT_SIZE(OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX) / 8 + 4];

static struct otel_thread_context_record *new_record(size_t attribute_bytes)
{
	struct otel_thread_context_record *record = NULL;

	memset(memory, 0xee, sizeof(memory));
	REQUIRE(otel_thread_context_record_init(memory, OTEL_THREAD_CONTEXT_SIZE(attribute_bytes), &record) == 0);
	return record;
}

static struct seen_record see(const struct otel_thread_context_record *record)
{
	struct seen_record seen = { .attributes_size = 0 };

	EXPECT(see_record((const unsigned char *)record, &seen));
	EXPECT(count_attributes(&seen) >= 0);
	return seen;
}

static bool has(const struct otel_thread_context_record *record, unsigned int key, const char *value)
{
	struct seen_record seen = see(record);
	unsigned int length = 0;
	const unsigned char *found = see_attribute(&seen, key, &length);

	return found && length == strlen(value) && !memcmp(found, value, length);
}

static bool has_not(const struct otel_thread_context_record *record, unsigned int key)
{
	struct seen_record seen = see(record);
	unsigned int length;

	return !see_attribute(&seen, key, &length);
}

static int update(struct otel_thread_context_record *record, const struct otel_thread_context_attribute *attributes,
		  size_t count)
{
	return otel_thread_context_record_update(record, trace_id, span_id, 1, attributes, count);
}

static void is_invalid_at_first(void)
{
	struct otel_thread_context_record *record = new_record(32);

	EXPECT_EQUAL(record->valid, 0);
	EXPECT_EQUAL(record->attrs_data_size, 0);
	EXPECT(!memcmp(record->trace_id, zero, 16));
	EXPECT_EQUAL((uintptr_t)record % 2, 0);
}

static void refuses_bad_memory(void)
{
	struct otel_thread_context_record *record = NULL;

	EXPECT_EQUAL(otel_thread_context_record_init(NULL, 64, &record), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_init((char *)memory + 1, 64, &record), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_init((char *)memory + 2, 64, &record), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_init(memory, 31, &record), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_init(memory, 64, NULL), -EINVAL);
	EXPECT(!record);
	EXPECT_EQUAL(otel_thread_context_record_init(memory, 32, &record), 0);
	EXPECT_EQUAL(otel_thread_context_record_init((char *)memory + 4, 64, &record), 0);
}

static void lies_as_specified(void)
{
	/* Byte by byte, on a little-endian machine. */
	static const unsigned char expected[] = {
		0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e,
		0x47, 0x36, 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7, 1,	  0x03, 12,   0,
		7,    3,    'G',  'E',	'T',  255,  5,	  '/',	'a',  0xc3, 0xa4, 'b',
	};
	const struct otel_thread_context_attribute attributes[] = { { "GET", 3, 7 }, { "/a\303\244b", 5, 255 } };
	struct otel_thread_context_record *record = new_record(32);

	EXPECT_EQUAL(otel_thread_context_record_update(record, trace_id, span_id, 3, attributes, 2), 0);
	EXPECT(!memcmp(record, expected, sizeof(expected)));
}

static void wants_both_ids_or_none(void)
{
	struct otel_thread_context_record *record = new_record(32);
	struct seen_record seen;

	EXPECT_EQUAL(update(record, NULL, 0), 0);
	EXPECT_EQUAL(otel_thread_context_record_update(record, trace_id, NULL, 0, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_update(record, NULL, span_id, 0, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_update(record, trace_id, zero, 0, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_update(record, zero, span_id, 0, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_update(record, NULL, NULL, 1, NULL, 0), -EINVAL);
	seen = see(record);
	EXPECT(!memcmp(seen.trace_id, trace_id, 16) && !memcmp(seen.span_id, span_id, 8) && seen.trace_flags == 1);

	EXPECT_EQUAL(otel_thread_context_record_update(record, NULL, NULL, 0, NULL, 0), 0);
	seen = see(record);
	EXPECT(!memcmp(seen.trace_id, zero, 16) && !memcmp(seen.span_id, zero, 8) && seen.trace_flags == 0);
	EXPECT_EQUAL(update(record, NULL, 0), 0);
	EXPECT_EQUAL(otel_thread_context_record_update(record, zero, zero, 0, NULL, 0), 0);
	seen = see(record);
	EXPECT(!memcmp(seen.trace_id, zero, 16) && !memcmp(seen.span_id, zero, 8) && seen.trace_flags == 0);
	EXPECT_EQUAL(otel_thread_context_record_set_trace_flags(record, 1), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_set_trace_flags(record, 0), 0);
	EXPECT_EQUAL(otel_thread_context_record_update(NULL, trace_id, span_id, 0, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_set_trace_flags(NULL, 0), -EINVAL);
}

static void every_single_bit_of_an_id_counts(void)
{
	struct otel_thread_context_record *record = new_record(0);

	for (unsigned int bit = 0; bit < 128; bit++) {
		uint8_t trace[16] = { 0 }, span[8] = { 0 };

		trace[bit / 8] = (uint8_t)(1U << bit % 8);
		span[bit / 8 % 8] = (uint8_t)(1U << bit % 8);
		EXPECT_EQUAL(otel_thread_context_record_update(record, trace, span, 0, NULL, 0), 0);
		EXPECT_EQUAL(otel_thread_context_record_update(record, trace, NULL, 0, NULL, 0), -EINVAL);
		EXPECT_EQUAL(otel_thread_context_record_update(record, NULL, span, 0, NULL, 0), -EINVAL);
	}
}

static void keeps_all_trace_flags(void)
{
	struct otel_thread_context_record *record = new_record(32);

	for (unsigned int flags = 0; flags < 256; flags++) {
		EXPECT_EQUAL(otel_thread_context_record_update(record, trace_id, span_id, (uint8_t)flags, NULL, 0), 0);
		EXPECT_EQUAL(see(record).trace_flags, flags);
		EXPECT_EQUAL(otel_thread_context_record_set_trace_flags(record, (uint8_t)~flags), 0);
		EXPECT_EQUAL(see(record).trace_flags, (uint8_t)~flags);
	}
}

static void replaces_attributes(void)
{
	struct otel_thread_context_record *record = new_record(32);

	EXPECT_EQUAL(update(record, NULL, 0), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, "one", 3), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 255, "last", 4), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, "longer", 6), 0);
	EXPECT(has(record, 0, "longer") && has(record, 255, "last"));
	EXPECT_EQUAL(record->attrs_data_size, 2 + 6 + 2 + 4);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, "", 0), 0);
	EXPECT(has(record, 0, "") && has(record, 255, "last"));
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 1, NULL, 0), 0);
	EXPECT(has(record, 1, ""));
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 1, NULL, 1), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(NULL, 1, "", 0), -EINVAL);
	EXPECT_EQUAL(record->attrs_data_size, 2 + 2 + 4 + 2);
}

static void update_replaces_everything(void)
{
	const struct otel_thread_context_attribute twice[] = { { "old", 3, 4 }, { "x", 1, 5 }, { "new", 3, 4 } };
	const struct otel_thread_context_attribute without[] = { { NULL, 1, 4 } };
	struct otel_thread_context_record *record = new_record(32);

	EXPECT_EQUAL(update(record, twice, 3), 0);
	EXPECT(has(record, 4, "new") && has(record, 5, "x"));
	EXPECT_EQUAL(update(record, without, 1), -EINVAL);
	EXPECT_EQUAL(update(record, NULL, 1), -EINVAL);
	EXPECT(has(record, 4, "new"));
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 4, "one", 3), 0);
	EXPECT_EQUAL(count_attributes(&(struct seen_record){ .attributes = (unsigned char *)record + 28,
							     .attributes_size = record->attrs_data_size }),
		     2);
	EXPECT_EQUAL(update(record, NULL, 0), 0);
	EXPECT(has_not(record, 4) && has_not(record, 5));
}

static void drops_what_does_not_fit(void)
{
	const struct otel_thread_context_attribute attributes[] = { { "12345678", 8, 0 },
								    { "123456789", 9, 1 },
								    { "1", 1, 2 } };
	const struct otel_thread_context_attribute outgrown[] = { { "old", 3, 0 }, { "much longer than that", 21, 0 } };
	struct otel_thread_context_record *record = new_record(16);

	EXPECT_EQUAL(update(record, attributes, 3), -ENOSPC);
	EXPECT(has(record, 0, "12345678") && has_not(record, 1) && has(record, 2, "1"));
	EXPECT_EQUAL(update(record, outgrown, 2), -ENOSPC);
	EXPECT(has_not(record, 0));

	EXPECT_EQUAL(update(record, attributes, 1), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 9, "12345", 5), -ENOSPC);
	EXPECT(has(record, 0, "12345678") && has_not(record, 9));
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 9, "1234", 4), 0);
	EXPECT_EQUAL(record->attrs_data_size, 16);
	/* The old value would be a lie. */
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 9, "12345", 5), -ENOSPC);
	EXPECT(has(record, 0, "12345678") && has_not(record, 9));
	EXPECT_EQUAL(record->valid, 1);
}

static void never_writes_past_its_memory(void)
{
	static char text[300];
	struct otel_thread_context_record *record;

	memset(text, 'x', sizeof(text));
	for (size_t room = 0; room <= OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX; room++) {
		const unsigned char *behind = (unsigned char *)memory + OTEL_THREAD_CONTEXT_SIZE(room);

		record = new_record(room);
		for (size_t length = 0; length < sizeof(text); length += 37) {
			const struct otel_thread_context_attribute attributes[] = { { text, length, 1 },
										    { text, length / 2, 2 } };

			update(record, attributes, 2);
			otel_thread_context_record_set_attribute(record, 3, text, length);
			otel_thread_context_record_set_attribute(record, 1, text, length / 3);
			EXPECT(record->attrs_data_size <= room);
			see(record);
		}
		for (size_t i = 0; i < 16; i++)
			EXPECT_EQUAL(behind[i], 0xee);
	}
}

static void has_at_most_640_bytes(void)
{
	static uint64_t large[200];
	static char text[255];
	struct otel_thread_context_record *record;

	memset(text, 'x', sizeof(text));
	REQUIRE(otel_thread_context_record_init(large, sizeof(large), &record) == 0);
	REQUIRE(update(record, NULL, 0) == 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, text, 255), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 1, text, 255), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 2, text, 97), -ENOSPC);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 2, text, 96), 0);
	EXPECT_EQUAL(28 + record->attrs_data_size, 640);
}

static void cuts_values_before_a_character(void)
{
	/* Of 1 to 4 bytes. */
	static const char *const characters[] = { "x", "\303\244", "\342\202\254", "\360\237\230\200" };
	struct otel_thread_context_record *record = new_record(OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX);

	REQUIRE(update(record, NULL, 0) == 0);
	for (size_t i = 0; i < 4; i++) {
		size_t size = strlen(characters[i]);

		for (size_t before = 0; before < 4; before++) {
			char text[400];
			size_t length = before;
			unsigned int kept = 0;
			struct seen_record seen;

			memset(text, 'a', before);
			while (length < 300) {
				memcpy(text + length, characters[i], size);
				length += size;
			}
			EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, text, length), 0);
			seen = see(record);
			EXPECT(see_attribute(&seen, 0, &kept) != NULL);
			EXPECT_EQUAL(kept, before + (255 - before) / size * size);
		}
	}
	/* 255 bytes are not too many, whatever they are. */
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, (char[255]){ [254] = '\200' }, 255), 0);
	EXPECT_EQUAL(record->attrs_data_size, 257);
	/* And what is no UTF-8 is cut at 255. */
	{
		char text[300];

		memset(text, 0x80, sizeof(text));
		EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, text, sizeof(text)), 0);
		EXPECT_EQUAL(record->attrs_data_size, 257);
	}
}

static void invalid_stays_invalid(void)
{
	struct otel_thread_context_record *record = new_record(32);

	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, "a", 1), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 0, "bc", 2), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_trace_flags(record, 0), 0);
	EXPECT_EQUAL(record->valid, 0);
	EXPECT_EQUAL(update(record, NULL, 0), 0);
	EXPECT_EQUAL(record->valid, 1);
}

int main(void)
{
	run_test("a new record is aligned, empty and not valid", is_invalid_at_first);
	run_test("memory that is missing, misaligned or too small is refused", refuses_bad_memory);
	run_test("every byte of a record lies where the ABI says", lies_as_specified);
	run_test("both ids are set, or none; a refused update changes nothing", wants_both_ids_or_none);
	run_test("an id of a single bit is an id", every_single_bit_of_an_id_counts);
	run_test("trace flags are kept to the last bit, and change alone", keeps_all_trace_flags);
	run_test("an attribute replaces the one of its key and no other", replaces_attributes);
	run_test("an update replaces all attributes, the last of a key counts", update_replaces_everything);
	run_test("what does not fit is not there, and neither is its old value", drops_what_does_not_fit);
	run_test("no byte behind a record's memory is touched, at any size", never_writes_past_its_memory);
	run_test("a record has at most 640 bytes, in whatever memory", has_at_most_640_bytes);
	run_test("a value of more than 255 bytes is cut before a character", cuts_values_before_a_character);
	run_test("attributes and flags do not make an invalid record valid", invalid_stays_invalid);
	return finish_tests();
}
