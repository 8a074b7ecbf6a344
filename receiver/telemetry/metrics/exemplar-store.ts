// The memory of all exemplars, as lists in a few large blocks instead of objects and texts by the hundred thousand. Bounded: when it is full,
// no more are kept until the next collection.
import type { Exemplar } from '../../model/metric.ts';
import type { Nanoseconds } from '../../model/transaction.ts';

/** The span that was current at a measurement. */
export interface SpanIdentity {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
}

/** No slot. */
export const NONE = -1;

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
  /** What the slot is found by in its list. */
  #keys = new Uint32Array(INITIAL_SLOTS);
  #offered = new Uint32Array(INITIAL_SLOTS);
  #next = new Int32Array(INITIAL_SLOTS);
  /** The slots from here on were never used. */
  #end = 0;
  #firstFree = NONE;
  #used = 0;

  constructor(limit = MAX_SLOTS) {
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** The slot with this key in the list that begins at `first`. */
  find(first: number, key: number): number {
    let slot = first;
    while (slot !== NONE && this.#keys[slot] !== key) slot = this.#next[slot] as number;
    return slot;
  }

  /** A slot at the beginning of a list, to be {@link set}; NONE when all are in use. */
  add(first: number, key: number): number {
    let slot = this.#firstFree;
    if (slot !== NONE) {
      this.#firstFree = this.#next[slot] as number;
    } else {
      if (this.#end >= this.#limit) return NONE;
      if (this.#end >= this.#values.length) this.#grow();
      slot = this.#end++;
    }
    this.#used++;
    this.#keys[slot] = key;
    this.#offered[slot] = 0;
    this.#next[slot] = first;
    return slot;
  }

  /** One more measurement was offered for this slot: returns how many that makes. */
  offer(slot: number): number {
    const offered = (this.#offered[slot] as number) + 1;
    this.#offered[slot] = offered;
    return offered;
  }

  set(slot: number, value: number, time: Nanoseconds, { traceId, spanId }: SpanIdentity): void {
    this.#values[slot] = value;
    this.#times[slot] = time;
    const at = slot * ID_WORDS;
    for (let word = 0; word < TRACE_WORDS; word++) this.#ids[at + word] = wordOf(traceId, word * DIGITS);
    for (let word = TRACE_WORDS; word < ID_WORDS; word++) this.#ids[at + word] = wordOf(spanId, (word - TRACE_WORDS) * DIGITS);
  }

  /** Of a list, by ascending keys. */
  list(first: number): readonly Exemplar[] {
    const slots: number[] = [];
    for (let slot = first; slot !== NONE; slot = this.#next[slot] as number) slots.push(slot);
    slots.sort((a, b) => (this.#keys[a] as number) - (this.#keys[b] as number));
    return slots.map((slot) => this.#get(slot));
  }

  /** Empties a list. */
  free(first: number): void {
    let slot = first;
    while (slot !== NONE) {
      const next = this.#next[slot] as number;
      this.#next[slot] = this.#firstFree;
      this.#firstFree = slot;
      this.#used--;
      slot = next;
    }
  }

  #get(slot: number): Exemplar {
    const at = slot * ID_WORDS;
    return {
      value: this.#values[slot] as number,
      time: this.#times[slot] as number,
      traceId: this.#text(at, at + TRACE_WORDS),
      spanId: this.#text(at + TRACE_WORDS, at + ID_WORDS),
    };
  }

  #text(from: number, to: number): string {
    let text = '';
    for (let at = from; at < to; at++) text += (this.#ids[at] as number).toString(16).padStart(DIGITS, '0');
    return text;
  }

  #grow(): void {
    const slots = Math.min(this.#limit, this.#values.length * 2);
    this.#values = grown(this.#values, new Float64Array(slots));
    this.#times = grown(this.#times, new Float64Array(slots));
    this.#ids = grown(this.#ids, new Uint32Array(slots * ID_WORDS));
    this.#keys = grown(this.#keys, new Uint32Array(slots));
    this.#offered = grown(this.#offered, new Uint32Array(slots));
    this.#next = grown(this.#next, new Int32Array(slots));
  }
}

function grown<A extends Float64Array | Uint32Array | Int32Array>(from: A, to: A): A {
  to.set(from);
  return to;
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
