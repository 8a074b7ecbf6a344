/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP/2 without its bodies: frame after frame is stepped over by its length,
 * and the payload of DATA frames is left out of what is copied (RFC 9113, 4.1).
 *
 * A direction is followed from its first byte, which is the client's preface or
 * a SETTINGS frame, or from where user space knows a frame to begin, because it
 * has read every byte before; and as long as every byte of it comes by here in
 * order. After a hole, or a header that a peer would refuse, nobody knows where a
 * frame begins: then it is told as any other direction, and never followed again.
 */
#ifndef USM_FRAMES_H
#define USM_FRAMES_H

#include "buffers.h"
#include "capture.h"
#include "connection.h"
#include "transfer.h"

enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PUSH_PROMISE = 5,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION = 9,
};

#define SETTING_SIZE 6
#define MAX_FIRST_SETTINGS 1024

static __always_inline u32 frames_flag(u32 direction)
{
	return direction == SENT ? CONN_FRAMES_SENT : CONN_FRAMES_RECEIVED;
}

static __always_inline u32 frame_length(const u8 *header)
{
	return header[0] << 16 | header[1] << 8 | header[2];
}

static __always_inline bool has_stream(const u8 *header)
{
	return (header[5] & 0x7f) | header[6] | header[7] | header[8];
}

/* What a conforming peer would take for a frame: of the others it would end the connection. */
static __always_inline bool is_frame(const u8 *header)
{
	u32 length = frame_length(header);

	switch (header[3]) {
	case FRAME_DATA:
		return has_stream(header);
	case FRAME_HEADERS:
	case FRAME_PUSH_PROMISE:
	case FRAME_CONTINUATION:
		return has_stream(header) && length <= MAX_FRAME_SIZE;
	case FRAME_RST_STREAM:
		return has_stream(header) && length == 4;
	case FRAME_SETTINGS:
		return !has_stream(header) && length % SETTING_SIZE == 0 && length <= MAX_FRAME_SIZE;
	case FRAME_PING:
		return !has_stream(header) && length == 8;
	case FRAME_GOAWAY:
		return !has_stream(header) && length >= 8 && length <= MAX_FRAME_SIZE;
	case FRAME_WINDOW_UPDATE:
		return length == 4;
	default:
		return length <= MAX_FRAME_SIZE;
	}
}

/* A record begins at framer->at. */
static __always_inline void begin_frames_record(struct scratch *scratch)
{
	struct framer *framer = &scratch->framer;
	struct io_event *event = &scratch->io.event;

	framer->record = framer->at;
	framer->fill = 0;
	framer->is_cut = framer->header_fill != 0;
	event->to_frame = framer->is_cut ? 0xffffffff : framer->next - framer->at;
	event->framing = FRAMING_FRAMES | (framer->is_data && framer->next > framer->at ? FRAMING_IN_DATA : 0);
}

/* Sends the record at hand, which goes up to framer->at; the last one stands for the rest of the I/O, too. */
static __always_inline void flush_frames(struct scratch *scratch, bool is_last)
{
	struct framer *framer = &scratch->framer;
	struct io_event *event = &scratch->io.event;
	u32 fill = framer->fill;

	if (framer->is_untold)
		return;
	if (fill > SEGMENT_SIZE) /* for the verifier */
		fill = SEGMENT_SIZE;
	event->position = framer->record;
	event->captured = fill;
	event->size = (is_last ? framer->end : framer->at) - framer->record;
	event->header.flags |= framer->missing << IO_MISSING_SHIFT;
	if (!emit(event, sizeof(*event) + fill, framer->wake))
		framer->lost += event->size;
	framer->copied += fill;
	if (is_last)
		return;
	begin_frames_record(scratch);
	fill_header(&event->header, EVENT_IO, event->header.flags & IO_SENT, event->header.time);
	/* Nobody who is well sends so much beside bodies. */
	if (framer->copied > WINDOW_SIZE && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 8) {
		framer->is_silent = true;
		framer->missing = MISSING_WINDOW;
	}
}

