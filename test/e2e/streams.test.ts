// Very long bodies cost little and are followed to their last byte; awkward heads and bodies are followed at all. What comes behind them
// on the same connection must be seen, exactly.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startProgram, type Program } from '../traffic/program.ts';
import { startRawClient, startRawServer, type RawPeer } from '../traffic/raw.ts';
import { newRun } from '../traffic/traffic.ts';
import type { Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, assertTruth, kernelTestSkip, startReceiver } from './harness.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const script = path.join(import.meta.dirname, 'stream_peer.py');
const gigabyte = 1024 ** 3;

interface Body {
  readonly shape: 'length' | 'uniform' | 'large' | 'tiny' | 'random' | 'extensions' | 'trailers';
  readonly size: number;
  /** Bytes a write; 0: vectors, one for each piece of the coding. */
  readonly write: number;
}

interface Planned {
  readonly method: string;
  readonly down?: Body;
  readonly up?: Body;
}

/** The request between small ones, over one connection. The ledger is of these two processes alone; returns its count of events. */
async function follow(t: TestContext, planned: Planned, mayMiss = false): Promise<number> {
  const server = startProgram(t, 'python3', [script, 'server']);
  const { port, pid: serverPid } = await server.next('listening');
  const client = startProgram(t, 'python3', [script, 'client', String(port)]);
  const { pid: clientPid } = await client.next('ready');
  const receiver = await startReceiver(t, { usm: { filter: { include: [{ pids: [serverPid, clientPid] }] } } });
  const small: Planned = { method: 'GET', down: { shape: 'length', size: 0, write: 65_536 } };
  const requests = [small, planned, small, small].map((request) => ({ ...request, id: newRun() }));
  client.send(JSON.stringify({ requests }));
  const truth: Exchange[] = [];
  for (const { id, method } of requests) {
    const line = await client.next('exchange', 60_000);
    assert.equal(line['id'], id);
    truth.push({
      id,
      method,
      target: String(line['target']),
      status: Number(line['status']),
      requestBodySize: Number(line['requestBodySize']),
      responseBodySize: Number(line['responseBodySize']),
      transport: 'tcp',
      server: { pid: Number(serverPid), service: 'stream_peer' },
      client: { pid: Number(clientPid), service: 'stream_peer' },
    });
  }
  const stopped = await receiver.stop();
  if (mayMiss) {
    assert.equal(compareTruth(truth, stopped.spans, { mayMiss }), undefined);
    assertBooks(stopped);
  } else {
    assertTruth(stopped, truth);
  }
  return stopped.ledger?.events?.received ?? 0;
}

/** Each write and each read of 64 KiB would be one, if it were copied: 32,768 for a gigabyte, twice that in records. */
const maxEvents = 2000;

for (const [title, request] of [
  ['1 GB with Content-Length', { method: 'GET', down: { shape: 'length', size: gigabyte, write: 65_536 } }],
  ['1 GB in chunks of 1000 bytes', { method: 'GET', down: { shape: 'uniform', size: gigabyte, write: 65_536 } }],
  ['1 GB in chunks of 1 MiB', { method: 'GET', down: { shape: 'large', size: gigabyte, write: 262_144 } }],
  ['1 GB in chunks of random sizes', { method: 'GET', down: { shape: 'random', size: gigabyte, write: 65_536 } }],
  ['1 GB in chunks, in vectors', { method: 'GET', down: { shape: 'uniform', size: gigabyte, write: 0 } }],
  ['1 GB in chunks with extensions', { method: 'GET', down: { shape: 'extensions', size: gigabyte, write: 65_536 } }],
  ['1 GB in chunks with trailers', { method: 'GET', down: { shape: 'trailers', size: gigabyte, write: 65_536 } }],
  ['a request body of 1 GB in chunks', { method: 'POST', up: { shape: 'random', size: gigabyte, write: 65_536 } }],
] as const satisfies [string, Planned][]) {
  test(`${title}: two spans, at little cost`, { skip }, async (t) => {
    const events = await follow(t, request);
    assert.ok(events <= maxEvents, `${events} events`);
  });
}

