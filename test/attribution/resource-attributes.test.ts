import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResourceAttributes } from '../../receiver/attribution/resource-attributes.ts';

const rows: readonly [title: string, text: string, expected: Readonly<Record<string, string>> | undefined][] = [
  ['nothing', '', {}],
  ['pairs', 'a=1,b=2', { a: '1', b: '2' }],
  ['blanks around keys and values', ' a = 1 ,\tb=2 ', { a: '1', b: '2' }],
  ['percent-encoding in keys and values', 'a%2Cb=c%3Dd%20%E2%82%AC', { 'a,b': 'c=d \u20ac' }],
  ['an equals sign in a value', 'a=b=c', { a: 'b=c' }],
  ['the later of two', 'a=1,a=2', { a: '2' }],
  ['a final comma', 'a=1,', { a: '1' }],
  ['an empty value', 'a=,b=2', { b: '2' }],
  ['a plus sign, which is itself', 'a=1+1', { a: '1+1' }],
  ['no equals sign', 'a=1,b', undefined],
  ['no key', 'a=1,=2', undefined],
  ['half a percent-encoding', 'a=100%,b=2', undefined],
  ['percent-encoded bytes that are no UTF-8', 'a=%ff', undefined],
];
for (const [title, text, expected] of rows) {
  test(title, () => {
    const attributes = parseResourceAttributes(text);
    assert.deepEqual(attributes === undefined ? undefined : Object.fromEntries(attributes), expected);
  });
}

test('there are never more than 128', () => {
  const text = Array.from({ length: 500 }, (_, i) => `k${i}=${i}`).join(',');
  const attributes = parseResourceAttributes(`${text},k0=again`);
  assert.equal(attributes?.size, 128);
  assert.equal(attributes.get('k0'), 'again');
});
