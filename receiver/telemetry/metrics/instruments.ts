// A metric that is switched on, with what decides how it is aggregated: definition + configuration → the series it is made of.
import type { HttpMetricDefinition } from '../../model/http-metrics.ts';
import { BODY_SIZE_BOUNDS, DURATION_BOUNDS } from '../../model/http-metrics.ts';
import type { Metric, Temporality } from '../../model/metric.ts';
import type { AttributeList } from '../../model/span.ts';
import { ExemplarStore } from './exemplar-store.ts';
import { AlignedReservoir, FixedSizeReservoir, type Random } from './exemplars.ts';
import { ExplicitHistogram } from './explicit-histogram.ts';
import { ExponentialHistogram, ExponentialIndex } from './exponential-histogram.ts';
import { CountSeries, type DistributionSeries, type Series } from './series.ts';

export interface Aggregation {
  readonly temporality: Temporality;
  readonly histogram: 'explicit' | 'exponential';
  /** Buckets of an exponential histogram. */
  readonly maxSize: number;
}

export interface EnabledMetric {
  readonly definition: HttpMetricDefinition;
  /** Names of its attributes. */
  readonly attributes: readonly string[];
}

/** What a stream is made by: `S` is the aggregator that holds one of its series. */
export interface Instrument<S extends Series> extends EnabledMetric {
  readonly temporality: Temporality;
  make(attributes: AttributeList, startUnixNs: bigint): S;
  describe(points: readonly S[]): Metric;
}

export interface Instruments {
  readonly distributions: readonly Instrument<DistributionSeries>[];
  readonly counts: readonly Instrument<CountSeries>[];
}

export function createInstruments(metrics: readonly EnabledMetric[], aggregation: Aggregation, random: Random): Instruments {
  const index = new ExponentialIndex();
  const store = new ExemplarStore();
  const distributions: Instrument<DistributionSeries>[] = [];
  const counts: Instrument<CountSeries>[] = [];
  for (const metric of metrics) {
    const { measures } = metric.definition;
    if (measures === 'active_requests' || measures === 'open_connections') {
      counts.push(countInstrument(metric));
      continue;
    }
    const bounds = measures === 'duration' ? DURATION_BOUNDS : BODY_SIZE_BOUNDS;
    distributions.push(
      aggregation.histogram === 'explicit'
        ? explicitInstrument(metric, aggregation, bounds, store, random)
        : exponentialInstrument(metric, aggregation, index, store, random),
    );
  }
  return { distributions, counts };
}

function explicitInstrument(
  metric: EnabledMetric,
  { temporality }: Aggregation,
  bounds: readonly number[],
  store: ExemplarStore,
  random: Random,
): Instrument<ExplicitHistogram> {
  const makeReservoir = (): AlignedReservoir => new AlignedReservoir(store, random);
  return {
    ...metric,
    temporality,
    make: (attributes, startUnixNs) => new ExplicitHistogram(attributes, startUnixNs, bounds, makeReservoir),
    describe: (points) => ({
      ...nameOf(metric.definition),
      data: { kind: 'histogram', temporality, points },
    }),
  };
}

function exponentialInstrument(
  metric: EnabledMetric,
  { temporality, maxSize }: Aggregation,
  index: ExponentialIndex,
  store: ExemplarStore,
  random: Random,
): Instrument<ExponentialHistogram> {
  const makeReservoir = (): FixedSizeReservoir => new FixedSizeReservoir(maxSize, store, random);
  return {
    ...metric,
    temporality,
    make: (attributes, startUnixNs) => new ExponentialHistogram(attributes, startUnixNs, maxSize, index, makeReservoir),
    describe: (points) => ({
      ...nameOf(metric.definition),
      data: { kind: 'exponential_histogram', temporality, points },
    }),
  };
}

function countInstrument(metric: EnabledMetric): Instrument<CountSeries> {
  return {
    ...metric,
    temporality: 'cumulative',
    make: (attributes, startUnixNs) => new CountSeries(attributes, startUnixNs),
    describe: (points) => ({ ...nameOf(metric.definition), data: { kind: 'sum', points } }),
  };
}

function nameOf({ name, unit, description }: HttpMetricDefinition): Pick<Metric, 'name' | 'unit' | 'description'> {
  return { name, unit, description };
}
