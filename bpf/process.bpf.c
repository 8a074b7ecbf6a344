// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a process says of itself, and when it changes its image or ends. Births
 * need no event: a process speaks at its first observed I/O.
 *
 * The functions without `static` are verified by themselves, once: each takes
 * numbers, looks its scratch up and returns a number.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "compat.h"
#include "emit.h"
#include "process.h"

/* Room for a path, its last component overhanging. */
#define PATH_MASK (MAX_PATH - 1)

/* Writes "/outermost/…/innermost" at `at`; returns its size. */
__noinline u32 join_names(u32 at)
{
	struct scratch *scratch = get_scratch();
	u32 size = 0;

	if (!scratch)
		return 0;
	for (int i = MAX_PATH_DEPTH - 1; i >= 0; i--) {
		u8 *to;
		long n;

		if (i >= (int)scratch->names.count)
			continue;
		if (size >= MAX_PATH)
			break;
		to = scratch->process.data + (at & 4095) + (size & PATH_MASK);
		*to = '/';
		n = bpf_probe_read_kernel_str(to + 1, 256, scratch->names.name[i]);
		if (n > 1 && n <= 256) /* n counts the final 0 */
			size += n;
	}
	return size;
}

/* Path of the executable up to the root of its mount namespace (d_path is not to be had in these programs). */
__noinline u32 read_executable(u32 at)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	if (!file || !scratch)
		return 0;
	scratch->names.count = 0;
	for (int i = 0; i < MAX_PATH_DEPTH * 2; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		u32 count = scratch->names.count;

		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
			struct mount *outer = BPF_CORE_READ(mount, mnt_parent);

			if (outer == mount)
				break;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = outer;
			continue;
		}
		if (count >= MAX_PATH_DEPTH)
			return 0;
		scratch->names.name[count] = (const char *)BPF_CORE_READ(dentry, d_name.name);
		scratch->names.count = count + 1;
		dentry = parent;
	}
	return join_names(at);
}

__noinline u32 read_cgroup(u32 at)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);

	if (!scratch)
		return 0;
	scratch->names.count = 0;
	for (int i = 0; i < MAX_CGROUP_DEPTH; i++) {
		struct kernfs_node *parent = kernfs_parent(node);

		if (!parent) /* the root has no name */
			break;
		scratch->names.name[i] = BPF_CORE_READ(node, name);
		scratch->names.count = i + 1;
		node = parent;
	}
	return join_names(at);
}

/* Copies [from, to) of the current process page by page: one that is swapped out must not cost what is before it. */
__noinline u32 read_area(u32 at, u64 from, u64 to, u32 bound)
{
	struct scratch *scratch = get_scratch();
	u64 size = to - from;
	u32 done = 0;

	if (!scratch || !from || to <= from)
		return 0;
	if (size > bound)
		size = bound;
	for (int i = 0; i < MAX_ENVIRONMENT / 4096 + 2; i++) {
		u32 piece = 4096 - ((from + done) & 4095);

		if (done >= size || done > MAX_ENVIRONMENT)
			break;
		if (piece > size - done)
			piece = size - done;
		if (piece > 4096)
			break;
		if (bpf_probe_read_user(scratch->process.data + (at & 8191) + done, piece, (void *)(from + done)))
			break;
		done += piece;
	}
	return done;
}

/* Rules that want the path of `size` bytes at `at`, or (cgroups) what it is below of. */
__noinline u64 rules_for_path(u32 at, u32 size, u32 is_cgroup)
{
	struct scratch *scratch = get_scratch();
	struct path_key key = {};
	u64 rules = 0, *wanted;

	if (!scratch)
		return 0;
	at &= 4095;
	for (u32 i = 0; i < FILTER_PATH - 1; i++) {
		u8 c;

		if (i >= size)
			break;
		c = scratch->process.data[at + i];
		if (is_cgroup && c == '/' && i) {
			wanted = bpf_map_lookup_elem(&cgroups, &key);
			rules |= wanted ? *wanted : 0;
		}
		key.path[i] = c;
	}
	wanted = is_cgroup ? bpf_map_lookup_elem(&cgroups, &key) : bpf_map_lookup_elem(&executables, &key);
	return rules | (wanted ? *wanted : 0);
}

__noinline u64 describe_process(u64 time)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct process_event *event;
	u64 rules = ~0ull, from, to;
	u32 size, at;

	if (!scratch)
		return 0;
	event = &scratch->process.event;
	event->start_time = BPF_CORE_READ(task, group_leader, start_boottime);
	event->tgid = BPF_CORE_READ(task, tgid);
	event->exec_id = BPF_CORE_READ(task, self_exec_id);
	event->cgroup_id = bpf_get_current_cgroup_id();
	BPF_CORE_READ_INTO((char(*)[16])event->comm, task, group_leader, comm);

	event->executable_size = size = read_executable(0);
	if (any_executable != ~0ull)
		rules &= any_executable | rules_for_path(0, size, false);
	at = size;

	event->cgroup_size = size = read_cgroup(at);
	if (any_cgroup != ~0ull)
		rules &= any_cgroup | rules_for_path(at, size, true);
	at += size;

	from = BPF_CORE_READ(task, mm, arg_start);
	to = BPF_CORE_READ(task, mm, arg_end);
	event->args_size = size = read_area(at, from, to, MAX_ARGS);
	at += size;

	from = BPF_CORE_READ(task, mm, env_start);
	to = BPF_CORE_READ(task, mm, env_end);
	event->environment_size = size = read_area(at, from, to, MAX_ENVIRONMENT);
	at += size;
	if (to - from > MAX_ENVIRONMENT)
		count(COUNTER_ENVIRONMENT_CUT, 1);

	fill_header(&event->header, EVENT_PROCESS, 0, time);
	if (at < 2 * SEGMENT_SIZE)
		emit(event, sizeof(*event) + at, false);
	return rules;
}

struct linux_binprm;

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_executed, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	u32 tgid = task->tgid;

	bpf_map_delete_elem(&processes, &tgid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exited, struct task_struct *task)
{
	struct process_exit_event event = {};
	u32 tgid = task->tgid;

	if (task->pid != tgid || !bpf_map_lookup_elem(&processes, &tgid))
		return 0;
	event.start_time = task->start_boottime;
	event.tgid = tgid;
	event.exit_code = task->exit_code;
	fill_header(&event.header, EVENT_PROCESS_EXIT, 0, bpf_ktime_get_ns());
	emit(&event, sizeof(event), false);
	bpf_map_delete_elem(&processes, &tgid);
	return 0;
}
