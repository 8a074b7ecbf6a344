/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes that moved, on their way to user space: what of them is wanted, and the records that tell of them. */
#ifndef USM_TRANSFER_H
#define USM_TRANSFER_H

#include "capture.h"
#include "connection.h"
#include "thread_context.h"
#include "walk.h"
#include "wishes.h"

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
	event->to_frame = 0;
	event->framing = 0;
	event->has_context = 0;
}

/* Bytes at the end of a record that the context takes. */
static __always_inline u64 context_size(const struct moved *moved)
{
	return unlikely(moved->published) ? sizeof(struct thread_context) : 0;
}

/* Puts it there, before `end`, if it is one. */
static __always_inline void put_context(const struct moved *moved, struct io_event *event, u8 *end)
{
	if (unlikely(moved->published))
		event->has_context =
			VARIANT(copy_context)((void *)(end - sizeof(struct thread_context)), moved->published);
}

/*
 * The usual I/O, one buffer of moderate size, is read straight into the ring.
 * A reservation's size must be a constant, so there are sizes to choose from;
 * what is behind `captured` are bytes of earlier records.
 */
#define SEND_SMALL(capacity)                                                              \
	if (size <= (capacity) && size + rest <= (capacity)) {                            \
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
			record->event.header.flags |= MISSING_FAULT << IO_MISSING_SHIFT;  \
		}                                                                         \
		put_context(moved, &record->event, record->data + sizeof(record->data));  \
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

static AT_EACH_IO __attribute__((unused)) int send_small(const struct moved *moved, u64 address)
{
	u64 size = moved->end - moved->from, rest = context_size(moved);

	barrier_var(size); /* computed once: what verifiers know of one computation they do not know of another */
	SEND_SMALL(128)
	SEND_SMALL(256)
	SEND_SMALL(512)
	SEND_SMALL(1024)
	SEND_SMALL(SMALL_SIZE)
full:
	refused(moved->conn, size);
	return 0;
}

/*
 * So is what two vectors hold, mostly a head and its body. Where the second
 * begins is not known to the verifier, so there is room for a whole one there.
 */
#define SEND_PAIR(capacity)                                                                                   \
	if (size <= (capacity)) {                                                                             \
		struct {                                                                                      \
			struct io_event event;                                                                \
			u8 data[2 * (capacity)];                                                              \
		} * record;                                                                                   \
		if (first > (capacity) || rest > (capacity)) /* for the verifier */                           \
			return 0;                                                                             \
		record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);                                      \
		if (unlikely(!record))                                                                        \
			goto full;                                                                            \
		fill_io(&record->event, moved);                                                               \
		record->event.size = size;                                                                    \
		record->event.captured = size;                                                                \
		if (unlikely(bpf_probe_read_user(record->data, first, (void *)pair[0].base))) {               \
			record->event.captured = 0;                                                           \
			record->event.header.flags |= MISSING_FAULT << IO_MISSING_SHIFT;                      \
		} else if (unlikely(bpf_probe_read_user(record->data + first, rest, (void *)pair[1].base))) { \
			record->event.captured = first;                                                       \
			record->event.header.flags |= MISSING_FAULT << IO_MISSING_SHIFT;                      \
		}                                                                                             \
		put_context(moved, &record->event, record->data + sizeof(record->data));                      \
		bpf_ringbuf_submit(record, wakeup(&record->event.header, moved->wake));                       \
		note_told(moved->conn, moved->flags);                                                         \
		return 0;                                                                                     \
	}

static __noinline __attribute__((unused)) int send_pair(const struct moved *moved, u64 vectors)
{
	u64 size = moved->end - moved->from, first, rest;
	struct user_iovec pair[2];

	if (bpf_probe_read_user(pair, sizeof(pair), (void *)vectors))
		pair[0].size = pair[1].size = 0;
	first = pair[0].size < size ? pair[0].size : size;
	rest = size - first;
	barrier_var(first);
	barrier_var(rest);
	SEND_PAIR(512)
	SEND_PAIR(SMALL_SIZE)
full:
	refused(moved->conn, size);
	return 0;
}

/* Everything else: composed in this CPU's scratch. */
static __noinline int send_large(const struct moved *moved, const struct buffers *buffers, u64 to)
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
	capture->to = to;
	capture->record = moved->from;
	capture->end = moved->end;
	capture->vectors = buffers->address;
	capture->vector_count = buffers->vectors;
	capture->lost = 0;
	capture->fill = 0;
	capture->missing = buffers->missing ? buffers->missing : MISSING_WINDOW;
	capture->wake = moved->wake;
	lost = VARIANT(send_composed)();
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