// Thousands of chunks in one I/O: following them all would cost the application more than the I/O. They are copied while the ring has
// room, and counted where it has not.
test('50 MB in chunks of 10 bytes: nothing wrong, and the books balance', { skip }, async (t) => {
  await follow(t, { method: 'GET', down: { shape: 'tiny', size: 50 * 1024 ** 2, write: 65_536 } }, true);
});

// Streams that begin while the ring is full: their heads are refused, and what comes then passes unseen, chunk-size lines included. When
// there is room again, it is in the middle of chunks.
test(
  'chunked streams through a ring that is full for a while: nothing wrong, all counted, the books balance',
  { skip },
  async (t) => {
    const pairs: { readonly client: Program; readonly clientPid: number; readonly serverPid: number }[] = [];
    for (let i = 0; i < 3; i++) {
      const server = startProgram(t, 'python3', [script, 'server']);
      const { port } = await server.next('listening');
      const client = startProgram(t, 'python3', [script, 'client', String(port)]);
      await client.next('ready');
      pairs.push({ client, clientPid: client.pid, serverPid: server.pid });
    }
    const filter = { include: [{ pids: pairs.flatMap(({ clientPid, serverPid }) => [clientPid, serverPid]) }] };
    const receiver = await startReceiver(t, { usm: { filter, capture: { ring_buffer_size: '1MiB' } } });
    const truth: Exchange[] = [];
    /** By pair: answers on its connection so far. */
    const answers = [0, 0, 0];
    const answered = (pair: number, count: number): Promise<boolean> =>
      waitFor(`${count} answers`, () => (answers[pair] ?? 0) >= count, 60_000);
    /** One connection of that pair; resolves with the last answer. */
    const ask = async (pair: number, planned: readonly Planned[]): Promise<void> => {
      answers[pair] = 0;
      const { client, clientPid, serverPid } = pairs[pair]!;
      client.send(JSON.stringify({ requests: planned.map((request) => ({ ...request, id: newRun() })) }));
      for (const { method } of planned) {
        const line = await client.next('exchange', 60_000);
        answers[pair] = (answers[pair] ?? 0) + 1;
        truth.push({
          id: String(line['id']),
          method,
          target: String(line['target']),
          status: Number(line['status']),
          requestBodySize: Number(line['requestBodySize']),
          responseBodySize: Number(line['responseBodySize']),
          transport: 'tcp',
          server: { pid: serverPid, service: 'stream_peer' },
          client: { pid: clientPid, service: 'stream_peer' },
        });
      }
      await client.next('done');
    };
    const get = (shape: Body['shape'], size: number, write: number): Planned => ({ method: 'GET', down: { shape, size, write } });
    const small = get('length', 0, 65_536);

    for (let round = 0; round < 3; round++) {
      // Their connections are told of before the ring is full, and busy until it is.
      const streams = [get('random', gigabyte / 2, 65_536), get('extensions', gigabyte / 2, 10_000)].map((stream, i) =>
        ask(i + 1, [small, get('length', 2 * gigabyte, 262_144), stream, small, small]),
      );
      await Promise.all([answered(1, 1), answered(2, 1)]);
      receiver.signal('SIGSTOP');
      await ask(0, [get('tiny', 4 * 1024 ** 2, 65_536), ...Array.from({ length: 1500 }, () => small)]);
      await Promise.all([answered(1, 2), answered(2, 2)]);
      await ask(0, [get('length', gigabyte / 16, 65_536)]); // while the chunked streams are under way
      receiver.signal('SIGCONT');
      await Promise.all(streams);
    }
    receiver.signal('SIGTERM');
    const stopped = await receiver.stop();
    const wrong = compareTruth(truth, stopped.spans, { mayMiss: true });
    assert.equal(wrong, undefined, `${wrong}\nledger: ${JSON.stringify(stopped.ledger)}`);
    assertBooks(stopped);
    assert.ok((stopped.ledger?.events?.dropped?.['ring_full'] ?? 0) > 0, JSON.stringify(stopped.ledger));
  },
);

