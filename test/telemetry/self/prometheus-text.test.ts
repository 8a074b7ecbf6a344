import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instrument, SelfPoint } from '../../../receiver/telemetry/self/instruments.ts';
import { instruments } from '../../../receiver/telemetry/self/instruments.ts';
import { formatPrometheus, metricName } from '../../../receiver/telemetry/self/prometheus-text.ts';
import { readingsAt } from './readings.ts';

const bare = { withoutUnits: true, withoutTypeSuffix: true, withoutScopeInfo: true };
const full = { withoutUnits: false, withoutTypeSuffix: false, withoutScopeInfo: false };
const identity = { resource: { 'service.name': 'a "b"\\\n' }, scope: { name: 'usm-receiver', version: '1' } };

function instrument(parts: Partial<Instrument>, ...points: SelfPoint[]): Instrument {
  const defaults = { name: 'otelcol_x', unit: '1', kind: 'gauge', level: 'basic', description: 'What\nit is' } as const;
  return { ...defaults, attributes: [], read: () => points, ...parts };
}

test('names have the suffixes of unit and type only where they are wanted, and none twice', () => {
  const table = [
    ['otelcol_process_uptime', 's', 'counter', 'otelcol_process_uptime_seconds_total'],
    ['otelcol_process_cpu_seconds', 's', 'counter', 'otelcol_process_cpu_seconds_total'],
    ['otelcol_process_memory_rss', 'By', 'gauge', 'otelcol_process_memory_rss_bytes'],
    ['otelcol_process_runtime_heap_alloc_bytes', 'By', 'gauge', 'otelcol_process_runtime_heap_alloc_bytes'],
    ['otelcol_exporter_sent_spans', '{spans}', 'counter', 'otelcol_exporter_sent_spans_total'],
    ['otelcol_receiver_usm_decode_lag', 's', 'histogram', 'otelcol_receiver_usm_decode_lag_seconds'],
  ] as const;
  for (const [name, unit, kind, expected] of table) {
    assert.equal(metricName(instrument({ name, unit, kind }), full), expected);
    assert.equal(metricName(instrument({ name, unit, kind }), bare), name);
  }
});

test('a metric is its help, its type and its points, with labels escaped', () => {
  const metric = instrument(
    { kind: 'counter' },
    { attributes: { reason: 'a\\b"c\nd' }, value: 3 },
    { attributes: { reason: 'e' }, value: 0.5 },
  );
  assert.equal(
    formatPrometheus([metric], readingsAt(0), bare, identity),
    String.raw`# HELP otelcol_x What\nit is
# TYPE otelcol_x counter
otelcol_x{reason="a\\b\"c\nd"} 3
otelcol_x{reason="e"} 0.5
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{service_name="a \"b\"\\\n"} 1
`,
  );
});

test('buckets of a histogram are cumulative, and the last is that of all values', () => {
  const value = { boundaries: [0.1, 1], counts: [2, 0, 3], count: 5, sum: 12.5 };
  const text = formatPrometheus([instrument({ kind: 'histogram' }, { attributes: {}, value })], readingsAt(0), full, identity);
  const scope = 'otel_scope_name="usm-receiver",otel_scope_version="1"';
  assert.deepEqual(text.split('\n').slice(2, 7), [
    `otelcol_x_bucket{${scope},le="0.1"} 2`,
    `otelcol_x_bucket{${scope},le="1"} 2`,
    `otelcol_x_bucket{${scope},le="+Inf"} 5`,
    `otelcol_x_sum{${scope}} 12.5`,
    `otelcol_x_count{${scope}} 5`,
  ]);
});

test('a metric without points is left out', () => {
  assert.doesNotMatch(formatPrometheus([instrument({})], readingsAt(0), bare, identity), /otelcol_x/);
});

test('the whole table is one page of well-formed lines', () => {
  const lines = formatPrometheus(instruments, readingsAt(0), bare, identity).trimEnd().split('\n');
  for (const line of lines) {
    assert.match(
      line,
      /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-z_]+="[^"\n]*(?:\\"[^"\n]*)*"(?:,[a-z_]+="[^"\n]*")*\})? [0-9.e+-]+)$/,
    );
  }
  const types = lines.filter((line) => line.startsWith('# TYPE otelcol_'));
  assert.equal(types.length, instruments.length);
});
