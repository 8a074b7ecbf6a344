import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tree } from '../../receiver/config/tree.ts';
import { mergeTrees, parseYaml, unflatten } from '../../receiver/config/tree.ts';

function parse(text: string): Tree {
  const result = parseYaml(text);
  if (result.kind === 'failed') throw new Error(result.message);
  return result.tree;
}

test('YAML 1.2 scalars, with octal numbers as in Go', () => {
  assert.deepEqual(parse('[yes, on, true, ~, 010, 0o10, 0x10, 1.5, 1e3, "010", 09, 2026-11-21]'), [
    'yes',
    'on',
    true,
    null,
    8,
    8,
    16,
    1.5,
    1000,
    '010',
    9,
    '2026-11-21',
  ]);
});

test('numbers as in Go', () => {
  assert.deepEqual(
    parse('[1_000, +12, -0x1F, 0XfF, 0b1_1, -0o17, -017, 0_7, 089, 1_000.5, 2_5e-1_0, 1__0]'),
    [1000, 12, -31, 255, 3, -15, -15, 7, 89, 1000.5, 25e-10, 10],
  );
  assert.deepEqual(parse('[_1, 0x, 0b2, 0o8, 1_000s, 1e, 0x_, "1_000", 1.2.3, --1]'), [
    '_1',
    '0x',
    '0b2',
    '0o8',
    '1_000s',
    '1e',
    '0x_',
    '1_000',
    '1.2.3',
    '--1',
  ]);
});

test('merge keys and anchors work', () => {
  const tree = parse('base: &b { x: 1, y: 2 }\nuse: { <<: *b, y: 3 }') as ReadonlyMap<string, Tree>;
  assert.deepEqual(
    tree.get('use'),
    new Map<string, Tree>([
      ['x', 1],
      ['y', 3],
    ]),
  );
});

test('keys are texts, whatever they are', () => {
  assert.deepEqual(
    parse('1: a\ntrue: b\n__proto__: c'),
    new Map<string, Tree>([
      ['1', 'a'],
      ['true', 'b'],
      ['__proto__', 'c'],
    ]),
  );
});

test('what is not YAML is a failure with a line, never a throw', () => {
  const table: readonly (readonly [string, string])[] = [
    ['a: 1\na: 2', 'line 2: Map keys must be unique'],
    ['{ a: 1', 'line 1: Flow map must end with a }'],
    ['a: 1\nb: !tag 2', 'line 2: Unresolved tag: !tag'],
    ['a: *nowhere', 'Unresolved alias (the anchor must be set before the alias): nowhere'],
  ];
  for (const [text, message] of table) assert.deepEqual(parseYaml(text), { kind: 'failed', message }, text);
  assert.equal(parseYaml('a: 1\n---\nb: 2').kind, 'failed');
});

test('aliases of aliases do not grow without a bound', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level++)
    lines.push(`a${level}: &a${level} [${new Array<string>(9).fill(`*a${level - 1}`).join(', ')}]`);
  assert.deepEqual(parseYaml(lines.join('\n')), {
    kind: 'failed',
    message: 'Excessive alias count indicates a resource exhaustion attack',
  });
});

test('maps merge, lists and scalars and null replace', () => {
  const merge = (under: string, over: string): Tree => mergeTrees(parse(under), parse(over));
  assert.deepEqual(
    merge('{ a: { b: 1, c: [1] }, d: 1 }', '{ a: { c: [2], e: 3 } }'),
    parse('{ a: { b: 1, c: [2], e: 3 }, d: 1 }'),
  );
  assert.deepEqual(merge('{ a: { b: 1 } }', '{ a: }'), parse('{ a: }'));
  assert.deepEqual(merge('{ a: 1 }', '{ a: { b: 1 } }'), parse('{ a: { b: 1 } }'));
  assert.deepEqual(merge('{ a: }', '{ a: { b: 1 } }'), parse('{ a: { b: 1 } }'));
});

test('double colons in top-level keys are paths', () => {
  assert.deepEqual(
    unflatten(parse('{ "a::b": 1, a: { c: 2 }, "d::e::f": 3 }') as ReadonlyMap<string, Tree>),
    parse('{ a: { b: 1, c: 2 }, d: { e: { f: 3 } } }'),
  );
});
