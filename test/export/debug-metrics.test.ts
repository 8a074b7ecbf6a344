import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Verbosity } from '../../receiver/export/debug.ts';
import { DebugMetricEncoder } from '../../receiver/export/debug-metrics-text.ts';
import type { ResourceMetric } from '../../receiver/model/metric.ts';
import { countPoint, endedHistogramPoint, everyMetric, exponentialPoint, histogramPoint, makeMetric } from './metrics.ts';
import { clock, makeResource, scope } from './spans.ts';

function textOf(verbosity: Verbosity, items: readonly ResourceMetric[]): string {
  const encoder = new DebugMetricEncoder(verbosity, scope, clock);
  for (const item of items) encoder.add(item);
  return Buffer.from(encoder.finish()).toString();
}

const shop = makeResource('shop');
const duration: ResourceMetric = {
  resource: shop,
  metric: makeMetric(
    { kind: 'histogram', temporality: 'cumulative', points: [histogramPoint, endedHistogramPoint] },
    'http.server.request.duration',
  ),
};
const connections: ResourceMetric = {
  resource: shop,
  metric: {
    ...makeMetric(
      { kind: 'sum', isMonotonic: false, temporality: 'cumulative', points: [countPoint] },
      'http.client.open_connections',
    ),
    unit: '{connection}',
  },
};

test('basic has a line for each series: whose, what, how many, how long', () => {
  assert.equal(
    textOf('basic', [duration, connections]),
    [
      'shop                      http.server.request.duration    {http.request.method=GET http.response.status_code=200}  6 × 208.3 ms, max 1.00 s',
      'shop                      http.server.request.duration    {http.request.method=GET http.response.status_code=200}  ended',
      'shop                      http.client.open_connections    {http.connection.state=idle}  3',
      '',
    ].join('\n'),
  );
});

test('normal is laid out as by the Collector', () => {
  assert.equal(
    textOf('normal', [duration, connections]),
    [
      'ResourceMetrics #0 [https://opentelemetry.io/schemas/1.40.0] service.name=shop',
      'ScopeMetrics #0 usm-receiver@0.1.0 [https://opentelemetry.io/schemas/1.40.0]',
      'http.server.request.duration{http.request.method=GET,http.response.status_code=200} count=6 sum=1.25 min=0.001 max=1 le0.005=3 le0.1=2 1',
      'http.server.request.duration{http.request.method=GET,http.response.status_code=200} NoRecordedValue',
      'http.client.open_connections{http.connection.state=idle} 3',
      '',
    ].join('\n'),
  );
});

test('detailed has every field, and each exemplar', () => {
  const exponential = makeMetric({ kind: 'exponential_histogram', temporality: 'delta', points: [exponentialPoint] });
  const text = textOf('detailed', [duration, { resource: makeResource('cart'), metric: exponential }]);
  for (const line of [
    'ResourceMetrics #0',
    '     -> service.name: Str(shop)',
    'InstrumentationScope usm-receiver 0.1.0',
    '     -> Name: http.server.request.duration',
    '     -> AggregationTemporality: Cumulative',
    'HistogramDataPoints #0',
    'StartTimestamp: 2026-11-20 12:34:56.789012345 +0000 UTC',
    'Count: 6',
    'ExplicitBounds #1: 0.1',
    'Buckets #2, Count: 1',
    'Exemplar #1',
    '     -> Trace ID: ffffffffffffffffffffffffffffff0a',
    'HistogramDataPoints #1',
    'Flags: NoRecordedValue',
    'ResourceMetrics #1',
    '     -> DataType: ExponentialHistogram',
    '     -> AggregationTemporality: Delta',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
  }
});

test('a text from the network reaches no terminal as it is, and the next request begins anew', () => {
  const point = { ...histogramPoint, attributes: ['server.address', 'a\u001b[31m\nb'] };
  const metric = makeMetric({ kind: 'histogram', temporality: 'delta', points: [point] });
  const encoder = new DebugMetricEncoder('basic', scope, clock);
  encoder.add({ resource: shop, metric });
  const text = Buffer.from(encoder.finish()).toString();
  assert.ok(text.includes('server.address=a\\x1b[31m\\x0ab'));
  assert.equal(text.split('\n').length, 2);
  assert.equal(Buffer.from(encoder.finish()).toString(), '');
});

test('every verbosity takes metrics of every kind', () => {
  for (const verbosity of ['basic', 'normal', 'detailed'] as const) assert.ok(textOf(verbosity, everyMetric).length > 200);
});
