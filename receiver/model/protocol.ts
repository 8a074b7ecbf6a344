// What a protocol folder offers and what it is given. `connections` orders the bytes of one socket and hands them over;
// a Conversation turns them into transactions. Protocols never see sockets, the kernel or each other.
import type { ConnectionInfo } from './connection.ts';
import type { ConversationInspection } from './inspection.ts';
import type { Exchange, OpenExchange } from './exchange.ts';
import type { ProcessId } from './process.ts';
import type { IoContext } from './thread-context.ts';
import type { Abort, Nanoseconds, Transaction } from './transaction.ts';

/** Which half of a conversation: what the client says, or what the server says. */
export type Side = 'request' | 'response';

/** What a protocol makes of the first bytes of one side. 'more': undecidable yet. */
export type Verdict = 'yes' | 'no' | 'more';

export interface Protocol {
  readonly name: string;
  /** The frames that the kernel follows are those of this protocol: where they are told of, it is this one, wherever it is joined. */
  readonly hasFrames?: boolean;
  /** Looks at the first bytes that one side sent: bytes[from, to). Never throws. */
  recognise(side: Side, bytes: Uint8Array, from: number, to: number): Verdict;
  /**
   * Of an older connection, or one whose beginning was lost: do bytes[from, to), with which an I/O begins, prove that it is of this protocol?
   * One that cannot tell is opened unasked, and finds its own way. Never throws.
   */
  proves?(side: Side, bytes: Uint8Array, from: number, to: number): boolean;
  open(connection: ConnectionInfo, start: ConversationStart, sink: ConversationSink): Conversation;
  /** How a connection that began as HTTP/1.1 comes to be of this protocol; absent: it never does, or nobody could read on. */
  readonly upgrade?: UpgradePath;
}

/** RFC 9110, 7.8. */
export interface UpgradePath {
  /** Its name in `Upgrade` fields, in lower case. */
  readonly token: string;
  open(connection: ConnectionInfo, handover: Handover, sink: ConversationSink): Conversation;
}

/** What a conversation leaves to one of another protocol, as its last act. Each side goes on behind its last message. */
export interface Handover {
  /** Offered the change, is whole, and was seen; its answer comes in the other protocol. */
  readonly exchange: OpenExchange;
  /** `HTTP2-Settings` of its request (RFC 7540, 3.2.1). */
  readonly settings: string | undefined;
  /** Bytes behind the request have been passed over. */
  readonly isRequestSideLost: boolean;
  readonly time: Nanoseconds;
}

/**
 * Where a conversation is joined. 'beginning': both sides from their first byte. 'boundary': in the middle, but the kernel's clocks say
 * that the last bytes moved were the server's, so the next request starts at an I/O. 'middle': anywhere; wait for a provable boundary.
 */
export type ConversationStart = 'beginning' | 'boundary' | 'middle';

/**
 * Everything is called in stream order per side, and between the sides in the order of cause and effect as far as positions prove it;
 * positions are absolute stream positions of that side.
 */
export interface Conversation {
  /**
   * Bytes [from, to) of `bytes`, whose first has position `position`. Valid only during the call. `isIoStart`: the first byte
   * is the first byte of a system call's data. Positions are contiguous with the previous data/skip call of that side.
   * `otherPosition`: where the other side stood, by the kernel, when the call returned that moved these bytes. For what a program
   * received that is exact: it could answer nothing before. For what it sent, it is an upper bound.
   */
  data(
    side: Side,
    bytes: Uint8Array,
    from: number,
    to: number,
    position: number,
    isIoStart: boolean,
    otherPosition: number,
    time: Nanoseconds,
    process: ProcessId,
  ): void;
  /**
   * As {@link data}, of a side whose frames the kernel follows: [position, end) moved, and bytes [from, to) of `bytes` are those of it that
   * are no payload of DATA frames. `toFrame`: bytes from `position` to the next frame header; if that is not 0, `isInData` tells whether the
   * frame under way is a DATA frame. Where the bytes end early the rest up to `end` is missing for `reason`.
   */
  framed(
    side: Side,
    bytes: Uint8Array,
    from: number,
    to: number,
    position: number,
    end: number,
    toFrame: number,
    isInData: boolean,
    isIoStart: boolean,
    otherPosition: number,
    reason: LossReason,
    time: Nanoseconds,
    process: ProcessId,
  ): void;
  /** Of the data that comes next: what the thread that moved it had published. Told again with each part of the same I/O. */
  threadContext(side: Side, context: IoContext): void;
  /**
   * Bytes [position, end) moved but were not copied. Harmless where the conversation knows them as body; where they were needed
   * they are lost for `reason` and the conversation resynchronises.
   */
  missing(side: Side, position: number, end: number, reason: LossReason, time: Nanoseconds, process: ProcessId): void;
  /** I/O of several threads in this direction: bytes came too late, or may have been told of at positions that were not theirs. */
  unordered(side: Side): void;
  /**
   * The kernel followed chunked framing itself from the chunk-size line at `position` (as asked by {@link ConversationSink.stepOverChunks})
   * to the chunk-size line or I/O end at `end`; the chunk payload in between is `bodyBytes`, `remaining` bytes of the last chunk
   * and its CRLF are still to come after `end` (0: a chunk-size line is next).
   */
  chunksWalked(side: Side, position: number, end: number, bodyBytes: number, remaining: number, time: Nanoseconds): void;
  /** This side sends no more (FIN, or shutdown of its writing half). */
  end(side: Side, time: Nanoseconds): void;
  /** The connection is over. What is in flight ends here: complete if framing says so (body until close), else aborted for `cause`. */
  close(cause: Abort, time: Nanoseconds): void;
  /** The exchange whose request begins at this position: one that is under way, or the last one that ended. */
  exchangeAt(position: number): Exchange | undefined;
  /** Transactions that are open now: request seen, response not complete. */
  openTransactions(): number;
  /** What is under way, each exchange as if it ended now. */
  present(now: Nanoseconds): Present;
  /** Where it stands at the present time, for people. */
  inspect(now: Nanoseconds): ConversationInspection;
  /**
   * Called now and then (about every second) with the present time: hands out what was held back only until silence would show that
   * the client was waiting for nothing else. Absent: nothing is ever held back for that long.
   */
  settle?(now: Nanoseconds): void;
  /** Nothing more comes, and nothing is known of why: what is open is counted under the reason and makes no transaction. */
  abandon(reason?: 'open_at_exit' | 'bytes_lost'): void;
}

