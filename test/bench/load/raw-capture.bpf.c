// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The yardstick: a bare capture by raw sys_enter and sys_exit, as tracers do
 * it that have no hook at the socket. Arguments are kept per thread from enter
 * to exit; at exit up to 256 bytes are copied to a ring. Nothing else: no
 * socket, no identity, no filter, no order.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define MAX_DATA 256

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long si;
};
#define ARGUMENT2(regs) BPF_CORE_READ(regs, si)
enum {
	SYS_READ = 0,
	SYS_WRITE = 1,
	SYS_READV = 19,
	SYS_WRITEV = 20,
	SYS_SENDTO = 44,
	SYS_RECVFROM = 45,
	SYS_SENDMSG = 46,
	SYS_RECVMSG = 47,
};
#else
struct pt_regs {
	__u64 regs[31];
};
#define ARGUMENT2(registers) BPF_CORE_READ(registers, regs[1])
enum {
	SYS_READ = 63,
	SYS_WRITE = 64,
	SYS_READV = 65,
	SYS_WRITEV = 66,
	SYS_SENDTO = 206,
	SYS_RECVFROM = 207,
	SYS_SENDMSG = 211,
	SYS_RECVMSG = 212,
};
#endif
#pragma clang attribute pop

/* As user space has them. */
struct user_vector {
	__u64 base;
	__u64 size;
};

struct user_message {
	__u64 name;
	__u64 name_size;
	__u64 vectors;
};

struct arguments {
	__u64 address;
	__u64 number;
};

struct capture {
	__u64 time;
	__u64 thread;
	__u64 number;
	__s64 result;
	__u8 data[MAX_DATA];
};

/* Nobody reads its ring through system calls that it captures itself. */
const volatile __u32 own_tgid = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct arguments);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024);
} ring SEC(".maps");

/* Records that found no room: then the yardstick was not measured. */
__u64 dropped = 0;

SEC("raw_tp/sys_enter")
int raw_enter(struct bpf_raw_tracepoint_args *context)
{
	struct pt_regs *regs = (struct pt_regs *)context->args[0];
	struct arguments arguments = { .number = context->args[1] };
	__u64 thread;

	switch (arguments.number) {
	case SYS_READ:
	case SYS_WRITE:
	case SYS_READV:
	case SYS_WRITEV:
	case SYS_SENDTO:
	case SYS_RECVFROM:
	case SYS_SENDMSG:
	case SYS_RECVMSG:
		break;
	default:
		return 0;
	}
	thread = bpf_get_current_pid_tgid();
	if (thread >> 32 == own_tgid)
		return 0;
	arguments.address = ARGUMENT2(regs);
	bpf_map_update_elem(&calls, &thread, &arguments, BPF_ANY);
	return 0;
}

SEC("raw_tp/sys_exit")
int raw_exit(struct bpf_raw_tracepoint_args *context)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__s64 result = context->args[1];
	struct arguments *call, arguments;
	struct user_message message = {};
	struct user_vector vector = {};
	struct capture *capture;
	__u64 size;

	call = bpf_map_lookup_elem(&calls, &thread);
	if (!call)
		return 0;
	arguments = *call;
	bpf_map_delete_elem(&calls, &thread);
	if (result <= 0)
		return 0;
	size = result;
	if (arguments.number == SYS_SENDMSG || arguments.number == SYS_RECVMSG) {
		bpf_probe_read_user(&message, sizeof(message), (void *)arguments.address);
		arguments.address = message.vectors;
	}
	if (arguments.number == SYS_SENDMSG || arguments.number == SYS_RECVMSG || arguments.number == SYS_READV ||
	    arguments.number == SYS_WRITEV) {
		bpf_probe_read_user(&vector, sizeof(vector), (void *)arguments.address);
		arguments.address = vector.base;
		if (size > vector.size)
			size = vector.size;
	}
	if (size > MAX_DATA)
		size = MAX_DATA;
	capture = bpf_ringbuf_reserve(&ring, sizeof(*capture), 0);
	if (!capture) {
		__sync_fetch_and_add(&dropped, 1);
		return 0;
	}
	capture->time = bpf_ktime_get_ns();
	capture->thread = thread;
	capture->number = arguments.number;
	capture->result = result;
	bpf_probe_read_user(capture->data, size, (void *)arguments.address);
	bpf_ringbuf_submit(capture, BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
