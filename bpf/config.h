/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every bound of the kernel side, and every knob that user space sets before
 * the programs are loaded.
 */
#ifndef USM_CONFIG_H
#define USM_CONFIG_H

#include "kernel.h"
#include "event.h"

/* One record carries at most this much payload. A power of two: it is also a mask for the verifier. */
#define SEGMENT_SIZE (32 * 1024)
/* A plain buffer up to this size is read straight into the ring. */
#define SMALL_SIZE 4096
/* I/O up to this size is more likely to be framing than a part of a body. */
#define TINY_SIZE 256
#define MAX_SEGMENTS (WINDOW_SIZE / SEGMENT_SIZE + 1)
#define MAX_VECTORS 1024
#define FEW_VECTORS 4
/* Chunk heads that one I/O may hold before the rest is copied instead. */
#define MAX_CHUNKS 512
/* A chunk-size line that is longer (extensions) is copied instead of walked. */
#define MAX_CHUNK_LINE 96
#define MAX_CHUNK_DIGITS 13

/* Frames, pieces of frames and vectors that one I/O may hold: then its direction is followed no more. */
#define MAX_FRAME_STEPS 8192
/* A frame other than DATA that is longer is none. */
#define MAX_FRAME_SIZE (64 * 1024)
/* Read at once, in the hope that the frame ends therein. */
#define FRAME_PEEK 256

/* I/O of at least this size is looked at for chunks that need not be copied. A power of two for the head. */
#define MIN_GUESS_SIZE 4096
#define MAX_GUESSED_HEAD 4096

/* Of the attributes in a record, by OTEP 4947: what claims more is none. */
#define MAX_RECORD_ATTRIBUTES 612

/* Ticks of 1 to 10 ms: what comes so long after our last bytes may acknowledge something else. Keepalive probes begin
 * after a second. */
#define LATE_ACK 100

/* The longest tick. */
#define MAX_TICK_US 10000

/* How often it is tried to see an old connection stand still. */
#define MAX_LOOKS 8

#define MAX_PATH 512
#define MAX_PATH_DEPTH 32
#define MAX_ARGS 4096
#define MAX_ENVIRONMENT (32 * 1024)
#define MAX_CGROUP_DEPTH 12
#define MAX_FILTER_VALUES 16384

/* Words of a DTV that are read at once, from its count on: enough for the first modules of a process. */
#define DTV_HEAD 32

#define MAX_CLAIMS 256

#define MAX_CPUS 512
#define MAX_PROCESSES 32768
#define MAX_CONTROLS 16384
#define MAX_SELF 4096
#define MAX_LISTENERS 16384

#define MAX_TLS_SESSIONS 65536
/* Looks at a session that another thread is making, of some nanoseconds each. */
#define MAX_TLS_WAIT 8192
#define MAX_TLS_RECORDS 8192
/* Calls into TLS libraries within one another, on one thread. A power of two. */
#define MAX_TLS_FRAMES 4
/* At setting a time that another CPU may be setting, too. */
#define MAX_TLS_TRIES 4

extern const volatile u32 ring_size; /* bytes */
extern const volatile u32 cpu_count; /* possible ones */
extern const volatile u32 capture_loopback;
extern const volatile u32 tell_execs; /* user space wants to know of programs as they begin */
extern const volatile u32 context_attributes; /* those of a thread's context are wanted */
extern const volatile u32 has_registration; /* processes may register where their threads have their contexts */
/*
 * Filters are rules; a rule is a bit: the low half includes, the high half
 * excludes. Each criterion maps what it sees to the rules that want it; rules
 * that say nothing of a criterion are in its `any_` mask.
 */
extern const volatile u64 include_rules;
extern const volatile u64 exclude_rules;
extern const volatile u64 any_local_port;
extern const volatile u64 any_remote_port;
extern const volatile u64 any_address;
extern const volatile u64 any_pid;
extern const volatile u64 any_executable;
extern const volatile u64 any_cgroup;

#endif
