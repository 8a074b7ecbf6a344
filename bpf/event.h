/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire contract with user space: every record of the ring begins with an
 * event_header. receiver/kernel/layout.ts is generated from the BTF of these
 * structs, so nothing is written down twice.
 */
#ifndef USM_EVENT_H
#define USM_EVENT_H

/* Bounds that both sides have to know. */
enum bound {
	WINDOW_SIZE = 64 * 1024, /* bytes of a direction that are copied before user space must follow */
	FILTER_PATH = 256, /* of a path in a filter, its final 0 included */
	SHED_ALL = 65536, /* the share of all connections */
	MAX_LABELS = 8, /* of a goroutine */
	MAX_PLACES = 8192, /* slots for the places of processes */
	PLACE_WAYS = 4, /* slots that a process's place may be in, from that of its id on */
	CONTEXT_ATTRIBUTES = 128, /* bytes of attributes of a thread's context that are copied: all, or none */
	MAX_TLS_TARGETS = 1024, /* libraries that are probed at a time */
	KNOWN_FRAME_BIT = 62, /* of control.walk: what begins there is an HTTP/2 frame */
};

enum event_kind {
	EVENT_IO = 1,
	EVENT_CONNECTION = 2,
	EVENT_END = 3,
	EVENT_WALK = 4,
	EVENT_PROCESS = 5,
	EVENT_PROCESS_EXIT = 6,
	EVENT_CONTEXT = 7,
	EVENT_SECURE = 8,
	EVENT_VITALS = 9,
	EVENT_EXEC = 10,
	EVENT_LABELS = 11,
};

/* The low five bits of event_header.flags of an io_event; the high three are a missing_reason. */
enum io_flag {
	IO_SENT = 1, /* else received */
	IO_START = 2, /* position is the first byte of a system call's data */
	IO_UNORDERED = 4, /* concurrent I/O of one direction: the position is not proven */
	IO_RESUMED = 8, /* events of this connection were lost before this one; also of a walk_event and an end_event */
	IO_BLOCKING = 16, /* received by a call that would have waited */
	IO_MISSING_SHIFT = 5,
};

/* io_event.framing; 0: plain bytes. */
enum framing_flag {
	FRAMING_FRAMES = 1, /* the kernel follows the frames: payload of DATA is not among the bytes */
	FRAMING_IN_DATA = 2, /* the frame under way at `position` is DATA */
};

/* event_header.flags of a connection_event. */
enum open_flag {
	OPEN_SECURE = 1, /* it carries TLS: plaintext comes from sessions, if at all */
};

/* event_header.flags of a secure_event. */
enum secure_flag {
	SECURE_AGAIN = 1, /* the connection has carried another session before */
};

/* Why the bytes of an io_event were not copied. */
enum missing_reason {
	MISSING_NONE = 0,
	MISSING_WINDOW = 1, /* user space has not caught up: the copy window is used up */
	MISSING_NOT_IN_MEMORY = 2, /* sendfile, splice, io_uring, MSG_TRUNC */
	MISSING_FAULT = 3, /* the user page was not there */
	MISSING_COMPAT = 4, /* 32-bit system call */
	MISSING_VECTORS = 5, /* more vectors than we walk */
};

enum end_cause {
	END_EOF = 1, /* a read returned 0: the peer sends no more */
	END_SHUTDOWN = 2, /* this end sends no more (FIN_WAIT1) */
	END_CLOSED = 3, /* the connection is gone */
	END_ERROR = 4, /* a read or write failed with a reset or a broken pipe */
};

enum conn_role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

enum role_evidence {
	EVIDENCE_NONE = 0,
	EVIDENCE_TCP_STATE = 1,
	EVIDENCE_LISTENER = 2,
	EVIDENCE_UNIX_ADDRESS = 3,
	EVIDENCE_CONNECT = 4, /* connect(2) chose the port */
};

enum tls_library {
	TLS_OPENSSL = 1,
	TLS_GO = 2,
	TLS_GNUTLS = 3,
};

