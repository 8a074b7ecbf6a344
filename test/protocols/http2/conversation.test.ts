// Streams of a connection that is seen from its beginning: what each comes to, and what ends the reading.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp2 } from '../../../receiver/protocols/http2/protocol.ts';
import * as h2 from './frames.ts';
import { Player, type PlayerOptions } from './player.ts';

const { TYPES } = h2;

/** A connection whose ends have greeted each other. */
function begin(options: PlayerOptions = {}): Player {
  const player = new Player(options);
  player.request(h2.PREFACE, h2.settings());
  player.response(h2.settings());
  return player;
}

/** The only transaction, of balanced books. */
function only(player: Player): Transaction {
  assert.equal(player.recorder.gaveUp, undefined);
  assert.equal(player.imbalance(), undefined);
  assert.equal(player.transactions.length, 1);
  return player.transactions[0] as Transaction;
}

test('a request with all its fields, and its answer', () => {
  const player = begin();
  const from = player.position.request;
  const fields = {
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': 'shop.example',
    ':path': '/cart?id=1',
    host: 'other.example',
    'user-agent': 'curl',
    traceparent: '00-1',
    tracestate: 'a=1',
    forwarded: 'for=1',
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-proto': 'https',
    'content-type': 'text/plain',
    'connect-protocol-version': '1',
  };
  player.request(h2.request(1, fields, h2.END_HEADERS));
  player.request(h2.data(1, 10, 0));
  player.request(h2.data(1, 5));
  player.response(h2.response(1));
  player.response(h2.data(1, 100, 0));
  player.response(h2.data(1, 0));
  const transaction = only(player);
  assert.deepEqual(transaction.request, {
    method: 'POST',
    target: '/cart?id=1',
    version: '2',
    scheme: 'https',
    protocol: undefined,
    host: 'shop.example',
    userAgent: 'curl',
    traceparent: '00-1',
    tracestate: 'a=1',
    forwarded: 'for=1',
    xForwardedFor: '10.0.0.1',
    xForwardedProto: 'https',
    contentType: 'text/plain',
    connectVersion: '1',
    bodySize: 15,
  });
  assert.deepEqual(transaction.response, { statusCode: 200, bodySize: 100 });
  assert.equal(transaction.requestPosition, from);
  assert.deepEqual([transaction.start, transaction.end], [3, 8]);
  assert.deepEqual([transaction.abort, transaction.reset, transaction.rpc], [undefined, undefined, undefined]);
  assert.equal(transaction.process.pid, 2);
});

test('a client is the process that asked', () => {
  const player = begin({ role: 'client' });
  player.request(h2.request(1));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(only(player).process.pid, 1);
});

test('without an authority the host field is the host', () => {
  const player = begin();
  const block = h2.literals({ ':method': 'GET', ':scheme': 'http', ':path': '/', host: 'a.example' });
  player.request(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, block));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(only(player).request.host, 'a.example');
});

test('answers come in any order, and between the frames of others', () => {
  const player = begin();
  for (const stream of [1, 3, 5]) player.request(h2.request(stream, { ':path': `/${String(stream)}` }));
  player.response(h2.response(5), h2.response(1, { ':status': '404' }), h2.data(5, 10, 0));
  player.response(h2.data(1, 1), h2.response(3, { ':status': '500' }, h2.END_HEADERS | h2.END_STREAM), h2.data(5, 10));
  assert.equal(player.imbalance(), undefined);
  assert.deepEqual(
    player.transactions.map(({ request, response }) => [request.target, response?.statusCode, response?.bodySize]),
    [
      ['/1', 404, 1],
      ['/3', 500, 0],
      ['/5', 200, 20],
    ],
  );
});

