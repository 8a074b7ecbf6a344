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
#include "meeting.h"
#include "overload.h"
#include "thread_context.h"
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
	if (!control || likely(control->cookie != conn->cookie))
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
	event->start_time = moved->conn->start_time;
	event->tgid = task->tgid;
	event->tid = task->pid;
}

/*
 * The usual I/O, one buffer of moderate size, is read straight into the ring.
 * A reservation's size must be a constant, so there are sizes to choose from;
 * what is behind `captured` are bytes of earlier records.
 */
#define SEND_SMALL(capacity)                                                              \
	if (size <= (capacity)) {                                                         \
		struct {                                                                  \
			struct io_event event;                                            \
			u8 data[capacity];                                                \
		} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);               \
		if (unlikely(!record))                                                    \
			goto full;                                                        \
		fill_io(&record->event, moved);                                           \
		record->event.size = size;                                                \
		record->event.captured = size;                                            \
		if (unlikely(bpf_probe_read_user(record->data, size, (void *)address))) { \
			record->event.captured = 0;                                       \
			record->event.header.flags |= MISSING_FAULT << 4;                 \
		}                                                                         \
		bpf_ringbuf_submit(record, wakeup(&record->event.header, moved->wake));   \
		note_told(moved->conn, moved->flags);                                     \
		return 0;                                                                 \
	}

/* No place in the ring for an I/O of which `size` bytes were wanted. The attempt takes its number. */
static __noinline void refused(struct conn *conn, u64 size)
{
	u32 zero = 0;
	u32 *sequence = bpf_map_lookup_elem(&sequences, &zero);

	if (sequence)
		(*sequence)++;
	count(COUNTER_RING_FULL, 1);
	shed(conn, size);
}

static __always_inline int send_small(const struct moved *moved, u64 address)
{
	u64 size = moved->end - moved->from;

	SEND_SMALL(128)
	SEND_SMALL(256)
	SEND_SMALL(512)
	SEND_SMALL(1024)
	SEND_SMALL(SMALL_SIZE)
full:
	refused(moved->conn, size);
	return 0;
}

/* Everything else: composed in this CPU's scratch. */
static __noinline int send_large(const struct moved *moved, const struct buffers *buffers)
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
	else
		note_told(moved->conn, moved->flags);
	return 0;
}

/*
 * Beyond the window we go on while no more than this is waiting in the ring:
 * user space is on its way, and what is not copied may be framing. A few bytes,
 * an I/O or what a walk has left of one, mostly are; bodies would fill the ring
 * before user space wakes up.
 */
static __always_inline u32 room_for(u64 size)
{
	return size <= TINY_SIZE ? ring_size : ring_size / 8;
}

static __always_inline int send(struct moved *moved, struct buffers *buffers, u64 limit)
{
	moved->to = moved->end;
	moved->flags |= resumed_flag(moved->conn);
	if (unlikely(moved->end > limit) &&
	    bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > room_for(moved->end - moved->from))
		moved->to = limit;
	if (unlikely(buffers->missing || moved->to < moved->from))
		moved->to = moved->from;
	if (likely(moved->to == moved->end && !buffers->vectors && !buffers->missing &&
		   moved->end - moved->from <= SMALL_SIZE))
		return send_small(moved, buffers->address + (moved->from - moved->start));
	return send_large(moved, buffers);
}

/* The part of a chunk-size line that came with the I/O before this one: the walk has ended there after all. */
static __noinline void send_kept(struct moved *moved, const struct walk *walk)
{
	u32 size = moved->start - moved->from;
	struct {
		struct io_event event;
		u8 data[MAX_CHUNK_LINE];
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		refused(moved->conn, size);
		return;
	}
	moved->flags |= resumed_flag(moved->conn);
	fill_io(&record->event, moved);
	record->event.size = size;
	record->event.captured = size < MAX_CHUNK_LINE ? size : MAX_CHUNK_LINE;
	__builtin_memcpy(record->data, walk->line, MAX_CHUNK_LINE);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	note_told(moved->conn, moved->flags);
	moved->flags &= ~IO_RESUMED;
}

