// All series of one metric of one service, at most so many of them: what comes beyond is measured in one overflow series
// (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits).
import type { AttributeList } from '../../model/span.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import type { Instrument } from './instruments.ts';
import type { Series } from './series.ts';

/** Series of all streams together. */
export interface SeriesBudget {
  used: number;
  readonly limit: number;
}

export interface Collection {
  readonly now: Nanoseconds;
  readonly nowUnixNs: bigint;
  readonly lastUnixNs: bigint;
  /** A series without a measurement since then may end. */
  readonly idleSince: Nanoseconds;
}

const OVERFLOW: AttributeList = ['otel.metric.overflow', true];
/** From this share of a limit on, idle series make room, though their service lives. */
const CROWDED = 0.5;

export class Stream<S extends Series> {
  readonly #instrument: Instrument<S>;
  readonly #isDelta: boolean;
  readonly #limit: number;
  readonly #budget: SeriesBudget;
  readonly #series = new Map<string, S>();
  #overflow: S | undefined;

  /** `limit`: of series, the overflow series included. */
  constructor(instrument: Instrument<S>, limit: number, budget: SeriesBudget) {
    this.#instrument = instrument;
    this.#isDelta = instrument.temporality === 'delta';
    this.#limit = limit;
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#series.size === 0 && this.#overflow === undefined;
  }

  get size(): number {
    return this.#series.size + (this.#overflow === undefined ? 0 : 1);
  }

  find(key: string): S | undefined {
    return this.#series.get(key);
  }

  /** For a key that is not there yet: its new series, or the overflow series. */
  add(key: string, attributes: AttributeList, startUnixNs: bigint): S {
    if (this.#series.size >= this.#limit - 1 || this.#budget.used >= this.#budget.limit) {
      return (this.#overflow ??= this.#instrument.make(OVERFLOW, startUnixNs));
    }
    const series = this.#instrument.make(attributes, startUnixNs);
    this.#series.set(key, series);
    this.#budget.used++;
    return series;
  }

  /** Forgets what was measured since the last collection. */
  reset(): void {
    for (const series of this.#series.values()) series.reset(true);
    this.#overflow?.reset(true);
  }

  /**
   * Adds to `points` those that are to be sent now. What was not measured for long, and does not look like coming back, ends with a
   * last point without a value; with delta temporality, what was not measured at all is forgotten. True if any series ended.
   */
  collect(collection: Collection, isServiceAlive: boolean, points: S[]): boolean {
    const isCrowded =
      this.#series.size > this.#limit * CROWDED || this.#budget.used > this.#budget.limit * CROWDED || !isServiceAlive;
    let hasEnded = false;
    for (const [key, series] of this.#series) {
      if (this.#collectOne(series, collection, isCrowded, points)) continue;
      this.#series.delete(key);
      this.#budget.used--;
      hasEnded = true;
    }
    if (this.#overflow !== undefined && !this.#collectOne(this.#overflow, collection, isCrowded, points)) {
      this.#overflow = undefined;
      hasEnded = true;
    }
    return hasEnded;
  }

  /** False: the series is over. */
  #collectOne(series: S, collection: Collection, isCrowded: boolean, points: S[]): boolean {
    series.timeUnixNs = collection.nowUnixNs;
    if (this.#isDelta) {
      if (!series.isTouched) return false;
      series.startUnixNs = collection.lastUnixNs;
    }
    if (series.isTouched) series.touchedAt = collection.now;
    else if (isCrowded && series.touchedAt <= collection.idleSince) series.hasNoValue = true;
    points.push(series);
    return !series.hasNoValue;
  }
}
