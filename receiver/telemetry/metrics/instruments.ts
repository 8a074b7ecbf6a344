// A metric that is switched on, with what decides how it is aggregated: definition + configuration → the series it is made of.
import { type ConnectionMetricDefinition, RTT_BOUNDS } from '../../model/connection-metrics.ts';
import { BODY_SIZE_BOUNDS, DURATION_BOUNDS, type HttpMetricDefinition } from '../../model/http-metrics.ts';
import type { Metric, Temporality } from '../../model/metric.ts';
import type { RpcMetricDefinition } from '../../model/rpc-metrics.ts';
import type { AttributeList } from '../../model/span.ts';
import { ExemplarStore } from './exemplar-store.ts';
import { AlignedReservoir, FixedSizeReservoir, type Random } from './exemplars.ts';
import { ExplicitHistogram } from './explicit-histogram.ts';
import { ExponentialHistogram, ExponentialIndex } from './exponential-histogram.ts';
import { CountSeries, type DistributionSeries, type Series, SumSeries } from './series.ts';

export interface Aggregation {
  readonly temporality: Temporality;
  readonly histogram: 'explicit' | 'exponential';
  /** Buckets of an exponential histogram. */
  readonly maxSize: number;
}

export interface EnabledMetric {
  readonly definition: HttpMetricDefinition | RpcMetricDefinition | ConnectionMetricDefinition;
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
  readonly sums: readonly Instrument<SumSeries>[];
}

export function createInstruments(metrics: readonly EnabledMetric[], aggregation: Aggregation, random: Random): Instruments {
  const index = new ExponentialIndex();
  const store = new ExemplarStore();
  const distributions: Instrument<DistributionSeries>[] = [];
  const counts: Instrument<CountSeries>[] = [];
  const sums: Instrument<SumSeries>[] = [];
  for (const metric of metrics) {
    switch (metric.definition.measures) {
      case 'active_requests':
      case 'open_connections':
      case 'connections':
        counts.push(countInstrument(metric));
        break;
      case 'io':
      case 'retransmits':
      case 'resets':
      case 'failed_connects':
        sums.push(sumInstrument(metric, aggregation));
        break;
      case 'duration':
      case 'call_duration':
        distributions.push(distribution(metric, DURATION_BOUNDS));
        break;
      case 'rtt':
        distributions.push(distribution(metric, RTT_BOUNDS));
        break;
      case 'request_body_size':
      case 'response_body_size':
        distributions.push(distribution(metric, BODY_SIZE_BOUNDS));
        break;
    }
  }
  return { distributions, counts, sums };

  function distribution(metric: EnabledMetric, bounds: readonly number[]): Instrument<DistributionSeries> {
    return aggregation.histogram === 'explicit'
      ? explicitInstrument(metric, aggregation, bounds, store, random)
      : exponentialInstrument(metric, aggregation, index, store, random);
  }
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
      ...nameOf(metric),
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
      ...nameOf(metric),
      data: { kind: 'exponential_histogram', temporality, points },
    }),
  };
}

function countInstrument(metric: EnabledMetric): Instrument<CountSeries> {
  const temporality = 'cumulative';
  return {
    ...metric,
    temporality,
    make: (attributes, startUnixNs) => new CountSeries(attributes, startUnixNs),
    describe: (points) => ({ ...nameOf(metric), data: { kind: 'sum', isMonotonic: false, temporality, points } }),
  };
}

function sumInstrument(metric: EnabledMetric, { temporality }: Aggregation): Instrument<SumSeries> {
  return {
    ...metric,
    temporality,
    make: (attributes, startUnixNs) => new SumSeries(attributes, startUnixNs),
    describe: (points) => ({ ...nameOf(metric), data: { kind: 'sum', isMonotonic: true, temporality, points } }),
  };
}

function nameOf({ definition: { name, unit, description } }: EnabledMetric): Pick<Metric, 'name' | 'unit' | 'description'> {
  return { name, unit, description };
}