/* tls_target.flags */
enum go_flag {
	GO_WRITE_BRANCH = 1, /* the write's site is the branch that checks the stack: no call yet when it is taken */
};

/* A TLS library in one file, and of Go what its probes need to know of it. Addresses as in the file. */
struct tls_target {
	__u64 since; /* bpf_ktime_get_ns: calls that began later are all seen; 0: not known yet */
	__u64 write_site;
	__u64 read_site;
	__u64 tcp_close; /* net.(*TCPConn).Close */
	__u64 wrapped_close[2]; /* Close of types that only wrap a connection, as their first field; 0: none */
	__u32 conn_slot; /* at the read's site: where the connection is, from the stack pointer on */
	__u32 flags; /* go_flag */
	__u32 active; /* all of its probes are there: else nothing is told of what they see */
	__u32 pad;
};

/* How it is known which socket a TLS session belongs to. */
enum tls_evidence {
	TLS_EVIDENCE_CONTRADICTION = 0,
	TLS_EVIDENCE_NESTED = 1, /* I/O within the library's call, on the same thread */
	TLS_EVIDENCE_CIPHERTEXT = 2, /* what the library made is what was sent */
	TLS_EVIDENCE_DESCRIPTOR = 3, /* the library's object names it, at every call */
	TLS_EVIDENCE_IGNORED = 4, /* known, and not wanted */
	TLS_EVIDENCE_UNFOLLOWED = 5, /* whoever it is, something of it goes a way that is not followed */
};

/* What a probe of a TLS library is: attach cookies, with a tls_library in bits 8 to 15, and the index of its target in
 * bits 16 to 31. */
enum probe_flag {
	PROBE_SENT = 1, /* it takes plaintext, else it gives it */
	PROBE_COUNT_POINTER = 2, /* the count is where the fourth argument points, else it is the result */
	PROBE_IS_QUIET = 4, /* nothing is told of it, nor of calls on the same object within: they were told before */
	PROBE_COUNT_ON_STACK = 8, /* of an exit: the count is so far from the stack pointer as bits 32 to 63 say */
	PROBE_NO_BUFFER = 16, /* what it moves is in no buffer */
	PROBE_CLEARS = 32, /* the object begins anew, perhaps in the middle of a call: what was given up stays so */
};

enum conn_outcome {
	OUTCOME_NONE = 0, /* it lives */
	OUTCOME_CLOSED = 1,
	OUTCOME_RESET_RECEIVED = 2,
	OUTCOME_RESET_SENT = 3,
	OUTCOME_RESET = 4, /* by whom is not known */
	OUTCOME_FAILED = 5, /* it was never there */
};

/* For connections that are older than us: which way the last bytes went. */
enum last_flow {
	LAST_UNKNOWN = 0,
	LAST_SENT = 1,
	LAST_RECEIVED = 2,
};

struct event_header {
	__u64 time; /* bpf_ktime_get_ns */
	__u32 sequence; /* per CPU, one per attempt: a hole is a lost event */
	__u16 cpu;
	__u8 kind; /* event_kind */
	__u8 flags; /* by kind */
};

/*
 * Bytes [position, position + size) moved; the first `captured` of them follow.
 * Where HTTP/2 frames are followed (frames.h), the first `captured` of those
 * that are no payload of DATA frames.
 */
struct io_event {
	struct event_header header;
	__u64 cookie;
	__u64 position;
	__u64 other_position; /* where the opposite direction stood */
	__u64 start_time; /* of the process: group leader, since boot */
	__u32 tgid;
	__u32 tid;
	__u32 size;
	__u32 captured;
	/* From `position` to the next frame header: 0, a frame begins there; 0xffffffff, in a header of which more is
	 * to come than this record has. Before it is the rest of a frame, which is told here unless it is DATA. */
	__u32 to_frame;
	__u16 framing; /* framing_flag */
	__u16 has_context; /* the record ends with a thread_context: what the thread had published as it moved this */
};

