// A Collector's file → what the receiver beside it takes of it; everything else may be whatever a Collector knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadedConfig } from '../../receiver/config/load.ts';
import { loadAttached, loadSupervised } from '../../receiver/config/load-attached.ts';
import { failureOf, loadFrom } from './load-from.ts';
import { createRandom, randomConfig } from './random-config.ts';

const collectorFile = `
extensions:
  health_check: { endpoint: 0.0.0.0:13133, http: { cors: {} } }
receivers:
  usm:
    filter: { exclude: [{ local_ports: [9090] }] }
    collector: { socket: /run/otel/usm.sock }
  otlp: { protocols: { grpc: { endpoint: "\${http://config.example/endpoint}" } } }
  "bad id/": 5
processors: { batch: , "memory_limiter": { limit_mib: "\${vault:secret}" } }
exporters: { kafka: { brokers: [k:9092] }, otlp_grpc: { endpoint: 17 } }
connectors: { spanmetrics: }
service:
  extensions: [health_check]
  pipelines:
    traces/in: { receivers: [otlp], processors: [batch], exporters: [kafka] }
    traces: { receivers: [otlp, usm], processors: [memory_limiter, batch], exporters: [kafka, spanmetrics] }
    metrics: { receivers: [spanmetrics], exporters: [kafka] }
    metrics/usm: { receivers: " usm ", exporters: [kafka] }
    logs: { receivers: [otlp], exporters: [kafka] }
  telemetry:
    resource: { service.name: gateway }
    logs: { level: WARN, encoding: json, initial_fields: { site: x }, development: true, processors: [] }
    metrics:
      level: detailed
      address: :8888
      views: []
      readers:
        - pull: { exporter: { prometheus: { host: 0.0.0.0, port: 8888 } } }
        - periodic: { interval: 5000, exporter: { otlp: { protocol: grpc, endpoint: http://m:4317 } } }
        - periodic: { exporter: { console: {} } }
    traces: { processors: [] }
`;

function attached(text: string, receiver?: string, sets: readonly string[] = []): LoadedConfig {
  return loadAttached(['c.yaml'], sets, receiver, { readFile: () => text, env: { LEVEL: 'debug' } });
}

function problemsOf(load: () => unknown): string {
  return failureOf(load).message.replace('invalid configuration: ', '');
}

test("of a Collector's file the receiver, its signals and the telemetry are taken", () => {
  const { config, warnings } = attached(collectorFile);
  assert.equal(config.usm.id, 'usm');
  assert.deepEqual(config.usm.filter.exclude[0]?.localPorts, [{ first: 9090, last: 9090 }]);
  assert.deepEqual(config.pipelines, [
    { id: 'traces', signal: 'traces', exporters: ['collector'] },
    { id: 'metrics', signal: 'metrics', exporters: ['collector'] },
  ]);
  assert.deepEqual(
    config.exporters.map((exporter) => exporter.kind === 'collector' && [exporter.id, exporter.socketPath]),
    [['collector', '/run/otel/usm.sock']],
  );
  assert.deepEqual([config.logs.level, config.logs.encoding, config.logs.initialFields], ['warn', 'json', { site: 'x' }]);
  assert.deepEqual(config.extensions, []);
  assert.equal(config.selfMetrics.level, 'detailed');
  assert.deepEqual(
    config.selfMetrics.readers.map((reader) => reader.kind === 'otlp' && [reader.endpoint, reader.intervalMs]),
    [['http://m:4317/', 5000]],
  );
  assert.deepEqual(warnings, [
    {
      message: 'A reader of service::telemetry::metrics is left to the Collector.',
      fields: {
        reader: 2,
        reason:
          'service::telemetry::metrics::readers::0::periodic::exporter::console: is not supported: metrics are not written to the console; scrape them, or send them with otlp',
      },
    },
  ]);
});

test("by default there is no page of metrics, whose port is the Collector's", () => {
  const text = 'receivers: { usm: }\nservice: { pipelines: { metrics: { receivers: [usm] } } }';
  const { config } = attached(text);
  assert.deepEqual(config.selfMetrics, { level: 'none', readers: [] });
  assert.deepEqual(
    config.pipelines.map(({ signal }) => signal),
    ['metrics'],
  );
  assert.deepEqual(
    config.exporters.map((exporter) => exporter.kind === 'collector' && exporter.socketPath),
    ['/run/usm-receiver/collector.sock'],
  );
});

