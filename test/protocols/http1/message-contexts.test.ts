// Which exchange gets the context of an I/O: the one whose message begins in it, and nobody if there are several.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectionInfo } from '../../../receiver/model/connection.ts';
import { type Exchange, threadContextOf } from '../../../receiver/model/exchange.ts';
import type { Conversation, Side } from '../../../receiver/model/protocol.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';
import { connectionOf, Recorder } from './replay.ts';

const owner = { pid: 1, startTime: 1 };
const request = 'GET / HTTP/1.1\r\n\r\n';
const response = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

class Talk {
  readonly recorder = new Recorder();
  readonly #conversation: Conversation;
  readonly #position = { request: 0, response: 0 };

  constructor(role: Exclude<ConnectionInfo['role'], 'unknown'>) {
    this.#conversation = createHttp1().open(connectionOf(role), 'beginning', this.recorder);
  }

  /** One I/O by a thread in that span ('': in none), handed over in parts. */
  io(side: Side, spanId: string, ...parts: readonly string[]): this {
    const position = this.#position[side];
    const end = position + parts.join('').length;
    const context = { traceId: 'a'.repeat(32), spanId, flags: 1, traceState: '' };
    const ioContext = { position, end, context, record: undefined };
    for (const [index, part] of parts.entries()) {
      const bytes = Buffer.from(part);
      const other = this.#position[side === 'request' ? 'response' : 'request'];
      if (spanId !== '') this.#conversation.threadContext(side, ioContext);
      this.#conversation.data(side, bytes, 0, bytes.length, this.#position[side], index === 0, other, 1, owner);
      this.#position[side] += bytes.length;
    }
    return this;
  }

  get exchanges(): readonly Exchange[] {
    return this.recorder.transactions.map(({ exchange }) => exchange);
  }

  /** Span of each transaction's thread context, '' for none. */
  get spanIds(): readonly string[] {
    return this.exchanges.map((exchange) => threadContextOf(exchange)?.context.spanId ?? '');
  }
}

describe('the context of a server transaction', () => {
  test('is that of the response, whatever was published as the request came', () => {
    const talk = new Talk('server').io('request', 'a', request).io('response', 'b', response);
    assert.deepEqual(talk.spanIds, ['b']);
    assert.equal(talk.exchanges[0]?.requestContext?.context.spanId, 'a');
  });

  test('is none where the response was written in no span: as the request came, the thread may still have been in the one before', () => {
    assert.deepEqual(new Talk('server').io('request', 'a', request).io('response', '', response).spanIds, ['']);
  });

  test('is not what the response before was written in and the thread has not left', () => {
    const talk = new Talk('server').io('request', '', request).io('response', 'a', response);
    talk.io('request', 'a', request).io('response', '', response);
    assert.deepEqual(talk.spanIds, ['a', '']);
  });

  test('is not that of an I/O with an interim response before its own', () => {
    const talk = new Talk('server').io('request', '', request).io('response', 'a', 'HTTP/1.1 103 Early Hints\r\n\r\n');
    talk.io('response', '', response);
    assert.deepEqual(talk.spanIds, ['']);
  });

  test("is nobody's if several responses were written at once", () => {
    const talk = new Talk('server').io('request', '', request + request).io('response', 'a', response + response);
    assert.deepEqual(talk.spanIds, ['', '']);
  });
});

describe('the context of a client transaction', () => {
  test('is that of the request, and the answer has none', () => {
    const talk = new Talk('client').io('request', 'a', request).io('response', 'b', response);
    assert.deepEqual(talk.spanIds, ['a']);
  });

  test("is that of the head's first byte", () => {
    const talk = new Talk('client')
      .io('request', 'a', 'GET / HT')
      .io('request', '', 'TP/1.1\r\n\r\n')
      .io('response', '', response);
    assert.deepEqual(talk.spanIds, ['a']);
  });

  test('is found though the head comes in several records', () => {
    const talk = new Talk('client').io('request', 'a', 'GET', ' / HTTP/1.1\r\n', '\r\n').io('response', '', response);
    assert.deepEqual(talk.spanIds, ['a']);
  });

  test("is nobody's if several requests were written at once", () => {
    const talk = new Talk('client').io('request', 'a', request + request).io('response', '', response + response);
    assert.deepEqual(talk.spanIds, ['', '']);
  });

  test("is nobody's if the next request's beginning was written with it", () => {
    const talk = new Talk('client').io('request', 'a', `${request}GET /`).io('response', '', response);
    talk.io('request', 'b', request.slice(5)).io('response', '', response);
    assert.deepEqual(talk.spanIds, ['', '']);
  });

  test('is its own though its body comes with it, or later', () => {
    const post = 'POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n';
    const talk = new Talk('client').io('request', 'a', post, 'body').io('response', '', response);
    talk.io('request', 'b', post).io('request', '', 'body').io('response', '', response);
    talk.io('request', 'c', post + 'body' + request).io('response', '', response + response);
    assert.deepEqual(talk.spanIds, ['a', 'b', '', '']);
  });

  test('may be the same for one request after another', () => {
    const talk = new Talk('client').io('request', 'a', request).io('response', '', response);
    talk.io('request', 'a', request).io('response', '', response);
    assert.deepEqual(talk.spanIds, ['a', 'a']);
  });
});
