/* SPDX-License-Identifier: Apache-2.0 */
/* Which record a thread has, seen through the variable that observers read. */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, RECORD_SIZE = OTEL_THREAD_CONTEXT_SIZE(32) };

struct memory {
	uint64_t words[RECORD_SIZE / 8];
};

static void *slot(void)
{
	return otel_thread_ctx_v1;
}

/* A record whose ids are all one byte. */
static struct otel_thread_context_record *new_record(struct memory *memory, uint8_t tag)
{
	struct otel_thread_context_record *record = NULL;
	uint8_t trace_id[16], span_id[8];

	memset(trace_id, tag, sizeof(trace_id));
	memset(span_id, tag, sizeof(span_id));
	REQUIRE(otel_thread_context_record_init(memory, sizeof(*memory), &record) == 0);
	REQUIRE(otel_thread_context_record_update(record, trace_id, span_id, 1, NULL, 0) == 0);
	return record;
}

static void attaches_and_detaches(void)
{
	struct memory memory;
	struct otel_thread_context_record *record = new_record(&memory, 1);

	EXPECT(!slot());
	EXPECT(!otel_thread_context_current());
	EXPECT_EQUAL(otel_thread_context_attach(record), 0);
	EXPECT(slot() == record && otel_thread_context_current() == record);
	EXPECT_EQUAL(otel_thread_context_attach(NULL), -EINVAL);
	EXPECT(slot() == record);
	otel_thread_context_detach();
	EXPECT(!slot() && !otel_thread_context_current());
	EXPECT_EQUAL(record->valid, 1);
	otel_thread_context_detach();
	EXPECT(!slot());
}

static void swaps_scopes(void)
{
	struct memory memory[3];
	struct otel_thread_context_record *outer = new_record(&memory[0], 1), *inner = new_record(&memory[1], 2);

	EXPECT(!otel_thread_context_swap(outer));
	EXPECT(otel_thread_context_swap(inner) == outer);
	EXPECT(slot() == inner);
	EXPECT(otel_thread_context_swap(NULL) == inner);
	EXPECT(!slot());
	EXPECT(!otel_thread_context_swap(outer));
	EXPECT(slot() == outer);
	EXPECT(otel_thread_context_swap(NULL) == outer);
	EXPECT_EQUAL(outer->valid, 1);
	EXPECT_EQUAL(inner->valid, 1);
}

static void changes_leave_the_slot_alone(void)
{
	struct memory memory;
	struct otel_thread_context_record *record = new_record(&memory, 1);

	otel_thread_context_record_set_attribute(record, 0, "a", 1);
	EXPECT(!slot());
	otel_thread_context_attach(record);
	otel_thread_context_record_set_attribute(record, 0, "b", 1);
	otel_thread_context_record_update(record, NULL, NULL, 0, NULL, 0);
	EXPECT(slot() == record);
	otel_thread_context_detach();
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	uint8_t tag;
	struct memory memory;
	struct otel_thread_context_record *record;
	struct otel_thread_context_record *inline_record;
	unsigned char *volatile *slot;
	bool began_empty;
};

static pthread_barrier_t attached, looked;

static void *work(void *data)
{
	struct worker *worker = data;

	worker->began_empty = !slot();
	worker->slot = &otel_thread_ctx_v1;
	worker->record = new_record(&worker->memory, worker->tag);
	worker->inline_record = otel_thread_context_thread_record();
	otel_thread_context_attach(worker->record);
	pthread_barrier_wait(&attached);
	pthread_barrier_wait(&looked);
	return NULL;
}