test('references are followed where they stand for what is taken, and flags set keys', () => {
  const text =
    'receivers: "${file:r.yaml}"\nservice: { pipelines: "${file:p.yaml}", telemetry: { logs: { level: "${env:LEVEL}" } } }';
  const files: Readonly<Record<string, string>> = {
    'c.yaml': text,
    'r.yaml': 'usm/a: { shutdown_timeout: 7s }\notlp: { x: 1 }',
    'p.yaml': 'traces/x: { receivers: [usm/a, otlp], processors: [batch] }',
  };
  const { config } = loadAttached(['c.yaml'], ['service.telemetry.logs.encoding=json'], undefined, {
    readFile: (path) => files[path] ?? '',
    env: { LEVEL: 'debug' },
  });
  assert.deepEqual([config.usm.id, config.usm.shutdownTimeoutMs], ['usm/a', 7000]);
  assert.deepEqual([config.logs.level, config.logs.encoding], ['debug', 'json']);
});

test('one receiver is chosen: the one that is named, usm, or the only one', () => {
  const several = (ids: readonly string[]): string =>
    JSON.stringify({
      receivers: Object.fromEntries([...ids, 'otlp'].map((id) => [id, null])),
      service: { pipelines: { traces: { receivers: ids } } },
    });
  assert.equal(attached(several(['usm', 'usm/b'])).config.usm.id, 'usm');
  assert.equal(attached(several(['usm', 'usm/b']), 'usm/b').config.usm.id, 'usm/b');
  assert.equal(attached(several(['usm/b'])).config.usm.id, 'usm/b');
  assert.equal(
    problemsOf(() => attached(several(['usm/b', 'usm/c']))),
    'receivers: there are several usm receivers, [usm/b usm/c]; choose one with --receiver',
  );
  assert.equal(
    problemsOf(() => attached(several(['usm', 'usm/b']), 'otlp')),
    'receivers: there is no usm receiver "otlp"; there are [usm usm/b]',
  );
  assert.equal(
    problemsOf(() => attached('receivers: { otlp: }')),
    'receivers: there is no usm receiver',
  );
  assert.equal(
    problemsOf(() => attached('')),
    'receivers: there is no usm receiver',
  );
});

test('what is taken is judged as ever', () => {
  assert.equal(
    problemsOf(() => attached('receivers: { usm: { tls: 5 } }\nservice: { telemetry: { logs: { level: loud } } }')),
    `2 problems:
  'receivers::usm::tls' expected type 'map', got unconvertible type 'int', value: 5
  service::telemetry::logs::level: must be one of [debug info warn error DEBUG INFO WARN ERROR], found "loud"`,
  );
  assert.equal(
    problemsOf(() =>
      attached('receivers: { usm: }\nservice: { pipelines: { traces: { receivers: [otlp] }, logs: { receivers: [usm] } } }'),
    ),
    'service::pipelines: no traces and no metrics pipeline has the receiver "usm"',
  );
});

test('the line of a Collector that starts the receiver is taken as it is', () => {
  const line = JSON.stringify({
    receivers: { usm: { redaction: { query_keys: ['${env:HOME}', '$$', '\u2028'] } } },
    service: { pipelines: { traces: { receivers: ['usm'] } }, telemetry: { logs: { encoding: 'json', level: 'info' } } },
  });
  const inputs = { readFile: () => assert.fail('nothing is read'), env: { HOME: '/root' } };
  const { config } = loadSupervised(line, undefined, inputs);
  assert.deepEqual(config.usm.redaction.queryKeys, ['${env:HOME}', '$$', '\u2028']);
  assert.equal(config.logs.encoding, 'json');
  assert.match(
    failureOf(() => loadSupervised('{"receivers":', undefined, inputs)).message,
    /^cannot read the configuration on standard input: line 1: /,
  );
});

test('a usm block that is good standalone is good beside a Collector, and means the same', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const text = JSON.stringify(randomConfig(createRandom(seed)));
    assert.deepEqual(attached(text).config.usm, loadFrom(text).config.usm, `seed ${seed}`);
  }
});
