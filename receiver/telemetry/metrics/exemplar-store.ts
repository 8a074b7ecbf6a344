// The memory of all exemplars: 44 bytes each, in a few large blocks, instead of objects and texts by the hundred thousand. Bounded: when it
// is full, no more are kept until the next collection.
import type { Exemplar } from '../../model/metric.ts';
import type { Nanoseconds } from '../../model/transaction.ts';

/** The span that was current at a measurement. */
export interface SpanIdentity {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
}

const MAX_SLOTS = 262_144;
const INITIAL_SLOTS = 256;
/** 32-bit words of a trace id and a span id. */
const TRACE_WORDS = 4;
const ID_WORDS = 6;
const DIGITS = 8;

export class ExemplarStore {
  readonly #limit: number;
  #values = new Float64Array(INITIAL_SLOTS);
  #times = new Float64Array(INITIAL_SLOTS);
  #ids = new Uint32Array(INITIAL_SLOTS * ID_WORDS);
  /** Slots that were used and are free again. */
  readonly #free: number[] = [];
  /** The slots from here on were never used. */
  #next = 0;

  constructor(limit = MAX_SLOTS) {
    this.#limit = limit;
  }

  get used(): number {
    return this.#next - this.#free.length;
  }

  /** A slot to be {@link set}; -1 when all are in use. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#next >= this.#limit) return -1;
    if (this.#next >= this.#values.length) this.#grow();
    return this.#next++;
  }

  set(slot: number, value: number, time: Nanoseconds, { traceId, spanId }: SpanIdentity): void {
    this.#values[slot] = value;
    this.#times[slot] = time;
    const at = slot * ID_WORDS;
    for (let word = 0; word < TRACE_WORDS; word++) this.#ids[at + word] = wordOf(traceId, word * DIGITS);
    for (let word = TRACE_WORDS; word < ID_WORDS; word++) this.#ids[at + word] = wordOf(spanId, (word - TRACE_WORDS) * DIGITS);
  }

  get(slot: number): Exemplar {
    const at = slot * ID_WORDS;
    return {
      value: this.#values[slot] as number,
      time: this.#times[slot] as number,
      traceId: this.#text(at, at + TRACE_WORDS),
      spanId: this.#text(at + TRACE_WORDS, at + ID_WORDS),
    };
  }

  free(slot: number): void {
    this.#free.push(slot);
  }

  #text(from: number, to: number): string {
    let text = '';
    for (let at = from; at < to; at++) text += (this.#ids[at] as number).toString(16).padStart(DIGITS, '0');
    return text;
  }

  #grow(): void {
    const slots = Math.min(this.#limit, this.#values.length * 2);
    const [values, times, ids] = [this.#values, this.#times, this.#ids];
    this.#values = new Float64Array(slots);
    this.#times = new Float64Array(slots);
    this.#ids = new Uint32Array(slots * ID_WORDS);
    this.#values.set(values);
    this.#times.set(times);
    this.#ids.set(ids);
  }
}

/** Eight lower-case hex digits; ids are checked where they are made. */
function wordOf(digits: string, from: number): number {
  let word = 0;
  for (let i = from; i < from + DIGITS; i++) {
    const code = digits.charCodeAt(i);
    word = (word << 4) | ((code & 15) + (code >>> 6) * 9);
  }
  return word;
}
