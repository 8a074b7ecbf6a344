/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which record a thread has: the TLS variable of OTEP 4947, set and read. Attaching and detaching move the pointer and
 * nothing else.
 *
 * A reader looks while this thread is stopped, as a signal handler would, so the order of the thread's own instructions
 * is all that counts: the fences hold the compiler, not the processor, and cost nothing.
 */
#include "abi.h"

#include <errno.h>
#include <stdatomic.h>

/* `used`: an optimising linker must not think that nobody reads it. */
__attribute__((used)) _Thread_local struct otel_thread_context_record *volatile otel_thread_ctx_v1;

/*
 * Small on purpose: all thread-local variables of a shared library are in one block, and one of more than 512 bytes
 * gets no static TLS when the library comes by dlopen (glibc), which would make each access slower.
 */
static _Thread_local union {
	unsigned char bytes[OTEL_THREAD_CONTEXT_SIZE(OTEL_THREAD_CONTEXT_THREAD_ATTRIBUTES)];
	struct storage storage;
} thread_storage;

_Static_assert(sizeof(otel_thread_ctx_v1) + sizeof(thread_storage) <= 512, "fits into glibc's optional static TLS");

struct otel_thread_context_record *otel_thread_context_swap(struct otel_thread_context_record *next)
{
	struct otel_thread_context_record *previous = otel_thread_ctx_v1;

	/* Forbids that writing the record, before this call, moves behind its publication. */
	atomic_signal_fence(memory_order_seq_cst);
	otel_thread_ctx_v1 = next;
	/* Forbids that what the caller does to the previous record, after this call, moves before its withdrawal. */
	atomic_signal_fence(memory_order_seq_cst);
	return previous;
}

int otel_thread_context_attach(struct otel_thread_context_record *record)
{
	if (!record)
		return -EINVAL;
	/* As in swap. */
	atomic_signal_fence(memory_order_seq_cst);
	otel_thread_ctx_v1 = record;
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

void otel_thread_context_detach(void)
{
	otel_thread_ctx_v1 = NULL;
	/* Forbids that reuse of the record's memory, after this call, moves before its withdrawal. */
	atomic_signal_fence(memory_order_seq_cst);
}

struct otel_thread_context_record *otel_thread_context_current(void)
{
	return otel_thread_ctx_v1;
}

struct otel_thread_context_record *otel_thread_context_thread_record(void)
{
	struct storage *storage = &thread_storage.storage;

	/* The rest is zero as it should be. A signal handler may come in between and do the same. */
	if (!storage->capacity)
		storage->capacity = OTEL_THREAD_CONTEXT_THREAD_ATTRIBUTES;
	return &storage->record;
}
