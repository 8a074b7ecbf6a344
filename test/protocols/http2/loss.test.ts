// Bytes that were lost, and connections whose beginning was not seen: what is told is so, and what cannot be is counted.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as h2 from './frames.ts';
import { Player, type PlayerOptions } from './player.ts';

const { TYPES } = h2;
const whole = h2.END_HEADERS | h2.END_STREAM;

function begin(options: PlayerOptions = {}): Player {
  const player = new Player(options);
  player.request(h2.PREFACE, h2.settings());
  player.response(h2.settings());
  return player;
}

/** As the kernel tells of bytes that begin with a frame. */
function framed(player: Player, side: 'request' | 'response', bytes: Buffer): void {
  for (const part of new h2.Framing(bytes, 0).parts(0, bytes.length)) player.framed(side, part);
}

function told(player: Player): readonly (readonly unknown[])[] {
  assert.equal(player.imbalance(), undefined);
  return player.transactions.map(({ request, response, reset, abort }) => [request.target, response?.statusCode, reset ?? abort]);
}

test('DATA that was not copied is none lost', () => {
  const player = begin();
  player.request(h2.request(1, {}, h2.END_HEADERS), h2.data(1, 500).subarray(0, 9));
  player.missing('request', 500, 'capture_window');
  player.response(h2.response(1), h2.data(1, 100).subarray(0, 50));
  player.missing('response', 59, 'capture_window');
  assert.deepEqual(told(player), [['/', 200, undefined]]);
  assert.deepEqual([player.transactions[0]?.request.bodySize, player.transactions[0]?.response?.bodySize], [500, 100]);
});

describe('where requests were lost', () => {
  test('those behind are found where frames are followed', () => {
    const player = begin();
    player.request(h2.request(1));
    player.missing('request', 100);
    framed(player, 'request', h2.request(5, { ':path': '/5' }));
    player.response(h2.response(1, {}, whole), h2.response(3, {}, whole), h2.response(5, {}, whole));
    assert.deepEqual(told(player), [
      ['/', 200, undefined],
      ['/5', 200, undefined],
    ]);
    assert.equal(player.figure('lost ring_full'), 100);
    assert.equal(player.figure('count resynchronised'), 1);
  });

  test('in the middle of a frame, those behind it are found', () => {
    const player = begin();
    player.missing('request', 10);
    const bytes = Buffer.concat([h2.data(1, 100), h2.request(3)]);
    for (const part of new h2.Framing(bytes, 0).parts(50, bytes.length)) player.framed('request', part);
    player.response(h2.response(3, {}, whole));
    assert.deepEqual(told(player), [['/', 200, undefined]]);
    assert.equal(player.figure('lost resynchronising'), 59);
  });

  test('one whose method or path is in a lost entry is not told', () => {
    const player = begin();
    player.request(h2.frame(TYPES.headers, whole, 1, Buffer.concat([h2.literals(h2.GET), h2.inserted('host', 'a')])));
    player.missing('request', 100);
    const known = h2.literals(h2.GET);
    const noPath = Buffer.concat([h2.literals({ ':method': 'GET', ':scheme': 'http' }), h2.indexed(62)]);
    framed(player, 'request', h2.frame(TYPES.headers, whole, 3, noPath));
    framed(player, 'request', h2.frame(TYPES.headers, whole, 5, Buffer.concat([known, h2.indexed(62)])));
    for (const stream of [1, 3, 5]) player.response(h2.response(stream, {}, whole));
    assert.deepEqual(told(player), [
      ['/', 200, undefined],
      ['/', 200, undefined],
    ]);
    assert.equal(player.figure('dropped header_unknown'), 1);
  });

  test('one that may name a trace, in a field whose name is in a lost entry, is not told', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const player = begin();
    player.request(h2.request(1));
    player.missing('request', 100);
    const get = h2.literals(h2.GET);
    const traced = Buffer.concat([get, h2.insertedAs(62, traceparent)]);
    const again = Buffer.concat([get, h2.indexed(62)]);
    const anew = Buffer.concat([get, h2.insertedAs(62, traceparent.replace('0af7', '1bf8'))]);
    const other = Buffer.concat([get, h2.insertedAs(62, 'v'.repeat(traceparent.length))]);
    const named = Buffer.concat([get, h2.inserted('traceparent', traceparent), h2.insertedAs(64, traceparent)]);
    for (const [index, block] of [traced, again, anew, other, named].entries()) {
      framed(player, 'request', h2.frame(TYPES.headers, whole, 3 + 2 * index, block));
    }
    for (const stream of [1, 3, 5, 7, 9, 11]) player.response(h2.response(stream, {}, whole));
    assert.deepEqual(
      player.transactions.map(({ request }) => request.traceparent),
      [undefined, undefined, traceparent],
    );
    assert.equal(player.figure('dropped header_unknown'), 3);
    assert.equal(player.imbalance(), undefined);
  });

  test('one that may have been reset in them is not told as cut', () => {
    const player = begin();
    player.request(h2.request(1), h2.request(3, {}, h2.END_HEADERS));
    player.missing('request', 13);
    framed(player, 'request', h2.data(3, 10, 0));
    player.close();
    // Of stream 3 something came behind the gap.
    assert.deepEqual(told(player), [['/', undefined, 'connection_closed']]);
    assert.equal(player.figure('dropped bytes_lost'), 1);
    assert.equal(player.transactions[0]?.requestPosition, 33 + h2.request(1).length);
  });

  test('a request whose body had a gap is told without its size', () => {
    const player = begin();
    player.request(h2.request(1, {}, h2.END_HEADERS), h2.data(1, 10, 0));
    player.missing('request', 100);
    framed(player, 'request', h2.data(1, 10));
    player.response(h2.response(1, {}, whole));
    assert.deepEqual(told(player), [['/', 200, undefined]]);
    assert.equal(player.transactions[0]?.request.bodySize, undefined);
  });
});

