/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map: key, value, who writes, who deletes. Defined once, in
 * maps.bpf.c; the other objects are linked to them.
 */
#ifndef USM_MAPS_H
#define USM_MAPS_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include "config.h"
#include "event.h"

/* Chunked framing that the kernel follows. */
struct walk {
	u64 start;
	u64 next; /* next chunk-size line */
	u64 body;
	u64 barred; /* an I/O that begins here begins within a chunk-size line */
	u32 line_fill; /* bytes of the next chunk-size line that came with the last I/O */
	u32 pad;
	u8 line[MAX_CHUNK_LINE];
};

#define FRAME_HEADER 9
#define FRAME_PREFACE 24

/* HTTP/2 frames that the kernel follows. */
struct frames {
	u64 position; /* up to here */
	u64 next; /* next frame header */
	u64 parsed; /* user space had followed up to here … */
	u64 copied; /* … and since then, so many bytes were copied */
	u32 header_fill; /* bytes of the next frame header that came with the last I/O … */
	u8 is_data; /* the frame under way is DATA */
	u8 pad[3];
	u8 header[FRAME_HEADER + 7]; /* … and these are they */
};

/* What is known of one direction beyond its bytes: it has chunks, or frames, or neither. */
union framing {
	struct walk walk;
	struct frames frames;
};

enum direction {
	RECEIVED = 0,
	SENT = 1,
};

enum conn_flag {
	CONN_DECIDED = 1, /* the filters have spoken */
	CONN_IGNORED = 2,
	CONN_FROM_START = 4,
	CONN_SHED = 8, /* the ring was full, or it is left out: nothing is copied until that is over */
	CONN_WALK_RECEIVED = 16,
	CONN_WALK_SENT = 32,
	CONN_TLS = 128, /* it carries TLS: only who speaks, and when it ends, is of interest (tls_binding.h) */
	CONN_CONTESTED = 256, /* of a TLS session: the evidence contradicts itself, it stays unbound */
	CONN_FRAMES_RECEIVED = 512, /* the frames of this direction are followed (frames.h) */
	CONN_FRAMES_SENT = 1024,
	CONN_LEFT_OUT = 64, /* shed for the share (overload.h), whatever it was shed for before */
};

/* One direction of a connection: [0] received, [1] sent. */
struct flow {
	u64 position; /* 64-bit stream position of the next byte */
	u64 limit; /* copied up to here without word from user space */
	u32 seq; /* the kernel's own sequence number at `position` */
	u32 isn; /* of the first byte, 0 where it is not known */
};

/*
 * The kernel puts it 8 bytes into a cache line. An ignored I/O reads of the
 * first line only, the usual one of the first two.
 */
struct conn {
	u64 cookie;
	u32 flags;
	u32 tgid; /* of the process that did the last I/O … */
	u64 exec_id; /* … its image … */
	u64 start_time; /* … and the start of its leader, since boot */
	u8 role;
	u8 evidence;
	u8 last; /* last_flow at seeding */
	u8 last_flow; /* 1 + direction of the last I/O, 0: none yet */
	u32 contextless; /* generation of the places at which the process had none */
	struct flow flow[2];
	union framing framing[2];
	/* The TLS session that has proven to be its own: tls_key. */
	u64 tls_object;
	u32 tls_tgid;
	u32 pad;
};

_Static_assert(__builtin_offsetof(struct conn, framing) <= 56 + 64, "two cache lines");

/* The kernel's own figures of a TCP connection. */
struct figures {
	u64 sent; /* payload that the peer has acknowledged */
	u64 received; /* payload that arrived in order */
	u32 retransmits; /* segments */
	u32 pad;
};

enum vitals_flag {
	VITALS_DECIDED = 1, /* the filters have spoken */
	VITALS_IGNORED = 2,
	VITALS_TOLD = 4, /* user space has heard of it while it lives */
	VITALS_ENDED = 8,
};

