/* SPDX-License-Identifier: Apache-2.0 */
/* The named memory in which readers look for the process context, and its header protocol (OTEP 4719). */
#ifndef MAPPING_H
#define MAPPING_H

#include "abi.h"

#include <stdbool.h>

/* Whether this process has such a mapping, whoever made it. False also where /proc cannot be read. */
bool has_mapping(void);

/*
 * Makes the mapping with a header that is complete but for its time, unnamed and so not to be found yet.
 * *is_file tells whether it can be found without its name. Returns 0 or a negative errno.
 */
int create_mapping(struct header **header, bool *is_file);

/* Names the mapping, which also tells readers that watch for it. Returns 0 or a negative errno. */
int name_mapping(struct header *header);

/* Lets the header point to a payload, from the first time on with a time that is later than `last`. Returns that time.
 */
uint64_t publish_payload(struct header *header, const uint8_t *payload, size_t size, uint64_t now, uint64_t last);

/* Tells readers to come back later: from here to publish_payload() what they have read counts for nothing. */
void withdraw_payload(struct header *header);

/* Returns 0 or a negative errno. */
int destroy_mapping(struct header *header);

#endif
