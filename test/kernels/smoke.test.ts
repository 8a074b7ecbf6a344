// What must work on every kernel, in short: each test is one column of docs/kernels.md, under the word before its colon. npm test runs
// them on this kernel, npm run test:kernels on others.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { capabilities } from '../../native/index.ts';
import { isOlder, oldestRelease } from '../../receiver/kernel/release.ts';
import { compareTruth } from '../e2e/compare.ts';
import { faultOf, FIRST, numberOf, startPeers, type Pair } from '../e2e/context-peers.ts';
import { assertBooks, assertTruth, readyMessage, runReceiver, startReceiver } from '../e2e/harness.ts';
import { joinsOf } from '../e2e/joins.ts';
import { lastPoints } from '../e2e/metric-points.ts';
import { targetOf } from '../e2e/spans.ts';
import { waitFor } from '../e2e/wait.ts';
import { kernelTest } from '../support/kernel.ts';
import { patience } from '../support/patience.ts';
import { type EchoClient, newRun, startClient, startServer } from '../traffic/traffic.ts';
import { type Exchange, planRequest, planRequests } from '../traffic/truth.ts';

const { kernelRelease } = capabilities();
const isTooOld = isOlder(kernelRelease, oldestRelease);
/** What an emulated machine may be too slow for, and says so. */
const slowSearch = 'The TLS libraries of running programs are still being searched for';
const supported = isTooOld ? { skip: 'the kernel is too old' } : kernelTest();

test('start: the receiver is ready, and ends with 0 and balanced books', supported, async (t) => {
  const receiver = await startReceiver(t);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.equal(stopped.stderr.split(readyMessage).length - 1, 1);
  assert.deepEqual(
    stopped.stderr.split('\n').filter((line) => /\t(warn|error)\t/.test(line) && !(patience > 1 && line.includes(slowSearch))),
    [],
  );
});

test('HTTP/1.1: every exchange makes its two spans, of one trace', supported, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-smoke-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const servers = [
    await startServer(t, 'node'),
    await startServer(t, 'go', { family: 'ipv6' }),
    await startServer(t, 'io', { family: 'unix', socketPath: path.join(folder, 'socket') }),
  ] as const;
  const receiver = await startReceiver(t);
  const clients = [
    await startClient(t, 'go', servers[0]),
    await startClient(t, 'node', servers[1]),
    await startClient(t, 'io', servers[2]),
    await startClient(t, 'python', servers[0]),
  ];
  const truth: Exchange[] = [];
  for (const client of clients) truth.push(...(await client.run(planRequests(newRun(), 56, 'plain'), { connections: 3 })));
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  const { joined, apart, wrong } = joinsOf(stopped.spans);
  assert.deepEqual({ joined, apart, wrong }, { joined: truth.length, apart: 0, wrong: [] });
  assert.deepEqual(stopped.ledger?.bytes?.lost ?? {}, {});
});

test('HTTP/2: every stream makes its two spans', supported, async (t) => {
  const clients: EchoClient[] = [];
  for (const kind of ['node', 'go'] as const) {
    const server = await startServer(t, kind, { isHttp2: true });
    clients.push(await startClient(t, kind === 'go' ? 'node' : 'go', server));
  }
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (const client of clients)
    truth.push(...(await client.run(planRequests(newRun(), 64, 'http2'), { connections: 2, streams: 8 })));
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(stopped.ledger?.bytes?.lost ?? {}, {});
});

test('older connections: those that are older than the receiver are joined at a boundary', supported, async (t) => {
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'go', server);
  const ways = { connections: 3 };
  await client.run(planRequests(newRun(), 24, 'plain'), ways);
  const receiver = await startReceiver(t);
  assertTruth(await receiver.stop(), []);
  const second = await startReceiver(t);
  const truth = await client.run(planRequests(newRun(), 48, 'plain'), ways);
  assertTruth(await second.stop(), truth);
});

