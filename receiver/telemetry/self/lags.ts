// How far behind the traffic the receiver is, sampled once per round of draining: nothing of it is on the way of a single event.
import { BucketCounts, type HistogramPoint } from './histogram.ts';

/** Seconds. */
const BOUNDARIES = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const NS = 1e9;

export class Lags {
  readonly #decode = new BucketCounts(BOUNDARIES);
  readonly #acknowledgement = new BucketCounts(BOUNDARIES);
  readonly #eventLoop = new BucketCounts(BOUNDARIES);
  /** Spans that have ended, however. */
  #ended = 0;
  /** One round at a time: the age of its oldest event, and how many spans have to end until all of its have. */
  #sample: { readonly time: number; readonly target: number } | undefined;

  /** Times in nanoseconds. `outstanding`: spans that have no ending yet, those of this round among them. */
  drained(oldestEvent: number, now: number, outstanding: number): void {
    this.#decode.record(Math.max(0, now - oldestEvent) / NS);
    if (this.#sample === undefined && outstanding > 0) this.#sample = { time: oldestEvent, target: this.#ended + outstanding };
  }

  /** Spans have ended. */
  ended(spans: number, isExported: boolean, now: number): void {
    this.#ended += spans;
    if (this.#sample === undefined || this.#ended < this.#sample.target) return;
    if (isExported) this.#acknowledgement.record(Math.max(0, now - this.#sample.time) / NS);
    this.#sample = undefined;
  }

  /** The event loop came so much later than it was asked to. */
  delayed(milliseconds: number): void {
    this.#eventLoop.record(Math.max(0, milliseconds) / 1000);
  }

  /** Spans that have ended. */
  get endedSpans(): number {
    return this.#ended;
  }

  points(): { readonly decode: HistogramPoint; readonly acknowledgement: HistogramPoint; readonly eventLoop: HistogramPoint } {
    return {
      decode: this.#decode.point(),
      acknowledgement: this.#acknowledgement.point(),
      eventLoop: this.#eventLoop.point(),
    };
  }
}