interface Pair {
  readonly server: RawPeer;
  readonly client: RawPeer;
}

const bare = (count: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${count}\r\n\r\n`;

function requestHead(target: string, fields = ''): string {
  return `GET ${target} HTTP/1.1\r\nHost: raw\r\n${fields}\r\n`;
}

function exchangeOf({ server, client }: Pair, id: string, facts: Partial<Exchange> = {}): Exchange {
  return {
    id,
    method: 'GET',
    target: `/raw?id=${id}&`,
    status: 200,
    requestBodySize: 0,
    responseBodySize: 0,
    transport: 'tcp',
    server: { pid: server.pid, service: 'raw-peer' },
    client: { pid: client.pid, service: 'raw-peer' },
    ...facts,
  };
}

/** `text` in writes that end at `cuts`, each read before the next is made. */
async function pass(from: RawPeer, to: RawPeer, text: string, cuts: readonly number[] = []): Promise<void> {
  let at = 0;
  for (const cut of [...cuts, text.length]) {
    await from.send(text.slice(at, cut));
    await to.expect(cut - at);
    at = cut;
  }
}

const everyByte = (text: string): number[] => Array.from({ length: text.length - 1 }, (_, i) => i + 1);

/** A head of exactly this size. */
function padded(start: string, size: number): string {
  const room = size - start.length - 'X-Pad: \r\n\r\n'.length;
  return `${start}X-Pad: ${'p'.repeat(room)}\r\n\r\n`;
}

interface Case {
  readonly title: string;
  /** Returns the exchanges that must be reported. */
  readonly play: (pair: Pair) => Promise<Exchange[]>;
}

const maxHeadSize = 32 * 1024;

const cases: readonly Case[] = [
  {
    title: 'a write of 64 KiB with five chunk heads and the start of the next response',
    async play(pair) {
      const { server, client } = pair;
      const [first, second] = [newRun(), newRun()];
      await pass(client, server, requestHead(`/raw?id=${first}&`) + requestHead(`/raw?id=${second}&`));
      const sizes = [13_000, 13_000, 13_000, 13_000, 13_000];
      const chunks = sizes
        .map((size) => `${size.toString(16)}\r\n${requestHead('/decoy').repeat(size).slice(0, size)}\r\n`)
        .join('');
      const whole = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n${padded('HTTP/1.1 201 Created\r\nContent-Length: 4\r\n', 600)}body`;
      assert.ok(whole.length > 65_536);
      await pass(server, client, whole, [65_536]);
      return [
        exchangeOf(pair, first, { responseBodySize: 65_000 }),
        exchangeOf(pair, second, { status: 201, responseBodySize: 4 }),
      ];
    },
  },
  {
    title: 'heads in writes of one byte',
    async play(pair) {
      const id = newRun();
      const request = requestHead(`/raw?id=${id}&`, 'Content-Length: 3\r\n');
      await pass(pair.client, pair.server, `${request}abc`, everyByte(request));
      const response = `${bare(5)}hello`;
      await pass(pair.server, pair.client, response, everyByte(response));
      return [exchangeOf(pair, id, { requestBodySize: 3, responseBodySize: 5 })];
    },
  },
  {
    title: 'chunks in writes of one byte',
    async play(pair) {
      const id = newRun();
      await pass(pair.client, pair.server, requestHead(`/raw?id=${id}&`));
      const response = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n00\r\nA: b\r\n\r\n';
      await pass(pair.server, pair.client, response, everyByte(response));
      return [exchangeOf(pair, id, { responseBodySize: 5 })];
    },
  },
  ...[[], [1], [maxHeadSize - 1], [4096, 16_384]].map((cuts): Case => ({
    title: `heads of exactly 32 KiB, cut at ${JSON.stringify(cuts)}`,
    async play(pair) {
      const id = newRun();
      await pass(pair.client, pair.server, padded(`GET /raw?id=${id}& HTTP/1.1\r\nHost: raw\r\n`, maxHeadSize), cuts);
      await pass(pair.server, pair.client, `${padded('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', maxHeadSize)}hello`, cuts);
      return [exchangeOf(pair, id, { responseBodySize: 5 })];
    },
  })),
  {
    title: 'a request head of one byte more than 32 KiB is counted, not reported',
    async play(pair) {
      await pass(pair.client, pair.server, padded('GET /large HTTP/1.1\r\nHost: raw\r\n', maxHeadSize + 1));
      await pass(pair.server, pair.client, `${bare(5)}hello`);
      return [];
    },
  },
  {
    title: 'a response head of one byte more than 32 KiB is counted, not reported',
    async play(pair) {
      await pass(pair.client, pair.server, requestHead('/large'));
      await pass(pair.server, pair.client, `${padded('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', maxHeadSize + 1)}hello`);
      return [];
    },
  },
  ...[true, false].map((isOneWrite): Case => ({
    title: `a body that begins like chunks but has a Content-Length, ${isOneWrite ? 'in one write' : 'in a write of its own'}`,
    async play(pair) {
      const id = newRun();
      await pass(pair.client, pair.server, requestHead(`/raw?id=${id}&`));
      const body = `1f40\r\n${'x'.repeat(8000)}\r\n`.repeat(4) + '0\r\n\r\n';
      await pass(pair.server, pair.client, bare(body.length) + body, isOneWrite ? [] : [bare(body.length).length]);
      return [exchangeOf(pair, id, { responseBodySize: body.length })];
    },
  })),
  {
    title: 'a Content-Length body whose last chunk-like size leads beyond its end',
    async play(pair) {
      const id = newRun();
      await pass(pair.client, pair.server, requestHead(`/raw?id=${id}&`));
      const body = `ffff\r\n${'x'.repeat(8000)}`;
      await pass(pair.server, pair.client, bare(body.length) + body);
      return [exchangeOf(pair, id, { responseBodySize: body.length })];
    },
  },
];