test('a header block in many frames, with padding and a priority', () => {
  const player = begin();
  const block = h2.literals({ ...h2.GET, ':path': '/long' });
  const padded = Buffer.concat([Buffer.from([3]), Buffer.alloc(5), block.subarray(0, 10), Buffer.alloc(3)]);
  player.request(
    h2.frame(TYPES.headers, h2.END_STREAM | h2.PADDED | h2.PRIORITY, 1, padded),
    h2.frame(TYPES.continuation, 0, 1, block.subarray(10, 20)),
    h2.frame(TYPES.continuation, 0, 1),
  );
  player.request(h2.frame(TYPES.continuation, h2.END_HEADERS, 1, block.subarray(20)));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  const { request, start } = only(player);
  assert.deepEqual([request.target, request.bodySize, start], ['/long', 0, 3]);
});

test('interim answers are none, and fields behind a body are not its head', () => {
  const player = begin();
  player.request(h2.request(1, {}, h2.END_HEADERS), h2.data(1, 1, 0));
  player.request(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, h2.literals({ 'x-sum': '1' })));
  player.response(h2.response(1, { ':status': '100' }), h2.response(1, { ':status': '103' }));
  player.response(h2.response(1, { ':status': '201' }), h2.data(1, 7, 0));
  player.response(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, h2.literals({ 'x-sum': '1' })));
  const { request, response } = only(player);
  assert.deepEqual(response, { statusCode: 201, bodySize: 7 });
  assert.equal(request.bodySize, 1);
});

test('an answer may be over before its request', () => {
  const player = begin();
  player.request(h2.request(1, {}, h2.END_HEADERS));
  player.response(h2.response(1, { ':status': '413' }, h2.END_HEADERS | h2.END_STREAM), reset(1, 0));
  player.request(h2.data(1, 100));
  const { request, response, reset: code } = only(player);
  assert.deepEqual([request.bodySize, response?.statusCode, code], [undefined, 413, undefined]);
});

test('padding is no body', () => {
  const player = begin();
  player.request(h2.request(1));
  const padded = Buffer.concat([Buffer.from([4]), Buffer.alloc(10), Buffer.alloc(4)]);
  player.response(h2.response(1), h2.frame(TYPES.data, h2.PADDED | h2.END_STREAM, 1, padded));
  assert.equal(only(player).response?.bodySize, 10);
});

function reset(stream: number, code: number): Buffer {
  return h2.frame(TYPES.rstStream, 0, stream, h2.uint32(code));
}

describe('streams that are reset', () => {
  const codes: readonly (readonly [number, string])[] = [
    [0, 'NO_ERROR'],
    [2, 'INTERNAL_ERROR'],
    [7, 'REFUSED_STREAM'],
    [8, 'CANCEL'],
    [13, 'HTTP_1_1_REQUIRED'],
    [14, '14'],
    [4_294_967_295, '4294967295'],
  ];
  for (const [code, name] of codes) {
    test(name, () => {
      const player = begin();
      player.request(h2.request(1));
      player.response(h2.response(1), h2.data(1, 10, 0));
      if (code % 2 === 0) player.request(reset(1, code));
      else player.response(reset(1, code));
      const transaction = only(player);
      assert.deepEqual([transaction.reset, transaction.abort, transaction.end], [name, undefined, 5]);
      assert.deepEqual(transaction.response, { statusCode: 200, bodySize: undefined });
    });
  }

  test('what comes of a stream afterwards is nothing', () => {
    const player = begin();
    player.request(h2.request(1, {}, h2.END_HEADERS), reset(1, 8));
    player.response(h2.response(1), h2.data(1, 5), reset(1, 8));
    player.request(reset(1, 8), h2.data(1, 5));
    assert.equal(only(player).reset, 'CANCEL');
    assert.equal(player.figure('count response_without_request'), 0);
  });
});

