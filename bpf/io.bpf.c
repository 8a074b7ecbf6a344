// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook per socket I/O, in the calling thread, inside the system call: the
 * kernel hands over the socket and the result, the thread's registers name the
 * user memory. Nothing else on the host is touched.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "frames.h"
#include "meeting.h"
#include "overload.h"
#include "tls_binding.h"
#include "transfer.h"

/*
 * When the bytes moved. TCP reads the same clock as it transmits and as it
 * hands over, so it knows: and better than we do, since the peer may have read
 * what was sent already. Reading the clock is also one of the dearest things
 * here.
 */
static __always_inline u64 io_time(struct tcp_sock *tcp, u32 direction)
{
	if (!tcp || !bpf_core_field_exists(tcp->tcp_clock_cache))
		return bpf_ktime_get_ns();
	if (direction == SENT ? tcp->snd_nxt == tcp->write_seq : reads_clock_as_it_receives())
		return tcp->tcp_clock_cache;
	return bpf_ktime_get_ns();
}

/* Whether it is a read that would have waited for its bytes: who asks so does one thing at a time. */
static __always_inline bool has_waited(struct sock *sk, int msg_flags, u32 direction)
{
	struct socket *socket = sk->sk_socket;

	return direction == RECEIVED && !(msg_flags & MSG_DONTWAIT) && socket && !(socket->file->f_flags & O_NONBLOCK);
}

static __noinline int io_failed(struct sock *sk, struct conn *conn, int error, u32 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!(conn->flags & CONN_DECIDED))
		return 0;
	if (has_cursors && is_message_array(task)) {
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

/*
 * Most sockets of a host may be none of ours. What bpf_sk_storage_get() would
 * find in its cache is looked at without the call; 0 where it is not there.
 */
static __always_inline u32 peek_flags(struct sock *sk)
{
	struct bpf_local_storage *storage;
	struct bpf_local_storage_data *data;
	struct bpf_local_storage_map *map;
	struct seqcount *flags;

	if (!has_kernel_functions())
		return 0;
	map = bpf_rdonly_cast(&conns, bpf_core_type_id_kernel(struct bpf_local_storage_map));
	storage = sk->sk_bpf_storage;
	if (!storage)
		return 0;
	storage = bpf_rdonly_cast((void *)storage + map->cache_idx * sizeof(void *),
				  bpf_core_type_id_kernel(struct bpf_local_storage));
	data = storage->cache[0];
	if (!data || data->smap != map)
		return 0;
	flags = bpf_rdonly_cast((void *)data + bpf_core_field_offset(struct bpf_local_storage_data, data) +
					__builtin_offsetof(struct conn, flags),
				bpf_core_type_id_kernel(struct seqcount));
	return flags->sequence;
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
	u64 start, end, time, other_position;
	u32 size = result;
	u8 flags = direction == SENT ? IO_SENT : 0;
	bool is_framed, is_turn;

	if (likely(is_tcp(sk)))
		tcp = as_tcp_sock(sk);
	else if (!is_unix_stream(sk))
		return 0;
	if ((peek_flags(sk) & (CONN_IGNORED | CONN_TLS)) == CONN_IGNORED)
		return 0;
	/* Mostly that there is nothing to read yet. */
	if (unlikely(result < 0) && result != -ECONNRESET && result != -EPIPE && likely(!has_cursors))
		return 0;
	conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (conn && (conn->flags & CONN_IGNORED)) {
		if (unlikely(conn->flags & CONN_TLS) && result > 0)
			secure_io(conn, bpf_get_current_task_btf(), result, direction,
				  has_waited(sk, msg_flags, direction));
		return 0;
	}
	if (unlikely(direction == RECEIVED && (msg_flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))))
		return 0;
	if (unlikely(result <= 0))
		return conn ? io_failed(sk, conn, result, direction) : 0;
	if (unlikely(!conn)) {
		struct scratch *scratch = get_scratch();

		conn = adopt(sk, tcp, scratch ? &scratch->conn : 0, direction, size);
		if (!conn)
			return 0;
	}

	task = bpf_get_current_task_btf();
	time = io_time(tcp, direction);
	if (unlikely(conn->tgid != task->tgid || conn->exec_id != task->self_exec_id)) {
		if (tcp && tcp->inet_conn.icsk_ulp_ops) {
			__sync_fetch_and_or(&conn->flags, CONN_IGNORED);
			count(COUNTER_ULP, 1);
			return 0;
		}
		if (!(conn->flags & CONN_DECIDED) && tcp)
			recognise_tls(conn, task, size);
		if (!meet(sk, conn, task, time))
			return 0;
	}
	if (unlikely(conn->flags & CONN_TLS))
		return secure_io(conn, task, size, direction, has_waited(sk, msg_flags, direction));

	flow = &conn->flow[direction];
	other = &conn->flow[!direction];
	start = advance(sk, tcp, flow, direction, size, &flags);
	end = start + size;
	other_position = position_now(sk, tcp, other, !direction);

	read_wishes(conn->cookie, direction, &wishes);
	if (unlikely(wishes.ignore)) {
		__sync_fetch_and_or(&conn->flags, CONN_IGNORED);
		return 0;
	}
	find_buffers(&buffers, task, result, direction == SENT);
	if (unlikely(direction == RECEIVED && (msg_flags & MSG_TRUNC)))
		buffers.missing = MISSING_NOT_IN_MEMORY;
	moved.conn = conn;
	moved.task = task;
	moved.time = time;
	moved.other_position = other_position;
	moved.start = start;
	moved.end = end;
	moved.flags = flags;
	is_framed = has_frames(conn, &buffers, start, size, flags, &wishes);

	if (unlikely(conn->flags & CONN_SHED)) {
		if (is_left_out(sk, conn)) {
			leave_out(conn, size);
			goto untold;
		}
		if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 2) {
			count(COUNTER_LOST_BYTES, size);
			goto untold;
		}
	}
	is_turn = conn->last_flow != direction + 1;
	if (is_turn) {
		stop_walk(conn, !direction, time);
		conn->last_flow = direction + 1;
		flow->limit = start + WINDOW_SIZE;
		if (unlikely(shed_share) && is_request(conn, direction) && is_left_out(sk, conn)) {
			leave_out(conn, size);
			goto untold;
		}
	}
	if (is_turn && has_waited(sk, msg_flags, direction))
		moved.flags |= IO_BLOCKING;
	if (unlikely(is_framed))
		return tell_frames(&moved, &buffers, wishes.parsed, is_turn ? FRAMES_TURN : 0);

	moved.from = start > wishes.until ? start : wishes.until;
	if (moved.from > end)
		return 0;
	return tell_io(&moved, &buffers, &wishes, direction, is_turn);

