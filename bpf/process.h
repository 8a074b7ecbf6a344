/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process describes itself at its first observed I/O, in its own context:
 * /proc may be gone by the time that user space looks.
 */
#ifndef USM_PROCESS_H
#define USM_PROCESS_H

#include "emit.h"

/* Emits a process_event for the current process; returns the filter rules that want its executable and cgroup. */
u64 describe_process(u64 time);

/*
 * Makes the current process known, if this image of it is not, and finds the
 * rules that want it. False: the ring refused its description, so that it is
 * to be told again.
 */
static __noinline __attribute__((unused)) bool know_process(struct task_struct *task, u64 time, u64 *rules)
{
	u32 tgid = task->tgid;
	struct known_process fresh = { .exec_id = task->self_exec_id,
				       .start_time = task->group_leader->start_boottime };
	struct known_process *known = bpf_map_lookup_elem(&processes, &tgid);
	struct scratch *scratch;

	if (known && known->exec_id == fresh.exec_id && known->start_time == fresh.start_time) {
		*rules = known->rules;
		return true;
	}
	fresh.rules = *rules = describe_process(time);
	scratch = get_scratch();
	if (!scratch || !scratch->describing.is_told)
		return false;
	bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY);
	return true;
}

#endif
