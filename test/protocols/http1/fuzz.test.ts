// Bytes can be anything: nothing throws, every byte and every transaction is accounted for, memory is bounded.
// FUZZ_INPUTS and FUZZ_SEED choose how many inputs and which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConversationSink, ConversationStart, LossReason, Side } from '../../../receiver/model/protocol.ts';
import type { Abort, Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';
import { Random } from '../../support/random.ts';
import { connectionOf, readScripts, type Step } from './replay.ts';

const inputs = Number(process.env['FUZZ_INPUTS'] ?? 1_000_000);
const seed = Number(process.env['FUZZ_SEED'] ?? 20250701);

const scripts = readScripts(new URL('conversations/', import.meta.url)).filter(({ steps }) =>
  steps.every((step) => step.kind !== 'data' || step.bytes.length < 2000),
);
const tokens = [
  'GET / HTTP/1.1\r\n',
  'POST /x HTTP/1.0\r\n',
  'CONNECT a:1 HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 \r\n',
  'HTTP/1.0 304 \n',
  'Content-Length: 5\r\n',
  'Content-Length: 99999999999\r\n',
  'Content-Length: -1\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: x\r\n',
  'Connection: upgrade\r\nUpgrade: x\r\n',
  'Host: a\r\n',
  ' folded\r\n',
  'traceparent: 1\r\n',
  '\r\n',
  '\n',
  '5\r\nhello\r\n',
  'ffff\r\n',
  '0\r\n\r\n',
  'x'.repeat(300),
  '\0',
].map((token) => Buffer.from(token));
const sides: readonly Side[] = ['request', 'response'];
const starts: readonly ConversationStart[] = ['beginning', 'beginning', 'beginning', 'boundary', 'middle'];
const causes: readonly Abort[] = ['connection_reset', 'connection_closed', 'process_exited'];
const reason: LossReason = 'ring_full';
const process1 = { pid: 1, startTime: 1 };

class CountingSink implements ConversationSink {
  accounted = 0;
  seenCount = 0;
  settledCount = 0;
  isGivenUp = false;
  last: Transaction | undefined;
  transaction(transaction: Transaction): void {
    this.settledCount++;
    this.last = transaction;
    if (transaction.end < transaction.start) throw new Error('ends before it starts');
  }
  requested(): void {}
  seen(): void {
    this.seenCount++;
  }
  dropped(): void {
    this.settledCount++;
  }
  parsed(count: number): void {
    this.#account(count);
  }
  skipped(count: number): void {
    this.#account(count);
  }
  lost(_reason: string, count: number): void {
    this.#account(count);
  }
  count(): void {
    // Events are no bytes.
  }
  stepOver(_side: Side, position: number): void {
    if (!Number.isSafeInteger(position)) throw new Error('a position that is none');
  }
  stepOverChunks(_side: Side, position: number): void {
    if (!Number.isSafeInteger(position)) throw new Error('a position that is none');
  }
  followFrames(): void {
    throw new Error('there are no frames');
  }
  handOver(): undefined {
    return undefined;
  }
  giveUp(): void {
    if (this.isGivenUp) throw new Error('gave up twice');
    this.isGivenUp = true;
  }
  #account(count: number): void {
    if (!(count > 0)) throw new Error(`${String(count)} bytes`);
    this.accounted += count;
  }
}

function someBytes(random: Random): Uint8Array {
  const kind = random.below(4);
  if (kind === 0) return Uint8Array.from({ length: random.below(40) }, () => random.below(256));
  const parts: Uint8Array[] = [];
  for (let count = random.below(6) + 1; count > 0; count--) parts.push(random.oneOf(tokens));
  return mutated(Buffer.concat(parts), kind === 1 ? random.below(3) : 0, random);
}

function mutated(bytes: Uint8Array, changes: number, random: Random): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let i = 0; i < changes && result.length > 0; i++) {
    const at = random.below(result.length);
    const kind = random.below(3);
    if (kind === 0) result[at] = random.below(256);
    else if (kind === 1) result = Uint8Array.from([...result.subarray(0, at), ...result.subarray(at + random.below(5))]);
    else result = Uint8Array.from([...result.subarray(0, at), ...random.oneOf(tokens), ...result.subarray(at)]);
  }
  return result;
}

/** A conversation of the files with some steps changed, doubled, dropped or swapped, or one out of nowhere. */
function someSteps(random: Random): Step[] {
  if (random.below(3) === 0) {
    return Array.from({ length: random.below(8) + 1 }, (_, index) => {
      return {
        kind: 'data',
        side: random.oneOf(sides),
        bytes: someBytes(random),
        isIoStart: random.below(4) > 0,
        time: index,
        pid: 1,
      };
    });
  }
  const steps = [...random.oneOf(scripts).steps];
  for (let changes = random.below(3) + 1; changes > 0; changes--) {
    const at = random.below(steps.length);
    const step = steps[at] as Step;
    const kind = random.below(5);
    if (kind === 0) steps.splice(at, 1, step, step);
    else if (kind === 1 && steps.length > 1) steps.splice(at, 1);
    else if (kind === 2) steps.splice(at, 0, random.oneOf(steps));
    else if (step.kind === 'data') steps[at] = { ...step, bytes: mutated(step.bytes, 2, random) };
  }
  return steps;
}