untold:
	return is_framed ? tell_frames(&moved, &buffers, 0, FRAMES_UNTOLD) : 0;
}

/* They came with 6.10, and with 6.14. */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
extern void bpf_local_irq_save(unsigned long *flags) __ksym __weak;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym __weak;

__hidden int hold_cpu(void)
{
	bpf_preempt_disable();
	return 0;
}

/* A switch to another thread that became due meanwhile would be made here, in a program that has not ended. With
 * interrupts off it is put off, to the moment after. */
__hidden int release_cpu(void)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_preempt_enable();
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *sk, int result, int flags)
{
	return without_preemption(io_done(sk, result, flags, SENT));
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *sk, int result, int flags)
{
	return without_preemption(io_done(sk, result, flags, RECEIVED));
}

/*
 * Before 6.3 the kernel has no such tracepoints: the ends of the functions
 * behind them, by families. What a file is sent by goes page by page.
 */
SEC("?fexit/inet_sendmsg")
int BPF_PROG(inet_sent, struct socket *socket, struct msghdr *message, u64 size, int result)
{
	return io_done(socket->sk, result, 0, SENT);
}

SEC("?fexit/inet6_sendmsg")
int BPF_PROG(inet6_sent, struct socket *socket, struct msghdr *message, u64 size, int result)
{
	return io_done(socket->sk, result, 0, SENT);
}

SEC("?fexit/unix_stream_sendmsg")
int BPF_PROG(unix_sent, struct socket *socket, struct msghdr *message, u64 size, int result)
{
	return io_done(socket->sk, result, 0, SENT);
}

SEC("?fexit/inet_sendpage")
int BPF_PROG(inet_page_sent, struct socket *socket, struct page *page, int offset, u64 size, int flags, int result)
{
	return io_done(socket->sk, result, 0, SENT);
}

SEC("?fexit/unix_stream_sendpage")
int BPF_PROG(unix_page_sent, struct socket *socket, struct page *page, int offset, u64 size, int flags, int result)
{
	return io_done(socket->sk, result, 0, SENT);
}

SEC("?fexit/inet_recvmsg")
int BPF_PROG(inet_received, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)
{
	return io_done(socket->sk, result, flags, RECEIVED);
}

SEC("?fexit/inet6_recvmsg")
int BPF_PROG(inet6_received, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)
{
	return io_done(socket->sk, result, flags, RECEIVED);
}

SEC("?fexit/unix_stream_recvmsg")
int BPF_PROG(unix_received, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)
{
	return io_done(socket->sk, result, flags, RECEIVED);
}
