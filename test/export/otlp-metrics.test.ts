import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { MetricJsonEncoder } from '../../receiver/export/otlp-metrics-json.ts';
import { MetricRequestEncoder } from '../../receiver/export/otlp-metrics-protobuf.ts';
import type { ResourceMetric } from '../../receiver/model/metric.ts';
import { countPoint, everyMetric, histogramPoint, makeMetric } from './metrics.ts';
import { clock, makeResource, ORIGIN_UNIX_NS, scope } from './spans.ts';

// Numbers and types of the fields, from opentelemetry-proto 1.11.
const schema = `
  syntax = "proto3";
  message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
  message Scope { string name = 1; string version = 2; }
  message Metric {
    string name = 1; string description = 2; string unit = 3;
    oneof data { Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; }
  }
  message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
  message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
  message ExponentialHistogram { repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
  message NumberDataPoint {
    repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    oneof value { double as_double = 4; sfixed64 as_int = 6; }
    repeated Exemplar exemplars = 5; uint32 flags = 8;
  }
  message HistogramDataPoint {
    repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    fixed64 count = 4; optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
    repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12;
  }
  message ExponentialHistogramDataPoint {
    repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    fixed64 count = 4; optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
    uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13; double zero_threshold = 14;
  }
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
  message Exemplar {
    fixed64 time_unix_nano = 2; oneof value { double as_double = 3; sfixed64 as_int = 6; }
    bytes span_id = 4; bytes trace_id = 5; repeated KeyValue filtered_attributes = 7;
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
`;
const Request = protobuf.parse(schema).root.lookupType('ExportMetricsServiceRequest');

/** As OTLP/JSON has it: 64-bit numbers as text, ids in hex. */
function decode(bytes: Uint8Array): Json {
  const message = Request.toObject(Request.decode(bytes), { longs: String, bytes: Array });
  return withHexIds(message) as Json;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function withHexIds(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    return key === 'traceId' || key === 'spanId'
      ? Buffer.from(value as number[]).toString('hex')
      : value.map((item) => withHexIds(item));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withHexIds(item, name)]));
}

function encodeAll(items: readonly ResourceMetric[]): { readonly protobuf: Json; readonly json: Json } {
  const binary = new MetricRequestEncoder(scope, clock);
  const text = new MetricJsonEncoder(scope, clock);
  for (const item of items) {
    binary.add(item);
    text.add(item);
  }
  return { protobuf: decode(binary.finish()), json: JSON.parse(Buffer.from(text.finish()).toString()) as Json };
}

test('a histogram arrives with every field, its exemplars too', () => {
  const resource = makeResource('shop');
  const metric = makeMetric(
    { kind: 'histogram', temporality: 'cumulative', points: [histogramPoint] },
    'http.server.request.duration',
  );
  const { protobuf: decoded } = encodeAll([{ resource, metric }]);
  assert.deepEqual(decoded, {
    resourceMetrics: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeMetrics: [
          {
            scope: { name: scope.name, version: scope.version },
            metrics: [
              {
                name: 'http.server.request.duration',
                description: 'What http.server.request.duration is.',
                unit: 's',
                histogram: {
                  dataPoints: [
                    {
                      attributes: [
                        { key: 'http.request.method', value: { stringValue: 'GET' } },
                        { key: 'http.response.status_code', value: { intValue: '200' } },
                      ],
                      startTimeUnixNano: String(ORIGIN_UNIX_NS),
                      timeUnixNano: String(ORIGIN_UNIX_NS + 60_000_000_001n),
                      count: '6',
                      sum: 1.25,
                      bucketCounts: ['3', '2', '1'],
                      explicitBounds: [0.005, 0.1],
                      exemplars: [
                        {
                          timeUnixNano: String(ORIGIN_UNIX_NS + 1000n),
                          asDouble: 0.001,
                          spanId: '00f067aa0ba902b7',
                          traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
                        },
                        {
                          timeUnixNano: String(ORIGIN_UNIX_NS - 5n),
                          asDouble: 1,
                          spanId: 'a0b1c2d3e4f50617',
                          traceId: 'ffffffffffffffffffffffffffffff0a',
                        },
                      ],
                      min: 0.001,
                      max: 1,
                    },
                  ],
                  aggregationTemporality: 2,
                },
              },
            ],
            schemaUrl: scope.schemaUrl,
          },
        ],
        schemaUrl: scope.schemaUrl,
      },
    ],
  });
});

