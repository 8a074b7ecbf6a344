/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chunked framing: from a chunk-size line on, chunk after chunk is stepped over
 * by its size. It ends at the last chunk, at anything that is not plainly a
 * chunk-size line, and when the conversation turns; copying goes on from there
 * (RFC 9112, 7.1).
 *
 * Where it begins is either known to user space, or guessed: a long message
 * with a chunk-size line behind its head, or at the start of a later I/O. A
 * guess is a wish to copy less and no claim: user space accepts a walk only
 * where its own parser expects a chunk-size line, and counts the bytes as lost
 * otherwise.
 */
#ifndef USM_WALK_H
#define USM_WALK_H

#include "buffers.h"
#include "connection.h"

#define LINE_INCOMPLETE 0
#define LINE_INVALID 255

/*
 * Reads walker->line, of which `size` bytes are there. Returns the bytes up to
 * and with its LF; the size that it tells goes to walker->chunk. Not static:
 * verified by itself, once.
 */
__noinline u32 VARIANT(parse_chunk_line)(u32 size)
{
	struct scratch *scratch = get_scratch();
	u64 chunk = 0;
	u32 digits = 0;

	if (!scratch)
		return LINE_INVALID;
	for (u32 i = 0; i < MAX_CHUNK_LINE; i++) {
		u8 c = scratch->walker.line[i];

		if (i >= size)
			return LINE_INCOMPLETE;
		if (c == '\n') {
			scratch->walker.chunk = chunk;
			return digits ? i + 1 : LINE_INVALID;
		}
		if (digits > MAX_CHUNK_DIGITS) /* behind the digits: an extension */
			continue;
		if (c >= '0' && c <= '9')
			chunk = chunk << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			chunk = chunk << 4 | ((c | 0x20) - 'a' + 10);
		else if (digits && (c == '\r' || c == ';' || c == ' ' || c == '\t'))
			digits = MAX_CHUNK_DIGITS;
		else
			return LINE_INVALID;
		if (++digits == MAX_CHUNK_DIGITS)
			return LINE_INVALID; /* too large to be true */
	}
	return LINE_INVALID;
}

struct walk_context {
	struct walker *walker;
};

/* One step: the next vector, or what this one has of the next chunk-size line (writers may put digits and CRLF in two
 * vectors). */
static long walk_step(u32 index, struct walk_context *context)
{
	struct walker *walker = context->walker;
	struct user_iovec vector;
	u64 at = walker->next + walker->line_fill;
	u32 fill = walker->line_fill;
	u32 line_size;
	u64 rest;

	if (at >= walker->end)
		return 1;
	if (at >= walker->at + walker->size) {
		walker->at += walker->size;
		if (walker->vector >= walker->vector_count ||
		    bpf_probe_read_user(&vector, sizeof(vector),
					(void *)(walker->vectors + walker->vector * sizeof(vector))))
			return 1;
		walker->vector++;
		walker->address = vector.base;
		walker->size = vector.size;
		return 0;
	}
	rest = walker->at + walker->size - at;
	if (rest > walker->end - at)
		rest = walker->end - at;
	if (fill >= MAX_CHUNK_LINE)
		return 1;
	if (rest > MAX_CHUNK_LINE - fill)
		rest = MAX_CHUNK_LINE - fill;
	if (exceeds(rest, MAX_CHUNK_LINE))
		return 1;
	if (bpf_probe_read_user(walker->line + fill, rest, (void *)(walker->address + (at - walker->at))))
		return 1;
	line_size = VARIANT(parse_chunk_line)(fill + rest);
	if (line_size == LINE_INCOMPLETE) {
		walker->line_fill = fill + rest;
		return 0;
	}
	if (line_size == LINE_INVALID || !walker->chunk)
		return 1;
	walker->line_fill = 0;
	walker->body += walker->chunk;
	walker->next += line_size + walker->chunk + 2;
	return 0;
}

/* Follows the chunks of the I/O that the scratch describes, from walker->next on. Not static: verified by itself. */
__noinline u32 VARIANT(walk_composed)(void)
{
	struct scratch *scratch = get_scratch();
	struct walk_context context = {};

	if (!scratch)
		return 0;
	context.walker = &scratch->walker;
	bpf_loop(MAX_CHUNKS + MAX_VECTORS, walk_step, &context, 0);
	return 0;
}

