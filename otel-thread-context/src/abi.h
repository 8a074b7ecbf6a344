/* SPDX-License-Identifier: Apache-2.0 */
/* What ABI.md says in prose, as types and assertions. OTEP 4947 (record) and OTEP 4719 (header). */
#ifndef ABI_H
#define ABI_H

#include "otel_thread_context.h"

_Static_assert(sizeof(void *) == 8, "pointers are 64 bits");

/* The record. */
_Static_assert(offsetof(struct otel_thread_context_record, trace_id) == 0, "trace-id");
_Static_assert(offsetof(struct otel_thread_context_record, span_id) == 16, "span-id");
_Static_assert(offsetof(struct otel_thread_context_record, valid) == 24, "valid");
_Static_assert(offsetof(struct otel_thread_context_record, trace_flags) == 25, "trace-flags");
_Static_assert(offsetof(struct otel_thread_context_record, attrs_data_size) == 26, "attrs-data-size");
_Static_assert(sizeof(struct otel_thread_context_record) == 28, "attrs-data begins at 28");
_Static_assert(_Alignof(struct otel_thread_context_record) == 2, "a record is aligned to 2");

/*
 * Where a record is kept: before it, and no part of the ABI, how many attribute bytes it can hold. may_alias because
 * the memory is the caller's, of whatever type.
 */
struct __attribute__((may_alias)) storage {
	uint16_t capacity;
	uint16_t reserved;
	struct otel_thread_context_record record;
	uint8_t attributes[];
};

_Static_assert(offsetof(struct storage, record) == OTEL_THREAD_CONTEXT_RECORD_OFFSET,
	       "a record is where the header says");
_Static_assert(OTEL_THREAD_CONTEXT_RECORD_OFFSET % 4 == 0, "a record is aligned to 4, as its memory is");
_Static_assert(offsetof(struct storage, attributes) == 4 + 28, "attributes follow the record without a gap");
_Static_assert(sizeof(struct storage) == OTEL_THREAD_CONTEXT_SIZE(0), "the size that the header promises");
_Static_assert(sizeof(struct otel_thread_context_record) + OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX == 640,
	       "recommended maximum");

/* An attribute: key, length, value. */
enum { ENTRY_HEADER = 2 };

/* The variable that observers look for. One pointer for each thread, NULL for none. */
extern __attribute__((
	visibility("default"))) _Thread_local struct otel_thread_context_record *volatile otel_thread_ctx_v1;

_Static_assert(sizeof(otel_thread_ctx_v1) == 8, "the symbol's size");

/* The header of the process context. */
struct header {
	char signature[8];
	uint32_t version;
	uint32_t payload_size;
	uint64_t monotonic_published_at_ns;
	uint64_t payload;
};

_Static_assert(offsetof(struct header, signature) == 0, "signature");
_Static_assert(offsetof(struct header, version) == 8, "version");
_Static_assert(offsetof(struct header, payload_size) == 12, "payload_size");
_Static_assert(offsetof(struct header, monotonic_published_at_ns) == 16, "monotonic_published_at_ns");
_Static_assert(offsetof(struct header, payload) == 24, "payload");
_Static_assert(sizeof(struct header) == 32, "header");

#define PROCESS_CONTEXT_NAME "OTEL_CTX"

enum { PROCESS_CONTEXT_VERSION = 2 };

#endif