/** A proven conversation at one moment; an unproven one has nothing. */
export interface Present {
  /** Exchanges whose answer is not complete. */
  readonly open: readonly Transaction[];
  /** The last one that ended. */
  readonly last: Transaction | undefined;
}

/** Why bytes that a parser needed were not there. */
export type LossReason =
  | 'ring_full'
  | 'not_in_user_memory'
  | 'unreadable_memory'
  | 'capture_window'
  | 'unordered_io'
  | 'unseen_io'
  | 'compat_task'
  | 'too_many_vectors';

/** Why a transaction that was seen produced no span. */
export type NotExportedReason =
  | 'unsampled'
  | 'sampled_out'
  | 'sdk_duplicate'
  | 'filtered'
  | 'bytes_lost'
  | 'malformed_message'
  | 'head_too_large'
  | 'header_unknown'
  | 'too_many_pipelined'
  | 'process_unknown'
  | 'no_traces_pipeline'
  | 'queue_full'
  | 'export_failed'
  | 'export_rejected'
  | 'stored'
  | 'storage_failed'
  | 'storage_unreadable'
  | 'open_at_exit';

/** Why a conversation gives a connection up. */
export type GiveUpReason = 'not_http' | 'upgraded' | 'tunnel' | 'malformed' | 'too_many_pipelined';

export interface ConversationSink {
  /** A complete (or aborted) exchange. */
  transaction(transaction: Transaction): void;
  /** A request's head is complete. */
  requested(exchange: Exchange): void;
  /** A transaction was seen (its request head is complete). Called exactly once per transaction, before anything else about it. */
  seen(): void;
  /** A seen transaction ends without a Transaction. */
  dropped(reason: NotExportedReason): void;
  /** Accounting of every byte handed in: parsed as head or framing, body or opaque bytes skipped on purpose, or lost. */
  parsed(count: number): void;
  skipped(count: number): void;
  lost(reason: LossReason | 'resynchronising' | 'malformed_message' | 'head_too_large', count: number): void;
  /** A response that answers nothing, an adopted stream, and so on: named events for self-telemetry. */
  count(event: ConversationEvent): void;
  /** Bytes of this side before `position` are of no interest: the kernel need not copy them. */
  stepOver(side: Side, position: number): void;
  /** A chunk-size line begins at `position`: the kernel may follow the chunks from there without copying. */
  stepOverChunks(side: Side, position: number): void;
  /**
   * A frame header is at `position`, or will be: every byte before it has been read, or is payload of a DATA frame. The kernel may follow the
   * frames of this side from there on.
   */
  followFrames(side: Side, position: number): void;
  /**
   * The server has agreed to go on in the protocol of this name in `Upgrade` fields. What follows, be it of the bytes at hand, is for the
   * conversation that is returned; undefined: nobody reads that protocol, and nothing is handed over.
   */
  handOver(token: string, handover: Handover): Conversation | undefined;
  /** Nothing on this connection is of interest any more. */
  giveUp(reason: GiveUpReason): void;
}

export type ConversationEvent =
  | 'response_without_request'
  /** A server promises an answer to nothing (HTTP/2). */
  | 'pushed_response'
  | 'resynchronised'
  | 'invalid_traceparent'
  | 'invalid_tracestate'
  | 'conflicting_framing'
  | 'head_too_large';
