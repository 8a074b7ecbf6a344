// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook per socket I/O, in the calling thread, inside the system call: the
 * kernel hands over the socket and the result, the thread's registers name the
 * user memory. Nothing else on the host is touched.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "capture.h"
#include "connection.h"
#include "walk.h"

/* What user space wants of this direction; nothing while it has not spoken. */
struct wishes {
	u64 until;
	u64 parsed;
	u64 walk;
	bool ignore;
};

static __always_inline void read_wishes(struct conn *conn, u32 direction, struct wishes *wishes)
{
	u32 slot = conn->cookie % MAX_CONTROLS;
	volatile struct control *control = bpf_map_lookup_elem(&controls, &slot);

	wishes->until = wishes->parsed = wishes->walk = 0;
	wishes->ignore = false;
	if (!control || control->cookie != conn->cookie)
		return;
	wishes->until = control->until[direction];
	wishes->parsed = control->parsed[direction];
	wishes->walk = control->walk[direction];
	wishes->ignore = control->ignore;
	/* The slot may have changed hands as we read. Cookies never come back, so this is proof. */
	if (control->cookie != conn->cookie) {
		wishes->until = wishes->parsed = wishes->walk = 0;
		wishes->ignore = false;
	}
}

/* One I/O, ready to be sent. */
struct moved {
	struct conn *conn;
	struct task_struct *task;
	u64 time;
	u64 other_position;
	u64 start; /* [start, end) moved … */
	u64 end;
	u64 from; /* … and [from, to) is wanted */
	u64 to;
	u8 flags;
	u8 wake;
};

static __always_inline void fill_io(struct io_event *event, const struct moved *moved)
{
	struct task_struct *task = moved->task;

	fill_header(&event->header, EVENT_IO, moved->flags, moved->time);
	event->cookie = moved->conn->cookie;
	event->position = moved->from;
	event->other_position = moved->other_position;
	event->start_time = task->group_leader->start_boottime;
	event->tgid = task->tgid;
	event->tid = task->pid;
}

static __always_inline void shed(struct conn *conn, u64 lost)
{
	__sync_fetch_and_or(&conn->flags, CONN_SHED);
	count(COUNTER_SHED, 1);
	count(COUNTER_LOST_BYTES, lost);
}

/*
 * The usual I/O, one buffer of moderate size, is read straight into the ring.
 * A reservation's size must be a constant, so there are sizes to choose from;
 * what is behind `captured` are bytes of earlier records.
 */
#define SEND_SMALL(capacity)                                                            \
	if (size <= (capacity)) {                                                       \
		struct {                                                                \
			struct io_event event;                                          \
			u8 data[capacity];                                              \
		} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);             \
		if (!record)                                                            \
			goto full;                                                      \
		fill_io(&record->event, moved);                                         \
		record->event.size = size;                                              \
		record->event.captured = size;                                          \
		if (bpf_probe_read_user(record->data, size, (void *)address)) {         \
			record->event.captured = 0;                                     \
			record->event.header.flags |= MISSING_FAULT << 4;               \
		}                                                                       \
		bpf_ringbuf_submit(record, wakeup(&record->event.header, moved->wake)); \
		return 0;                                                               \
	}

static __always_inline int send_small(const struct moved *moved, u64 address)
{
	u64 size = moved->end - moved->from;
	u32 zero = 0;
	u32 *sequence;

	SEND_SMALL(128)
	SEND_SMALL(256)
	SEND_SMALL(512)
	SEND_SMALL(1024)
	SEND_SMALL(SMALL_SIZE)
full:
	sequence = bpf_map_lookup_elem(&sequences, &zero);
	if (sequence)
		(*sequence)++;
	count(COUNTER_RING_FULL, 1);
	shed(moved->conn, size);
	return 0;
}

