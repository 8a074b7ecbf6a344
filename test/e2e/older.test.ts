// Receivers that come and go while connections stay: what is older than a receiver is found again at its next turn, and what begins
// after the ready message is seen from its first byte. OLDER_RESTARTS and OLDER_STARTS choose how often: each is another chance for a race.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRawPair, type RawPeer } from '../traffic/raw.ts';
import { asExpected, newRun, startClient, startServer, type ClientKind, type EchoServer } from '../traffic/traffic.ts';
import { planRequests, type Exchange, type PlannedRequest } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, assertTruth, kernelTestSkip, startReceiver, type ReceiverOptions, type Stopped } from './harness.ts';
import { targetOf } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const restarts = Number(process.env['OLDER_RESTARTS'] ?? 6);
const starts = Number(process.env['OLDER_STARTS'] ?? 10);

/** Undisturbed by what else goes on on this host. */
function only(pids: readonly number[]): ReceiverOptions {
  return { usm: { filter: { include: [{ pids }] } } };
}

/** What one client did in one go, over its one connection. */
interface Batch {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly exchanges: readonly Exchange[];
}

interface Traffic {
  readonly kind: ClientKind;
  readonly pids: readonly number[];
  readonly batches: Batch[];
  stop(): Promise<void>;
}

const batchSize = 4;
/** Between the batches of a client: without it three of them take all the time there is, and a receiver takes seconds to start. */
const pauseMs = 3;

/** A client that asks again and again, over one connection that stays. */
async function startTraffic(t: TestContext, kind: 'node' | 'go' | 'io'): Promise<Traffic> {
  const server = await startServer(t, kind);
  const client = await startClient(t, kind, server);
  const batches: Batch[] = [];
  let isStopping = false;
  const loop = async (): Promise<void> => {
    while (!isStopping) {
      const startedAt = performance.now();
      const exchanges = await client.run(planRequests(newRun(), batchSize, 'plain'));
      batches.push({ startedAt, endedAt: performance.now(), exchanges });
      await sleep(pauseMs);
    }
  };
  const running = loop();
  running.catch(() => {}); // stop() tells
  return {
    kind,
    pids: [server.pid, client.pid],
    batches,
    stop() {
      isStopping = true;
      return running;
    },
  };
}

/** A receiver's life. */
interface Run {
  readonly startedAt: number;
  readonly readyAt: number;
  readonly stoppedAt: number;
  readonly endedAt: number;
  readonly stopped: Stopped;
}

/** Nothing wrong and nothing extra in all of it, nothing missing of what must be there. */
function differenceOf(stopped: Stopped, may: readonly Exchange[], must: readonly Exchange[]): string | undefined {
  const wrong = compareTruth(may, stopped.spans, { mayMiss: true });
  const ids = new Set(must.map(({ id }) => id));
  const spans = stopped.spans.filter((span) => ids.has(/id=([^&]*)/.exec(targetOf(span))?.[1] ?? ''));
  const missing = compareTruth(must, spans);
  return wrong ?? missing;
}

test('receivers that restart under steady keep-alive traffic see everything behind the first turn', { skip }, async (t) => {
  const clients = await Promise.all((['node', 'go', 'io'] as const).map((kind) => startTraffic(t, kind)));
  const runs: Run[] = [];
  for (let i = 0; i < restarts; i++) {
    const startedAt = performance.now();
    const receiver = await startReceiver(t, only(clients.flatMap(({ pids }) => pids)));
    const readyAt = performance.now();
    const wanted = clients.map(({ batches }) => batches.length + 10);
    await waitFor('ten batches of each client', () => clients.every(({ batches }, k) => batches.length >= wanted[k]!), 30_000);
    const stoppedAt = performance.now();
    const stopped = await receiver.stop();
    runs.push({ stopped, startedAt, readyAt, stoppedAt, endedAt: performance.now() });
  }
  await Promise.all(clients.map((client) => client.stop()));
  const problems: string[] = [];
  for (const [i, { stopped, startedAt, readyAt, stoppedAt, endedAt }] of runs.entries()) {
    assertBooks(stopped);
    const may: Exchange[] = [];
    const must: Exchange[] = [];
    for (const { kind, batches } of clients) {
      const within = batches.filter((batch) => batch.endedAt >= startedAt && batch.startedAt <= endedAt);
      may.push(...within.flatMap(({ exchanges }) => exchanges));
      // Behind the first turn after the ready message, and before the signal.
      const whole = within.filter((batch) => batch.startedAt > readyAt && batch.endedAt < stoppedAt).slice(1);
      assert.ok(whole.length > 0, `run ${i}: the ${kind} client was busy`);
      must.push(...whole.flatMap(({ exchanges }) => exchanges));
    }
    const difference = differenceOf(stopped, may, must);
    if (difference !== undefined) problems.push(`run ${i}: ${difference}\nledger: ${JSON.stringify(stopped.ledger)}`);
  }
  assert.equal(problems.length, 0, problems.join('\n'));
});

