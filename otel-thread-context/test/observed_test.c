/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An observer that stops the writer anywhere: a timer signal at random instructions, and (x86-64) a trap after every
 * single one. At each stop the record must be the one before the change under way, or the one after it, to the last
 * bit, or not valid.
 *
 *   observed_test [timer samples [steps]]     by default 100000 and 1000000
 */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 128, RECORDS = 2, IMAGE = 28 + ROOM };

/* What an observer may find in a record: its first 28 bytes and as many attribute bytes as they say. */
struct image {
	unsigned char bytes[IMAGE];
};

static uint64_t live_memory[RECORDS][OTEL_THREAD_CONTEXT_SIZE(ROOM) / 8];
static uint64_t shadow_memory[RECORDS][OTEL_THREAD_CONTEXT_SIZE(ROOM) / 8];
static struct otel_thread_context_record *live[RECORDS], *shadow[RECORDS];

/* What may be seen now. */
static struct image before[RECORDS], after[RECORDS];
static void *volatile pointer_before, *volatile pointer_after;
static volatile sig_atomic_t is_changing;

/* What was seen. */
static volatile unsigned long samples, samples_in_changes, samples_valid, samples_invalid, samples_none, torn;
static volatile unsigned long saw_before, saw_after;

static unsigned long samples_wanted = 100000, steps_wanted = 1000000;

static bool is_image(const unsigned char *record, const struct image *image)
{
	struct seen_record seen;

	if (!see_record(record, &seen))
		return false;
	return seen.attributes_size <= ROOM && !memcmp(record, image->bytes, 28 + seen.attributes_size);
}

static void observe(void)
{
	unsigned char *record = otel_thread_ctx_v1;
	int number = record == (unsigned char *)live[1];
	struct seen_record seen;

	samples++;
	samples_in_changes += is_changing != 0;
	if (record != pointer_before && record != pointer_after) {
		torn++;
		return;
	}
	if (!record) {
		samples_none++;
		return;
	}
	if (!see_record(record, &seen)) {
		samples_invalid++;
		torn += !is_changing;
		return;
	}
	samples_valid++;
	if (is_image(record, &before[number]))
		saw_before++;
	else if (is_image(record, &after[number]))
		saw_after++;
	else
		torn++;
}

/* ---- changes ---- */

static unsigned int random_state = 12345;

static unsigned int random_below(unsigned int limit)
{
	random_state = random_state * 1103515245U + 12345U;
	return (random_state >> 16) % limit;
}

struct change {
	enum { UPDATE, SET_ATTRIBUTE, SET_FLAGS, SWAP, ATTACH, DETACH, KINDS } kind;
	int record;
	uint8_t trace_id[16], span_id[8], flags;
	struct otel_thread_context_attribute attributes[4];
	unsigned int count;
};

static struct change random_change(void)
{
	static char text[4][64];
	struct change change = { .kind = random_below(KINDS), .record = (int)random_below(RECORDS) };

	change.count = random_below(5);
	change.flags = (uint8_t)random_below(256);
	for (int i = 0; i < 16; i++)
		change.trace_id[i] = (uint8_t)(1 + random_below(255));
	for (int i = 0; i < 8; i++)
		change.span_id[i] = (uint8_t)(1 + random_below(255));
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int length = random_below(40);

		memset(text[i], (int)('a' + random_below(26)), length);
		change.attributes[i] =
			(struct otel_thread_context_attribute){ text[i], length, (uint8_t)random_below(4) };
	}
	return change;
}

static void apply(const struct change *change, struct otel_thread_context_record *record)
{
	const struct otel_thread_context_attribute *attribute = &change->attributes[0];

	switch (change->kind) {
	case UPDATE:
		otel_thread_context_record_update(record, change->trace_id, change->span_id, change->flags,
						  change->attributes, change->count);
		break;
	case SET_ATTRIBUTE:
		otel_thread_context_record_set_attribute(record, attribute->key, attribute->value, attribute->length);
		break;
	case SET_FLAGS:
		otel_thread_context_record_set_trace_flags(record, change->flags);
		break;
	default:
		break;
	}
}

