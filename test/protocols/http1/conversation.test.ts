// What a conversation answers when it is asked, and when it hands out what it holds in doubt.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Conversation, ConversationStart, Side } from '../../../receiver/model/protocol.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';
import { connectionOf, Recorder } from './replay.ts';

const SECOND = 1e9;
const owner = { pid: 1, startTime: 1 };

class Talk {
  readonly recorder = new Recorder();
  readonly conversation: Conversation;
  readonly #position = { request: 0, response: 0 };

  constructor(start: ConversationStart) {
    this.conversation = createHttp1().open(connectionOf('server'), start, this.recorder);
  }

  say(side: Side, text: string, time: number): void {
    const bytes = Buffer.from(text);
    const other = this.#position[side === 'request' ? 'response' : 'request'];
    this.conversation.data(side, bytes, 0, bytes.length, this.#position[side], true, other, time, owner);
    this.#position[side] += bytes.length;
  }

  hole(side: Side, size: number, time: number): void {
    this.conversation.missing(side, this.#position[side], this.#position[side] + size, 'ring_full', time, owner);
    this.#position[side] += size;
  }

  exchange(time: number): void {
    this.say('request', 'GET / HTTP/1.1\r\n\r\n', time);
    this.say('response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', time);
  }
}

describe('a conversation', () => {
  test('has an open transaction once the connection is proven, until it is complete', () => {
    const talk = new Talk('beginning');
    talk.say('request', 'GET / HTTP/1.1\r\n\r\n', 1);
    assert.equal(talk.conversation.openTransactions(), 0);
    talk.say('response', 'HTTP/1.1 200', 2);
    assert.equal(talk.conversation.openTransactions(), 1);
    talk.say('response', ' OK\r\nContent-Length: 0\r\n\r\n', 2);
    assert.equal(talk.conversation.openTransactions(), 0);
  });

  test('hands out the first transaction of an old connection after five seconds of silence', () => {
    const talk = new Talk('boundary');
    talk.exchange(5);
    assert.equal(talk.recorder.seenCount, 1);
    assert.equal(talk.conversation.openTransactions(), 1);
    talk.conversation.settle?.(5 + 5 * SECOND - 1);
    assert.equal(talk.recorder.transactions.length, 0);
    talk.conversation.settle?.(5 + 5 * SECOND);
    assert.equal(talk.recorder.transactions.length, 1);
    assert.equal(talk.conversation.openTransactions(), 0);
    talk.exchange(6 + 5 * SECOND);
    assert.equal(talk.recorder.transactions.length, 2);
  });

  test('hands out the first transactions of an old connection when the client has waited eight times', () => {
    const talk = new Talk('boundary');
    for (let turn = 0; turn < 8; turn++) talk.exchange(turn);
    assert.equal(talk.recorder.transactions.length, 0);
    talk.exchange(8);
    assert.equal(talk.recorder.transactions.length, 9);
  });

  test('doubts behind a hole again, until the client has waited eight times', () => {
    const talk = new Talk('beginning');
    talk.exchange(0);
    talk.exchange(1);
    talk.hole('request', 30, 2);
    talk.say('response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 3);
    for (let turn = 0; turn < 8; turn++) talk.exchange(4 + turn);
    assert.equal(talk.recorder.transactions.length, 2);
    talk.exchange(12);
    assert.equal(talk.recorder.transactions.length, 11);
  });

  test('does not settle while an answer is outstanding', () => {
    const talk = new Talk('boundary');
    talk.exchange(1);
    talk.say('request', 'GET / HTTP/1.1\r\n\r\n', 2);
    talk.conversation.settle?.(9 * SECOND);
    assert.equal(talk.recorder.transactions.length, 0);
  });

  test('that is idle still tells what it is for, until the next exchange, which goes on as before', () => {
    const talk = new Talk('beginning');
    talk.exchange(1);
    assert.equal(talk.conversation.exchangeAt(0)?.process, owner);
    talk.conversation.settle?.(1 + SECOND);
    assert.equal(talk.conversation.exchangeAt(0), undefined);
    const { open, last } = talk.conversation.present(2 * SECOND);
    assert.deepEqual([open, last?.request.method, last?.process, last?.connection.id], [[], 'GET', owner, 1]);
    const { request, response } = talk.conversation.inspect(2 * SECOND);
    assert.deepEqual([request.phase, response.phase], ['boundary', 'boundary']);
    talk.say('request', 'GET /n', 2 * SECOND);
    talk.conversation.settle?.(9 * SECOND);
    talk.say('request', 'ext HTTP/1.1\r\n\r\n', 9 * SECOND);
    talk.say('response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 9 * SECOND);
    assert.deepEqual(
      talk.recorder.transactions.map(({ request: { target }, requestPosition, start }) => [target, requestPosition, start]),
      [
        ['/', 0, 1],
        ['/next', 18, 2 * SECOND],
      ],
    );
    talk.conversation.settle?.(20 * SECOND);
    talk.conversation.close('connection_closed', 21 * SECOND);
    assert.equal(talk.recorder.figures.get('parsed'), talk.recorder.accounted);
  });

  test('that is closed takes what still comes as skipped, and closes once', () => {
    const talk = new Talk('beginning');
    talk.exchange(1);
    talk.conversation.close('connection_closed', 2);
    talk.conversation.close('connection_reset', 3);
    talk.conversation.abandon();
    talk.exchange(4);
    talk.conversation.missing('request', 100, 110, 'ring_full', 5, owner);
    assert.equal(talk.recorder.transactions.length, 1);
    assert.equal(talk.recorder.figures.get('skipped'), 18 + 38 + 10);
  });
});
