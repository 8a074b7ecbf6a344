/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds per call, the best of several rounds: what else runs on the machine only adds. Reported, not judged. */
#define _GNU_SOURCE
#include "otel_thread_context.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 50, CALLS = 200000 };

static uint64_t memory[2][OTEL_THREAD_CONTEXT_SIZE(64) / 8];
static struct otel_thread_context_record *records[2];
static const uint8_t trace_id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, span_id[8] = { 1, 2, 3 };
static const struct otel_thread_context_attribute attributes[] = { { "GET", 3, 0 }, { "/checkout/{id}", 14, 1 } };

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

#define MEASURE(what, call)                                    \
	do {                                                   \
		double best = 1e9;                             \
		for (int round = 0; round < ROUNDS; round++) { \
			double begin = now_ns(), each;         \
			for (int i = 0; i < CALLS; i++) {      \
				call;                          \
			}                                      \
			each = (now_ns() - begin) / CALLS;     \
			if (each < best)                       \
				best = each;                   \
		}                                              \
		printf("%-40s %6.2f ns\n", what, best);        \
	} while (0)

int main(void)
{
	for (int i = 0; i < 2; i++) {
		otel_thread_context_record_init(memory[i], sizeof(memory[i]), &records[i]);
		otel_thread_context_record_update(records[i], trace_id, span_id, 1, attributes, 2);
	}
	MEASURE("an empty loop", __asm__ volatile("" ::: "memory"));
	MEASURE("swap", otel_thread_context_swap(records[i % 2]));
	MEASURE("attach", otel_thread_context_attach(records[i % 2]));
	MEASURE("detach", otel_thread_context_detach());
	MEASURE("update without attributes",
		otel_thread_context_record_update(records[0], trace_id, span_id, 1, NULL, 0));
	MEASURE("update with two attributes",
		otel_thread_context_record_update(records[0], trace_id, span_id, 1, attributes, 2));
	MEASURE("replace one attribute of two",
		otel_thread_context_record_set_attribute(records[0], 0, i % 2 ? "GET" : "POST", i % 2 ? 3 : 4));
	MEASURE("trace flags", otel_thread_context_record_set_trace_flags(records[0], i % 2));
	return 0;
}
