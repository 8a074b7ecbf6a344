// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads through a pointer that may be null: the verifier must refuse it and say so. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

SEC("raw_tp/sys_enter")
int reads_null(void *context)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&numbers, &key);

	return (int)*value;
}

/* Loads, but there is no such tracepoint to attach to. */
SEC("?raw_tp/no_such_tracepoint")
int attaches_nowhere(void *context)
{
	return 0;
}

char LICENSE[] SEC("license")
= "GPL";