test('JSON and protobuf say the same of metrics of every kind', () => {
  const { protobuf: decoded, json } = encodeAll(everyMetric);
  assert.deepEqual(decoded, json);
});

test('a counter says that it only grows, and what its values are counted from', () => {
  const points = [{ ...countPoint, value: 2 ** 40 + 1 }];
  const sums = [true, false].map((isMonotonic) => {
    const temporality = isMonotonic ? 'delta' : 'cumulative';
    const metric = makeMetric({ kind: 'sum', isMonotonic, temporality, points });
    const { protobuf: decoded } = encodeAll([{ resource: makeResource('shop'), metric }]);
    const request = decoded as { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ sum: Record<string, Json> }] }] }] };
    return request.resourceMetrics[0].scopeMetrics[0].metrics[0].sum;
  });
  assert.deepEqual(
    sums.map(({ dataPoints, ...rest }) => [(dataPoints as { asInt: string }[]).map(({ asInt }) => asInt), rest]),
    [
      [['1099511627777'], { aggregationTemporality: 1, isMonotonic: true }],
      [['1099511627777'], { aggregationTemporality: 2 }],
    ],
  );
});

test('a point of a series that ends has a flag, attributes and times, and nothing else', () => {
  const { protobuf: decoded } = encodeAll(everyMetric);
  const ended = pointsWithFlags(decoded);
  assert.equal(ended.length, 3);
  for (const point of ended) {
    assert.deepEqual(Object.keys(point).sort(), ['attributes', 'flags', 'startTimeUnixNano', 'timeUnixNano']);
    assert.equal(point['flags'], 1);
  }
});

function pointsWithFlags(value: Json): Record<string, Json>[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(pointsWithFlags);
  return 'flags' in value ? [value] : Object.values(value).flatMap(pointsWithFlags);
}

test('metrics of one resource stand together, in the order in which they came; the next request begins empty', () => {
  const [shop, cart] = [makeResource('shop'), makeResource('cart')];
  const metric = (name: string) => makeMetric({ kind: 'histogram', temporality: 'delta', points: [histogramPoint] }, name);
  const encoder = new MetricRequestEncoder(scope, clock);
  const namesOf = (bytes: Uint8Array): string[][] =>
    (decode(bytes) as { resourceMetrics: { scopeMetrics: [{ metrics: { name: string }[] }] }[] }).resourceMetrics.map(
      ({ scopeMetrics: [{ metrics }] }) => metrics.map(({ name }) => name),
    );
  encoder.add({ resource: shop, metric: metric('a') });
  encoder.add({ resource: cart, metric: metric('b') });
  encoder.add({ resource: shop, metric: metric('c') });
  assert.ok(encoder.bytes > 500);
  const first = encoder.finish();
  encoder.add({ resource: cart, metric: metric('d') });
  const second = encoder.finish();
  assert.deepEqual([namesOf(first), namesOf(second)], [[['a', 'c'], ['b']], [['d']]]);
});

test('the memory of a delivered request serves again', () => {
  const encoder = new MetricRequestEncoder(scope, clock);
  const points = Array.from({ length: 1_000 }, () => histogramPoint);
  const item = { resource: makeResource('shop'), metric: makeMetric({ kind: 'histogram', temporality: 'delta', points }) };
  const encode = (): Uint8Array => {
    encoder.add(item);
    return encoder.finish();
  };
  const first = encode();
  const expected = Buffer.from(first);
  assert.notEqual(encode().buffer, first.buffer);
  encoder.release(first);
  const third = encode();
  assert.equal(third.buffer, first.buffer);
  assert.deepEqual(Buffer.from(third), expected);
});

test('requests of every number of points are well-formed', () => {
  const encoder = new MetricRequestEncoder(scope, clock);
  const resource = makeResource('shop');
  for (let count = 1; count < 600; count += 41) {
    const points = Array.from({ length: count }, (_, i) => ({ ...histogramPoint, count: i }));
    encoder.add({ resource, metric: makeMetric({ kind: 'histogram', temporality: 'delta', points }) });
    const decoded = decode(encoder.finish()) as {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ histogram: { dataPoints: { count: string }[] } }] }] }];
    };
    const [{ scopeMetrics }] = decoded.resourceMetrics;
    assert.deepEqual(
      scopeMetrics[0].metrics[0].histogram.dataPoints.map((point) => Number(point.count)),
      points.map((point) => point.count),
    );
  }
});
