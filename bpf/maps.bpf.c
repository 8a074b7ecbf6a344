// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The one definition of every map and every knob. */
#include "compat.h"
#include "emit.h"
#include "tls.h"

struct conns_map conns SEC(".maps");
struct vitals_map vitals SEC(".maps");
struct controls_map controls SEC(".maps");
struct ring_map ring SEC(".maps");
struct scratches_map scratches SEC(".maps");
struct counters_map counters SEC(".maps");
struct processes_map processes SEC(".maps");
struct listeners_map listeners SEC(".maps");
struct self_pairs_map self_pairs SEC(".maps");
struct self_cookies_map self_cookies SEC(".maps");
struct sequences_map sequences SEC(".maps");
struct cursors_map cursors SEC(".maps");
struct places_map context_places SEC(".maps");
struct generation_map place_changes SEC(".maps");
struct tls_sessions_map tls_sessions SEC(".maps");
struct tls_blank_map tls_blank SEC(".maps");
struct tls_threads_map tls_threads SEC(".maps");
struct tls_records_map tls_records SEC(".maps");
struct claims_map claims SEC(".maps");
struct registered_map registered_places SEC(".maps");
struct tls_targets_map tls_targets SEC(".maps");
struct tls_unseen_map tls_unseen SEC(".maps");
struct ports_map local_ports SEC(".maps");
struct ports_map remote_ports SEC(".maps");
struct addresses_map addresses SEC(".maps");
struct pids_map pids SEC(".maps");
struct paths_map executables SEC(".maps");
struct paths_map cgroups SEC(".maps");

const volatile u32 ring_size = 8 * 1024 * 1024;
const volatile u32 cpu_count = MAX_CPUS;
const volatile u32 capture_loopback = 1;
const volatile u32 tell_execs = 0;
const volatile u32 context_attributes = 0;
const volatile u32 has_registration = 0;
const volatile u64 include_rules = 0;
const volatile u64 exclude_rules = 0;
const volatile u64 any_local_port = 0;
const volatile u64 any_remote_port = 0;
const volatile u64 any_address = 0;
const volatile u64 any_pid = 0;
const volatile u64 any_executable = 0;
const volatile u64 any_cgroup = 0;

u32 self_tgid = 0;
u32 is_seeded = 0;
u32 has_cursors = 0;
u64 tls_session_count = 0;
u64 registers_offset = 0;

/* Maps of their own, which user space has mapped. */
volatile u32 shed_share SEC(".data.overload");
volatile u32 open_claims SEC(".data.claims");

/* clang-format breaks the line behind a section. */
/* clang-format off */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
/* clang-format on */

/* The wire types that no map holds: named here so that BTF describes them to user space. */
struct wire_types {
	struct io_event io;
	struct connection_event connection;
	struct end_event end;
	struct walk_event walk;
	struct process_event process;
	struct process_exit_event process_exit;
	struct exec_event exec;
	struct context_event context;
	struct secure_event secure;
	struct vitals_event vitals;
	struct labels_event labels;
	struct thread_context published;
	struct place_slot slot;
	enum place_flag place;
	struct process_size process_size;
	struct thread_entry thread;
	enum claim_state claim;
	enum event_kind kind;
	enum io_flag flag;
	enum framing_flag framing;
	enum open_flag open;
	enum secure_flag secured;
	enum missing_reason missing;
	enum end_cause cause;
	enum conn_role role;
	enum role_evidence evidence;
	enum conn_outcome outcome;
	enum last_flow last;
	enum tls_library library;
	enum tls_evidence tls_evidence;
	enum probe_flag probe;
	enum go_flag go;
	enum counter counter;
	enum bound bound;
};
const struct wire_types *unused_wire_types __attribute__((unused));
