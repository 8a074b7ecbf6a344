/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records to the ring: composed in this CPU's scratch, numbered, handed over or counted as lost. */
#ifndef USM_EMIT_H
#define USM_EMIT_H

#include "maps.h"

/* Next sequence number of a CPU. Attempts count, so that user space sees a hole for every event it does not get. */
struct sequences_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
};
extern struct sequences_map sequences SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
	u32 index = bpf_get_smp_processor_id();

#ifdef PREEMPTIBLE
	index += cpu_count;
#endif
	return bpf_map_lookup_elem(&scratches, &index);
}

static __always_inline void fill_header(struct event_header *header, u8 kind, u8 flags, u64 time)
{
	u32 zero = 0;
	u32 *sequence = bpf_map_lookup_elem(&sequences, &zero);

	header->time = time;
	header->sequence = sequence ? raise_by(sequence, 1) : 0;
	header->cpu = bpf_get_smp_processor_id();
	header->kind = kind;
	header->flags = flags;
}

/*
 * User space drains on a timer. It is woken early only when the ring fills,
 * which every 16th event looks at, or when it is wanted (a long message that
 * it could spare us).
 */
static __always_inline u64 wakeup(const struct event_header *header, bool is_wanted)
{
	if (unlikely(is_wanted))
		return BPF_RB_FORCE_WAKEUP;
	if (unlikely((header->sequence & 15) == 0) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 4)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* Hands a composed record over, or counts it as lost. */
static __always_inline bool emit(void *record, u64 size, bool is_wanted)
{
	if (bpf_ringbuf_output(&ring, record, size, wakeup(record, is_wanted)) == 0)
		return true;
	/* Here ends the longest chain of calls: a frame more would not fit on the stack that they share. */
	count_inline(COUNTER_RING_FULL, 1);
	return false;
}

#endif