test('GOAWAY refuses what is above its stream, now and later', () => {
  const player = begin();
  player.request(h2.request(1, { ':path': '/1' }), h2.request(3, { ':path': '/3' }));
  player.response(h2.frame(TYPES.goaway, 0, 0, Buffer.concat([h2.uint32(2 ** 31 - 1), h2.uint32(0)])));
  player.request(h2.request(5, { ':path': '/5' }));
  player.response(h2.frame(TYPES.goaway, 0, 0, Buffer.concat([h2.uint32(1), h2.uint32(0), Buffer.from('bye')])));
  player.request(h2.request(7, { ':path': '/7' }));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(player.imbalance(), undefined);
  assert.deepEqual(
    player.transactions.map(({ request, reset: code }) => [request.target, code]),
    [
      ['/3', 'REFUSED_STREAM'],
      ['/5', 'REFUSED_STREAM'],
      ['/7', 'REFUSED_STREAM'],
      ['/1', undefined],
    ],
  );
});

describe('tunnels', () => {
  const cases = {
    CONNECT: { ':method': 'CONNECT', ':authority': 'a.example:443' },
    'extended CONNECT': {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/chat',
      ':authority': 'a.example',
    },
  };
  for (const [name, fields] of Object.entries(cases)) {
    test(`${name} is one exchange that ends with its stream`, () => {
      const player = begin();
      player.request(h2.frame(TYPES.headers, h2.END_HEADERS, 1, h2.literals(fields)));
      player.response(h2.response(1), h2.data(1, 10, 0));
      player.request(h2.data(1, 20, 0));
      player.response(h2.data(1, 5));
      assert.equal(player.transactions.length, 0);
      player.request(h2.data(1, 2));
      const { request, response, end } = only(player);
      assert.equal(request.target, ':path' in fields ? '/chat' : 'a.example:443');
      assert.equal(request.protocol, ':protocol' in fields ? 'websocket' : undefined);
      assert.deepEqual([request.bodySize, response?.bodySize, end], [22, 15, 7]);
    });
  }

  test('one that is refused is over with its answer', () => {
    const player = begin();
    player.request(h2.frame(TYPES.headers, h2.END_HEADERS, 1, h2.literals(cases.CONNECT)));
    player.response(h2.response(1, { ':status': '403' }, h2.END_HEADERS | h2.END_STREAM));
    assert.equal(only(player).response?.statusCode, 403);
  });
});

describe('gRPC', () => {
  const call = { ':method': 'POST', ':path': '/shop.Cart/Add', 'content-type': 'application/grpc+proto' };
  const trailers = (fields: Readonly<Record<string, string>>): Buffer =>
    h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, h2.literals(fields));
  const rpc = (statusCode: number | undefined) => ({
    system: 'grpc',
    statusCode,
    requestMessages: undefined,
    responseMessages: undefined,
  });

  const answers: readonly (readonly [string, readonly Buffer[], number | undefined])[] = [
    ['OK', [h2.response(1), h2.data(1, 9, 0), trailers({ 'grpc-status': '0' })], 0],
    ['an error', [h2.response(1), trailers({ 'grpc-status': '14', 'grpc-message': 'x' })], 14],
    ['an answer that is trailers alone', [trailers({ ':status': '200', 'grpc-status': '12' })], 12],
    ['no status', [h2.response(1), h2.data(1, 9)], undefined],
    ['a status that is none', [h2.response(1), trailers({ 'grpc-status': 'x' })], undefined],
    ['a status in the head alone', [h2.response(1, { 'grpc-status': '0' }), h2.data(1, 9)], undefined],
  ];
  for (const [name, frames, status] of answers) {
    test(name, () => {
      const player = begin();
      player.request(h2.request(1, call, h2.END_HEADERS), h2.data(1, 9));
      player.response(...frames);
      assert.deepEqual(only(player).rpc, rpc(status));
    });
  }

  test('a call that is reset has no status', () => {
    const player = begin();
    player.request(h2.request(1, call, h2.END_HEADERS), reset(1, 8));
    const transaction = only(player);
    assert.deepEqual([transaction.rpc, transaction.reset], [rpc(undefined), 'CANCEL']);
  });

  for (const type of ['application/grpc-web', 'application/grpc-web+proto', 'application/connect+proto', 'application/grpcx']) {
    test(`${type} is HTTP`, () => {
      const player = begin();
      player.request(h2.request(1, { ...call, 'content-type': type }));
      player.response(trailers({ ':status': '200', 'grpc-status': '0' }));
      assert.equal(only(player).rpc, undefined);
    });
  }
});

