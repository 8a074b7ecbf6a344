/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the threads of a process have their contexts, by what it has proven itself (registration.bpf.c). */
#ifndef USM_REGISTRATION_H
#define USM_REGISTRATION_H

#include "compat.h"
#include "maps.h"

/* No: certainly not. */
static __always_inline bool may_be_registered(struct task_struct *task)
{
	return has_registration && (IS_PREEMPTIBLE || task->group_leader->bpf_storage);
}

/* Of the process of `task`, which is the running one; 0: it has not registered, or was another program then. */
static __always_inline struct context_place *registered_place(struct task_struct *task)
{
	struct context_place *place;

	if (!has_registration)
		return 0;
	/* Programs that may sleep are trusted with the leader of a thread only within. */
	if (IS_PREEMPTIBLE && has_kernel_functions())
		bpf_rcu_read_lock();
	place = bpf_task_storage_get(&registered_places, task->group_leader, 0, 0);
	if (IS_PREEMPTIBLE && has_kernel_functions())
		bpf_rcu_read_unlock();
	return place && place->exec_id == (u32)task->self_exec_id ? place : 0;
}

#endif
