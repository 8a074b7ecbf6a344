// Measurements that carry a span → the few that are kept as exemplars until the next collection
// (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#exemplarreservoir). Which ones is drawn, each with the same chance. Hot path: offer.
import type { Exemplar } from '../../model/metric.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import type { ExemplarStore, SpanIdentity } from './exemplar-store.ts';

/** Uniform in [0, 1). */
export type Random = () => number;

export interface Reservoir {
  offer(bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void;
  readonly exemplars: readonly Exemplar[];
  reset(): void;
}

/** What an exponential histogram keeps at most, as the specification has it. */
const FIXED_SIZE = 20;
const NONE = -1;

/** One exemplar for each bucket. */
export class AlignedReservoir implements Reservoir {
  readonly #store: ExemplarStore;
  readonly #random: Random;
  /** By bucket: how many were offered since the last reset. */
  readonly #offered: number[];
  /** By bucket: a slot of the store. */
  readonly #slots: number[];

  constructor(buckets: number, store: ExemplarStore, random: Random) {
    this.#store = store;
    this.#random = random;
    this.#offered = new Array<number>(buckets).fill(0);
    this.#slots = new Array<number>(buckets).fill(NONE);
  }

  offer(bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const offered = (this.#offered[bucket] ?? 0) + 1;
    this.#offered[bucket] = offered;
    if (offered > 1 && this.#random() * offered >= 1) return;
    let slot = this.#slots[bucket] ?? NONE;
    if (slot === NONE) this.#slots[bucket] = slot = this.#store.take();
    if (slot !== NONE) this.#store.set(slot, value, time, span);
  }

  /** In the order of buckets. */
  get exemplars(): readonly Exemplar[] {
    return this.#slots.flatMap((slot) => (slot === NONE ? [] : this.#store.get(slot)));
  }

  reset(): void {
    for (const slot of this.#slots) if (slot !== NONE) this.#store.free(slot);
    this.#slots.fill(NONE);
    this.#offered.fill(0);
  }
}

/** A fixed number of exemplars, whatever their buckets. */
export class FixedSizeReservoir implements Reservoir {
  readonly #store: ExemplarStore;
  readonly #random: Random;
  readonly #size: number;
  readonly #slots: number[] = [];
  #offered = 0;

  constructor(buckets: number, store: ExemplarStore, random: Random) {
    this.#store = store;
    this.#random = random;
    this.#size = Math.min(FIXED_SIZE, buckets);
  }

  offer(_bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const offered = ++this.#offered;
    const at = offered <= this.#size ? offered - 1 : Math.floor(this.#random() * offered);
    if (at >= this.#size) return;
    let slot = this.#slots[at] ?? NONE;
    if (slot === NONE) this.#slots[at] = slot = this.#store.take();
    if (slot !== NONE) this.#store.set(slot, value, time, span);
  }

  get exemplars(): readonly Exemplar[] {
    return this.#slots.flatMap((slot) => (slot === NONE ? [] : this.#store.get(slot)));
  }

  reset(): void {
    for (const slot of this.#slots) if (slot !== NONE) this.#store.free(slot);
    this.#slots.length = 0;
    this.#offered = 0;
  }
}