struct walk_request {
	u64 start; /* of the I/O */
	u64 end;
	u64 from; /* where a new walk begins */
	u32 direction;
};

/*
 * Begins a walk, or continues the one under way. Returns where it ended; that
 * is where it would have begun if there was no chunk, and behind the I/O if it
 * goes on.
 */
static __always_inline u64 walk_io(struct conn *conn, const struct buffers *buffers, const struct walk_request *request)
{
	struct walk *walk = &conn->framing[request->direction].walk;
	bool is_new = !(conn->flags & walk_flag(request->direction));
	struct scratch *scratch = get_scratch();
	struct walker *walker;

	if (!scratch)
		return request->from;
	walker = &scratch->walker;
	walker->next = is_new ? request->from : walk->next;
	walker->body = is_new ? 0 : walk->body;
	walker->end = request->end;
	walker->at = request->start;
	walker->vector = 0;
	walker->line_fill = is_new ? 0 : walk->line_fill;
	__builtin_memcpy(walker->line, walk->line, MAX_CHUNK_LINE);
	walker->vectors = walker->address = buffers->address;
	walker->vector_count = buffers->vectors;
	walker->size = buffers->vectors ? 0 : request->end - request->start;
	if (!buffers->missing && walker->next < walker->end)
		VARIANT(walk_composed)();
	if (walker->line_fill && walker->next + walker->line_fill >= walker->end)
		walk->barred = walker->end;
	if (is_new) {
		if (walker->next == request->from)
			return request->from;
		walk->start = request->from;
	}
	walk->next = walker->next;
	walk->body = walker->body;
	walk->line_fill = 0;
	if (walker->next < walker->end && walker->line_fill < MAX_CHUNK_LINE &&
	    walker->next + walker->line_fill >= walker->end) {
		/* The line goes on in the next I/O. */
		walk->line_fill = walker->line_fill;
		__builtin_memcpy(walk->line, walker->line, MAX_CHUNK_LINE);
	} else if (walker->next < walker->end) {
		__sync_fetch_and_and(&conn->flags, ~walk_flag(request->direction));
		return walker->next;
	}
	__sync_fetch_and_or(&conn->flags, walk_flag(request->direction));
	return walker->end + 1;
}

struct head_context {
	struct scratch *scratch;
	u32 at;
	u32 size;
	u32 found; /* size of the head, its empty line included */
	u32 is_after_line;
};

#define HEAD_STEP 32

/* 1 if equal, else 0, without a branch: of every branch in a loop the verifier follows both sides, each time. */
static __always_inline u32 equals(u32 a, u32 b)
{
	return ((a ^ b) - 1) >> 31;
}

/* Looks for LF, perhaps CR, LF. */
static long head_step(u32 index, struct head_context *context)
{
	u32 found = context->found, is_after_line = context->is_after_line;

	for (u32 i = 0; i < HEAD_STEP; i++) {
		u32 c = context->scratch->io.data[(context->at + i) & (MAX_GUESSED_HEAD - 1)];
		u32 is_line = equals(c, '\n');

		found += (equals(found, 0) & is_line & is_after_line) * (context->at + i + 1);
		is_after_line = is_line | (is_after_line & equals(c, '\r'));
	}
	context->found = found;
	context->is_after_line = is_after_line;
	context->at += HEAD_STEP;
	return found || context->at >= context->size;
}

/* Size of the head that an I/O of `size` bytes begins with, or 0: none that could be told. Not static: verified by
 * itself. */
__noinline u32 VARIANT(guess_head)(u64 address, u32 vectors, u32 size)
{
	struct head_context context = { .scratch = get_scratch() };
	struct user_iovec vector = { .base = address, .size = size };
	u64 first;

	if (!context.scratch)
		return 0;
	if (vectors && bpf_probe_read_user(&vector, sizeof(vector), (void *)address))
		return 0;
	first = vector.size < size ? vector.size : size;
	if (first > MAX_GUESSED_HEAD)
		first = MAX_GUESSED_HEAD;
	if (bpf_probe_read_user(context.scratch->io.data, first, (void *)vector.base))
		return 0;
	if (context.scratch->io.data[0] < 'A' || context.scratch->io.data[0] > 'Z')
		return 0;
	context.size = first;
	bpf_loop(MAX_GUESSED_HEAD / HEAD_STEP, head_step, &context, 0);
	return context.found <= first ? context.found : 0;
}

#endif
