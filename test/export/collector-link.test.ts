// What is sent to a Collector on this host: over a real UNIX socket, with the queue, the retries and the books that every exporter has.
import { status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type CollectorLinkDependencies, openCollectorExporters } from '../../receiver/export/collector-link.ts';
import type { Exporter } from '../../receiver/export/exporter.ts';
import { createTimers, type Timers } from '../../receiver/export/timers.ts';
import { waitFor } from '../e2e/wait.ts';
import { configOf, type LogRecord, makeLog, makeSocketPath, names, openSending, push, uid } from './collector-sending.ts';
import { ManualTimers } from './manual-timers.ts';
import { scope } from './spans.ts';
import { startComponent, type Judge } from './stand-in-component.ts';

async function start(t: TestContext, socketPath: string, judge?: Judge) {
  const component = await startComponent(socketPath, judge);
  t.after(() => component.kill());
  return component;
}

test('spans arrive once, with the protocol, the version and the instance that sends them', async (t) => {
  const socketPath = makeSocketPath(t);
  const component = await start(t, socketPath);
  const sending = await openSending(t, socketPath);
  push(sending, 0, 500);
  assert.equal(await sending.path.flush(10_000), true);
  assert.deepEqual(component.spans.map(({ name }) => name).sort(), names(0, 500).sort());
  assert.deepEqual([...sending.outcomes], [['exported', 500]]);
  const instances = new Set<unknown>();
  for (const { metadata } of component.calls) {
    assert.deepEqual([metadata.get('usm-protocol'), metadata.get('usm-version')], [['1'], [scope.version]]);
    instances.add(metadata.get('usm-instance')[0]);
  }
  assert.equal(instances.size, 1);
  assert.match(String([...instances][0]), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(sending.path.counters()[0]?.id, 'collector');
});

test('what the Collector cannot take now is sent until it does', async (t) => {
  const socketPath = makeSocketPath(t);
  let refusals = 0;
  const component = await start(t, socketPath, ({ request }) =>
    request.length > 0 && refusals++ < 5
      ? { code: status.UNAVAILABLE, details: 'data refused due to high memory usage' }
      : undefined,
  );
  const sending = await openSending(t, socketPath);
  push(sending, 0, 100);
  assert.equal(await sending.path.flush(10_000), true);
  assert.deepEqual(component.spans.map(({ name }) => name).sort(), names(0, 100).sort());
  assert.deepEqual([...sending.outcomes], [['exported', 100]]);
});

test('what the Collector will never take is counted and not sent again', async (t) => {
  const socketPath = makeSocketPath(t);
  const component = await start(t, socketPath, ({ request }) =>
    request.length > 0 ? { code: status.INVALID_ARGUMENT, details: 'not consumable' } : undefined,
  );
  const sending = await openSending(t, socketPath);
  push(sending, 0, 20);
  assert.equal(await sending.path.flush(10_000), true);
  assert.deepEqual([...sending.outcomes], [['export_rejected', 20]]);
  assert.equal(component.calls.filter(({ request }) => request.length > 0).length, 1);
});

test('a Collector that is killed in the middle and comes back gets every span', async (t) => {
  const socketPath = makeSocketPath(t);
  const total = 4000;
  let taken = 0;
  const before = await start(t, socketPath, ({ request }) => {
    if (request.length > 0 && ++taken === 50) setImmediate(() => before.kill());
    return undefined;
  });
  const sending = await openSending(t, socketPath);
  for (let at = 0; at < total; at += 20) {
    push(sending, at, at + 20);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('failed attempts', () => sending.records.some(({ message }) => message.startsWith('Exporting failed.')));
  assert.ok(sending.path.outstanding() > 1000, 'the queue holds what was not delivered');
  const after = await start(t, socketPath);
  assert.equal(await sending.path.flush(20_000), true);
  assert.deepEqual([...sending.outcomes], [['exported', total]]);
  const arrived = new Set([...before.spans, ...after.spans].map(({ name }) => name));
  assert.deepEqual([...arrived].sort(), names(0, total).sort());
});

test('what the queue cannot hold while there is no Collector is counted, and the rest is delivered', async (t) => {
  const socketPath = makeSocketPath(t);
  const { sendingQueue } = configOf(socketPath);
  const sending = await openSending(t, socketPath, {
    sendingQueue: { ...sendingQueue, queueSize: 16_384, batch: { flushTimeoutMs: 5, sizer: 'items', minSize: 20, maxSize: 20 } },
  });
  push(sending, 0, 1000);
  await waitFor('a full queue', () => (sending.outcomes.get('queue_full') ?? 0) > 0);
  const component = await start(t, socketPath);
  assert.equal(await sending.path.flush(20_000), true);
  const exported = sending.outcomes.get('exported') ?? 0;
  assert.ok(exported >= 60, `the queue held ${exported}`);
  assert.equal(exported + (sending.outcomes.get('queue_full') ?? 0), 1000);
  assert.equal(component.spans.length, exported);
});

test('what waits when the receiver ends without a Collector is counted as failed', async (t) => {
  const sending = await openSending(t, makeSocketPath(t));
  push(sending, 0, 40);
  await sending.path.close(200);
  assert.deepEqual([...sending.outcomes], [['export_failed', 40]]);
});

interface Link extends Disposable {
  readonly exporter: Exporter;
  readonly records: readonly LogRecord[];
}

async function openLink(
  t: TestContext,
  socketPath: string,
  timers: Timers = createTimers(),
  look: CollectorLinkDependencies['lstat'] = lstat,
): Promise<Link> {
  const { records, logger } = makeLog();
  const [exporter] = await openCollectorExporters(
    { id: 'collector', socketPath, timeoutMs: 5_000, ownUid: uid, instance: 'i' },
    ['traces'],
    { scope, timers, logger, lstat: look },
  );
  assert.ok(exporter !== undefined);
  const close = (): void => void exporter.close();
  t.after(close);
  return { exporter, records, [Symbol.dispose]: close };
}

/** As a Collector that was killed leaves it. */
async function leaveSocket(socketPath: string): Promise<void> {
  const server = createServer().listen(`${socketPath}.new`);
  await once(server, 'listening');
  renameSync(`${socketPath}.new`, socketPath);
  server.close();
  await once(server, 'close');
}

const nothing = { items: 0, body: new Uint8Array(0) };

test('nothing is sent to what is no socket, or is not there, or is not served, or belongs to somebody else', async (t) => {
  const socketPath = makeSocketPath(t);
  const folder = path.dirname(socketPath);
  const other = path.join(folder, 'other.sock');
  const component = await start(t, other);
  /** As if somebody owned it. */
  const owned =
    (socketUid: number, folderUid: number): CollectorLinkDependencies['lstat'] =>
    async (at) => {
      const stats = await lstat(at);
      return { isSocket: () => stats.isSocket(), uid: stats.isSocket() ? socketUid : folderUid };
    };
  const table: readonly (readonly [string, () => void, CollectorLinkDependencies['lstat'], string])[] = [
    [
      'missing',
      () => undefined,
      lstat,
      `there is no ${socketPath}; start the Collector, or set collector::socket to what it has`,
    ],
    [
      'a file',
      () => writeFileSync(socketPath, ''),
      lstat,
      `${socketPath} is no socket; remove it, or set collector::socket to what the Collector has`,
    ],
    [
      'a folder',
      () => mkdirSync(socketPath),
      lstat,
      `${socketPath} is no socket; remove it, or set collector::socket to what the Collector has`,
    ],
    // Even to a good one: who may write to the folder could turn it elsewhere between looking and connecting.
    [
      'a link',
      () => symlinkSync(other, socketPath),
      lstat,
      `${socketPath} is no socket; remove it, or set collector::socket to what the Collector has`,
    ],
  ];
  for (const [title, make, look, message] of table) {
    make();
    using link = await openLink(t, socketPath, createTimers(), look);
    assert.deepEqual(await link.exporter.export(nothing), { kind: 'retryable', message }, title);
    rmSync(socketPath, { recursive: true, force: true });
  }
  await leaveSocket(socketPath);
  using stale = await openLink(t, socketPath);
  const answer = await stale.exporter.export(nothing);
  assert.equal(answer.kind, 'retryable');
  assert.match(answer.message, /ECONNREFUSED/);
  using foreign = await openLink(t, other, createTimers(), owned(uid + 1, uid + 2));
  assert.deepEqual(await foreign.exporter.export(nothing), {
    kind: 'retryable',
    message: `${other} belongs to user ${uid + 1}, and not to root, to user ${uid}, who runs this, or to user ${uid + 2}, who owns its folder; nothing is sent to it`,
  });
  assert.equal(component.calls.length, 0);
  for (const look of [owned(0, uid + 2), owned(uid, uid + 2), owned(uid + 1, uid + 1)]) {
    using link = await openLink(t, other, createTimers(), look);
    assert.deepEqual(await link.exporter.export(nothing), { kind: 'accepted', rejected: 0 });
  }
});

test('an empty request is sent at the start, and whenever the Collector has heard nothing for 5 s', async (t) => {
  const socketPath = makeSocketPath(t);
  const component = await start(t, socketPath);
  const timers = new ManualTimers();
  using link = await openLink(t, socketPath, timers);
  const isSilent = async (ms: number): Promise<void> => {
    const seen = component.calls.length;
    await timers.advance(ms);
    await waitFor('nothing to be under way', () => timers.waiting === 1);
    assert.equal(component.calls.length, seen);
  };
  const isHeard = async (ms: number): Promise<void> => {
    const seen = component.calls.length;
    await timers.advance(ms);
    await waitFor('an empty request', () => component.calls.length === seen + 1 && timers.waiting === 1);
  };
  await waitFor('the first', () => component.calls.length === 1 && timers.waiting === 1);
  assert.deepEqual(link.records, [{ level: 'info', message: 'Connected to the Collector.', error: '' }]);
  await isSilent(4_900);
  await isHeard(100);
  await isSilent(3_000);
  await link.exporter.export(nothing);
  // Counted from the last request, whatever it was.
  await isSilent(4_900);
  await isHeard(100);
  assert.ok(component.calls.every(({ signal, request }) => signal === 'traces' && request.length === 0));
});

test('a Collector that does not answer is looked for once a second', async (t) => {
  const timers = new ManualTimers();
  let looks = 0;
  using link = await openLink(t, makeSocketPath(t), timers, (at) => {
    looks++;
    return lstat(at);
  });
  for (let second = 1; second <= 5; second++) {
    await waitFor('the end of an attempt', () => timers.waiting === 1);
    assert.equal(looks, second);
    await timers.advance(999);
    assert.equal(looks, second);
    await timers.advance(1);
  }
  assert.equal(link.records.length, 1);
});

test('why the Collector does not answer is logged once for each reason, and that it answers again', async (t) => {
  const socketPath = makeSocketPath(t);
  let asked = 0;
  const refuse: Judge = () => ({
    code: status.UNAVAILABLE,
    details: `protocol 1 is not known here (${++asked}); install a newer Collector`,
  });
  const timers = new ManualTimers();
  using link = await openLink(t, socketPath, timers);
  const knock = async (times: number): Promise<void> => {
    for (; times > 0; times--) {
      await waitFor('the end of an attempt', () => timers.waiting === 1);
      await timers.advance(1_000);
    }
    await waitFor('the end of an attempt', () => timers.waiting === 1);
  };
  await knock(3);
  const refusing = await start(t, socketPath, refuse);
  await waitFor('several refusals', async () => {
    await knock(1);
    return asked > 3;
  });
  refusing.kill();
  await start(t, socketPath);
  await waitFor('an answer', async () => {
    await knock(1);
    return link.records.some(({ message }) => message.startsWith('Connected'));
  });
  const reasons = link.records.map(({ level, error }) => `${level} ${error}`);
  assert.equal(reasons[0], `warn there is no ${socketPath}; start the Collector, or set collector::socket to what it has`);
  assert.equal(reasons.filter((reason) => reason.includes('protocol 1 is not known here')).length, 1, reasons.join('\n'));
  assert.equal(reasons.at(-1), 'info ');
  // How the connection ended may be told between.
  assert.ok(reasons.length <= 6, reasons.join('\n'));
});
