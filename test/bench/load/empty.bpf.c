// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs at our two hooks that do nothing: what bpf_stats says of them is
 * the cost of measuring, and what they add to an I/O that of being called.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sock_send_length")
int empty_sent(void *context)
{
	return 0;
}

SEC("tp_btf/sock_recv_length")
int empty_received(void *context)
{
	return 0;
}

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
