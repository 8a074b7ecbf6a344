/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one piece of framing that the kernel knows: from a chunk-size line that
 * user space has proven, chunk after chunk is stepped over by its size. It
 * ends at the last chunk, or at anything that is not plainly a chunk-size
 * line, and copying goes on from there (RFC 9112, 7.1).
 */
#ifndef USM_WALK_H
#define USM_WALK_H

#include "buffers.h"
#include "emit.h"

/*
 * Reads walker->line, of which `size` bytes are there. Returns the bytes up to
 * and with its LF, or 0 if it is no chunk-size line; the size itself goes to
 * walker->chunk. Not static: verified by itself, once.
 */
__noinline u32 parse_chunk_line(u32 size)
{
	struct scratch *scratch = get_scratch();
	u64 chunk = 0;
	u32 digits = 0;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < MAX_CHUNK_LINE; i++) {
		u8 c = scratch->walker.line[i];

		if (i >= size)
			return 0;
		if (c == '\n') {
			scratch->walker.chunk = chunk;
			return digits ? i + 1 : 0;
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
			return 0;
		if (++digits == MAX_CHUNK_DIGITS)
			return 0; /* too large to be true */
	}
	return 0;
}

struct walk_context {
	struct walker *walker;
};

/* One step: the next vector, or the next chunk of this one. */
static long walk_step(u32 index, struct walk_context *context)
{
	struct walker *walker = context->walker;
	struct user_iovec vector;
	u64 rest;
	u32 line_size;

	if (walker->next >= walker->end)
		return 1;
	if (walker->next >= walker->at + walker->size) {
		walker->at += walker->size;
		if (walker->vector >= walker->vector_count ||
		    bpf_probe_read_user(&vector, sizeof(vector), (void *)(walker->vectors + walker->vector * sizeof(vector)))) {
			walker->stopped = 1;
			return 1;
		}
		walker->vector++;
		walker->address = vector.base;
		walker->size = vector.size;
		return 0;
	}
	rest = walker->at + walker->size - walker->next;
	if (rest > walker->end - walker->next)
		rest = walker->end - walker->next;
	if (rest > sizeof(walker->line))
		rest = sizeof(walker->line);
	walker->stopped = 1; /* unless this is a chunk */
	if (bpf_probe_read_user(walker->line, rest, (void *)(walker->address + (walker->next - walker->at))))
		return 1;
	line_size = parse_chunk_line(rest);
	if (!line_size || !walker->chunk)
		return 1;
	walker->stopped = 0;
	walker->body += walker->chunk;
	walker->next += line_size + walker->chunk + 2;
	return 0;
}

/* Follows the chunks of the I/O [start, walker->end) from walker->next on. */
static __always_inline void walk_chunks(struct walker *walker, struct buffers *buffers, u64 start)
{
	struct walk_context context = { .walker = walker };

	if (buffers->missing || walker->next >= walker->end)
		return;
	walker->at = start;
	walker->vector = 0;
	walker->vectors = buffers->address;
	walker->vector_count = buffers->vectors;
	walker->address = buffers->address;
	walker->size = buffers->vectors ? 0 : walker->end - start;
	bpf_loop(MAX_CHUNKS + MAX_VECTORS, walk_step, &context, 0);
}

#endif
