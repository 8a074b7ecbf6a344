/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A place -> the address of the running thread's variable. How C libraries lay
 * thread-local storage out: https://www.akkadia.org/drepper/tls.pdf
 */
#ifndef USM_THREAD_VARIABLE_H
#define USM_THREAD_VARIABLE_H

#include "compat.h"
#include "event.h"

/* Where the thread has the pointer to its record. 0: it has none; its block was never touched, or is gone. */
static __always_inline long find_variable(struct task_struct *task, const struct context_place *place, u64 *variable)
{
	u64 pointer = thread_pointer(task);
	u64 dtv, block, head[3] = {};

	*variable = 0;
	if (!pointer)
		return 0;
	if (!place->module) {
		*variable = pointer + place->offset;
		return 0;
	}
	if (bpf_probe_read_user(&dtv, sizeof(dtv), (void *)(pointer + place->dtv_offset)))
		return -1;
	if (place->generation) {
		if (bpf_probe_read_user(head, sizeof(head), (void *)(dtv + place->count_offset)))
			return -1;
		if (head[2] < place->generation)
			return 0;
	} else if (bpf_probe_read_user(head, sizeof(head[0]), (void *)(dtv + place->count_offset))) {
		return -1;
	}
	if (place->module > head[0])
		return 0;
	if (bpf_probe_read_user(&block, sizeof(block), (void *)(dtv + (u64)place->module * place->entry_size)))
		return -1;
	if (block && block != ~0ull)
		*variable = block + place->offset;
	return 0;
}

#endif
