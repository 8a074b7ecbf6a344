import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DURATION_BOUNDS } from '../../../receiver/model/http-metrics.ts';
import { ExemplarStore } from '../../../receiver/telemetry/metrics/exemplar-store.ts';
import { AlignedReservoir, FixedSizeReservoir } from '../../../receiver/telemetry/metrics/exemplars.ts';
import { ExplicitHistogram } from '../../../receiver/telemetry/metrics/explicit-histogram.ts';
import { ExponentialHistogram, ExponentialIndex, MAX_SCALE } from '../../../receiver/telemetry/metrics/exponential-histogram.ts';
import { createRandom } from '../../config/random-config.ts';

const index = new ExponentialIndex();
const noReservoir = (): never => assert.fail('no exemplars here');

function exponential(maxSize = 160): ExponentialHistogram {
  return new ExponentialHistogram([], 0n, maxSize, index, noReservoir);
}

/** Bucket counts by index, without the empty ones. */
function buckets({ offset, counts }: ExponentialHistogram): Map<number, number> {
  return new Map([...counts.entries()].flatMap(([at, count]) => (count === 0 ? [] : [[offset + at, count] as const])));
}

/** Log-uniform over `octaves` around 1, now and then a power of two or zero. */
function randomValue(random: () => number, octaves: number): number {
  const exponent = (random() - 0.5) * octaves;
  if (random() < 0.02) return 0;
  return random() < 0.1 ? 2 ** Math.round(exponent) : 2 ** exponent;
}

