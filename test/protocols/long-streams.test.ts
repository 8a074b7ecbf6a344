// Exchanges of hours, as watches, chats and server-sent events are: they end with their true duration, and while they last nothing grows.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'node:test';
import type { Conversation, Protocol, Side } from '../../receiver/model/protocol.ts';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';
import { createHttp2 } from '../../receiver/protocols/http2/protocol.ts';
import { connectionOf, Recorder } from './http1/replay.ts';
import * as h2 from './http2/frames.ts';

const SECOND = 1e9;
const HOUR = 3600 * SECOND;
const messages = 50_000;
/** What the engine itself may need meanwhile. */
const MAX_GROWTH_BYTES = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapSize(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

class LongConnection {
  readonly recorder = new Recorder();
  readonly conversation: Conversation;
  readonly #position = { request: 0, response: 0 };
  time = 0;

  constructor(protocol: Protocol) {
    this.conversation = protocol.open(connectionOf('server'), 'beginning', this.recorder);
    // Of a stream whose bodies need not be copied the kernel is told again and again; nobody keeps that.
    this.recorder.stepOver = () => undefined;
    this.recorder.stepOverChunks = () => undefined;
    this.recorder.followFrames = () => undefined;
  }

  say(side: Side, ...parts: readonly (Uint8Array | string)[]): void {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1')));
    const position = this.#position[side];
    const other = this.#position[side === 'request' ? 'response' : 'request'];
    this.#position[side] += bytes.length;
    this.conversation.data(side, bytes, 0, bytes.length, position, true, other, this.time, { pid: 1, startTime: 1 });
  }

  /** `messages` times what happens, evenly over `hours`, and what the receiver does every so often. */
  last(hours: number, happen: () => void): void {
    const start = this.time;
    for (let i = 1; i <= messages; i++) {
      this.time = start + Math.round((hours * HOUR * i) / messages);
      happen();
      this.conversation.settle?.(this.time);
    }
  }
}

test('a bidirectional call of two days, with others beside it', () => {
  const connection = new LongConnection(createHttp2());
  const fields = { ':method': 'POST', ':path': '/a.B/Watch', 'content-type': 'application/grpc' };
  connection.say('request', h2.PREFACE, h2.settings(), h2.request(1, fields, h2.END_HEADERS));
  connection.say('response', h2.settings(), h2.response(1, { 'content-type': 'application/grpc' }));
  const whole = h2.END_HEADERS | h2.END_STREAM;
  let stream = 1;
  const turn = (): void => {
    connection.say('request', h2.data(1, 20, 0), h2.frame(h2.TYPES.ping, 0, 0, '12345678'));
    connection.say('response', h2.data(1, 100, 0), h2.frame(h2.TYPES.windowUpdate, 0, 1, h2.uint32(20)));
    stream += 2;
    connection.say('request', h2.request(stream));
    connection.say('response', h2.response(stream, {}, whole));
    connection.recorder.transactions.length = 0;
  };
  connection.last(1, turn);
  const before = heapSize();
  connection.last(47, turn);
  assert.ok(heapSize() - before < MAX_GROWTH_BYTES, `${String(heapSize() - before)} bytes`);
  connection.say('request', h2.data(1, 0));
  connection.say('response', h2.frame(h2.TYPES.headers, whole, 1, h2.literals({ 'grpc-status': '0' })));
  const [call] = connection.recorder.transactions;
  assert.deepEqual([call?.start, call?.end, call?.rpc?.statusCode], [0, 48 * HOUR, 0]);
  assert.deepEqual([call?.request.bodySize, call?.response?.bodySize], [40 * messages, 200 * messages]);
});

test('server-sent events of two days', () => {
  const connection = new LongConnection(createHttp1());
  connection.say('request', 'GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
  connection.say('response', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  const turn = (): void => connection.say('response', 'a\r\ndata: abc\n\r\n');
  connection.last(1, turn);
  const before = heapSize();
  connection.last(47, turn);
  assert.ok(heapSize() - before < MAX_GROWTH_BYTES, `${String(heapSize() - before)} bytes`);
  connection.say('response', '0\r\n\r\n');
  const [exchange] = connection.recorder.transactions;
  assert.deepEqual([exchange?.start, exchange?.end, exchange?.response?.bodySize], [0, 48 * HOUR, 20 * messages]);
});
