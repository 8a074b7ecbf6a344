// HTTP/2 of real servers and clients on the real kernel, many streams at a time: N of N on both sides, each with its own head and its own end.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { curl } from '../traffic/curl.ts';
import { runH2load, startNghttpd } from '../traffic/nghttp2.ts';
import { startNginx } from '../traffic/nginx.ts';
import { asExpected, type EchoClient, newRun, startClient, startServer } from '../traffic/traffic.ts';
import { type Exchange, planRequest, planRequests, planResets } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, assertTruth, booksOf, kernelTestSkip, startReceiver, type Stopped } from './harness.ts';
import { joinsOf } from './joins.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const kinds = ['node', 'go'] as const;

/** Each exchange is one, in one trace. */
function assertJoined({ spans }: Stopped, exchanges: readonly Exchange[]): void {
  const ids = new Set(exchanges.map(({ id }) => id));
  const { joined, apart, wrong } = joinsOf(spans);
  assert.deepEqual(wrong, []);
  assert.equal(apart, 0);
  assert.equal(joined, ids.size);
}

for (const isSecure of [false, true]) {
  const how = isSecure ? 'by TLS' : 'by prior knowledge';
  test(`every stream between Node.js and Go servers and clients makes its two spans, ${how}`, { skip }, async (t) => {
    const clients: EchoClient[] = [];
    for (const serverKind of kinds) {
      const server = await startServer(t, serverKind, { isHttp2: true, isSecure });
      for (const clientKind of kinds) clients.push(await startClient(t, clientKind, server));
    }
    const receiver = await startReceiver(t);
    const truth: Exchange[] = [];
    for (const client of clients) {
      const ways = { connections: 3, streams: 25 };
      truth.push(...(await client.run(planRequests(newRun(), 320, 'http2'), ways)));
      truth.push(...(await client.run(planResets(newRun(), 30), ways)));
      // The connections have gone on in spite of the resets.
      truth.push(...(await client.run(planRequests(newRun(), 160, 'http2'), ways)));
    }
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    assertJoined(stopped, truth);
    assert.deepEqual(stopped.ledger?.bytes?.lost ?? {}, {});
  });
}

test('pushed streams, padding, extended CONNECT, and UNIX sockets', { skip }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-http2-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const padding = { PADDING: '1' };
  const servers = [
    await startServer(t, 'node', { isHttp2: true }),
    await startServer(t, 'node', { isHttp2: true, env: padding }),
    await startServer(t, 'node', { isHttp2: true, family: 'unix', socketPath: path.join(folder, 'node.sock') }),
  ] as const;
  const [pushing, padded, unix] = [
    await startClient(t, 'node', servers[0]),
    await startClient(t, 'node', servers[1], { env: padding }),
    await startClient(t, 'go', servers[2]),
  ];
  const receiver = await startReceiver(t);
  const ways = { connections: 2, streams: 20 };
  const run = newRun();
  const pushes = Array.from({ length: 40 }, (_, i) => planRequest(`${run}-${i}`, { size: 100, query: '&push=1' }));
  const tunnels = Array.from({ length: 10 }, (_, i) => {
    const request = planRequest(`${run}-connect-${i}`, { method: 'CONNECT', size: 1000, bodySize: 1000 });
    return { ...request, protocol: 'websocket' };
  });
  const truth = [
    ...(await pushing.run([...pushes, ...tunnels], ways)),
    ...(await unix.run(planRequests(newRun(), 160, 'http2'), ways)),
  ];
  const ofPadded = await padded.run(planRequests(newRun(), 160, 'http2'), ways);
  const stopped = await receiver.stop();
  assertTruth(stopped, [...truth, ...ofPadded], { areSizesOptional: true });
  assert.equal(compareTruth(truth, stopped.spans), undefined);
});

test('curl asks nginx by HTTP/2, plain and encrypted, and nginx an HTTP/1.1 upstream', { skip }, async (t) => {
  const upstream = await startServer(t, 'go');
  const ways = [
    {
      scheme: 'http',
      args: ['--http2-prior-knowledge'],
      nginx: await startNginx(t, { isHttp2: true, upstream: upstream.target }),
    },
    {
      scheme: 'https',
      args: ['--http2', '--insecure'],
      nginx: await startNginx(t, { isHttp2: true, isSecure: true, upstream: upstream.target }),
    },
  ];
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (const { scheme, args, nginx } of ways) {
    for (const request of planRequests(newRun(), 16, 'plain')) {
      const { method, target, bodySize } = request;
      const result = await curl(`${scheme}://127.0.0.1:${nginx.port}${target}`, { method, bodySize, args });
      const worker = { pid: Number(result.headers.get('nginx-pid')), service: 'nginx' };
      const outcome = { status: result.status, responseBodySize: result.responseBodySize };
      const front = asExpected(request, outcome, 'tcp', worker, { pid: result.pid, service: 'curl' });
      truth.push({ ...front, version: '2' });
      truth.push(asExpected(request, outcome, 'tcp', { pid: upstream.pid, service: upstream.service }, worker));
    }
  }
  assertTruth(await receiver.stop(), truth);
});

