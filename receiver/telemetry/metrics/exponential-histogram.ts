// Values → counts in buckets that grow by a constant factor, at the finest scale at which they fit into a given number of buckets
// (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram). Hot path.
import type { ExponentialHistogramPoint } from '../../model/metric.ts';
import type { AttributeList } from '../../model/span.ts';
import { DistributionSeries, type MakeReservoir } from './series.ts';

/** Where every histogram begins, as in the SDKs. */
export const MAX_SCALE = 20;
const EXPONENT_BIAS = 1023;
const MIN_EXPONENT = -1022;

/** Value → index of its bucket at a scale. Owns the memory in which a number is taken apart. */
export class ExponentialIndex {
  readonly #number = new Float64Array(1);
  readonly #words = new Uint32Array(this.#number.buffer);

  /** `value`: greater than 0. Exact for powers of two at any scale, and for every value at scales up to 0. */
  of(value: number, scale: number): number {
    this.#number[0] = value;
    const low = this.#words[0] as number;
    const high = this.#words[1] as number;
    const biased = (high >>> 20) & 0x7ff;
    // Subnormal numbers are taken as the smallest normal one.
    const exponent = biased === 0 ? MIN_EXPONENT : biased - EXPONENT_BIAS;
    const isPowerOfTwo = biased === 0 || ((high & 0xf_ffff) === 0 && low === 0);
    if (scale <= 0) return (isPowerOfTwo ? exponent - 1 : exponent) >> -scale;
    const perOctave = 2 ** scale;
    if (isPowerOfTwo) return exponent * perOctave - 1;
    const within = Math.floor(Math.log2(value / 2 ** exponent) * perOctave);
    return exponent * perOctave + Math.min(within, perOctave - 1);
  }
}

export class ExponentialHistogram extends DistributionSeries implements ExponentialHistogramPoint {
  scale = MAX_SCALE;
  zeroCount = 0;
  offset = 0;
  readonly counts: number[] = [];
  readonly #maxSize: number;
  readonly #index: ExponentialIndex;

  /** `maxSize`: buckets, at least 2. */
  constructor(
    attributes: AttributeList,
    startUnixNs: bigint,
    maxSize: number,
    index: ExponentialIndex,
    makeReservoir: MakeReservoir,
  ) {
    super(attributes, startUnixNs, makeReservoir);
    this.#maxSize = maxSize;
    this.#index = index;
  }

  protected override place(value: number): number {
    if (value <= 0) {
      this.zeroCount++;
      return 0;
    }
    const { counts } = this;
    let index = this.#index.of(value, this.scale);
    if (counts.length === 0) this.offset = index;
    const shift = this.#shiftFor(Math.min(index, this.offset), Math.max(index, this.offset + counts.length - 1));
    if (shift > 0) {
      this.#downscale(shift);
      index >>= shift;
    }
    while (index < this.offset) {
      counts.unshift(0);
      this.offset--;
    }
    while (index >= this.offset + counts.length) counts.push(0);
    const at = index - this.offset;
    counts[at] = (counts[at] as number) + 1;
    return at;
  }

  protected override clear(): void {
    this.scale = MAX_SCALE;
    this.zeroCount = 0;
    this.offset = 0;
    this.counts.length = 0;
  }

  /** How much coarser the scale must be for the buckets low to high to fit. */
  #shiftFor(low: number, high: number): number {
    let shift = 0;
    while ((high >> shift) - (low >> shift) >= this.#maxSize) shift++;
    return shift;
  }

  /** Each 2 ** shift neighbours become one bucket, which holds exactly what they held. */
  #downscale(shift: number): void {
    const { counts, offset } = this;
    const newOffset = offset >> shift;
    let used = 0;
    for (let i = 0; i < counts.length; i++) {
      const at = ((offset + i) >> shift) - newOffset;
      const count = counts[i] as number;
      if (at < used) {
        counts[at] = (counts[at] as number) + count;
        continue;
      }
      counts[at] = count;
      used = at + 1;
    }
    counts.length = used;
    this.offset = newOffset;
    this.scale -= shift;
  }
}
