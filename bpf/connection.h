/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection is its socket: identity, role, filters and stream positions
 * live in socket-local storage and die with it.
 */
#ifndef USM_CONNECTION_H
#define USM_CONNECTION_H

#include "filter.h"
#include "emit.h"
#include "process.h"

/* Walks over chunks (walk.h) that are under way. */
static __always_inline u32 walk_flag(u32 direction)
{
	return direction == SENT ? CONN_WALK_SENT : CONN_WALK_RECEIVED;
}

static __always_inline void emit_walk(struct conn *conn, u32 direction, u64 end, u64 time)
{
	struct flow *flow = &conn->flow[direction];
	struct walk_event event = {
		.cookie = conn->cookie,
		.position = flow->walk.start,
		.end = end,
		.next = flow->walk.next,
		.body = flow->walk.body,
	};

	fill_header(&event.header, EVENT_WALK, direction == SENT ? IO_SENT : 0, time);
	emit(&event, sizeof(event), false);
}

/* Ends the walk of a direction, wherever it stands. */
static __always_inline void stop_walk(struct conn *conn, u32 direction, u64 time)
{
	u64 end;

	if (!(conn->flags & walk_flag(direction)))
		return;
	__sync_fetch_and_and(&conn->flags, ~walk_flag(direction));
	/* A chunk-size line of which only a part came is left out: the bytes are a hole. */
	end = conn->flow[direction].position;
	if (conn->flow[direction].walk.next < end)
		end = conn->flow[direction].walk.next;
	emit_walk(conn, direction, end, time);
}

static __always_inline bool is_tcp(struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == IPPROTO_TCP;
}

static __always_inline bool is_unix_stream(struct sock *sk)
{
	return sk->__sk_common.skc_family == AF_UNIX && sk->sk_type == SOCK_STREAM;
}

/* FIN takes a sequence number of its own; only these states have neither sent nor received one. */
static __always_inline bool fin_received(struct sock *sk)
{
	u8 state = sk->__sk_common.skc_state;

	return state != TCP_ESTABLISHED && state != TCP_FIN_WAIT1 && state != TCP_FIN_WAIT2;
}

static __always_inline bool fin_sent(struct sock *sk)
{
	u8 state = sk->__sk_common.skc_state;

	return state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT;
}

/* The kernel's own count of bytes since `flow` was last looked at, without a FIN at their end. */
static __always_inline u32 bytes_since(struct sock *sk, struct tcp_sock *tcp, struct flow *flow, u32 direction,
				       u32 moved)
{
	u32 now = direction == SENT ? tcp->write_seq : tcp->copied_seq;
	u32 delta = now - flow->seq;

	if (delta == moved + 1 && (direction == SENT ? fin_sent(sk) : fin_received(sk)))
		delta = moved;
	return delta;
}

/* Position of the opposite direction at this moment, by the kernel. */
static __always_inline u64 position_now(struct sock *sk, struct tcp_sock *tcp, struct flow *flow, u32 direction)
{
	if (!tcp)
		return flow->position;
	return flow->position + bytes_since(sk, tcp, flow, direction, 0);
}

/*
 * Advances a direction by an I/O of `size` bytes and returns the position of
 * its first byte. The kernel's sequence numbers decide, so bytes that moved
 * unseen (splice to a pipe, TCP_ZEROCOPY_RECEIVE) leave a hole of their exact
 * size. Less than `size` means that another thread moved bytes of the same
 * direction meanwhile: then nobody can tell whose came first.
 */
static __always_inline u64 advance(struct sock *sk, struct tcp_sock *tcp, struct flow *flow, u32 direction, u32 size,
				   u8 *flags)
{
	u64 start;
	u32 delta;

	if (!tcp)
		return __sync_fetch_and_add(&flow->position, size);
	delta = bytes_since(sk, tcp, flow, direction, size);
	flow->seq = direction == SENT ? tcp->write_seq : tcp->copied_seq;
	start = flow->position + (u64)delta - size;
	flow->position += delta;
	if (delta < size) {
		*flags |= IO_UNORDERED;
		count(COUNTER_UNORDERED, 1);
	} else if (delta > size) {
		count(COUNTER_UNSEEN_BYTES, delta - size);
	}
	return start;
}

/*
 * Positions of a connection that we did not see being established. The kernel
 * counts acknowledged and received bytes in 64 bits; what is in its queues is
 * added or taken off. An opener's own count includes its SYN.
 */
static __always_inline void read_positions(struct sock *sk, struct tcp_sock *tcp, struct conn *conn)
{
	u64 sent = tcp->bytes_acked + (u32)(tcp->write_seq - tcp->snd_una);
	u64 received = tcp->bytes_received - (u32)(tcp->rcv_nxt - tcp->copied_seq);

	conn->flow[SENT].isn = tcp->snd_una - (u32)tcp->bytes_acked;
	conn->flow[RECEIVED].isn = tcp->rcv_nxt - (u32)tcp->bytes_received;
	if (conn->role == ROLE_CLIENT && sent) {
		sent--;
		conn->flow[SENT].isn++;
	}
	conn->flow[SENT].position = sent;
	conn->flow[SENT].seq = tcp->write_seq;
	conn->flow[RECEIVED].position = received;
	conn->flow[RECEIVED].seq = tcp->copied_seq;
}