static void threads_have_their_own(void)
{
	static struct worker workers[THREADS];

	pthread_barrier_init(&attached, NULL, THREADS + 1);
	pthread_barrier_init(&looked, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		workers[i].tag = (uint8_t)(i + 1);
		REQUIRE(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	pthread_barrier_wait(&attached);
	EXPECT(!slot());
	for (int i = 0; i < THREADS; i++) {
		struct seen_record seen = { .attributes_size = 0 };

		EXPECT(workers[i].began_empty);
		EXPECT(*workers[i].slot == (unsigned char *)workers[i].record);
		EXPECT(see_record(*workers[i].slot, &seen) && seen.trace_id[0] == i + 1 && seen.span_id[7] == i + 1);
		for (int j = 0; j < i; j++)
			EXPECT(workers[i].slot != workers[j].slot &&
			       workers[i].inline_record != workers[j].inline_record);
	}
	pthread_barrier_wait(&looked);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	EXPECT(!slot());
}

struct ended {
	bool began_empty, began_fresh;
};

static void *end_attached(void *data)
{
	struct ended *ended = data;
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	const uint8_t id[16] = { 1 };

	ended->began_empty = !slot();
	ended->began_fresh = !record->valid && !record->attrs_data_size && !record->trace_id[0];
	otel_thread_context_record_update(record, id, id, 1, NULL, 0);
	otel_thread_context_record_set_attribute(record, 1, "rest", 4);
	otel_thread_context_attach(record);
	return NULL;
}

static void threads_end_attached(void)
{
	for (int i = 0; i < 500; i++) {
		struct ended ended = { false, false };
		pthread_t thread;

		REQUIRE(pthread_create(&thread, NULL, end_attached, &ended) == 0);
		pthread_join(thread, NULL);
		EXPECT(ended.began_empty && ended.began_fresh);
	}
}

static void *use_thread_record(void *data)
{
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	static char text[OTEL_THREAD_CONTEXT_THREAD_ATTRIBUTES - 2];
	const uint8_t id[16] = { 1 };

	(void)data;
	EXPECT(otel_thread_context_thread_record() == record);
	EXPECT(!slot());
	EXPECT_EQUAL((uintptr_t)record % 2, 0);
	EXPECT_EQUAL(record->valid, 0);
	EXPECT_EQUAL(otel_thread_context_record_update(record, id, id, 1, NULL, 0), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 1, text, sizeof(text) - 1), 0);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 2, text, 0), -ENOSPC);
	EXPECT_EQUAL(otel_thread_context_record_set_attribute(record, 1, text, sizeof(text)), 0);
	EXPECT_EQUAL(record->attrs_data_size, OTEL_THREAD_CONTEXT_THREAD_ATTRIBUTES);
	EXPECT(otel_thread_context_thread_record() == record && record->valid == 1);
	EXPECT_EQUAL(otel_thread_context_attach(record), 0);
	EXPECT(slot() == record);
	return NULL;
}

static void has_a_record_for_each_thread(void)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, use_thread_record, NULL) == 0);
	pthread_join(thread, NULL);
	use_thread_record(NULL);
	otel_thread_context_detach();
}

/* ---- signals, fork ---- */

static struct memory handler_memory;
static volatile int handled;

static void work_in_handler(int number)
{
	struct otel_thread_context_record *record = new_record(&handler_memory, 9), *previous;

	(void)number;
	previous = otel_thread_context_swap(record);
	handled += slot() == record;
	otel_thread_context_swap(previous);
}

static void handlers_may_swap(void)
{
	struct memory memory;
	struct otel_thread_context_record *record = new_record(&memory, 1);

	signal(SIGUSR1, work_in_handler);
	otel_thread_context_attach(record);
	raise(SIGUSR1);
	EXPECT_EQUAL(handled, 1);
	EXPECT(slot() == record);
	otel_thread_context_detach();
	signal(SIGUSR1, SIG_DFL);
}

static void children_have_a_copy(void)
{
	struct memory memory;
	struct otel_thread_context_record *record = new_record(&memory, 1);
	int status;
	pid_t child;

	otel_thread_context_attach(record);
	child = fork();
	REQUIRE(child >= 0);
	if (!child) {
		const uint8_t id[16] = { 7 };
		bool good = slot() == record && record->trace_id[0] == 1;

		otel_thread_context_record_update(record, id, id, 1, NULL, 0);
		otel_thread_context_detach();
		_exit(good && !slot() ? 0 : 1);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	EXPECT(slot() == record);
	EXPECT_EQUAL(record->trace_id[0], 1);
	otel_thread_context_detach();
}

int main(void)
{
	run_test("attach sets the thread's pointer, detach clears it", attaches_and_detaches);
	run_test("swap returns what was attached before, so that scopes nest", swaps_scopes);
	run_test("changing a record leaves the thread's pointer alone", changes_leave_the_slot_alone);
	run_test("each thread has its own pointer, empty at first", threads_have_their_own);
	run_test("a thread that ends with a record attached leaves nothing to later threads", threads_end_attached);
	run_test("each thread has a record from the library", has_a_record_for_each_thread);
	run_test("a signal handler may swap in its own record and swap back", handlers_may_swap);
	run_test("a child of fork has a copy of the record and a pointer of its own", children_have_a_copy);
	return finish_tests();
}
