/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A place -> the address of the running thread's variable. How C libraries lay
 * thread-local storage out: https://www.akkadia.org/drepper/tls.pdf
 */
#ifndef USM_THREAD_VARIABLE_H
#define USM_THREAD_VARIABLE_H

#include "compat.h"
#include "event.h"

/* What is said instead of the address of a variable. */
#define VARIABLE_NONE 0
#define VARIABLE_FAULT 1

/*
 * The variable in the running thread's block of the place's module, whose block may never have been touched, or be
 * gone. What is read of the DTV goes to `head`. Not inlined: what it needs of the stack is its own.
 */
static __noinline u64 find_in_module(const struct context_place *place, u64 pointer, u64 head[DTV_HEAD])
{
	s64 entry = (s64)((u64)place->module * place->entry_size) - place->count_offset;
	bool is_near = entry >= 0 && entry <= (s64)((DTV_HEAD - 1) * sizeof(u64)) && !(entry & 7);
	u32 least = (place->generation ? 3 : 1) * sizeof(u64), size = entry + sizeof(u64);
	u64 dtv, from, block;

	if (bpf_probe_read_user(&dtv, sizeof(dtv), (void *)(pointer + place->dtv_offset)))
		return VARIABLE_FAULT;
	from = dtv + place->count_offset;
	/* A read costs the same whatever its size: so the count, the generation and the entry at once, if they are near
	 * and the DTV is that long. */
	if (size < least)
		size = least;
	if (!is_near || exceeds(size, DTV_HEAD * sizeof(u64)) || bpf_probe_read_user(head, size, (void *)from)) {
		is_near = false;
		if (bpf_probe_read_user(head, least, (void *)from))
			return VARIABLE_FAULT;
	}
	if ((place->generation && head[2] < place->generation) || place->module > head[0])
		return VARIABLE_NONE;
	if (is_near)
		block = head[(u64)entry / sizeof(u64) % DTV_HEAD];
	else if (bpf_probe_read_user(&block, sizeof(block), (void *)(from + entry)))
		return VARIABLE_FAULT;
	return block && block != ~0ull ? block + place->offset : VARIABLE_NONE;
}

/* Where the running thread has the pointer to its record. */
static __always_inline u64 find_variable(struct task_struct *task, const struct context_place *place,
					 u64 head[DTV_HEAD])
{
	u64 pointer = thread_pointer(task);

	if (unlikely(!pointer))
		return VARIABLE_NONE;
	return place->module ? find_in_module(place, pointer, head) : pointer + place->offset;
}

#endif
