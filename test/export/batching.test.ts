import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batching } from '../../receiver/export/batching.ts';
import { ManualTimers } from './manual-timers.ts';
import { makeSpan } from './spans.ts';

function start(options: { minSize: number; maxSize: number }): { batching: Batching; cuts: number[]; timers: ManualTimers } {
  const timers = new ManualTimers();
  const cuts: number[] = [];
  const batching = new Batching({ flushTimeoutMs: 200, ...options }, timers, (batch) => cuts.push(batch.spans.length));
  return { batching, cuts, timers };
}

const span = makeSpan();

test('a batch is cut when it reaches its size', () => {
  const { batching, cuts, timers } = start({ minSize: 3, maxSize: 0 });
  for (let i = 0; i < 7; i++) batching.push(span);
  assert.deepEqual(cuts, [3, 3]);
  assert.equal(batching.pending, 1);
  assert.equal(timers.waiting, 1);
});

test('a batch is cut when its first span is old enough', async () => {
  const { batching, cuts, timers } = start({ minSize: 100, maxSize: 0 });
  batching.push(span);
  await timers.advance(150);
  batching.push(span);
  await timers.advance(49);
  assert.deepEqual(cuts, []);
  await timers.advance(1);
  assert.deepEqual(cuts, [2]);
  assert.equal(timers.waiting, 0);
});

test('a flush cuts what is pending, and nothing when nothing is', () => {
  const { batching, cuts, timers } = start({ minSize: 100, maxSize: 0 });
  batching.flush();
  batching.push(span);
  batching.flush();
  batching.flush();
  assert.deepEqual(cuts, [1]);
  assert.equal(timers.waiting, 0);
});

test('the largest size is never exceeded, and a size of 0 means every span by itself', () => {
  const bounded = start({ minSize: 10, maxSize: 4 });
  for (let i = 0; i < 9; i++) bounded.batching.push(span);
  assert.deepEqual(bounded.cuts, [4, 4]);
  const single = start({ minSize: 0, maxSize: 0 });
  for (let i = 0; i < 3; i++) single.batching.push(span);
  assert.deepEqual(single.cuts, [1, 1, 1]);
});

test('a limit shrinks batches and lets them grow again', () => {
  const { batching, cuts } = start({ minSize: 4, maxSize: 0 });
  batching.limitTo(2);
  for (let i = 0; i < 4; i++) batching.push(span);
  batching.limitTo(1000);
  for (let i = 0; i < 4; i++) batching.push(span);
  batching.limitTo(0);
  batching.push(span);
  assert.deepEqual(cuts, [2, 2, 4, 1]);
});
