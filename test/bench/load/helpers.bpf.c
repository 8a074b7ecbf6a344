// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What single steps of our programs cost, each many times in a row: so with
 * everything in the caches. Iterators, which run in whoever reads them; they
 * write the nanoseconds that all of the turns took.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define TURNS 512
#define RECORD 272

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct mm_struct {
	unsigned long env_start;
};
struct task_struct {
	struct mm_struct *mm;
	int tgid;
};
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 seq_num;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
#pragma clang attribute pop

struct bytes {
	__u64 words[512];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bytes);
} room SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, __u64);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} ring SEC(".maps");

volatile __u64 sink;

static __noinline int function(__u64 value)
{
	sink = value;
	return 0;
}

#define STEP(name, ...)                                                         \
	SEC("iter/task")                                                        \
	int name(struct bpf_iter__task *ctx)                                    \
	{                                                                       \
		struct task_struct *task = bpf_get_current_task_btf();          \
		__u64 user = task->mm->env_start, begin, spent, stack[32] = {}; \
		__u32 zero = 0;                                                 \
		void *memory = bpf_map_lookup_elem(&room, &zero);               \
                                                                                \
		if (ctx->meta->seq_num || !memory)                              \
			return 0;                                               \
		begin = bpf_ktime_get_ns();                                     \
		for (int i = 0; i < TURNS; i++) {                               \
			__VA_ARGS__;                                            \
		}                                                               \
		spent = bpf_ktime_get_ns() - begin;                             \
		sink = user + stack[0];                                         \
		bpf_seq_write(ctx->meta->seq, &spent, sizeof(spent));           \
		return 0;                                                       \
	}

STEP(nothing, sink = i)
STEP(call_function, function(i))
STEP(current_task, sink = bpf_get_current_task())
STEP(clock, sink = bpf_ktime_get_ns())
STEP(processor, sink = bpf_get_smp_processor_id())
STEP(percpu_number, __u32 *number = bpf_map_lookup_elem(&numbers, &zero); if (number)(*number)++)
STEP(hash_lookup, __u64 *value = bpf_map_lookup_elem(&known, &zero); if (value) sink = *value)
STEP(read_kernel_8, bpf_probe_read_kernel(stack, 8, task))
STEP(read_user_8_to_stack, bpf_probe_read_user(stack, 8, (void *)user))
STEP(read_user_28_to_stack, bpf_probe_read_user(stack, 28, (void *)user))
STEP(read_user_8_to_map, bpf_probe_read_user(memory, 8, (void *)user))
STEP(read_user_200_to_map, bpf_probe_read_user(memory, 200, (void *)user))
STEP(reserve_and_submit, void *record = bpf_ringbuf_reserve(&ring, RECORD, 0);
     if (record) bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP))
STEP(output_72, bpf_ringbuf_output(&ring, stack, 72, BPF_RB_NO_WAKEUP))

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