/* What is needed to tell how a connection fares. */
struct vitals {
	u64 start_time; /* of the process that opened it … */
	u32 tgid; /* … which is 0 while it is not known */
	u8 role;
	u8 flags; /* vitals_flag */
	u8 pad[2];
	struct figures base; /* from which on we count */
	struct figures told; /* to user space, at its last look */
};

/* As system calls take them. */
struct user_iovec {
	u64 base;
	u64 size;
};

/* Where the bytes of an I/O are: one buffer (vectors == 0) or an array of iovecs. */
struct buffers {
	u64 address;
	u32 vectors;
	u8 missing; /* missing_reason, when there is nothing to read */
};

/* What user space wants of a direction; nothing while it has not spoken. */
struct wishes {
	u64 until;
	u64 parsed;
	u64 walk;
	bool ignore;
};

/* A copy under way. */
struct capture {
	u64 at; /* position of the first byte of the vector at hand … */
	u64 address; /* … and where it is */
	u64 vector_end; /* position behind it */
	u64 low; /* next byte to copy of it */
	u64 high;
	u64 from; /* what is wanted of the I/O */
	u64 to;
	u64 record; /* position of the record being composed */
	u64 end; /* of the I/O */
	u64 lost; /* bytes in records that the ring refused */
	u64 vectors;
	u32 vector_count;
	u32 vector; /* index of the next */
	u32 fill; /* bytes in the record so far */
	u8 missing; /* missing_reason */
	u8 wake;
	u8 pad[2];
};

struct path_key {
	char path[FILTER_PATH];
};

/* A process being described. */
struct describing {
	const char *name[MAX_PATH_DEPTH]; /* components of a path, innermost first */
	u64 dentry;
	u64 mount;
	u64 node;
	u64 from;
	u64 to;
	u32 count;
	u32 at; /* where in the record */
	u32 size;
	u32 is_told; /* the ring took the event */
	struct path_key key;
};

/* A walk over the chunks of one I/O. */
struct walker {
	u64 at; /* position of the first byte of the vector at hand … */
	u64 address; /* … where it is … */
	u64 size; /* … and how long */
	u64 next; /* position of the next chunk-size line */
	u64 end; /* of the I/O */
	u64 body;
	u64 chunk; /* size of the chunk at hand */
	u64 vectors;
	u32 vector_count;
	u32 vector; /* index of the next */
	u32 line_fill; /* bytes of the next chunk-size line that are in `line` */
	u32 pad;
	u8 line[2 * MAX_CHUNK_LINE];
};

/* Frames being followed through one I/O. */
struct framer {
	u64 at; /* position of the next byte */
	u64 next; /* … of the next frame header */
	u64 end; /* … of the end of the I/O */
	u64 record; /* … of the record being composed */
	u64 vector_at; /* … of the vector at hand, … */
	u64 vector_end;
	u64 address; /* … and where it is */
	u64 vectors;
	u64 copied; /* since user space was heard of */
	u64 lost; /* bytes in records that the ring refused */
	u32 vector_count;
	u32 vector; /* index of the next */
	u32 fill; /* bytes in the record so far */
	u32 header_fill; /* bytes of the frame header at `next` that are in `header` */
	u8 is_data; /* the frame under way is DATA */
	u8 is_cut; /* the record begins within a frame header */
	u8 is_untold; /* there are no records */
	u8 is_silent; /* nothing more is copied */
	u8 is_lost; /* where the next frame begins is not known */
	u8 is_unreadable; /* the I/O is in no memory that we could name */
	u8 missing; /* missing_reason */
	u8 wake;
	u8 header[64];
};

/* One I/O, ready to be sent. */
struct moved {
	struct conn *conn;
	struct task_struct *task;
	u64 time;
	u64 other_position;
	u64 start; /* [start, end) moved … */
	u64 end;
	u64 from; /* … and [from, end) is wanted */
	u64 published; /* what the thread has published, and is to be told with it; 0: nothing */
	u8 flags;
	u8 wake;
};

/* One I/O of a thread, [position, position + size) of a direction, and where the thread has its context. */
struct thread_io {
	u64 cookie;
	u64 position;
	u64 time;
	u64 published;
	u32 size;
	u8 flags;
};

