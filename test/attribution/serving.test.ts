import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Serving } from '../../receiver/attribution/serving.ts';
import type { Exchange } from '../../receiver/model/exchange.ts';
import type { Transaction } from '../../receiver/model/transaction.ts';
import { transactionOf } from '../protocols/http/transaction.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01';

interface Variation {
  readonly traceparent?: string | undefined;
  readonly pid?: number;
  readonly startTime?: number;
}

function request(serving: Serving, role: Transaction['role'], variation: Variation = {}): Exchange {
  const { traceparent = TRACEPARENT, pid = 1, startTime = 1 } = variation;
  const exchange: Exchange = {
    ...transactionOf({ role, request: { traceparent } }).exchange,
    process: { pid, startTime },
    isOver: false,
  };
  serving.requested(exchange);
  return exchange;
}

test('a request that goes out with the traceparent of one that came in serves that one', () => {
  const serving = new Serving(10);
  const served = request(serving, 'server');
  assert.equal(request(serving, 'client').servedBy, served);
  assert.equal(request(serving, 'client').servedBy, served, 'each try of it');
});

test('another traceparent, another process, and one that reuses its pid serve something else', () => {
  const serving = new Serving(10);
  request(serving, 'server');
  for (const variation of [{ traceparent: OTHER }, { pid: 2 }, { startTime: 2 }]) {
    assert.equal(request(serving, 'client', variation).servedBy, undefined);
  }
});

test('a request that is over is served no more', () => {
  const serving = new Serving(10);
  const answered = request(serving, 'server');
  serving.ended(answered);
  assert.equal(request(serving, 'client').servedBy, undefined);
  const givenUp = request(serving, 'server');
  givenUp.isOver = true;
  assert.equal(request(serving, 'client').servedBy, undefined);
  const next = request(serving, 'server');
  assert.equal(request(serving, 'client').servedBy, next);
});

test('two requests under way with one traceparent are ambiguous, for as long as anybody could be mistaken', () => {
  const serving = new Serving(10);
  const first = request(serving, 'server');
  const second = request(serving, 'server');
  assert.equal(request(serving, 'client').servedBy, undefined);
  serving.ended(first);
  serving.ended(second);
  request(serving, 'server');
  assert.equal(request(serving, 'client').servedBy, undefined);
});

test('no more requests are kept than the limit', () => {
  const serving = new Serving(2);
  const served = [1, 2, 3].map((pid) => request(serving, 'server', { pid }));
  const found = [1, 2, 3].map((pid) => request(serving, 'client', { pid }).servedBy);
  assert.deepEqual(found, [undefined, served[1], served[2]]);
});
