import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingThreads } from '../../receiver/attribution/serving-threads.ts';
import type { Exchange } from '../../receiver/model/exchange.ts';
import type { IoEvent } from '../../receiver/model/stream-event.ts';
import { transactionOf } from '../protocols/http/transaction.ts';

const SERVER = 1;
const OTHER_SERVER = 2;
/** A session of which it is not known yet whose it is. */
const UNBOUND = 3;
const CLIENT = 10;
const PROCESS = { pid: 7, startTime: 70 };
const THREAD = 8;

/** A process with some server connections and a client's. */
function bench(options: { isPublishing?: boolean; maxThreads?: number } = {}) {
  const threads = new ServingThreads({
    maxThreads: options.maxThreads ?? 10,
    roleOf: (connection) => (connection === UNBOUND ? undefined : connection === CLIENT ? 'client' : 'server'),
    isPublishing: () => options.isPublishing ?? false,
  });
  const io = (connection: number, isSent: boolean, variation: Partial<IoEvent> = {}): IoEvent => {
    const event: IoEvent = {
      connection,
      time: 1,
      process: PROCESS,
      tid: THREAD,
      isSent,
      isIoStart: true,
      isBlocking: !isSent,
      isUnordered: false,
      isResumed: false,
      position: 100,
      otherPosition: 0,
      size: 50,
      captured: 50,
      missing: undefined,
      isFramed: false,
      toFrame: 0,
      isInData: false,
      bytes: new Uint8Array(50),
      from: 0,
      context: undefined,
      ...variation,
    };
    threads.io(event);
    return event;
  };
  const exchangeOf = (role: 'client' | 'server', event: IoEvent, traceparent?: string): Exchange => {
    const { exchange } = transactionOf({ role, request: { traceparent } });
    return {
      ...exchange,
      connection: { ...exchange.connection, id: event.connection },
      process: event.process,
      position: event.position,
      isOver: false,
      servedBy: undefined,
    };
  };
  /** A request comes whose head is whole. */
  const serve = (connection: number, variation: Partial<IoEvent> = {}): Exchange => {
    const event = io(connection, false, variation);
    const exchange = exchangeOf('server', event);
    threads.requested(exchange, event);
    return exchange;
  };
  /** What the request that is made now is served by. */
  const ask = (variation: Partial<IoEvent> = {}, traceparent?: string): Exchange | undefined => {
    const event = io(CLIENT, true, variation);
    const exchange = exchangeOf('client', event, traceparent);
    threads.requested(exchange, event);
    return exchange.servedBy;
  };
  /** Another request in the bytes of the last I/O. */
  const pipeline = (event: IoEvent): void => {
    threads.requested({ ...exchangeOf('server', event), position: event.position + 10 }, event);
  };
  const hold = (exchange: Exchange, event: IoEvent): void => {
    threads.requested(exchange, event);
  };
  return { io, serve, ask, pipeline, hold, exchangeOf };
}

test('a thread that has waited for a request serves it until it answers', () => {
  const { io, serve, ask } = bench();
  assert.equal(ask(), undefined);
  const served = serve(SERVER);
  assert.equal(ask(), served);
  io(SERVER, false, { position: 150, isBlocking: false });
  assert.equal(ask(), served, 'its body came, and it asks again');
  io(SERVER, true);
  assert.equal(ask(), undefined, 'it has begun to answer');
  assert.equal(ask({ position: 200 }), undefined);
  const next = serve(SERVER, { position: 200 });
  assert.equal(ask(), next);
});

test('a request that was read without waiting is nobody in particular serving', () => {
  const { serve, ask } = bench();
  serve(SERVER, { isBlocking: false });
  assert.equal(ask(), undefined);
});

test('other threads, other processes and a thread id that is used again serve nothing', () => {
  const { serve, ask } = bench();
  serve(SERVER);
  assert.equal(ask({ tid: 9 }), undefined);
  assert.equal(ask({ process: { pid: 7, startTime: 71 } }), undefined);
});

test('a thread that turns to a second request before it has answered the first says nothing from then on', () => {
  const { io, serve, ask } = bench();
  serve(SERVER);
  serve(OTHER_SERVER);
  assert.equal(ask(), undefined);
  io(SERVER, true);
  io(OTHER_SERVER, true);
  serve(SERVER);
  assert.equal(ask(), undefined);
});

test('a request with a traceparent is no business of threads, nor is one of a process that publishes contexts', () => {
  const one = bench();
  one.serve(SERVER);
  assert.equal(one.ask({}, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'), undefined);
  const other = bench({ isPublishing: true });
  other.serve(SERVER);
  assert.equal(other.ask(), undefined);
});

test('of two requests that came at once neither is told to be served', () => {
  const { io, ask, pipeline } = bench();
  const event = io(SERVER, false);
  pipeline(event);
  pipeline({ ...event, position: event.position + 10 });
  assert.equal(ask(), undefined);
});

test('a head that was complete before its request was told of says nothing', () => {
  const { io, serve, ask, hold, exchangeOf } = bench();
  const first = io(SERVER, false);
  hold(exchangeOf('server', first), io(SERVER, false, { position: 150 }));
  assert.equal(ask(), undefined, 'the thread of its last bytes need not be that of its first');
  serve(OTHER_SERVER, { tid: 20 });
  const asked = io(CLIENT, true, { tid: 20 });
  const exchange = exchangeOf('client', asked);
  hold(exchange, io(CLIENT, false, { tid: 20, isBlocking: false }));
  assert.equal(exchange.servedBy, undefined, 'told of when its answer came');
});

test('what a thread has read for a TLS session that was bound only afterwards is not what it has waited for', () => {
  const { io, ask, hold, exchangeOf } = bench();
  io(SERVER, false);
  const session = io(UNBOUND, false, { isBlocking: false });
  hold(exchangeOf('server', session), session);
  assert.equal(ask(), undefined);
});

test('a thread that has published a context says nothing', () => {
  const { serve, ask } = bench();
  serve(SERVER, { context: {} as NonNullable<IoEvent['context']> });
  assert.equal(ask(), undefined);
});

test('what is kept of threads is bounded', () => {
  const { serve, ask } = bench({ maxThreads: 2 });
  serve(SERVER);
  serve(OTHER_SERVER, { tid: 20 });
  serve(4, { tid: 21 });
  assert.equal(ask(), undefined);
  assert.notEqual(ask({ tid: 21 }), undefined);
});