/* An I/O in which chunks are followed, or may be: what is before them, that they were passed, and what is behind. */
static __noinline int send_walked(struct moved *moved, struct buffers *buffers, u64 limit, u64 walk_from)
{
	u32 direction = moved->flags & IO_SENT ? SENT : RECEIVED;
	struct conn *conn = moved->conn;
	bool is_walking = conn->flags & walk_flag(direction);
	u64 end = moved->end;
	struct walk_request request = { .start = moved->start, .end = end, .from = walk_from, .direction = direction };
	u64 walked = walk_io(conn, buffers, &request);

	if (!is_walking && walked == walk_from)
		return send(moved, buffers, limit);
	if (walk_from > moved->from) {
		moved->end = walk_from;
		send(moved, buffers, limit);
	}
	if (walked > end)
		return 0;
	emit_walk(conn, direction, walked, moved->time);
	moved->from = walked;
	moved->end = end;
	moved->flags &= ~(IO_START | IO_RESUMED);
	if (walked < moved->start) {
		send_kept(moved, &conn->walk[direction]);
		moved->from = moved->start;
	}
	return send(moved, buffers, limit);
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

/*
 * When the bytes moved. TCP reads the same clock as it transmits, so if
 * nothing is waiting to be sent, it knows: and better than we do, since the
 * peer may have read the bytes already. Reading the clock is also one of the
 * dearest things here.
 */
static __always_inline u64 io_time(struct tcp_sock *tcp, u32 direction)
{
	if (tcp && direction == SENT && bpf_core_field_exists(tcp->tcp_clock_cache) && tcp->snd_nxt == tcp->write_seq)
		return tcp->tcp_clock_cache;
	return bpf_ktime_get_ns();
}

static __noinline int io_failed(struct sock *sk, struct conn *conn, int error, u32 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!(conn->flags & CONN_DECIDED))
		return 0;
	if (is_message_array(task)) {
		struct buffers none = {};

		find_buffers(&none, task, error, direction == SENT);
	}
	/* A read into an empty buffer returns 0 as well. */
	if (error == 0 && !(BPF_CORE_READ(sk, sk_shutdown) & RCV_SHUTDOWN))
		return 0;
	if (error == 0 || error == -ECONNRESET || error == -EPIPE) {
		struct end_event event = { .error = -error, .cause = error ? END_ERROR : END_EOF };

		emit_end(conn, &event, direction == SENT ? IO_SENT : 0);
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
	struct walk *walk;
	struct conn *conn;
	u64 start, end, from, limit, time, other_position, walk_from;
	u32 size = result, generation;
	u8 flags = direction == SENT ? IO_SENT : 0;
	bool is_turn, is_walking;

	if (likely(is_tcp(sk)))
		tcp = as_tcp_sock(sk);
	else if (!is_unix_stream(sk))
		return 0;
	conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (conn && (conn->flags & CONN_IGNORED))
		return 0;
	if (unlikely(direction == RECEIVED && (msg_flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))))
		return 0;
	if (unlikely(result <= 0))
		return conn ? io_failed(sk, conn, result, direction) : 0;
	if (unlikely(!conn || !conn->cookie)) {
		conn = adopt(sk, tcp, direction, size, is_seeded);
		if (!conn)
			return 0;
	}

	task = bpf_get_current_task_btf();
	time = io_time(tcp, direction);
	if (unlikely(conn->tgid != task->tgid || conn->exec_id != task->self_exec_id)) {
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
	if (unlikely(wishes.ignore)) {
		__sync_fetch_and_or(&conn->flags, CONN_IGNORED);
		return 0;
	}
	if (unlikely(conn->flags & CONN_SHED)) {
		if (is_left_out(sk, conn)) {
			leave_out(conn, size);
			return 0;
		}
		if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 2) {
			count(COUNTER_LOST_BYTES, size);
			return 0;
		}
	}
	is_turn = conn->last_flow != direction + 1;
	if (is_turn) {
		stop_walk(conn, !direction, time);
		conn->last_flow = direction + 1;
		flow->limit = start + WINDOW_SIZE;
		if (unlikely(shed_share) && is_request(conn, direction) && is_left_out(sk, conn)) {
			leave_out(conn, size);
			return 0;
		}
	}

	from = start > wishes.until ? start : wishes.until;
	if (from > end)
		return 0;
	find_buffers(&buffers, task, result, direction == SENT);
	if (unlikely(direction == RECEIVED && (msg_flags & MSG_TRUNC)))
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

	/* Of requests, and of what a server answers. */
	generation = places_generation();
	if (unlikely(conn->contextless != generation) && is_turn &&
	    !(direction == RECEIVED && conn->role == ROLE_CLIENT) && (flags & (IO_START | IO_UNORDERED)) == IO_START &&
	    !buffers.missing && !send_context(conn->cookie, start, time, size, flags & IO_SENT))
		conn->contextless = generation;

	/* The next chunk-size line passed while nothing was looked at (shed, or moved unseen): there is nothing to go
	 * on from. */
	walk = &conn->walk[direction];
	is_walking = conn->flags & walk_flag(direction);
	if (unlikely(is_walking && walk->next + walk->line_fill < start)) {
		stop_walk(conn, direction, time);
		is_walking = false;
	}
	walk_from = 0;
	if (unlikely(is_walking))
		walk_from = start;
	else if (unlikely(wishes.walk && wishes.walk >= start && wishes.walk < end))
		walk_from = wishes.walk;
	else if (unlikely(size >= MIN_GUESS_SIZE && !buffers.missing && from == start && start != walk->barred))
		walk_from = guess_chunks(&buffers, start, size, is_turn);
	if (unlikely(walk_from))
		return send_walked(&moved, &buffers, limit, walk_from);
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
