// Spans through a Collector that has the receiver usm and one core: OTLP requests of 512 spans over its UNIX socket, sent as fast as it takes
// them, behind it nothing (`debug`), or a batch processor and a backend (`otlp_grpc`).
//   --seconds N  of a round   --rounds N   --only debug,otlp_grpc
import * as grpc from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { readyMessage } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { buildPeer } from '../peers/peers.ts';
import type { Cleanup } from '../traffic/program.ts';
import { readArguments } from './support/arguments.ts';
import { busyClock, busyScope, makeSpans } from './support/busy-spans.ts';
import { withCleanup } from './support/cleanup.ts';
import { placeOnCpus } from './support/cpus.ts';
import { buildLoad, cpuNs } from './support/load.ts';
import { memoryBytes } from './support/processes.ts';
import { startSink } from './support/receiver.ts';
import { Report } from './support/report.ts';

const { numbers, json, only } = readArguments({ seconds: 5, rounds: 5 }, { needsRoot: false });
const SPANS_PER_REQUEST = 512;
/** As many as usm-receiver has consumers. */
const CONCURRENT_REQUESTS = 4;
const WARM_UP_MS = 2_000;

const binary = buildPeer('collector');
buildLoad();
const places = placeOnCpus();
const report = new Report('collector');

async function startCollector(cleanup: Cleanup, config: object): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-bench-'));
  const file = path.join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify(config));
  const [command, ...args] = [...places.measured, binary, '--config', file];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, GOMAXPROCS: '1' } });
  const closed = once(child, 'close');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  cleanup.after(async () => {
    child.kill('SIGTERM');
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });
  await waitFor('the Collector', () => {
    if (child.exitCode !== null) throw new Error(log);
    return log.includes(readyMessage);
  });
  return child.pid ?? 0;
}

/** Sends the request again and again; how often it was taken. */
async function send(socket: string, body: Uint8Array, until: number): Promise<number> {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  for (const [key, value] of [
    ['usm-protocol', '1'],
    ['usm-version', '0.1.0'],
    ['usm-instance', 'bench'],
  ] as const) {
    metadata.set(key, value);
  }
  const sendOne = (): Promise<void> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest<Uint8Array, Uint8Array>(
        '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        (bytes) => bytes,
        body,
        metadata,
        (error) => {
          if (error === null) resolve();
          else reject(error);
        },
      );
    });
  let taken = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < until) {
      await sendOne();
      taken++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, loop));
  client.close();
  return taken;
}

for (const kind of ['debug', 'otlp_grpc'] as const) {
  if (only?.has(kind) === false) continue;
  await withCleanup(async (cleanup) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'usm-bench-'));
    cleanup.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const socket = path.join(folder, 'collector.sock');
    const sink = await startSink(cleanup, places.observer);
    const exporters = {
      debug: {},
      otlp_grpc: { endpoint: `127.0.0.1:${sink.port}`, tls: { insecure: true }, compression: 'none' },
    };
    const processors = { batch: {} };
    const pid = await startCollector(cleanup, {
      receivers: { usm: { collector: { socket } } },
      processors,
      exporters: { [kind]: exporters[kind] },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { traces: { receivers: ['usm'], processors: kind === 'debug' ? [] : ['batch'], exporters: [kind] } },
      },
    });
    const encoder = new TraceRequestEncoder(busyScope, busyClock);
    for (const span of makeSpans(SPANS_PER_REQUEST)) encoder.add(span);
    const body = encoder.finish();
    await send(socket, body, performance.now() + WARM_UP_MS);
    const rates: number[] = [];
    const perCore: number[] = [];
    for (let round = 0; round < numbers.rounds; round++) {
      const startedAt = performance.now();
      const cpuBefore = cpuNs([pid]);
      const spans = SPANS_PER_REQUEST * (await send(socket, body, startedAt + numbers.seconds * 1000));
      rates.push(spans / ((performance.now() - startedAt) / 1000));
      perCore.push(spans / ((cpuNs([pid]) - cpuBefore) / 1e9));
    }
    const target = kind === 'otlp_grpc' ? 'collectorRate' : undefined;
    report.figure(`${kind}: spans passed on, on one core`, '/s', rates, target);
    report.figure(`${kind}: spans passed on per second of its CPU time`, '/s', perCore);
    report.figure(`${kind}: peak of its resident memory`, 'MB', [memoryBytes(pid, 'VmHWM') / 1e6]);
  });
}
report.write(json);
process.exit(0);
