// Connections whose beginning was not seen: HTTP/1 is supposed, until the bytes prove HTTP/2, or the kernel follows frames.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';
import { createHttp2 } from '../../receiver/protocols/http2/protocol.ts';
import * as h2 from '../protocols/http2/frames.ts';
import { get, ok } from './socket.ts';
import { Wire } from './wire.ts';

const whole = h2.END_HEADERS | h2.END_STREAM;

describe('an older connection', () => {
  test('of HTTP/1 is read as ever', () => {
    const joined = new Wire();
    joined.received(get('/1'));
    joined.sent(ok());
    joined.received(get('/2'));
    joined.sent(ok());
    // The first may be the rest of something.
    assert.deepEqual(joined.end(), ['1.1 /2 200']);
  });

  for (const role of ['server', 'client'] as const) {
    test(`of HTTP/2 is found by HEADERS of a request, at the ${role}`, () => {
      const joined = new Wire(role);
      const request = (bytes: Buffer): void => {
        if (role === 'server') joined.received(bytes);
        else joined.sent(bytes);
      };
      const response = (bytes: Buffer): void => {
        if (role === 'server') joined.sent(bytes);
        else joined.received(bytes);
      };
      response(h2.data(7, 100));
      request(h2.frame(h2.TYPES.windowUpdate, 0, 0, h2.uint32(100)));
      request(h2.request(9, { ':path': '/9' }));
      response(h2.response(9, {}, whole));
      request(h2.request(11, { ':path': '/11' }));
      response(Buffer.concat([h2.response(11, {}, h2.END_HEADERS), h2.data(11, 50)]));
      assert.deepEqual(joined.end(), ['2 /9 200', '2 /11 200']);
      assert.ok((joined.ledger.report().noticed['resynchronised'] ?? 0) >= 1);
    });
  }

  test('of HTTP/2 has its role from the head of a request or of a response', () => {
    for (const first of ['request', 'response']) {
      const joined = new Wire('unknown');
      joined.received('the rest of something');
      joined.sent(h2.data(7, 100));
      if (first === 'response') joined.sent(h2.response(7, {}, whole));
      joined.received(h2.request(9, { ':path': '/9' }));
      joined.sent(h2.response(9, {}, whole));
      assert.deepEqual(joined.end(), ['2 /9 200'], first);
      assert.equal(joined.transactions[0]?.role, 'server');
    }
  });

  test('that looks like frames and has no request in them is not taken for HTTP/2', () => {
    const joined = new Wire();
    const ping = h2.frame(h2.TYPES.ping, 0, 0, '12345678');
    const noise = h2.frame(h2.TYPES.headers, h2.END_HEADERS, 1, '\xff\xff\xff\xff\xff');
    joined.received(Buffer.concat([ping, ping]));
    joined.received(noise);
    joined.received(h2.frame(h2.TYPES.headers, h2.END_HEADERS, 1, h2.literals({ accept: '*' })));
    assert.equal(joined.connection.inspect(0).protocol, 'http/1.x');
    joined.received(get('/1'));
    joined.sent(ok());
    joined.received(get('/2'));
    joined.sent(ok());
    // The first may be the rest of something.
    assert.deepEqual(joined.end(), ['1.1 /2 200']);
  });

  test('of neither is given up', () => {
    const joined = new Wire();
    for (let turn = 0; turn < 40; turn++) {
      joined.received(`\0\0\x10${String(turn)}something else`);
      joined.sent('an answer');
    }
    assert.equal(joined.connection.inspect(0).protocol, 'given up');
    assert.deepEqual(joined.end(), []);
  });
});

test('where the first bytes were lost, frames that the kernel follows are HTTP/2', () => {
  const joined = new Wire('server', true);
  joined.received('', { uncopied: 33, missing: 'ring_full', framing: { toFrame: 24, isInData: false } });
  const request = h2.request(3, { ':path': '/3' });
  joined.received(request, { framing: { toFrame: 0, isInData: false } });
  joined.sent(h2.response(3, {}, whole), { framing: { toFrame: 0, isInData: false } });
  assert.deepEqual(joined.end(), ['2 /3 200']);
});

test('a preface that comes in pieces is none of HTTP/1, in whatever order the two are asked', () => {
  for (const first of [9, 15, 20]) {
    for (const protocols of [
      [createHttp1(), createHttp2()],
      [createHttp2(), createHttp1()],
    ]) {
      const joined = new Wire('server', true, protocols);
      const bytes = Buffer.concat([h2.PREFACE, h2.settings(), h2.request(1)]);
      joined.received(bytes.subarray(0, first), { framing: { toFrame: 24, isInData: false } });
      joined.received(bytes.subarray(first), { framing: { toFrame: 24 - first, isInData: false } });
      joined.sent(Buffer.concat([h2.settings(), h2.response(1, {}, whole)]));
      assert.deepEqual(joined.end(), ['2 / 200'], String(first));
    }
  }
});

test('first bytes that may be of either wait for more, or for the other side', () => {
  const orders = [
    [createHttp1(), createHttp2()],
    [createHttp2(), createHttp1()],
  ];
  const bytes = Buffer.concat([h2.PREFACE, h2.settings(), h2.request(1)]);
  const answer = h2.response(1, {}, whole);
  for (const protocols of orders) {
    for (let first = 1; first < h2.PREFACE.length; first++) {
      for (const role of ['server', 'client'] as const) {
        for (const isAnsweredEarly of [false, true]) {
          const joined = new Wire(role, true, protocols);
          const ask = (part: Buffer): void => (role === 'server' ? joined.received(part) : joined.sent(part));
          const say = (part: Buffer): void => (role === 'server' ? joined.sent(part) : joined.received(part));
          ask(bytes.subarray(0, first));
          // However long that takes.
          joined.connection.release();
          if (isAnsweredEarly) say(h2.settings());
          for (let at = first; at < bytes.length; at++) ask(bytes.subarray(at, at + 1));
          say(Buffer.concat([...(isAnsweredEarly ? [] : [h2.settings()]), answer]));
          assert.deepEqual(joined.end(), ['2 / 200'], `${role} ${String(first)}`);
          assert.deepEqual(joined.ledger.report().bytes.lost, {});
        }
      }
    }
    for (const [first, rest, target] of [
      ['P', 'UT /a HTTP/1.1', '/a'],
      ['PR', 'OPFIND /b HTTP/1.1', '/b'],
      ['PRI', 'NT /c HTTP/1.1', '/c'],
      ['PRI * HTTP/', '1.1', '*'],
    ] as const) {
      const other = new Wire('server', true, protocols);
      other.received(first);
      other.received(`${rest}\r\n\r\n`);
      other.sent(ok());
      assert.deepEqual(other.end(), [`1.1 ${target} 200`]);
    }
    const cut = new Wire('server', true, protocols);
    cut.received('PRI');
    cut.close('connection_closed');
    assert.deepEqual(cut.end(), []);
  }
});

test('a connection that begins with the preface is HTTP/2, and one that begins otherwise is not', () => {
  const second = new Wire('server', true);
  second.received(Buffer.concat([h2.PREFACE, h2.settings(), h2.request(1)]));
  second.sent(Buffer.concat([h2.settings(), h2.response(1, {}, whole)]));
  assert.deepEqual(second.end(), ['2 / 200']);
  const first = new Wire('server', true);
  first.received(get('/'));
  first.sent(ok());
  assert.deepEqual(first.end(), ['1.1 / 200']);
});
