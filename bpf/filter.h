/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is traced; never ourselves, nor the other end of our own connections. Asked once per connection. */
#ifndef USM_FILTER_H
#define USM_FILTER_H

#include "maps.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

static __always_inline bool is_mapped(const u8 *address)
{
	const u32 *word = (const u32 *)address;

	return word[0] == 0 && word[1] == 0 && word[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8, also IPv4-mapped, and ::1. */
static __always_inline bool is_loopback(const u8 *address)
{
	const u32 *word = (const u32 *)address;

	if (is_mapped(address))
		return address[12] == 127;
	return word[0] == 0 && word[1] == 0 && word[2] == 0 && word[3] == bpf_htonl(1);
}

/* The address as IPv6, IPv4 in mapped form. */
static __always_inline void read_addresses(struct sock *sk, u8 *local, u8 *peer)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)peer, sk, __sk_common.skc_v6_daddr);
		return;
	}
	__builtin_memset(local, 0, 16);
	__builtin_memset(peer, 0, 16);
	local[10] = local[11] = peer[10] = peer[11] = 0xff;
	*(u32 *)(local + 12) = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	*(u32 *)(peer + 12) = BPF_CORE_READ(sk, __sk_common.skc_daddr);
}

/* A connection that ends has given its port back by the time that its state changes, but has it noted. */
static __always_inline u16 local_port(struct sock *sk)
{
	u16 port = sk->__sk_common.skc_num;

	return port ? port : bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

static __always_inline u64 rules_for_port(void *map, u32 port, u64 any)
{
	u64 *rules = bpf_map_lookup_elem(map, &port);

	return any | (rules ? *rules : 0);
}

static __always_inline u64 rules_for_address(const u8 *address)
{
	struct address_key key = { .prefix = 128 };
	u64 *rules;

	__builtin_memcpy(key.address, address, 16);
	rules = bpf_map_lookup_elem(&addresses, &key);
	return rules ? *rules : 0;
}

/* Not inlined: what it needs of the stack is its own. */
static __noinline __attribute__((unused)) bool passes_filters(struct sock *sk, u32 tgid, u64 process_rules)
{
	u16 family = sk->__sk_common.skc_family;
	u64 rules = process_rules;
	u64 *wanted;

	if (family != AF_UNIX) {
		u8 local[16], peer[16];

		read_addresses(sk, local, peer);
		if (!capture_loopback && (is_loopback(local) || is_loopback(peer)))
			return false;
		if (include_rules | exclude_rules) {
			rules &= rules_for_port(&local_ports, local_port(sk), any_local_port);
			rules &= rules_for_port(&remote_ports, bpf_ntohs(sk->__sk_common.skc_dport), any_remote_port);
			rules &= any_address | rules_for_address(local) | rules_for_address(peer);
		}
	} else {
		rules &= any_local_port & any_remote_port & any_address;
	}
	wanted = bpf_map_lookup_elem(&pids, &tgid);
	rules &= any_pid | (wanted ? *wanted : 0);
	if (rules & exclude_rules)
		return false;
	return !include_rules || (rules & include_rules);
}

/* The pair that names a TCP connection at both of its ends: the client's number first. */
static __always_inline struct isn_pair pair_of(const struct conn *conn)
{
	struct isn_pair pair = { .client = conn->flow[1].isn, .server = conn->flow[0].isn };

	if (conn->role == ROLE_SERVER) {
		pair.client = conn->flow[0].isn;
		pair.server = conn->flow[1].isn;
	}
	return pair;
}

/*
 * Our own connections are registered before their other end exists (the client
 * is established first) or has read anything (a UNIX socket's peer).
 */
static __always_inline void register_self(struct sock *sk, struct conn *conn)
{
	u8 one = 1;

	if (sk->__sk_common.skc_family == AF_UNIX) {
		bpf_map_update_elem(&self_cookies, &conn->cookie, &one, BPF_ANY);
	} else {
		struct isn_pair pair = pair_of(conn);

		bpf_map_update_elem(&self_pairs, &pair, &one, BPF_ANY);
	}
}

static __always_inline bool is_other_end_of_self(struct sock *sk, struct conn *conn)
{
	if (sk->__sk_common.skc_family == AF_UNIX) {
		struct unix_sock *unix_sk = (struct unix_sock *)sk;
		u64 peer = BPF_CORE_READ(unix_sk, peer, __sk_common.skc_cookie.counter);

		/* Who connects to our listener may speak before we do. */
		return BPF_CORE_READ(sk, sk_peer_pid, numbers[0].nr) == self_tgid ||
		       (peer && bpf_map_lookup_elem(&self_cookies, &peer));
	}
	if (conn->flow[0].isn || conn->flow[1].isn) {
		struct isn_pair pair = pair_of(conn);

		return bpf_map_lookup_elem(&self_pairs, &pair);
	}
	return false;
}

#endif
