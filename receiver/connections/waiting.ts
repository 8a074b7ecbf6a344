// Events of one connection that cannot be handed over yet, in their order: bounded queues of copies (hot path only when threads race).
import type { IoEvent } from '../model/stream-event.ts';
import type { Nanoseconds } from '../model/transaction.ts';

const MAX_EVENTS = 64;
const MAX_BYTES = 512 * 1024;

export interface WaitingEnd {
  readonly isSent: boolean;
  readonly time: Nanoseconds;
  readonly position: number;
}

export class WaitingEvents {
  readonly #sent: IoEvent[] = [];
  readonly #received: IoEvent[] = [];
  #isSentFirst = false;
  #bytes = 0;
  /** Ends of directions that came meanwhile, at most one of each. */
  readonly #ends: WaitingEnd[] = [];

  /** Time of the earliest. */
  get since(): Nanoseconds | undefined {
    const sent = this.#sent[0]?.time;
    const received = this.#received[0]?.time;
    return sent === undefined || received === undefined ? (sent ?? received) : Math.min(sent, received);
  }

  /** Kept. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#sent.length === 0 && this.#received.length === 0;
  }

  /** Nothing is kept, not even an end. */
  get isUnused(): boolean {
    return this.isEmpty && this.#ends.length === 0;
  }

  /** Which direction the first came in (true: sent), of those that wait since nothing waited. */
  get firstSpeaker(): boolean | undefined {
    return this.isEmpty ? undefined : this.#isSentFirst;
  }

  /** The first of a direction. */
  first(isSent: boolean): IoEvent | undefined {
    return isSent ? this.#sent[0] : this.#received[0];
  }

  /** Keeps a copy. False: there is no room. */
  add(event: IoEvent): boolean {
    if (this.#sent.length + this.#received.length >= MAX_EVENTS || this.#bytes + event.captured > MAX_BYTES) return false;
    const copy = { ...event, bytes: event.bytes.slice(event.from, event.from + event.captured), from: 0 };
    if (this.isEmpty) this.#isSentFirst = event.isSent;
    (event.isSent ? this.#sent : this.#received).push(copy);
    this.#bytes += event.captured;
    return true;
  }

  addEnd(end: WaitingEnd): void {
    if (!this.#ends.some(({ isSent }) => isSent === end.isSent)) this.#ends.push(end);
  }

  take(isSent: boolean): IoEvent | undefined {
    const event = (isSent ? this.#sent : this.#received).shift();
    if (event !== undefined) this.#bytes -= event.captured;
    return event;
  }

  takeEnd(): WaitingEnd | undefined {
    return this.#ends.shift();
  }

  /** What waits of a direction. */
  bytesOf(isSent: boolean): Uint8Array {
    return Buffer.concat((isSent ? this.#sent : this.#received).map(({ bytes }) => bytes));
  }

  /** The bytes of `event` behind those of its direction that wait. */
  bytesBefore(event: IoEvent): Uint8Array {
    const own = event.bytes.subarray(event.from, event.from + event.captured);
    return this.first(event.isSent) === undefined ? own : Buffer.concat([this.bytesOf(event.isSent), own]);
  }
}
