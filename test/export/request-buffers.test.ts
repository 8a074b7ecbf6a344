import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestBuffers, MAX_REQUEST_BYTES } from '../../receiver/export/request-buffers.ts';

test('the memory of a large request serves again once it is released, for one request at a time', () => {
  const buffers = new RequestBuffers();
  const first = buffers.take(MAX_REQUEST_BYTES - 10);
  const second = buffers.take(MAX_REQUEST_BYTES);
  assert.equal(first.length, MAX_REQUEST_BYTES - 10);
  assert.notEqual(first.buffer, second.buffer);
  buffers.release(first);
  buffers.release(first);
  const third = buffers.take(MAX_REQUEST_BYTES - 20);
  assert.equal(third.buffer, first.buffer);
  assert.equal(third.length, MAX_REQUEST_BYTES - 20);
  assert.notEqual(buffers.take(MAX_REQUEST_BYTES).buffer, first.buffer);
});

test('small and very large requests have memory of exactly their size', () => {
  const buffers = new RequestBuffers();
  for (const size of [0, 1, 5000, MAX_REQUEST_BYTES + 1]) {
    const request = buffers.take(size);
    assert.equal(request.buffer.byteLength, size);
    buffers.release(request);
  }
  assert.notEqual(buffers.take(5000).buffer, buffers.take(5000).buffer);
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
  assert.equal(again.filter((request) => blocks.has(request.buffer)).length, 3);
});
