// A step that went no further → what a person can do about it. Words only; the steps are those of otel-thread-context/reader/locate.ts.
import type { Step } from '../../otel-thread-context/reader/index.ts';
import type { Placement, PlacementRefusal } from './context-place.ts';

const privileges = 'run this as root, or with CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE, in the pid namespace of the host';
const report = 'report it with this output';
const brokenSdk = 'update or report the SDK: what it publishes is not what OTEP 4719 asks for';
const makePublish = 'switch it on in its SDK, or publish it with the library otel-thread-context';
const export_ =
  'export the variable (-rdynamic, or -Wl,--export-dynamic-symbol=otel_thread_ctx_v1), keep .symtab when stripping, or register it';

/** By step and reason; a step without a reason is not in the way. */
const remedies: Readonly<Partial<Record<string, string>>> = {
  'mappings unreadable': privileges,
  'process context absent': makePublish,
  'process context unreadable': privileges,
  'process context no_signature': 'find out what maps something by that name: it is no process context',
  'process context unsupported_version': 'update the SDK: version 2 of the process context is read',
  'process context updating': 'look again; if it stays so, the SDK was interrupted as it published',
  'process context oversize': 'publish fewer attributes',
  'process context malformed': brokenSdk,
  'schema absent': 'switch the publishing of thread contexts on in its SDK: it tells only who the process is',
  'schema unknown': 'update the receiver, or have the SDK publish tls_v1 or tlsdesc_v1_dev',
  'program absent': privileges,
  'symbol objection': 'update or report the SDK: the variable is not the one that OTEP 4947 asks for',
  'symbol absent': export_,
  'runtime absent': 'publish this schema only from programs made by Go',
  'runtime unknown_version': 'build it with Go 1.24 to 1.27; where other versions have their labels is not known here',
  'slot absent': 'look again when the application has published a context: nothing reaches the variable yet',
  'slot not_accessed': 'have some code of the library use the variable: dlsym(3) alone leaves no trace on musl',
  'slot not_relocated': 'look again in a moment: the loader has not filled it in',
  'slot unreadable': privileges,
  'slot unknown_resolver': report,
  'slot undefined_symbol': 'load the library that defines the variable: the reference to it is weak',
  'slot contradiction': report,
  'slot unknown_libc': 'use glibc or musl, or compile with -ftls-model=initial-exec',
  'slot zero_offset': 'move the variable: offset 0 cannot be told from a word that was not filled in',
  'slot implausible': report,
};

export function remedyFor({ name, outcome, reason }: Step): string | undefined {
  if (reason === undefined || outcome === 'found' || outcome === 'note') return undefined;
  return remedies[`${name} ${reason}`];
}

const placementRemedies: Readonly<Record<PlacementRefusal, string>> = {
  unresolved: report,
  form: 'see docs/thread-context.md for the forms that are read',
  several_slots: 'leave one of the libraries out: a process has one variable',
  machine: 'run it on a machine of its own kind',
};

export function remedyForPlacement(placement: Placement): string | undefined {
  return placement.kind === 'refused' ? placementRemedies[placement.reason] : undefined;
}

export const remedyForThreads = 'run this as root, or with CAP_BPF and CAP_PERFMON, on Linux 6.1 or newer with BTF';
