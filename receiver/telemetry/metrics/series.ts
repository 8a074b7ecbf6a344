// One series: a set of attributes and what was measured under it, which is at the same time the point that encoders read. Hot path: record.
import type { DistributionPoint, Exemplar, NumberPoint } from '../../model/metric.ts';
import type { AttributeList } from '../../model/span.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import type { SpanIdentity } from './exemplar-store.ts';
import type { Reservoir } from './exemplars.ts';

/** What streams do with series of any kind. */
export interface Series {
  readonly attributes: AttributeList;
  startUnixNs: bigint;
  timeUnixNs: bigint;
  hasNoValue: boolean;
  /** Something was recorded since the last collection. */
  isTouched: boolean;
  /** Time of the last collection before which something was recorded. */
  touchedAt: Nanoseconds;
  /** After its points have been read: forgets exemplars and, where asked for, everything measured. */
  reset(isDelta: boolean): void;
}

const NO_EXEMPLARS: readonly Exemplar[] = [];

export type MakeReservoir = () => Reservoir;

/** What explicit and exponential histograms have in common. */
export abstract class DistributionSeries implements Series, DistributionPoint {
  readonly attributes: AttributeList;
  startUnixNs: bigint;
  timeUnixNs: bigint;
  hasNoValue = false;
  isTouched = false;
  touchedAt: Nanoseconds = 0;
  count = 0;
  sum = 0;
  min = 0;
  max = 0;
  #reservoir: Reservoir | undefined;
  readonly #makeReservoir: MakeReservoir;

  constructor(attributes: AttributeList, startUnixNs: bigint, makeReservoir: MakeReservoir) {
    this.attributes = attributes;
    this.startUnixNs = startUnixNs;
    this.timeUnixNs = startUnixNs;
    this.#makeReservoir = makeReservoir;
  }

  /** `value`: not negative. `span`: undefined when there is none, or none that anybody exports. */
  record(value: number, time: Nanoseconds, span: SpanIdentity | undefined): void {
    const bucket = this.place(value);
    if (this.count === 0) {
      this.min = this.max = value;
    } else if (value > this.max) {
      this.max = value;
    } else if (value < this.min) {
      this.min = value;
    }
    this.count++;
    this.sum += value;
    this.isTouched = true;
    if (span === undefined) return;
    this.#reservoir ??= this.#makeReservoir();
    this.#reservoir.offer(bucket, value, time, span);
  }

  get exemplars(): readonly Exemplar[] {
    return this.#reservoir?.exemplars ?? NO_EXEMPLARS;
  }

  reset(isDelta: boolean): void {
    this.isTouched = false;
    this.#reservoir?.reset();
    if (!isDelta) return;
    this.count = 0;
    this.sum = 0;
    this.min = this.max = 0;
    this.clear();
  }

  /** Counts the value in its bucket, and returns the number of that. */
  protected abstract place(value: number): number;
  /** Empties all buckets. */
  protected abstract clear(): void;
}

abstract class NumberSeries implements Series, NumberPoint {
  readonly attributes: AttributeList;
  startUnixNs: bigint;
  timeUnixNs: bigint;
  hasNoValue = false;
  isTouched = false;
  touchedAt: Nanoseconds = 0;
  value = 0;

  constructor(attributes: AttributeList, startUnixNs: bigint) {
    this.attributes = attributes;
    this.startUnixNs = startUnixNs;
    this.timeUnixNs = startUnixNs;
  }

  /** `amount`: an integer that is not negative. With 0 the series is there, and says so. */
  add(amount = 1): void {
    this.value += amount;
    this.isTouched = true;
  }

  abstract reset(isDelta: boolean): void;
}

/** How many of something there are, counted anew at each collection. */
export class CountSeries extends NumberSeries {
  override reset(): void {
    this.isTouched = false;
    this.value = 0;
  }
}

/** What only grows. */
export class SumSeries extends NumberSeries {
  override reset(isDelta: boolean): void {
    this.isTouched = false;
    if (isDelta) this.value = 0;
  }
}
