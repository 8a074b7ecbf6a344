/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TLS sessions: what a library knows as one connection object, and the
 * plaintext that it takes and gives. A session is bound to a socket by evidence
 * only (tls_binding.h); its events carry its own id in place of a cookie.
 *
 * These programs can be preempted: no scratch of a CPU here, and counts that
 * others on this CPU share are raised in one instruction.
 */
#ifndef USM_TLS_H
#define USM_TLS_H

#include "emit.h"
#include "wishes.h"

#define TLS_HANDSHAKE 22 /* the content type */

/* Session ids are beyond all cookies, and exact in user space. */
#define FIRST_SESSION (1ull << 52)

enum tls_session_flag {
	TLS_IGNORED = 1, /* nothing of it is wanted */
	TLS_CONTESTED = 2, /* the evidence contradicts itself: it stays unbound */
	TLS_RESUMED = 4, /* the ring refused a record of it since the last one that was taken */
};

/* What a library knows the session by: an object of a process, or (Go) the socket itself. */
struct tls_key {
	u64 object;
	u32 tgid; /* 0: the object is a cookie */
	u32 pad;
};

struct tls_session {
	u64 id;
	u64 cookie; /* of its socket; 0: not known yet */
	u64 start_time; /* of the process */
	u64 position[2]; /* of the plaintext, by direction */
	u64 limit[2]; /* copied up to here without word from user space */
	u32 flags;
	u8 library; /* tls_library */
	u8 last_flow; /* 1 + direction of the last plaintext */
	u8 pad[2];
};

/* A library call under way on a thread. */
struct tls_frame {
	u64 object;
	u64 stack; /* stack pointer at the probe: the call is over when this thread's is above */
	u64 buffer;
	u64 count; /* address of the count of bytes, 0: it is the result */
	u64 time; /* of the first send within */
	u32 flags; /* probe_flag */
	u32 pad;
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

/* tls_key -> session. Written here; deleted with the object, or with the socket. */
struct tls_sessions_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_TLS_SESSIONS);
	__type(key, struct tls_key);
	__type(value, struct tls_session);
};
extern struct tls_sessions_map tls_sessions SEC(".maps");

/* Thread -> calls under way. Written here; freed with the thread. */
struct tls_threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_thread);
};
extern struct tls_threads_map tls_threads SEC(".maps");

/* Record -> object that made it. Written as a record is made, deleted as it is sent; aged out. */
struct tls_records_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_TLS_RECORDS);
	__type(key, struct tls_record_key);
	__type(value, u64);
};
extern struct tls_records_map tls_records SEC(".maps");

/* Sessions made so far. */
extern u64 tls_session_count;

static __noinline __attribute__((unused)) void tls_count(u32 counter, u64 amount)
{
	u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		__sync_fetch_and_add(value, amount);
}

static __always_inline void tls_header(struct event_header *header, u8 kind, u8 flags, u64 time)
{
	u32 zero = 0;
	u32 *sequence = bpf_map_lookup_elem(&sequences, &zero);

	header->time = time;
	header->sequence = sequence ? __sync_fetch_and_add(sequence, 1) : 0;
	header->cpu = bpf_get_smp_processor_id();
	header->kind = kind;
	header->flags = flags;
}

