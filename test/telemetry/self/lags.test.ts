import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BucketCounts } from '../../../receiver/telemetry/self/histogram.ts';
import { Lags } from '../../../receiver/telemetry/self/lags.ts';

test('a value counts in the first bucket whose boundary it does not exceed', () => {
  const histogram = new BucketCounts([1, 2]);
  for (const value of [0, 1, 1.5, 2, 2.1, 100]) histogram.record(value);
  assert.deepEqual(histogram.point(), { boundaries: [1, 2], counts: [2, 2, 2], count: 6, sum: 106.6 });
});

test('each round tells the age of its oldest event; an event that came meanwhile is not younger than nothing', () => {
  const lags = new Lags();
  lags.drained(1e9, 3e9, 0);
  lags.drained(5e9, 4e9, 0);
  const { count, sum } = lags.points().decode;
  assert.deepEqual([count, sum], [2, 2]);
});

test('the acknowledgement of a round is that of the last span that was on its way then, one round at a time', () => {
  const lags = new Lags();
  lags.drained(1e9, 2e9, 3);
  // Another round while the first is on its way: not looked at.
  lags.drained(3e9, 4e9, 5);
  lags.ended(2, true, 5e9);
  assert.equal(lags.points().acknowledgement.count, 0);
  lags.ended(1, true, 6e9);
  assert.deepEqual([lags.points().acknowledgement.count, lags.points().acknowledgement.sum], [1, 5]);
  lags.drained(7e9, 8e9, 2);
  lags.ended(2, false, 9e9);
  assert.equal(lags.points().acknowledgement.count, 1, 'what was not delivered has no acknowledgement');
  assert.equal(lags.endedSpans, 5);
  lags.drained(10e9, 11e9, 1);
  lags.ended(1, true, 12e9);
  assert.equal(lags.points().acknowledgement.sum, 7);
});

test('a round without spans waits for no acknowledgement', () => {
  const lags = new Lags();
  lags.drained(1e9, 2e9, 0);
  lags.drained(3e9, 4e9, 1);
  lags.ended(1, true, 5e9);
  assert.equal(lags.points().acknowledgement.sum, 2);
});

test('the delay of the event loop is told in seconds', () => {
  const lags = new Lags();
  lags.delayed(250);
  lags.delayed(-1);
  const { count, sum } = lags.points().eventLoop;
  assert.deepEqual([count, sum], [2, 0.25]);
});
