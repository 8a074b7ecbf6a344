// Plays the bytes of a connection to a conversation, as the kernel tells of them: whole, or without the payload of DATA frames.
import type { ConversationStart, LossReason, Side } from '../../../receiver/model/protocol.ts';
import type { Conversation } from '../../../receiver/model/protocol.ts';
import type { Abort, Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp2 } from '../../../receiver/protocols/http2/protocol.ts';
import { connectionOf, Recorder } from '../http1/replay.ts';
import type { FramedPart } from './frames.ts';

export interface PlayerOptions {
  readonly role?: 'client' | 'server';
  readonly start?: ConversationStart;
  readonly protocol?: ReturnType<typeof createHttp2>;
}

const PIDS = { request: 1, response: 2 } as const;

export class Player {
  readonly recorder = new Recorder();
  readonly conversation: Conversation;
  readonly position = { request: 0, response: 0 };
  given = 0;
  time = 0;

  constructor({ role = 'server', start = 'beginning', protocol = createHttp2() }: PlayerOptions = {}) {
    this.conversation = protocol.open(connectionOf(role), start, this.recorder);
  }

  get transactions(): readonly Transaction[] {
    return this.recorder.transactions;
  }

  request(...bytes: readonly Uint8Array[]): void {
    this.say('request', Buffer.concat(bytes));
  }

  response(...bytes: readonly Uint8Array[]): void {
    this.say('response', Buffer.concat(bytes));
  }

  say(side: Side, bytes: Uint8Array, isIoStart = true): void {
    this.time++;
    // Somewhere in a larger memory that is used again as soon as the call returns, as the ring's is.
    const memory = new Uint8Array(bytes.length + 7).fill(0x20);
    memory.set(bytes, 3);
    const from = this.#advance(side, bytes.length);
    this.conversation.data(side, memory, 3, 3 + bytes.length, from, isIoStart, this.#other(side), this.time, this.#process(side));
    memory.fill(0x21);
  }

  framed(side: Side, part: FramedPart, reason: LossReason = 'capture_window'): void {
    this.time++;
    const { size } = part;
    const from = this.#advance(side, size);
    const memory = new Uint8Array(part.bytes.length + 7).fill(0x20);
    memory.set(part.bytes, 3);
    const to = 3 + part.bytes.length;
    const { toFrame, isInData } = part;
    const other = this.#other(side);
    const process = this.#process(side);
    this.conversation.framed(side, memory, 3, to, from, from + size, toFrame, isInData, true, other, reason, this.time, process);
    memory.fill(0x21);
  }

  missing(side: Side, size: number, reason: LossReason = 'ring_full'): void {
    this.time++;
    const from = this.#advance(side, size);
    this.conversation.missing(side, from, from + size, reason, this.time, this.#process(side));
  }

  context(side: Side, size: number, spanId: string): void {
    const position = this.position[side];
    const context = { traceId: 'a'.repeat(32), spanId, flags: 1, traceState: undefined };
    this.conversation.threadContext(side, { position, end: position + size, context: context as never, record: undefined });
  }

  close(cause: Abort = 'connection_closed'): void {
    this.conversation.close(cause, ++this.time);
  }

  figure(name: string): number {
    return this.recorder.figures.get(name) ?? 0;
  }

  /** Of the books, what is out of balance once all is over. */
  imbalance(): string | undefined {
    this.conversation.abandon();
    const { accounted, seenCount, droppedCount, transactions } = this.recorder;
    if (accounted !== this.given) return `${String(accounted)} of ${String(this.given)} bytes accounted for`;
    const settled = transactions.length + droppedCount;
    if (seenCount !== settled) return `${String(seenCount)} seen, ${String(settled)} settled`;
    const open = this.conversation.openTransactions();
    return open === 0 ? undefined : `${String(open)} open`;
  }

  #advance(side: Side, size: number): number {
    const from = this.position[side];
    this.position[side] += size;
    this.given += size;
    return from;
  }

  #other(side: Side): number {
    return this.position[side === 'request' ? 'response' : 'request'];
  }

  #process(side: Side): { pid: number; startTime: number } {
    return { pid: PIDS[side], startTime: PIDS[side] };
  }
}
