// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the kernel knows of processes and threads beside any traffic: where
 * threads have their thread-local storage, to explain what there is to read
 * (usm-receiver doctor); how much processes have mapped, to see which of them
 * may have published something. Iterators, so nobody is slowed down. An object
 * of its own.
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

SEC("iter/task")
int list_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_size entry = {};
	struct mm_struct *mm;

	if (!task || task->pid != task->tgid)
		return 0;
	mm = task->mm;
	if (!mm)
		return 0;
	entry.start_time = task->start_boottime;
	entry.pages = mm->total_vm;
	entry.tgid = task->tgid;
	entry.mappings = mm->map_count;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}