/*
 * Storage for a socket that is older than us (seeding), or that the state
 * tracepoint did not show us. `pending` bytes of `direction` were moved by
 * the I/O that brings it to our notice. A UNIX socket has no counts: it is
 * new if it turns up after the seeding.
 */
static __always_inline struct conn *adopt(struct sock *sk, struct tcp_sock *tcp, u32 direction, u32 pending,
					  bool is_new)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn) {
		count(COUNTER_STORAGE_FULL, 1);
		return 0;
	}
	if (conn->cookie)
		return conn;
	conn->cookie = bpf_get_socket_cookie(sk);
	if (!tcp && is_new)
		conn->flags |= CONN_FROM_START;
	if (tcp) {
		u8 state = sk->__sk_common.skc_state;

		if (state == TCP_SYN_SENT || state == TCP_SYN_RECV) {
			conn->role = state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER;
			conn->evidence = EVIDENCE_TCP_STATE;
		}
		read_positions(sk, tcp, conn);
		/*
		 * What is not acknowledged was sent last. Otherwise the segment that
		 * updated our send window last tells: an acknowledgement of what we
		 * sent stands at the end of what we received, data before it.
		 */
		conn->last = LAST_RECEIVED;
		if (tcp->write_seq != tcp->snd_una || tcp->rcv_nxt == tcp->snd_wl1)
			conn->last = LAST_SENT;
		conn->flow[direction & 1].position -= pending;
		conn->flow[direction & 1].seq -= pending;
		if (conn->flow[SENT].position == 0 && conn->flow[RECEIVED].position == 0)
			conn->flags |= CONN_FROM_START;
	}
	return conn;
}

/*
 * An old connection whose port connect(2) chose is a client's; one on a port
 * that is listened on is a server's.
 */
static __always_inline void resolve_old_role(struct sock *sk, struct conn *conn)
{
	struct listener_key key = {
		.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
		.port = sk->__sk_common.skc_num,
	};

	if (conn->role != ROLE_UNKNOWN)
		return;
	if (BPF_CORE_READ(sk, sk_userlocks) & SOCK_CONNECT_BIND) {
		conn->role = ROLE_CLIENT;
		conn->evidence = EVIDENCE_CONNECT;
	} else if (bpf_map_lookup_elem(&listeners, &key)) {
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
	fill_header(&event->header, EVENT_CONNECTION, 0, time);
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

/*
 * First I/O of a connection, or first by this process image: makes the
 * process known and, once per connection, lets the filters decide.
 * Returns false when the connection is not ours to read.
 */
static __always_inline bool meet(struct sock *sk, struct conn *conn, struct task_struct *task, u64 time)
{
	u32 tgid = task->tgid;
	u64 exec_id = task->self_exec_id;
	struct known_process *known;
	struct scratch *scratch;
	bool is_known = true;
	u64 rules = ~0ull;

	if (tgid == self_tgid) {
		register_self(sk, conn);
		conn->flags |= CONN_DECIDED | CONN_IGNORED;
		count(COUNTER_SELF, 1);
		return false;
	}
	if (!(conn->flags & CONN_DECIDED)) {
		if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock)) {
			conn->flags |= CONN_DECIDED | CONN_IGNORED;
			count(COUNTER_KERNEL_SOCKET, 1);
			return false;
		}
		if (is_other_end_of_self(sk, conn)) {
			conn->flags |= CONN_DECIDED | CONN_IGNORED;
			count(COUNTER_SELF, 1);
			return false;
		}
	}
	known = bpf_map_lookup_elem(&processes, &tgid);
	if (known && known->exec_id == exec_id && known->start_time == task->group_leader->start_boottime) {
		rules = known->rules;
	} else {
		struct known_process fresh = { .exec_id = exec_id, .start_time = task->group_leader->start_boottime };

		fresh.rules = rules = describe_process(time);
		scratch = get_scratch();
		is_known = scratch && scratch->describing.is_told;
		if (is_known)
			bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY);
	}
	/* What the ring refused is tried again at the next I/O. */
	if (is_known) {
		conn->tgid = tgid;
		conn->exec_id = exec_id;
	}
	if (conn->flags & CONN_DECIDED)
		return true;
	conn->flags |= CONN_DECIDED;
	if (!passes_filters(sk, tgid, rules)) {
		conn->flags |= CONN_IGNORED;
		count(COUNTER_FILTERED, 1);
		return false;
	}
	if (sk->__sk_common.skc_family != AF_UNIX)
		resolve_old_role(sk, conn);
	announce(sk, conn, time);
	return true;
}

#endif