static void apply_live(const struct change *change)
{
	struct otel_thread_context_record *record = live[change->record];

	if (change->kind == SWAP)
		otel_thread_context_swap(record);
	else if (change->kind == ATTACH)
		otel_thread_context_attach(record);
	else if (change->kind == DETACH)
		otel_thread_context_detach();
	else
		apply(change, record);
}

static void take_image(struct image *image, const struct otel_thread_context_record *record)
{
	memcpy(image->bytes, record, sizeof(image->bytes));
}

/* One change, observed: first made where nobody looks, so that it is known what comes after. */
static void change_observed(void (*begin)(void), void (*end)(void))
{
	struct change change = random_change();

	apply(&change, shadow[change.record]);
	take_image(&after[change.record], shadow[change.record]);
	pointer_after = otel_thread_ctx_v1;
	if (change.kind == SWAP || change.kind == ATTACH)
		pointer_after = live[change.record];
	else if (change.kind == DETACH)
		pointer_after = NULL;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	is_changing = 1;
	begin();
	apply_live(&change);
	end();
	is_changing = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* From here on the state before may not be seen any more. `after` is the same, so this copy may be interrupted.
	 */
	pointer_before = pointer_after;
	before[change.record] = after[change.record];
}

static void begin_samples(void)
{
	const uint8_t id[16] = { 1 };

	for (int i = 0; i < RECORDS; i++) {
		REQUIRE(otel_thread_context_record_init(live_memory[i], sizeof(live_memory[i]), &live[i]) == 0);
		REQUIRE(otel_thread_context_record_init(shadow_memory[i], sizeof(shadow_memory[i]), &shadow[i]) == 0);
		otel_thread_context_record_update(live[i], id, id, 0, NULL, 0);
		otel_thread_context_record_update(shadow[i], id, id, 0, NULL, 0);
		take_image(&before[i], shadow[i]);
		take_image(&after[i], shadow[i]);
	}
	otel_thread_context_detach();
	pointer_before = pointer_after = NULL;
	samples = samples_in_changes = samples_valid = samples_invalid = samples_none = torn = saw_before = saw_after =
		0;
}

/* Not vacuously so: each way of seeing was there. */
static int has_seen_all(void)
{
	return samples_in_changes > 0 && samples_valid > 0 && samples_invalid > 0 && samples_none > 0 &&
	       saw_before > 0 && saw_after > 0;
}

static void expect_samples(const char *what, unsigned long wanted)
{
	printf("# %s: %lu samples, %lu within a call; %lu valid, %lu not valid, %lu without a record; %lu torn\n", what,
	       samples, samples_in_changes, samples_valid, samples_invalid, samples_none, torn);
	EXPECT(samples >= wanted);
	EXPECT_EQUAL(torn, 0);
	EXPECT(has_seen_all());
}

/* ---- a timer ---- */

static timer_t timer;
static unsigned int timer_state = 1;

/* Once, after 1 to 16 µs: the writer gets on, whatever a signal costs. */
static void set_timer(void)
{
	struct itimerspec after_some_time = { { 0, 0 }, { 0, 0 } };

	timer_state = timer_state * 1103515245U + 12345U;
	after_some_time.it_value.tv_nsec = 1000 + (timer_state >> 16) % 15000;
	timer_settime(timer, 0, &after_some_time, NULL);
}

/* Where a call takes nanoseconds it is a matter of luck when a timer finds one just begun, and one just done. */
static int is_timer_done(void)
{
	return samples >= samples_wanted && (has_seen_all() || samples >= 100 * samples_wanted);
}

static void on_timer(int number)
{
	(void)number;
	observe();
	if (!is_timer_done())
		set_timer();
}

static void nothing(void)
{
}

static void stopped_at_random(void)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };

	begin_samples();
	sigaction(SIGALRM, &action, NULL);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	set_timer();
	while (!is_timer_done())
		change_observed(nothing, nothing);
	timer_delete(timer);
	expect_samples("timer", samples_wanted);
}

/* ---- every instruction ---- */

#if defined(__x86_64__)
static void on_trap(int number)
{
	(void)number;
	observe();
}