test('h2load asks nghttpd, a hundred streams at a time on each connection', { skip }, async (t) => {
  const sizes = { empty: 0, small: 200, large: 100_000 };
  const names = Object.keys(sizes) as (keyof typeof sizes)[];
  const servers = [await startNghttpd(t, sizes), await startNghttpd(t, sizes, { isSecure: true })];
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (const { pid, port, service, isSecure } of servers) {
    const run = newRun();
    const requests = Array.from({ length: 300 }, (_, i) => ({ id: `${run}-${i}`, name: names[i % 3]! }));
    const targets = requests.map(({ id, name }) => `/${name}?id=${id}&`);
    const connections = 5;
    const load = await runH2load(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, targets, { connections, streams: 100 });
    for (const [i, { id, name }] of requests.entries()) {
      const sizesOf = { requestBodySize: 0, responseBodySize: sizes[name] };
      const ends = { server: { pid, service }, client: { pid: load.pid, service: 'h2load' } };
      const exchange: Exchange = {
        id,
        method: 'GET',
        target: targets[i]!,
        status: 200,
        transport: 'tcp',
        version: '2',
        ...sizesOf,
        ...ends,
      };
      truth.push(...Array.from({ length: connections }, () => exchange));
    }
  }
  assertTruth(await receiver.stop(), truth);
});

test(
  'streams that are open when their server is killed are told at both ends, and no other has ended early',
  { skip },
  async (t) => {
    const server = await startServer(t, 'go', { isHttp2: true });
    const client = await startClient(t, 'node', server);
    const receiver = await startReceiver(t);
    const ways = { connections: 2, streams: 10 };
    const truth = [...(await client.run(planRequests(newRun(), 32, 'http2'), ways))];
    const { seen } = (await booksOf(receiver)).transactions;
    const run = newRun();
    const open = Array.from({ length: 20 }, (_, i) => ({
      ...planRequest(`${run}-${i}`, { query: '&delay=60000' }),
      reset: { error: 'connection_closed', isWithin: false },
    }));
    const cut = client.run(open, ways);
    await waitFor('all requests', async () => (await booksOf(receiver)).transactions.seen >= seen + 2 * open.length);
    server.program.signal('SIGKILL');
    const closed = ['connection_closed', 'connection_reset'];
    for (const exchange of await cut) {
      const ends = {
        server: { ...exchange.server!, abort: ['process_exited', ...closed] },
        client: { ...exchange.client!, abort: closed },
      };
      truth.push({ ...exchange, ...ends });
    }
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    assertJoined(stopped, truth);
  },
);

test('of connections that are older than the receiver some is told, and nothing wrong', { skip }, async (t) => {
  const servers = [
    await startServer(t, 'node', { isHttp2: true }),
    await startServer(t, 'go', { isHttp2: true, isSecure: true }),
  ];
  const clients = await Promise.all([startClient(t, 'go', servers[0]!), startClient(t, 'node', servers[1]!)]);
  const truth: Exchange[] = [];
  const stopping = new AbortController();
  const traffic = clients.map(async (client) => {
    while (!stopping.signal.aborted) {
      const requests = planRequests(newRun(), 32, 'http2').map((one) => ({ ...one, target: `${one.target}&delay=20` }));
      truth.push(...(await client.run(requests, { connections: 2, streams: 4 })));
    }
  });
  const runs: Stopped[] = [];
  for (let i = 0; i < 3; i++) {
    await waitFor('traffic before', () => truth.length > 100 * (i + 1));
    const receiver = await startReceiver(t);
    const before = truth.length;
    await waitFor('traffic meanwhile', () => truth.length > before + 300, 20_000);
    runs.push(await receiver.stop());
  }
  stopping.abort();
  await Promise.all(traffic);
  for (const stopped of runs) {
    assertBooks(stopped);
    assert.equal(compareTruth(truth, stopped.spans, { mayMiss: true, areSizesOptional: true }), undefined);
    // What was in the tables of their heads before is not known, but much comes anew.
    assert.ok(stopped.spans.length > 0, JSON.stringify(stopped.ledger));
  }
});
