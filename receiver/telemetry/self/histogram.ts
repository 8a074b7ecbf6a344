// Values → counts by bucket, with fixed boundaries: what is too frequent to keep and too rare to need more. One addition per value.
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#histogram

export interface HistogramPoint {
  /** Upper bounds, inclusive, ascending; what is above the last has a bucket of its own. */
  readonly boundaries: readonly number[];
  /** One more than there are boundaries. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sum: number;
}

export class BucketCounts {
  readonly #boundaries: readonly number[];
  readonly #counts: Float64Array;
  #count = 0;
  #sum = 0;

  constructor(boundaries: readonly number[]) {
    this.#boundaries = boundaries;
    this.#counts = new Float64Array(boundaries.length + 1);
  }

  record(value: number): void {
    let bucket = 0;
    while (bucket < this.#boundaries.length && value > (this.#boundaries[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count++;
    this.#sum += value;
  }

  point(): HistogramPoint {
    return { boundaries: this.#boundaries, counts: [...this.#counts], count: this.#count, sum: this.#sum };
  }
}
