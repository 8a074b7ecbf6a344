// A backend that goes away and comes back, a receiver that is killed meanwhile, disks that are full: what arrives, and that the books of one
// run and the next say so to the unit.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startCollector, type Collector } from '../peers/peers.ts';
import { freePort } from '../traffic/listener.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { closing, planRequests, type Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { booksOf, kernelTestSkip, runReceiver, startReceiver, type Ledger, type Receiver, type Stopped } from './harness.ts';
import { lastPoints, readPoints } from './metric-points.ts';
import { readSpans, targetOf, type SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** Batches are small, so that there are many. */
const batch = { flush_timeout: '50ms', min_size: 20, max_size: 20 };
/** gRPC itself waits up to 5 s before it connects again. */
const recoveryMs = 30_000;

interface Traffic {
  readonly usm: object;
  readonly truth: Exchange[];
  /** So many exchanges, each with two spans. */
  readonly ask: (count: number) => Promise<void>;
}

async function startTraffic(t: TestContext): Promise<Traffic> {
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  const truth: Exchange[] = [];
  return {
    truth,
    usm: { filter: { include: [{ pids: [server.pid, client.pid] }] } },
    ask: async (count) => {
      // Receivers come and go: of what is older than one, the first exchange may be missing.
      truth.push(...(await client.run(closing(planRequests(newRun(), count, 'bodiless')), { connections: 4 })));
    },
  };
}

interface Ports {
  readonly grpcPort: number;
  readonly httpPort: number;
}

async function freePorts(): Promise<Ports> {
  return { grpcPort: await freePort(), httpPort: await freePort() };
}

function otlp(ports: Ports, queue: object = {}): Readonly<Record<string, object>> {
  return {
    otlp_grpc: {
      endpoint: `127.0.0.1:${ports.grpcPort}`,
      tls: { insecure: true },
      sending_queue: { batch, num_consumers: 2, ...queue },
      retry_on_failure: { initial_interval: '100ms', max_interval: '300ms', max_elapsed_time: '0' },
    },
  };
}

function storageIn(t: TestContext): Readonly<Record<string, object>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-outage-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return { file_storage: { directory: path.join(folder, 'queues'), create_directory: true } };
}

/** A file system of its own, so that it can be full. */
function smallDisk(t: TestContext, size: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  t.after(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function receivedBy(collectors: readonly Collector[]): SpanRecord[] {
  return collectors.flatMap(({ file }) => readSpans(file));
}

/** Each span once, and how many came more than once. */
function withoutRepetition(spans: readonly SpanRecord[]): { readonly once: readonly SpanRecord[]; readonly repeated: number } {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  return { once: [...byId.values()], repeated: spans.length - byId.size };
}

function queued(ledger: Ledger): number {
  return ledger.exporters?.find(({ id }) => id === 'otlp_grpc')?.queueSize ?? 0;
}

/** Waits until everything that was asked is in the queue of the exporter, or has left it. */
async function allTaken(receiver: Receiver, expected: number): Promise<void> {
  await waitFor('all spans in the queue', async () => {
    const first = await booksOf(receiver);
    const second = await booksOf(receiver);
    // Twice the same: nothing is on its way into it.
    return queued(first) === expected && queued(second) === expected;
  });
}

function booksAfter(stopped: Stopped): Ledger {
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  const { ledger } = stopped;
  assert.ok(ledger !== undefined, stopped.stderr);
  assert.equal(ledger.balanced, true, JSON.stringify(ledger));
  return ledger;
}

function assertSame(truth: readonly Exchange[], spans: readonly SpanRecord[], mayMiss = false): void {
  const difference = compareTruth(truth, spans, { mayMiss });
  assert.equal(difference, undefined, difference);
}

test('a Collector that is away for a while gets everything that the queue can hold', { skip }, async (t) => {
  const before = await startCollector(t);
  const { ask, usm, truth } = await startTraffic(t);
  const receiver = await startReceiver(t, { usm, hasFile: false, exporters: otlp(before) });
  await ask(200);
  await waitFor('the first spans', () => readSpans(before.file).length === 400);
  const pause = ask(100);
  await before.stop();
  await pause;
  await ask(600);
  const after = await startCollector(t, { ports: before });
  await ask(200);
  await waitFor('everything', () => receivedBy([before, after]).length >= 2200, recoveryMs);
  const ledger = booksAfter(await receiver.stop());
  await after.stop();
  assertSame(truth, receivedBy([before, after]));
  assert.deepEqual(ledger.transactions, { seen: 2200, exported: 2200, not_exported: {} });
});

test('what a full queue cannot hold is counted, to the unit', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const receiver = await startReceiver(t, { usm, hasFile: false, exporters: otlp(ports, { sizer: 'items', queue_size: 100 }) });
  await ask(600);
  await allTaken(receiver, 100);
  const collector = await startCollector(t, { ports });
  await waitFor('the queue to be empty', async () => queued(await booksOf(receiver)) === 0, recoveryMs);
  const stopped = await receiver.stop();
  const ledger = booksAfter(stopped);
  await collector.stop();
  const received = readSpans(collector.file);
  assertSame(truth, received, true);
  assert.equal(received.length, 100);
  assert.deepEqual(ledger.transactions, { seen: 1200, exported: 100, not_exported: { queue_full: 1100 } });
  assert.match(stopped.stderr, /Sending queue is full\. Dropping data\./);
});

test('a full queue that blocks leaves what comes in the kernel, and loses nothing that fits there', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const queue = { sizer: 'items', queue_size: 100, block_on_overflow: true };
  const receiver = await startReceiver(t, { usm, hasFile: false, exporters: otlp(ports, queue) });
  for (let round = 0; round < 6; round++) await ask(100);
  const held = await booksOf(receiver);
  assert.ok(held.transactions.seen < 1200, `taken: ${held.transactions.seen}`);
  const collector = await startCollector(t, { ports });
  await waitFor('everything', () => readSpans(collector.file).length >= 1200, recoveryMs);
  const ledger = booksAfter(await receiver.stop());
  await collector.stop();
  assertSame(truth, readSpans(collector.file));
  assert.deepEqual(ledger.transactions, { seen: 1200, exported: 1200, not_exported: {} });
});

