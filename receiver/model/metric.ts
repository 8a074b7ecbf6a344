// What leaves the receiver as metrics. Shapes follow OTLP (opentelemetry-proto metrics/v1), rules the data model
// (https://opentelemetry.io/docs/specs/otel/metrics/data-model/). Points are views of the aggregators that made them: they are valid during
// the call that hands them over, and an encoder keeps nothing of them.
import type { Resource } from './resource.ts';
import type { AttributeList } from './span.ts';
import type { Nanoseconds } from './transaction.ts';

export type Temporality = 'cumulative' | 'delta';

/** The unit of encoding: points of one metric of one resource. */
export interface ResourceMetric {
  readonly resource: Resource;
  readonly metric: Metric;
}

/** A stream of one resource: what is measured, and a point for each set of attributes. */
export interface Metric {
  readonly name: string;
  /** UCUM. */
  readonly unit: string;
  readonly description: string;
  readonly data: SumData | HistogramData | ExponentialHistogramData;
}

/**
 * A counter, if it is monotonic. Else it goes up and down: how many there are now, always cumulative, as the specification's delta preference
 * has it too.
 */
export interface SumData {
  readonly kind: 'sum';
  readonly isMonotonic: boolean;
  readonly temporality: Temporality;
  readonly points: readonly NumberPoint[];
}

export interface HistogramData {
  readonly kind: 'histogram';
  readonly temporality: Temporality;
  readonly points: readonly HistogramPoint[];
}

export interface ExponentialHistogramData {
  readonly kind: 'exponential_histogram';
  readonly temporality: Temporality;
  readonly points: readonly ExponentialHistogramPoint[];
}

export interface Point {
  readonly attributes: AttributeList;
  /** Unix time: a series keeps its start to the nanosecond, however the wall clock is corrected meanwhile. */
  readonly startUnixNs: bigint;
  readonly timeUnixNs: bigint;
  /** The series ends here and the point carries no value (OTLP flag FLAG_NO_RECORDED_VALUE). */
  readonly hasNoValue: boolean;
}

export interface NumberPoint extends Point {
  /** An integer. */
  readonly value: number;
}

export interface DistributionPoint extends Point {
  readonly count: number;
  readonly sum: number;
  /** Meaningless while `count` is 0, as is `max`. */
  readonly min: number;
  readonly max: number;
  readonly exemplars: readonly Exemplar[];
}

export interface HistogramPoint extends DistributionPoint {
  /** Upper bounds, included in their buckets, in increasing order. */
  readonly bounds: readonly number[];
  /** One more than bounds: the last has what is above all of them. */
  readonly counts: readonly number[];
}

/** No value is ever negative, so that there are positive buckets only. */
export interface ExponentialHistogramPoint extends DistributionPoint {
  /** Bucket i holds what is in (base ** i, base ** (i + 1)] with base = 2 ** (2 ** -scale). */
  readonly scale: number;
  readonly zeroCount: number;
  /** Index of the first bucket in `counts`. */
  readonly offset: number;
  readonly counts: readonly number[];
}

/** One measurement, and the span that was current when it was made. */
export interface Exemplar {
  readonly value: number;
  readonly time: Nanoseconds;
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
}
