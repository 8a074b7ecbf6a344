// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Calls into a TLS library that has one object per connection (OpenSSL,
 * GnuTLS): what is written and read in plaintext. Where the probes stand is
 * chosen by user space (receiver/tls); the attach cookie says what each is.
 */
#define PREEMPTIBLE
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "compat.h"
#include "tls.h"

/* The arguments are those of SSL_write(): object, buffer, size, and perhaps where the count is to go. */
static __always_inline int enter(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 object = argument1(ctx), count_pointer = argument4(ctx);
	u32 what = bpf_get_attach_cookie(ctx);
	u64 buffer = what & PROBE_NO_BUFFER ? 0 : argument2(ctx);
	u64 stack = stack_pointer(ctx);
	u32 index = target_index(what);
	const struct tls_target *target;
	struct tls_thread *thread;
	struct tls_frame *frame;
	u32 depth;

	if (task->tgid == self_tgid)
		return 0;
	/* Nothing is told before all probes are there: a request whose answer is not seen would get another one. */
	target = bpf_map_lookup_elem(&tls_targets, &index);
	if (!target || !target->active)
		return 0;
	thread = bpf_task_storage_get(&tls_threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		count(COUNTER_STORAGE_FULL, 1);
		return 0;
	}
	depth = live_depth(thread, stack);
	if (depth >= MAX_TLS_FRAMES) {
		thread->depth = 0;
		return 0;
	}
	/* One function of the library is made of another: the outer one tells. */
	frame = frame_at(thread, depth);
	if (depth && frame->object == object && (frame->buffer == buffer || frame->what & PROBE_IS_QUIET))
		return 0;
	frame = frame_at(thread, depth + 1);
	frame->object = object;
	frame->buffer = buffer;
	frame->count = what & PROBE_COUNT_POINTER ? count_pointer : 0;
	frame->stack = stack;
	frame->time = 0;
	frame->what = what;
	frame->has_waited = 0;
	thread->depth = depth + 1;
	return 0;
}

static __always_inline int leave(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_thread *thread = bpf_task_storage_get(&tls_threads, task, 0, 0);
	s64 what = bpf_get_attach_cookie(ctx);
	u64 stack = stack_pointer(ctx);
	struct tls_session *session;
	struct tls_frame *frame;
	struct tls_key key = {};
	int result = call_result(ctx);
	u64 size = result, count;
	u32 depth, flags;

	/* What is deeper has ended; this call's own frame is not below its own stack pointer. */
	depth = thread ? live_depth(thread, stack - 1) : 0;
	if (thread)
		thread->depth = depth;
	if (!thread || depth == 0) {
		/* Nobody saw it begin. Its session will be made by a later call. */
		if (result > 0 && task->tgid != self_tgid)
			note_unseen(target_index(what));
		return 0;
	}
	frame = frame_at(thread, depth);
	if (frame->stack != stack)
		return 0;
	thread->depth = depth - 1;
	if (result <= 0 || frame->what & PROBE_IS_QUIET)
		return 0;
	count = what & PROBE_COUNT_ON_STACK ? stack + (what >> 32) : frame->count;
	if (count && bpf_probe_read_user(&size, sizeof(size), (void *)count))
		return 0;
	if (!size)
		return 0;
	key.object = frame->object;
	key.tgid = task->tgid;
	session = tls_session_of(&key, frame->what);
	flags = frame->what & PROBE_SENT ? IO_SENT : frame->has_waited ? IO_BLOCKING : 0;
	return tls_tell(session, flags, frame->buffer, size, frame->time);
}

/* BIO_write(bio, data, size) within a call: the first record of what is to be sent, by which its send will be known. */
static __always_inline int made_record(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_thread *thread = bpf_task_storage_get(&tls_threads, task, 0, 0);
	struct tls_record_key record = {};
	const struct tls_frame *frame;
	struct tls_session *session;
	struct tls_maker maker = {};
	struct tls_key key = {};
	u32 depth;

	if (!thread)
		return 0;
	depth = live_depth(thread, stack_pointer(ctx));
	if (depth == 0 || (s32)argument3(ctx) < (s32)sizeof(record.words))
		return 0;
	frame = frame_at(thread, depth);
	maker.object = key.object = frame->object;
	maker.what = frame->what;
	key.tgid = record.tgid = task->tgid;
	session = bpf_map_lookup_elem(&tls_sessions, &key);
	if (session && (session->carrier || session->conn.flags & (CONN_IGNORED | CONN_CONTESTED)))
		return 0;
	if (bpf_probe_read_user(record.words, sizeof(record.words), (void *)argument2(ctx)) ||
	    !is_tls_record((u8 *)record.words))
		return 0;
	bpf_map_update_elem(&tls_records, &record, &maker, BPF_ANY);
	return 0;
}

/* The object is freed, cleared, or gets another socket. */
static __always_inline int forget(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_key key = { .object = argument1(ctx), .tgid = task->tgid };
	struct tls_session *session = bpf_map_lookup_elem(&tls_sessions, &key);

	if (!session || (session->conn.flags & CONN_CONTESTED && bpf_get_attach_cookie(ctx) & PROBE_CLEARS))
		return 0;
	tls_end(session);
	bpf_map_delete_elem(&tls_sessions, &key);
	return 0;
}

static __always_inline int unfollowed(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tls_key key = { .object = argument1(ctx), .tgid = task->tgid };
	u32 what = bpf_get_attach_cookie(ctx), index = target_index(what);
	const struct tls_target *target = bpf_map_lookup_elem(&tls_targets, &index);

	if (task->tgid == self_tgid || !target || !target->active)
		return 0;
	return give_up(tls_session_of(&key, what));
}

SEC("uprobe")
int tls_enter(struct pt_regs *ctx)
{
	return enter(ctx);
}

SEC("uprobe")
int tls_leave(struct pt_regs *ctx)
{
	return leave(ctx);
}

SEC("uprobe")
int tls_record(struct pt_regs *ctx)
{
	return made_record(ctx);
}

SEC("uprobe")
int tls_forget(struct pt_regs *ctx)
{
	return forget(ctx);
}

SEC("uprobe")
int tls_unfollowed(struct pt_regs *ctx)
{
	return unfollowed(ctx);
}
