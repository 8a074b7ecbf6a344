// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From establishment to the end of a connection, and the sockets that are
 * older than we are.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "compat.h"
#include "connection.h"
#include "filter.h"
#include "tls.h"

/* Our own connect(2): in our context, before the other end knows. */
static __always_inline void connecting(struct sock *sk)
{
	struct conn *conn;

	if ((u32)(bpf_get_current_pid_tgid() >> 32) != self_tgid)
		return;
	conn = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn)
		return;
	conn->cookie = bpf_get_socket_cookie(sk);
	conn->role = ROLE_CLIENT;
	conn->flags = CONN_DECIDED | CONN_IGNORED;
}

static __always_inline void established(struct sock *sk, struct tcp_sock *tcp, u8 role)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn) {
		count(COUNTER_STORAGE_FULL, 1);
		return;
	}
	conn->role = role;
	conn->evidence = EVIDENCE_TCP_STATE;
	conn->flow[RECEIVED].seq = tcp->copied_seq;
	conn->flow[RECEIVED].isn = tcp->copied_seq;
	if (!conn->cookie || (conn->flags & CONN_IGNORED)) {
		conn->flow[SENT].seq = tcp->write_seq;
		conn->flow[SENT].isn = tcp->write_seq;
	}
	if (conn->flags & CONN_IGNORED) {
		register_self(sk, conn);
		return;
	}
	conn->cookie = bpf_get_socket_cookie(sk);
	/* The socket may have had another connection before. */
	conn->flags &= ~(CONN_FRAMES_RECEIVED | CONN_FRAMES_SENT);
	conn->flags |= CONN_FROM_START;
}

/* The socket is gone, and its session with it: the same object on another socket is another session. */
static __always_inline void close_sessions(const struct conn *conn)
{
	struct tls_key key = { .object = conn->tls_object, .tgid = conn->tls_tgid };
	struct tls_key socket = { .object = conn->cookie };
	struct tls_session *session;

	if (!(conn->flags & CONN_TLS))
		return;
	if (conn->tls_object) {
		session = bpf_map_lookup_elem(&tls_sessions, &key);
		if (session && session->carrier == conn->cookie)
			bpf_map_delete_elem(&tls_sessions, &key);
	}
	bpf_map_delete_elem(&tls_sessions, &socket);
}

static __always_inline void ended(struct sock *sk, u8 cause)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	struct task_struct *task = bpf_get_current_task_btf();
	struct end_event event = { .cause = cause };

	if (conn && cause == END_CLOSED)
		close_sessions(conn);
	if (!conn || (conn->flags & CONN_IGNORED) || !(conn->flags & CONN_DECIDED))
		return;
	event.error = BPF_CORE_READ(sk, sk_err);
	/* Whoever runs here may only be carrying somebody else's packet. */
	event.exiting = task->tgid == conn->tgid && (task->flags & PF_EXITING);
	emit_end(conn, &event, 0);
}

static __always_inline int change_state(struct sock *sk, int old, int new)
{
	struct tcp_sock *tcp;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	switch (new) {
	case TCP_SYN_SENT:
		connecting(sk);
		break;
	case TCP_ESTABLISHED:
		established(sk, tcp, old == TCP_SYN_RECV ? ROLE_SERVER : ROLE_CLIENT);
		break;
	case TCP_FIN_WAIT1:
		ended(sk, END_SHUTDOWN);
		break;
	case TCP_CLOSE:
		if (old != TCP_LISTEN && old != TCP_SYN_SENT)
			ended(sk, END_CLOSED);
		break;
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, struct sock *sk, int old, int new)
{
	return without_preemption(change_state(sk, old, new));
}

/* Run before anything is attached: whoever reads it is the receiver. */
SEC("iter/task")
int identify_self(struct bpf_iter__task *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	long registers = bpf_task_pt_regs(task);
	u64 address = 0;

	self_tgid = task->tgid;
	/* What the verifier knows for a pointer is read as a number, with which one may reckon. */
	if (!bpf_probe_read_kernel(&address, sizeof(address), &registers))
		registers_offset = address - (u64)task->stack;
	return 0;
}

/* A multipath listener (Go's default) accepts plain connections too. */
static __always_inline bool is_listener(struct sock *sk)
{
	return sk->__sk_common.skc_state == TCP_LISTEN && (is_tcp(sk) || sk->sk_protocol == IPPROTO_MPTCP);
}

static __always_inline void note_listener(struct sock *sk)
{
	struct listener_key key = {
		.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
		.port = sk->__sk_common.skc_num,
	};
	u8 one = 1;

	bpf_map_update_elem(&listeners, &key, &one, BPF_ANY);
}

/* The sockets of the host that listen, before anything is attached: the first I/O that is seen of a connection asks for
 * them. */
SEC("iter/task_file")
int seed_listeners(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (sk && is_listener(sk))
		note_listener(sk);
	return 0;
}

/* Being composed, by the one iterator that seeds. */
static struct conn seedling;

/* An I/O that comes meanwhile may be first. */
static __always_inline void seed(struct sock *sk, struct tcp_sock *tcp)
{
	if (!bpf_sk_storage_get(&conns, sk, 0, 0) && adopt(sk, tcp, &seedling, RECEIVED, 0))
		count(COUNTER_SEEDED, 1);
}

/* Every open socket of the host: connections get their storage; listeners that came before we were attached are noted.
 */
SEC("iter/task_file")
int seed_sockets(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!file) { /* the end */
		is_seeded = true;
		return 0;
	}
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	if (is_unix_stream(sk)) {
		seed(sk, 0);
		return 0;
	}
	if (is_listener(sk)) {
		note_listener(sk);
		return 0;
	}
	if (!is_tcp(sk))
		return 0;
	if (sk->__sk_common.skc_state == TCP_CLOSE || sk->__sk_common.skc_state == TCP_SYN_SENT)
		return 0;
	seed(sk, bpf_skc_to_tcp_sock(sk));
	return 0;
}

/* Cookies of all sockets that have storage: what user space tracks and is not among them is gone. */
SEC("iter/bpf_sk_storage_map")
int live_connections(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct conn *conn = ctx->value;

	if (ctx->sk && conn)
		bpf_seq_write(ctx->meta->seq, &conn->cookie, sizeof(conn->cookie));
	return 0;
}
