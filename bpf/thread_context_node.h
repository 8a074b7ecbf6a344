/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Node.js: what a thread publishes describes where V8 keeps the current
 * AsyncContextFrame, a map from the publisher's AsyncLocalStorage to the object
 * that wraps the record. Schema nodejs_v1_dev. The same steps are in
 * otel-thread-context/reader/nodejs.ts.
 */
#ifndef USM_THREAD_CONTEXT_NODE_H
#define USM_THREAD_CONTEXT_NODE_H

#include "emit.h"

/* Objects of V8 are known by their address plus one; small integers are in the upper half of a word. */
#define V8_TAG 1
#define V8_MAP_TABLE 24
#define V8_TABLE_HEADER 16 /* elements, deleted elements, buckets; then the buckets, then the entries */
#define V8_MAX_BUCKETS 1024
#define V8_MAX_CHAIN 8
/* Node.js 22 has the record in the first, later ones in the second, where the first is empty. */
#define V8_WRAPPED_RECORD 24

/* What VARIANT(find_node_record)() says instead of an address, which is even. */
#define NODE_RECORD_NONE 0
#define NODE_RECORD_FAULT 1
#define NODE_RECORD_IMPLAUSIBLE 3

static __always_inline bool is_v8_object(u64 word)
{
	return (word & 3) == V8_TAG;
}

/* Not static: verified by itself, once. Addresses are the process's own claims, and only ever read. */
__noinline u64 VARIANT(find_node_record)(u64 variable)
{
	struct scratch *scratch = get_scratch();
	struct node_description *description;
	u64 frame, storage, table, *header, head, entries, *wrapped;
	struct v8_entry *entry;
	u32 buckets, index;

	if (!scratch)
		return NODE_RECORD_FAULT;
	description = &scratch->node.description;
	entry = &scratch->node.entry;
	header = scratch->node.header;
	wrapped = scratch->node.wrapped;
	if (bpf_probe_read_user(description, sizeof(*description), (void *)variable))
		return NODE_RECORD_FAULT;
	if (!description->frame)
		return NODE_RECORD_NONE;
	if (bpf_probe_read_user(&frame, sizeof(frame), (void *)description->frame))
		return NODE_RECORD_FAULT;
	if (frame == description->nothing)
		return NODE_RECORD_NONE;
	if (!is_v8_object(frame))
		return NODE_RECORD_IMPLAUSIBLE;
	if (bpf_probe_read_user(&table, sizeof(table), (void *)(frame - V8_TAG + V8_MAP_TABLE)) ||
	    bpf_probe_read_user(&storage, sizeof(storage), (void *)description->storage))
		return NODE_RECORD_FAULT;
	if (!is_v8_object(table))
		return NODE_RECORD_IMPLAUSIBLE;
	table = table - V8_TAG + V8_TABLE_HEADER;
	if (bpf_probe_read_user(header, sizeof(scratch->node.header), (void *)table))
		return NODE_RECORD_FAULT;
	buckets = header[2] >> 32;
	if (!buckets || buckets > V8_MAX_BUCKETS || (buckets & (buckets - 1)))
		return NODE_RECORD_IMPLAUSIBLE;
	table += sizeof(scratch->node.header);
	if (bpf_probe_read_user(&head, sizeof(head),
				(void *)(table + (u64)(description->hash & (buckets - 1)) * sizeof(head))))
		return NODE_RECORD_FAULT;
	entries = table + (u64)buckets * sizeof(head);
	for (int i = 0; i < V8_MAX_CHAIN; i++) {
		index = head >> 32;
		if (index >= 2 * buckets) /* the end is -1 */
			return NODE_RECORD_NONE;
		if (bpf_probe_read_user(entry, sizeof(*entry), (void *)(entries + (u64)index * sizeof(*entry))))
			return NODE_RECORD_FAULT;
		if (entry->key == storage)
			break;
		entry->value = description->nothing;
		head = entry->next;
	}
	if (entry->value == description->nothing)
		return NODE_RECORD_NONE;
	if (!is_v8_object(entry->value))
		return NODE_RECORD_IMPLAUSIBLE;
	if (bpf_probe_read_user(wrapped, sizeof(scratch->node.wrapped),
				(void *)(entry->value - V8_TAG + V8_WRAPPED_RECORD)))
		return NODE_RECORD_FAULT;
	return wrapped[0] ? wrapped[0] : wrapped[1];
}

#endif
