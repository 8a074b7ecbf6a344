/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an observer sees, read as OTEP 4947 and 4719 tell observers to: nothing here shares code with the library.
 * Thread: a record in this process. Process: the context of any process, over /proc and process_vm_readv.
 */
#ifndef DECODE_H
#define DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Its place in memory is the slot that observers read. */
extern __thread unsigned char *volatile otel_thread_ctx_v1;

/* ---- thread ---- */

struct seen_record {
	unsigned char trace_id[16];
	unsigned char span_id[8];
	unsigned char trace_flags;
	unsigned int attributes_size;
	const unsigned char *attributes;
};

/* The record at an address, or false if it is not valid. */
bool see_record(const unsigned char *address, struct seen_record *record);

/* The value of an attribute: the last one of that key. NULL if there is none. */
const unsigned char *see_attribute(const struct seen_record *record, unsigned int key, unsigned int *length);

/* Whether the attributes are whole entries to the last byte, and how many. -1 if not. */
int count_attributes(const struct seen_record *record);

/* ---- process ---- */

struct seen_process {
	unsigned char header[32];
	uint64_t header_address;
	uint64_t published_at_ns;
	uint32_t payload_size;
	unsigned char payload[65536];
	/* From /proc/PID/maps. */
	char permissions[5];
	char name[64];
	int mappings;
	/* Times that the reading protocol had to begin again. */
	int retries;
};

/* Reads the context of a process, or returns false if it has none. */
bool see_process(pid_t pid, struct seen_process *process);

/* As see_process for an address that is known. */
bool see_process_at(pid_t pid, uint64_t address, struct seen_process *process);

/* The string value of an attribute, copied to `value`; false if there is none. resource: of the Resource, else of the
 * context. */
bool see_process_attribute(const struct seen_process *process, bool resource, const char *key, char *value,
			   size_t size);

int count_process_attributes(const struct seen_process *process, bool resource);

/* The name at an index of the key map; false behind its end. */
bool see_key(const struct seen_process *process, int index, char *name, size_t size);

int count_keys(const struct seen_process *process);

#endif
