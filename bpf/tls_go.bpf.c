// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Plaintext of Go's crypto/tls. Its connection object names its socket, and is
 * asked for it at every call: conn (an interface) -> TCPConn -> netFD ->
 * descriptor -> socket. Nothing is kept by an address, which Go uses again as
 * it likes. Where the probes stand is chosen by user space (receiver/tls/go.ts):
 * where the plaintext is at hand, so that no return has to be awaited.
 *
 * These programs may sleep: a page that is not there is brought in. Should a
 * call be unreadable nevertheless, nobody knows in which session it leaves a
 * hole: then all of that program's are given up.
 */
#define PREEMPTIBLE
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "compat.h"
#include "tls.h"

#define TLS_APPLICATION_DATA 23 /* the content type */

/* Of an interface's table (runtime.itab), its methods by name: of a net.Conn, Close is the first. */
#define ITAB_METHODS 24
#define MAX_WRAPPING 2

struct go_interface {
	u64 table;
	u64 data;
};

/* The beginning of net.netFD, which is internal/poll.FD, in all versions of Go since 1.9. */
struct go_descriptor {
	u64 state;
	u64 semaphores;
	u64 number;
};

/* Set before the descriptor is closed, and never cleared (internal/poll/fd_mutex.go). */
#define GO_DESCRIPTOR_CLOSED 1

static __always_inline bool read_user(void *to, u32 size, u64 from)
{
	return likely(!bpf_probe_read_user(to, size, (void *)from)) || !bpf_copy_from_user(to, size, (void *)from);
}

static __always_inline void note_unreadable(u32 what)
{
	count(COUNTER_TLS_UNREADABLE, 1);
	note_unseen(target_index(what));
}

/*
 * Address of the descriptor of a connection object, 0: it is not TCP's. The
 * first field of a crypto/tls.Conn, and of a known wrapper, is what it writes to.
 */
static __always_inline u64 find_descriptor(const struct tls_target *target, u64 bias, u64 object, u32 what)
{
	struct go_interface conn;
	u64 method, descriptor;

	for (int i = 0; i < MAX_WRAPPING; i++) {
		if (!read_user(&conn, sizeof(conn), object) ||
		    !read_user(&method, sizeof(method), conn.table + ITAB_METHODS)) {
			note_unreadable(what);
			return 0;
		}
		method -= bias;
		if (likely(method == target->tcp_close)) {
			if (read_user(&descriptor, sizeof(descriptor), conn.data))
				return descriptor;
			note_unreadable(what);
			return 0;
		}
		if (method != target->wrapped_close[0] && method != target->wrapped_close[1])
			break;
		object = conn.data;
	}
	count(COUNTER_TLS_NO_SOCKET, 1);
	return 0;
}

/* What is told of a call. */
struct plaintext {
	u64 object; /* the crypto/tls.Conn */
	u64 address;
	u64 size;
	u64 bias; /* of the program's code */
};

/* The session that it belongs to, 0: none. Not inlined: what it needs of the stack is its own. */
static __noinline struct tls_session *find_session(const struct tls_target *target, const struct plaintext *plaintext,
						   u32 what)
{
	struct go_descriptor descriptor = {};
	u64 at, cookie;

	at = find_descriptor(target, plaintext->bias, plaintext->object, what);
	if (!at)
		return 0;
	if (!read_user(&descriptor, sizeof(descriptor), at)) {
		note_unreadable(what);
		return 0;
	}
	cookie = tls_socket_cookie(descriptor.number);
	/* Not closed now: so the number was this socket's when it was looked up. */
	order_loads();
	if (!read_user(&descriptor.state, sizeof(descriptor.state), at)) {
		note_unreadable(what);
		return 0;
	}
	if (!cookie || descriptor.state & GO_DESCRIPTOR_CLOSED) {
		count(COUNTER_TLS_CLOSED, 1);
		return 0;
	}
	return tls_socket_session(cookie, what);
}

/* crypto/tls.(*Conn).writeRecordLocked(c, type, data): whoever is here has the lock, and the handshake is done. */
static __always_inline bool find_written(struct plaintext *plaintext, const struct tls_target *target,
					 struct pt_regs *ctx)
{
	if ((u8)go_argument2(ctx) != TLS_APPLICATION_DATA ||
	    (target->flags & GO_WRITE_BRANCH && is_below_or_equal(ctx)))
		return false;
	plaintext->object = go_argument1(ctx);
	plaintext->address = go_argument3(ctx);
	plaintext->size = go_argument4(ctx);
	plaintext->bias = instruction_pointer(ctx) - target->write_site;
	return true;
}

/* runtime.memmove(to, from, size), called by crypto/tls.(*Conn).Read: what was decrypted goes to the caller. */
static __always_inline bool find_read(struct plaintext *plaintext, const struct tls_target *target, struct pt_regs *ctx,
				      u32 what)
{
	plaintext->address = go_argument2(ctx);
	plaintext->size = go_argument3(ctx);
	plaintext->bias = instruction_pointer(ctx) - target->read_site;
	if (read_user(&plaintext->object, sizeof(plaintext->object), stack_pointer(ctx) + target->conn_slot))
		return true;
	note_unreadable(what);
	return false;
}

/* One program for both: what tells is verified once. */
SEC("uprobe.s")
int tls_go(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 what = bpf_get_attach_cookie(ctx);
	struct plaintext plaintext = {};
	struct tls_session *session;
	u32 index = target_index(what);
	const struct tls_target *target = bpf_map_lookup_elem(&tls_targets, &index);

	/* Nothing before both probes are there: else a request would be seen whose answer is not. */
	if (!target || !target->active || task->tgid == self_tgid)
		return 0;
	if (what & PROBE_SENT ? !find_written(&plaintext, target, ctx) : !find_read(&plaintext, target, ctx, what))
		return 0;
	session = find_session(target, &plaintext, what);
	if (unlikely(session && session->unseen != last_unseen(index)))
		return give_up(session);
	return tls_tell(session, what & PROBE_SENT ? IO_SENT : 0, plaintext.address, plaintext.size, 0);
}
