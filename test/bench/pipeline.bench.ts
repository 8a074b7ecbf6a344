// Ring records -> encoded OTLP, in one process on one core: how many transactions per second, and what one costs.
// Prints a line per figure; run by scripts/bench.sh. With BENCH_PROTOCOL=http2, streams of HTTP/2.
import { randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { createClock } from '../../receiver/clock.ts';
import { loadConfig } from '../../receiver/config/load.ts';
import { createExportPath } from '../../receiver/export/fan-out.ts';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { MAX_REQUEST_BYTES } from '../../receiver/export/request-buffers.ts';
import { createTimers } from '../../receiver/export/timers.ts';
import { controlLayout, windowSize } from '../../receiver/kernel/session.ts';
import type { Span } from '../../receiver/model/span.ts';
import { createPipeline } from '../../receiver/pipeline.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';
import { createRandomIds } from '../../receiver/telemetry/random-ids.ts';
import { RecordWriter } from '../support/ring-records.ts';
import { http1Load, http2Load } from './support/pipeline-loads.ts';

const TRANSACTIONS = Number(process.env['BENCH_TRANSACTIONS'] ?? 1_000_000);
const { config } = loadConfig(
  ['yaml:{receivers: {usm: }, exporters: {debug: }, service: {pipelines: {traces: {receivers: [usm], exporters: [debug]}}}}'],
  [],
  { readFile: () => '', env: {} },
);
const clock = createClock(() => process.hrtime.bigint(), Date.now);
const ledger = new Ledger();
const scope = { name: 'usm-receiver', version: '0.0.0', schemaUrl: '' };
const encoder = new TraceRequestEncoder(scope, clock);
let encodedBytes = 0;
const exportPath = createExportPath<Span>(
  [
    {
      exporter: {
        id: 'encode',
        signal: 'traces',
        maxPayloadBytes: MAX_REQUEST_BYTES,
        export: (payload) => {
          encodedBytes += payload.body.length;
          return Promise.resolve({ kind: 'accepted', rejected: 0 });
        },
        close: () => Promise.resolve(),
      },
      encoder,
      sendingQueue: {
        enabled: true,
        numConsumers: 1,
        queueSize: 1e9,
        sizer: 'items',
        batch: { flushTimeoutMs: 200, minSize: 8192, maxSize: 8192 },
      },
      retryOnFailure: {
        enabled: false,
        initialIntervalMs: 0,
        multiplier: 1,
        randomizationFactor: 0,
        maxIntervalMs: 0,
        maxElapsedTimeMs: 0,
      },
    },
  ],
  (spans, outcome) => {
    if (outcome === 'exported') ledger.exported(spans);
    else ledger.notExported(outcome, spans);
  },
  { timers: createTimers(), random: Math.random, logger: console },
);
const buffer = new Uint8Array(1024 * 1024);
const pipeline = createPipeline({
  config,
  clock,
  version: '0.0.0',
  host: { id: 'bench', name: 'bench', arch: 'amd64' },
  random: Math.random,
  ids: createRandomIds(randomFillSync),
  ledger,
  exportPath,
  controls: new ArrayBuffer(65536 * controlLayout.words * 8),
  controlLayout,
  windowSize,
  buffer,
  cpus: 8,
  onEventsDropped: () => undefined,
});

const writer = new RecordWriter(buffer, clock.originMonotonicNs);
writer.process({ executable: '/usr/sbin/nginx' });
const fill =
  process.env['BENCH_PROTOCOL'] === 'http2' ? await http2Load(writer, buffer.length) : http1Load(writer, buffer.length);
pipeline.take(writer.size);

let done = 0;
let warm = 0;
let spent = 0;
let cpu = 0;
const warmUp = TRANSACTIONS / 5;
while (done < TRANSACTIONS + warmUp) {
  writer.rewind();
  fill();
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  pipeline.take(writer.size);
  pipeline.tick(clock.now());
  await new Promise(setImmediate);
  if (done >= warmUp) {
    spent += performance.now() - before;
    const used = process.cpuUsage(cpuBefore);
    cpu += used.user + used.system;
  } else warm = ledger.report().transactions.seen;
  done = ledger.report().transactions.seen;
}
await exportPath.flush(5000);
const measured = done - warm;
pipeline.close();
const report = ledger.report();
console.log(`pipeline: ${((spent * 1000) / measured).toFixed(2)} µs wall, ${(cpu / measured).toFixed(2)} µs CPU per transaction`);
console.log(`pipeline: ${Math.round((measured / spent) * 1000)} transactions/s on one core`);
console.log(
  `pipeline: ${(encodedBytes / done).toFixed(0)} OTLP bytes per span; ${Math.round(process.memoryUsage().rss / 1e6)} MB resident`,
);
console.log(`pipeline: seen ${report.transactions.seen}, exported ${report.transactions.exported}, balanced ${report.balanced}`);
const isLost = Object.keys(report.bytes.lost).length > 0;
process.exit(report.balanced && !isLost && report.transactions.exported >= TRANSACTIONS ? 0 : 1);
