import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { test } from 'node:test';
import { createRandomIds } from '../../receiver/telemetry/random-ids.ts';

test('ids are lower-case hex of the right length, and all different', () => {
  const ids = createRandomIds((bytes) => randomFillSync(bytes));
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const traceId = ids.traceId();
    const spanId = ids.spanId();
    assert.match(traceId, /^[0-9a-f]{32}$/);
    assert.match(spanId, /^[0-9a-f]{16}$/);
    seen.add(traceId);
    seen.add(spanId);
  }
  assert.equal(seen.size, 40_000);
});

test('all bytes of the source are used once, in order', () => {
  let fills = 0;
  let counter = 0;
  const ids = createRandomIds((bytes) => {
    fills++;
    for (let i = 0; i < bytes.length; i++) bytes[i] = ++counter & 0xff;
  });
  assert.equal(fills, 0, 'nothing is drawn before it is needed');
  assert.equal(ids.traceId(), '0102030405060708090a0b0c0d0e0f10');
  assert.equal(ids.spanId(), '1112131415161718');
  for (let i = 0; i < 1_021; i++) ids.spanId();
  assert.equal(fills, 1);
  ids.spanId();
  assert.equal(fills, 2);
});

test('an all-zero id is drawn again', () => {
  let fills = 0;
  const ids = createRandomIds((bytes) => {
    bytes.fill(0);
    if (fills++ > 0) bytes.fill(0xab);
  });
  assert.equal(ids.traceId(), 'ab'.repeat(16));
  assert.equal(ids.spanId(), 'ab'.repeat(8));
});