/* What a thread has published, on its way into a record. */
struct context_record {
	struct context_event event;
	u8 attributes[CONTEXT_ATTRIBUTES - sizeof(((struct thread_context *)0)->attributes)];
};

/* Node.js (thread_context_node.h): what the thread publishes instead. */
struct node_description {
	u64 frame; /* where V8 has the current frame; 0: not now */
	u64 storage; /* where the publisher's AsyncLocalStorage is */
	u32 hash; /* of that */
	u32 pad;
	u64 nothing; /* JavaScript's undefined */
};

struct v8_entry {
	u64 key;
	u64 value;
	u64 next;
};

/* The way to a record of Node.js. */
struct node_walk {
	struct node_description description;
	struct v8_entry entry;
	u64 header[3];
	u64 wrapped[2];
};

/* Labels of a goroutine (thread_context_go.h). */
struct go_string {
	u64 text;
	u64 size;
};

struct go_slice {
	u64 array;
	u64 size;
	u64 capacity;
};

struct go_label {
	struct go_string key;
	struct go_string value;
};

/*
 * Room to compose one record in; vectors are gathered here. The data is twice
 * a segment long: an offset below it plus a piece of it is in bounds.
 */
struct scratch {
	u32 is_taken; /* by a program that can be preempted */
	u32 pad;
	/* Here and not on the stack: the verifier need not follow their values. */
	struct capture capture;
	struct walker walker;
	struct framer framer;
	struct describing describing;
	/* Here for the sake of the stack, of which a chain of calls has 512 bytes where the kernel has no other for us.
	 */
	struct user_iovec few[FEW_VECTORS];
	struct context_place place; /* of the running process */
	struct thread_io thread_io;
	u64 dtv[DTV_HEAD];
	struct context_record context;
	struct node_walk node;
	struct go_slice labels;
	struct go_label label;
	struct buffers buffers; /* of plaintext */
	struct wishes wishes; /* of the session that it is of */
	union {
		struct {
			struct io_event event;
			u8 data[2 * SEGMENT_SIZE];
		} io;
		struct {
			struct process_event event;
			u8 data[2 * SEGMENT_SIZE];
		} process;
		struct connection_event connection;
		struct conn conn;
	};
};

struct known_process {
	u64 start_time;
	u64 exec_id;
	u64 rules; /* that want its executable and cgroup */
};

struct listener_key {
	u32 netns;
	u32 port;
};

struct isn_pair {
	u32 client;
	u32 server;
};

struct address_key {
	u32 prefix;
	u8 address[16];
};

/* Where a sendmmsg or recvmmsg of a thread stands. */
struct message_cursor {
	u64 messages;
	u32 next;
	u32 count;
};

/* Socket -> conn. Written here; freed with the socket. */
struct conns_map {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
};
extern struct conns_map conns SEC(".maps");

/* TCP socket -> vitals, if they are wanted. Written here, deleted at the end of the connection. */
struct vitals_map {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct vitals);
};
extern struct vitals_map vitals SEC(".maps");

/* Cookie modulo size -> control. Written by user space through shared memory. */
struct controls_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_CONTROLS);
	__type(key, u32);
	__type(value, struct control);
};
extern struct controls_map controls SEC(".maps");

/* Events to user space. */
struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
};
extern struct ring_map ring SEC(".maps");

/* CPU -> scratch, and behind them those of programs that can be preempted. An array and not a per-CPU map, whose values
 * end at 32 KiB. */
struct scratches_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * MAX_CPUS);
	__type(key, u32);
	__type(value, struct scratch);
};
extern struct scratches_map scratches SEC(".maps");

/* enum counter -> count. Written here, read by user space. */
struct counters_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_COUNT);
	__type(key, u32);
	__type(value, u64);
};
extern struct counters_map counters SEC(".maps");

/* tgid -> known_process. Written at its first I/O, deleted at exec and exit. */
struct processes_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, u32);
	__type(value, struct known_process);
};
extern struct processes_map processes SEC(".maps");

