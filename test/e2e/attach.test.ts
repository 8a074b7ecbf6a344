// `usm-receiver attach`: kernel → receiver → UNIX socket → a real Collector. That one takes plain OTLP there; what the component `usm` adds to it is its
// own tests' business.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startCollector, type Collector } from '../peers/peers.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { kernelTestSkip, type Ledger, readyMessage, receiverMain, startReceiver, type Receiver } from './harness.ts';
import { readPoints } from './metric-points.ts';
import { readSpans } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

async function start(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-attach-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const socket = path.join(folder, 'collector.sock');
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  const truth: Exchange[] = [];
  const usm = {
    filter: { include: [{ pids: [server.pid, client.pid] }] },
    collection_interval: '500ms',
    collector: { socket },
  };
  return {
    truth,
    usm,
    collect: (): Promise<Collector> => startCollector(t, { socket }),
    ask: async (count: number): Promise<void> => {
      truth.push(...(await client.run(planRequests(newRun(), count, 'bodiless'), { connections: 4 })));
    },
    attach: (): Promise<Receiver> =>
      startReceiver(t, {
        command: 'attach',
        usm,
        // The Collector's, whatever they are.
        exporters: { kafka: { brokers: ['k:9092'] } },
        signals: ['traces', 'metrics'],
      }),
  };
}

function assertSame(truth: readonly Exchange[], collectors: readonly Collector[]): void {
  const difference = compareTruth(
    truth,
    collectors.flatMap(({ file }) => readSpans(file)),
  );
  assert.equal(difference, undefined, difference);
}

test('a Collector gets every span and the metrics over its socket', { skip }, async (t) => {
  const { truth, collect, ask, attach } = await start(t);
  const collector = await collect();
  const receiver = await attach();
  await ask(300);
  await waitFor('metrics', () => readPoints(collector.metricsFile).length > 0);
  const stopped = await receiver.stop();
  await collector.stop();
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  assertSame(truth, [collector]);
  assert.match(stopped.stderr, /\tinfo\tConnected to the Collector\.\t/);
  assert.doesNotMatch(stopped.stderr, /\t(?:warn|error)\t/);
  assert.deepEqual(stopped.ledger?.transactions, { seen: 600, exported: 600, not_exported: {} });
  assert.deepEqual(
    stopped.ledger.exporters?.map(({ id, signal }) => [id, signal]),
    [
      ['collector', 'traces'],
      ['collector', 'metrics'],
    ],
  );
});

test('a Collector that comes later, goes and comes back misses nothing', { skip }, async (t) => {
  const { truth, collect, ask, attach } = await start(t);
  const receiver = await attach();
  await ask(200);
  const first = await collect();
  await waitFor('what had waited', () => readSpans(first.file).length === 400, 20_000);
  const pause = ask(200);
  await first.stop();
  await pause;
  await ask(200);
  const second = await collect();
  await ask(100);
  await waitFor('everything', () => readSpans(first.file).length + readSpans(second.file).length >= 1400, 20_000);
  const stopped = await receiver.stop();
  await second.stop();
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  assertSame(truth, [first, second]);
  assert.deepEqual(stopped.ledger?.transactions, { seen: 1400, exported: 1400, not_exported: {} });
  assert.match(stopped.stderr, /\twarn\tThe Collector does not answer\. .*there is no .*collector\.sock; start the Collector/);
});

test('what was seen is delivered when the Collector that supervises ends its standard input', { skip }, async (t) => {
  const { truth, usm, collect, ask } = await start(t);
  const collector = await collect();
  const child = spawn(process.execPath, [receiverMain, 'attach', '--supervised'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const closed = once(child, 'close');
  t.after(() => child.kill('SIGKILL'));
  const config = {
    receivers: { usm },
    service: { pipelines: { traces: { receivers: ['usm'] } }, telemetry: { logs: { encoding: 'json' } } },
  };
  child.stdin.write(`${JSON.stringify(config)}\n`);
  await waitFor('the receiver to be ready', () => log.includes(readyMessage), 20_000);
  await ask(100);
  child.stdin.end();
  await closed;
  await collector.stop();
  assert.equal(child.exitCode, 0, log);
  assertSame(truth, [collector]);
  const records = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Ledger & { readonly level: string; readonly msg: string });
  const ledger = records.find(({ msg }) => msg === 'Ledger');
  assert.equal(ledger?.balanced, true);
  assert.deepEqual(ledger.transactions, { seen: 200, exported: 200, not_exported: {} });
});
