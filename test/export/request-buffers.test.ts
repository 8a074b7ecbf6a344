import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_REQUEST_BYTES, RequestBuffers } from '../../receiver/export/request-buffers.ts';

test('the memory of a large request serves again once it is released, for one request at a time', () => {
  const buffers = new RequestBuffers();
  for (const size of [64 * 1024, 64 * 1024 + 1, 275_000, MAX_REQUEST_BYTES]) {
    const first = buffers.take(size);
    assert.equal(first.length, size);
    assert.equal(first.byteOffset, 0);
    assert.notEqual(buffers.take(size).buffer, first.buffer);
    buffers.release(first);
    buffers.release(first);
    const again = buffers.take(size);
    assert.equal(again.buffer, first.buffer);
    assert.equal(again.length, size);
    assert.notEqual(buffers.take(size).buffer, first.buffer);
  }
});

test('a request of another size class does not get it', () => {
  const buffers = new RequestBuffers();
  const large = buffers.take(300_000);
  buffers.release(large);
  assert.notEqual(buffers.take(100_000).buffer, large.buffer);
  assert.equal(buffers.take(500_000).buffer, large.buffer);
});

test('small and very large requests have memory of exactly their size', () => {
  const buffers = new RequestBuffers();
  for (const size of [0, 1, 5000, 64 * 1024 - 1, MAX_REQUEST_BYTES + 1]) {
    const request = buffers.take(size);
    assert.equal(request.buffer.byteLength, size);
    buffers.release(request);
    assert.notEqual(buffers.take(size).buffer, request.buffer);
  }
});

test('what was handed to another thread is not used again, and a burst is not kept', () => {
  const buffers = new RequestBuffers();
  const gone = buffers.take(MAX_REQUEST_BYTES);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  buffers.release(gone);
  assert.equal(buffers.take(MAX_REQUEST_BYTES).length, MAX_REQUEST_BYTES);
  const burst = Array.from({ length: 10 }, () => buffers.take(MAX_REQUEST_BYTES));
  for (const request of burst) buffers.release(request);
  const blocks = new Set(burst.map((request) => request.buffer));
  const again = Array.from({ length: 10 }, () => buffers.take(MAX_REQUEST_BYTES));
  assert.equal(again.filter((request) => blocks.has(request.buffer)).length, 4);
});
