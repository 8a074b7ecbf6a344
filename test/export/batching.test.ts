import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batching } from '../../receiver/export/batching.ts';
import { ManualTimers } from './manual-timers.ts';
import { CountingEncoder } from './memory-exporter.ts';

interface Started {
  readonly batching: Batching<unknown>;
  readonly cuts: number[];
  readonly timers: ManualTimers;
}

/** An item takes 100 bytes. */
function start(options: { sizer?: 'items' | 'bytes'; minSize: number; maxSize: number }, maxPayloadBytes = Infinity): Started {
  const timers = new ManualTimers();
  const cuts: number[] = [];
  const batching = new Batching(
    new CountingEncoder(100),
    { flushTimeoutMs: 200, ...options },
    maxPayloadBytes,
    timers,
    (payload) => {
      assert.equal(payload.body.length, payload.items * 100);
      cuts.push(payload.items);
    },
  );
  return { batching, cuts, timers };
}

const item = 'item';

test('a batch is cut when it reaches its size', () => {
  const { batching, cuts, timers } = start({ minSize: 3, maxSize: 0 });
  for (let i = 0; i < 7; i++) batching.push(item, 1);
  assert.deepEqual(cuts, [3, 3]);
  assert.equal(batching.pending, 1);
  assert.equal(timers.waiting, 1);
});

test('sized in bytes, a batch is cut when the request has as many, and stays below the most', () => {
  const { batching, cuts } = start({ sizer: 'bytes', minSize: 250, maxSize: 0 });
  for (let i = 0; i < 7; i++) batching.push(item, 1);
  assert.deepEqual(cuts, [3, 3]);
  const limited = start({ sizer: 'bytes', minSize: 1000, maxSize: 1000 });
  for (let i = 0; i < 16; i++) limited.batching.push(item, 1);
  assert.deepEqual(limited.cuts, [8, 8]);
});

test('a batch is cut when its first item is old enough', async () => {
  const { batching, cuts, timers } = start({ minSize: 100, maxSize: 0 });
  batching.push(item, 1);
  await timers.advance(150);
  batching.push(item, 1);
  await timers.advance(49);
  assert.deepEqual(cuts, []);
  await timers.advance(1);
  assert.deepEqual(cuts, [2]);
  assert.equal(timers.waiting, 0);
});

test('a flush cuts what is pending, and nothing when nothing is', () => {
  const { batching, cuts, timers } = start({ minSize: 100, maxSize: 0 });
  batching.flush();
  batching.push(item, 1);
  batching.flush();
  batching.flush();
  assert.deepEqual(cuts, [1]);
  assert.equal(timers.waiting, 0);
});

test('the largest size is never exceeded, and a size of 0 means every item by itself', () => {
  const bounded = start({ minSize: 10, maxSize: 4 });
  for (let i = 0; i < 9; i++) bounded.batching.push(item, 1);
  assert.deepEqual(bounded.cuts, [4, 4]);
  const single = start({ minSize: 0, maxSize: 0 });
  for (let i = 0; i < 3; i++) single.batching.push(item, 1);
  assert.deepEqual(single.cuts, [1, 1, 1]);
});

test('what is pushed in one piece stays together, and does not join what it would not fit with', () => {
  const timers = new ManualTimers();
  const cuts: number[] = [];
  const options = { flushTimeoutMs: 200, minSize: 10, maxSize: 10 };
  const batching = new Batching(new CountingEncoder(), options, Infinity, timers, (payload) => cuts.push(payload.items));
  for (const items of [6, 6, 3, 1, 25, 2]) batching.push(item, items);
  assert.deepEqual(cuts, [6, 10, 25]);
  assert.equal(batching.pending, 2);
});

test('a payload stays within its bytes, unless one item is larger by itself', () => {
  const bounded = start({ minSize: 100, maxSize: 0 }, 1000);
  for (let i = 0; i < 20; i++) bounded.batching.push(item, 1);
  assert.deepEqual(bounded.cuts, [8, 8]);
  const tiny = start({ minSize: 100, maxSize: 0 }, 10);
  for (let i = 0; i < 2; i++) tiny.batching.push(item, 1);
  assert.deepEqual(tiny.cuts, [1, 1]);
});