/* What a thread publishes, as it has it (OTEP 4947). */
struct thread_context {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 valid;
	__u8 trace_flags;
	__u16 attributes_size;
	__u8 attributes[4]; /* in a context_event; there they go on behind, when they were wanted and are not too many
			     */
};

/* First I/O of a connection that passed the filters. */
struct connection_event {
	struct event_header header;
	__u64 cookie;
	__u64 sent_position; /* before this I/O */
	__u64 received_position;
	__u64 peer_cookie; /* AF_UNIX */
	__u64 start_time;
	__u32 tgid;
	__u32 tid;
	__u32 netns;
	__u32 local_isn; /* sequence number of the first byte: both ends agree on the pair */
	__u32 peer_isn;
	__u16 family;
	__u16 local_port;
	__u16 peer_port;
	__u8 role; /* conn_role */
	__u8 evidence; /* role_evidence */
	__u8 from_start; /* observed from its first byte */
	__u8 last; /* last_flow */
	__u8 local_path_size; /* AF_UNIX; an abstract name begins with 0 */
	__u8 peer_path_size;
	__u8 local_address[16];
	__u8 peer_address[16];
	__u8 local_path[108];
	__u8 peer_path[108];
};

struct end_event {
	struct event_header header;
	__u64 cookie;
	__u64 sent_position;
	__u64 received_position;
	__u64 start_time;
	__u32 tgid;
	__u32 tid;
	__u32 error; /* errno of the socket or of the call, positive */
	__u8 cause; /* end_cause */
	__u8 exiting; /* the owner is being torn down as it ends */
	__u8 pad[2];
};

/* The kernel followed chunked framing from `position` on without copying. */
struct walk_event {
	struct event_header header; /* flags: IO_SENT, IO_RESUMED */
	__u64 cookie;
	__u64 position; /* chunk-size line where it began */
	__u64 end; /* where it stands now */
	__u64 next; /* next chunk-size line: at `end`, or beyond when a chunk is under way */
	__u64 body; /* payload of all chunks walked, the one under way included */
};

/* Which connection a TLS session belongs to. Its plaintext comes in io_events whose cookie is the session. */
struct secure_event {
	struct event_header header; /* flags: secure_flag */
	__u64 session;
	__u64 cookie; /* 0: it is nobody's */
	__u64 since; /* of its target, as the session began */
	__u64 start_time;
	__u32 tgid;
	__u32 tid;
	__u8 library; /* tls_library */
	__u8 evidence; /* tls_evidence */
	__u8 pad[6];
};

/* A process in its own words, at its first observed I/O after fork or exec. */
struct process_event {
	struct event_header header;
	__u64 start_time;
	__u64 cgroup_id;
	__u32 tgid;
	__u32 exec_id;
	__u32 executable_size; /* then these follow, in this order */
	__u32 cgroup_size;
	__u32 args_size;
	__u32 environment_size;
	__u8 comm[16];
};

/* A process runs another program. */
struct exec_event {
	struct event_header header;
	__u64 start_time;
	__u32 tgid;
	__u32 exec_id;
};

struct process_exit_event {
	struct event_header header;
	__u64 start_time;
	__u32 tgid;
	__u32 exit_code; /* as in wait(2) */
};

/* The context that the thread itself had published as it moved [position, position + size), told before those bytes:
 * where it is not in their own record. */
struct context_event {
	struct event_header header; /* flags: IO_SENT */
	__u64 cookie;
	__u64 position;
	__u32 size;
	__u32 tid;
	struct thread_context context;
};

/* How a TCP connection fares by the kernel's own figures, whatever it carries: totals since it was first observed, so
 * that the next record tells what a lost one would have. */
