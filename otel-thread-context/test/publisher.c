/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for observers: publishes its process, has a span in its first thread and another in a second, and says
 * where the variable is.
 *
 *   thread THREAD_POINTER ADDRESS     for each
 *   ready
 *
 * Then it does one thing for each line that it reads, and says `done`: `grow` registers a name and sets it, `detach`
 * leaves the first thread's span. Ends with its input. Built as a program, or as a library with the function
 * publisher() for one that loads it.
 */
#define _GNU_SOURCE
#include "otel_thread_context.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

extern __thread struct otel_thread_context_record *volatile otel_thread_ctx_v1;

int publisher(void);

static pthread_barrier_t attached, over;

static void *thread_pointer(void)
{
	void *pointer;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

static void enter_span(uint8_t tag, const char *route)
{
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	struct otel_thread_context_attribute attribute = { route, strlen(route), 0 };
	uint8_t trace_id[16], span_id[8];

	memset(trace_id, tag, sizeof(trace_id));
	memset(span_id, tag + 1, sizeof(span_id));
	otel_thread_context_record_update(record, trace_id, span_id, 3, &attribute, 1);
	otel_thread_context_attach(record);
	printf("thread %p %p\n", thread_pointer(), (void *)&otel_thread_ctx_v1);
}

static void *work(void *data)
{
	enter_span(0xb0, "/second/{id}");
	pthread_barrier_wait(&attached);
	pthread_barrier_wait(&over);
	return data;
}

static void obey(const char *line)
{
	if (!strcmp(line, "grow\n")) {
		int key = otel_thread_context_process_register_key("user.id");

		otel_thread_context_record_set_attribute(otel_thread_context_current(), (uint8_t)key, "42", 2);
	} else if (!strcmp(line, "detach\n")) {
		otel_thread_context_detach();
	}
}

int publisher(void)
{
	const struct otel_thread_context_process_attribute resource[] = { { "service.name", "publisher" },
									  { "service.version", "1.2.3" } };
	const struct otel_thread_context_process process = { .size = sizeof(process),
							     .resource = resource,
							     .resource_count = 2 };
	pthread_t thread;
	char line[64];

	otel_thread_context_process_register_key("http.route");
	if (otel_thread_context_process_publish(&process))
		return 1;
	pthread_barrier_init(&attached, NULL, 2);
	pthread_barrier_init(&over, NULL, 2);
	enter_span(0xa0, "/first");
	if (pthread_create(&thread, NULL, work, NULL))
		return 1;
	pthread_barrier_wait(&attached);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		obey(line);
		puts("done");
		fflush(stdout);
	}
	pthread_barrier_wait(&over);
	pthread_join(thread, NULL);
	return 0;
}

#ifndef PUBLISHER_LIBRARY
int main(void)
{
	return publisher();
}
#endif