/* The boundary of the next frame will not be known. Ends the loop. */
static __always_inline long lose_frames(struct framer *framer, u8 missing)
{
	framer->is_lost = true;
	if (!framer->missing)
		framer->missing = missing;
	return 1;
}

static __always_inline long next_frames_vector(struct framer *framer)
{
	struct user_iovec vector;

	if (framer->vector >= framer->vector_count ||
	    bpf_probe_read_user(&vector, sizeof(vector), (void *)(framer->vectors + framer->vector * sizeof(vector))))
		return lose_frames(framer, MISSING_FAULT);
	framer->vector++;
	framer->vector_at = framer->vector_end;
	framer->vector_end += vector.size;
	framer->address = vector.base;
	return 0;
}

/* `rest` bytes of this vector belong to the frame under way. */
static __always_inline long pass_payload(struct scratch *scratch, u64 rest)
{
	struct framer *framer = &scratch->framer;
	u32 fill = framer->fill;

	if (framer->is_data || framer->is_silent) {
		framer->at += rest;
		return 0;
	}
	if (fill >= SEGMENT_SIZE) {
		flush_frames(scratch, false);
		return 0;
	}
	if (rest > SEGMENT_SIZE - fill)
		rest = SEGMENT_SIZE - fill;
	if (exceeds(rest, SEGMENT_SIZE))
		return 1;
	if (bpf_probe_read_user(scratch->io.data + fill, rest,
				(void *)(framer->address + (framer->at - framer->vector_at)))) {
		framer->is_silent = true;
		framer->missing = MISSING_FAULT;
		return 0;
	}
	framer->fill = fill + rest;
	framer->at += rest;
	return 0;
}

/* The header at framer->next is whole. */
static __always_inline long enter_frame(struct framer *framer, const u8 *header)
{
	if (unlikely(!is_frame(header)))
		return lose_frames(framer, MISSING_WINDOW);
	framer->is_data = header[3] == FRAME_DATA;
	framer->next += FRAME_HEADER + frame_length(header);
	return 0;
}

/* A header that begins here and is whole in this vector, with what follows it. */
static __always_inline long take_frame(struct scratch *scratch, u64 rest)
{
	struct framer *framer = &scratch->framer;
	u32 fill = framer->fill;
	u64 whole = rest, size;
	u8 *header;

	if (rest > FRAME_PEEK)
		rest = FRAME_PEEK;
	if (rest > SEGMENT_SIZE - fill)
		rest = SEGMENT_SIZE - fill;
	if (exceeds(fill, SEGMENT_SIZE) || exceeds(rest, FRAME_PEEK))
		return 1;
	header = scratch->io.data + fill;
	if (bpf_probe_read_user(header, rest, (void *)(framer->address + (framer->at - framer->vector_at))))
		return lose_frames(framer, MISSING_FAULT);
	enter_frame(framer, header);
	size = framer->is_data || framer->is_lost ? FRAME_HEADER : framer->next - framer->at;
	if (rest > size)
		rest = size;
	framer->fill = fill + rest;
	if (framer->is_lost) {
		framer->at += rest;
		return 1;
	}
	/* What of it is here has been looked at, or is left out. */
	if (framer->is_data)
		rest = whole < framer->next - framer->at ? whole : framer->next - framer->at;
	framer->at += rest;
	return 0;
}

