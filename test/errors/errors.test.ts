import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assert as assertBelief,
  AssertionError,
  assertNever,
  errorCodes,
  messageOf,
  ReceiverError,
} from '../../receiver/errors.ts';
import { readSources } from '../architecture/sources.ts';
import { checkGenerated, formatTable } from '../docs/generated.ts';

test('an error says what was attempted, on what, what happened and what to try', () => {
  const cause = new Error('EPERM');
  const error = new ReceiverError(
    'USM_BPF_ATTACH',
    { attempted: 'attach the program', on: 'sock_send', happened: 'operation not permitted', remedy: 'run as root' },
    cause,
  );
  assert.equal(error.message, 'cannot attach the program sock_send: operation not permitted; run as root');
  assert.equal(error.code, 'USM_BPF_ATTACH');
  assert.equal(error.cause, cause);
  assert.equal(error.name, 'ReceiverError');
});

test('an error without a remedy of its own has that of its code', () => {
  const error = new ReceiverError('USM_KERNEL_TOO_OLD', { attempted: 'observe this host', happened: 'this is Linux 4.19' });
  assert.equal(error.message, 'cannot observe this host: this is Linux 4.19; run on Linux 6.1 or newer');
  assert.equal('cause' in error, false);
});

test('a message may be given whole', () => {
  assert.equal(new ReceiverError('USM_USAGE', 'unknown flag: --x').message, 'unknown flag: --x');
});

test('a broken belief is our bug and not a ReceiverError', () => {
  assert.throws(() => {
    assertBelief(false, 'a span has a name');
  }, new AssertionError('bug in usm-receiver: expected that a span has a name'));
  assert.throws(() => assertNever('x' as never), new AssertionError('bug in usm-receiver: unexpected value "x"'));
});

test('anything that was thrown has a message', () => {
  assert.equal(messageOf(new Error('a')), 'a');
  assert.equal(messageOf('b'), 'b');
  assert.equal(messageOf(undefined), 'undefined');
});

test('codes are USM_ and upper case; remedies are clauses that end a message', () => {
  for (const [code, { meaning, remedy }] of Object.entries(errorCodes)) {
    assert.match(code, /^USM_[A-Z]+(_[A-Z]+)*$/);
    assert.match(meaning, /^[A-Z].*\.$/);
    assert.match(remedy, /^[a-z].*[^.]$/);
  }
});

test('each code is one that is thrown somewhere', () => {
  const sources = readSources(['receiver/**/*.ts']).filter(({ path }) => path !== 'receiver/errors.ts');
  const unused = Object.keys(errorCodes).filter((code) => !sources.some(({ text }) => text.includes(`'${code}'`)));
  assert.deepEqual(unused, []);
});

test('docs/errors.md has the table of codes', () => {
  const rows = Object.entries(errorCodes).map(([code, { meaning, remedy }]) => [
    `\`${code}\``,
    meaning,
    `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`,
  ]);
  const file = new URL('../../docs/errors.md', import.meta.url);
  checkGenerated(file, { codes: formatTable(['Code', 'What it means', 'What to do'], rows) }, process.env['UPDATE_DOCS'] === '1');
});
