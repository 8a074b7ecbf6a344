/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first I/O of a connection, or of a process at it: who it is, whether it is wanted, and its announcement. */
#ifndef USM_MEETING_H
#define USM_MEETING_H

#include "connection.h"
#include "filter.h"
#include "process.h"

/* An old connection on a port that is listened on is a server's. */
static __always_inline void resolve_old_role(struct sock *sk, struct conn *conn)
{
	struct listener_key key = {
		.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
		.port = sk->__sk_common.skc_num,
	};

	if (conn->role == ROLE_UNKNOWN && bpf_map_lookup_elem(&listeners, &key)) {
		conn->role = ROLE_SERVER;
		conn->evidence = EVIDENCE_LISTENER;
	}
}

static __always_inline u32 read_unix_path(struct unix_sock *sk, u8 *to)
{
	struct unix_address *address = BPF_CORE_READ(sk, addr);
	int size;

	if (!address)
		return 0;
	size = BPF_CORE_READ(address, len) - (int)sizeof(unsigned short);
	if (size <= 0)
		return 0;
	if (size > 108)
		size = 108;
	bpf_probe_read_kernel(to, size & 127, (void *)address + bpf_core_field_offset(struct unix_address, name) + 2);
	return size;
}

/* Not inlined: once per connection. */
static __noinline int announce(struct sock *sk, struct conn *conn, u64 time)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct connection_event *event;

	if (!scratch || !conn || !sk)
		return 0;
	event = &scratch->connection;
	__builtin_memset(event, 0, sizeof(*event));
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (event->family == AF_UNIX) {
		struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ((struct unix_sock *)sk, peer);

		event->local_path_size = read_unix_path((struct unix_sock *)sk, event->local_path);
		if (peer) {
			event->peer_path_size = read_unix_path(peer, event->peer_path);
			event->peer_cookie = BPF_CORE_READ(peer, sk.__sk_common.skc_cookie.counter);
		}
		if (!event->local_path_size != !event->peer_path_size) {
			conn->role = event->local_path_size ? ROLE_SERVER : ROLE_CLIENT;
			conn->evidence = EVIDENCE_UNIX_ADDRESS;
		}
	} else {
		event->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		event->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
		read_addresses(sk, event->local_address, event->peer_address);
	}
	fill_header(&event->header, EVENT_CONNECTION, conn->flags & CONN_TLS ? OPEN_SECURE : 0, time);
	event->cookie = conn->cookie;
	event->sent_position = conn->flow[SENT].position;
	event->received_position = conn->flow[RECEIVED].position;
	event->local_isn = conn->flow[SENT].isn;
	event->peer_isn = conn->flow[RECEIVED].isn;
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->start_time = BPF_CORE_READ(task, group_leader, start_boottime);
	event->tgid = BPF_CORE_READ(task, tgid);
	event->tid = BPF_CORE_READ(task, pid);
	event->role = conn->role;
	event->evidence = conn->evidence;
	event->from_start = !!(conn->flags & CONN_FROM_START);
	event->last = conn->last;
	emit(event, sizeof(*event), false);
	return 0;
}

static __always_inline void ignore(struct conn *conn, u32 counter)
{
	if (!(__sync_fetch_and_or(&conn->flags, CONN_DECIDED | CONN_IGNORED) & CONN_IGNORED))
		count(counter, 1);
}

/*
 * First I/O of a connection, or first by this process image: makes the
 * process known and lets the filters decide. Once per connection, but for
 * threads whose first I/O comes at the same time: each announces it, so that
 * nobody's bytes are told before the connection is, and all say the same.
 * Returns false when the connection is not ours to read. Not inlined, to be
 * out of the way of the usual I/O.
 */
static __noinline bool meet(struct sock *sk, struct conn *conn, struct task_struct *task, u64 time)
{
	u32 tgid = task->tgid;
	u64 exec_id = task->self_exec_id;
	bool is_known;
	u64 rules;

	if (tgid == self_tgid) {
		register_self(sk, conn);
		ignore(conn, COUNTER_SELF);
		return false;
	}
	if (!(conn->flags & CONN_DECIDED)) {
		if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock)) {
			ignore(conn, COUNTER_KERNEL_SOCKET);
			return false;
		}
		if (is_other_end_of_self(sk, conn)) {
			ignore(conn, COUNTER_SELF);
			return false;
		}
	}
	is_known = know_process(task, time, &rules);
	conn->start_time = task->group_leader->start_boottime;
	conn->contextless = 0;
	if (!(conn->flags & CONN_DECIDED)) {
		if (!passes_filters(sk, tgid, rules)) {
			ignore(conn, COUNTER_FILTERED);
			return false;
		}
		if (sk->__sk_common.skc_family != AF_UNIX)
			resolve_old_role(sk, conn);
		announce(sk, conn, time);
		__sync_fetch_and_or(&conn->flags, CONN_DECIDED);
	}
	/* What the ring refused is tried again at the next I/O. */
	if (is_known) {
		conn->tgid = tgid;
		conn->exec_id = exec_id;
	}
	return true;
}

#endif
