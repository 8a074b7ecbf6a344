// What a connection is told: the kernel's records in pipeline terms. One mutable IoEvent is reused for all I/O (hot path: no object per event).
import type { ConnectionId, ConnectionInfo, Security, TlsLibrary } from './connection.ts';
import type { ProcessId } from './process.ts';
import type { LossReason } from './protocol.ts';
import type { IoContext } from './thread-context.ts';
import type { Nanoseconds } from './transaction.ts';

/** Bytes [position, position + size) moved; the first `captured` of them are bytes[from, from + captured), valid during the call. */
export interface IoEvent {
  connection: ConnectionId;
  time: Nanoseconds;
  process: ProcessId;
  /** Of the thread that moved them, as the kernel's first namespace counts. */
  tid: number;
  isSent: boolean;
  /** `position` is the first byte of a system call's data. */
  isIoStart: boolean;
  /** The first received after something was sent, by a call that would have waited for them. */
  isBlocking: boolean;
  /** Another thread moved bytes of the same direction at the same time: the position is not proven. */
  isUnordered: boolean;
  /** Events of this connection were lost before this one. */
  isResumed: boolean;
  position: number;
  /** Where the opposite direction stood, by the kernel. */
  otherPosition: number;
  size: number;
  captured: number;
  /** Why the rest of `size` was not copied. */
  missing: LossReason | undefined;
  /** The kernel follows the HTTP/2 frames of this direction: payload of DATA frames moved, too, but is not among the bytes. */
  isFramed: boolean;
  /** Bytes from `position` to the next frame header, 0 if one begins there; {@link INSIDE_HEADER}. Without meaning if not framed. */
  toFrame: number;
  /** The frame under way at `position` is DATA, so that nothing of it is among the bytes. Without meaning if not framed. */
  isInData: boolean;
  bytes: Uint8Array;
  from: number;
  /** What the thread that moved the bytes had published; `position` lies in its range. */
  context: IoContext | undefined;
}

/** {@link IoEvent.toFrame} where `position` lies in a frame header of which more is to come: the next one is behind this event. */
export const INSIDE_HEADER = 0xffff_ffff;

/** A connection at its first observed I/O, with the stream positions before that I/O. */
export interface OpenEvent {
  readonly info: ConnectionInfo;
  readonly sentPosition: number;
  readonly receivedPosition: number;
  /** For a connection older than the receiver: the flow of its last bytes, as far as the kernel's clocks tell. */
  readonly lastFlow: 'sent' | 'received' | 'unknown';
  /** It carries TLS: its own bytes are never told, those of a session may be ({@link SecuredEvent}). */
  readonly isSecure: boolean;
  readonly time: Nanoseconds;
}

/** Which connection a TLS session belongs to, told once; its plaintext comes as {@link IoEvent} of `session`. */
export interface SecuredEvent {
  readonly session: ConnectionId;
  /** 0: nobody's; the evidence contradicts itself, or not all of the plaintext is seen. */
  readonly carrier: ConnectionId;
  readonly process: ProcessId;
  readonly library: TlsLibrary;
  readonly evidence: Security['evidence'] | 'contradiction' | 'ignored' | 'unfollowed';
  /** All of the plaintext of a session is seen whose connection began no earlier; undefined: that is not known of any. */
  readonly since: Nanoseconds | undefined;
  /** The connection has carried no other session before. */
  readonly isFirst: boolean;
  readonly time: Nanoseconds;
}

export interface EndEvent {
  readonly connection: ConnectionId;
  readonly time: Nanoseconds;
  readonly cause: 'eof' | 'shutdown' | 'closed' | 'error';
  readonly sentPosition: number;
  readonly receivedPosition: number;
  /** errno of the socket or of the call, 0 if none. */
  readonly error: number;
  /** The owning process was being torn down. */
  readonly isExiting: boolean;
}

/** The kernel followed chunks from `position` to `end`; `next` is the next chunk-size line, `body` all their payload. */
export interface WalkEvent {
  readonly connection: ConnectionId;
  readonly time: Nanoseconds;
  readonly isSent: boolean;
  readonly position: number;
  readonly end: number;
  readonly next: number;
  readonly body: number;
}
