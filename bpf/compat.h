/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One accessor per difference between kernels and architectures. */
#ifndef USM_COMPAT_H
#define USM_COMPAT_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* A bound that the compiler knows of and would leave out, and verifiers before 6.8 do not: they learn nothing from the
 * comparison of two variables. */
#define exceeds(value, bound)                \
	({                                   \
		barrier_var(value);          \
		unlikely((value) > (bound)); \
	})

enum buffer_kind {
	BUFFER_NONE, /* the bytes are in no user buffer that we could name */
	BUFFER_PLAIN, /* argument 2 is the buffer */
	BUFFER_VECTOR, /* argument 2 is an iovec array, argument 3 its count */
	BUFFER_MESSAGE, /* argument 2 is a msghdr */
	BUFFER_MESSAGES, /* argument 2 is an mmsghdr array, argument 3 its count */
	BUFFER_COMPAT, /* 32-bit call */
};

#if defined(__TARGET_ARCH_x86)
/* Plain loads: in these programs the verifier knows the types, and a read helper costs 25 ns a piece. */
#define syscall_number(regs) ((regs)->orig_ax)
#define syscall_argument2(regs) ((regs)->si)
#define syscall_argument3(regs) ((regs)->dx)
#define thread_pointer(task) ((task)->thread.fsbase)
/* Of a function of the C ABI, at its entry and at its end. */
#define stack_pointer(regs) ((regs)->sp)
#define argument1(regs) ((regs)->di)
#define argument2(regs) ((regs)->si)
#define argument3(regs) ((regs)->dx)
#define argument4(regs) ((regs)->cx)
#define call_result(regs) ((regs)->ax)
/* Of a function of Go's own ABI, since 1.17. */
#define instruction_pointer(regs) ((regs)->ip)
#define go_argument1(regs) ((regs)->ax)
#define go_argument2(regs) ((regs)->bx)
#define go_argument3(regs) ((regs)->cx)
#define go_argument4(regs) ((regs)->di)
/* Whether a branch that is taken for "below or equal, unsigned" is: by the carry and zero flags. */
#define is_below_or_equal(regs) (((regs)->flags & 0x41) != 0)
/* The machine has them in order. */
#define order_loads() barrier()
#define TS_COMPAT 2
static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}
enum {
	SYS_READ = 0,
	SYS_WRITE = 1,
	SYS_READV = 19,
	SYS_WRITEV = 20,
	SYS_SENDTO = 44,
	SYS_RECVFROM = 45,
	SYS_SENDMSG = 46,
	SYS_RECVMSG = 47,
	SYS_RECVMMSG = 299,
	SYS_SENDMMSG = 307,
	SYS_PREADV2 = 327,
	SYS_PWRITEV2 = 328,
};
#elif defined(__TARGET_ARCH_arm64)
/* Not regs, which is the name of a member here. */
#define syscall_number(frame) ((frame)->syscallno)
#define syscall_argument2(frame) ((frame)->user_regs.regs[1])
#define syscall_argument3(frame) ((frame)->user_regs.regs[2])
/* 0 in a first thread that was not switched away from yet: it sets the register itself. */
#define thread_pointer(task) ((task)->thread.uw.tp_value)
#define stack_pointer(frame) ((frame)->user_regs.sp)
#define argument1(frame) ((frame)->user_regs.regs[0])
#define argument2(frame) ((frame)->user_regs.regs[1])
#define argument3(frame) ((frame)->user_regs.regs[2])
#define argument4(frame) ((frame)->user_regs.regs[3])
#define call_result(frame) ((frame)->user_regs.regs[0])
#define instruction_pointer(frame) ((frame)->user_regs.pc)
#define go_argument1(frame) ((frame)->user_regs.regs[0])
#define go_argument2(frame) ((frame)->user_regs.regs[1])
#define go_argument3(frame) ((frame)->user_regs.regs[2])
#define go_argument4(frame) ((frame)->user_regs.regs[3])
/* C clear or Z set. */
#define is_below_or_equal(frame) (((frame)->user_regs.pstate & 0x60000000) != 0x20000000)
/* An atomic operation that returns a value orders what is before it and what comes after. */
static __always_inline void order_loads(void)
{
	u64 order = 0;

	__sync_fetch_and_add(&order, 1);
}
#define TIF_32BIT (1ul << 22)
static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.flags & TIF_32BIT;
}
enum {
	SYS_READ = 63,
	SYS_WRITE = 64,
	SYS_READV = 65,
	SYS_WRITEV = 66,
	SYS_SENDTO = 206,
	SYS_RECVFROM = 207,
	SYS_SENDMSG = 211,
	SYS_RECVMSG = 212,
	SYS_RECVMMSG = 243,
	SYS_SENDMMSG = 269,
	SYS_PREADV2 = 286,
	SYS_PWRITEV2 = 287,
};
#endif