test('a value is in the explicit bucket whose upper bound is the first that is not below it', () => {
  const histogram = new ExplicitHistogram([], 0n, DURATION_BOUNDS, noReservoir);
  for (const value of [0, 0.005, 0.0051, 0.01, 7.5, 10, 10.001, 1e9]) histogram.record(value, 0, undefined);
  assert.deepEqual(histogram.counts, [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
  assert.equal(histogram.count, 8);
  assert.equal(histogram.min, 0);
  assert.equal(histogram.max, 1e9);
});

test('powers of two are the upper bounds of their buckets at every scale', () => {
  for (let scale = -10; scale <= MAX_SCALE; scale++) {
    for (const exponent of [-1022, -700, -33, -1, 0, 1, 7, 64, 1023]) {
      const expected = scale >= 0 ? exponent * 2 ** scale - 1 : Math.ceil(exponent * 2 ** scale) - 1;
      assert.equal(index.of(2 ** exponent, scale), expected, `2^${exponent} at scale ${scale}`);
    }
  }
});

test('a value is inside of the bounds of its bucket', () => {
  const random = createRandom(1);
  for (let i = 0; i < 100_000; i++) {
    const value = randomValue(random, 400) || 1;
    const scale = Math.floor(random() * 31) - 10;
    const at = index.of(value, scale);
    // In logarithms, whose rounding is far below the width of a bucket up to scale 20.
    const position = Math.log2(value) * 2 ** scale;
    const slack = 1e-13 * (1 + Math.abs(Math.log2(value))) * 2 ** Math.max(0, scale);
    assert.ok(position > at - slack && position <= at + 1 + slack, `${value} at scale ${scale}: bucket ${at}`);
  }
});

test('a coarser scale is the finer one with neighbours joined, for every value', () => {
  const random = createRandom(2);
  for (let i = 0; i < 100_000; i++) {
    const value = randomValue(random, 2000) || 1;
    const fine = index.of(value, MAX_SCALE);
    for (const scale of [19, 10, 3, 0, -1, -7, -10]) assert.equal(index.of(value, scale), fine >> (MAX_SCALE - scale));
  }
});

test('subnormal numbers count as the smallest normal one', () => {
  assert.equal(index.of(Number.MIN_VALUE, 0), index.of(2 ** -1022, 0));
});

test('whatever comes in whatever order, an exponential histogram holds what one at its scale would have held from the beginning', () => {
  const random = createRandom(3);
  for (let round = 0; round < 300; round++) {
    const maxSize = 2 + Math.floor(random() * 40);
    const histogram = exponential(maxSize);
    const values = Array.from({ length: 1 + Math.floor(random() * 200) }, () => randomValue(random, random() < 0.2 ? 2000 : 30));
    for (const value of values) histogram.record(value, 0, undefined);
    const expected = new Map<number, number>();
    for (const value of values) {
      if (value === 0) continue;
      const at = index.of(value, histogram.scale);
      expected.set(at, (expected.get(at) ?? 0) + 1);
    }
    assert.deepEqual(new Map([...buckets(histogram)].sort()), new Map([...expected].sort()), `round ${round}`);
    assert.equal(histogram.zeroCount, values.filter((value) => value === 0).length);
    assert.equal(histogram.count, values.length);
    assert.ok(histogram.counts.length <= maxSize);
    // No coarser than it must be: one scale finer, the values would not have fitted.
    const finer = values.filter((value) => value > 0).map((value) => index.of(value, histogram.scale + 1));
    if (histogram.scale < MAX_SCALE) assert.ok(Math.max(...finer) - Math.min(...finer) >= maxSize, `round ${round}`);
  }
});

test('with delta temporality a histogram begins anew at the finest scale', () => {
  const histogram = exponential(2);
  for (const value of [1e-300, 1e300, 0]) histogram.record(value, 0, undefined);
  assert.equal(histogram.scale, -10);
  histogram.reset(true);
  assert.equal(histogram.count, 0);
  histogram.record(3, 0, undefined);
  assert.equal(histogram.scale, MAX_SCALE);
  assert.deepEqual([...buckets(histogram).values()], [1]);
  assert.deepEqual([histogram.zeroCount, histogram.sum, histogram.min, histogram.max], [0, 3, 3, 3]);
});

const span = (number: number): { traceId: string; spanId: string } => ({
  traceId: `${number}`.padStart(32, '0'),
  spanId: `${number}`.padStart(16, '0'),
});

test('an aligned reservoir keeps one exemplar for each bucket, each that was offered with the same chance', () => {
  const offered = 8;
  const kept = new Array<number>(offered).fill(0);
  const random = createRandom(4);
  const store = new ExemplarStore();
  const rounds = 8_000;
  for (let round = 0; round < rounds; round++) {
    const reservoir = new AlignedReservoir(store, random);
    for (let i = 0; i < offered; i++) reservoir.offer(1, i, i, span(i));
    reservoir.offer(2, 99, 99, span(99));
    const [first, second, ...more] = reservoir.exemplars;
    assert.deepEqual(more, []);
    assert.deepEqual(second, { value: 99, time: 99, ...span(99) });
    assert.ok(first !== undefined);
    const { value } = first;
    assert.deepEqual(first, { value, time: value, ...span(value) });
    kept[value] = (kept[value] as number) + 1;
    reservoir.reset();
    assert.equal(store.used, 0);
  }
  // 1000 expected, standard deviation 30.
  for (const count of kept) assert.ok(Math.abs(count - rounds / offered) < 150, kept.join(' '));
});

test('a reservoir of fixed size keeps no more than that, each that was offered with the same chance', () => {
  const offered = 100;
  const kept = new Array<number>(offered).fill(0);
  const random = createRandom(5);
  const store = new ExemplarStore();
  for (let round = 0; round < 5_000; round++) {
    const reservoir = new FixedSizeReservoir(160, store, random);
    for (let i = 0; i < offered; i++) reservoir.offer(i, i, i, span(i));
    assert.equal(reservoir.exemplars.length, 20);
    for (const { value } of reservoir.exemplars) kept[value] = (kept[value] as number) + 1;
    reservoir.reset();
    assert.equal(store.used, 0);
  }
  for (const count of kept) assert.ok(Math.abs(count - 1000) < 150, kept.join(' '));
});

test('a collection takes the exemplars with it, and buckets stay', () => {
  const histogram = new ExplicitHistogram([], 0n, [1], () => new AlignedReservoir(new ExemplarStore(), () => 0.5));
  histogram.record(0.5, 7, span(1));
  assert.deepEqual(histogram.exemplars, [{ value: 0.5, time: 7, ...span(1) }]);
  histogram.reset(false);
  assert.deepEqual(histogram.exemplars, []);
  assert.deepEqual(histogram.counts, [1, 0]);
});

test('the store of exemplars gives back what it was given, grows to its limit, and then keeps no more', () => {
  const store = new ExemplarStore(1_000);
  const reservoirs = Array.from({ length: 1_100 }, () => new AlignedReservoir(store, Math.random));
  const identity = (i: number): { traceId: string; spanId: string } => ({
    traceId: `${(0xffffffff - i).toString(16)}${i.toString(16).padStart(24, '0')}`,
    spanId: `${i.toString(16).padStart(8, '0')}${(0xffffffff - i).toString(16)}`,
  });
  for (const [i, reservoir] of reservoirs.entries()) reservoir.offer(0, i, -i, identity(i));
  for (const [i, reservoir] of reservoirs.entries()) {
    assert.deepEqual(reservoir.exemplars, i < 1_000 ? [{ value: i, time: -i, ...identity(i) }] : []);
  }
  for (const reservoir of reservoirs) reservoir.reset();
  assert.equal(store.used, 0);
  reservoirs[1_050]?.offer(0, 7, 7, identity(7));
  assert.deepEqual(reservoirs[1_050]?.exemplars, [{ value: 7, time: 7, ...identity(7) }]);
});
