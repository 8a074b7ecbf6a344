/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * While user space does not keep up, a share of the connections is left out:
 * those whose rank is below the share. The rank is a hash of what both ends of
 * a connection have in common, so that they are left out together, and those
 * that are out stay out as the share grows.
 */
#ifndef USM_OVERLOAD_H
#define USM_OVERLOAD_H

#include "maps.h"

#define SPREAD 0x9e3779b97f4a7c15 /* 2^64 divided by the golden ratio */

/* Two values, in whichever order -> 0 to SHED_ALL - 1: the finalizer of MurmurHash3, of which every bit depends on
 * every bit. */
static __always_inline u32 mix(u64 a, u64 b)
{
	u64 hash = a < b ? b * SPREAD + a : a * SPREAD + b;

	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccd;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53;
	return hash >> 48;
}

/* A UNIX peer that has done no I/O yet gets its cookie here, else it would be another pair at its first I/O. */
static __always_inline u32 rank_of(struct sock *sk, const struct conn *conn)
{
	struct unix_sock *unix_sk;

	if (likely(sk->__sk_common.skc_family != AF_UNIX))
		return mix(conn->flow[SENT].isn, conn->flow[RECEIVED].isn);
	unix_sk = bpf_skc_to_unix_sock(sk);
	return unix_sk ? mix(conn->cookie, bpf_get_socket_cookie(unix_sk->peer)) : 0;
}

static __noinline bool is_left_out(struct sock *sk, const struct conn *conn)
{
	u32 share = shed_share;

	return share && rank_of(sk, conn) < share;
}

/* An exchange begins with what the client sends; where nobody knows who that is, with every turn. */
static __always_inline bool is_request(const struct conn *conn, u32 direction)
{
	return conn->role != (direction == SENT ? ROLE_SERVER : ROLE_CLIENT);
}

/* Nothing more of this connection is copied until it is no longer left out, and the next record says so. */
static __noinline void leave_out(struct conn *conn, u64 lost)
{
	if (!(conn->flags & CONN_LEFT_OUT)) {
		__sync_fetch_and_or(&conn->flags, CONN_SHED | CONN_LEFT_OUT);
		count(COUNTER_SHED_OVERLOAD, 1);
	}
	count(COUNTER_LOST_BYTES, lost);
}

#endif
