/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes, from inside a program, what an observer outside may know of it: the span that each thread is in
 * (OTEP 4947, thread context) and the attributes of the process (OTEP 4719, process context).
 * What is where in memory: ABI.md. C99 and C++. Linux, 64 bit. Needs no initialisation.
 */
#ifndef OTEL_THREAD_CONTEXT_H
#define OTEL_THREAD_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#define OTEL_THREAD_CONTEXT_VERSION_MAJOR 0
#define OTEL_THREAD_CONTEXT_VERSION_MINOR 1
#define OTEL_THREAD_CONTEXT_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

#ifndef OTEL_THREAD_CONTEXT_API
#define OTEL_THREAD_CONTEXT_API __attribute__((visibility("default")))
#endif

/* ---- thread context ---- */

/* Attribute bytes in a record of the recommended 640 bytes. An attribute takes its length and two more. */
#define OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX 612

/* A longer attribute value is cut here, before the UTF-8 character that would cross. */
#define OTEL_THREAD_CONTEXT_VALUE_MAX 255

/* Bytes of memory for a record that holds so many attribute bytes. 32 of them make 64: one cache line. */
#define OTEL_THREAD_CONTEXT_SIZE(attribute_bytes) (32 + (attribute_bytes))

/* Where in its memory a record begins. */
#define OTEL_THREAD_CONTEXT_RECORD_OFFSET 4

/* Attribute bytes that the record of otel_thread_context_thread_record() holds. */
#define OTEL_THREAD_CONTEXT_THREAD_ATTRIBUTES 224

/*
 * The fixed part of a record, as readers find it; attributes follow. Made by otel_thread_context_record_init().
 * A program may read the fields of its own records. It changes them through the functions below only.
 */
struct otel_thread_context_record {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t valid;
	uint8_t trace_flags;
	uint16_t attrs_data_size;
};

/* An attribute: its value in UTF-8 (no NUL needed), and the index of its name in the key map of the process. */
struct otel_thread_context_attribute {
	const char *value;
	size_t length;
	uint8_t key;
};

/*
 * Makes a record in memory of the caller. It says nothing (`valid` is 0) until otel_thread_context_record_update().
 *
 * memory  aligned to 4 bytes; stays the caller's, and must not be freed or reused while the record is attached
 * size    OTEL_THREAD_CONTEXT_SIZE(n); n above OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX is not used
 * record  where to put the record; set on success only
 *
 * Returns 0, or
 *   -EINVAL  no memory, not aligned, or smaller than OTEL_THREAD_CONTEXT_SIZE(0)
 *
 * Thread-safe. Async-signal-safe. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_record_init(void *memory, size_t size,
							    struct otel_thread_context_record **record);

/*
 * Replaces all that a record says. A reader that stops the thread anywhere in here finds it invalid, or whole.
 *
 * trace_id, span_id  16 and 8 bytes in W3C order; both or neither (NULL or all zero: a record without a span)
 * trace_flags        the W3C byte; 0 without a span
 * attributes, count  copied; of one key the last counts
 *
 * Returns 0, or
 *   -EINVAL  no record, one id without the other, flags without a span, a NULL value; nothing has changed
 *   -ENOSPC  at least one attribute did not fit, and the record has none of that key; all the rest is as asked
 *
 * One thread at a time for each record. Async-signal-safe, but not for the record that the signal found being
 * changed. Allocates nothing, locks nothing, makes no system call. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_record_update(struct otel_thread_context_record *record,
							      const uint8_t *trace_id, const uint8_t *span_id,
							      uint8_t trace_flags,
							      const struct otel_thread_context_attribute *attributes,
							      size_t count);

/*
 * Adds an attribute to a record, or replaces the one of that key. An invalid record stays invalid.
 *
 * key            an index from otel_thread_context_process_register_key()
 * value, length  UTF-8, copied; NULL only with length 0
 *
 * Returns 0, or
 *   -EINVAL  no record, a NULL value; nothing has changed
 *   -ENOSPC  it does not fit, and the record has no attribute of that key any more
 *
 * Threads, signals, cost: as otel_thread_context_record_update(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_record_set_attribute(struct otel_thread_context_record *record,
								     uint8_t key, const char *value, size_t length);

/*
 * Changes the trace flags of a record alone, for a sampling decision that comes late.
 *
 * Returns 0, or
 *   -EINVAL  no record, or flags for a record without a span; nothing has changed
 *
 * Threads, signals, cost: as otel_thread_context_record_update(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_record_set_trace_flags(struct otel_thread_context_record *record,
								       uint8_t trace_flags);

/*
 * A record that the calling thread has from the library, the same one at each call; its memory ends with the thread.
 * Not attached by itself.
 *
 * Returns the record, never NULL.
 *
 * Threads, signals, cost: as otel_thread_context_swap(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API struct otel_thread_context_record *otel_thread_context_thread_record(void);

/*
 * Makes `next` the record of the calling thread; NULL for none. For scopes: swap in, work, swap the returned one in.
 * The record stays the caller's. Several threads may have the same one as long as nobody changes it.
 *
 * Returns what was attached before, or NULL.
 *
 * Thread-safe. Async-signal-safe, with one exception: if the library came by dlopen and found no static TLS, the first
 * call in a thread lets the C library allocate; make one such call outside of signal handlers.
 * Allocates nothing itself, locks nothing, makes no system call. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API struct otel_thread_context_record *
otel_thread_context_swap(struct otel_thread_context_record *next);

/*
 * Makes `record` the record of the calling thread.
 *
 * Returns 0, or
 *   -EINVAL  it is NULL; nothing has changed
 *
 * Ownership, threads, signals, cost: as otel_thread_context_swap(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_attach(struct otel_thread_context_record *record);

/*
 * From now on the calling thread has no record.
 *
 * Threads, signals, cost: as otel_thread_context_swap(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API void otel_thread_context_detach(void);

/*
 * Returns the record of the calling thread, or NULL.
 *
 * Ownership, threads, signals, cost: as otel_thread_context_swap(). Since 0.1.
 */
