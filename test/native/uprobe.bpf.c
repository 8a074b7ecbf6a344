// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A probe that counts its runs by the cookie it was attached with. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u64);
} hits SEC(".maps");

SEC("uprobe")
int on_call(void *context)
{
	__u64 cookie = bpf_get_attach_cookie(context), one = 1, *count;

	count = bpf_map_lookup_elem(&hits, &cookie);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&hits, &cookie, &one, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(void *context)
{
	return 0;
}

char LICENSE[] SEC("license")
= "GPL";