struct vitals_event {
	struct event_header header;
	__u64 cookie;
	__u64 sent; /* payload that the peer has acknowledged */
	__u64 received; /* payload that arrived in order */
	__u64 start_time; /* of the process that opened it … */
	__u32 tgid; /* … which is 0 where it is not known */
	__u32 retransmits; /* segments */
	__u32 rtt; /* smoothed, microseconds; 0: none */
	__u32 error; /* errno of the socket at its end */
	__u32 netns;
	__u16 family;
	__u16 local_port;
	__u16 peer_port;
	__u8 role; /* conn_role */
	__u8 outcome; /* conn_outcome */
	__u8 local_address[16];
	__u8 peer_address[16];
	__u8 unsent; /* not even its SYN left */
	__u8 pad[3];
};

/* A label of a goroutine, if both parts of it are no longer than this. */
struct label {
	__u8 key_size;
	__u8 value_size;
	__u8 key[14];
	__u8 value[32];
};

/* The pprof labels of the goroutine as it moved [position, position + size), told before those bytes: the first ones
 * that are short enough. */
struct labels_event {
	struct event_header header; /* flags: IO_SENT */
	__u64 cookie;
	__u64 position;
	__u32 size;
	__u32 count;
	struct label labels[MAX_LABELS];
};

enum place_flag {
	PLACE_RESOLVED = 1, /* else nothing is read: all zeros is a place, too */
	PLACE_NODEJS = 2, /* no pointer to a record is there, but the description of a way to one */
	PLACE_GO = 4, /* of dtv_offset and count_offset other things: m.curg, g.labels; the rest is not used */
};

/* Where the threads of a process have the pointer to their record. */
struct context_place {
	__u64 start_time; /* of the process … */
	__u64 generation; /* a thread whose DTV is older has no block of the module; 0: not known */
	__s64 offset; /* from the thread pointer, or in the block of the module */
	__u32 exec_id; /* … and its image */
	__u32 module; /* 0: none */
	__s32 dtv_offset; /* of the pointer to the DTV, from the thread pointer */
	__s32 count_offset; /* of the number of entries, from the DTV; 16 bytes behind it is the generation */
	__u32 entry_size;
	__u32 flags; /* place_flag */
};

/*
 * User space writes, the kernel reads: whose place is here. Version 0 comes
 * before each change and another one than ever before comes after it, so that
 * who reads the same one before and after the rest has read what belongs together.
 */
struct place_slot {
	__u64 version; /* 0: nobody's */
	__u32 tgid; /* 0: never anybody's */
	__u32 pad;
	struct context_place place;
};

/* One process, as the iterator of threads.bpf.c writes it: what changes when it maps something. */
struct process_size {
	__u64 start_time; /* since boot */
	__u64 pages;
	__u32 tgid;
	__u32 mappings;
};

/* One thread, as the iterator of threads.bpf.c writes it. */
struct thread_entry {
	__u64 start_time; /* of its process, since boot */
	__u64 thread_pointer; /* 0: none, or not known */
	__u32 tgid;
	__u32 tid;
	__u8 comm[16];
};

/* What became of a claim. */
enum claim_state {
	CLAIM_OPEN = 0, /* nothing was sent yet that could prove it */
	CLAIM_PROVEN = 1,
	CLAIM_STRANGER = 2, /* who sent is not who connected */
	CLAIM_UNREADABLE = 3, /* there is no memory at the place, or none that the thread has touched */
	CLAIM_NO_NONCE = 4,
	CLAIM_COMPAT = 5, /* a 32-bit process */
	CLAIM_NO_ROOM = 6,
};

/* User space writes it, the kernel proves it: where a process says that its threads have the pointer to their record.
 */
struct claim {
	struct context_place place; /* whose it is, is filled in by the kernel */
	__u64 cookie; /* as the key */
	__u8 nonce[16];
	__u32 state; /* claim_state */
	__u32 tgid; /* who proved it */
};

/* User space writes, the kernel reads: what need not be copied. One slot per connection, valid while cookie matches. */
struct control {
	__u64 cookie;
	__u64 ignore;
	__u64 until[2]; /* by direction (received, sent): bytes before this position are of no interest */
	__u64 parsed[2]; /* user space has followed the stream up to here */
	__u64 walk[2]; /* a chunk-size line begins at this position; with KNOWN_FRAME_BIT, a frame header does */
};

