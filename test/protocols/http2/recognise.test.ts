// What the first bytes of a side are, and whether an I/O begins with frames.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http2 } from '../../../receiver/protocols/http2/protocol.ts';
import { beginsWithFrames } from '../../../receiver/protocols/http2/start.ts';
import * as h2 from './frames.ts';

const bytesOf = (text: string | Uint8Array): Uint8Array => Buffer.from(text as string, 'latin1');

test('a client begins with the preface', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'yes'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04', 'yes'],
    ['PRI * HTTP/2.0\r\n', 'yes'],
    ['PRI * HTTP/2.0', 'more'],
    ['PRI ', 'more'],
    ['PRI', 'more'],
    ['P', 'more'],
    ['PU', 'no'],
    ['', 'no'],
    ['PRI * HTTP/1.1\r\n\r\n', 'no'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\rx', 'no'],
    ['POST / HTTP/1.1\r\n', 'no'],
    ['GET / HTTP/1.1\r\n', 'no'],
  ];
  for (const [text, verdict] of rows) {
    const bytes = bytesOf(`xx${text}`);
    assert.equal(http2.recognise('request', bytes, 2, bytes.length), verdict, JSON.stringify(text));
  }
});

test('a server begins with SETTINGS', () => {
  const rows: readonly (readonly [string | Uint8Array, string])[] = [
    [h2.settings(), 'yes'],
    [h2.settings({ 1: 4096, 3: 100 }), 'yes'],
    [Buffer.concat([h2.settings({ 3: 100 }), h2.frame(h2.TYPES.settings, h2.ACK, 0)]), 'yes'],
    [h2.settings({ 3: 100 }).subarray(0, 8), 'more'],
    [h2.settings({ 3: 100 }).subarray(0, 1), 'more'],
    [h2.frame(h2.TYPES.settings, h2.ACK, 0), 'no'],
    [h2.frame(h2.TYPES.settings, 0, 1), 'no'],
    [h2.frame(h2.TYPES.settings, 0, 0, 'xxxxx'), 'no'],
    [h2.frame(h2.TYPES.settings, 0, 0, 'x'.repeat(1026)), 'no'],
    [h2.frame(h2.TYPES.ping, 0, 0, '12345678'), 'no'],
    ['HTTP/1.1 200 OK\r\n', 'no'],
  ];
  for (const [text, verdict] of rows) {
    const bytes = bytesOf(text);
    assert.equal(http2.recognise('response', bytes, 0, bytes.length), verdict, bytes.toString());
  }
});

test('an I/O begins with frames where it cannot be anything else', () => {
  const ping = h2.frame(h2.TYPES.ping, 0, 0, '12345678');
  const window = h2.frame(h2.TYPES.windowUpdate, 0, 0, h2.uint32(100));
  const rows: readonly (readonly ['request' | 'response', Uint8Array, boolean])[] = [
    ['request', h2.request(1), true],
    ['response', h2.response(1), true],
    ['response', h2.data(1, 100), true],
    ['request', ping, false],
    ['request', Buffer.concat([ping, window]), true],
    ['request', Buffer.concat([ping, window, h2.request(3).subarray(0, 5)]), true],
    ['request', Buffer.concat([ping, window, Buffer.from('GET / HTTP/1.1\r\n')]), false],
    ['request', Buffer.concat([h2.request(1), Buffer.from('\0')]), false],
    ['request', Buffer.concat([h2.data(1, 10), h2.data(3, 10), h2.data(5, 100).subarray(0, 50)]), true],
    ['request', Buffer.concat([h2.data(1, 10), h2.data(3, 100).subarray(0, 50)]), false],
    ['request', h2.request(2), false],
    ['request', h2.frame(h2.TYPES.headers, 0, 1, 'x'), true],
    ['request', Buffer.concat([h2.frame(h2.TYPES.headers, 0, 1, 'x'), ping]), false],
    ['request', h2.frame(h2.TYPES.headers, 0x40, 1, 'x'), false],
    ['request', h2.frame(h2.TYPES.data, 0, 1, 'x'.repeat(16_385)), false],
    ['request', Buffer.alloc(18), false],
    ['request', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), false],
    ['response', Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), false],
    ['response', Buffer.alloc(40, 0xff), false],
    ['response', new Uint8Array(0), false],
  ];
  for (const [index, [side, bytes, isThere]] of rows.entries()) {
    assert.equal(beginsWithFrames(side, bytes, 0, bytes.length), isThere, `row ${String(index)}`);
  }
});
