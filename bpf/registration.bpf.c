// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A process's claim where its threads have their contexts -> proven, in the
 * thread that sends the proof while it sends, or not. Protocol and reasons:
 * otel-thread-context/ABI.md. Loaded only where it is configured.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "compat.h"
#include "emit.h"
#include "registration.h"
#include "thread_variable.h"

/* Of a record: the trace id, and whether it counts. */
#define RECORD_VALID 24

/* Whether the record of the running thread, at the claimed place, has the nonce and is otherwise no context. */
static __always_inline u32 look_for_nonce(struct task_struct *task, const struct claim *claim)
{
	u64 record[4] = {}, variable, address;
	const u64 *nonce = (const u64 *)claim->nonce;
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return CLAIM_UNREADABLE;
	variable = find_variable(task, &claim->place, scratch->dtv);
	if (variable <= VARIABLE_FAULT)
		return CLAIM_UNREADABLE;
	if (bpf_probe_read_user(&address, sizeof(address), (void *)variable))
		return CLAIM_UNREADABLE;
	if (bpf_probe_read_user(record, RECORD_VALID + 1, (void *)address))
		return CLAIM_NO_NONCE;
	return record[0] == nonce[0] && record[1] == nonce[1] && !(u8)record[3] ? CLAIM_PROVEN : CLAIM_NO_NONCE;
}

/* The process has proven it: in use from now on, in this image. */
static __always_inline u32 use_place(struct task_struct *task, const struct claim *claim)
{
	struct context_place place = claim->place;
	u32 zero = 0;
	u64 *changes = bpf_map_lookup_elem(&place_changes, &zero);

	place.start_time = task->group_leader->start_boottime;
	place.exec_id = task->self_exec_id;
	place.flags = PLACE_RESOLVED;
	/* Not overwritten: other threads may be reading it. */
	bpf_task_storage_delete(&registered_places, task->group_leader);
	if (!bpf_task_storage_get(&registered_places, task->group_leader, &place, BPF_LOCAL_STORAGE_GET_F_CREATE))
		return CLAIM_NO_ROOM;
	if (changes)
		__sync_fetch_and_add(changes, 1);
	return CLAIM_PROVEN;
}

static __always_inline u32 judge(struct task_struct *task, struct sock *peer, const struct claim *claim)
{
	u32 state;

	/* The kernel noted at connect(2) whose process it was; that id is never another's while the socket lives. */
	if (BPF_CORE_READ(peer, sk_peer_pid) != BPF_CORE_READ(task, group_leader, thread_pid))
		return CLAIM_STRANGER;
	if (is_compat(task))
		return CLAIM_COMPAT;
	state = look_for_nonce(task, claim);
	return state == CLAIM_PROVEN ? use_place(task, claim) : state;
}

static __always_inline int judge_sender(struct sock *sk, int result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct claim *found, claim;
	struct sock *peer;
	u64 cookie;

	if (likely(!open_claims))
		return 0;
	if (result <= 0 || sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (!peer)
		return 0;
	cookie = BPF_CORE_READ(peer, __sk_common.skc_cookie.counter);
	found = bpf_map_lookup_elem(&claims, &cookie);
	if (!found)
		return 0;
	/* If user space deletes it now, its memory may be another one's at once: so a copy is judged, and put in place
	 * by its key. */
	claim = *found;
	if (claim.cookie != cookie || claim.state != CLAIM_OPEN)
		return 0;
	claim.tgid = task->tgid;
	claim.state = judge(task, peer, &claim);
	bpf_map_update_elem(&claims, &cookie, &claim, BPF_EXIST);
	return 0;
}

/* The bytes are on their way already: user space may have to wait a moment for what is found here. */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(proof_sent, struct sock *sk, int result)
{
	return without_preemption(judge_sender(sk, result));
}

/* The same before 6.3 (io.bpf.c). */
SEC("?fexit/unix_stream_sendmsg")
int BPF_PROG(proof_sent_end, struct socket *socket, struct msghdr *message, u64 size, int result)
{
	return judge_sender(socket->sk, result);
}

/* The child has a copy of its parent's memory: what is true of that is true of it. */
static __always_inline int inherit_place(struct task_struct *parent, struct task_struct *child)
{
	struct context_place *place, inherited;

	if (child->pid != child->tgid)
		return 0;
	place = registered_place(parent);
	if (!place)
		return 0;
	inherited = *place;
	inherited.start_time = child->start_boottime;
	if (!bpf_task_storage_get(&registered_places, child, &inherited, BPF_LOCAL_STORAGE_GET_F_CREATE))
		count(COUNTER_CONTEXT_NOT_INHERITED, 1);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(process_forked, struct task_struct *parent, struct task_struct *child)
{
	return without_preemption(inherit_place(parent, child));
}