/* The trap flag of the processor. The handler runs without it; it comes back with the interrupted flags. */
static inline __attribute__((always_inline)) void set_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; orl $0x100, (%%rsp); popf; lea 128(%%rsp), %%rsp" ::
				 : "cc", "memory");
}

static inline __attribute__((always_inline)) void clear_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; andl $0xfffffeff, (%%rsp); popf; lea 128(%%rsp), %%rsp" ::
				 : "cc", "memory");
}

static void begin_steps(void)
{
	set_trap_flag();
}

static void end_steps(void)
{
	clear_trap_flag();
}

static void stopped_at_every_instruction(void)
{
	struct sigaction action = { .sa_handler = on_trap };

	begin_samples();
	sigaction(SIGTRAP, &action, NULL);
	while (samples < steps_wanted)
		change_observed(begin_steps, end_steps);
	expect_samples("single steps", steps_wanted);
}

/* ---- every instruction of a publication ---- */

enum { PUBLICATIONS = 20 };

/* The header, and what was published before the call under way. */
static const unsigned char *header;
static unsigned char header_before[32], payload_before[65536];
static volatile unsigned long reads, reads_before, reads_between, reads_after, mixed;

/* One that reads now what it finds: the context before, or one of which every attribute has the same value. */
static void read_process(void)
{
	uint64_t time, address;
	uint32_t size;

	memcpy(&time, header + 16, 8);
	memcpy(&address, header + 24, 8);
	memcpy(&size, header + 12, 4);
	reads++;
	if (!time) {
		reads_between++;
		return;
	}
	if (!memcmp(header, header_before, sizeof(header_before))) {
		reads_before++;
		mixed += memcmp((const void *)(uintptr_t)address, payload_before, size) != 0;
		return;
	}
	reads_after++;
	/* The same mapping with another time: pointer and size must be other ones too, for these differ each time. */
	mixed += !memcmp(header + 12, header_before + 12, 4) || !memcmp(header + 24, header_before + 24, 8);
	mixed += !memcmp(header + 16, header_before + 16, 8);
}

static void on_process_trap(int number)
{
	(void)number;
	read_process();
}

static void publication_stopped_at_every_instruction(void)
{
	static struct seen_process seen;
	static char value[64];
	struct sigaction action = { .sa_handler = on_process_trap };
	struct otel_thread_context_process_attribute name = { "service.name", value };
	struct otel_thread_context_process process = { .size = sizeof(process),
						       .resource = &name,
						       .resource_count = 1 };

	REQUIRE(otel_thread_context_process_publish(&process) == 0);
	REQUIRE(see_process(getpid(), &seen));
	header = (const unsigned char *)(uintptr_t)seen.header_address;
	sigaction(SIGTRAP, &action, NULL);
	for (int i = 0; i < PUBLICATIONS; i++) {
		memset(value, 'a' + i, (size_t)i + 1);
		memcpy(header_before, header, sizeof(header_before));
		REQUIRE(see_process(getpid(), &seen));
		memcpy(payload_before, seen.payload, seen.payload_size);
		set_trap_flag();
		otel_thread_context_process_publish(&process);
		clear_trap_flag();
	}
	printf("# publications: %lu reads, %lu before, %lu between, %lu after; %lu mixed\n", reads, reads_before,
	       reads_between, reads_after, mixed);
	EXPECT_EQUAL(mixed, 0);
	EXPECT(reads_before > PUBLICATIONS && reads_between > PUBLICATIONS && reads_after > PUBLICATIONS);
	EXPECT_EQUAL(otel_thread_context_process_unpublish(), 0);
}
#endif

int main(int count, char **arguments)
{
	if (count > 1)
		samples_wanted = strtoul(arguments[1], NULL, 10);
	if (count > 2)
		steps_wanted = strtoul(arguments[2], NULL, 10);
	run_test("stopped by a timer at random instructions, no record is torn", stopped_at_random);
#if defined(__x86_64__)
	run_test("stopped after every single instruction, no record is torn", stopped_at_every_instruction);
	run_test(
		"a publication stopped after every single instruction is the one before, or changing, or the one after",
		publication_stopped_at_every_instruction);
#endif
	return finish_tests();
}
