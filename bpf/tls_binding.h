/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which socket a TLS session belongs to, by what is seen at the socket: I/O
 * within the library's own call, on its thread and in its direction; or bytes
 * that begin as a record begins that the library has just made in memory.
 * One to one: a second candidate on either side ends it for both.
 */
#ifndef USM_TLS_BINDING_H
#define USM_TLS_BINDING_H

#include "buffers.h"
#include "tls.h"

/* The first bytes of an I/O, where they lie in one buffer. Not inlined: seldom come by, and what it needs of the stack
 * is its own. */
static __noinline bool read_start(struct task_struct *task, void *to, u32 size, u32 moved)
{
	struct buffers buffers;
	struct user_iovec vector;

	if (moved < size || is_message_array(task))
		return false;
	find_buffers(&buffers, task, moved, false);
	if (buffers.missing)
		return false;
	if (buffers.vectors) {
		if (bpf_probe_read_user(&vector, sizeof(vector), (void *)buffers.address) || vector.size < size)
			return false;
		buffers.address = vector.base;
	}
	return !bpf_probe_read_user(to, size, (void *)buffers.address);
}

/*
 * At the first I/O of a connection that we see. From the beginning it must be a
 * handshake; one that is older may be anywhere, and begin with any record.
 */
static __always_inline void recognise_tls(struct conn *conn, struct task_struct *task, u32 size)
{
	u8 head[5] = {};

	if (!read_start(task, head, sizeof(head), size) || !is_tls_record(head))
		return;
	if ((conn->flags & CONN_FROM_START) && head[0] != TLS_HANDSHAKE)
		return;
	__sync_fetch_and_or(&conn->flags, CONN_TLS);
}

static __always_inline void contest(struct tls_session *session)
{
	if (session->conn.flags & CONN_CONTESTED)
		return;
	__sync_fetch_and_or(&session->conn.flags, CONN_CONTESTED);
	count(COUNTER_TLS_CONTRADICTION, 1);
	tell_secure(session, TLS_EVIDENCE_CONTRADICTION, 0);
}

/* A child of fork goes on with the session of its parent. */
static __always_inline void inherit(struct tls_session *session, const struct tls_session *old)
{
	u64 start_time = session->conn.start_time;

	session->conn = old->conn;
	session->conn.start_time = start_time;
	session->carrier = old->carrier;
	session->since = old->since;
	session->unseen = old->unseen;
}

/* There is evidence that `object` of this process belongs to the connection. */
static __noinline int attest(struct conn *conn, u64 object, u32 what, u32 evidence)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_key key = { .object = object, .tgid = task->tgid };
	struct tls_key old_key = { .object = conn->tls_object, .tgid = conn->tls_tgid };
	struct tls_session *session = tls_session_of(&key, what), *old = 0;

	if (!session || !session->conn.cookie || session->conn.flags & CONN_CONTESTED)
		return 0;
	if (conn->tls_object)
		old = bpf_map_lookup_elem(&tls_sessions, &old_key);
	if (old && old->carrier == conn->cookie && old != session) {
		bool is_fresh = !session->carrier && !session->conn.flow[SENT].position &&
				!session->conn.flow[RECEIVED].position;

		if (object != conn->tls_object || !(is_fresh || session->conn.cookie == old->conn.cookie)) {
			contest(old);
			contest(session);
			return 0;
		}
		inherit(session, old);
	} else if (session->carrier && session->carrier != conn->cookie) {
		contest(session);
		return 0;
	} else if (!session->carrier) {
		session->carrier = conn->cookie;
		if (conn->flags & CONN_IGNORED) {
			__sync_fetch_and_or(&session->conn.flags, CONN_IGNORED);
			evidence = TLS_EVIDENCE_IGNORED;
		}
		tell_secure(session, evidence, conn->tls_object ? SECURE_AGAIN : 0);
	}
	conn->tls_object = object;
	conn->tls_tgid = task->tgid;
	return 0;
}

/*
 * I/O on a connection that carries TLS: nothing of it is told, but it may say whose it is, and `waits`, of a read,
 * that it would have waited for its bytes.
 */
static __noinline int secure_io(struct conn *conn, struct task_struct *task, u32 size, u32 direction, bool waits)
{
	struct tls_thread *thread = bpf_task_storage_get(&tls_threads, task, 0, 0);
	struct tls_record_key record = { .tgid = task->tgid };
	struct tls_frame *frame;
	struct tls_maker *maker;
	u32 depth;

	if (!thread)
		return 0;
	depth = live_depth(thread, stack_pointer(registers_of(task)));
	if (depth) {
		frame = frame_at(thread, depth);
		if (direction != (frame->what & PROBE_SENT ? SENT : RECEIVED))
			return 0;
		if (direction == SENT && !frame->time)
			frame->time = bpf_ktime_get_ns();
		if (waits)
			frame->has_waited = true;
		if (conn->tls_object != frame->object || conn->tls_tgid != (u32)task->tgid)
			attest(conn, frame->object, frame->what, TLS_EVIDENCE_NESTED);
		return 0;
	}
	if (direction != SENT || conn->tls_object || !read_start(task, record.words, sizeof(record.words), size))
		return 0;
	maker = bpf_map_lookup_elem(&tls_records, &record);
	if (!maker)
		return 0;
	attest(conn, maker->object, maker->what, TLS_EVIDENCE_CIPHERTEXT);
	bpf_map_delete_elem(&tls_records, &record);
	return 0;
}

#endif