test('what does not even fit into the kernel sheds connections, and no observed program waits', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const queue = { sizer: 'items', queue_size: 100, block_on_overflow: true };
  const receiver = await startReceiver(t, {
    usm: { ...usm, capture: { ring_buffer_size: '1MiB' } },
    hasFile: false,
    exporters: otlp(ports, queue),
  });
  // All of it is asked and answered while nothing is taken from the kernel.
  await ask(4000);
  const collector = await startCollector(t, { ports });
  await waitFor('the queue to be empty', async () => queued(await booksOf(receiver)) === 0, recoveryMs);
  await waitFor(
    'new traffic to be followed',
    async () => {
      await ask(20);
      const asked = truth.at(-1)!.target;
      return waitFor('its span', () => readSpans(collector.file).some((span) => targetOf(span) === asked), 2000).catch(
        () => false,
      );
    },
    recoveryMs,
  );
  const ledger = booksAfter(await receiver.stop());
  await collector.stop();
  const received = readSpans(collector.file);
  assertSame(truth, received, true);
  assert.equal(ledger.transactions.exported, received.length);
  assert.equal(ledger.transactions.not_exported?.['queue_full'], undefined, 'the queue takes nothing that it has no room for');
  const sum = (counts: Readonly<Record<string, number>> = {}): number => Object.values(counts).reduce((a, b) => a + b, 0);
  assert.ok(sum(ledger.connections?.shed) > 0 && sum(ledger.events?.dropped) > 0, JSON.stringify(ledger));
  assert.ok(received.length < 2 * truth.length);
});

test('killed while the Collector is away, the next run sends what was stored', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const options = {
    usm,
    hasFile: false,
    extensions: storageIn(t),
    exporters: otlp(ports, { storage: 'file_storage', sizer: 'items', queue_size: 65536 }),
  };
  const first = await startReceiver(t, options);
  await ask(500);
  await allTaken(first, 1000);
  first.signal('SIGKILL');
  assert.equal((await first.stop()).signal, 'SIGKILL');
  const collector = await startCollector(t, { ports });
  const second = await startReceiver(t, options);
  await ask(50);
  await waitFor('everything', () => readSpans(collector.file).length >= 1100, recoveryMs);
  const ledger = booksAfter(await second.stop());
  await collector.stop();
  assertSame(truth, readSpans(collector.file));
  assert.deepEqual(ledger.transactions, { seen: 100, exported: 100, not_exported: {} });
  assert.deepEqual(ledger.storage, { recovered: 1000, exported: 1000, not_exported: {} });
  const third = booksAfter(await (await startReceiver(t, options)).stop());
  assert.equal(third.storage, undefined, 'what was delivered is not stored any more');
});

