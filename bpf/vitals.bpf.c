// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How TCP connections fare, whatever they carry: the kernel's own figures at
 * their end, and while they live when user space looks. Not loaded unless
 * somebody wants to know.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "compat.h"
#include "connection.h"
#include "filter.h"
#include "process.h"

/*
 * The kernel counts sequence numbers, of which a FIN takes one: ours when it
 * is acknowledged, theirs when it came. That of our SYN is in the base.
 */
static __always_inline void read_figures(struct sock *sk, struct tcp_sock *tcp, struct figures *figures)
{
	figures->sent = tcp->bytes_acked;
	figures->received = tcp->bytes_received;
	figures->retransmits = tcp->total_retrans;
	if (fin_sent(sk) && tcp->snd_una == tcp->write_seq)
		figures->sent--;
	if (sk->__sk_common.skc_flags & (1 << SOCK_DONE))
		figures->received--;
}

static __always_inline struct vitals *create(struct sock *sk, u8 role)
{
	struct vitals *state = bpf_sk_storage_get(&vitals, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!state) {
		count(COUNTER_STORAGE_FULL, 1);
		return 0;
	}
	/* A socket may connect again. */
	__builtin_memset(state, 0, sizeof(*state));
	state->role = role;
	return state;
}

/* The current process is the one whose connection it is. Only where it is certain that it made the call itself. */
static __always_inline void own(struct vitals *state)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 rules;

	if (task->flags & PF_KTHREAD)
		return;
	state->tgid = task->tgid;
	state->start_time = task->group_leader->start_boottime;
	/* Of one that is being torn down there is nothing left to tell. */
	if (task->tgid != self_tgid && !(task->flags & PF_EXITING))
		know_process(task, bpf_ktime_get_ns(), &rules);
}

static __always_inline void connecting(struct sock *sk)
{
	struct vitals *state;

	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return;
	state = create(sk, ROLE_CLIENT);
	if (!state)
		return;
	state->base.sent = 1; /* its SYN */
	own(state);
}

static __always_inline void established(struct sock *sk, int old)
{
	struct vitals *state;

	if (bpf_sk_storage_get(&vitals, sk, 0, 0) || BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return;
	state = create(sk, old == TCP_SYN_RECV ? ROLE_SERVER : ROLE_CLIENT);
	if (state && state->role == ROLE_CLIENT) /* it began to connect before we were there */
		state->base.sent = 1;
}

/* Whoever closes a connection on which nothing was ever said is its owner. */
static __always_inline void closing(struct sock *sk)
{
	struct vitals *state = bpf_sk_storage_get(&vitals, sk, 0, 0);
	struct conn *conn;

	if (!state || state->tgid)
		return;
	conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!conn || !conn->tgid)
		own(state);
}

/* An old connection whose port connect(2) chose is a client's; one on a port that is listened on is a server's. */
static __always_inline u8 role_of(struct sock *sk, const struct vitals *state, const struct conn *conn)
{
	struct listener_key key = {
		.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
		.port = local_port(sk),
	};

	if (state->role != ROLE_UNKNOWN)
		return state->role;
	if (conn && conn->role != ROLE_UNKNOWN)
		return conn->role;
	if (BPF_CORE_READ(sk, sk_userlocks) & SOCK_CONNECT_BIND)
		return ROLE_CLIENT;
	return bpf_map_lookup_elem(&listeners, &key) ? ROLE_SERVER : ROLE_UNKNOWN;
}

/* The rules that want its process; of one that is not known, those that do not care which it is. */
static __always_inline u64 rules_for_process(const struct vitals *state)
{
	u32 tgid = state->tgid;
	struct known_process *known = bpf_map_lookup_elem(&processes, &tgid);

	if (known && known->start_time == state->start_time)
		return known->rules;
	return any_executable & any_cgroup;
}

/* Once per connection: the same filters as for what it carries, and never ourselves. */
static __always_inline bool is_wanted(struct sock *sk, struct vitals *state, struct conn *conn)
{
	if (state->flags & VITALS_DECIDED)
		return !(state->flags & VITALS_IGNORED);
	state->flags |= VITALS_DECIDED;
	if (state->tgid != self_tgid && !(conn && is_other_end_of_self(sk, conn)) &&
	    passes_filters(sk, state->tgid, rules_for_process(state)))
		return true;
	state->flags |= VITALS_IGNORED;
	return false;
}

static __always_inline void fill_vitals(struct vitals_event *event, struct sock *sk, struct tcp_sock *tcp,
					struct vitals *state, struct conn *conn, const struct figures *now)
{
	event->cookie = bpf_get_socket_cookie(sk);
	event->sent = now->sent - state->base.sent;
	event->received = now->received - state->base.received;
	event->retransmits = now->retransmits - state->base.retransmits;
	event->rtt = tcp->srtt_us >> 3;
	event->start_time = state->start_time;
	event->tgid = state->tgid;
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->family = sk->__sk_common.skc_family;
	event->local_port = local_port(sk);
	event->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	event->role = role_of(sk, state, conn);
	read_addresses(sk, event->local_address, event->peer_address);
}

/* A server's process is known from its first I/O on. */
static __always_inline void find_owner(struct vitals *state, const struct conn *conn)
{
	if (state->tgid || !conn)
		return;
	state->tgid = conn->tgid;
	state->start_time = conn->start_time;
}

