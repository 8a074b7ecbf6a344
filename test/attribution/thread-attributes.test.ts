import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createThreadAttributes } from '../../receiver/attribution/thread-attributes.ts';
import type { AttributeValue } from '../../receiver/model/span.ts';
import { transactionOf } from '../protocols/http/transaction.ts';

const ids = '0af7651916cd43dd8448eb211c80319cb7ad6b7169203331';

function recordOf(...entries: readonly (readonly [key: number, value: string])[]): Uint8Array {
  const attributes = Buffer.concat(entries.map(([key, value]) => Buffer.from([key, value.length, ...Buffer.from(value)])));
  return Buffer.concat([Buffer.from(ids, 'hex'), Buffer.from([1, 0, attributes.length, 0]), attributes]);
}

/** What is appended to a list that has url.path already. */
function attributesOf(
  names: readonly string[],
  record: Uint8Array | undefined,
): { added: readonly AttributeValue[]; unknown: number } {
  let unknown = 0;
  const add = createThreadAttributes({
    names,
    keyMapOf: () => ['http.route', 'user.id', 'url.path'],
    onUnknownKey: () => unknown++,
  });
  const transaction = transactionOf({ role: 'client' });
  const context = { traceId: ids.slice(0, 32), spanId: ids.slice(32), flags: 1, traceState: '' };
  transaction.exchange.requestContext = { position: 0, end: 10, context, record };
  const list: AttributeValue[] = ['url.path', '/'];
  add(transaction, list);
  return { added: list.slice(2), unknown };
}

test('those that are wanted are appended, the last value of each', () => {
  const record = recordOf([0, '/a'], [1, 'ann'], [0, '/a/{id}']);
  assert.deepEqual(attributesOf(['http.route', 'other'], record), { added: ['http.route', '/a/{id}'], unknown: 0 });
  assert.deepEqual(attributesOf([], record).added, []);
  assert.deepEqual(attributesOf(['http.route'], undefined).added, []);
});

test('what we have seen ourselves stays', () => {
  assert.deepEqual(attributesOf(['url.path'], recordOf([2, '/published'])).added, []);
});

test('a key that the map does not have is told', () => {
  assert.deepEqual(attributesOf(['http.route'], recordOf([9, 'x'], [0, '/a'])), { added: ['http.route', '/a'], unknown: 1 });
});
