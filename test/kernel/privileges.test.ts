import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignNamespaces, missingPrivileges, privileges } from '../../receiver/kernel/privileges.ts';
import { checkGenerated, formatTable } from '../docs/generated.ts';

const all = privileges.map(({ capability }) => capability);

test('what is missing is named in the order of the table', () => {
  assert.deepEqual(missingPrivileges(new Set(all)), []);
  assert.deepEqual(
    missingPrivileges(new Set()).map(({ capability }) => capability),
    all,
  );
});

test('CAP_SYS_ADMIN stands for what the kernel takes it for, and for no more', () => {
  assert.deepEqual(
    missingPrivileges(new Set(['CAP_SYS_ADMIN'])).map(({ capability }) => capability),
    ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'],
  );
});

test("a namespace that is not the host's is known by its number; one that cannot be read is not", () => {
  const links = new Map([
    ['/proc/self/ns/pid', 'pid:[4026531836]'],
    ['/proc/self/ns/user', 'user:[4026532571]'],
  ]);
  assert.deepEqual(
    foreignNamespaces((path) => links.get(path)),
    ['user'],
  );
  assert.deepEqual(
    foreignNamespaces(() => undefined),
    [],
  );
});

test('docs/deployment.md has the table', () => {
  const rows = privileges.map(({ capability, purpose, loss = 'the receiver does not start' }) => [
    `\`${capability}\``,
    purpose,
    loss,
  ]);
  const shouldUpdate = process.env['UPDATE_DOCS'] === '1';
  checkGenerated(
    new URL('../../docs/deployment.md', import.meta.url),
    { capabilities: formatTable(['Capability', 'For', 'Without it'], rows) },
    shouldUpdate,
  );
});
