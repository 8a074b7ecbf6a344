// usm in a Collector: what it sends on is what the receiver sends by itself, and either side may go and come back.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { installedOnce, mainOfPackage, makePackages } from '../package/packages.ts';
import { type Jaeger, startJaeger } from '../peers/peers.ts';
import type { Cleanup } from '../traffic/program.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { closing, planRequests, type Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { kernelTestSkip, ledgerIn, readyMessage, receiverMain, repository, startReceiver } from './harness.ts';
import { readSpans } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const script = path.join(repository, 'scripts/collector.sh');

interface Running {
  log(): string;
  signal(signal: NodeJS.Signals): void;
  /** The exit code. */
  ended(): Promise<number | null>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
}

/** `ready`: how many say that they are. */
async function run(
  cleanup: Cleanup,
  what: readonly string[],
  env: Readonly<Record<string, string>>,
  ready = 1,
): Promise<Running> {
  const [command = '', ...args] = what;
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let log = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  const closed = once(child, 'close') as Promise<[number | null]>;
  const ended = async (): Promise<number | null> => (await closed)[0];
  const stop = (): Promise<number | null> => {
    child.kill('SIGTERM');
    return ended();
  };
  cleanup.after(async () => {
    if (child.exitCode === null && child.signalCode === null) await stop();
  });
  await waitFor(
    `${path.basename(command)} to be ready`,
    () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended: ${log}`);
      return log.split(readyMessage).length > ready;
    },
    60_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${log}`);
  });
  return { log: () => log, signal: (signal) => child.kill(signal), ended, stop };
}

/** Different from one run to the next, whoever sends it. */
const passing = new Set(['usm.exchange.id', 'network.peer.port', 'client.port', 'http.request.resend_count']);

/** All spans of the run, as text without what passes. */
async function spansIn(jaeger: Jaeger, services: readonly string[], run: string): Promise<readonly string[]> {
  const texts = new Map<string, string>();
  for (const service of services) {
    for (const { spans, processes } of await jaeger.traces(service, 5000)) {
      for (const span of spans) {
        const tags = Object.fromEntries(span.tags.filter(({ key }) => !passing.has(key)).map(({ key, value }) => [key, value]));
        const text = JSON.stringify([span.operationName, span.references.length, sorted(tags), processes[span.processID]]);
        if (text.includes(run)) texts.set(span.spanID, text.replaceAll(run, 'RUN'));
      }
    }
  }
  return [...texts.values()].sort();
}

function sorted(tags: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] {
  return Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
}