test(
  'killed in the middle of traffic, nothing that arrives is wrong, and repeated are batches in flight only',
  { skip },
  async (t) => {
    const collector = await startCollector(t);
    const { ask, usm, truth } = await startTraffic(t);
    const options = { usm, hasFile: false, extensions: storageIn(t), exporters: otlp(collector, { storage: 'file_storage' }) };
    for (let round = 0; round < 4; round++) {
      const receiver = await startReceiver(t, options);
      const asked = ask(400);
      await waitFor('some spans', () => readSpans(collector.file).length > round * 800 + 100);
      receiver.signal('SIGKILL');
      await receiver.stop();
      await asked;
    }
    const last = await startReceiver(t, options);
    await waitFor('what was stored to be sent', async () => queued(await booksOf(last)) === 0, recoveryMs);
    const ledger = booksAfter(await last.stop());
    assert.deepEqual(ledger.storage?.not_exported ?? {}, {});
    await collector.stop();
    const { once: spans, repeated } = withoutRepetition(readSpans(collector.file));
    assertSame(truth, spans, true);
    // Each kill may repeat what its two consumers were sending.
    assert.ok(repeated <= 4 * 2 * batch.max_size, `${repeated} spans came twice`);
  },
);

for (const [name, hasStorage] of [
  ['without storage, counted as failed', false],
  ['with storage, kept for the next run', true],
] as const) {
  test(`SIGTERM with a backend that is not there: in time, ${name}`, { skip }, async (t) => {
    const ports = await freePorts();
    const { ask, usm, truth } = await startTraffic(t);
    const extensions = hasStorage ? storageIn(t) : {};
    const options = { usm, hasFile: false, extensions, exporters: otlp(ports, hasStorage ? { storage: 'file_storage' } : {}) };
    const first = await startReceiver(t, options);
    await ask(300);
    const stopped = await first.stop();
    assert.ok(stopped.tookMs < 5500, `took ${stopped.tookMs} ms`);
    const reason = hasStorage ? 'stored' : 'export_failed';
    assert.deepEqual(booksAfter(stopped).transactions, { seen: 600, exported: 0, not_exported: { [reason]: 600 } });
    const collector = await startCollector(t, { ports });
    const second = await startReceiver(t, options);
    if (hasStorage) await waitFor('what was stored', () => readSpans(collector.file).length >= 600, recoveryMs);
    const { storage } = booksAfter(await second.stop());
    await collector.stop();
    assert.deepEqual(storage, hasStorage ? { recovered: 600, exported: 600, not_exported: {} } : undefined);
    assertSame(hasStorage ? truth : [], readSpans(collector.file));
  });
}

test('metrics of a run whose backend is not there are sent by the next one too', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm } = await startTraffic(t);
  const options = {
    usm: { ...usm, collection_interval: '500ms' },
    hasFile: false,
    signals: ['traces', 'metrics'] as const,
    extensions: storageIn(t),
    exporters: otlp(ports, { storage: 'file_storage' }),
  };
  const first = await startReceiver(t, options);
  await ask(300);
  const { exporters: left } = booksAfter(await first.stop());
  const collector = await startCollector(t, { ports });
  const second = await startReceiver(t, options);
  await waitFor('what was stored', () => readSpans(collector.file).length >= 600, recoveryMs);
  const { exporters: found } = booksAfter(await second.stop());
  await collector.stop();
  const metricsOf = (exporters: Ledger['exporters']) => exporters?.find(({ signal }) => signal === 'metrics');
  assert.ok((metricsOf(left)?.stored ?? 0) > 0, JSON.stringify(left));
  assert.equal(metricsOf(found)?.recovered, metricsOf(left)?.stored);
  const points = lastPoints(readPoints(collector.metricsFile));
  for (const metric of ['http.server.request.duration', 'http.client.request.duration']) {
    const own = points.filter((point) => point.metric === metric);
    const counted = own.reduce((sum, { count }) => sum + count, 0);
    assert.equal(counted, 300, metric);
  }
});

test('SIGTERM with a backend that takes connections and never answers: in time, and all of it stored', { skip }, async (t) => {
  const sockets = new Set<net.Socket>();
  const silent = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as net.AddressInfo;
  const { ask, usm } = await startTraffic(t);
  const exporters = {
    otlp_http: { endpoint: `http://127.0.0.1:${port}`, sending_queue: { batch, num_consumers: 2, storage: 'file_storage' } },
  };
  const options = { usm, hasFile: false, extensions: storageIn(t), exporters };
  const first = await startReceiver(t, options);
  await ask(300);
  const stopped = await first.stop();
  assert.ok(stopped.tookMs < 5500, `took ${stopped.tookMs} ms`);
  assert.deepEqual(booksAfter(stopped).transactions, { seen: 600, exported: 0, not_exported: { stored: 600 } });
  // A run that delivers nothing either leaves it where it is.
  const { transactions, storage } = booksAfter(await (await startReceiver(t, options)).stop());
  assert.deepEqual(transactions, { seen: 0, exported: 0, not_exported: {} });
  assert.deepEqual(storage, { recovered: 600, exported: 0, not_exported: { stored: 600 } });
});

