// Bytes can be anything: nothing throws, every byte and every transaction is accounted for, memory is bounded.
// FUZZ_INPUTS and FUZZ_SEED choose how many inputs and which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConversationSink, ConversationStart, LossReason, Protocol, Side } from '../../../receiver/model/protocol.ts';
import type { Abort, Transaction } from '../../../receiver/model/transaction.ts';
import { HeaderList } from '../../../receiver/protocols/http2/header-list.ts';
import { HeaderTable } from '../../../receiver/protocols/http2/header-table.ts';
import { BlockDecoder } from '../../../receiver/protocols/http2/hpack.ts';
import { createHttp2 } from '../../../receiver/protocols/http2/protocol.ts';
import { Random } from '../../support/random.ts';
import { connectionOf } from '../http1/replay.ts';
import * as h2 from './frames.ts';

const inputs = Number(process.env['FUZZ_INPUTS'] ?? 1_000_000);
const seed = Number(process.env['FUZZ_SEED'] ?? 20251121);

const { TYPES } = h2;
const whole = h2.END_HEADERS | h2.END_STREAM;
const sides: readonly Side[] = ['request', 'response'];
const starts: readonly ConversationStart[] = ['beginning', 'beginning', 'beginning', 'boundary', 'middle'];
const causes: readonly Abort[] = ['connection_reset', 'connection_closed', 'process_exited'];
const reasons: readonly LossReason[] = ['ring_full', 'capture_window'];
const process1 = { pid: 1, startTime: 1 };

