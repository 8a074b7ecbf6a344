// `usm-receiver attach`: kernel → receiver → UNIX socket → a real Collector. That one takes plain OTLP there; what the component `usm` adds to it is its
// own tests' business.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startCollector, type Collector } from '../peers/peers.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { kernelTestSkip, startReceiver, type Receiver } from './harness.ts';
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
  return {
    truth,
    collect: (): Promise<Collector> => startCollector(t, { socket }),
    ask: async (count: number): Promise<void> => {
      truth.push(...(await client.run(planRequests(newRun(), count, 'bodiless'), { connections: 4 })));
    },
    attach: (): Promise<Receiver> =>
      startReceiver(t, {
        command: 'attach',
        usm: { filter: { include: [{ pids: [server.pid, client.pid] }] }, collection_interval: '500ms', collector: { socket } },
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
