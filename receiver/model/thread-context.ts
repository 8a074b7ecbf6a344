// The span that an application's own thread says it is in, as the kernel side copies it at an I/O; and where it is to be found. OTEP 4947.
// https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4947-thread-ctx.md
import type { TraceContext } from './trace.ts';

/** What the thread that moved bytes [position, end) of one direction had published. */
export interface IoContext {
  readonly position: number;
  readonly end: number;
  /** Its flags are those of a span that is exported, whatever the record says: many writers always write 0. */
  readonly context: TraceContext;
  /** The whole record, for its attributes. Undefined: there are none, or they are not wanted, or they are more than is copied. */
  readonly record: Uint8Array | undefined;
  /** Of what a client asks it says nothing: Go writes requests in goroutines that have the labels of whoever opened the connection. */
  readonly isOfServersAlone?: boolean;
}

/** One program in one process: exactly what the kernel compares. */
export interface ProcessInstance {
  readonly pid: number;
  /** Nanoseconds since boot. */
  readonly startTime: bigint;
  readonly execId: number;
}

/** What became of a process's own claim where that is. */
export type ClaimVerdict =
  /** `pid`: in the initial pid namespace. */
  | { readonly kind: 'proven'; readonly pid: number }
  | {
      readonly kind:
        /** The kernel has not seen yet that something was sent which could prove it. */
        | 'unseen'
        /** Who sent the proof is not who connected. */
        | 'stranger'
        /** No memory is there, or none that the thread has touched. */
        | 'unreadable'
        | 'no_nonce'
        /** A 32-bit process. */
        | 'compat'
        | 'no_room';
    };

/** What is found there instead of the pointer to the thread's record: the description of Node.js's way to it. */
export type ContextForm = 'nodejs';

/** Where each thread of a process has what it publishes. */
export type ContextPlace =
  | ThreadPlace
  /** Nowhere: the goroutine that runs has it. Offsets of that in its thread, and of the labels in it. */
  | { readonly kind: 'goroutine'; readonly current: number; readonly labels: number };

export type ThreadPlace =
  /** So many bytes from its thread pointer. */
  | { readonly kind: 'static'; readonly form?: ContextForm; readonly offset: number }
  /** In its block of a module, which its DTV points to. */
  | {
      readonly kind: 'module';
      readonly form?: ContextForm;
      readonly offset: number;
      readonly moduleId: number;
      /** A thread whose DTV is older has no such block; 0: not known. */
      readonly generation: number;
      /** Of the pointer to the DTV, from the thread pointer. */
      readonly dtvOffset: number;
      /** Of the number of entries, from the DTV. */
      readonly countOffset: number;
      readonly entrySize: number;
    };
