// Measurements that carry a span → the few that are kept as exemplars until the next collection
// (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#exemplarreservoir). Which ones is drawn, each with the same chance. Hot path: offer.
import type { Exemplar } from '../../model/metric.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import { type ExemplarStore, NONE, type SpanIdentity } from './exemplar-store.ts';

/** Uniform in [0, 1). */
export type Random = () => number;

export interface Reservoir {
  offer(bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void;
  readonly exemplars: readonly Exemplar[];
  reset(): void;
}

/** What an exponential histogram keeps at most, as the specification has it. */
const FIXED_SIZE = 20;

/** One exemplar for each bucket. */
export class AlignedReservoir implements Reservoir {
  readonly #store: ExemplarStore;
  readonly #random: Random;
  /** List in the store, by bucket. */
  #first = NONE;

  constructor(store: ExemplarStore, random: Random) {
    this.#store = store;
    this.#random = random;
  }

  offer(bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const store = this.#store;
    let slot = store.find(this.#first, bucket);
    if (slot === NONE) {
      slot = store.add(this.#first, bucket);
      if (slot === NONE) return;
      this.#first = slot;
    }
    const offered = store.offer(slot);
    if (offered === 1 || this.#random() * offered < 1) store.set(slot, value, time, span);
  }

  get exemplars(): readonly Exemplar[] {
    return this.#store.list(this.#first);
  }

  reset(): void {
    this.#store.free(this.#first);
    this.#first = NONE;
  }
}

/** A fixed number of exemplars, whatever their buckets. */
export class FixedSizeReservoir implements Reservoir {
  readonly #store: ExemplarStore;
  readonly #random: Random;
  readonly #size: number;
  /** List in the store, by number. */
  #first = NONE;
  #offered = 0;

  constructor(buckets: number, store: ExemplarStore, random: Random) {
    this.#store = store;
    this.#random = random;
    this.#size = Math.min(FIXED_SIZE, buckets);
  }

  offer(_bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const store = this.#store;
    const offered = ++this.#offered;
    const number = offered <= this.#size ? offered - 1 : Math.floor(this.#random() * offered);
    if (number >= this.#size) return;
    let slot = store.find(this.#first, number);
    if (slot === NONE) {
      slot = store.add(this.#first, number);
      if (slot === NONE) return;
      this.#first = slot;
    }
    store.set(slot, value, time, span);
  }

  get exemplars(): readonly Exemplar[] {
    return this.#store.list(this.#first);
  }

  reset(): void {
    this.#store.free(this.#first);
    this.#first = NONE;
    this.#offered = 0;
  }
}
