import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publishedAttributes } from '../../receiver/attribution/published-resource.ts';

type Published = Parameters<typeof publishedAttributes>[0];

const taken = (entries: readonly (readonly [string, Published extends ReadonlyMap<string, infer V> ? V : never])[]): unknown =>
  Object.fromEntries(publishedAttributes(new Map(entries)));

test('texts, numbers, truth values and lists of texts are taken as they are', () => {
  const entries = [
    ['a', 'text'],
    ['b', true],
    ['c', 7n],
    ['d', -(2n ** 62n)],
    ['e', 0.5],
    ['f', ['x', 'y']],
  ] as const;
  assert.deepEqual(taken(entries), { a: 'text', b: true, c: 7, d: '-4611686018427387904', e: 0.5, f: ['x', 'y'] });
});

test('what is empty, too long, of no kind that an attribute has, or private is left out', () => {
  const entries = [
    ['empty', ''],
    ['absent', undefined],
    ['long', 'x'.repeat(4097)],
    ['k'.repeat(257), 'x'],
    ['bytes', Uint8Array.of(1)],
    ['map', new Map([['a', 'b']])],
    ['none', []],
    ['mixed', ['x', 1n]],
    ['many', new Array<string>(65).fill('x')],
    ['holes', ['x', '']],
    ['nan', NaN],
    ['threadlocal.schema_version', 'tls_v1'],
    ['fits', 'x'.repeat(4096)],
  ] as const;
  assert.deepEqual(taken(entries), { fits: 'x'.repeat(4096) });
});

test('no more than 128 are taken', () => {
  const attributes = publishedAttributes(new Map(Array.from({ length: 200 }, (_, index) => [`k${String(index)}`, 'v'])));
  assert.equal(attributes.size, 128);
  assert.ok(attributes.has('k127'));
});