interface Pair {
  readonly server: RawPeer;
  readonly client: RawPeer;
}

/** A few ticks of the kernel's coarse clock. */
async function passTicks(): Promise<void> {
  const until = performance.now() + 20;
  await waitFor('ticks to pass', () => performance.now() > until);
}

interface ExchangeOptions {
  /** Where the request is cut into several writes. */
  readonly cut?: readonly number[];
  readonly isSlow?: boolean;
}

/** One exchange between raw peers; its truth. */
async function exchange({ server, client }: Pair, { cut = [], isSlow = false }: ExchangeOptions = {}): Promise<Exchange> {
  const id = newRun();
  const target = `/raw?id=${id}&`;
  const head = `GET ${target} HTTP/1.1\r\nHost: raw\r\n\r\n`;
  let from = 0;
  for (const to of [...cut, head.length]) {
    await client.send(head.slice(from, to));
    await server.expect(to - from);
    from = to;
  }
  if (isSlow) await passTicks();
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  await server.send(answer);
  await client.expect(answer.length);
  return {
    id,
    method: 'GET',
    target,
    status: 200,
    requestBodySize: 0,
    responseBodySize: 5,
    transport: 'tcp',
    server: { pid: server.pid, service: 'raw-peer' },
    client: { pid: client.pid, service: 'raw-peer' },
  };
}

const responseLike = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const requestLike = 'GET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n';

interface State {
  readonly title: string;
  readonly earlier?: ExchangeOptions;
  before?(pair: Pair): Promise<void>;
  behind?(pair: Pair): Promise<void>;
  readonly later?: ExchangeOptions;
}

