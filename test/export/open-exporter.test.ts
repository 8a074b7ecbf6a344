import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../receiver/clock.ts';
import type { ExporterConfig } from '../../receiver/config/types.ts';
import type { ExportLogger, UnixTime } from '../../receiver/export/exporter.ts';
import type { ExporterDependencies, ExporterOptions } from '../../receiver/export/open-exporter.ts';
import { openExporter } from '../../receiver/export/open-exporter.ts';
import { createTimers } from '../../receiver/export/timers.ts';
import type { Logger } from '../../receiver/log.ts';
import * as files from 'node:fs/promises';
import { clock, scope } from './spans.ts';
import { tlsOptions } from './tls-options.ts';

// The compiler is the test here: what the configuration and the receiver hand over is what the exporters take.
type Takes<Given extends Wanted, Wanted> = Given;
export type HandedOver = [Takes<ExporterConfig, ExporterOptions>, Takes<Logger, ExportLogger>, Takes<Clock, UnixTime>];

const dependencies: ExporterDependencies = { scope, clock, timers: createTimers(), files, write: () => undefined };

test('each kind of exporter opens under its id, with its queue', async () => {
  const sendingQueue = {
    enabled: true,
    numConsumers: 7,
    queueSize: 99,
    sizer: 'items',
    batch: { flushTimeoutMs: 200, minSize: 10, maxSize: 0 },
  } as const;
  const retryOnFailure = {
    enabled: true,
    initialIntervalMs: 1,
    multiplier: 1,
    randomizationFactor: 0,
    maxIntervalMs: 1,
    maxElapsedTimeMs: 1,
  };
  const common = { tls: tlsOptions({ insecure: true }), headers: {}, compression: 'gzip', timeoutMs: 1 } as const;
  const configs: ExporterConfig[] = [
    {
      kind: 'otlp_grpc',
      id: 'otlp/a',
      endpoint: '127.0.0.1:1',
      keepalive: undefined,
      userAgent: undefined,
      ...common,
      sendingQueue,
      retryOnFailure,
    },
    {
      kind: 'otlp_http',
      id: 'otlphttp/a',
      tracesEndpoint: 'http://127.0.0.1:1',
      encoding: 'proto',
      ...common,
      sendingQueue,
      retryOnFailure,
    },
    { kind: 'debug', id: 'debug/a', verbosity: 'basic' },
    {
      kind: 'file',
      id: 'file/a',
      path: '/dev/null',
      format: 'json',
      append: false,
      rotation: undefined,
      flushIntervalMs: 321,
      createDirectory: false,
    },
  ];
  const opened = await Promise.all(configs.map((config) => openExporter(config, dependencies)));
  assert.deepEqual(
    opened.map(({ exporter, sendingQueue: queue, retryOnFailure: retry }) => [
      exporter.id,
      queue.numConsumers,
      queue.batch.flushTimeoutMs,
      retry.enabled,
    ]),
    [
      ['otlp/a', 7, 200, true],
      ['otlphttp/a', 7, 200, true],
      ['debug/a', 1, 50, false],
      ['file/a', 1, 321, false],
    ],
  );
  for (const { exporter } of opened) await exporter.close();
});
