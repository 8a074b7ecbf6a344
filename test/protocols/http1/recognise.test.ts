// What the first bytes of a side can be, at every length of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Side, Verdict } from '../../../receiver/model/protocol.ts';
import { createHttp1, http1 } from '../../../receiver/protocols/http1/protocol.ts';

function verdict(side: Side, text: string): Verdict {
  const bytes = Buffer.from(`..${text}..`, 'latin1');
  return http1.recognise(side, bytes, 2, bytes.length - 2);
}

const requests = [
  'GET / HTTP/1.1\r\n',
  'get /a%20b?c HTTP/1.0\n',
  '\r\n\r\nPOST http://a/ HTTP/1.1\r\n',
  'M-SEARCH * HTTP/1.1\r\n',
  'CONNECT a:1 HTTP/1.1\r\n',
];
const responses = ['HTTP/1.1 200 OK', 'HTTP/1.0 404', '\r\nHTTP/1.1 100 '];
const neither = [
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'OPTIONS * RTSP/1.0\r\n',
  'INVITE sip:a@b SIP/2.0\r\n',
  '*1\r\n$4\r\nPING\r\n',
  'PING\r\n',
  'SET key value\r\n',
  'get key\r\n',
  'EHLO a.test\r\n',
  'HELO\r\n',
  '220 mail.test ESMTP\r\n',
  '\x16\x03\x01\x02\x00\x01',
  'GET  / HTTP/1.1\r\n',
  'GET / HTTP/1.2\r\n',
  'GET / HTTP/1.1 \r\n',
  'GET /\r\n',
  'GET / http/1.1\r\n',
  'GET /a b HTTP/1.1\r\n',
  'G\x00T / HTTP/1.1\r\n',
  ' GET / HTTP/1.1\r\n',
  'HTTP/1.1 20x',
  'HTTP/1.1 099 OK',
  'HTTP/1.1 2000',
  'HTTP/2 200 OK',
  'ICY 200 OK\r\n',
  '\x00',
];

describe('recognise', () => {
  test('a request line is one, and undecided while any of it is missing', () => {
    for (const text of requests) {
      assert.equal(verdict('request', text), 'yes', text);
      for (let size = 0; size < text.length; size++)
        assert.equal(verdict('request', text.slice(0, size)), 'more', text.slice(0, size));
    }
  });

  test('a status line is one from its code on, and undecided before', () => {
    for (const text of responses) {
      assert.equal(verdict('response', text), 'yes', text);
      const size = text.indexOf('H') + 12;
      for (let short = 0; short < size; short++)
        assert.equal(verdict('response', text.slice(0, short)), 'more', text.slice(0, short));
    }
  });

  test('other protocols are none of both, and stay so whatever follows', () => {
    for (const text of neither) {
      for (const side of ['request', 'response'] as const) {
        assert.equal(verdict(side, text), 'no', `${side} ${JSON.stringify(text)}`);
        assert.equal(verdict(side, `${text}GET / HTTP/1.1\r\nHTTP/1.1 200 OK\r\n`), 'no', `${side} ${JSON.stringify(text)}`);
      }
    }
  });

  test('requests are no responses, and responses no requests', () => {
    for (const text of requests) assert.equal(verdict('response', text), 'no');
    for (const text of responses) assert.equal(verdict('request', `${text}\r\n`), 'no');
  });

  test('a first line without end is none beyond the head limit', () => {
    const small = createHttp1({ maxHeadSize: 100 });
    const bytes = Buffer.from(`GET /${'x'.repeat(200)}`);
    assert.equal(small.recognise('request', bytes, 0, 100), 'more');
    assert.equal(small.recognise('request', bytes, 0, 101), 'no');
    assert.equal(small.recognise('request', Buffer.from('\r\n'.repeat(60)), 0, 120), 'no');
    assert.equal(http1.recognise('request', Buffer.from('x'.repeat(300)), 0, 300), 'no');
  });
});