const blocks: readonly Buffer[] = [
  h2.literals(h2.GET),
  h2.literals({ ...h2.GET, ':method': 'POST', 'content-type': 'application/grpc', ':path': '/a.B/C' }),
  Buffer.concat([h2.literals(h2.GET), h2.inserted('user-agent', 'curl')]),
  Buffer.concat([h2.literals(h2.GET), h2.indexed(62)]),
  Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex'),
  h2.literals({ ':method': 'CONNECT', ':authority': 'a:1' }),
  h2.literals({ ...h2.GET, x: 'x'.repeat(300) }),
];
const answers: readonly Buffer[] = [
  h2.indexed(8),
  Buffer.concat([h2.indexed(13), h2.inserted('server', 'nginx')]),
  Buffer.concat([h2.indexed(8), h2.indexed(62)]),
  h2.literals({ ':status': '100' }),
  h2.literals({ ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' }),
  h2.literals({ 'grpc-status': '13' }),
  Buffer.concat([h2.resized(0), h2.resized(100), h2.indexed(8)]),
];

function someFrame(side: Side, random: Random): Buffer {
  const stream = random.below(6) * 2 + 1;
  const kind = random.below(14);
  if (kind < 6) {
    const block = random.oneOf(side === 'request' ? blocks : answers);
    if (random.below(6) > 0) return h2.frame(TYPES.headers, random.below(3) === 0 ? whole : h2.END_HEADERS, stream, block);
    const cut = random.below(block.length);
    return Buffer.concat([
      h2.frame(TYPES.headers, random.below(2), stream, block.subarray(0, cut)),
      h2.frame(TYPES.continuation, h2.END_HEADERS, stream, block.subarray(cut)),
    ]);
  }
  if (kind < 9) return h2.data(stream, random.below(80), random.below(3));
  if (kind === 9) return h2.frame(TYPES.rstStream, 0, stream, h2.uint32(random.below(16)));
  if (kind === 10) return h2.frame(TYPES.goaway, 0, 0, Buffer.concat([h2.uint32(stream), h2.uint32(0)]));
  if (kind === 11) return h2.settings({ 1: 100, 5: 16_384 + random.below(100) });
  if (kind === 12 && side === 'response') {
    return h2.frame(TYPES.pushPromise, h2.END_HEADERS, stream, Buffer.concat([h2.uint32(2), random.oneOf(blocks)]));
  }
  return h2.frame(
    random.below(12),
    random.below(4) === 0 ? random.below(256) : 0,
    random.below(3),
    Buffer.alloc(random.below(12)),
  );
}

function mutated(bytes: Buffer, random: Random): Buffer {
  const result = Buffer.from(bytes);
  const at = random.below(result.length);
  const kind = random.below(4);
  if (kind === 0) result[at] = random.below(256);
  else if (kind === 1) return Buffer.concat([result.subarray(0, at), result.subarray(at + random.below(5))]);
  else if (kind === 2) return Buffer.concat([result.subarray(0, at), Buffer.from([random.below(256)]), result.subarray(at)]);
  else result[at] = (result[at] as number) ^ (1 << random.below(8));
  return result;
}

class CountingSink implements ConversationSink {
  accounted = 0;
  seenCount = 0;
  settledCount = 0;
  isGivenUp = false;
  transaction({ start, end, reset, abort, request }: Transaction): void {
    this.settledCount++;
    if (end < start) throw new Error('ends before it starts');
    if (reset !== undefined && abort !== undefined) throw new Error('ends twice');
    if (request.method === '' || request.target === '') throw new Error('without method or target');
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
  stepOverChunks(): void {
    throw new Error('there are no chunks');
  }
  followFrames(_side: Side, position: number): void {
    if (!Number.isSafeInteger(position)) throw new Error('a position that is none');
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

test(`${String(inputs)} connections of seed ${String(seed)}: no throw, balanced books`, () => {
  const random = new Random(seed);
  const protocol = createHttp2({ maxHeadSize: 256, maxStreams: 4, stepOverThreshold: 20 });
  let transactions = 0;
  for (let input = 0; input < inputs; input++) {
    const inputSeed = random.below(2 ** 31);
    const failed = runOne(protocol, new Random(inputSeed), (count) => {
      transactions += count;
    });
    if (failed !== undefined) assert.fail(`input ${String(input)} (seed ${String(inputSeed)}): ${failed}`);
  }
  assert.ok(transactions > inputs / 10, `only ${String(transactions)} transactions: the inputs are too far from HTTP/2`);
});

function runOne(protocol: Protocol, random: Random, onTransactions: (count: number) => void): string | undefined {
  const sink = new CountingSink();
  const start = random.oneOf(starts);
  const conversation = protocol.open(connectionOf(random.oneOf(['client', 'server'])), start, sink);
  const position = { request: random.below(1000), response: random.below(1000) };
  let given = 0;
  let time = 0;

  function say(side: Side, bytes: Buffer): void {
    time++;
    const from = position[side];
    const other = position[side === 'request' ? 'response' : 'request'];
    const kind = random.below(12);
    const size = bytes.length;
    position[side] += size;
    given += size;
    if (random.below(10) === 0) {
      const context = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: 1, traceState: undefined };
      const end = from + size + (random.below(4) === 0 ? 20 : 0);
      conversation.threadContext(side, { position: from, end, context: context as never, record: undefined });
    }
    if (kind === 0) {
      conversation.missing(side, from, from + size, random.oneOf(reasons), time, process1);
    } else if (kind < 5) {
      for (const part of new h2.Framing(bytes, 0).parts(0, size)) {
        // Now and then it is not so.
        const isLie = random.below(20) === 0;
        const told = isLie ? part.bytes.subarray(0, random.below(part.bytes.length + 1)) : part.bytes;
        const toFrame = isLie ? random.below(30) : part.toFrame;
        const end = at(from, part.size);
        conversation.framed(
          side,
          told,
          0,
          told.length,
          from + framedSize,
          end,
          toFrame,
          part.isInData,
          true,
          other,
          'capture_window',
          time,
          process1,
        );
        framedSize += part.size;
      }
      framedSize = 0;
    } else {
      const cut = random.below(4) === 0 ? random.below(size + 1) : size;
      const isIoStart = random.below(6) > 0;
      conversation.data(side, bytes, 0, cut, from, isIoStart, other, time, process1);
      conversation.data(side, bytes, cut, size, from + cut, cut === 0 && isIoStart, other, time, process1);
    }
    if (random.below(40) === 0) conversation.unordered(side);
    if (random.below(40) === 0) conversation.end(side, time);
  }
  let framedSize = 0;
  const at = (from: number, size: number): number => from + framedSize + size;

  try {
    if (start === 'beginning' && random.below(20) > 0) {
      say('request', Buffer.concat([h2.PREFACE, h2.settings()]));
      say('response', h2.settings());
    }
    for (let steps = random.below(8) + 1; steps > 0; steps--) {
      const side = random.oneOf(sides);
      const frames = Array.from({ length: random.below(4) + 1 }, () => someFrame(side, random));
      const bytes = Buffer.concat(frames);
      say(side, random.below(5) === 0 ? mutated(bytes, random) : bytes);
    }
    if (random.below(4) === 0) conversation.settle?.(time + random.oneOf([1, 2e9, 70e9]));
    conversation.present(time);
    conversation.inspect(time);
    conversation.exchangeAt(position.request);
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

test(`${String(inputs)} header blocks of seed ${String(seed)}: no throw, and a table within its bounds`, () => {
  const random = new Random(seed);
  const decoder = new BlockDecoder();
  const list = new HeaderList(1000);
  const parts = [...blocks, ...answers, h2.resized(4096), h2.resized(65_536), h2.insertedAs(62, 'x'), h2.indexed(70)];
  let table = new HeaderTable();
  let good = 0;
  for (let input = 0; input < inputs; input++) {
    const kind = random.below(4);
    let block = random.oneOf(parts);
    if (kind === 0) block = Buffer.from(Array.from({ length: random.below(24) }, () => random.below(256)));
    else if (kind === 1) block = mutated(Buffer.from(block), random);
    else if (kind === 2) block = Buffer.concat([random.oneOf(parts), block]);
    if (random.below(50) === 0) table.forget();
    if (decoder.decode(block, 0, block.length, table, list)) good++;
    else table = new HeaderTable();
    let size = 0;
    for (let index = 0; index < table.count; index++) size += table.sizeAt(table.slotOf(index));
    if (size > 65_536) assert.fail(`input ${String(input)}: a table of ${String(size)} bytes`);
    if (table.count > 100) table = new HeaderTable();
  }
  assert.ok(good > inputs / 4, `only ${String(good)} were good`);
});

test('endless streams, blocks, entries and answers keep no more than their limits', () => {
  const limits = { streams: 100, answers: 1000 };
  const protocol = createHttp2({ maxStreams: limits.streams });
  const sink = new CountingSink();
  const conversation = protocol.open(connectionOf('server'), 'beginning', sink);
  const position = { request: 0, response: 0 };
  let time = 0;
  const say = (side: Side, bytes: Buffer): void => {
    conversation.data(side, bytes, 0, bytes.length, position[side], true, 0, ++time, process1);
    position[side] += bytes.length;
  };
  say('request', Buffer.concat([h2.PREFACE, h2.settings()]));
  say('response', h2.settings());
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 200_000; i++) {
    const fields = Buffer.concat([h2.literals(h2.GET), h2.inserted('user-agent', `agent ${String(i)}`)]);
    say('request', h2.frame(TYPES.headers, whole, i * 2 + 1, fields));
    say('response', h2.response(2 ** 30 + i * 2 + 1, {}, whole));
    if (i % 10_000 === 0) assert.ok(conversation.openTransactions() <= limits.streams);
  }
  const kept = process.memoryUsage().heapUsed - before;
  assert.ok(kept < 64 * 1024 * 1024, `${String(kept)} bytes`);
  say('request', h2.frame(TYPES.headers, 0, 2 ** 20 + 1, h2.literals(h2.GET)));
  for (let i = 0; i < 100 && !sink.isGivenUp; i++) {
    say('request', h2.frame(TYPES.continuation, 0, 2 ** 20 + 1, Buffer.alloc(16_384)));
    assert.ok(conversation.inspect(0).request.buffered_bytes <= 1024 * 1024);
  }
  assert.ok(sink.isGivenUp);
  assert.equal(sink.accounted, position.request + position.response);
  assert.equal(sink.seenCount, sink.settledCount);
});
