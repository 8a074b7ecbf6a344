/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that we touch, and only the fields that we read. CO-RE
 * relocates every access, so neither order nor layout matters here.
 */
#ifndef USM_KERNEL_H
#define USM_KERNEL_H

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0

/* For the compiler's order of code: what happens once per connection or less is moved out of the way of the usual I/O.
 */
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* bpf_helper_defs.h wants these in scope. */
#include <linux/bpf.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

/* Set where connect(2) chose the local port; not in every kernel that we run on, so its absence says nothing. */
#define SOCK_CONNECT_BIND 16
#define RCV_SHUTDOWN 1
/* A bit of skc_flags: the peer's FIN has come. */
#define SOCK_DONE 1

#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_ERRQUEUE 0x2000

#define O_NONBLOCK 04000

#define PF_EXITING 0x4
#define PF_IO_WORKER 0x10
#define PF_USER_WORKER 0x4000
#define PF_KTHREAD 0x200000

#define EPIPE 32
#define ECONNRESET 104

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	u8 in6_u[16];
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	s64 counter;
} atomic64_t;

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct upid {
	u32 nr;
};

struct pid {
	struct upid numbers[1]; /* the initial namespace's first */
};

struct bpf_local_storage_map {
	u16 cache_idx;
};

struct bpf_local_storage_data {
	struct bpf_local_storage_map *smap;
	u8 data[0];
};

struct bpf_local_storage {
	struct bpf_local_storage_data *cache[1];
};

struct seqcount {
	u32 sequence;
};

struct socket;
struct msghdr;
struct page;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	struct bpf_local_storage *sk_bpf_storage;
	u8 sk_kern_sock : 1;
	u8 sk_shutdown;
	u8 sk_userlocks;
	u16 sk_type;
	u16 sk_protocol;
	int sk_err;
	struct pid *sk_peer_pid;
};

struct inet_sock {
	u16 inet_sport;
};

struct tcp_ulp_ops;

struct inet_connection_sock {
	const struct tcp_ulp_ops *icsk_ulp_ops;
	struct {
		u8 pingpong;
		u32 lrcvtime;
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 write_seq;
	u32 copied_seq;
	u32 snd_nxt;
	u64 tcp_clock_cache;
	u32 snd_una;
	u32 rcv_nxt;
	u32 snd_wl1;
	u64 bytes_acked;
	u64 bytes_received;
	u32 total_retrans;
	u32 segs_out;
	u32 srtt_us; /* eightfold */
	u32 lsndtime;
	u32 rcv_tstamp;
	u64 first_tx_mstamp; /* of the last segment with data, once all is acknowledged */
	u64 delivered_mstamp; /* when that was */
	struct {
		u32 rtt_us;
	} rcv_rtt_est;
	struct {
		u32 seq;
		u64 time;
	} rcvq_space;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_flags;
	void *private_data;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
	unsigned long total_vm;
	int map_count;
	struct file *exe_file;
};

struct kernfs_node {
	struct kernfs_node *__parent;
	const char *name;
	u64 id;
};

/* Before 6.15. */
struct kernfs_node___old {
	struct kernfs_node *parent;
};

/* Since 7.0, where calls of tracepoints are guarded by SRCU. */
struct tp_transition_snapshot {
	unsigned long srcu_gp;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct fs_struct {
	struct path root;
};

struct thread_info {
	u32 status; /* x86 */
	unsigned long flags; /* arm64 */
};

struct thread_struct {
#if defined(__TARGET_ARCH_x86)
	unsigned long fsbase;
#elif defined(__TARGET_ARCH_arm64)
	struct {
		unsigned long tp_value;
	} uw;
#endif
};

struct task_struct {
	struct thread_info thread_info;
	struct thread_struct thread;
	unsigned int flags;
	u32 pid;
	u32 tgid;
	int exit_code;
	u64 self_exec_id;
	u64 start_boottime;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct fs_struct *fs;
	struct files_struct *files;
	void *stack;
	struct bpf_local_storage *bpf_storage;
	char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, cx, ax, bx, r10, r8, r9, r14, orig_ax, ip, flags, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	u64 regs[31];
	u64 sp;
	u64 pc;
	u64 pstate;
};
struct pt_regs {
	struct user_pt_regs user_regs;
	u64 orig_x0;
	s32 syscallno;
};
#else
#error "unsupported architecture"
#endif

#pragma clang attribute pop

#endif