/* A header of which some bytes are elsewhere, or of which nothing is told. */
static __always_inline long gather_header(struct scratch *scratch, u64 rest)
{
	struct framer *framer = &scratch->framer;
	u32 have = framer->header_fill, fill = framer->fill;

	if (have >= FRAME_HEADER) /* for the verifier */
		return 1;
	if (rest > FRAME_HEADER - have)
		rest = FRAME_HEADER - have;
	if (exceeds(rest, FRAME_HEADER))
		return 1;
	if (bpf_probe_read_user(framer->header + have, rest,
				(void *)(framer->address + (framer->at - framer->vector_at))))
		return lose_frames(framer, MISSING_FAULT);
	framer->at += rest;
	framer->header_fill = have + rest;
	if (!framer->is_silent) {
		if (exceeds(fill, SEGMENT_SIZE))
			return 1;
		for (u32 i = 0; i < FRAME_HEADER; i++)
			scratch->io.data[fill + i] = framer->header[have + i];
		framer->fill = fill + rest;
	}
	if (framer->header_fill < FRAME_HEADER)
		return 0;
	framer->header_fill = 0;
	if (enter_frame(framer, framer->header))
		return 1;
	if (framer->is_cut) {
		/* Of the record that began within this header it is known now what follows. Where that is left out,
		 * another one begins. */
		framer->is_cut = false;
		scratch->io.event.to_frame = framer->next - framer->record;
		if (framer->is_data && framer->at < framer->end)
			flush_frames(scratch, false);
	}
	return 0;
}

struct frames_context {
	struct scratch *scratch;
};

/* One step: the next vector, a frame with a few bytes of it, or more of one. */
static long frames_step(u32 index, struct frames_context *context)
{
	struct scratch *scratch = context->scratch;
	struct framer *framer = &scratch->framer;
	u64 at = framer->at, rest;

	if (at >= framer->end)
		return 1;
	if (at >= framer->vector_end)
		return next_frames_vector(framer);
	rest = framer->vector_end - at;
	if (rest > framer->end - at)
		rest = framer->end - at;
	if (at < framer->next)
		return pass_payload(scratch, rest < framer->next - at ? rest : framer->next - at);
	if (framer->fill > SEGMENT_SIZE - FRAME_HEADER && !framer->header_fill) {
		flush_frames(scratch, false);
		return 0;
	}
	if (rest >= FRAME_HEADER && !framer->header_fill && !framer->is_silent)
		return take_frame(scratch, rest);
	return gather_header(scratch, rest);
}

/* Follows the frames of the I/O that the scratch describes, and tells of it. Not static: verified by itself. */
__noinline u32 VARIANT(frames_composed)(void)
{
	struct frames_context context = { .scratch = get_scratch() };
	struct framer *framer;

	if (!context.scratch)
		return 0;
	framer = &context.scratch->framer;
	begin_frames_record(context.scratch);
	/* Where it cannot be read it is passed over, if it all belongs to one frame. */
	if (framer->next >= framer->end && framer->is_silent && !framer->header_fill)
		framer->at = framer->end;
	if (framer->at < framer->end && (!framer->is_unreadable))
		bpf_loop(MAX_FRAME_STEPS, frames_step, &context, 0);
	if (framer->at < framer->end && !framer->is_lost)
		lose_frames(framer, MISSING_WINDOW);
	flush_frames(context.scratch, true);
	return 0;
}

/* The first bytes of an I/O, into framer->header. Returns how many they are. */
static __always_inline u32 read_first_bytes(struct framer *framer, const struct buffers *buffers, u32 size)
{
	struct user_iovec vector = { .base = buffers->address, .size = size };
	u32 fill = 0;

	if (size > FRAME_PREFACE)
		size = FRAME_PREFACE;
	for (u32 i = 0; i < FEW_VECTORS; i++) {
		u64 piece = size - fill;

		if (buffers->vectors &&
		    (i >= buffers->vectors ||
		     bpf_probe_read_user(&vector, sizeof(vector), (void *)(buffers->address + i * sizeof(vector)))))
			break;
		if (piece > vector.size)
			piece = vector.size;
		if (exceeds(fill, FRAME_PREFACE) || exceeds(piece, FRAME_PREFACE))
			break;
		if (bpf_probe_read_user(framer->header + fill, piece, (void *)vector.base))
			break;
		fill += piece;
		if (fill >= size)
			break;
	}
	return fill;
}

/* Where the first frame of a direction begins whose first I/O this is; negative: it has none. Not static: verified by
 * itself. */
