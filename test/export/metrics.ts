// Metrics for the tests of this folder: of each kind a usual and an unusual one.
import type {
  ExponentialHistogramPoint,
  HistogramPoint,
  Metric,
  NumberPoint,
  ResourceMetric,
} from '../../receiver/model/metric.ts';
import { makeResource, ORIGIN_UNIX_NS } from './spans.ts';

const times = { startUnixNs: ORIGIN_UNIX_NS, timeUnixNs: ORIGIN_UNIX_NS + 60_000_000_001n, hasNoValue: false };
const noExemplars = { exemplars: [] };

export const histogramPoint: HistogramPoint = {
  ...times,
  attributes: ['http.request.method', 'GET', 'http.response.status_code', 200],
  count: 6,
  sum: 1.25,
  min: 0.001,
  max: 1,
  bounds: [0.005, 0.1],
  counts: [3, 2, 1],
  exemplars: [
    { value: 0.001, time: 1_000, traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' },
    { value: 1, time: -5, traceId: 'ffffffffffffffffffffffffffffff0a', spanId: 'a0b1c2d3e4f50617' },
  ],
};

export const largeHistogramPoint: HistogramPoint = {
  ...times,
  ...noExemplars,
  attributes: ['otel.metric.overflow', true, 'é€😀', 'x'.repeat(300)],
  count: 9_007_199_254_740_991,
  sum: 1e300,
  min: 0,
  max: 1e300,
  bounds: [0],
  counts: [0, 9_007_199_254_740_991],
};

export const endedHistogramPoint: HistogramPoint = { ...histogramPoint, hasNoValue: true };

export const exponentialPoint: ExponentialHistogramPoint = {
  ...times,
  attributes: ['server.port', 443],
  count: 303,
  sum: 12.5,
  min: 0,
  max: 3,
  scale: -3,
  zeroCount: 2,
  offset: -70_000,
  counts: [1, 0, 300],
  exemplars: [{ value: 3, time: 7, traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }],
};

/** Only zeros: there is no bucket. */
export const zeroPoint: ExponentialHistogramPoint = {
  ...times,
  ...noExemplars,
  attributes: [],
  count: 4,
  sum: 0,
  min: 0,
  max: 0,
  scale: 20,
  zeroCount: 4,
  offset: 0,
  counts: [],
};

export const countPoint: NumberPoint = { ...times, attributes: ['http.connection.state', 'idle'], value: 3 };

export function makeMetric(data: Metric['data'], name = 'm'): Metric {
  return { name, unit: 's', description: `What ${name} is.`, data };
}

export const everyMetric: readonly ResourceMetric[] = [
  {
    resource: makeResource('shop', { 'host.id': 'h' }),
    metric: makeMetric({
      kind: 'histogram',
      temporality: 'cumulative',
      points: [histogramPoint, largeHistogramPoint, endedHistogramPoint],
    }),
  },
  {
    resource: makeResource('cart'),
    metric: makeMetric({
      kind: 'exponential_histogram',
      temporality: 'delta',
      points: [exponentialPoint, zeroPoint, { ...exponentialPoint, hasNoValue: true }],
    }),
  },
  {
    resource: makeResource('pay'),
    metric: makeMetric({
      kind: 'sum',
      isMonotonic: false,
      temporality: 'cumulative',
      points: [countPoint, { ...countPoint, value: 0 }, { ...countPoint, hasNoValue: true }],
    }),
  },
  {
    resource: makeResource('pay'),
    metric: makeMetric({ kind: 'sum', isMonotonic: true, temporality: 'delta', points: [{ ...countPoint, value: 2 ** 40 + 1 }] }),
  },
];
