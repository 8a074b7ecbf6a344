// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Plaintext of TLS sessions, on its way to user space like the I/O of any connection; and the sockets of Go's. */
#define PREEMPTIBLE
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "compat.h"
#include "frames.h"
#include "tls.h"
#include "transfer.h"

static __always_inline int tell_plaintext(struct scratch *scratch, struct conn *conn, u32 flags, u64 address, u32 size,
					  u64 time)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 direction = flags & IO_SENT ? SENT : RECEIVED;
	struct flow *flow = &conn->flow[direction];
	struct buffers *buffers = &scratch->buffers;
	struct wishes *wishes = &scratch->wishes;
	bool is_framed, is_turn = conn->last_flow != direction + 1;
	struct moved moved = { .conn = conn, .task = task, .flags = is_turn ? flags : flags & IO_SENT };
	u64 start = __sync_fetch_and_add(&flow->position, size);

	buffers->address = address;
	buffers->vectors = 0;
	buffers->missing = address ? MISSING_NONE : MISSING_NOT_IN_MEMORY;
	read_wishes(conn->cookie, direction, wishes);
	if (unlikely(wishes->ignore)) {
		__sync_fetch_and_or(&conn->flags, CONN_IGNORED);
		return 0;
	}
	moved.time = time ? time : bpf_ktime_get_ns();
	moved.start = start;
	moved.end = start + size;
	moved.other_position = conn->flow[!direction].position;
	is_framed = has_frames(conn, buffers, start, size, moved.flags, wishes);
	if (unlikely(conn->flags & CONN_SHED) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 2) {
		count(COUNTER_LOST_BYTES, size);
		return is_framed ? tell_frames(&moved, buffers, 0, FRAMES_UNTOLD) : 0;
	}
	if (is_turn) {
		stop_walk(conn, !direction, moved.time);
		conn->last_flow = direction + 1;
		flow->limit = start + WINDOW_SIZE;
	}
	if (is_framed)
		return tell_frames(&moved, buffers, wishes->parsed, is_turn ? FRAMES_TURN : 0);
	moved.from = start > wishes->until ? start : wishes->until;
	if (moved.from > moved.end)
		return 0;
	return tell_io(&moved, buffers, wishes, direction, is_turn);
}

/* With the scratch to itself. */
static __always_inline int tell_alone(struct scratch *scratch, struct conn *conn, u32 flags, u64 address, u32 size,
				      u64 time)
{
	if (__sync_val_compare_and_swap(&scratch->is_taken, 0, 1)) {
		/* Whoever has it was preempted: rare, and not worth waiting for. Since 7.0 nobody is. */
		__sync_fetch_and_add(&conn->flow[flags & IO_SENT].position, size);
		shed(conn, size);
		return 0;
	}
	tell_plaintext(scratch, conn, flags & (IO_SENT | IO_BLOCKING), address, size, time);
	scratch->is_taken = 0;
	return 0;
}

/* Not static: verified by itself, once. */
__noinline int tls_tell(struct tls_session *session, u32 flags, u64 address, u64 size, u64 time)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch = get_scratch();
	struct conn *conn;

	if (!session || !scratch || size >> 32)
		return 0;
	conn = &session->conn;
	if (conn->flags & (CONN_IGNORED | CONN_CONTESTED))
		return 0;
	if (unlikely(!conn->cookie)) {
		/* Another thread is making it. What follows has its place behind this. */
		__sync_fetch_and_add(&conn->flow[flags & IO_SENT].position, size);
		count(COUNTER_LOST_BYTES, size);
		return 0;
	}
	/* A connection may be handed on from process to process, and a child of fork has its parent's. */
	conn->start_time = task->group_leader->start_boottime;
	return without_preemption(tell_alone(scratch, conn, flags, address, size, time));
}

/* The session is over, its socket may not be. */
__noinline int tls_end(struct tls_session *session)
{
	struct end_event event = { .cause = END_CLOSED };

	if (session && !(session->conn.flags & (CONN_IGNORED | CONN_CONTESTED)))
		emit_end(&session->conn, &event, 0);
	return 0;
}

/* Cookie of the TCP socket that is this descriptor of the current process, 0: there is none. */
static __always_inline u64 find_socket_cookie(u64 number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct files_struct *files = task->files;
	struct fdtable *table = files->fdt;
	struct socket *socket;
	struct file *file;
	struct sock *sk;

	/* A thread that has left the table of its process: Go's own numbers are those of the process. */
	if (files != task->group_leader->files || number >= table->max_fds ||
	    bpf_probe_read_kernel(&file, sizeof(file), table->fd + number) || !file)
		return 0;
	/* Two pointers that lead back: no other kind of file has them. */
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || BPF_CORE_READ(socket, file) != file || BPF_CORE_READ(sk, sk_socket) != socket ||
	    BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		return 0;
	return BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

/* Not static: of the files that are linked, Debian 12's bpftool lets one use these functions of the kernel. */
__noinline u64 tls_socket_cookie(u64 number)
{
	u64 cookie;

	if (has_kernel_functions())
		bpf_rcu_read_lock();
	cookie = find_socket_cookie(number);
	if (has_kernel_functions())
		bpf_rcu_read_unlock();
	return cookie;
}