__noinline int VARIANT(find_first_frame)(u64 address, u32 vectors, u32 size)
{
	struct buffers buffers = { .address = address, .vectors = vectors };
	struct scratch *scratch = get_scratch();
	const u64 *words;
	u64 here = ~0ULL;
	const u8 *header;
	u32 fill;

	if (!scratch)
		return -1;
	header = scratch->framer.header;
	words = (const u64 *)header;
	fill = read_first_bytes(&scratch->framer, &buffers, size);
	/* "PRI * HT", as much of "TP/2.0\r\n" as is there (Go reads no line end at first), and "\r\nSM\r\n\r\n"
	 * if all is. */
	if (fill > 8 && fill < 16)
		here >>= 8 * (16 - fill);
	if (fill > 8 && words[0] == 0x5448202a20495250 && ((words[1] ^ 0x0a0d302e322f5054) & here) == 0)
		return fill < FRAME_PREFACE || words[2] == 0x0a0d0a0d4d530a0d ? FRAME_PREFACE : -1;
	if (fill < FRAME_HEADER || header[3] != FRAME_SETTINGS || header[4])
		return -1;
	return is_frame(header) && frame_length(header) <= MAX_FIRST_SETTINGS ? 0 : -1;
}

static __noinline __attribute__((unused)) void stop_frames(struct conn *conn, u32 direction)
{
	__sync_fetch_and_and(&conn->flags, ~frames_flag(direction));
	count(COUNTER_FRAMES_LOST, 1);
	/* A walk may begin in its place. */
	__builtin_memset(&conn->framing[direction & 1], 0, sizeof(conn->framing[0]));
}

/* Where user space knows a frame to begin; behind all positions if it does not. */
static __always_inline u64 known_frame(const struct wishes *wishes)
{
	return wishes->walk ^ (1ULL << KNOWN_FRAME_BIT);
}

struct recognising {
	const struct conn *conn;
	u32 flag;
};

static long await_flag(u32 index, struct recognising *recognising)
{
	return (*(volatile u32 *)&recognising->conn->flags & recognising->flag) != 0;
}

/* Whether the other direction of a session is followed, or is about to be: a server reads the preface and sends its
 * SETTINGS on two threads, and the one that reads has moved its position just before it says so. */
static __always_inline bool is_other_followed(const struct conn *conn, u32 direction)
{
	struct recognising recognising = { .conn = conn, .flag = frames_flag(!direction) };

	if (!(conn->flags & recognising.flag))
		bpf_loop(MAX_TLS_WAIT, await_flag, &recognising, 0);
	return conn->flags & recognising.flag;
}

/* A frame begins at `known`, and before it in this I/O is nothing but payload of DATA. */
static __noinline __attribute__((unused)) bool join_frames(struct conn *conn, u64 start, u64 known, u32 flags)
{
	u32 direction = flags & IO_SENT ? SENT : RECEIVED;
	struct frames *frames = &conn->framing[direction].frames;

	if (flags & IO_UNORDERED || conn->flags & walk_flag(direction))
		return false;
	__builtin_memset(&conn->framing[direction], 0, sizeof(conn->framing[0]));
	frames->next = known;
	frames->is_data = known > start;
	__sync_fetch_and_or(&conn->flags, frames_flag(direction));
	return true;
}

/* Whether an I/O at which the direction may begin with frames, or is followed already, is to be followed. `flags` are
 * those of the event. */
static __noinline __attribute__((unused)) bool is_followed(struct conn *conn, const struct buffers *buffers, u64 start,
							   u32 size, u32 flags)
{
	u32 direction = flags & IO_SENT ? SENT : RECEIVED;
	struct frames *frames = &conn->framing[direction].frames;
	int first;

	if (conn->flags & frames_flag(direction)) {
		if (likely(frames->position == start && !(flags & IO_UNORDERED)))
			return true;
		stop_frames(conn, direction);
		return false;
	}
	if (start || flags & IO_UNORDERED || buffers->missing || size < FRAME_HEADER)
		return false;
	/* A session may have said something before it was read: the preface is proof, and so is what answers it. */
	if (!IS_PREEMPTIBLE && !(conn->flags & CONN_FROM_START))
		return false;
	first = VARIANT(find_first_frame)(buffers->address, buffers->vectors, size);
	if (first < 0)
		return false;
	if (IS_PREEMPTIBLE && !first && conn->flow[!direction].position && !is_other_followed(conn, direction))
		return false;
	__builtin_memset(&conn->framing[direction], 0, sizeof(conn->framing[0]));
	frames->next = first;
	__sync_fetch_and_or(&conn->flags, frames_flag(direction));
	return true;
}