test('what a server pushes is counted, and its fields are in the table', () => {
  const player = begin();
  player.request(h2.request(1));
  const promise = Buffer.concat([h2.uint32(2), h2.literals(h2.GET), h2.inserted('content-type', 'text/css')]);
  player.response(h2.frame(TYPES.pushPromise, h2.END_HEADERS, 1, promise));
  player.response(h2.response(2), h2.data(2, 50));
  player.response(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, Buffer.concat([h2.indexed(8), h2.indexed(62)])));
  assert.equal(only(player).response?.statusCode, 200);
  assert.equal(player.figure('count pushed_response'), 1);
  assert.equal(player.figure('count response_without_request'), 0);
});

describe('messages that are none are dropped, and the connection is read on', () => {
  const plain = { ':method': 'GET', ':scheme': 'http', ':path': '/' };
  const requests: Readonly<Record<string, Buffer>> = {
    'no method': h2.literals({ ':scheme': 'http', ':path': '/' }),
    'no path': h2.literals({ ':method': 'GET', ':scheme': 'http' }),
    'an empty path': h2.literals({ ...plain, ':path': '' }),
    'a pseudo-header behind a field': h2.literals({ ':method': 'GET', accept: '*', ':path': '/' }),
    'two methods': Buffer.concat([h2.literals(plain), h2.literal(':method', 'POST')]),
    'a pseudo-header that does not exist': h2.literals({ ...plain, ':x': '1' }),
    'a status': h2.literals({ ...plain, ':status': '200' }),
  };
  for (const [name, block] of Object.entries(requests)) {
    test(`a request with ${name}`, () => {
      const player = begin();
      player.request(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, block), h2.request(3));
      player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
      player.response(h2.response(3, {}, h2.END_HEADERS | h2.END_STREAM));
      only(player);
      assert.equal(player.figure('dropped malformed_message'), 1);
    });
  }

  const responses: Readonly<Record<string, Buffer>> = {
    'no status': h2.frame(TYPES.headers, h2.END_HEADERS, 1, h2.literals({ server: 'x' })),
    'a status of two digits': h2.response(1, { ':status': '20' }),
    'a status of letters': h2.response(1, { ':status': 'abc' }),
    'an interim status that ends it': h2.response(1, { ':status': '100' }, h2.END_HEADERS | h2.END_STREAM),
    'a second head': Buffer.concat([h2.response(1), h2.response(1)]),
    'a body before its head': h2.data(1, 10),
  };
  for (const [name, frames] of Object.entries(responses)) {
    test(`an answer with ${name}`, () => {
      const player = begin();
      player.request(h2.request(1), h2.request(3));
      player.response(frames, h2.response(3, {}, h2.END_HEADERS | h2.END_STREAM));
      only(player);
      assert.equal(player.figure('dropped malformed_message'), 1);
    });
  }
});

test('a head too large is dropped, and what it put into the table is there', () => {
  const player = begin({ protocol: createHttp2({ maxHeadSize: 300 }) });
  const block = Buffer.concat([h2.literals(h2.GET), h2.literal('x', 'x'.repeat(300)), h2.inserted('user-agent', 'late')]);
  player.request(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 1, block));
  const next = Buffer.concat([h2.literals(h2.GET), h2.indexed(62)]);
  player.request(h2.frame(TYPES.headers, h2.END_HEADERS | h2.END_STREAM, 3, next), h2.request(5));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM), h2.response(3, {}, h2.END_HEADERS | h2.END_STREAM));
  player.response(h2.response(5, { x: 'x'.repeat(300) }, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(only(player).request.userAgent, 'late');
  assert.equal(player.figure('dropped head_too_large'), 2);
  assert.equal(player.figure('count head_too_large'), 2);
});