OTEL_THREAD_CONTEXT_API struct otel_thread_context_record *otel_thread_context_current(void);

/* ---- process context ---- */

/* The schema that today's writers publish and today's readers accept. */
#define OTEL_THREAD_CONTEXT_SCHEMA_DEVELOPMENT "tlsdesc_v1_dev"

/* The schema that OTEP 4947 names for the time after its development. */
#define OTEL_THREAD_CONTEXT_SCHEMA_V1 "tls_v1"

/* Names in the key map. */
#define OTEL_THREAD_CONTEXT_KEYS_MAX 256

/* Bytes of attributes and key map, encoded; known readers take no more. */
#define OTEL_THREAD_CONTEXT_PAYLOAD_MAX 65536

/* Attributes in each of the two lists. */
#define OTEL_THREAD_CONTEXT_PROCESS_ATTRIBUTES_MAX 256

/* An attribute of the process: NUL-terminated UTF-8, the key not empty. */
struct otel_thread_context_process_attribute {
	const char *key;
	const char *value;
};

/* What to publish of a process. Zero is right for what is not used. */
struct otel_thread_context_process {
	/* sizeof(struct otel_thread_context_process) */
	size_t size;
	/* The Resource of the SDK: service.name and so on. No key twice. */
	const struct otel_thread_context_process_attribute *resource;
	size_t resource_count;
	/* What else readers may know. No key twice, none that begins with `threadlocal.`. */
	const struct otel_thread_context_process_attribute *attributes;
	size_t attributes_count;
	/* NULL for OTEL_THREAD_CONTEXT_SCHEMA_DEVELOPMENT. */
	const char *schema_version;
};

/*
 * Publishes the process with the key map as it stands, or replaces what this library has published. All is copied.
 * A child of fork has nothing published until it calls this.
 *
 * Returns 0, or, with what was published before unchanged,
 *   -EINVAL    no options, or a size unknown to this version; a key empty, twice, or that begins with `threadlocal.`
 *   -EILSEQ    something is not UTF-8
 *   -E2BIG     more than OTEL_THREAD_CONTEXT_PROCESS_ATTRIBUTES_MAX attributes
 *   -EMSGSIZE  more than OTEL_THREAD_CONTEXT_PAYLOAD_MAX bytes
 *   -EEXIST    something else in this process has published it; there must not be two
 *   -ENOTSUP   neither a memfd nor a named mapping is allowed, so nobody could find it
 *   -ENOMEM and what mmap, madvise and clock_gettime can fail with
 *
 * Thread-safe. Not for signal handlers. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_process_publish(const struct otel_thread_context_process *options);

/*
 * Replaces what this process has published.
 *
 * Returns 0, or
 *   -ENOENT  there is nothing
 *   and as otel_thread_context_process_publish()
 *
 * Thread-safe. Not for signal handlers. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_process_update(const struct otel_thread_context_process *options);

/*
 * Takes back what this process has published. The key map stays for the next time.
 *
 * Returns 0, also if there was nothing, or
 *   -ENOMEM  munmap failed; readers find nothing all the same
 *
 * Thread-safe. Not for signal handlers. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_process_unpublish(void);

/*
 * The index of an attribute name in the key map of the process. A new name is appended and, if anything is published,
 * published before this returns. Names are never removed: an index is good as long as the process, and in its children.
 *
 * name  not empty, NUL-terminated UTF-8; copied
 *
 * Returns the index, 0 to 255, or, with the map unchanged,
 *   -EINVAL  no name
 *   -EILSEQ  not UTF-8
 *   -ENOSPC  the map has OTEL_THREAD_CONTEXT_KEYS_MAX names
 *   -EMSGSIZE, -ENOMEM and what clock_gettime can fail with
 *
 * Thread-safe. Not for signal handlers. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_process_register_key(const char *name);

/* ---- registration ---- */

/*
 * Tells an observer where this program keeps the record of each thread, for programs in which it could not find the
 * symbol: stripped, or static. The observer has it proven in the calling thread, whose context cannot be seen
 * meanwhile. Once for each process: later children of fork have it from their parent, a program that is executed begins
 * anew. The protocol is in ABI.md.
 *
 * path             of the observer's UNIX stream socket
 * timeout_ms       for all of it together, at least 1
 * text, text_size  NULL, or where to say in words what went wrong, with a NUL; an empty string if nothing did
 *
 * Returns 0, or
 *   -EINVAL        no path, or no time
 *   -ENAMETOOLONG  the path does not fit into a socket address
 *   -ETIMEDOUT     the time is over
 *   -EACCES        the observer refused
 *   -EPROTO        the other side does not speak this protocol
 *   -ENOTSUP       the place cannot be told on this machine
 *   and what socket, connect, send and recv can fail with
 *
 * Thread-safe. Not for signal handlers. Has one file descriptor open meanwhile; allocates nothing. Since 0.1.
 */
OTEL_THREAD_CONTEXT_API int otel_thread_context_register(const char *path, int timeout_ms, char *text,
							 size_t text_size);

#ifdef __cplusplus
}
#endif

#endif
