// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Plaintext of a TLS session, on its way to user space: what of it is wanted, and the records that tell of it. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "tls.h"

/* One record with up to `capacity` bytes of plaintext. A reservation's size must be a constant. */
#define TLS_PIECE(capacity)                                                                                       \
	if (captured <= (capacity)) {                                                                             \
		struct {                                                                                          \
			struct io_event event;                                                                    \
			u8 data[capacity];                                                                        \
		} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);                                       \
		if (unlikely(!record))                                                                            \
			return false;                                                                             \
		record->event = piece->event;                                                                     \
		tls_header(&record->event.header, EVENT_IO, piece->event.header.flags, piece->event.header.time); \
		barrier_var(captured);                                                                            \
		if (captured > (capacity)) /* for the verifier */                                                 \
			captured = capacity;                                                                      \
		if (unlikely(captured && bpf_probe_read_user(record->data, captured, (void *)piece->address))) {  \
			record->event.captured = 0;                                                               \
			record->event.header.flags |= MISSING_FAULT << 4;                                         \
		}                                                                                                 \
		bpf_ringbuf_submit(record, piece->wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);                 \
		return true;                                                                                      \
	}

struct tls_piece {
	struct io_event event;
	u64 address;
	u32 wake;
	u32 pad;
};

/* Not static: verified by itself, once. Returns whether the ring took it. */
__noinline int send_piece(struct tls_piece *piece)
{
	u64 captured;

	if (!piece)
		return false;
	captured = piece->event.captured;
	TLS_PIECE(256)
	TLS_PIECE(1024)
	TLS_PIECE(SMALL_SIZE)
	TLS_PIECE(TLS_SEGMENT)
	return false;
}

struct tls_telling {
	struct tls_session *session;
	struct tls_piece piece;
	u64 at; /* next byte to tell of … */
	u64 to; /* … copied up to here … */
	u64 end; /* … and told of up to here */
};

static long tell_step(u32 index, struct tls_telling *telling)
{
	struct tls_piece *piece = &telling->piece;
	u64 captured = telling->to - telling->at;
	u64 size = telling->end - telling->at;
	bool is_taken;

	if (captured > TLS_SEGMENT) {
		captured = size = TLS_SEGMENT;
	} else if (size > captured) {
		piece->event.header.flags |= MISSING_WINDOW << 4;
	}
	piece->event.position = telling->at;
	piece->event.size = size;
	piece->event.captured = captured;
	is_taken = send_piece(piece);
	tls_told(telling->session, is_taken, size);
	piece->event.header.flags &= IO_SENT;
	if (!is_taken)
		piece->event.header.flags |= IO_RESUMED;
	piece->address += captured;
	telling->at += size;
	return telling->at >= telling->end;
}

__noinline int tls_tell(struct tls_session *session, u32 direction, u64 address, u64 size, u64 time)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_telling telling = { .session = session };
	struct io_event *event = &telling.piece.event;
	struct wishes wishes;
	u64 start, limit;

	if (!session || size > MAX_TLS_CALL || session->flags & (TLS_IGNORED | TLS_CONTESTED))
		return 0;
	direction &= 1;
	start = __sync_fetch_and_add(&session->position[direction], size);
	read_wishes(session->id, direction, &wishes);
	if (unlikely(wishes.ignore)) {
		__sync_fetch_and_or(&session->flags, TLS_IGNORED);
		return 0;
	}
	if (session->last_flow != direction + 1) {
		session->last_flow = direction + 1;
		session->limit[direction] = start + WINDOW_SIZE;
	}
	telling.at = start > wishes.until ? start : wishes.until;
	telling.end = start + size;
	if (telling.at > telling.end)
		return 0;
	limit = wishes.parsed + WINDOW_SIZE;
	if (limit < session->limit[direction])
		limit = session->limit[direction];
	telling.to = telling.end;
	if (unlikely(telling.end > limit) && size > TINY_SIZE &&
	    bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 8)
		telling.to = limit > telling.at ? limit : telling.at;

	event->header.time = time ? time : bpf_ktime_get_ns();
	event->header.flags = (direction == SENT ? IO_SENT : 0) | tls_resumed(session);
	if (telling.at == start)
		event->header.flags |= IO_START;
	event->cookie = session->id;
	event->other_position = session->position[!direction];
	event->start_time = task->group_leader->start_boottime;
	event->tgid = task->tgid;
	event->tid = task->pid;
	telling.piece.address = address + (telling.at - start);
	telling.piece.wake = telling.end > limit - WINDOW_SIZE / 2;
	bpf_loop(MAX_TLS_PIECES, tell_step, &telling, 0);
	return 0;
}
