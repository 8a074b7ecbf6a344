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

/*
 * All walks are callbacks of bpf_loop() and keep their state in the scratch,
 * whose values the verifier does not follow: each body is looked at once.
 */
struct describe_context {
	struct scratch *scratch;
};

#define PATH_MASK (MAX_PATH - 1)

static long join_step(u32 index, struct describe_context *context)
{
	struct describing *state = &context->scratch->describing;
	u32 i = state->count - 1 - index;
	u8 *to;
	long n;

	if (i >= MAX_PATH_DEPTH || state->size >= MAX_PATH)
		return 1;
	to = context->scratch->process.data + (state->at & 4095) + (state->size & PATH_MASK);
	*to = '/';
	n = bpf_probe_read_kernel_str(to + 1, 256, state->name[i]);
	if (n > 1 && n <= 256) /* n counts the final 0 */
		state->size += n;
	return 0;
}

/* Writes "/outermost/…/innermost" at `at`; returns its size. */
static __always_inline u32 join_names(struct scratch *scratch, u32 at)
{
	struct describe_context context = { .scratch = scratch };

	scratch->describing.at = at;
	scratch->describing.size = 0;
	bpf_loop(MAX_PATH_DEPTH, join_step, &context, 0);
	return scratch->describing.size;
}

static long executable_step(u32 index, struct describe_context *context)
{
	struct describing *state = &context->scratch->describing;
	struct dentry *dentry = (void *)state->dentry;
	struct mount *mount = (void *)state->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	u32 count = state->count;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
		struct mount *outer = BPF_CORE_READ(mount, mnt_parent);

		if (outer == mount)
			return 1;
		state->dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		state->mount = (u64)outer;
		return 0;
	}
	if (count >= MAX_PATH_DEPTH) {
		state->count = 0; /* half a path is none */
		return 1;
	}
	state->name[count] = (const char *)BPF_CORE_READ(dentry, d_name.name);
	state->count = count + 1;
	state->dentry = (u64)parent;
	return 0;
}

/* Path of the executable up to the root of its mount namespace (d_path is not to be had in these programs). */
__noinline u32 read_executable(u32 at)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct describe_context context = { .scratch = scratch };
	struct file *file = BPF_CORE_READ(task, mm, exe_file);

	if (!file || !scratch)
		return 0;
	scratch->describing.count = 0;
	scratch->describing.dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
	scratch->describing.mount = (u64)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	bpf_loop(2 * MAX_PATH_DEPTH, executable_step, &context, 0);
	return join_names(scratch, at);
}

static long cgroup_step(u32 index, struct describe_context *context)
{
	struct describing *state = &context->scratch->describing;
	struct kernfs_node *node = (void *)state->node;
	struct kernfs_node *parent = kernfs_parent(node);
	u32 count = state->count;

	if (!parent || count >= MAX_PATH_DEPTH) /* the root has no name */
		return 1;
	state->name[count] = BPF_CORE_READ(node, name);
	state->count = count + 1;
	state->node = (u64)parent;
	return 0;
}

__noinline u32 read_cgroup(u32 at)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = get_scratch();
	struct describe_context context = { .scratch = scratch };

	if (!scratch)
		return 0;
	scratch->describing.count = 0;
	scratch->describing.node = (u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	bpf_loop(MAX_PATH_DEPTH, cgroup_step, &context, 0);
	return join_names(scratch, at);
}

static long area_step(u32 index, struct describe_context *context)
{
	struct describing *state = &context->scratch->describing;
	u64 from = state->from + state->size;
	u32 done = state->size;
	u32 piece = 4096 - (from & 4095);

	if (from >= state->to || done > MAX_ENVIRONMENT)
		return 1;
	if (piece > state->to - from)
		piece = state->to - from;
	if (exceeds(piece, 4096) ||
	    bpf_probe_read_user(context->scratch->process.data + (state->at & 8191) + done, piece, (void *)from))
		return 1;
	state->size = done + piece;
	return 0;
}

/* Copies [from, to) of the current process page by page: one that is swapped out must not cost what is before it. */
__noinline u32 read_area(u32 at, u64 from, u64 to, u32 bound)
{
	struct scratch *scratch = get_scratch();
	struct describe_context context = { .scratch = scratch };

	if (!scratch || !from || to <= from)
		return 0;
	scratch->describing.at = at;
	scratch->describing.size = 0;
	scratch->describing.from = from;
	scratch->describing.to = to - from > bound ? from + bound : to;
	bpf_loop(MAX_ENVIRONMENT / 4096 + 2, area_step, &context, 0);
	return scratch->describing.size;
}

struct path_context {
	struct scratch *scratch;
	u64 rules;
	u32 at;
	u32 size;
	u32 is_cgroup;
};

static __always_inline u64 rules_for_key(struct path_key *key, u32 is_cgroup)
{
	u64 *rules = is_cgroup ? bpf_map_lookup_elem(&cgroups, key) : bpf_map_lookup_elem(&executables, key);

	return rules ? *rules : 0;
}

static long path_step(u32 index, struct path_context *context)
{
	struct path_key *key = &context->scratch->describing.key;
	u8 c;

	if (index >= context->size || index >= FILTER_PATH - 1)
		return 1;
	c = context->scratch->process.data[(context->at & 4095) + (index & (FILTER_PATH - 1))];
	if (context->is_cgroup && c == '/' && index)
		context->rules |= rules_for_key(key, true);
	key->path[index & (FILTER_PATH - 1)] = c;
	return 0;
}

/* Rules that want the path of `size` bytes at `at`, or (cgroups) what it is below of. */
__noinline u64 rules_for_path(u32 at, u32 size, u32 is_cgroup)
{
	struct path_context context = { .scratch = get_scratch(), .at = at, .size = size, .is_cgroup = is_cgroup };

	if (!context.scratch)
		return 0;
	__builtin_memset(&context.scratch->describing.key, 0, sizeof(struct path_key));
	bpf_loop(FILTER_PATH, path_step, &context, 0);
	return context.rules | rules_for_key(&context.scratch->describing.key, is_cgroup);
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
	scratch->describing.is_told = at < 2 * SEGMENT_SIZE && emit(event, sizeof(*event) + at, false);
	return rules;
}

struct linux_binprm;

static __always_inline int tell_exec(struct task_struct *task)
{
	struct exec_event event = {};
	u32 tgid = task->tgid;

	bpf_map_delete_elem(&processes, &tgid);
	if (!tell_execs)
		return 0;
	event.start_time = task->group_leader->start_boottime;
	event.tgid = tgid;
	event.exec_id = BPF_CORE_READ(task, self_exec_id);
	fill_header(&event.header, EVENT_EXEC, 0, bpf_ktime_get_ns());
	/* Its libraries are to be probed before it is through with its start. */
	emit(&event, sizeof(event), true);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_executed, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	return without_preemption(tell_exec(task));
}

static __always_inline int tell_exit(struct task_struct *task)
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

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exited, struct task_struct *task)
{
	return without_preemption(tell_exit(task));
}
