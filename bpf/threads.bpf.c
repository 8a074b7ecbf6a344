// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where the threads of a process, or of all, have their thread-local storage:
 * for explaining what there is to read (usm-receiver doctor), not for
 * observing. An object of its own.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "compat.h"
#include "event.h"

/* 0: all of them. */
const volatile u32 wanted_tgid = 0;

/* clang-format breaks the line behind a section. */
/* clang-format off */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
/* clang-format on */

SEC("iter/task")
int list_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread_entry entry = {};

	if (!task || (task->flags & PF_KTHREAD) || (wanted_tgid && task->tgid != wanted_tgid))
		return 0;
	entry.start_time = task->group_leader->start_boottime;
	entry.thread_pointer = thread_pointer(task);
	entry.tgid = task->tgid;
	entry.tid = task->pid;
	bpf_probe_read_kernel_str(entry.comm, sizeof(entry.comm), task->comm);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}
