/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection is its socket: identity, role, filters and stream positions
 * live in socket-local storage and die with it.
 */
#ifndef USM_CONNECTION_H
#define USM_CONNECTION_H

#include <bpf/bpf_core_read.h>
#include "emit.h"

/* The ring refused a record: nothing more of this connection is copied until the ring has room, and the next record
 * says so. */
static __noinline __attribute__((unused)) void shed(struct conn *conn, u64 lost)
{
	if (!(conn->flags & CONN_SHED)) {
		__sync_fetch_and_or(&conn->flags, CONN_SHED);
		count_inline(COUNTER_SHED, 1);
	}
	count_inline(COUNTER_LOST_BYTES, lost);
}

/* IO_RESUMED, if records of this connection were refused since the last one that was taken. */
static __always_inline u8 resumed_flag(const struct conn *conn)
{
	return unlikely(conn->flags & CONN_SHED) ? IO_RESUMED : 0;
}

/* The ring took a record with these flags: if it told of refused ones, that is done. */
static __always_inline void note_told(struct conn *conn, u8 flags)
{
	if (unlikely(flags & IO_RESUMED))
		__sync_fetch_and_and(&conn->flags, ~(CONN_SHED | CONN_LEFT_OUT));
}

/* Walks over chunks (walk.h) that are under way. */
static __always_inline u32 walk_flag(u32 direction)
{
	return direction == SENT ? CONN_WALK_SENT : CONN_WALK_RECEIVED;
}

static __noinline void emit_walk(struct conn *conn, u32 direction, u64 end, u64 time)
{
	struct walk *walk = &conn->framing[direction & 1].walk;
	struct walk_event event = {
		.cookie = conn->cookie,
		.position = walk->start,
		.end = end,
		.next = walk->next,
		.body = walk->body,
	};

	fill_header(&event.header, EVENT_WALK, resumed_flag(conn) | (direction == SENT ? IO_SENT : 0), time);
	if (emit(&event, sizeof(event), false))
		note_told(conn, event.header.flags);
	else
		shed(conn, end - walk->start);
}

/* Ends the walk of a direction, wherever it stands. */
static __always_inline void stop_walk(struct conn *conn, u32 direction, u64 time)
{
	u64 end;

	if (likely(!(conn->flags & walk_flag(direction))))
		return;
	__sync_fetch_and_and(&conn->flags, ~walk_flag(direction));
	/* A chunk-size line of which only a part came is left out: the bytes are a hole. */
	end = conn->flow[direction].position;
	if (conn->framing[direction].walk.next < end)
		end = conn->framing[direction].walk.next;
	emit_walk(conn, direction, end, time);
}

/* A direction, or all, has ended: where the streams stand. `event` says by whom and why; the rest is filled in here. */
static __always_inline void emit_end(struct conn *conn, struct end_event *event, u8 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 time = bpf_ktime_get_ns();

	event->cookie = conn->cookie;
	event->sent_position = conn->flow[SENT].position;
	event->received_position = conn->flow[RECEIVED].position;
	event->start_time = task->group_leader->start_boottime;
	event->tgid = task->tgid;
	event->tid = task->pid;
	stop_walk(conn, RECEIVED, time);
	stop_walk(conn, SENT, time);
	fill_header(&event->header, EVENT_END, flags | resumed_flag(conn), time);
	if (emit(event, sizeof(*event), false))
		note_told(conn, event->header.flags);
	else
		shed(conn, 0);
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

	if (unlikely(delta == moved + 1) && (direction == SENT ? fin_sent(sk) : fin_received(sk)))
		delta = moved;
	return delta;
}

/* Position of the opposite direction at this moment, by the kernel. */
static __always_inline u64 position_now(struct sock *sk, struct tcp_sock *tcp, struct flow *flow, u32 direction)
{
	if (unlikely(!tcp))
		return flow->position;
	return flow->position + bytes_since(sk, tcp, flow, direction, 0);
}

