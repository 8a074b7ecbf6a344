import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BoundedBuffer } from '../../receiver/bytes/bounded-buffer.ts';

describe('a bounded buffer', () => {
  test('keeps what is appended, across growth', () => {
    const buffer = new BoundedBuffer(10_000);
    const expected: number[] = [];
    for (let i = 0; i < 300; i++) {
      const part = Uint8Array.of(i & 255, 1, 2, 3, 4);
      assert.equal(buffer.append(part, 0, 4), true);
      expected.push(i & 255, 1, 2, 3);
    }
    assert.deepEqual([...buffer.bytes.subarray(0, buffer.length)], expected);
  });

  test('refuses what passes its limit, and stays as it was', () => {
    const buffer = new BoundedBuffer(5);
    assert.equal(buffer.append(Uint8Array.of(1, 2, 3, 4), 0, 4), true);
    assert.equal(buffer.append(Uint8Array.of(5, 6), 0, 2), false);
    assert.equal(buffer.append(Uint8Array.of(5, 6), 0, 1), true);
    assert.deepEqual([...buffer.bytes.subarray(0, buffer.length)], [1, 2, 3, 4, 5]);
    assert.ok(buffer.bytes.length <= 5);
  });

  test('gives large storage back when it is cleared', () => {
    const buffer = new BoundedBuffer(100_000);
    buffer.append(new Uint8Array(50_000), 0, 50_000);
    buffer.clear();
    assert.equal(buffer.length, 0);
    assert.equal(buffer.bytes.length, 0);
  });
});