/* `is_whole`: all of the I/O comes here, not only what a walk has left of it. A constant: the verifier looks at the
 * usual ways but once. */
static __always_inline int send(struct moved *moved, struct buffers *buffers, u64 limit, bool is_whole)
{
	u64 to = moved->end;

	moved->flags |= resumed_flag(moved->conn);
	if (unlikely(moved->end > limit) &&
	    bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > room_for(moved->end - moved->from))
		to = limit;
	if (unlikely(buffers->missing || to < moved->from))
		to = moved->from;
	if (likely(is_whole && to == moved->end && !buffers->missing &&
		   moved->end - moved->from + context_size(moved) <= SMALL_SIZE)) {
		if (likely(!buffers->vectors))
			return send_small(moved, buffers->address + (moved->from - moved->start));
		if (buffers->vectors == 2 && moved->from == moved->start)
			return send_pair(moved, buffers->address);
	}
	if (unlikely(moved->published))
		tell_context(moved);
	return send_large(moved, buffers, to);
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

	/* It is told of in several records. */
	if (unlikely(moved->published))
		tell_context(moved);
	if (!is_walking && walked == walk_from)
		return send(moved, buffers, limit, false);
	if (walk_from > moved->from) {
		moved->end = walk_from;
		send(moved, buffers, limit, false);
	}
	if (walked > end)
		return 0;
	emit_walk(conn, direction, walked, moved->time);
	moved->from = walked;
	moved->end = end;
	moved->flags &= ~(IO_START | IO_RESUMED);
	if (walked < moved->start) {
		send_kept(moved, &conn->framing[direction].walk);
		moved->from = moved->start;
	}
	return send(moved, buffers, limit, false);
}

/* A walk cannot begin where the last one broke off within a line. */
static __always_inline bool is_barred(const struct walk *walk, u64 start)
{
	return start && start == walk->barred;
}

/* Where chunks may begin in an I/O, 0: nowhere. */
static __always_inline u64 guess_chunks(struct buffers *buffers, u64 start, u32 size, bool is_turn)
{
	u32 head;

	if (!is_turn)
		return start;
	head = VARIANT(guess_head)(buffers->address, buffers->vectors, size);
	return head ? start + head : 0;
}

/*
 * Tells of an I/O what user space wants of it. `moved` lacks `published` and `wake`;
 * `is_turn`: the first of its direction after the other one.
 */
static __always_inline int tell_io(struct moved *moved, struct buffers *buffers, const struct wishes *wishes,
				   u32 direction, bool is_turn)
{
	struct conn *conn = moved->conn;
	struct walk *walk = &conn->framing[direction].walk;
	u64 start = moved->start, end = moved->end, walk_from = 0;
	u64 limit = wishes->parsed + WINDOW_SIZE;
	u32 size = end - start;
	bool is_walking;

	if (limit < conn->flow[direction].limit)
		limit = conn->flow[direction].limit;
	if (moved->from == start)
		moved->flags |= IO_START;
	moved->wake = end > limit - WINDOW_SIZE / 2;

	/* Of what a client asks and a server answers. */
	moved->published = 0;
	if (direction == SENT && is_turn && (moved->flags & (IO_START | IO_UNORDERED)) == IO_START && !buffers->missing)
		find_context(moved);

	/* The next chunk-size line passed while nothing was looked at (shed, or moved unseen): there is nothing to go
	 * on from. */
	is_walking = conn->flags & walk_flag(direction);
	if (unlikely(is_walking && walk->next + walk->line_fill < start)) {
		stop_walk(conn, direction, moved->time);
		is_walking = false;
	}
	if (unlikely(is_walking))
		walk_from = start;
	else if (unlikely(wishes->walk && wishes->walk >= start && wishes->walk < end))
		walk_from = wishes->walk;
	else if (unlikely(size >= MIN_GUESS_SIZE && !buffers->missing && moved->from == start &&
			  !is_barred(walk, start)))
		walk_from = guess_chunks(buffers, start, size, is_turn);
	if (unlikely(walk_from))
		return send_walked(moved, buffers, limit, walk_from);
	return send(moved, buffers, limit, true);
}

#endif
