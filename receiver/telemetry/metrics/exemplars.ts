// Measurements that carry a span → the few that are kept as exemplars until the next collection
// (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#exemplarreservoir). Which ones is drawn, each with the same chance.
import { Buffer } from 'node:buffer';
import type { Exemplar } from '../../model/metric.ts';
import type { Nanoseconds } from '../../model/transaction.ts';

/** The span that was current at a measurement. */
export interface SpanIdentity {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
}

/** Uniform in [0, 1). */
export type Random = () => number;

/** What an exponential histogram keeps at most, as the specification has it. */
const FIXED_SIZE = 20;

/** One exemplar for each bucket. */
export class AlignedReservoir {
  readonly #random: Random;
  /** By bucket: how many were offered since the last reset. */
  readonly #offered: number[];
  readonly #kept: (Exemplar | undefined)[];

  constructor(buckets: number, random: Random) {
    this.#random = random;
    this.#offered = new Array<number>(buckets).fill(0);
    this.#kept = new Array<Exemplar | undefined>(buckets).fill(undefined);
  }

  offer(bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const offered = (this.#offered[bucket] ?? 0) + 1;
    this.#offered[bucket] = offered;
    if (offered === 1 || this.#random() * offered < 1) this.#kept[bucket] = makeExemplar(value, time, span);
  }

  /** In the order of buckets. */
  get exemplars(): readonly Exemplar[] {
    return this.#kept.filter((exemplar) => exemplar !== undefined);
  }

  reset(): void {
    this.#offered.fill(0);
    this.#kept.fill(undefined);
  }
}

/** A fixed number of exemplars, whatever their buckets. */
export class FixedSizeReservoir {
  readonly #random: Random;
  readonly #size: number;
  readonly #kept: Exemplar[] = [];
  #offered = 0;

  constructor(buckets: number, random: Random) {
    this.#random = random;
    this.#size = Math.min(FIXED_SIZE, buckets);
  }

  offer(_bucket: number, value: number, time: Nanoseconds, span: SpanIdentity): void {
    const offered = ++this.#offered;
    const at = offered <= this.#size ? offered - 1 : Math.floor(this.#random() * offered);
    if (at < this.#size) this.#kept[at] = makeExemplar(value, time, span);
  }

  get exemplars(): readonly Exemplar[] {
    return this.#kept;
  }

  reset(): void {
    this.#offered = 0;
    this.#kept.length = 0;
  }
}

function makeExemplar(value: number, time: Nanoseconds, span: SpanIdentity): Exemplar {
  return { value, time, traceId: detach(span.traceId), spanId: detach(span.spanId) };
}

/** A copy of its own: an id is often a piece of a longer text, which would be kept in memory as a whole. */
function detach(id: string): string {
  return Buffer.from(id, 'latin1').toString('latin1');
}
