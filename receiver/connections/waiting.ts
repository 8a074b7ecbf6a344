// Events of one connection that cannot be handed over yet, in their order: a bounded queue of copies (hot path only when threads race).
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
  readonly #events: IoEvent[] = [];
  #bytes = 0;
  /** Ends of directions that came meanwhile, at most one of each. */
  readonly #ends: WaitingEnd[] = [];

  get first(): IoEvent | undefined {
    return this.#events[0];
  }

  /** Kept. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** Keeps a copy. False: there is no room. */
  add(event: IoEvent): boolean {
    if (this.#events.length >= MAX_EVENTS || this.#bytes + event.captured > MAX_BYTES) return false;
    this.#events.push({ ...event, bytes: event.bytes.slice(event.from, event.from + event.captured), from: 0 });
    this.#bytes += event.captured;
    return true;
  }

  addEnd(end: WaitingEnd): void {
    if (!this.#ends.some(({ isSent }) => isSent === end.isSent)) this.#ends.push(end);
  }

  take(): IoEvent | undefined {
    const event = this.#events.shift();
    if (event !== undefined) this.#bytes -= event.captured;
    return event;
  }

  takeEnd(): WaitingEnd | undefined {
    return this.#ends.shift();
  }

  /** The bytes of `event` behind those of its direction that wait. */
  bytesBefore(event: IoEvent): Uint8Array {
    const own = event.bytes.subarray(event.from, event.from + event.captured);
    const earlier = this.#events.filter((waiting) => waiting.isSent === event.isSent).map((waiting) => waiting.bytes);
    return earlier.length === 0 ? own : Buffer.concat([...earlier, own]);
  }
}
