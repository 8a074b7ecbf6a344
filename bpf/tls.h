/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TLS sessions: what a library knows as one connection object, and the
 * plaintext that it takes and gives. A session is bound to a socket by evidence
 * only (tls_binding.h). Of its plaintext it is a connection without a socket:
 * its id stands in place of a cookie.
 */
#ifndef USM_TLS_H
#define USM_TLS_H

#include "connection.h"

#define TLS_HANDSHAKE 22 /* the content type */

/* Session ids are beyond all cookies, and exact in user space. */
#define FIRST_SESSION (1ull << 52)

/* What a library knows the session by: an object of a process, or (Go) the socket itself. */
struct tls_key {
	u64 object;
	u32 tgid; /* 0: the object is a cookie */
	u32 pad;
};

struct tls_session {
	struct conn conn; /* its cookie is the session's id, its positions those of the plaintext */
	u64 carrier; /* cookie of the socket; 0: not known yet */
	u64 since; /* calls of its library that began later are all seen; 0: not known */
	u64 unseen; /* as it was made: when a call of its library ended last of which nobody knows whose it was */
	u8 library; /* tls_library */
	u8 pad[7];
};

/* A library call under way on a thread. */
struct tls_frame {
	u64 object;
	u64 stack; /* stack pointer at the probe: the call is over when this thread's is above */
	u64 buffer;
	u64 count; /* address of the count of bytes, 0: it is the result */
	u64 time; /* of the first send within */
	u32 what; /* its probe's cookie: probe_flag, tls_library, index of the target */
	u32 has_waited; /* its own read would have waited for the peer's bytes */
};

struct tls_thread {
	u32 depth;
	u32 pad;
	struct tls_frame frames[MAX_TLS_FRAMES];
};

/* The first bytes of a record that a library made in memory. */
struct tls_record_key {
	u64 words[3];
	u32 tgid;
	u32 pad;
};

/* The object that made it. */
struct tls_maker {
	u64 object;
	u32 what; /* as of a tls_frame */
	u32 pad;
};

/* tls_key -> session. Written here; deleted with the object, or with the socket. */
struct tls_sessions_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_TLS_SESSIONS);
	__type(key, struct tls_key);
	__type(value, struct tls_session);
};
extern struct tls_sessions_map tls_sessions SEC(".maps");

/* Zeros. */
struct tls_blank_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tls_session);
};
extern struct tls_blank_map tls_blank SEC(".maps");

/* Thread -> calls under way. Written here; freed with the thread. */
struct tls_threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_thread);
};
extern struct tls_threads_map tls_threads SEC(".maps");

/* Record -> what made it. Written as a record is made, deleted as it is sent; aged out. */
struct tls_records_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_TLS_RECORDS);
	__type(key, struct tls_record_key);
	__type(value, struct tls_maker);
};
extern struct tls_records_map tls_records SEC(".maps");

/* Index -> library. Written by user space. */
struct tls_targets_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_TLS_TARGETS);
	__type(key, u32);
	__type(value, struct tls_target);
};
extern struct tls_targets_map tls_targets SEC(".maps");

/*
 * Index of a library -> when a call ended last of which nobody knows whose it
 * was: it began before the probes were there, or its memory could not be read.
 * Written here.
 */
struct tls_unseen_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_TLS_TARGETS);
	__type(key, u32);
	__type(value, u64);
};
extern struct tls_unseen_map tls_unseen SEC(".maps");

/* Sessions made so far. */
extern u64 tls_session_count;

/* The frame of a depth, from 1, and no other memory whatever the depth. */
static __always_inline struct tls_frame *frame_at(struct tls_thread *thread, u32 depth)
{
	u32 index = depth - 1;

	barrier_var(index); /* else the compiler leaves out what a verifier wants to see */
	return &thread->frames[index % MAX_TLS_FRAMES];
}

/* Calls that are over without a word (an exception, a jump) have left their frames below the stack pointer. */
static __always_inline u32 live_depth(struct tls_thread *thread, u64 stack)
{
	u32 depth = thread->depth;

	for (int i = 0; i < MAX_TLS_FRAMES; i++) {
		if (depth == 0 || depth > MAX_TLS_FRAMES || frame_at(thread, depth)->stack > stack)
			break;
		depth--;
	}
	return depth > MAX_TLS_FRAMES ? 0 : depth;
}

/* The header of a record: a content type, a version that is 3.0 to 3.4, a plausible size (RFC 8446, 5.1). */
static __always_inline bool is_tls_record(const u8 *head)
{
	return head[0] >= 20 && head[0] <= 23 && head[1] == 3 && head[2] <= 4 &&
	       (head[3] << 8 | head[4]) <= 16384 + 2048;
}