describe('where answers were lost', () => {
  test('one that goes on behind them had not ended, and has no size', () => {
    const player = begin();
    player.request(h2.request(1), h2.request(3));
    player.response(h2.response(1), h2.response(3));
    player.missing('response', 100);
    framed(player, 'response', h2.data(1, 10));
    player.close();
    assert.deepEqual(told(player), [['/', 200, undefined]]);
    assert.equal(player.transactions[0]?.response?.bodySize, undefined);
    assert.equal(player.figure('dropped bytes_lost'), 1);
  });

  test('one whose head was among them is dropped, one whose head comes behind is told', () => {
    const player = begin();
    player.request(h2.request(1), h2.request(3), h2.request(5));
    player.missing('response', 100);
    framed(player, 'response', Buffer.concat([h2.data(1, 10), h2.response(3, {}, whole)]));
    framed(player, 'response', h2.frame(TYPES.headers, whole, 5, h2.literals({ 'x-sum': '1' })));
    assert.deepEqual(told(player), [['/', 200, undefined]]);
    assert.equal(player.figure('dropped bytes_lost'), 2);
  });

  test('a reset behind them says nothing of one that may have been over', () => {
    const player = begin();
    player.request(h2.request(1));
    player.response(h2.response(1));
    player.missing('response', 100);
    framed(player, 'response', h2.frame(TYPES.rstStream, 0, 1, h2.uint32(0)));
    assert.deepEqual(told(player), []);
    assert.equal(player.figure('dropped bytes_lost'), 1);
  });

  test('a request that comes before they are found again is in doubt', () => {
    const player = begin();
    player.missing('response', 100);
    player.request(h2.request(1));
    player.close();
    assert.deepEqual(told(player), []);
    assert.equal(player.figure('dropped bytes_lost'), 1);
  });

  test('a status in a lost entry is not told, unless it was an interim one', () => {
    const player = begin();
    player.request(h2.request(1), h2.request(3), h2.request(5));
    player.missing('response', 100);
    const unknown = h2.indexed(62);
    framed(player, 'response', h2.frame(TYPES.headers, h2.END_HEADERS, 1, unknown));
    framed(player, 'response', h2.response(1, { ':status': '204' }, whole));
    framed(player, 'response', Buffer.concat([h2.frame(TYPES.headers, h2.END_HEADERS, 3, unknown), h2.data(3, 1)]));
    framed(player, 'response', h2.frame(TYPES.headers, whole, 5, unknown));
    assert.deepEqual(told(player), [['/', 204, undefined]]);
    assert.equal(player.figure('dropped header_unknown'), 2);
  });

  test('a stream in doubt of which nothing is heard for a minute is dropped', () => {
    const player = begin();
    player.request(h2.request(1));
    player.missing('response', 100);
    player.conversation.settle?.(59e9);
    assert.equal(player.conversation.openTransactions(), 1);
    player.conversation.settle?.(61e9);
    assert.equal(player.conversation.openTransactions(), 0);
    assert.equal(player.figure('dropped bytes_lost'), 1);
  });
});

