// Exchanges that end early, that never begin, and streams that stop being HTTP (contract: Incomplete exchanges).
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startRawClient, startRawPair, type RawPeer } from '../traffic/raw.ts';
import { newRun, startServer } from '../traffic/traffic.ts';
import type { Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

interface Pair {
  readonly server: RawPeer;
  readonly client: RawPeer;
}

/** At the end that resets: whether its own reset is called that or a close is not for the contract to say. */
const byItself = ['connection_reset', 'connection_closed'];

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly requestBody?: string;
  readonly status?: number;
  /** Undefined: not compared. */
  readonly requestBodySize?: number;
  readonly responseBodySize?: number;
  readonly server?: readonly string[];
  readonly client?: readonly string[];
  /** No exchange at all. */
  readonly isSilent?: boolean;
  play(pair: Pair, head: string): Promise<void>;
}

const answer = (status: number, length: number, body = ''): string =>
  `HTTP/1.1 ${status} Status\r\nContent-Length: ${length}\r\n\r\n${body}`;

/** The request goes over, whole. */
async function ask({ server, client }: Pair, head: string): Promise<void> {
  await client.send(head);
  await server.expect(head.length);
}

const cases: readonly Case[] = [
  {
    name: 'the server resets instead of answering',
    server: byItself,
    client: ['connection_reset'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.reset();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'the server closes instead of answering',
    server: ['connection_closed'],
    client: ['connection_closed'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.close();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'the server process ends instead of answering',
    server: ['process_exited'],
    client: ['connection_closed', 'connection_reset'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.exit();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'the client resets while it waits',
    server: ['connection_reset'],
    client: byItself,
    async play(pair, head) {
      await ask(pair, head);
      await pair.client.reset();
      await pair.server.expectEnd();
      await pair.server.close();
    },
  },
  {
    name: 'the client process ends while it waits',
    server: ['connection_closed', 'connection_reset'],
    client: ['process_exited'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.client.exit();
      await pair.server.expectEnd();
      await pair.server.close();
    },
  },
  {
    name: 'the server resets in the middle of its answer',
    status: 200,
    server: byItself,
    client: ['connection_reset'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.send(answer(200, 1000, 'half'));
      await pair.client.expect('half');
      await pair.server.reset();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'the server process ends in the middle of its answer',
    status: 200,
    server: ['process_exited'],
    client: ['connection_closed'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.send(answer(200, 1000, 'half'));
      await pair.client.expect('half');
      await pair.server.exit();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'a 503 that is cut short stays a 503',
    status: 503,
    server: ['503'],
    client: ['503'],
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.send(answer(503, 1000, 'half'));
      await pair.client.expect('half');
      await pair.server.close();
      await pair.client.expectEnd();
      await pair.client.close();
    },
  },
  {
    name: 'the client resets in the middle of the answer',
    status: 200,
    server: ['connection_reset'],
    client: byItself,
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.send(answer(200, 1000, 'half'));
      await pair.client.expect('half');
      await pair.client.reset();
      await pair.server.expectEnd();
      await pair.server.close();
    },
  },
  {
    name: 'a client that shuts its half down still gets its whole answer',
    status: 200,
    requestBodySize: 0,
    responseBodySize: 5,
    async play(pair, head) {
      await ask(pair, head);
      await pair.client.end();
      await pair.server.expectEnd();
      await pair.server.send(answer(200, 5, 'hello'));
      await pair.client.expect('hello');
      await pair.server.end();
      await pair.client.expectEnd();
      await pair.client.close();
      await pair.server.close();
    },
  },
  {
    name: 'an early 413 is complete when it is, although the body still comes',
    method: 'POST',
    requestBody: 'Content-Length: 1000\r\n',
    status: 413,
    responseBodySize: 3,
    async play(pair, head) {
      await ask(pair, `${head}some of it`);
      await pair.server.send(answer(413, 3, 'big'));
      await pair.client.expect('big');
      await pair.client.send('more of it');
      await pair.server.expect('more of it');
      await pair.server.end();
      await pair.client.expectEnd();
      await pair.client.close();
      await pair.server.close();
    },
  },
  {
    name: 'a body until close ends with the close',
    status: 200,
    requestBodySize: 0,
    responseBodySize: 11,
    async play(pair, head) {
      await ask(pair, head);
      await pair.server.send('HTTP/1.0 200 OK\r\n\r\nfirst');
      await pair.client.expect('first');
      await pair.server.send('second');
      await pair.client.expect('second');
      await pair.server.end();
      await pair.client.expectEnd();
      await pair.client.close();
      await pair.server.close();
    },
  },
  {
    name: 'a 408 on an idle connection answers nothing',
    isSilent: true,
    async play({ server, client }) {
      await server.send(answer(408, 0));
      await client.expect('\r\n\r\n');
      await server.end();
      await client.expectEnd();
      await client.close();
      await server.close();
    },
  },
  {
    name: 'half a request head is no exchange',
    isSilent: true,
    async play({ server, client }, head) {
      await client.send(head.slice(0, -2));
      await server.expect(head.length - 2);
      await client.reset();
      await server.expectEnd();
      await server.close();
    },
  },
];

test('exchanges that are cut short, and what is none', { skip }, async (t: TestContext) => {
  const receiver = await startReceiver(t);
  const played: { name: string; truth: Exchange[]; pids: number[] }[] = [];
  for (const one of cases) {
    const pair = await startRawPair(t);
    const id = newRun();
    const { method = 'GET', requestBody = '' } = one;
    const target = `/cut?id=${id}&x=1`;
    await one.play(pair, `${method} ${target} HTTP/1.1\r\nHost: cut.test\r\n${requestBody}\r\n`);
    const party = (peer: RawPeer, abort: readonly string[] | undefined) => ({
      pid: peer.pid,
      service: peer.service,
      ...(abort ? { abort } : {}),
    });
    const exchange: Exchange = {
      id,
      method,
      target,
      status: one.status,
      requestBodySize: one.requestBodySize,
      responseBodySize: one.responseBodySize,
      transport: 'tcp',
      server: party(pair.server, one.server),
      client: party(pair.client, one.client),
    };
    played.push({ name: one.name, truth: one.isSilent ? [] : [exchange], pids: [pair.server.pid, pair.client.pid] });
  }
  const stopped = await receiver.stop();
  for (const { name, truth, pids } of played) {
    await t.test(name, () => {
      const difference = compareTruth(truth, stopped.spans, { silentPids: pids });
      if (difference !== undefined) assert.fail(difference);
    });
  }
  assertBooks(stopped);
});

test('an upgrade is one exchange, and what follows it none', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node');
  const client = await startRawClient(t, server.target);
  const id = newRun();
  const target = `/socket?id=${id}&x=1`;
  await client.open();
  await client.send(
    `GET ${target} HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  await client.expect('\r\n\r\n');
  const inside = 'GET /inside?id=no HTTP/1.1\r\nHost: in.test\r\n\r\n';
  for (let i = 0; i < 3; i++) {
    await client.send(inside);
    await client.expect(inside.length);
  }
  await client.close();
  const stopped = await receiver.stop();
  const truth: Exchange = {
    ...{ id, method: 'GET', target, status: 101, requestBodySize: 0, responseBodySize: 0, transport: 'tcp' },
    server: { pid: server.pid, service: 'echo-server' },
    client: { pid: client.pid, service: 'raw-peer' },
  };
  assert.equal(compareTruth([truth], stopped.spans), undefined);
  assertBooks(stopped);
});

test('CONNECT is one exchange without a URL, and its tunnel none', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node');
  const client = await startRawClient(t, server.target);
  const target = `${newRun()}.test:8443`;
  await client.open();
  await client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await client.expect('\r\n\r\n');
  const inside = 'GET /inside?id=no HTTP/1.1\r\nHost: in.test\r\n\r\n';
  for (let i = 0; i < 3; i++) {
    await client.send(inside);
    await client.expect(inside.length);
  }
  await client.close();
  const stopped = await receiver.stop();
  const truth: Exchange = {
    ...{ id: target, method: 'CONNECT', target, status: 200, requestBodySize: 0, responseBodySize: 0, transport: 'tcp' },
    server: { pid: server.pid, service: 'echo-server' },
    client: { pid: client.pid, service: 'raw-peer' },
  };
  assert.equal(compareTruth([truth], stopped.spans), undefined);
  for (const span of stopped.spans.filter((span) => span.name === 'CONNECT')) {
    assert.deepEqual(
      Object.keys(span.attributes).filter((key) => key.startsWith('url.')),
      [],
    );
  }
  assertBooks(stopped);
});