/* Calls that are over without a word (an exception, a jump) have left their frames below the stack pointer. */
static __always_inline u32 live_depth(const struct tls_thread *thread, u64 stack)
{
	u32 depth = thread->depth;

	for (int i = 0; i < MAX_TLS_FRAMES; i++) {
		if (depth == 0 || depth > MAX_TLS_FRAMES || thread->frames[(depth - 1) % MAX_TLS_FRAMES].stack > stack)
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

/* TLS_RESUMED becomes IO_RESUMED of the next record. */
static __always_inline u8 tls_resumed(const struct tls_session *session)
{
	return session->flags & TLS_RESUMED ? IO_RESUMED : 0;
}

static __always_inline void tls_told(struct tls_session *session, bool is_taken, u64 size)
{
	if (unlikely(!is_taken)) {
		__sync_fetch_and_or(&session->flags, TLS_RESUMED);
		tls_count(COUNTER_RING_FULL, 1);
		tls_count(COUNTER_LOST_BYTES, size);
	} else if (unlikely(session->flags & TLS_RESUMED)) {
		__sync_fetch_and_and(&session->flags, ~TLS_RESUMED);
	}
}

/* Which connection a session belongs to, or that nobody will ever know (evidence TLS_EVIDENCE_CONTRADICTION). */
static __noinline __attribute__((unused)) int tell_secure(struct tls_session *session, u32 evidence)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct secure_event event = {};

	if (!session)
		return 0;
	event.session = session->id;
	event.cookie = evidence == TLS_EVIDENCE_CONTRADICTION ? 0 : session->cookie;
	event.start_time = task->group_leader->start_boottime;
	event.tgid = task->tgid;
	event.tid = task->pid;
	event.library = session->library;
	event.evidence = evidence;
	tls_header(&event.header, EVENT_SECURE, 0, bpf_ktime_get_ns());
	if (bpf_ringbuf_output(&ring, &event, sizeof(event), BPF_RB_NO_WAKEUP)) {
		tls_count(COUNTER_RING_FULL, 1);
		/* Without it the rest is of no use; user space counts what waits for it. */
		__sync_fetch_and_or(&session->flags, TLS_IGNORED);
	}
	return 0;
}

/* The session is over, its socket may not be. */
static __noinline __attribute__((unused)) int tell_session_end(struct tls_session *session)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct end_event event = {};

	if (!session)
		return 0;
	event.cookie = session->id;
	event.sent_position = session->position[SENT];
	event.received_position = session->position[RECEIVED];
	event.start_time = task->group_leader->start_boottime;
	event.tgid = task->tgid;
	event.tid = task->pid;
	event.cause = END_CLOSED;
	tls_header(&event.header, EVENT_END, tls_resumed(session), bpf_ktime_get_ns());
	tls_told(session, !bpf_ringbuf_output(&ring, &event, sizeof(event), BPF_RB_NO_WAKEUP), 0);
	return 0;
}

/* The session of a key; made if it is not there yet. */
static __noinline __attribute__((unused)) struct tls_session *tls_session_of(const struct tls_key *key, u32 library)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_session *session, fresh = {};

	if (!key)
		return 0;
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (likely(session)) {
		/* A process id may come back; its start does not. A cookie never does. */
		if (likely(!key->tgid || session->start_time == task->group_leader->start_boottime))
			return session;
		bpf_map_delete_elem(&tls_sessions, key);
	}
	fresh.id = FIRST_SESSION + __sync_fetch_and_add(&tls_session_count, 1);
	fresh.start_time = task->group_leader->start_boottime;
	fresh.library = library;
	if (!key->tgid)
		fresh.cookie = key->object;
	if (bpf_map_update_elem(&tls_sessions, key, &fresh, BPF_NOEXIST)) {
		session = bpf_map_lookup_elem(&tls_sessions, key);
		if (!session)
			tls_count(COUNTER_TLS_SESSIONS_FULL, 1);
		return session;
	}
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (session && session->cookie)
		tell_secure(session, TLS_EVIDENCE_DESCRIPTOR);
	return session;
}

/* Of Go, whose connection is asked for its socket at every call. */
static __always_inline struct tls_session *tls_socket_session(u64 cookie, u32 library)
{
	struct tls_key key = { .object = cookie };

	return tls_session_of(&key, library);
}

/* `size` bytes of plaintext at a user address moved, in this thread. `time` 0: now. In tls.bpf.c. */
int tls_tell(struct tls_session *session, u32 direction, u64 address, u64 size, u64 time);

#endif
