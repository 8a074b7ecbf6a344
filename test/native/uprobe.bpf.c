// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Probes that count their runs by the cookie they were attached with, or tell what the registers hold. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define STACK_POINTER(regs) ((regs)->sp)
#define ARGUMENTS(regs)                                        \
	{                                                      \
		(regs)->di, (regs)->si, (regs)->dx, (regs)->cx \
	}
#define RESULT(regs) ((regs)->ax)
#else
struct pt_regs {
	struct user_pt_regs user;
};
#define STACK_POINTER(regs) ((regs)->user.sp)
#define ARGUMENTS(regs)                                                                                \
	{                                                                                              \
		(regs)->user.regs[0], (regs)->user.regs[1], (regs)->user.regs[2], (regs)->user.regs[3] \
	}
#define RESULT(regs) ((regs)->user.regs[0])
#endif

struct site_record {
	__u64 cookie;
	__u64 stack;
	__u64 arguments[4];
	__u64 result;
	__u64 count; /* where the fourth argument points, or as far from the stack pointer as the cookie says */
	__u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u64);
} hits SEC(".maps");

SEC("uprobe")
int on_call(void *context)
{
	__u64 cookie = bpf_get_attach_cookie(context), one = 1, *count;

	count = bpf_map_lookup_elem(&hits, &cookie);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&hits, &cookie, &one, BPF_ANY);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} sites SEC(".maps");

SEC("uprobe")
int on_site(struct pt_regs *context)
{
	struct site_record record = {
		.cookie = bpf_get_attach_cookie(context),
		.stack = STACK_POINTER(context),
		.arguments = ARGUMENTS(context),
		.result = RESULT(context),
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	bpf_probe_read_user(&record.count, sizeof(record.count), (void *)(record.stack + ((__s64)record.cookie >> 32)));
	bpf_ringbuf_output(&sites, &record, sizeof(record), 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(void *context)
{
	return 0;
}

char LICENSE[] SEC("license")
= "GPL";