test('npm start, npm run collector and the packed tarball: the same spans in Jaeger', { skip }, async (t) => {
  const jaeger = await startJaeger(t);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `127.0.0.1:${jaeger.grpcPort}` };
  const server = await startServer(t, 'python');
  const client = await startClient(t, 'node', server);
  const ask = async (): Promise<readonly string[]> => {
    const name = newRun();
    const truth = await client.run(planRequests(name, 28, 'all'), { connections: 2 });
    // The next receiver may miss the first exchange of what is older.
    await client.run(closing(planRequests(newRun(), 2, 'bodiless')), { connections: 2 });
    let spans: readonly string[] = [];
    const arrived = async (): Promise<readonly string[] | false> => {
      spans = await spansIn(jaeger, ['echo_server', 'echo-client'], name);
      return spans.length >= 2 * truth.length && spans;
    };
    return waitFor('both ends in Jaeger', arrived, 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: there are ${spans.length}\n${spans.join('\n')}`);
    });
  };
  const askWith = async (launcher: readonly string[], configFile: string): Promise<readonly string[]> => {
    const receiver = await startReceiver(t, { launcher, configFile, env });
    const spans = await ask();
    assert.equal((await receiver.stop()).exitCode, 0);
    return spans;
  };

  const expected = await askWith([path.join(repository, 'scripts/start.sh')], path.join(repository, 'collector-config.yaml'));
  const packed = makePackages();
  if (packed.reason === undefined) {
    const app = installedOnce(packed);
    const shipped = path.join(app, 'node_modules/usm-receiver/collector-config.yaml');
    assert.deepEqual(await askWith([process.execPath, path.join(app, mainOfPackage)], shipped), expected);
  }

  execFileSync(script, ['--build'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const both = await run(t, [script], env, 2);
  assert.deepEqual(await ask(), expected);
  // As npm and a terminal do: the signal comes twice.
  both.signal('SIGINT');
  await waitFor('the receiver to stop', () => both.log().includes('"reason": "SIGTERM"'));
  both.signal('SIGINT');
  assert.equal(await both.ended(), 0);
  const log = both.log();
  assert.ok(log.indexOf('\tLedger\t') < log.indexOf('Starting shutdown...'), `first the one that sends: ${log}`);
  const ledger = ledgerIn(both.log());
  assert.equal(ledger?.balanced, true, both.log());
  // What the Collector sends to Jaeger is no traffic to be told.
  const reasons = Object.keys(ledger.transactions.not_exported ?? {});
  assert.deepEqual(
    reasons.filter((reason) => reason !== 'filtered'),
    [],
  );
});

/** A server and its client, and the file of a Collector and a receiver that observe them: spans go to a file. */
async function setUp(t: TestContext, collector: (folder: string) => object = () => ({}), isBatched = false) {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-collector-e2e-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const binary = execFileSync(script, ['--build'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  const file = path.join(folder, 'config.yaml');
  const spans = path.join(folder, 'spans.json');
  const usm = {
    collector: { socket: path.join(folder, 'run/collector.sock'), ...collector(folder) },
    filter: { include: [{ pids: [server.pid, client.pid] }] },
  };
  const processors = isBatched ? { batch: { timeout: '50ms' } } : {};
  const config = {
    receivers: { usm },
    processors,
    exporters: { file: { path: spans, append: true, flush_interval: '50ms' } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['usm'], processors: Object.keys(processors), exporters: ['file'] } },
    },
  };
  writeFileSync(file, JSON.stringify(config));
  const truth: Exchange[] = [];
  return {
    spans,
    truth,
    ask: async (count: number): Promise<void> => {
      truth.push(...(await client.run(closing(planRequests(newRun(), count, 'bodiless')), { connections: 4 })));
    },
    /** `ready`: how many say that they are. */
    startCollector: (ready?: number): Promise<Running> => run(t, [binary, '--config', file], {}, ready),
    startAttached: (): Promise<Running> => run(t, [process.execPath, receiverMain, 'attach', '--config', file], {}),
    arrived: (): Promise<boolean> =>
      waitFor('everything at the Collector', () => compareTruth(truth, readSpans(spans)) === undefined, 30_000).catch(
        (error: unknown) => {
          throw new Error(`${String(error)}: ${compareTruth(truth, readSpans(spans)) ?? ''}`);
        },
      ),
  };
}

test('either side may go and come back: nothing is lost, and the ledgers say so', { skip }, async (t) => {
  const { spans, truth, ask, startCollector, startAttached, arrived } = await setUp(t, undefined, true);
  // The receiver is there first, and waits.
  const first = await startAttached();
  await ask(50);
  const one = await startCollector();
  await arrived();
  // In the middle of traffic.
  const asked = ask(50);
  assert.equal(await one.stop(), 0);
  await asked;
  await ask(50);
  const two = await startCollector();
  await arrived();
  const soFar = truth.length;
  assert.equal(await first.stop(), 0);
  assertAllExported(first, 2 * soFar);

  const second = await startAttached();
  await ask(50);
  await arrived();
  assert.equal(await second.stop(), 0);
  assertAllExported(second, 2 * (truth.length - soFar));
  assert.equal(await two.stop(), 0);
  assert.equal(compareTruth(truth, readSpans(spans)), undefined);
});

test('a receiver is restarted in the middle of traffic: what each has seen has arrived, once', { skip }, async (t) => {
  const { spans, truth, ask, startCollector, startAttached } = await setUp(t);
  const collector = await startCollector();
  const traffic = { isOver: false };
  const asking = (async () => {
    while (!traffic.isOver) await ask(20);
  })();
  let exported = 0;
  for (let restarts = 0; restarts <= 1; restarts++) {
    const receiver = await startAttached();
    await waitFor('spans of this one', () => readSpans(spans).length > exported + 40, 30_000);
    assert.equal(await receiver.stop(), 0);
    const ledger = ledgerIn(receiver.log());
    assert.equal(ledger?.balanced, true, receiver.log());
    const { exported: own, not_exported: others = {} } = ledger.transactions;
    const reasons = Object.keys(others).filter((reason) => reason !== 'open_at_exit');
    assert.deepEqual(reasons, [], receiver.log());
    exported += own;
  }
  traffic.isOver = true;
  await asking;
  assert.equal(await collector.stop(), 0);
  assert.equal(readSpans(spans).length, exported);
  // What was exchanged between the two is not there.
  assert.equal(compareTruth(truth, readSpans(spans), { mayMiss: true }), undefined);
});

test('a Collector that supervises: its receiver is started, started again, and flushed at the end', { skip }, async (t) => {
  const supervise = (folder: string): object => {
    const executable = path.join(folder, 'usm-receiver');
    writeFileSync(executable, `#!/bin/sh\nexec ${process.execPath} ${receiverMain} "$@"\n`, { mode: 0o755 });
    return { mode: 'supervise', executable, restart: { initial_interval: '100ms' } };
  };
  const { spans, truth, ask, startCollector, arrived } = await setUp(t, supervise);
  // Its own, and its child's.
  const collector = await startCollector(2);
  await ask(50);
  await arrived();
  const [, pid] = /usm-receiver is started.*"pid": (\d+)/.exec(collector.log()) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await waitFor('another', () => collector.log().split(readyMessage).length > 3, 30_000);
  assert.match(collector.log(), /was ended by SIGKILL; it is started again in 100ms/);
  await ask(50);
  await arrived();
  // Nobody waits for these.
  await ask(50);
  assert.equal(await collector.stop(), 0);
  assert.equal(compareTruth(truth, readSpans(spans)), undefined);
  assertAllExported(collector, 2 * (truth.length - 50));
});

function assertAllExported(attached: Running, transactions: number): void {
  const ledger = ledgerIn(attached.log());
  assert.equal(ledger?.balanced, true, attached.log());
  const { seen, exported } = ledger.transactions;
  assert.deepEqual({ seen, exported }, { seen: transactions, exported: transactions }, attached.log());
}
