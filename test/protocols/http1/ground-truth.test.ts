// Random traffic whose truth is known: each request names its number, each response's status and size follow from it. Cut into random
// chunks nothing is missing and nothing wrong; with chunks lost, what comes out is still never wrong. TRUTH_RUNS and TRUTH_SEED choose.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side } from '../../../receiver/model/protocol.ts';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';
import { Random } from '../../support/random.ts';
import { connectionOf, Recorder } from './replay.ts';

const runs = Number(process.env['TRUTH_RUNS'] ?? 4000);
const seed = Number(process.env['TRUTH_SEED'] ?? 7);
const EXCHANGES = 24;
const http1 = createHttp1();

interface Io {
  readonly side: Side;
  readonly bytes: Buffer;
}

const statusOf = (id: number): number => 201 + ((id * 7) % 90);
const requestSizeOf = (id: number): number => (id % 3 === 0 ? (id * 13) % 200 : 0);
const responseSizeOf = (id: number): number => (isHead(id) || statusOf(id) === 204 ? 0 : (id * 31) % 300);
const isHead = (id: number): boolean => id % 11 === 5;

/** Bodies hold what looks like messages, where the case allows it. */
function bodyOf(size: number, isNasty: boolean): string {
  return (isNasty ? 'GET /evil HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n' : 'payload ').repeat(size / 8 + 1).slice(0, size);
}

function chunked(body: string, random: Random): string {
  let text = '';
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, random.below(60) + 1);
    text += `${size.toString(16)}${random.below(5) === 0 ? ';x=y' : ''}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${text}0\r\n${random.below(5) === 0 ? 'X: y\r\n' : ''}\r\n`;
}

function message(start: string, body: string, mayChunk: boolean, announced: number, random: Random): Buffer {
  if (mayChunk && random.below(2) === 0) return Buffer.from(`${start}Transfer-Encoding: chunked\r\n\r\n${chunked(body, random)}`);
  return Buffer.from(`${start}Content-Length: ${String(announced)}\r\n\r\n${body}`);
}

function requestOf(id: number, isNasty: boolean, random: Random): Buffer {
  const method = isHead(id) ? 'HEAD' : requestSizeOf(id) > 0 ? 'POST' : 'GET';
  const start = `${method} /${String(id)} HTTP/1.1\r\nHost: a\r\n`;
  if (requestSizeOf(id) === 0) return Buffer.from(`${start}\r\n`);
  return message(start, bodyOf(requestSizeOf(id), isNasty), true, requestSizeOf(id), random);
}

function responseOf(id: number, isNasty: boolean, random: Random): Buffer {
  const interim = random.below(6) === 0 ? 'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n' : '';
  const start = `${interim}HTTP/1.1 ${String(statusOf(id))} Status\r\nServer: b\r\n`;
  if (statusOf(id) === 204) return Buffer.from(`${start}\r\n`);
  if (isHead(id)) return Buffer.from(`${start}Content-Length: 77\r\n\r\n`);
  return message(start, bodyOf(responseSizeOf(id), isNasty), true, responseSizeOf(id), random);
}

/** Turns of up to `depth` requests, each answered before the next turn; each side's bytes of a turn in one to three I/Os. */
function traffic(depth: number, isNasty: boolean, random: Random): Io[] {
  const all: Io[] = [];
  for (let id = 1; id <= EXCHANGES;) {
    const ids = Array.from({ length: Math.min(random.below(depth) + 1, EXCHANGES - id + 1) }, (_, index) => id + index);
    id += ids.length;
    all.push(...cut('request', Buffer.concat(ids.map((one) => requestOf(one, isNasty, random))), random));
    if (random.below(2) === 0)
      all.push(...cut('response', Buffer.concat(ids.map((one) => responseOf(one, isNasty, random))), random));
    else for (const one of ids) all.push(...cut('response', responseOf(one, isNasty, random), random));
  }
  return all;
}

/** A client that keeps up to `depth` requests unanswered and sends the next ones whenever some answers have come. */
function slidingTraffic(depth: number, random: Random): Io[] {
  const all: Io[] = [];
  for (let asked = 0, answered = 0; answered < EXCHANGES;) {
    const room = Math.min(depth - (asked - answered), EXCHANGES - asked);
    const ids = Array.from({ length: room }, (_, index) => asked + index + 1);
    if (room > 0) all.push(...cut('request', Buffer.concat(ids.map((one) => requestOf(one, false, random))), random));
    asked += room;
    const answers = Array.from({ length: random.below(asked - answered) + 1 }, (_, index) => answered + index + 1);
    all.push(...cut('response', Buffer.concat(answers.map((one) => responseOf(one, false, random))), random));
    answered += answers.length;
  }
  return all;
}

