// docs/operations.md names reasons, counters and messages: each of them is one that there is, and no reason is left out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readSources } from '../architecture/sources.ts';
import { instrumentsAt } from '../../receiver/telemetry/self/instruments.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');

/** The words of a union of string literals, as the source has them. */
function wordsOf(file: string, type: string): readonly string[] {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  const body = new RegExp(`export type ${type} =([^;]*);`).exec(text)?.[1] ?? '';
  return [...body.matchAll(/'(\w+)'/g)].map(([, word = '']) => word);
}

function sectionOf(title: string): string {
  const start = page.indexOf(`### ${title}\n`);
  assert.ok(start !== -1, title);
  const end = page.indexOf('\n### ', start + 1);
  return page.slice(start, end === -1 ? undefined : end);
}

/** Of the first column of the tables in a section. */
function reasonsIn(title: string): readonly string[] {
  const cells = [...sectionOf(title).matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, word = '']) => word)).sort();
}

test('each reason for which a transaction is not exported is explained', () => {
  assert.deepEqual(
    reasonsIn('It runs, and there is nothing at the backend'),
    [...wordsOf('receiver/model/protocol.ts', 'NotExportedReason')].sort(),
  );
});

test('each reason for which bytes are lost is explained', () => {
  const reasons = [
    ...wordsOf('receiver/model/protocol.ts', 'LossReason'),
    ...wordsOf('receiver/model/books.ts', 'ByteLossReason'),
  ];
  assert.ok(reasons.length > 12);
  assert.deepEqual(reasonsIn('Bytes are lost'), reasons.sort());
});

test('each reason for which a connection is given up or nobody is known to ask is named', () => {
  const reasons = [
    ...wordsOf('receiver/model/books.ts', 'ShedReason'),
    ...wordsOf('receiver/model/books.ts', 'UnattributedReason'),
    'overload',
  ];
  for (const reason of reasons) assert.ok(page.includes(`\`${reason}\``), reason);
});

test('each metric that is named is one of ours', () => {
  const ofTheComponent = readFileSync(new URL('../../receiver/usmreceiver/documentation.md', import.meta.url), 'utf8');
  const names = new Set([
    ...instrumentsAt('detailed').map(({ name }) => name),
    ...[...ofTheComponent.matchAll(/^### (otelcol_\w+)$/gm)].map(([, name = '']) => name),
  ]);
  const named = [...page.matchAll(/`(otelcol_\w+)`/g)].map(([, name = '']) => name);
  assert.ok(named.length > 8);
  assert.deepEqual(
    named.filter((name) => !names.has(name)),
    [],
  );
});

test('each message of the log that is quoted is one that is written', () => {
  const sources = readSources(['receiver/**/*.ts']).map(({ text }) => text);
  for (const message of [
    'Exporting failed.',
    'Storing failed.',
    'There is more traffic than can be followed.',
    'The Collector does not answer.',
  ]) {
    assert.ok(page.includes(message), message);
    assert.ok(
      sources.some((text) => text.includes(message)),
      message,
    );
  }
});