/*
 * Advances a direction by an I/O of `size` bytes and returns the position of
 * its first byte. The kernel's sequence numbers decide, so bytes that moved
 * unseen (splice to a pipe, TCP_ZEROCOPY_RECEIVE) leave a hole of their exact
 * size. Less than `size` means that another thread moved bytes of the same
 * direction meanwhile: then nobody can tell whose came first. So does more when
 * sending, where nothing goes unseen: the other thread's call has yet to return.
 */
static __always_inline u64 advance(struct sock *sk, struct tcp_sock *tcp, struct flow *flow, u32 direction, u32 size,
				   u8 *flags)
{
	u64 start;
	u32 delta;

	if (unlikely(!tcp))
		return __sync_fetch_and_add(&flow->position, size);
	delta = bytes_since(sk, tcp, flow, direction, size);
	flow->seq = direction == SENT ? tcp->write_seq : tcp->copied_seq;
	start = flow->position + (u64)delta - size;
	flow->position += delta;
	if (unlikely(delta < size)) {
		*flags |= IO_UNORDERED;
		count(COUNTER_UNORDERED, 1);
	} else if (unlikely(delta > size)) {
		count(COUNTER_UNSEEN_BYTES, delta - size);
		if (direction == SENT)
			*flags |= IO_UNORDERED;
	}
	return start;
}

/*
 * Which way the last bytes went, if the kernel's tick does not tell: by when
 * the program's last read was and when the last segment with data left. The
 * kernel dates a read for its receive window, once it knows a round trip, and
 * at most every eighth of one: a read that it left out came within that time
 * of the one that it dated.
 */
static __always_inline u8 last_by_clock(struct tcp_sock *tcp)
{
	u64 sent = tcp->first_tx_mstamp;
	u64 read = tcp->rcvq_space.time;
	u32 round_trip = tcp->rcv_rtt_est.rtt_us;
	u64 until = read;

	if (!round_trip || tcp->copied_seq != tcp->rcv_nxt)
		return LAST_UNKNOWN;
	if (tcp->rcvq_space.seq != tcp->copied_seq)
		until += round_trip / 8;
	if (sent > until)
		return LAST_SENT;
	return sent < read ? LAST_RECEIVED : LAST_UNKNOWN;
}

/*
 * The same, by who acknowledged what. An answer would have acknowledged what we
 * sent last: if that was done later than the tick in which the last bytes came,
 * these were no answer. Sending within a tick of receiving makes the kernel
 * delay acknowledgements, which it gives up when one finds no answer to go with:
 * then bytes came that we did not answer.
 */
static __always_inline u8 last_by_acknowledgement(struct tcp_sock *tcp)
{
	if (tcp->delivered_mstamp - tcp->first_tx_mstamp > MAX_TICK_US)
		return LAST_SENT;
	return tcp->inet_conn.icsk_ack.pingpong ? LAST_UNKNOWN : LAST_RECEIVED;
}

/*
 * Which way the last bytes went before we saw any. What is not acknowledged was
 * sent last. Else the segment that updated our send window last tells: data
 * stands before the end of what we received, a bare acknowledgement at it.
 * That is one of what we sent last, unless it came late: then it may be the
 * answer to a keepalive probe. The ticks of the last bytes of both directions
 * tell, if they differ. Within one tick, there may be no telling.
 */
static __always_inline u8 last_flow_of(struct tcp_sock *tcp)
{
	struct inet_connection_sock *inet = &tcp->inet_conn;
	s32 order;
	u8 last;

	if (tcp->write_seq != tcp->snd_una)
		return LAST_SENT;
	if (tcp->rcv_nxt != tcp->snd_wl1)
		return LAST_RECEIVED;
	if (tcp->rcv_tstamp - tcp->lsndtime < LATE_ACK)
		return LAST_SENT;
	if (!bpf_core_field_exists(inet->icsk_ack.lrcvtime) || !bpf_core_field_exists(inet->icsk_ack.pingpong))
		return LAST_UNKNOWN;
	order = inet->icsk_ack.lrcvtime - tcp->lsndtime;
	if (order)
		return order < 0 ? LAST_SENT : LAST_RECEIVED;
	last = last_by_clock(tcp);
	return last != LAST_UNKNOWN ? last : last_by_acknowledgement(tcp);
}