/* Which connection a session belongs to, or that it is none's (TLS_EVIDENCE_CONTRADICTION, TLS_EVIDENCE_UNFOLLOWED). */
static __noinline __attribute__((unused)) int tell_secure(struct tls_session *session, u32 evidence, u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct secure_event event = {};

	if (!session)
		return 0;
	event.session = session->conn.cookie;
	event.cookie = session->conn.flags & CONN_CONTESTED ? 0 : session->carrier;
	event.since = session->since;
	event.start_time = session->conn.start_time;
	event.tgid = task->tgid;
	event.tid = task->pid;
	event.library = session->library;
	event.evidence = evidence;
	fill_header(&event.header, EVENT_SECURE, flags, bpf_ktime_get_ns());
	/* Without it the rest is of no use; user space counts what waits for it. */
	if (!emit(&event, sizeof(event), false))
		__sync_fetch_and_or(&session->conn.flags, CONN_IGNORED);
	return 0;
}

/* Its plaintext goes, or went, a way that is not followed: what of it comes later would have the wrong place. */
static __noinline __attribute__((unused)) int give_up(struct tls_session *session)
{
	if (!session || session->conn.flags & (CONN_IGNORED | CONN_CONTESTED))
		return 0;
	__sync_fetch_and_or(&session->conn.flags, CONN_CONTESTED);
	return tell_secure(session, TLS_EVIDENCE_UNFOLLOWED, 0);
}

/* Parts of an attach cookie. */
static __always_inline u32 target_index(u32 what)
{
	return what >> 16;
}

static __always_inline u32 library_of(u32 what)
{
	return what >> 8 & 0xff;
}

static __always_inline u64 last_unseen(u32 index)
{
	const u64 *time = bpf_map_lookup_elem(&tls_unseen, &index);

	return time ? *time : 0;
}

/* Since when all calls of a target's library are seen that begin. */
static __always_inline u64 seen_since(u32 index, u64 unseen)
{
	const struct tls_target *target = bpf_map_lookup_elem(&tls_targets, &index);

	if (!target || !target->since)
		return 0;
	return unseen > target->since ? unseen : target->since;
}

/* A call moved plaintext, and of which session is not known: all that there are may lack it. */
static __always_inline void note_unseen(u32 index)
{
	u64 now = bpf_ktime_get_ns(), *time = bpf_map_lookup_elem(&tls_unseen, &index);

	if (!time)
		return;
	for (int i = 0; i < MAX_TLS_TRIES; i++) {
		u64 known = *time;

		if (known >= now || __sync_val_compare_and_swap(time, known, now) == known)
			break;
	}
}

struct making {
	struct tls_session *session;
};

static long await_cookie(u32 index, struct making *making)
{
	return *(volatile u64 *)&making->session->conn.cookie != 0;
}

/* Another thread may be making it, which takes less than a microsecond: a server that reads and writes at once does. */
static __always_inline struct tls_session *await_made(struct tls_session *session)
{
	struct making making = { .session = session };

	if (unlikely(!session->conn.cookie))
		bpf_loop(MAX_TLS_WAIT, await_cookie, &making, 0);
	return session;
}

/* The session of a key; made if it is not there yet. One without a cookie is being made by another thread. */
static __noinline __attribute__((unused)) struct tls_session *tls_session_of(const struct tls_key *key, u32 what)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 start_time = task->group_leader->start_boottime;
	struct tls_session *session;
	u32 zero = 0;
	u64 id;

	if (!key)
		return 0;
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (likely(session)) {
		/* A process id may come back; its start does not. A cookie never does. */
		if (likely(!key->tgid || session->conn.start_time == start_time || !session->conn.cookie))
			return await_made(session);
		bpf_map_delete_elem(&tls_sessions, key);
	}
	/* Too large for the stack. */
	session = bpf_map_lookup_elem(&tls_blank, &zero);
	if (!session)
		return 0;
	if (bpf_map_update_elem(&tls_sessions, key, session, BPF_NOEXIST) == 0) {
		session = bpf_map_lookup_elem(&tls_sessions, key);
		if (!session)
			return 0;
		session->conn.start_time = start_time;
		session->library = library_of(what);
		session->unseen = last_unseen(target_index(what));
		session->since = seen_since(target_index(what), session->unseen);
		session->carrier = key->tgid ? 0 : key->object;
		id = FIRST_SESSION + __sync_fetch_and_add(&tls_session_count, 1);
		/* Last, and not before the rest is there. */
		__sync_lock_test_and_set(&session->conn.cookie, id);
		if (session->carrier)
			tell_secure(session, TLS_EVIDENCE_DESCRIPTOR, 0);
		return session;
	}
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (session)
		return await_made(session);
	count(COUNTER_TLS_SESSIONS_FULL, 1);
	return 0;
}

/* Of Go, whose connection is asked for its socket at every call. */
static __always_inline struct tls_session *tls_socket_session(u64 cookie, u32 what)
{
	struct tls_key key = { .object = cookie };

	return tls_session_of(&key, what);
}

/*
 * `size` bytes of plaintext at a user address moved, in this thread. `flags`: IO_SENT, or perhaps IO_BLOCKING. `time`
 * 0: now. In tls.bpf.c.
 */
int tls_tell(struct tls_session *session, u32 flags, u64 address, u64 size, u64 time);

/* The session is over, its socket may not be. In tls.bpf.c. */
int tls_end(struct tls_session *session);

/* Cookie of the TCP socket that is this descriptor of the current process, 0: there is none. In tls.bpf.c. */
u64 tls_socket_cookie(u64 number);

#endif