/** What each connection is in the middle of when the receiver starts, and how that goes on. */
const states: readonly State[] = [
  { title: 'nothing' },
  { title: 'nothing, after an answer that took its time', earlier: { isSlow: true } },
  // Such a piece could be the end of a body: it is not taken for a head, but the next whole one is.
  { title: 'nothing, and the next head comes in pieces', later: { cut: [1, 20] } },
  { title: 'nothing after a slow answer, and the next head comes in pieces', earlier: { isSlow: true }, later: { cut: [1, 20] } },
  ...[responseLike, requestLike, 'abc', 'HTTP/1.1 5', '\r\n\r\n'].flatMap((body) => [
    {
      title: `a request body, the rest of which is ${JSON.stringify(body)}`,
      async before({ server, client }: Pair) {
        const head = `POST /cut HTTP/1.1\r\nHost: raw\r\nContent-Length: ${body.length + 1}\r\n\r\n-`;
        await client.send(head);
        await server.expect(head.length);
      },
      async behind({ server, client }: Pair) {
        await client.send(body);
        await server.expect(body.length);
        await server.send(responseLike);
        await client.expect(responseLike.length);
      },
    },
    {
      title: `a response body, the rest of which is ${JSON.stringify(body)}`,
      async before({ server, client }: Pair) {
        const head = 'GET /cut HTTP/1.1\r\nHost: raw\r\n\r\n';
        await client.send(head);
        await server.expect(head.length);
        const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length + 1}\r\n\r\n-`;
        await server.send(answer);
        await client.expect(answer.length);
      },
      async behind({ server, client }: Pair) {
        await server.send(body);
        await client.expect(body.length);
      },
    },
  ]),
];

/** Of the ends of a port's connections that have probed their peer while nothing moved, waits until each was answered. */
async function waitForProbes(port: number, probing: 'sport' | 'dport', count: number): Promise<void> {
  await waitFor(`${count} answers to keepalive probes`, () => {
    const text = execFileSync('ss', ['-tino', 'state', 'established', `( ${probing} = :${port} )`], { encoding: 'utf8' });
    // Milliseconds since: what the peer acknowledged long after we sent our last bytes answered a probe.
    const since = (name: string): number[] =>
      [...text.matchAll(new RegExp(`${name}:(\\d+)`, 'g'))].map((match) => Number(match[1]));
    const [sent, acknowledged] = [since('lastsnd'), since('lastack')];
    return sent.length === count && sent.every((ms, i) => ms - (acknowledged[i] ?? ms) > 500);
  });
}

/** Connections whose ends have probed each other while idle, and 48 exchanges on them. */
async function probeEachOther(
  t: TestContext,
  query: string,
): Promise<{ stopped: Stopped; truth: readonly Exchange[]; ends: number }> {
  // Node.js's client probes after a second, and so does the server if asked to.
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const connections = 4;
  const earlier = planRequests(newRun(), 16, 'plain').map((request) => ({
    ...request,
    target: `${request.target}&probe=1${query}`,
  }));
  await client.run(earlier, { connections });
  await waitForProbes(server.port, 'dport', connections);
  await waitForProbes(server.port, 'sport', connections);
  const receiver = await startReceiver(t, only([server.pid, client.pid]));
  const truth = await client.run(planRequests(newRun(), 48, 'plain'), { connections });
  return { stopped: await receiver.stop(), truth, ends: 2 * connections };
}

test('connections whose ends have probed each other while idle are picked up at their next exchange', { skip }, async (t) => {
  // More than a tick of the kernel's coarse clock lies between the last request and its answer.
  const { stopped, truth } = await probeEachOther(t, '&delay=25');
  assertTruth(stopped, truth);
});

test('an end that cannot tell whose the last word was, because all went too fast, misses one exchange', { skip }, async (t) => {
  const { stopped, truth, ends } = await probeEachOther(t, '');
  assertTruth(stopped, truth, { mayMiss: true });
  assert.ok(stopped.spans.length >= 2 * truth.length - ends, `${String(stopped.spans.length)} spans`);
});

for (const isProbed of [false, true]) {
  const title = 'a body under way that looks like a request is none, however fast all went before';
  test(isProbed ? `${title}, and however often the peer was probed` : title, { skip }, async (t) => {
    // Both ends in this process: the head goes out with the answer before it, within one tick of the kernel's coarse clock.
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    const connections: { near: net.Socket; far: net.Socket }[] = [];
    for (let i = 0; i < 20; i++) {
      const accepted = once(server, 'connection') as Promise<[net.Socket]>;
      const near = net.connect(port, '127.0.0.1').setNoDelay().setKeepAlive(isProbed, 1000);
      const [far] = await accepted;
      far.setNoDelay();
      connections.push({ near, far });
      t.after(() => near.destroy());
      const head = `POST /cut HTTP/1.1\r\nHost: raw\r\nContent-Length: ${requestLike.length}\r\n\r\n`;
      far.once('data', () => far.write(responseLike));
      near.write('GET /first HTTP/1.1\r\nHost: raw\r\n\r\n');
      await once(near, 'data');
      near.write(head);
      await once(far, 'data');
    }
    if (isProbed) await waitForProbes(port, 'dport', connections.length);
    const receiver = await startReceiver(t, only([process.pid]));
    for (const { near, far } of connections) {
      near.write(requestLike);
      await once(far, 'data');
      far.write(responseLike);
      await once(near, 'data');
    }
    const stopped = await receiver.stop();
    assertBooks(stopped);
    assert.equal(compareTruth([], stopped.spans, { silentPids: [process.pid] }), undefined);
  });
}

test('whatever begins after the ready message is seen, at every start', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  for (let i = 0; i < starts; i++) {
    const receiver = await startReceiver(t, only([process.pid, server.pid]));
    const requests = planRequests(newRun(), 16, 'bodiless');
    const truth = await Promise.all(requests.map((request) => askOnce(server, request)));
    const stopped = await receiver.stop();
    const difference = compareTruth(truth, stopped.spans);
    if (difference !== undefined) assert.fail(`start ${i}: ${difference}\nledger: ${JSON.stringify(stopped.ledger)}`);
    assertBooks(stopped);
  }
});

/** From this process, over a connection of its own. */
async function askOnce(server: EchoServer, request: PlannedRequest): Promise<Exchange> {
  const asked = http.request({
    agent: false,
    port: server.port,
    host: '127.0.0.1',
    method: request.method,
    path: request.target,
  });
  const answered = once(asked, 'response') as Promise<[http.IncomingMessage]>;
  asked.end();
  const [answer] = await answered;
  let responseBodySize = 0;
  for await (const chunk of answer) responseBodySize += (chunk as Buffer).length;
  const client = { pid: process.pid, service: undefined };
  return asExpected(
    request,
    { status: answer.statusCode, responseBodySize },
    'tcp',
    { pid: server.pid, service: server.service },
    client,
  );
}

test('connections are found again whatever they were in the middle of', { skip }, async (t) => {
  const pairs = await Promise.all(states.map(() => startRawPair(t)));
  for (const [i, state] of states.entries()) {
    await exchange(pairs[i]!, state.earlier);
    await state.before?.(pairs[i]!);
  }
  const receiver = await startReceiver(t, only(pairs.flatMap(({ server, client }) => [server.pid, client.pid])));
  const truths: Exchange[][] = [];
  for (const [i, state] of states.entries()) {
    const pair = pairs[i]!;
    await state.behind?.(pair);
    const truth: Exchange[] = [];
    for (let n = 0; n < 5; n++) truth.push(await exchange(pair, n === 0 ? state.later : undefined));
    truths.push(truth);
  }
  const stopped = await receiver.stop();
  assertBooks(stopped);
  for (const [i, { title, later }] of states.entries()) {
    await t.test(title, () => {
      const difference = differenceOf(stopped, truths[i]!, later === undefined ? truths[i]! : truths[i]!.slice(1));
      if (difference !== undefined) assert.fail(`${difference}\nledger: ${JSON.stringify(stopped.ledger)}`);
    });
  }
});
