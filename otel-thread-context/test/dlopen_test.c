/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared library, loaded into a process that has threads already; run also with
 * GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0, where it gets no static TLS. Its path is the argument.
 */
#define _GNU_SOURCE
#include "check.h"
#include "otel_thread_context.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static const char *path;
static void *library;
static struct otel_thread_context_record *(*swap)(struct otel_thread_context_record *);
static struct otel_thread_context_record *(*thread_record)(void);
static int (*update)(struct otel_thread_context_record *, const uint8_t *, const uint8_t *, uint8_t,
		     const struct otel_thread_context_attribute *, size_t);
static pthread_barrier_t before_load, after_load;
static bool early_is_good, late_is_good;

static void find(void *function, const char *name)
{
	void *address = dlsym(library, name);

	REQUIRE(address);
	memcpy(function, &address, sizeof(address));
}

/* The slot is where the program looks, and the record is good for all that it is for. */
static bool use(void)
{
	struct otel_thread_context_record *volatile *slot, *record;
	const uint8_t id[16] = { 1 };

	slot = dlsym(library, "otel_thread_ctx_v1");
	if (!slot || *slot || swap(NULL))
		return false;
	record = thread_record();
	if (update(record, id, id, 1, NULL, 0) || swap(record) || *slot != record)
		return false;
	return swap(NULL) == record && !*slot && (*slot = NULL, true);
}

static void *early(void *data)
{
	pthread_barrier_wait(&before_load);
	pthread_barrier_wait(&after_load);
	early_is_good = use();
	return data;
}

static void *late(void *data)
{
	late_is_good = use();
	return data;
}

static void loads(void)
{
	pthread_t thread;

	pthread_barrier_init(&before_load, NULL, 2);
	pthread_barrier_init(&after_load, NULL, 2);
	REQUIRE(pthread_create(&thread, NULL, early, NULL) == 0);
	pthread_barrier_wait(&before_load);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		printf("# %s\n", dlerror());
	REQUIRE(library);
	find(&swap, "otel_thread_context_swap");
	find(&thread_record, "otel_thread_context_thread_record");
	find(&update, "otel_thread_context_record_update");
	pthread_barrier_wait(&after_load);
	pthread_join(thread, NULL);
	EXPECT(early_is_good);
	EXPECT(use());
	REQUIRE(pthread_create(&thread, NULL, late, NULL) == 0);
	pthread_join(thread, NULL);
	EXPECT(late_is_good);
}

static void stays(void)
{
	EXPECT(dlclose(library) == 0);
	/* Threads may still have pointers into it. */
	EXPECT(use());
}

int main(int count, char **arguments)
{
	REQUIRE(count == 2);
	path = arguments[1];
	run_test("threads older and younger than the library have a record, and so has the loading one", loads);
	run_test("the library stays when it is closed", stays);
	return finish_tests();
}
