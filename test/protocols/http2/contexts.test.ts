// Whose a thread's context is: the stream's whose HEADERS its I/O carries, if it carries those of no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side } from '../../../receiver/model/protocol.ts';
import * as h2 from './frames.ts';
import { Player } from './player.ts';

const whole = h2.END_HEADERS | h2.END_STREAM;

/** Spans that requests and responses were moved in, by target. */
class Bench {
  readonly player: Player;
  readonly requests = new Map<string, string | undefined>();
  readonly responses = new Map<string, string | undefined>();

  constructor(role: 'client' | 'server') {
    this.player = new Player({ role });
    // The recorder keeps copies; what counts is what an exchange has at the moment it is told.
    const tell = this.player.recorder.transaction.bind(this.player.recorder);
    this.player.recorder.transaction = (transaction) => {
      const { target } = transaction.request;
      this.requests.set(target, transaction.exchange.requestContext?.context.spanId);
      this.responses.set(target, transaction.exchange.responseContext?.context.spanId);
      tell(transaction);
    };
    this.player.request(h2.PREFACE, h2.settings());
    this.player.response(h2.settings());
  }

  /** One I/O, in parts of `size`, moved in the span. */
  say(side: Side, spanId: string, bytes: Buffer, size = bytes.length): void {
    const total = bytes.length;
    const start = this.player.position[side];
    for (let at = 0; at < total; at += size) {
      const context = { traceId: 'a'.repeat(32), spanId, flags: 1, traceState: undefined };
      this.player.conversation.threadContext(side, {
        position: start,
        end: start + total,
        context: context as never,
        record: undefined,
      });
      this.player.say(side, bytes.subarray(at, at + size), at === 0);
    }
  }
}

test("an I/O with one stream's HEADERS is that stream's, wherever they stand in it", () => {
  for (const size of [1, 7, 1000]) {
    const bench = new Bench('client');
    bench.say('request', 'a', Buffer.concat([h2.frame(h2.TYPES.ping, 0, 0, '12345678'), h2.request(1, { ':path': '/1' })]), size);
    bench.player.response(h2.response(1, {}, whole));
    assert.deepEqual([...bench.requests], [['/1', 'a']]);
  }
});

test("a response's is that of its head, with its body and trailers in the same I/O or not", () => {
  const bench = new Bench('server');
  bench.player.request(h2.request(1, { ':path': '/1' }), h2.request(3, { ':path': '/3' }));
  const trailers = h2.frame(h2.TYPES.headers, whole, 1, h2.literals({ 'grpc-status': '0' }));
  bench.say('response', 'a', Buffer.concat([h2.response(1), h2.data(1, 5, 0), trailers]));
  bench.say('response', 'b', h2.response(3));
  bench.say('response', 'c', h2.data(3, 5));
  assert.deepEqual(
    [...bench.responses],
    [
      ['/1', 'a'],
      ['/3', 'b'],
    ],
  );
});

test("an I/O with the HEADERS of two is nobody's, also of one that is over before the second comes", () => {
  for (const size of [1, 50, 1000]) {
    const bench = new Bench('server');
    bench.player.request(h2.request(1, { ':path': '/1' }), h2.request(3, { ':path': '/3' }));
    bench.say('response', 'a', Buffer.concat([h2.response(1, {}, whole), h2.response(3, {}, whole)]), size);
    assert.deepEqual(
      [...bench.responses],
      [
        ['/1', undefined],
        ['/3', undefined],
      ],
    );
    assert.equal(bench.player.imbalance(), undefined);
  }
});

test("one that ends within a header block, or begins in one, is nobody's", () => {
  const bench = new Bench('client');
  const second = h2.request(3, { ':path': '/3' });
  bench.say('request', 'a', Buffer.concat([h2.request(1, { ':path': '/1' }), second.subarray(0, 20)]));
  bench.say('request', 'b', Buffer.concat([second.subarray(20), h2.request(5, { ':path': '/5' })]));
  for (const stream of [1, 3, 5]) bench.player.response(h2.response(stream, {}, whole));
  assert.deepEqual([...bench.requests.values()], [undefined, undefined, undefined]);
});

test("one of which bytes were lost is nobody's", () => {
  const bench = new Bench('server');
  bench.player.request(h2.request(1, { ':path': '/1' }));
  const head = h2.response(1, {}, whole);
  const { player } = bench;
  player.context('response', head.length + 50, 'a');
  player.response(head);
  assert.equal(player.transactions.length, 0, 'it waits for the end of the I/O');
  player.missing('response', 50);
  assert.deepEqual([...bench.responses], [['/1', undefined]]);
});

test("one that the kernel sees begin within a frame, where none was under way, is nobody's", () => {
  const bench = new Bench('server');
  bench.player.request(h2.request(1, { ':path': '/1' }));
  const head = h2.response(1, {}, whole);
  const bytes = Buffer.concat([Buffer.alloc(20, 0xff), head]);
  bench.player.context('response', bytes.length, 'a');
  bench.player.framed('response', { size: bytes.length, bytes, toFrame: 20, isInData: false });
  assert.deepEqual([...bench.responses], [['/1', undefined]]);
});

test('what waits for the end of its I/O is told when the connection closes before', () => {
  const bench = new Bench('server');
  bench.player.request(h2.request(1, { ':path': '/1' }));
  const head = h2.response(1, {}, whole);
  bench.player.context('response', head.length + 50, 'a');
  bench.player.response(head);
  bench.player.close();
  assert.deepEqual([...bench.responses], [['/1', undefined]]);
  assert.equal(bench.player.imbalance(), undefined);
});

test("a server's thread that reads a request in the span of the last answer is not in this one's", () => {
  const bench = new Bench('server');
  bench.say('request', 'x', h2.request(1, { ':path': '/1' }));
  bench.say('response', 'a', h2.response(1, {}, whole));
  bench.say('request', 'a', h2.request(3, { ':path': '/3' }));
  bench.say('response', 'b', h2.response(3, {}, whole));
  assert.deepEqual([...bench.requests.values()], ['x', undefined]);
});
