import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSampler } from '../../receiver/telemetry/sampling.ts';

const plain = { keepErrors: false, keepSlowerThanMs: undefined };
const trace = (random: string): string => `${'ab'.repeat(9)}${random}`;

test('without a ratio every trace is kept, and its tracestate says nothing', () => {
  const sampler = createSampler({ ...plain, ratio: undefined });
  assert.equal(sampler.sample(trace('0'.repeat(14))), '');
});

test('thresholds are those of the specification, without trailing zeros', () => {
  const traceStates = [1, 0.75, 0.5, 0.25, 0.1, 0.01, 1 / 3, 2 ** -16, 2 ** -56].map((ratio) =>
    createSampler({ ...plain, ratio }).sample(trace('f'.repeat(14))),
  );
  assert.deepEqual(traceStates, [
    'ot=th:0',
    'ot=th:4',
    'ot=th:8',
    'ot=th:c',
    'ot=th:e666',
    'ot=th:fd70a',
    'ot=th:aaab',
    'ot=th:ffff',
    'ot=th:ffffffffffffff',
  ]);
});

test('a trace is kept when its random part is not below the threshold', () => {
  const sampler = createSampler({ ...plain, ratio: 0.25 });
  assert.equal(sampler.sample(trace('bfffffffffffff')), undefined);
  assert.equal(sampler.sample(trace('c0000000000000')), 'ot=th:c');
});

test('of random trace ids the share is kept that the ratio says', () => {
  const sampler = createSampler({ ...plain, ratio: 0.1 });
  const count = 1 << 16;
  let kept = 0;
  // Every 16-bit beginning of the random part once: no chance in it.
  for (let i = 0; i < count; i++) {
    if (sampler.sample(trace(`${i.toString(16).padStart(4, '0')}0000000000`)) !== undefined) kept++;
  }
  assert.equal(kept, count - 0xe666);
});

test('what a smaller ratio keeps, a larger one keeps too', () => {
  const few = createSampler({ ...plain, ratio: 0.03 });
  const many = createSampler({ ...plain, ratio: 0.3 });
  for (let i = 0; i < 4096; i++) {
    const id = trace(`${i.toString(16).padStart(3, '0')}00000000000`);
    if (few.sample(id) !== undefined) assert.notEqual(many.sample(id), undefined);
  }
});

test('ratio 0 keeps nothing', () => {
  assert.equal(createSampler({ ...plain, ratio: 0 }).sample(trace('f'.repeat(14))), undefined);
});

test('errors and slow spans can be kept in full, and then stand for themselves', () => {
  const sampler = createSampler({ ratio: 0, keepErrors: true, keepSlowerThanMs: 1 });
  assert.equal(sampler.keep(true, 5), 'ot=th:0');
  assert.equal(sampler.keep(false, 1_000_000), 'ot=th:0');
  assert.equal(sampler.keep(false, 999_999), undefined);
  assert.equal(createSampler({ ...plain, ratio: 0 }).keep(true, 1e12), undefined);
});