/* Everything else: composed in this CPU's scratch. */
static __always_inline int send_large(const struct moved *moved, const struct buffers *buffers)
{
	struct scratch *scratch = get_scratch();
	struct capture *capture;
	u64 lost;

	if (!scratch)
		return 0;
	fill_io(&scratch->io.event, moved);
	capture = &scratch->capture;
	capture->at = moved->start;
	capture->from = moved->from;
	capture->to = moved->to;
	capture->record = moved->from;
	capture->end = moved->end;
	capture->vectors = buffers->address;
	capture->vector_count = buffers->vectors;
	capture->lost = 0;
	capture->fill = 0;
	capture->missing = buffers->missing ? buffers->missing : MISSING_WINDOW;
	capture->wake = moved->wake;
	lost = send_composed();
	if (lost)
		shed(moved->conn, lost);
	return 0;
}

static __always_inline int send(struct moved *moved, struct buffers *buffers, u64 limit)
{
	/* Beyond the window we go on while the ring has room: user space is on its way, and what is not copied may be
	 * framing. */
	moved->to = moved->end;
	if (moved->end > limit && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 2)
		moved->to = limit;
	if (buffers->missing || moved->to < moved->from)
		moved->to = moved->from;
	if (moved->to == moved->end && !buffers->vectors && !buffers->missing && moved->end - moved->from <= SMALL_SIZE)
		return send_small(moved, buffers->address + (moved->from - moved->start));
	return send_large(moved, buffers);
}