describe('gRPC with fields that are not known', () => {
  const call = { ':method': 'POST', ':path': '/a.B/C' };
  const unknown = h2.indexed(62);

  function ask(player: Player, ...fields: readonly Buffer[]): void {
    player.missing('request', 10);
    framed(player, 'request', h2.frame(TYPES.headers, whole, 1, Buffer.concat([h2.literals({ ...h2.GET, ...call }), ...fields])));
  }

  test('its answer tells whether it is a call', () => {
    for (const [type, system] of [
      ['application/grpc', 'grpc'],
      ['text/plain', undefined],
    ] as const) {
      const player = begin();
      ask(player, unknown);
      player.response(h2.response(1, { 'content-type': type, 'grpc-status': '0' }, whole));
      assert.equal(player.imbalance(), undefined);
      assert.equal(player.transactions[0]?.rpc?.system, system);
    }
  });

  const endings: readonly (readonly [string, readonly Buffer[], string | undefined])[] = [
    ['a body', [h2.frame(TYPES.headers, h2.END_HEADERS, 1, Buffer.concat([h2.indexed(8), unknown])), h2.data(1, 5)], undefined],
    [
      'fields behind a body, without a status',
      [
        h2.frame(TYPES.headers, h2.END_HEADERS, 1, Buffer.concat([h2.indexed(8), unknown])),
        h2.frame(TYPES.headers, whole, 1, h2.literals({ 'x-sum': '1' })),
      ],
      undefined,
    ],
    [
      'a status behind a body',
      [
        h2.frame(TYPES.headers, h2.END_HEADERS, 1, Buffer.concat([h2.indexed(8), unknown])),
        h2.frame(TYPES.headers, whole, 1, h2.literals({ 'grpc-status': '0' })),
      ],
      'grpc',
    ],
  ];
  for (const [name, frames, system] of endings) {
    test(`or with what it ends: ${name}`, () => {
      const player = begin();
      ask(player, unknown);
      player.missing('response', 10);
      framed(player, 'response', Buffer.concat(frames));
      assert.equal(player.imbalance(), undefined);
      assert.deepEqual(
        player.transactions.map(({ rpc }) => rpc?.system),
        [system],
      );
    });
  }

  test('where neither tells, nothing is told', () => {
    const heads = [
      Buffer.concat([h2.indexed(8), unknown]),
      Buffer.concat([h2.literals({ ':status': '200', 'grpc-status': '0' }), unknown]),
    ];
    for (const head of heads) {
      const player = begin();
      ask(player, unknown);
      player.missing('response', 10);
      framed(player, 'response', h2.frame(TYPES.headers, whole, 1, head));
      assert.deepEqual(told(player), []);
      assert.equal(player.figure('dropped header_unknown'), 1);
    }
  });

  test('a path that no call has is none', () => {
    for (const path of ['/', '/x', '/a/b?c=d', '/x/']) {
      const player = begin();
      player.missing('request', 10);
      const block = Buffer.concat([h2.literals({ ...h2.GET, ':method': 'POST', ':path': path }), unknown]);
      framed(player, 'request', h2.frame(TYPES.headers, whole, 1, block));
      player.close();
      assert.equal(told(player).length, path === '/x/' ? 0 : 1, path);
    }
  });

  test('a status that may be in a lost entry is not told as missing', () => {
    const player = begin();
    player.request(h2.request(1, { ...call, 'content-type': 'application/grpc' }));
    player.missing('response', 10);
    framed(player, 'response', h2.response(1));
    framed(player, 'response', h2.frame(TYPES.headers, whole, 1, unknown));
    assert.deepEqual(told(player), []);
    assert.equal(player.figure('dropped header_unknown'), 1);
  });
});

test('what the kernel says of frames counts, where it is not what was read', () => {
  const player = begin();
  player.framed('request', { size: 20, bytes: Buffer.alloc(20, 0xff), toFrame: 20, isInData: false });
  framed(player, 'request', h2.request(1));
  player.response(h2.response(1, {}, whole));
  assert.deepEqual(told(player), [['/', 200, undefined]]);
  assert.equal(player.figure('lost resynchronising'), 20);
});