test('more streams than are followed are counted', () => {
  const player = begin({ protocol: createHttp2({ maxStreams: 2 }) });
  player.request(h2.request(1), h2.request(3), h2.request(5));
  for (const stream of [1, 3, 5]) player.response(h2.response(stream, {}, h2.END_HEADERS | h2.END_STREAM));
  player.request(h2.request(7));
  player.response(h2.response(7, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(player.imbalance(), undefined);
  assert.equal(player.transactions.length, 3);
  assert.equal(player.figure('dropped too_many_pipelined'), 1);
});

describe('what ends a connection ends its reading', () => {
  const block = h2.literals(h2.GET);
  const cases: Readonly<Record<string, readonly ['request' | 'response', Buffer]>> = {
    'an id that comes again': ['request', Buffer.concat([h2.request(3), reset(3, 8), h2.request(3)])],
    'an id below the last': ['request', Buffer.concat([h2.request(5), h2.request(3)])],
    'a client that opens an even stream': ['request', h2.request(2)],
    'HEADERS of no stream': ['request', h2.request(0)],
    'DATA of no stream': ['request', h2.data(0, 1)],
    'DATA of a stream that is not open yet': ['request', h2.data(9, 1)],
    'a reset of such a stream': ['request', reset(9, 8)],
    'a reset of the wrong size': ['request', h2.frame(TYPES.rstStream, 0, 1, 'xxx')],
    'a PING of the wrong size': ['response', h2.frame(TYPES.ping, 0, 0, 'xxx')],
    'SETTINGS of a stream': ['response', h2.frame(TYPES.settings, 0, 1)],
    'SETTINGS of the wrong size': ['response', h2.frame(TYPES.settings, 0, 0, 'xxx')],
    'an acknowledgement with something in it': ['response', h2.frame(TYPES.settings, h2.ACK, 0, 'xxxxxx')],
    'a GOAWAY too short': ['response', h2.frame(TYPES.goaway, 0, 0, 'xxxx')],
    'a frame size that may not be set': ['response', h2.settings({ 5: 100 })],
    'a window update of the wrong size': ['response', h2.frame(TYPES.windowUpdate, 0, 0, 'xxx')],
    'a client that pushes': ['request', h2.frame(TYPES.pushPromise, h2.END_HEADERS, 1, 'xxxx')],
    'a CONTINUATION of nothing': ['request', h2.frame(TYPES.continuation, h2.END_HEADERS, 1, block)],
    'a CONTINUATION of another stream': [
      'request',
      Buffer.concat([h2.frame(TYPES.headers, 0, 3, block), h2.frame(TYPES.continuation, h2.END_HEADERS, 5)]),
    ],
    'a frame within a header block': [
      'request',
      Buffer.concat([h2.frame(TYPES.headers, 0, 3, block), h2.frame(TYPES.ping, 0, 0, '12345678')]),
    ],
    'padding longer than its HEADERS': ['request', h2.frame(TYPES.headers, h2.PADDED | h2.END_HEADERS, 3, '\x05xxx')],
    'padding longer than its DATA': ['request', h2.frame(TYPES.data, h2.PADDED, 1, '\x05xxx')],
    'a frame longer than announced': ['request', h2.frame(TYPES.data, 0, 1, 'x'.repeat(16_385))],
    'a header block that is none': ['request', h2.frame(TYPES.headers, h2.END_HEADERS, 3, '\x80')],
    'endless continuation': [
      'request',
      Buffer.concat([
        h2.frame(TYPES.headers, 0, 3, block),
        ...Array.from({ length: 2000 }, () => h2.frame(TYPES.continuation, 0, 3)),
      ]),
    ],
    'a header block of more than 1 MiB': [
      'request',
      Buffer.concat([
        h2.frame(TYPES.headers, 0, 3, block),
        ...Array.from({ length: 70 }, () => h2.frame(TYPES.continuation, 0, 3, Buffer.alloc(16_000))),
      ]),
    ],
  };
  for (const [name, [side, bytes]] of Object.entries(cases)) {
    test(name, () => {
      for (const size of [bytes.length, 1000]) {
        const player = begin();
        player.request(h2.request(1, {}, h2.END_HEADERS));
        for (let at = 0; at < bytes.length; at += size) player.say(side, bytes.subarray(at, at + size));
        player.say(side, Buffer.from('whatever'));
        assert.equal(player.recorder.gaveUp, 'malformed');
        assert.equal(player.figure('dropped malformed_message'), player.recorder.seenCount - player.transactions.length);
        assert.equal(player.imbalance(), undefined);
      }
    });
  }

  test('a client that has no preface', () => {
    const player = new Player();
    player.response(h2.settings());
    player.request(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    assert.equal(player.recorder.gaveUp, 'not_http');
    assert.equal(player.imbalance(), undefined);
  });

  test('a server that does not begin with SETTINGS', () => {
    const player = new Player();
    player.request(h2.PREFACE, h2.settings());
    player.response(h2.frame(TYPES.ping, 0, 0, '12345678'));
    assert.equal(player.recorder.gaveUp, 'malformed');
    assert.equal(player.imbalance(), undefined);
  });
});

test('frames may be as long as the other side allows', () => {
  const player = begin();
  player.response(h2.settings({ 5: 100_000 }));
  player.request(h2.request(1, {}, h2.END_HEADERS), h2.data(1, 100_000));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(only(player).request.bodySize, 100_000);
});

test('frames of unknown types are passed over', () => {
  const player = begin();
  player.request(h2.frame(0x42, 0xff, 7, 'x'.repeat(100)), h2.request(1));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  only(player);
  assert.equal(player.figure('skipped'), 100);
});

test('a connection that closes cuts what is open, at the end of the answers if that came before', () => {
  const player = begin();
  player.request(h2.request(1));
  player.response(h2.response(1), h2.data(1, 10, 0));
  player.conversation.end('response', 5);
  player.request(h2.request(3));
  player.close('connection_reset');
  assert.equal(player.imbalance(), undefined);
  assert.deepEqual(
    player.transactions.map(({ abort, response, end }) => [abort, response?.statusCode, response?.bodySize, end]),
    [
      ['connection_reset', 200, undefined, 5],
      ['connection_reset', undefined, undefined, 5],
    ],
  );
});

test('what is open at the end of the receiver is counted', () => {
  const player = begin();
  player.request(h2.request(1));
  assert.equal(player.conversation.openTransactions(), 1);
  assert.equal(player.imbalance(), undefined);
  assert.equal(player.figure('dropped open_at_exit'), 1);
});

test('an answer to what was not asked is counted, and a request that it came before is dropped', () => {
  const player = begin();
  player.response(h2.response(3, {}, h2.END_HEADERS | h2.END_STREAM));
  player.request(h2.request(1), h2.request(3));
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  only(player);
  assert.equal(player.figure('count response_without_request'), 1);
  assert.equal(player.figure('dropped bytes_lost'), 1);
});

test('a long DATA frame is stepped over, once', () => {
  const player = begin();
  player.request(h2.request(1, {}, h2.END_HEADERS));
  const frame = h2.data(1, 16_000);
  const end = player.position.request + frame.length;
  player.request(frame.subarray(0, 100));
  player.request(frame.subarray(100, 200));
  player.missing('request', frame.length - 200);
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(only(player).request.bodySize, 16_000);
  const wishes = player.recorder.wishes.filter((wish) => wish.startsWith('step'));
  assert.deepEqual(wishes, [`step over request to ${String(end)}`]);
});

test('the kernel is told where the next frame begins, as long as nothing was lost', () => {
  const player = begin();
  const told = (): string | undefined => player.recorder.wishes.filter((wish) => wish.startsWith('follow')).at(-1);
  const here = (): string => `follow request frames from ${String(player.position.request)}`;
  const head = h2.request(1, {}, h2.END_HEADERS);
  player.request(head.subarray(0, 20));
  assert.notEqual(told(), here(), 'within a header block nothing is known');
  player.request(head.subarray(20));
  assert.equal(told(), here());
  const data = h2.data(1, 500);
  const end = player.position.request + data.length;
  player.request(data.subarray(0, 5));
  player.request(data.subarray(5, 100));
  assert.equal(told(), `follow request frames from ${String(end)}`, 'behind the DATA frame that is under way');
  player.missing('request', data.length - 100 + 7);
  player.request(h2.request(3));
  assert.equal(told(), `follow request frames from ${String(end)}`, 'behind lost bytes it would be a guess');
  player.response(h2.response(1));
  assert.equal(told(), `follow response frames from ${String(player.position.response)}`, 'the other direction is another one');
});

test('what is under way can be asked for, and the last that ended', () => {
  const player = begin();
  const position = player.position.request;
  player.request(h2.request(1), h2.request(3, { ':path': '/3' }));
  assert.equal(player.conversation.exchangeAt(position)?.request.target, '/');
  player.response(h2.response(1, {}, h2.END_HEADERS | h2.END_STREAM));
  assert.equal(player.conversation.exchangeAt(position)?.isOver, true);
  const present = player.conversation.present(10);
  assert.deepEqual([present.open.map(({ request }) => request.target), present.last?.request.target], [['/3'], '/']);
  player.conversation.settle?.(2e9);
  assert.equal(player.conversation.exchangeAt(position), undefined);
  assert.equal(player.conversation.present(10).last?.request.target, '/');
  const { protocol, pairing, open, open_exchanges: exchanges } = player.conversation.inspect(1e6 + 3);
  assert.deepEqual([protocol, pairing, open, exchanges[0]?.age_ms], ['http/2', 'by stream', 1, 1]);
});

test('an answer that came as long as its head had told is whole, though its client leaves before the end of the stream', () => {
  const ends: Readonly<Record<string, (player: Player) => void>> = {
    closed: (player) => player.close(),
    'reset by the client': (player) => player.request(h2.frame(TYPES.rstStream, 0, 1, h2.uint32(8))),
  };
  for (const [name, leave] of Object.entries(ends)) {
    const player = begin({ role: 'client' });
    player.request(h2.request(1));
    player.response(h2.response(1, { 'content-length': '100' }));
    player.response(h2.data(1, 60, 0));
    player.response(h2.data(1, 40, 0));
    leave(player);
    const { abort, reset, response, end } = only(player);
    assert.deepEqual([abort, reset, response, end], [undefined, undefined, { statusCode: 200, bodySize: 100 }, 6], name);
  }
});

test('what ends otherwise than as long as told is not whole', () => {
  const outcomes = ['99', '101', 'x', undefined].map((length) => {
    const player = begin({ role: 'client' });
    player.request(h2.request(1));
    player.response(h2.response(1, length === undefined ? {} : { 'content-length': length }));
    player.response(h2.data(1, 100, 0));
    player.close();
    const { abort, response } = only(player);
    return [abort, response?.bodySize];
  });
  assert.deepEqual(
    outcomes,
    Array.from({ length: 4 }, () => ['connection_closed', undefined]),
  );
  const player = begin();
  player.request(h2.request(1));
  player.response(h2.response(1, { 'content-length': '100' }));
  player.response(h2.data(1, 100, 0));
  player.response(h2.frame(TYPES.rstStream, 0, 1, h2.uint32(2)));
  assert.equal(only(player).reset, 'INTERNAL_ERROR');
});