test(`${String(inputs)} conversations of seed ${String(seed)}: no throw, balanced books`, () => {
  const random = new Random(seed);
  const http1 = createHttp1({ maxHeadSize: 256, maxPipelined: 8 });
  let transactions = 0;
  for (let input = 0; input < inputs; input++) {
    const inputSeed = random.below(2 ** 31);
    const failed = runOne(http1, new Random(inputSeed), (count) => {
      transactions += count;
    });
    if (failed !== undefined) assert.fail(`input ${String(input)} (seed ${String(inputSeed)}): ${failed}`);
  }
  assert.ok(
    transactions > inputs / 10,
    `only ${String(transactions)} transactions: the inputs are too far from HTTP to test much`,
  );
});

function runOne(
  http1: ReturnType<typeof createHttp1>,
  random: Random,
  onTransactions: (count: number) => void,
): string | undefined {
  const sink = new CountingSink();
  const conversation = http1.open(connectionOf(random.oneOf(['client', 'server'])), random.oneOf(starts), sink);
  const position = { request: random.below(1000), response: random.below(1000) };
  const steps = someSteps(random);
  let given = 0;
  let time = 0;
  try {
    for (const step of steps) {
      time++;
      if (step.kind === 'end') conversation.end(step.side, time);
      else if (step.kind === 'settle') conversation.settle?.(time);
      else if (step.kind === 'close' && random.below(4) > 0) conversation.close(random.oneOf(causes), time);
      else if (step.kind === 'data' || step.kind === 'missing') {
        const size = step.kind === 'data' ? step.bytes.length : step.size;
        const from = position[step.side];
        const other =
          position[step.side === 'request' ? 'response' : 'request'] + (random.below(10) === 0 ? random.below(100) : 0);
        position[step.side] += size;
        given += size;
        if (step.kind === 'missing' || random.below(20) === 0) {
          conversation.missing(step.side, from, from + size, reason, time, process1);
        } else {
          const cut = random.below(4) === 0 ? random.below(size + 1) : size;
          conversation.data(step.side, step.bytes, 0, cut, from, step.isIoStart, other, time, process1);
          conversation.data(step.side, step.bytes, cut, size, from + cut, cut === 0 && step.isIoStart, other, time, process1);
        }
      } else if (step.kind === 'walked') {
        const from = position[step.side];
        const size = random.below(2) === 0 ? step.size : random.below(step.size);
        position[step.side] += size;
        given += size;
        conversation.chunksWalked(
          step.side,
          from,
          from + size,
          random.below(2) === 0 ? step.body : random.below(200),
          step.remaining,
          time,
        );
      }
    }
    if (random.below(2) === 0) conversation.close(random.oneOf(causes), time + 1);
    conversation.abandon();
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  if (sink.accounted !== given) return `${String(sink.accounted)} of ${String(given)} bytes accounted for`;
  if (sink.seenCount !== sink.settledCount) return `${String(sink.seenCount)} seen, ${String(sink.settledCount)} settled`;
  if (conversation.openTransactions() !== 0) return 'transactions open after the end';
  onTransactions(sink.settledCount);
  return undefined;
}

test('endless heads, lines and trailers keep no more than the limit', () => {
  const endless: readonly (readonly [Side, string, string])[] = [
    ['request', 'GET /', 'x'.repeat(1000)],
    ['request', 'GET / HTTP/1.1\r\n', 'X: y\r\n'.repeat(200)],
    ['request', '', '\r\n'.repeat(500)],
    ['response', 'HTTP/1.1 200 ', 'x'.repeat(1000)],
    ['response', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '0'.repeat(1000)],
    ['response', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;', 'x'.repeat(1000)],
    ['response', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'X: y\r\n'.repeat(200)],
  ];
  const http1 = createHttp1();
  for (const [side, begin, more] of endless) {
    const sink = new CountingSink();
    const conversation = http1.open(connectionOf('server'), 'beginning', sink);
    const chunk = Buffer.from(more);
    let given = 0;
    const position = { request: 0, response: 0 };
    const say = (which: Side, bytes: Uint8Array): void => {
      const other = position[which === 'request' ? 'response' : 'request'];
      conversation.data(which, bytes, 0, bytes.length, position[which], true, other, given, process1);
      position[which] += bytes.length;
      given += bytes.length;
    };
    if (side === 'response') say('request', Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    say(side, Buffer.from(begin));
    for (let i = 0; i < 1000; i++) {
      say(side, chunk);
      // What is neither accounted for nor over the limit is what it keeps.
      assert.ok(given - sink.accounted <= 32 * 1024, begin);
    }
    conversation.close('connection_closed', given);
    assert.equal(sink.accounted, given, begin);
  }
});