/* (netns, port) with a listening socket when we started. Written by the seeding iterator, kept. */
struct listeners_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, struct listener_key);
	__type(value, u8);
};
extern struct listeners_map listeners SEC(".maps");

/* Both initial sequence numbers of our own connections, by which their other ends are known. Aged out. */
struct self_pairs_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SELF);
	__type(key, struct isn_pair);
	__type(value, u8);
};
extern struct self_pairs_map self_pairs SEC(".maps");

/* Cookies of our own UNIX sockets. Aged out. */
struct self_cookies_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SELF);
	__type(key, u64);
	__type(value, u8);
};
extern struct self_cookies_map self_cookies SEC(".maps");

/* tid -> message_cursor. Written by each message of a call, deleted by its last. */
struct cursors_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct message_cursor);
};
extern struct cursors_map cursors SEC(".maps");

/* tgid modulo size, or one of the next -> place_slot. Written by user space through shared memory. */
struct places_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_PLACES);
	__type(key, u32);
	__type(value, struct place_slot);
};
extern struct places_map context_places SEC(".maps");

/* One number, which rises after each change of context_places (user space, through shared memory) and with each process
 * that registers. */
struct generation_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
};
extern struct generation_map place_changes SEC(".maps");

/* Cookie of a socket that somebody registers through -> claim. Written and deleted by user space, proven here. */
struct claims_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CLAIMS);
	__type(key, u64);
	__type(value, struct claim);
};
extern struct claims_map claims SEC(".maps");

/* Leader of a process -> what it has proven. Written when it does so and as it forks; freed with the leader. */
struct registered_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct context_place);
};
extern struct registered_map registered_places SEC(".maps");

/* Filters: what a criterion sees -> the rules that want it. Written by user space before attach. */
struct ports_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, u64);
};
extern struct ports_map local_ports SEC(".maps");
extern struct ports_map remote_ports SEC(".maps");

struct addresses_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_FILTER_VALUES);
	__type(key, struct address_key);
	__type(value, u64);
};
extern struct addresses_map addresses SEC(".maps");

struct pids_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_FILTER_VALUES);
	__type(key, u32);
	__type(value, u64);
};
extern struct pids_map pids SEC(".maps");

struct paths_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_FILTER_VALUES);
	__type(key, struct path_key);
	__type(value, u64);
};
extern struct paths_map executables SEC(".maps");
extern struct paths_map cgroups SEC(".maps");

/* Our own thread group, in the initial pid namespace: set by identify_self. */
extern u32 self_tgid;
/* The sockets that are older than us have all been seen. */
extern u32 is_seeded;
/* A call with several messages has been seen: threads may have cursors. */
extern u32 has_cursors;
/* Of SHED_ALL, how many connections are left out. User space writes it through shared memory: a map of its own. */
extern volatile u32 shed_share;
/* How many claims there are. User space writes it, likewise. */
extern volatile u32 open_claims;

/*
 * Probes of user code can be preempted, by another thread whose I/O runs
 * programs on the same CPU. Their files define PREEMPTIBLE: they raise what
 * they share with others in one instruction, and have scratches of their own.
 * The functions that are verified by themselves exist in both variants.
 */
#ifdef PREEMPTIBLE
#define IS_PREEMPTIBLE true
#define AT_EACH_IO __noinline /* a call is little there, and the stack short */
#define VARIANT(name) preemptible_##name
#define raise_by(value, amount) __sync_fetch_and_add(value, amount)
#else
#define IS_PREEMPTIBLE false
#define AT_EACH_IO __always_inline
#define VARIANT(name) name
#define raise_by(value, amount) ((*(value) += (amount)) - (amount))
#endif

static __always_inline void count_inline(u32 counter, u64 amount)
{
	u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		raise_by(value, amount);
}

/* Not inlined: where it is called is rarely come by. */
static __noinline __attribute__((unused)) void count(u32 counter, u64 amount)
{
	count_inline(counter, amount);
}

#endif
