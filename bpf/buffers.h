/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the bytes of the running system call are in user memory. */
#ifndef USM_BUFFERS_H
#define USM_BUFFERS_H

#include "compat.h"
#include "maps.h"

struct user_msghdr {
	u64 name;
	u32 name_size;
	u32 pad;
	u64 vectors;
	u64 vector_count;
	u64 control;
	u64 control_size;
	u32 flags;
	u32 pad2;
};

struct user_mmsghdr {
	struct user_msghdr header;
	u32 size; /* written by the kernel after each message */
	u32 pad;
};

static __always_inline void use_vectors(struct buffers *buffers, u64 address, u64 vectors)
{
	buffers->address = address;
	buffers->vectors = vectors;
	if (vectors == 0)
		buffers->missing = MISSING_NOT_IN_MEMORY;
	if (vectors > MAX_VECTORS)
		buffers->missing = MISSING_VECTORS;
}

static __always_inline void use_message(struct buffers *buffers, u64 address)
{
	struct user_msghdr message;

	if (bpf_probe_read_user(&message, sizeof(message), (void *)address)) {
		buffers->missing = MISSING_FAULT;
		return;
	}
	use_vectors(buffers, message.vectors, message.vector_count);
}

struct sum_ctx {
	u64 vectors;
	u64 count;
	u64 total;
};

static long sum_vector(u32 index, struct sum_ctx *sum)
{
	struct user_iovec vector;

	if (index >= sum->count ||
	    bpf_probe_read_user(&vector, sizeof(vector), (void *)(sum->vectors + index * sizeof(vector))))
		return 1;
	sum->total += vector.size;
	return 0;
}

/*
 * sendmmsg and recvmmsg reach the socket once per message and nothing says
 * which. The thread's cursor counts: a call ends, for certain, with its last
 * message, with an error, or (sending) with a message that was cut short, so
 * the next message of that thread begins a new call.
 */
static __noinline int use_messages(struct buffers *buffers, int size, bool sending)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = registers_of(task);
	u64 messages = syscall_argument2(regs);
	u32 total = syscall_argument3(regs);
	u32 tid = task->pid;
	struct message_cursor *known = bpf_map_lookup_elem(&cursors, &tid);
	struct message_cursor cursor = { .messages = messages, .count = total };
	struct user_mmsghdr message;
	struct sum_ctx sum = {};

	if (!buffers)
		return 0;
	if (known && known->messages == messages && known->count == total && known->next < total)
		cursor.next = known->next;
	if (size <= 0) { /* the call ends here */
		bpf_map_delete_elem(&cursors, &tid);
		return 0;
	}
	if (bpf_probe_read_user(&message, sizeof(message), (void *)(messages + cursor.next * sizeof(message)))) {
		buffers->missing = MISSING_FAULT;
		return 0;
	}
	use_vectors(buffers, message.header.vectors, message.header.vector_count);
	sum.vectors = message.header.vectors;
	sum.count = message.header.vector_count;
	bpf_loop(MAX_VECTORS, sum_vector, &sum, 0);
	cursor.next++;
	if ((u32)size > sum.total) { /* it cannot have been this message */
		buffers->missing = MISSING_NOT_IN_MEMORY;
		count(COUNTER_MESSAGE_UNKNOWN, 1);
	}
	if (cursor.next == total || (sending && (u32)size < sum.total))
		bpf_map_delete_elem(&cursors, &tid);
	else if (!bpf_map_update_elem(&cursors, &tid, &cursor, BPF_ANY))
		has_cursors = true;
	return 0;
}

static __always_inline bool is_message_array(struct task_struct *task)
{
	return buffer_kind(task, registers_of(task)) == BUFFER_MESSAGES;
}

static __always_inline void find_buffers(struct buffers *buffers, struct task_struct *task, int size, bool sending)
{
	struct pt_regs *regs = registers_of(task);

	buffers->address = 0;
	buffers->vectors = 0;
	buffers->missing = MISSING_NONE;
	switch (buffer_kind(task, regs)) {
	case BUFFER_PLAIN:
		buffers->address = syscall_argument2(regs);
		break;
	case BUFFER_VECTOR:
		use_vectors(buffers, syscall_argument2(regs), syscall_argument3(regs));
		break;
	case BUFFER_MESSAGE:
		use_message(buffers, syscall_argument2(regs));
		break;
	case BUFFER_MESSAGES:
		use_messages(buffers, size, sending);
		break;
	case BUFFER_COMPAT:
		buffers->missing = MISSING_COMPAT;
		break;
	default:
		buffers->missing = MISSING_NOT_IN_MEMORY;
	}
}

#endif