static __always_inline u8 outcome_of(struct sock *sk, int old, int error)
{
	if (old == TCP_SYN_SENT)
		return OUTCOME_FAILED;
	if (error == ECONNRESET || error == EPIPE) {
		/* Data that comes when the process has closed is answered with a reset, which is noted as if one had
		 * come. */
		if ((old == TCP_FIN_WAIT1 || old == TCP_FIN_WAIT2) && (sk->sk_shutdown & RCV_SHUTDOWN))
			return OUTCOME_RESET;
		return OUTCOME_RESET_RECEIVED;
	}
	/* Without a FIN of ours, and nothing happened on the way: the process left data unread, or would not linger. */
	if (!error && (old == TCP_ESTABLISHED || old == TCP_CLOSE_WAIT))
		return OUTCOME_RESET_SENT;
	return OUTCOME_CLOSED;
}

static __always_inline void tell_end(struct sock *sk, struct vitals *state, int old)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct vitals_event event = {};
	struct figures now;

	find_owner(state, conn);
	if (!tcp || !is_wanted(sk, state, conn))
		return;
	read_figures(sk, tcp, &now);
	event.error = BPF_CORE_READ(sk, sk_err);
	event.outcome = outcome_of(sk, old, event.error);
	if (event.outcome == OUTCOME_FAILED) {
		now.sent = state->base.sent;
		now.received = state->base.received;
		event.unsent = !tcp->segs_out;
	}
	fill_vitals(&event, sk, tcp, state, conn, &now);
	fill_header(&event.header, EVENT_VITALS, 0, bpf_ktime_get_ns());
	if (!emit(&event, sizeof(event), false))
		count(COUNTER_LOST_VITALS, 1);
}

static __always_inline void ended(struct sock *sk, int old)
{
	struct vitals *state = bpf_sk_storage_get(&vitals, sk, 0, 0);

	if (!state)
		return;
	/* Before it is told, so that nobody tells of it as living afterwards. */
	state->flags |= VITALS_ENDED;
	tell_end(sk, state, old);
	bpf_sk_storage_delete(&vitals, sk);
}

static __always_inline int change_state(struct sock *sk, int old, int new)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	switch (new) {
	case TCP_SYN_SENT:
		connecting(sk);
		break;
	case TCP_ESTABLISHED:
		established(sk, old);
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		closing(sk);
		break;
	case TCP_CLOSE:
		ended(sk, old);
		break;
	}
	return 0;
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(vitals_changed, struct sock *sk, int old, int new)
{
	return without_preemption(change_state(sk, old, new));
}

/* The connections that are older than we are: from here on they are counted. Whoever has one open is taken for its
 * owner. */
SEC("?iter/task_file")
int seed_vitals(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct vitals *state;
	struct tcp_sock *tcp;
	struct sock *sk;
	u8 phase;

	if (!file || !task)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_tcp(sk))
		return 0;
	phase = sk->__sk_common.skc_state;
	if (phase == TCP_LISTEN || phase == TCP_CLOSE || phase == TCP_SYN_SENT || bpf_sk_storage_get(&vitals, sk, 0, 0))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	state = tcp ? create(sk, ROLE_UNKNOWN) : 0;
	if (!state)
		return 0;
	read_figures(sk, tcp, &state->base);
	state->tgid = task->tgid;
	state->start_time = BPF_CORE_READ(task, group_leader, start_boottime);
	return 0;
}

static __always_inline bool is_changed(const struct figures *a, const struct figures *b)
{
	return a->sent != b->sent || a->received != b->received || a->retransmits != b->retransmits;
}

/*
 * Of the connections that live: a vitals_event without a header for each that
 * is new or has moved since the last look. States in which a FIN of ours is
 * on its way are left out, because nobody can tell its number from payload.
 */
SEC("?iter/bpf_sk_storage_map")
int living_vitals(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct vitals_event event = {};
	struct vitals *state = ctx->value;
	struct sock *sk = ctx->sk;
	struct tcp_sock *tcp;
	struct figures now;
	struct conn *conn;
	u8 phase;

	if (!sk || !state || (state->flags & (VITALS_IGNORED | VITALS_ENDED)))
		return 0;
	phase = sk->__sk_common.skc_state;
	if (phase != TCP_ESTABLISHED && phase != TCP_CLOSE_WAIT && phase != TCP_FIN_WAIT2)
		return 0;
	conn = bpf_sk_storage_get(&conns, sk, 0, 0);
	tcp = bpf_skc_to_tcp_sock(sk);
	find_owner(state, conn);
	/* A server's that nobody has accepted or spoken on yet has no owner. */
	if (!tcp || !state->tgid || !is_wanted(sk, state, conn))
		return 0;
	read_figures(sk, tcp, &now);
	if ((state->flags & VITALS_TOLD) && !is_changed(&now, &state->told))
		return 0;
	fill_vitals(&event, sk, tcp, state, conn, &now);
	/* What does not fit into the page is shown once more. */
	if (bpf_seq_write(ctx->meta->seq, &event, sizeof(event)))
		return 0;
	state->told = now;
	state->flags |= VITALS_TOLD;
	return 0;
}