for (const [name, kinds] of Object.entries({ 'HTTPS of OpenSSL': ['python', 'node'], 'HTTPS of Go': ['go', 'go'] } as const)) {
  test(`${name}: every exchange makes its two spans`, supported, async (t) => {
    const server = await startServer(t, kinds[0], { isSecure: true });
    const receiver = await startReceiver(t);
    // Probes are attached in the background: until they are there, an exchange may have no span, or one.
    const tried = new Set<string>();
    await waitFor('the probes of both programs', async () => {
      const request = planRequest(`${newRun()}-0`, { size: 10 });
      tried.add(request.target);
      const client = await startClient(t, kinds[1], server);
      await client.run([request]);
      await client.stop();
      const isSeen = (): boolean => receiver.spans().filter((span) => targetOf(span) === request.target).length === 2;
      return waitFor('both spans', isSeen, 1000).catch(() => false);
    });
    const client = await startClient(t, kinds[1], server);
    const truth = await client.run(planRequests(newRun(), 56, 'all'), { connections: 3 });
    const stopped = await receiver.stop();
    assertBooks(stopped);
    const spans = stopped.spans.filter((span) => !tried.has(targetOf(span)));
    const difference = compareTruth(truth, spans);
    assert.equal(difference, undefined, `${difference ?? ''}\nledger: ${JSON.stringify(stopped.ledger)}`);
  });
}

test('thread context: every transaction is below the span that its thread has published', supported, async (t) => {
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } } });
  const peers = await startPeers(t, 'program');
  let number = 1;
  await waitFor('the place of the contexts', async () => {
    await peers.run('both', number++, 1, 1);
    const found = receiver.spans().filter((span) => span.attributes['usm.correlation.source'] === 'thread_context');
    return (['CLIENT', 'SERVER'] as const).every((kind) => found.some((span) => span.kind === kind));
  });
  const count = 100;
  await peers.run('both', FIRST, count, 4);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  for (let request = FIRST; request < FIRST + count; request++) {
    const spans = stopped.spans.filter((span) => numberOf(span) === request);
    const ofKind = (kind: string): Pair['client'] => spans.find((span) => span.kind === kind);
    assert.equal(faultOf('both', request, { client: ofKind('CLIENT'), server: ofKind('SERVER') }), undefined);
    assert.equal(spans.length, 2);
  }
});

test('connection metrics: every byte of a connection is counted at both ends', supported, async (t) => {
  const metrics = { 'usm.connection.io': { enabled: true }, 'usm.connection.rtt': { enabled: true } };
  const receiver = await startReceiver(t, { usm: { metrics, collection_interval: '10m' }, signals: ['metrics'] });
  const names = { server: `server-${newRun()}`, client: `client-${newRun()}` };
  const server = await startServer(t, 'node', { env: { OTEL_SERVICE_NAME: names.server } });
  const client = await startClient(t, 'go', server, { env: { OTEL_SERVICE_NAME: names.client } });
  await client.run(planRequests(newRun(), 48, 'plain'), { connections: 2 });
  await client.stop();
  await server.stop();
  const stopped = await receiver.stop();
  const bytes = (service: string, direction: string): number =>
    lastPoints(stopped.points)
      .filter(({ metric, resource }) => metric === 'usm.connection.io' && resource['service.name'] === service)
      .filter(({ attributes }) => attributes['network.io.direction'] === direction)
      .reduce((sum, { count }) => sum + count, 0);
  assert.ok(bytes(names.client, 'transmit') > 48 * 50, 'requests were counted');
  assert.equal(bytes(names.client, 'transmit'), bytes(names.server, 'receive'));
  assert.equal(bytes(names.client, 'receive'), bytes(names.server, 'transmit'));
});

test('refusal: a kernel that is too old is named in one sentence', { skip: !isTooOld }, async (t) => {
  const stopped = await runReceiver(t, {});
  assert.equal(stopped.exitCode, 1, stopped.stderr);
  const release = kernelRelease.replaceAll('.', '\\.').replaceAll('+', '\\+');
  const sentence = `^Error: cannot capture on Linux ${release}: its BPF lacks .*; run on Linux 6\\.1 or newer$`;
  const errors = stopped.stderr.split('\n').filter((line) => !line.includes('\tinfo\t') && line !== '');
  assert.equal(errors.length, 1, stopped.stderr);
  assert.match(errors[0] ?? '', new RegExp(sentence));
});
