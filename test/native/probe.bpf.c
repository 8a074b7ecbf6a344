// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the addon's tests load: one of each kind of thing that native/index.ts
 * offers. The test triggers it with kill(target, 0), where nobody is `target`.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_RECORD 2048

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_map {
	__u32 id;
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#if defined(__TARGET_ARCH_x86)
#define FIRST_ARGUMENT(registers) ((registers)->di)
struct pt_regs {
	unsigned long di;
};
#else
#define FIRST_ARGUMENT(registers) ((registers)->regs[0])
struct pt_regs {
	__u64 regs[31];
};
#endif

#pragma clang attribute pop

/* What a call of kill() writes to the ring. */
struct order {
	__u64 size; /* of a record, at most MAX_RECORD */
	__u64 count;
	__u64 flags; /* of the submission, or DISCARD */
};

#define DISCARD 4

const volatile __u32 target = 0;
const volatile __u64 kill_number = 0;

__u64 calls = 0;
__u8 payload[MAX_RECORD] = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct order);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} calls_by_cpu SEC(".maps");

static long write_record(__u32 index, struct order *order)
{
	__u64 size = order->size;
	void *discarded;

	if (order->flags & DISCARD) {
		discarded = bpf_ringbuf_reserve(&ring, 24, 0);
		if (discarded)
			bpf_ringbuf_discard(discarded, 0);
		return 0;
	}
	if (size > MAX_RECORD)
		return 1;
	__builtin_memcpy(payload, &index, sizeof(index));
	bpf_ringbuf_output(&ring, payload, size, order->flags);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_kill, struct pt_regs *registers, long number)
{
	struct order *order, copy;
	__u32 first = 0, *here;

	if (number != (long)kill_number || (__u32)FIRST_ARGUMENT(registers) != target)
		return 0;
	__sync_fetch_and_add(&calls, 1);
	here = bpf_map_lookup_elem(&calls_by_cpu, &first);
	if (here)
		*here += 1;
	order = bpf_map_lookup_elem(&orders, &first);
	if (!order)
		return 0;
	copy = *order;
	bpf_loop(copy.count, write_record, &copy, 0);
	return 0;
}

SEC("iter/bpf_map_elem")
int dump_numbers(struct bpf_iter__bpf_map_elem *context)
{
	__u64 *value = context->value;

	if (value)
		bpf_seq_write(context->meta->seq, value, sizeof(*value));
	return 0;
}

SEC("iter/bpf_map")
int list_maps(struct bpf_iter__bpf_map *context)
{
	struct bpf_map *map = context->map;

	if (map)
		bpf_seq_write(context->meta->seq, &map->id, sizeof(map->id));
	return 0;
}

char LICENSE[] SEC("license")
= "GPL";
