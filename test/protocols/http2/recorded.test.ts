// What is read of real connections is what their ends know: with their bytes cut anywhere, with DATA payload left out, and with some of
// them lost, where less may be known but nothing wrong. The encoder is nghttp2's, in Node.js.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import http2 from 'node:http2';
import type { Side } from '../../../receiver/model/protocol.ts';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { Random } from '../../support/random.ts';
import { Framing } from './frames.ts';
import { Player } from './player.ts';
import { type Chunk, record, type Recording, type Talk, type Truth } from './recording.ts';

const { PADDING_STRATEGY_MAX } = http2.constants;
const talks: Readonly<Record<string, Talk>> = {
  'one after the other': { requests: 150, concurrent: 1 },
  'many at once': { requests: 300, concurrent: 50, hasResets: true },
  'no tables': { requests: 60, concurrent: 5, clientTable: 0, serverTable: 0 },
  'small tables': { requests: 150, concurrent: 10, clientTable: 200, serverTable: 120, encoderTable: 4096 },
  'large tables': { requests: 300, concurrent: 10, clientTable: 65_536, serverTable: 65_536, encoderTable: 65_536 },
  'tables that change': { requests: 300, concurrent: 10, encoderTable: 65_536, resizes: [20, 50, 90, 140, 200, 250] },
  padding: { requests: 100, concurrent: 10, padding: PADDING_STRATEGY_MAX },
  'long bodies': { requests: 30, concurrent: 5, bodyLimit: 200_000 },
};

const FIELDS: readonly (readonly [string, keyof Transaction['request']])[] = [
  [':method', 'method'],
  [':path', 'target'],
  [':scheme', 'scheme'],
  [':authority', 'host'],
  ['user-agent', 'userAgent'],
  ['traceparent', 'traceparent'],
  ['content-type', 'contentType'],
  ['x-forwarded-for', 'xForwardedFor'],
];

/** `isExact`: all is known. Else what is told is right, or not told. */
function check(transaction: Transaction, truth: Truth, isExact: boolean, isPadded: boolean): void {
  for (const [name, property] of FIELDS) {
    const value = transaction.request[property];
    if (isExact || value !== undefined) assert.equal(value, truth.fields[name], `${name} of ${truth.fields[':path'] ?? ''}`);
  }
  assert.equal(transaction.request.version, '2');
  assert.equal(transaction.request.protocol, undefined);
  assert.equal(transaction.rpc, undefined);
  if (transaction.reset !== undefined) {
    assert.equal(transaction.reset, truth.reset);
    return;
  }
  assert.equal(transaction.abort, undefined);
  assert.equal(truth.reset, undefined, `${truth.fields[':path'] ?? ''} was reset`);
  assert.equal(transaction.response?.statusCode, truth.status);
  const sizes = [
    [transaction.request.bodySize, truth.sent],
    [transaction.response.bodySize, truth.got],
  ];
  for (const [told, real] of sizes) if ((isExact && !isPadded) || told !== undefined) assert.equal(told, real);
}

function checkAll(player: Player, { truths }: Recording, isPadded = false): void {
  assert.equal(player.recorder.gaveUp, undefined);
  assert.equal(player.imbalance(), undefined);
  const paths = new Set(player.transactions.map(({ request }) => request.target));
  assert.equal(paths.size, player.transactions.length, 'each once');
  assert.deepEqual([...truths.keys()].filter((path) => !paths.has(path)).slice(0, 3), []);
  for (const transaction of player.transactions) {
    const truth = truths.get(transaction.request.target);
    assert.ok(truth);
    check(transaction, truth, true, isPadded);
  }
}

function framingsOf(chunks: readonly Chunk[]): Readonly<Record<Side, Framing>> {
  const all = (side: Side): Buffer => Buffer.concat(chunks.filter((chunk) => chunk.side === side).map(({ bytes }) => bytes));
  return { request: new Framing(all('request'), 24), response: new Framing(all('response'), 0) };
}

/** The same bytes in other pieces. */
function recut(chunks: readonly Chunk[], sizeOf: () => number): Chunk[] {
  return chunks.flatMap(({ side, bytes }) => {
    const pieces: Chunk[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = sizeOf();
      pieces.push({ side, bytes: bytes.subarray(at, at + size) });
      at += size;
    }
    return pieces;
  });
}

for (const [name, talk] of Object.entries(talks)) {
  describe(name, () => {
    let recording: Recording;
    const isPadded = talk.padding !== undefined;
    const isLong = talk.bodyLimit !== undefined;
    const sizes = isLong ? [100, 1000] : [1, 8, 10, 100];
    const limits = isLong ? [300, 100_000] : [1, 300, 100_000];
    before(async () => {
      recording = await record(new Random(20_251_121), talk);
      assert.equal(recording.truths.size, talk.requests);
    });

    test('every stream is told as its ends know it', () => {
      const player = new Player();
      for (const { side, bytes } of recording.chunks) player.say(side, bytes);
      checkAll(player, recording);
    });

    test('wherever the bytes are cut', () => {
      for (const size of sizes) {
        const player = new Player({ role: size % 2 === 0 ? 'client' : 'server' });
        for (const { side, bytes } of recut(recording.chunks, () => size)) player.say(side, bytes);
        checkAll(player, recording);
      }
    });

    test('without the payload of DATA frames', () => {
      const framings = framingsOf(recording.chunks);
      const random = new Random(7);
      for (const limit of limits) {
        const player = new Player();
        for (const { side, bytes } of recut(recording.chunks, () => random.below(limit) + 1)) {
          const from = player.position[side];
          for (const part of framings[side].parts(from, from + bytes.length)) player.framed(side, part);
        }
        checkAll(player, recording, isPadded);
      }
    });

    test('with bytes lost in one place, nothing is told that is not so', () => {
      const framings = framingsOf(recording.chunks);
      const random = new Random(11);
      const found = { framed: 0, plain: 0 };
      const rounds = 40;
      for (let round = 0; round < rounds; round++) {
        const pieces = recut(recording.chunks, () => random.below(1500) + 1);
        const lost = random.below(pieces.length);
        const isFramed = round % 2 === 0;
        const player = new Player();
        for (const [index, { side, bytes }] of pieces.entries()) {
          const from = player.position[side];
          if (index === lost) player.missing(side, bytes.length);
          else if (isFramed) for (const part of framings[side].parts(from, from + bytes.length)) player.framed(side, part);
          else player.say(side, bytes);
        }
        assert.equal(player.recorder.gaveUp, undefined);
        player.close();
        assert.equal(player.imbalance(), undefined);
        found[isFramed ? 'framed' : 'plain'] += player.transactions.length;
        for (const transaction of player.transactions) {
          const truth = recording.truths.get(transaction.request.target);
          assert.ok(truth, `nobody asked for ${transaction.request.target}`);
          check(transaction, truth, false, isPadded);
        }
      }
      // With its frames followed a connection heals.
      assert.ok(found.framed >= (recording.truths.size * rounds) / 4, `${String(found.framed)} found`);
    });
  });
}