/* The part of a chunk-size line that came with the I/O before this one: the walk has ended there after all. */
static __always_inline void send_kept(const struct moved *moved, const struct flow *flow)
{
	u32 size = moved->start - moved->from;
	struct {
		struct io_event event;
		u8 data[MAX_CHUNK_LINE];
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count(COUNTER_RING_FULL, 1);
		shed(moved->conn, size);
		return;
	}
	fill_io(&record->event, moved);
	record->event.size = size;
	record->event.captured = size < MAX_CHUNK_LINE ? size : MAX_CHUNK_LINE;
	__builtin_memcpy(record->data, flow->walk.line, MAX_CHUNK_LINE);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* Where chunks may begin in an I/O, 0: nowhere. */
static __always_inline u64 guess_chunks(struct buffers *buffers, u64 start, u32 size, bool is_turn)
{
	u32 head;

	if (!is_turn)
		return start;
	head = guess_head(buffers->address, buffers->vectors, size);
	return head ? start + head : 0;
}

static __always_inline int io_failed(struct sock *sk, int error, u32 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct conn *conn = bpf_sk_storage_get(&conns, sk, 0, 0);

	if (!conn || (conn->flags & CONN_IGNORED) || !(conn->flags & CONN_DECIDED))
		return 0;
	if (is_message_array(task)) {
		struct buffers none = {};

		find_buffers(&none, task, error, direction == SENT);
	}
	/* A read into an empty buffer returns 0 as well. */
	if (error == 0 && !(BPF_CORE_READ(sk, sk_shutdown) & RCV_SHUTDOWN))
		return 0;
	if (error == 0 || error == -ECONNRESET || error == -EPIPE) {
		struct end_event event = {
			.cookie = conn->cookie,
			.sent_position = conn->flow[SENT].position,
			.received_position = conn->flow[RECEIVED].position,
			.start_time = task->group_leader->start_boottime,
			.tgid = task->tgid,
			.tid = task->pid,
			.error = -error,
			.cause = error ? END_ERROR : END_EOF,
		};
		u64 time = bpf_ktime_get_ns();

		stop_walk(conn, RECEIVED, time);
		stop_walk(conn, SENT, time);
		fill_header(&event.header, EVENT_END, direction == SENT ? IO_SENT : 0, time);
		emit(&event, sizeof(event), false);
	}
	return 0;
}

static __always_inline int io_done(struct sock *sk, int result, int msg_flags, u32 direction)
{
	struct task_struct *task;
	struct tcp_sock *tcp = 0;
	struct buffers buffers;
	struct moved moved;
	struct wishes wishes;
	struct flow *flow, *other;
	struct conn *conn;
	u64 start, end, from, limit, time, other_position, walk_from;
	u32 size = result;
	u8 flags = direction == SENT ? IO_SENT : 0;
	bool is_turn, is_walking;

	if (is_tcp(sk))
		tcp = as_tcp_sock(sk);
	else if (!is_unix_stream(sk))
		return 0;
	if (direction == RECEIVED && (msg_flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB)))
		return 0;
	if (result <= 0)
		return io_failed(sk, result, direction);

	conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!conn || !conn->cookie)
		conn = adopt(sk, tcp, direction, size, is_seeded);
	if (!conn)
		return 0;
	if (conn->flags & CONN_IGNORED)
		return 0;
	if (sk->__sk_common.skc_family != AF_UNIX && !tcp)
		return 0;

	task = bpf_get_current_task_btf();
	time = bpf_ktime_get_ns();
	if (conn->tgid != task->tgid || conn->exec_id != task->self_exec_id) {
		if (tcp && tcp->inet_conn.icsk_ulp_ops) {
			conn->flags |= CONN_IGNORED;
			count(COUNTER_ULP, 1);
			return 0;
		}
		if (!meet(sk, conn, task, time))
			return 0;
	}

	flow = &conn->flow[direction];
	other = &conn->flow[!direction];
	start = advance(sk, tcp, flow, direction, size, &flags);
	end = start + size;
	other_position = position_now(sk, tcp, other, !direction);

	read_wishes(conn, direction, &wishes);
	if (wishes.ignore) {
		__sync_fetch_and_or(&conn->flags, CONN_IGNORED);
		return 0;
	}
	if (conn->flags & CONN_SHED) {
		if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 2) {
			count(COUNTER_LOST_BYTES, size);
			return 0;
		}
		__sync_fetch_and_and(&conn->flags, ~CONN_SHED);
		flags |= IO_RESUMED;
	}
	is_turn = conn->last_flow != direction + 1;
	if (is_turn) {
		stop_walk(conn, !direction, time);
		conn->last_flow = direction + 1;
		flow->limit = start + WINDOW_SIZE;
	}

	from = start > wishes.until ? start : wishes.until;
	if (from > end)
		return 0;
	find_buffers(&buffers, task, result, direction == SENT);
	if (direction == RECEIVED && (msg_flags & MSG_TRUNC))
		buffers.missing = MISSING_NOT_IN_MEMORY;
	limit = wishes.parsed + WINDOW_SIZE;
	if (limit < flow->limit)
		limit = flow->limit;
	if (from == start)
		flags |= IO_START;

	moved.conn = conn;
	moved.task = task;
	moved.time = time;
	moved.other_position = other_position;
	moved.start = start;
	moved.from = from;
	moved.end = end;
	moved.flags = flags;
	moved.wake = end > limit - WINDOW_SIZE / 2;

	/* The next chunk-size line passed while nothing was looked at (shed, or moved unseen): there is nothing to go
	 * on from. */
	if (flow->walk.next + flow->walk.line_fill < start)
		stop_walk(conn, direction, time);
	walk_from = 0;
	is_walking = conn->flags & walk_flag(direction);
	if (is_walking)
		walk_from = start;
	else if (wishes.walk && wishes.walk >= start && wishes.walk < end)
		walk_from = wishes.walk;
	else if (size >= MIN_GUESS_SIZE && !buffers.missing && from == start && start != flow->walk.barred)
		walk_from = guess_chunks(&buffers, start, size, is_turn);
	if (walk_from) {
		struct walk_request request = { .start = start, .end = end, .from = walk_from, .direction = direction };
		u64 walked = walk_io(conn, &buffers, &request);

		if (is_walking || walked != walk_from) {
			if (walk_from > from) {
				moved.end = walk_from;
				send(&moved, &buffers, limit);
			}
			if (walked > end)
				return 0;
			emit_walk(conn, direction, walked, time);
			moved.from = walked;
			moved.end = end;
			moved.flags &= ~(IO_START | IO_RESUMED);
			if (walked < start) {
				send_kept(&moved, flow);
				moved.from = start;
			}
		}
	}
	return send(&moved, &buffers, limit);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *sk, int result, int flags)
{
	return io_done(sk, result, flags, SENT);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *sk, int result, int flags)
{
	return io_done(sk, result, flags, RECEIVED);
}