/* Where a connection stands, by counts of which packets and other threads may move any while the next is read. */
struct standing {
	u64 acknowledged;
	u64 received;
	u32 una;
	u32 next;
	u32 written;
	u32 copied;
};

#define read_once(field) (*(volatile typeof(field) *)&(field))

static __always_inline void read_standing(struct tcp_sock *tcp, struct standing *standing)
{
	standing->acknowledged = read_once(tcp->bytes_acked);
	standing->una = read_once(tcp->snd_una);
	standing->written = read_once(tcp->write_seq);
	standing->received = read_once(tcp->bytes_received);
	standing->next = read_once(tcp->rcv_nxt);
	standing->copied = read_once(tcp->copied_seq);
}

static __always_inline bool is_same_standing(const struct standing *a, const struct standing *b)
{
	return a->acknowledged == b->acknowledged && a->una == b->una && a->written == b->written &&
	       a->received == b->received && a->next == b->next && a->copied == b->copied;
}

/*
 * Positions of a connection that we did not see being established. The kernel
 * counts acknowledged and received bytes in 64 bits; what is in its queues is
 * added or taken off. An opener's own count includes its SYN.
 */
static __always_inline void set_positions(struct conn *conn, const struct standing *standing)
{
	u64 sent = standing->acknowledged + (u32)(standing->written - standing->una);
	u64 received = standing->received - (u32)(standing->next - standing->copied);

	conn->flow[SENT].isn = standing->una - (u32)standing->acknowledged;
	conn->flow[RECEIVED].isn = standing->next - (u32)standing->received;
	if (conn->role == ROLE_CLIENT && sent) {
		sent--;
		conn->flow[SENT].isn++;
	}
	conn->flow[SENT].position = sent;
	conn->flow[SENT].seq = standing->written;
	conn->flow[RECEIVED].position = received;
	conn->flow[RECEIVED].seq = standing->copied;
}

/* Where an old connection stands, and that connect(2) chose its port, if it did; false if it does not stand still for
 * as long as a look takes. */
static __always_inline bool read_old(struct sock *sk, struct tcp_sock *tcp, struct conn *conn)
{
	u8 state = sk->__sk_common.skc_state;
	struct standing before, after;

	if (state == TCP_SYN_SENT || state == TCP_SYN_RECV) {
		conn->role = state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER;
		conn->evidence = EVIDENCE_TCP_STATE;
	} else if (BPF_CORE_READ(sk, sk_userlocks) & SOCK_CONNECT_BIND) {
		conn->role = ROLE_CLIENT;
		conn->evidence = EVIDENCE_CONNECT;
	}
	for (int attempt = 0; attempt < MAX_LOOKS; attempt++) {
		read_standing(tcp, &before);
		conn->last = last_flow_of(tcp);
		read_standing(tcp, &after);
		if (is_same_standing(&before, &after)) {
			set_positions(conn, &after);
			return true;
		}
	}
	return false;
}

/*
 * Storage for a socket that is older than us (seeding), or that the state
 * tracepoint did not show us, composed in `fresh`: who else comes to the socket
 * meanwhile finds nothing, or all of it. `pending` bytes of `direction` were
 * moved by the I/O that brings it to our notice. A UNIX socket has no counts:
 * it is new if it turns up after the seeding.
 */
static __noinline __attribute__((unused)) struct conn *adopt(struct sock *sk, struct tcp_sock *tcp, struct conn *fresh,
							     u32 direction, u32 pending)
{
	struct conn *conn;

	if (!fresh)
		return 0;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	fresh->cookie = bpf_get_socket_cookie(sk);
	if (!tcp && is_seeded)
		fresh->flags |= CONN_FROM_START;
	if (tcp) {
		if (!read_old(sk, tcp, fresh))
			return 0;
		fresh->flow[direction & 1].position -= pending;
		fresh->flow[direction & 1].seq -= pending;
		if (fresh->flow[SENT].position == 0 && fresh->flow[RECEIVED].position == 0)
			fresh->flags |= CONN_FROM_START;
	}
	conn = bpf_sk_storage_get(&conns, sk, fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn)
		count(COUNTER_STORAGE_FULL, 1);
	return conn;
}

#endif