/* How the running system call names its user memory. */
static __always_inline enum buffer_kind buffer_kind(struct task_struct *task, struct pt_regs *regs)
{
	/* An io_uring or kernel thread has no system call of its own. */
	if (unlikely(task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)))
		return BUFFER_NONE;
	if (unlikely(is_compat(task)))
		return BUFFER_COMPAT;
	switch (syscall_number(regs)) {
	case SYS_READ:
	case SYS_WRITE:
	case SYS_SENDTO:
	case SYS_RECVFROM:
		return BUFFER_PLAIN;
	case SYS_READV:
	case SYS_WRITEV:
	case SYS_PREADV2:
	case SYS_PWRITEV2:
		return BUFFER_VECTOR;
	case SYS_SENDMSG:
	case SYS_RECVMSG:
		return BUFFER_MESSAGE;
	case SYS_SENDMMSG:
	case SYS_RECVMMSG:
		return BUFFER_MESSAGES;
	default:
		return BUFFER_NONE;
	}
}

extern int LINUX_KERNEL_VERSION __kconfig;

/* tcp_rcv_space_adjust(), which every read that moves bytes comes by, refreshes tcp_clock_cache: true of 6.3 to 6.18.
 */
static __always_inline bool reads_clock_as_it_receives(void)
{
	return LINUX_KERNEL_VERSION < KERNEL_VERSION(6, 19, 0);
}

/* bpf_rdonly_cast() and bpf_rcu_read_lock() came with 6.2. */
static __always_inline bool has_kernel_functions(void)
{
	return LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 2, 0);
}

extern void *bpf_rdonly_cast(const void *pointer, __u32 type) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;

/* What bpf_skc_to_tcp_sock() does for a socket that is known to be TCP, without the call: the verifier turns it into a
 * move. */
static __always_inline struct tcp_sock *as_tcp_sock(struct sock *sk)
{
	if (has_kernel_functions())
		return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
	return bpf_skc_to_tcp_sock(sk);
}

/* Set by identify_self: where the registers of a system call are, from a thread's stack on. The same for every thread.
 */
extern u64 registers_offset;

/* What bpf_task_pt_regs() does, without the call. */
static __always_inline struct pt_regs *registers_of(struct task_struct *task)
{
	if (has_kernel_functions())
		return bpf_rdonly_cast((void *)((u64)task->stack + registers_offset),
				       bpf_core_type_id_kernel(struct pt_regs));
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

/*
 * A tracepoint calls programs with preemption off; since 7.0, guarded by SRCU,
 * it only keeps them on their CPU. A thread that takes the CPU in the middle of
 * one does I/O too: its programs write into the same scratch, and the one that
 * has not ended is not run again (a recursion). There they keep it themselves.
 */
static __always_inline bool may_be_preempted(void)
{
	return bpf_core_field_exists(((struct tp_transition_snapshot *)0)->srcu_gp);
}

/* In one file, because the linker of libbpf 1.1 cannot join what several say of a kernel function without a result. */
__hidden int hold_cpu(void);
__hidden int release_cpu(void);

#define without_preemption(call)        \
	({                              \
		int result_;            \
                                        \
		if (may_be_preempted()) \
			hold_cpu();     \
		result_ = (call);       \
		if (may_be_preempted()) \
			release_cpu();  \
		result_;                \
	})

/* kernfs_node.parent became __parent in 6.15. */
static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___old *old = (void *)node;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(node, __parent);
}

#endif