test('awkward messages, and what comes behind them on the same connection', { skip }, async (t) => {
  const pairs: Pair[] = [];
  for (let i = 0; i < cases.length; i++) {
    const server = await startRawServer(t);
    pairs.push({ server, client: await startRawClient(t, `127.0.0.1:${server.port}`) });
  }
  const pids = pairs.flatMap(({ server, client }) => [server.pid, client.pid]);
  const receiver = await startReceiver(t, { usm: { filter: { include: [{ pids }] } } });
  const truths: { title: string; truth: Exchange[]; silentPids: number[] }[] = [];
  for (const [i, { title, play }] of cases.entries()) {
    const pair = pairs[i]!;
    await pair.client.open();
    await pair.server.open();
    const truth: Exchange[] = [];
    const plain = async (): Promise<void> => {
      const id = newRun();
      await pass(pair.client, pair.server, requestHead(`/raw?id=${id}&`));
      await pass(pair.server, pair.client, bare(0));
      truth.push(exchangeOf(pair, id));
    };
    await plain();
    truth.push(...(await play(pair)));
    await plain();
    await plain();
    truths.push({ title, truth, silentPids: [pair.server.pid, pair.client.pid] });
  }
  const stopped = await receiver.stop();
  assertBooks(stopped);
  for (const { title, truth, silentPids } of truths) {
    await t.test(title, () => {
      const difference = compareTruth(truth, stopped.spans, { silentPids });
      if (difference !== undefined) assert.fail(`${difference}\nledger: ${JSON.stringify(stopped.ledger)}`);
    });
  }
});