test('after a loss nobody knows how long the frames of the other side may be', () => {
  const player = begin();
  // It may have been SETTINGS.
  player.missing('response', 15);
  player.request(h2.request(1, {}, h2.END_HEADERS), h2.data(1, 100_000));
  framed(player, 'response', h2.response(1, {}, whole));
  assert.deepEqual(told(player), [['/', 200, undefined]]);
  assert.equal(player.transactions[0]?.request.bodySize, 100_000);
});

test('framed bytes that end early are lost from there on', () => {
  const player = begin();
  const bytes = Buffer.concat([h2.request(1), h2.request(3)]);
  player.framed('request', { size: bytes.length, bytes: bytes.subarray(0, h2.request(1).length), toFrame: 0, isInData: false });
  framed(player, 'request', h2.request(5, { ':path': '/5' }));
  for (const stream of [1, 3, 5]) player.response(h2.response(stream, {}, whole));
  assert.deepEqual(told(player), [
    ['/', 200, undefined],
    ['/5', 200, undefined],
  ]);
  assert.equal(player.figure('lost capture_window'), h2.request(3).length);
});

test('padding that is left out leaves the size open', () => {
  const player = begin();
  player.request(h2.request(1));
  const padded = h2.frame(TYPES.data, h2.PADDED | h2.END_STREAM, 1, Buffer.from('\x02xxxx\0\0'));
  framed(player, 'response', Buffer.concat([h2.response(1), padded]));
  assert.deepEqual(told(player), [['/', 200, undefined]]);
  assert.equal(player.transactions[0]?.response?.bodySize, undefined);
});

test('I/O out of order makes the tables unknown, and what is open doubtful', () => {
  const player = begin();
  player.request(h2.frame(TYPES.headers, whole, 1, Buffer.concat([h2.literals(h2.GET), h2.inserted('host', 'a')])));
  player.conversation.unordered('request');
  framed(player, 'request', h2.frame(TYPES.headers, whole, 3, Buffer.concat([h2.literals(h2.GET), h2.indexed(62)])));
  player.close();
  assert.equal(player.imbalance(), undefined);
  assert.deepEqual(
    player.transactions.map(({ request, abort }) => [request.host, abort]),
    [['a.example', 'connection_closed']],
  );
  assert.equal(player.figure('dropped bytes_lost'), 1);
});

describe('a connection that is joined in the middle', () => {
  test('is found where an I/O begins with frames, and proven by a request', () => {
    const player = new Player({ start: 'middle' });
    player.response(h2.data(7, 100));
    player.request(Buffer.from('the rest of something'));
    assert.equal(player.conversation.inspect(0).pairing, 'unproven');
    player.request(h2.request(9, { ':path': '/9' }));
    player.response(h2.data(7, 100), h2.response(9, {}, whole));
    player.request(h2.request(11, { ':path': '/11' }));
    player.response(h2.response(11, {}, whole));
    assert.deepEqual(told(player), [
      ['/9', 200, undefined],
      ['/11', 200, undefined],
    ]);
    assert.equal(player.conversation.inspect(0).pairing, 'by stream');
  });

  test('a field of an entry from before is not known', () => {
    const player = new Player({ start: 'boundary' });
    player.request(h2.frame(TYPES.headers, whole, 9, Buffer.concat([h2.literals(h2.GET), h2.indexed(70)])));
    player.response(h2.response(9, {}, whole));
    assert.deepEqual(told(player), [['/', 200, undefined]]);
  });

  test('what only looks like frames is left when it goes wrong', () => {
    const player = new Player({ start: 'middle' });
    const ping = h2.frame(TYPES.ping, 0, 0, '12345678');
    player.request(ping, ping, Buffer.from([0, 0]));
    player.request(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    player.request(h2.request(9, { ':path': '/9' }));
    player.response(h2.response(9, {}, whole));
    assert.equal(player.recorder.gaveUp, undefined);
    assert.deepEqual(told(player), [['/9', 200, undefined]]);
  });

  test('nothing is told of a stream whose request was not seen', () => {
    const player = new Player({ start: 'middle' });
    player.request(h2.data(7, 10, 0));
    player.response(h2.response(7, {}, whole));
    player.close();
    assert.deepEqual(told(player), []);
    assert.equal(player.recorder.seenCount, 0);
  });
});
