import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readExportResponse,
  readExportResponseJson,
  readRpcStatus,
  readRpcStatusJson,
} from '../../receiver/export/otlp-response.ts';
import { readProtobuf } from '../../receiver/export/protobuf-reader.ts';
import { bytesField, partialSuccess, rpcStatus, varintField } from './protobuf-build.ts';

test('an empty response is full success', () => {
  assert.deepEqual(readExportResponse(new Uint8Array(0), 5), { kind: 'accepted', rejected: 0 });
  assert.deepEqual(readExportResponseJson('{}', 'traces', 5), { kind: 'accepted', rejected: 0 });
  assert.deepEqual(readExportResponseJson('', 'traces', 5), { kind: 'accepted', rejected: 0 });
});

test('a partial success gives its count and message', () => {
  const result = { kind: 'accepted', rejected: 2, message: 'too old' };
  assert.deepEqual(readExportResponse(partialSuccess(2, 'too old'), 5), result);
  assert.deepEqual(
    readExportResponseJson('{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}', 'traces', 5),
    result,
  );
});

test('points that were rejected are told under their own name', () => {
  const text = '{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}';
  assert.deepEqual(readExportResponseJson(text, 'metrics', 5), { kind: 'accepted', rejected: 2, message: 'too old' });
  assert.equal((readExportResponseJson(text, 'traces', 5) as { rejected: number }).rejected, 0);
});

test('a backend cannot reject more spans than it was sent, or fewer than none', () => {
  assert.deepEqual(readExportResponse(partialSuccess(99, ''), 5), { kind: 'accepted', rejected: 5 });
  assert.deepEqual(readExportResponse(partialSuccess(-1, ''), 5), { kind: 'accepted', rejected: 0 });
  assert.deepEqual(readExportResponseJson('{"partialSuccess":{"rejectedSpans":{}}}', 'traces', 5), {
    kind: 'accepted',
    rejected: 0,
  });
});

test('a RetryInfo gives its delay, in whatever order and beside whatever details', () => {
  assert.deepEqual(readRpcStatus(rpcStatus(8, 'slow down', 2500)), { message: 'slow down', retryDelayMs: 2500 });
  const other = bytesField(3, Buffer.concat([bytesField(1, 'type.googleapis.com/google.rpc.Help'), bytesField(2, 'x')]));
  assert.equal(readRpcStatus(Buffer.concat([other, rpcStatus(8, 'm', 1000), other]))?.retryDelayMs, 1000);
  assert.equal(readRpcStatus(Buffer.concat([other, rpcStatus(8, 'm')]))?.retryDelayMs, undefined);
  assert.equal(readRpcStatus(rpcStatus(8, 'm', 0))?.retryDelayMs, 0);
});

test('a status in JSON gives its message', () => {
  assert.deepEqual(readRpcStatusJson('{"code":3,"message":"bad span"}'), { message: 'bad span', retryDelayMs: undefined });
  assert.equal(readRpcStatusJson('<html>'), undefined);
  assert.equal(readRpcStatusJson('[]'), undefined);
});

test('a message of any length is kept short', () => {
  assert.equal(readRpcStatus(rpcStatus(3, 'm'.repeat(100_000)))?.message.length, 1025);
});

test('every truncation and every flipped byte of an answer is read without a throw', () => {
  const bytes = Buffer.concat([
    partialSuccess(300, 'é'),
    rpcStatus(8, 'slow', 1500),
    varintField(9, -1n),
    Buffer.from([0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x5d, 1, 2, 3, 4]),
  ]);
  for (let length = 0; length <= bytes.length; length++) {
    readExportResponse(bytes.subarray(0, length), 5);
    readRpcStatus(bytes.subarray(0, length));
  }
  for (let index = 0; index < bytes.length; index++) {
    for (const value of [0x00, 0x7f, 0x80, 0xff, (bytes[index] as number) ^ 1]) {
      const broken = Buffer.from(bytes);
      broken[index] = value;
      readExportResponse(broken, 5);
      readRpcStatus(broken);
    }
  }
  assert.equal(readProtobuf(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])), undefined);
  assert.equal(readProtobuf(Buffer.alloc(1000, 0x08)), undefined);
  assert.deepEqual(
    readProtobuf(Buffer.from([0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x15, 2, 0, 0, 0]))?.map((field) => field.value),
    [1, 2],
  );
});
