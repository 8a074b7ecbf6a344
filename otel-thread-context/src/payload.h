/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process attributes and the key map → the protobuf message ProcessContext of OTEP 4719, with the keys of OTEP 4947.
 * In two parts, because the second grows while the first stays: the Resource, the attributes and the schema; then the
 * key map.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "otel_thread_context.h"

#include <stdbool.h>

/* Names by index. Append-only. */
struct key_map {
	size_t count;
	char *names[OTEL_THREAD_CONTEXT_KEYS_MAX];
};

bool is_utf8(const char *text);

/* 0, or what otel_thread_context_process_publish() returns for such options. */
int check_process(const struct otel_thread_context_process *process);

/* Bytes of each part. */
size_t attributes_size(const struct otel_thread_context_process *process);
size_t key_map_size(const struct key_map *keys);

/* Each writes exactly that many bytes and returns where it stopped. */
uint8_t *write_attributes(uint8_t *to, const struct otel_thread_context_process *process);
uint8_t *write_key_map(uint8_t *to, const struct key_map *keys);

#endif
