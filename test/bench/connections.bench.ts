// What an idle connection keeps: live heap of many connections, both ends observed, each with one exchange behind it, through the real
// pipeline without a kernel.
//   --pairs N
import { randomFillSync } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createClock } from '../../receiver/clock.ts';
import { loadConfig } from '../../receiver/config/load.ts';
import { controlLayout, windowSize } from '../../receiver/kernel/session.ts';
import { createPipeline } from '../../receiver/pipeline.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';
import { createRandomIds } from '../../receiver/telemetry/random-ids.ts';
import { RecordWriter } from '../support/ring-records.ts';
import { readArguments } from './support/arguments.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ pairs: 10_000 }, { needsRoot: false });
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const report = new Report('connections');

const CLIENT = 77;
const ROLE = { client: 1, server: 2 };
const ROOM = 8192;
const request = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n');
const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok');

const { config } = loadConfig(
  ['yaml:{receivers: {usm: }, exporters: {debug: }, service: {pipelines: {traces: {receivers: [usm], exporters: [debug]}}}}'],
  [],
  { readFile: () => '', env: {} },
);
const clock = createClock(() => process.hrtime.bigint(), Date.now);
const buffer = new Uint8Array(1024 * 1024);
let spans = 0;
const pipeline = createPipeline({
  config,
  clock,
  version: '0.0.0',
  host: { id: 'bench', name: 'bench', arch: 'amd64' },
  random: Math.random,
  ids: createRandomIds(randomFillSync),
  ledger: new Ledger(),
  exportPath: {
    push: () => spans++,
    outstanding: () => 0,
    isFull: () => false,
    counters: () => [],
    flush: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  },
  controls: new ArrayBuffer(65536 * controlLayout.words * 8),
  controlLayout,
  windowSize,
  buffer,
  cpus: 1,
  onEventsDropped: () => undefined,
});
const writer = new RecordWriter(buffer, clock.originMonotonicNs);

function take(): void {
  pipeline.take(writer.size);
  writer.rewind();
}

/** One exchange on each of `count` new connections, and then silence. */
function exchange(first: number, count: number): void {
  for (let number = first; number < first + count; number++) {
    if (writer.size > buffer.length - ROOM) take();
    const server = 2 * number + 1;
    const client = server + 1;
    const isns = { localIsn: 0x1000_0000 + number, peerIsn: 0x7000_0000 + number };
    const port = 20_000 + (number % 40_000);
    writer.connection({ cookie: client, role: ROLE.client, pid: CLIENT, ...isns, localPort: port, peerPort: 8080 });
    writer.io({ cookie: client, pid: CLIENT, isSent: true, position: 0, payload: request });
    writer.connection({
      cookie: server,
      role: ROLE.server,
      localIsn: isns.peerIsn,
      peerIsn: isns.localIsn,
      localPort: 8080,
      peerPort: port,
    });
    writer.io({ cookie: server, isSent: false, position: 0, payload: request });
    writer.io({ cookie: server, isSent: true, position: 0, otherPosition: request.length, payload: response });
    writer.io({ cookie: client, pid: CLIENT, isSent: false, position: 0, otherPosition: request.length, payload: response });
  }
  take();
  const quiet = clock.now() + 3600e9;
  for (let second = 0; second < 10; second++) pipeline.tick(quiet + second * 1e9);
}

function liveBytes(): number {
  for (let i = 0; i < 4; i++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const WARM_UP = 2_000;
writer.process({ executable: '/usr/sbin/server' });
writer.process({ executable: '/usr/bin/client', pid: CLIENT });
exchange(0, WARM_UP);
const before = liveBytes();
exchange(WARM_UP, numbers.pairs);
const grown = liveBytes() - before;
const expected = 2 * (WARM_UP + numbers.pairs);
if (pipeline.trackedConnections() !== expected || spans !== expected) {
  throw new Error(`${pipeline.trackedConnections()} connections and ${spans} spans instead of ${expected}`);
}
report.figure('live heap of an idle connection, of one end', 'B', [grown / numbers.pairs / 2]);
report.figure(`live heap of ${numbers.pairs} idle connections, both ends observed`, 'MB', [grown / 1e6]);
report.write(json);