test('a storage that is full: what does not fit is counted, the rest arrives, and it goes on', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const disk = smallDisk(t, '2m');
  const receiver = await startReceiver(t, {
    usm,
    hasFile: false,
    extensions: { file_storage: { directory: disk } },
    exporters: otlp(ports, { storage: 'file_storage', sizer: 'items', queue_size: 100_000 }),
  });
  await ask(3000);
  await waitFor('the disk to be full', async () => (await booksOf(receiver)).transactions.not_exported?.['storage_failed']);
  assert.match(receiver.stderr(), /\terror\tStoring failed\. .*database or disk is full/);
  const collector = await startCollector(t, { ports });
  await waitFor('the queue to be empty', async () => queued(await booksOf(receiver)) === 0, recoveryMs);
  const lost = (await booksOf(receiver)).transactions.not_exported?.['storage_failed'] ?? 0;
  await ask(400);
  await waitFor('it to work again', () => receiver.stderr().includes('Storing works again.'));
  const stopped = await receiver.stop();
  const ledger = booksAfter(stopped);
  await collector.stop();
  const received = readSpans(collector.file);
  assertSame(truth, received, true);
  assert.equal(received.length, 6800 - lost);
  assert.deepEqual(ledger.transactions, { seen: 6800, exported: 6800 - lost, not_exported: { storage_failed: lost } });
});

test('a storage that is damaged: what cannot be read is counted and moved aside, and the receiver runs', { skip }, async (t) => {
  const ports = await freePorts();
  const { ask, usm, truth } = await startTraffic(t);
  const extensions = storageIn(t) as { file_storage: { directory: string } };
  const { directory } = extensions.file_storage;
  mkdirSync(directory);
  writeFileSync(path.join(directory, 'exporter_otlp_grpc__traces.sqlite'), 'this is no database '.repeat(1000));
  const collector = await startCollector(t, { ports });
  const receiver = await startReceiver(t, {
    usm,
    hasFile: false,
    extensions,
    exporters: otlp(ports, { storage: 'file_storage' }),
  });
  await ask(100);
  const stopped = await receiver.stop();
  assert.deepEqual(booksAfter(stopped).transactions, { seen: 200, exported: 200, not_exported: {} });
  await collector.stop();
  assertSame(truth, readSpans(collector.file));
  assert.match(stopped.stderr, /\twarn\tStorage: .*cannot be read .*renamed to .*\.backup/);
  assert.ok(readdirSync(directory).includes('exporter_otlp_grpc__traces.sqlite.backup'));
});

test('a storage that cannot be opened: the receiver does not start, and says why', { skip }, async (t) => {
  const options = { extensions: { file_storage: { directory: '/nonexistent/queues' } }, hasFile: false };
  const stopped = await runReceiver(t, { ...options, exporters: otlp(await freePorts(), { storage: 'file_storage' }) });
  assert.equal(stopped.exitCode, 1);
  assert.match(
    stopped.stderr,
    /cannot start the exporter 'otlp_grpc': extensions::file_storage: \/nonexistent\/queues does not exist; create it or set create_directory: true/,
  );
});

test('a file exporter on a full disk: counted, said, and it goes on when there is room', { skip }, async (t) => {
  const { ask, usm, truth } = await startTraffic(t);
  const disk = smallDisk(t, '1m');
  const filler = path.join(disk, 'filler');
  writeFileSync(filler, new Uint8Array(800_000));
  const file = path.join(disk, 'spans.json');
  const receiver = await startReceiver(t, { usm, hasFile: false, exporters: { file: { path: file, flush_interval: '20ms' } } });
  const failed = async (): Promise<number> => (await booksOf(receiver)).transactions.not_exported?.['export_failed'] ?? 0;
  await waitFor('the disk to be full', async () => {
    await ask(50);
    return (await failed()) > 0;
  });
  rmSync(filler);
  await waitFor('it to work again', async () => {
    await ask(20);
    return receiver.stderr().includes('Exporting works again.');
  });
  const before = await failed();
  await ask(50);
  const stopped = await receiver.stop();
  const written = readSpans(file);
  assertSame(truth, written, true);
  const seen = 2 * truth.length;
  assert.deepEqual(booksAfter(stopped).transactions, {
    seen,
    exported: written.length,
    not_exported: { export_failed: seen - written.length },
  });
  assert.equal(seen - written.length, before, 'nothing was lost after there was room');
  assert.match(stopped.stderr, /Exporting failed\. Dropping data\..*no space left on device/);
});
