/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the threads of a process have their contexts, by what it has proven itself (registration.bpf.c). */
#ifndef USM_REGISTRATION_H
#define USM_REGISTRATION_H

#include "maps.h"

/* Of the process of `task`, which is the running one; 0: it has not registered, or was another program then. */
static __always_inline struct context_place *registered_place(struct task_struct *task)
{
	struct context_place *place;

#ifdef PREEMPTIBLE
	/* They may sleep, and the verifier does not trust them with the leader of a thread. */
	return 0;
#endif
	if (!has_registration)
		return 0;
	place = bpf_task_storage_get(&registered_places, task->group_leader, 0, 0);
	return place && place->exec_id == (u32)task->self_exec_id ? place : 0;
}

#endif
