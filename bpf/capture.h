/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bounded copies of what an I/O moved, from one buffer or from vectors, in records of at most a segment. */
#ifndef USM_CAPTURE_H
#define USM_CAPTURE_H

#include "buffers.h"
#include "emit.h"

/* Sends what is composed. The last record of an I/O also stands for the bytes behind it that were not copied. */
static __always_inline void flush(struct scratch *scratch, bool is_last)
{
	struct capture *capture = &scratch->capture;
	struct io_event *event = &scratch->io.event;
	u64 rest = capture->end - capture->record;
	u32 fill = capture->fill;

	if (fill > SEGMENT_SIZE)
		fill = SEGMENT_SIZE;
	event->position = capture->record;
	event->captured = fill;
	event->size = is_last ? rest : fill;
	if (is_last && rest > fill)
		event->header.flags |= capture->missing << IO_MISSING_SHIFT;
	if (!emit(event, sizeof(*event) + fill, capture->wake))
		capture->lost += event->size;
	capture->record += fill;
	capture->fill = 0;
}

/* One piece of the vector at hand into the record; a full record is sent and the next one begun. */
static __always_inline void copy_piece(struct scratch *scratch)
{
	struct capture *capture = &scratch->capture;
	struct event_header *header = &scratch->io.event.header;
	u32 fill = capture->fill;
	u64 piece = capture->high - capture->low;

	if (fill >= SEGMENT_SIZE) {
		flush(scratch, false);
		fill_header(header, EVENT_IO, header->flags & IO_SENT, header->time);
		fill = 0;
	}
	if (piece > SEGMENT_SIZE - fill)
		piece = SEGMENT_SIZE - fill;
	if (exceeds(piece, SEGMENT_SIZE))
		return;
	if (bpf_probe_read_user(scratch->io.data + fill, piece,
				(void *)(capture->address + (capture->low - capture->at)))) {
		capture->missing = MISSING_FAULT;
		capture->to = capture->low; /* done */
		capture->high = capture->low;
		return;
	}
	capture->fill = fill + piece;
	capture->low += piece;
}

/* What [from, to) wants of the `size` bytes at `address` that follow the last vector. */
static __always_inline void take_vector(struct capture *capture, u64 address, u64 size)
{
	u64 begin = capture->at;

	capture->address = address;
	capture->low = begin > capture->from ? begin : capture->from;
	capture->high = begin + size < capture->to ? begin + size : capture->to;
}

struct copy_context {
	struct scratch *scratch;
};

static __always_inline void next_vector(struct capture *capture, const struct user_iovec *vector)
{
	capture->at = capture->vector_end;
	capture->vector++;
	take_vector(capture, vector->base, vector->size);
	capture->vector_end = capture->at + vector->size;
}

static long copy_step(u32 index, struct copy_context *context)
{
	struct capture *capture = &context->scratch->capture;
	struct user_iovec vector;

	if (capture->low < capture->high) {
		copy_piece(context->scratch);
		return 0;
	}
	if (capture->vector_end >= capture->to || capture->vector >= capture->vector_count)
		return 1;
	if (bpf_probe_read_user(&vector, sizeof(vector),
				(void *)(capture->vectors + capture->vector * sizeof(vector)))) {
		capture->missing = MISSING_FAULT;
		return 1;
	}
	next_vector(capture, &vector);
	return 0;
}

/* Copies [from, to) of the I/O that begins at capture->at. */
static __always_inline void copy_all(struct scratch *scratch)
{
	struct capture *capture = &scratch->capture;
	struct copy_context context = { .scratch = scratch };
	struct user_iovec *few = scratch->few;
	u32 vectors = capture->vector_count;

	capture->vector_end = capture->at;
	capture->low = capture->high = 0;
	capture->vector = 0;
	if (!vectors) {
		take_vector(capture, capture->vectors, capture->end - capture->at);
		capture->vector_end = capture->end;
		copy_piece(scratch);
	} else if (vectors <= FEW_VECTORS &&
		   !bpf_probe_read_user(few, vectors * sizeof(few[0]), (void *)capture->vectors)) {
		/* The usual case, a head and a body: one read for all vectors, and no callback. */
		for (u32 i = 0; i < FEW_VECTORS; i++) {
			if (i >= vectors || capture->vector_end >= capture->to)
				break;
			next_vector(capture, &few[i]);
			if (capture->low < capture->high)
				copy_piece(scratch);
			if (capture->low < capture->high)
				break;
		}
	}
	if (capture->low == capture->high && (capture->vector == vectors || capture->vector_end >= capture->to))
		return;
	bpf_loop(MAX_VECTORS + MAX_SEGMENTS, copy_step, &context, 0);
}

/*
 * Sends the I/O that the scratch describes, in as many records as it takes.
 * Returns the bytes that the ring refused. Not static: verified by itself,
 * once, and not for every state that its callers may be in.
 */
__noinline u64 VARIANT(send_composed)(void)
{
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	if (scratch->capture.from < scratch->capture.to)
		copy_all(scratch);
	flush(scratch, true);
	return scratch->capture.lost;
}

#endif