/* Index into the counters map. */
enum counter {
	COUNTER_RING_FULL = 0, /* records that the ring refused */
	COUNTER_FILTERED = 1,
	COUNTER_SELF = 2,
	COUNTER_KERNEL_SOCKET = 3,
	COUNTER_ULP = 4,
	COUNTER_STORAGE_FULL = 5,
	COUNTER_SHED = 6,
	COUNTER_UNORDERED = 7,
	COUNTER_UNSEEN_BYTES = 8,
	COUNTER_MESSAGE_UNKNOWN = 9, /* sendmmsg or recvmmsg whose message could not be told */
	COUNTER_ENVIRONMENT_CUT = 10,
	COUNTER_SEEDED = 11,
	COUNTER_LOST_BYTES = 12, /* in records that the ring refused */
	COUNTER_SHED_OVERLOAD = 13, /* connections left out for the share that user space set */
	COUNTER_CONTEXT_NONE = 14, /* I/O of processes that publish, in no span */
	COUNTER_CONTEXT_FAULT = 15, /* the memory of the thread could not be read */
	COUNTER_CONTEXT_HALF_SET = 16, /* one id without the other */
	COUNTER_CONTEXT_IMPLAUSIBLE = 17, /* an odd address, or more attributes than a record holds */
	COUNTER_TLS_CONTRADICTION = 18, /* sessions that cannot be bound */
	COUNTER_TLS_SESSIONS_FULL = 19,
	COUNTER_LOST_VITALS = 20, /* last figures of connections, in records that the ring refused */
	COUNTER_CONTEXT_NOT_INHERITED = 21, /* children of registered processes for which there was no memory */
	COUNTER_TLS_NO_SOCKET = 22, /* Go: calls on connections that are over no TCP socket of their own */
	COUNTER_TLS_CLOSED = 23, /* Go: calls on connections whose socket is being closed */
	COUNTER_TLS_UNREADABLE = 24, /* Go: calls on connections whose memory could not be read */
	COUNTER_FRAMES_LOST = 25, /* directions whose frames are no longer followed */
	COUNTER_COUNT = 26,
};

_Static_assert(sizeof(struct event_header) == 16, "event_header");
_Static_assert(sizeof(struct io_event) == 72, "io_event");
_Static_assert(sizeof(struct connection_event) == 336, "connection_event");
_Static_assert(sizeof(struct end_event) == 64, "end_event");
_Static_assert(sizeof(struct walk_event) == 56, "walk_event");
_Static_assert(sizeof(struct process_event) == 72, "process_event");
_Static_assert(sizeof(struct process_exit_event) == 32, "process_exit_event");
_Static_assert(sizeof(struct exec_event) == 32, "exec_event");
_Static_assert(sizeof(struct context_event) == 72, "context_event");
_Static_assert(sizeof(struct secure_event) == 64, "secure_event");
_Static_assert(sizeof(struct tls_target) == 64, "tls_target");
_Static_assert(sizeof(struct thread_context) == 32, "thread_context");
_Static_assert(__builtin_offsetof(struct thread_context, attributes) == 28, "the attributes of a record");
_Static_assert(sizeof(struct vitals_event) == 112, "vitals_event");
_Static_assert(sizeof(struct label) == 48, "label");
_Static_assert(sizeof(struct labels_event) == 424, "labels_event");
_Static_assert(sizeof(struct context_place) == 48, "context_place");
_Static_assert(sizeof(struct place_slot) == 64, "place_slot");
_Static_assert(sizeof(struct process_size) == 24, "process_size");
_Static_assert(sizeof(struct thread_entry) == 40, "thread_entry");
_Static_assert(sizeof(struct claim) == 80, "claim");
_Static_assert(sizeof(struct control) == 64, "control");

#endif