function cut(side: Side, bytes: Buffer, random: Random): Io[] {
  const ios: Io[] = [];
  let at = 0;
  for (let parts = random.below(3); parts > 0 && at < bytes.length - 1; parts--) {
    const size = random.below(bytes.length - at - 1) + 1;
    ios.push({ side, bytes: bytes.subarray(at, at + size) });
    at += size;
  }
  ios.push({ side, bytes: bytes.subarray(at) });
  return ios;
}

function play(ios: readonly Io[], lossIn: number, random: Random): Recorder {
  const recorder = new Recorder();
  const conversation = http1.open(connectionOf('server'), 'beginning', recorder);
  const position = { request: 0, response: 0 };
  const owner = { pid: 1, startTime: 1 };
  let given = 0;
  let time = 0;
  for (const { side, bytes } of ios) {
    const from = position[side];
    const end = from + bytes.length;
    const other = position[side === 'request' ? 'response' : 'request'];
    position[side] = end;
    given += bytes.length;
    time++;
    if (lossIn > 0 && random.below(lossIn) === 0) conversation.missing(side, from, end, 'ring_full', time, owner);
    else conversation.data(side, bytes, 0, bytes.length, from, true, other, time, owner);
  }
  conversation.close('connection_closed', time + 1);
  assert.equal(recorder.accounted, given);
  assert.equal(recorder.seenCount, recorder.transactions.length + recorder.droppedCount);
  return recorder;
}

function assertTrue(transaction: Transaction, context: string): number {
  const id = Number(transaction.request.target.slice(1));
  const { request, response, abort } = transaction;
  const isKnown = Number.isInteger(id) && id >= 1 && id <= EXCHANGES;
  assert.ok(isKnown, `${context}: no such request: ${request.target}`);
  if (request.bodySize !== undefined)
    assert.equal(request.bodySize, requestSizeOf(id), `${context}: request size of ${String(id)}`);
  if (response !== undefined) assert.equal(response.statusCode, statusOf(id), `${context}: status of ${String(id)}`);
  if (response?.bodySize !== undefined) assert.equal(response.bodySize, responseSizeOf(id), `${context}: size of ${String(id)}`);
  if (abort === undefined) assert.notEqual(response, undefined);
  return id;
}

for (const depth of [1, 4]) {
  test(`${String(runs)} connections, up to ${String(depth)} pipelined: all transactions, in order, none wrong`, () => {
    for (let run = 0; run < runs; run++) {
      const random = new Random(seed * 7919 + run * 104729 + depth);
      const recorder = play(traffic(depth, true, random), 0, random);
      const ids = recorder.transactions.map((transaction) => assertTrue(transaction, `run ${String(run)}`));
      assert.deepEqual(
        ids,
        Array.from({ length: EXCHANGES }, (_, index) => index + 1),
      );
    }
  });

  test(`${String(runs)} lossy connections, up to ${String(depth)} pipelined: none wrong, and found again where they wait for each answer`, () => {
    let found = 0;
    for (let run = 0; run < runs; run++) {
      const random = new Random(seed * 6007 + run * 15485863 + depth);
      const recorder = play(traffic(depth, false, random), 20, random);
      const ids = recorder.transactions.map((transaction) => assertTrue(transaction, `run ${String(run)}`));
      assert.equal(new Set(ids).size, ids.length, 'one request, one transaction');
      found += ids.length;
    }
    const share = found / (runs * EXCHANGES);
    assert.ok(share > (depth === 1 ? 0.5 : 0.2), `found only ${String(Math.round(share * 100))} %`);
  });
}

test(`${String(runs)} connections whose client never waits for all its answers: all transactions, in order, none wrong`, () => {
  for (let run = 0; run < runs; run++) {
    const random = new Random(seed * 3571 + run * 32452843);
    const recorder = play(slidingTraffic(4, random), 0, random);
    const ids = recorder.transactions.map((transaction) => assertTrue(transaction, `run ${String(run)}`));
    assert.deepEqual(
      ids,
      Array.from({ length: EXCHANGES }, (_, index) => index + 1),
    );
  }
});

test(`${String(runs)} lossy connections whose client never waits for all its answers: none wrong`, () => {
  let found = 0;
  for (let run = 0; run < runs; run++) {
    const random = new Random(seed * 9973 + run * 49979687);
    const recorder = play(slidingTraffic(4, random), 20, random);
    for (const transaction of recorder.transactions) assertTrue(transaction, `run ${String(run)}`);
    found += recorder.transactions.length;
  }
  assert.ok(found > runs);
});
