// The corpus by which the Collector's component is judged: does it say enough? That the files are up to date is checked by scripts/check.sh.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { receiverTypes } from '../../receiver/config/components.ts';
import type { Schema } from '../../receiver/config/schema.ts';
import { makeCorpus } from './validation-corpus.ts';

const corpus = makeCorpus(receiverTypes.usm);

test('the corpus is what is committed', () => {
  const file = new URL('../../receiver/usmreceiver/testdata/validation.json', import.meta.url);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), corpus);
});

test('the corpus has good and broken configurations, and each kind of message', () => {
  const messages = corpus.flatMap(({ problems }) => problems);
  assert.ok(corpus.filter(({ problems }) => problems.length === 0).length > 200);
  assert.ok(corpus.filter(({ problems }) => problems.length > 1).length > 100);
  const kinds = [
    / has invalid keys: .*; valid keys are \[/,
    / has invalid keys: .*\(did you mean "/,
    / expected type '\w+', got unconvertible type '\w+'/,
    /; write it in quotes: "/,
    /: must be one of \[.*\], found /,
    /found .* \(did you mean "/,
    /: must be between .* and .*, found /,
    /: must be a power of two between /,
    /: expected a duration .* without a unit \(did you mean /,
    /: must not be empty$/,
    /: must not be empty; leave it out/,
    /: must have at most \d+ entries, found \d+$/,
    /: must have at least one of \[/,
    /: needs [\w:]+: true$/,
    /: must not be less than [\w:]+ \(.*\), found /,
    /…"/,
  ];
  for (const kind of kinds)
    assert.ok(
      messages.some((message) => kind.test(message)),
      String(kind),
    );
});

test('each key of the block is wrong in some entry, by its value and by its name', () => {
  const paths = (schema: Schema, path: string): readonly string[] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
      const at = path === '' ? key : `${path}::${key}`;
      return [at, ...paths(property, at)];
    }),
    ...(schema.items === undefined ? [] : paths(schema.items, `${path}::0`)),
  ];
  const all = paths(receiverTypes.usm.schema, '');
  assert.ok(all.length > 100);
  const messages = corpus.flatMap(({ problems }) => problems);
  const missing = all.filter(
    (path) => !messages.some((message) => message.startsWith(`'${path}' `) || message.startsWith(`${path}: `)),
  );
  assert.deepEqual(missing, []);
});