/* Whether the I/O is to be followed. */
static __always_inline bool has_frames(struct conn *conn, const struct buffers *buffers, u64 start, u32 size, u32 flags,
				       const struct wishes *wishes)
{
	u32 direction = flags & IO_SENT ? SENT : RECEIVED;

	if (unlikely(conn->flags & frames_flag(direction) || !start))
		return is_followed(conn, buffers, start, size, flags);
	return unlikely(known_frame(wishes) - start < size) && join_frames(conn, start, known_frame(wishes), flags);
}

/* How an I/O with frames is told. */
enum frames_way {
	FRAMES_TURN = 1, /* it is the first of its direction after the other one */
	FRAMES_UNTOLD = 2, /* not at all, it is only followed */
};

/* Tells of an I/O for which has_frames() holds. `moved` lacks what tell_io() sets. */
static __noinline __attribute__((unused)) int tell_frames(struct moved *moved, const struct buffers *buffers,
							  u64 parsed, u32 way)
{
	u32 direction = moved->flags & IO_SENT ? SENT : RECEIVED;
	struct conn *conn = moved->conn;
	struct frames *frames = &conn->framing[direction].frames;
	struct scratch *scratch = get_scratch();
	u64 start = moved->start, end = moved->end;
	struct framer *framer;

	if (!scratch)
		return 0;
	if (way & FRAMES_TURN || frames->parsed != parsed) {
		frames->parsed = parsed;
		frames->copied = 0;
	}
	framer = &scratch->framer;
	framer->at = framer->vector_at = start;
	framer->end = end;
	framer->next = frames->next;
	framer->header_fill = frames->header_fill;
	framer->is_data = frames->is_data;
	__builtin_memcpy(framer->header, frames->header, sizeof(frames->header));
	framer->vectors = framer->address = buffers->address;
	framer->vector_count = buffers->vectors;
	framer->vector_end = buffers->vectors ? start : end;
	framer->vector = 0;
	framer->copied = frames->copied;
	framer->lost = 0;
	framer->is_untold = !!(way & FRAMES_UNTOLD);
	framer->is_silent = framer->is_untold;
	framer->is_lost = framer->is_unreadable = false;
	framer->missing = MISSING_NONE;
	framer->wake = frames->copied > WINDOW_SIZE / 2;
	if (unlikely(frames->copied > WINDOW_SIZE) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_size / 8) {
		framer->is_silent = true;
		framer->missing = MISSING_WINDOW;
	}
	if (unlikely(buffers->missing)) {
		framer->is_silent = framer->is_unreadable = true;
		framer->missing = buffers->missing;
	}
	if (!framer->is_untold) {
		moved->from = start;
		moved->flags |= IO_START | resumed_flag(conn);
		/* Many exchanges are under way at a time: there are no turns of one. */
		moved->published = 0;
		if (direction == SENT && !(framer->is_data && frames->next >= end) && !buffers->missing)
			find_context(moved);
		if (unlikely(moved->published))
			tell_context(moved);
		fill_io(&scratch->io.event, moved);
	}
	VARIANT(frames_composed)();
	if (unlikely(framer->is_lost)) {
		stop_frames(conn, direction);
	} else {
		frames->position = end;
		frames->next = framer->next;
		frames->header_fill = framer->header_fill;
		frames->is_data = framer->is_data;
		frames->copied = framer->copied;
		__builtin_memcpy(frames->header, framer->header, sizeof(frames->header));
	}
	if (framer->is_untold)
		return 0;
	if (unlikely(framer->lost))
		shed(conn, framer->lost);
	else
		note_told(conn, moved->flags);
	return 0;
}

#endif
