// The role of connections that were there before, and whose I/O goes on while the receiver begins.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { kernelTest } from '../support/kernel.ts';
import { startProgram } from '../traffic/program.ts';
import { observe } from './told-streams.ts';

const script = path.join(import.meta.dirname, 'busy_pair.py');
/** Enough for an enumeration to take longer than an exchange does, by far. */
const OTHER_FILES = 100_000;
const ROUNDS = 5;

test('is told by their listener, however late it is enumerated', kernelTest(), async (t) => {
  const program = startProgram(t, 'python3', [script, String(OTHER_FILES)]);
  const ready = await program.next('ready');
  for (let round = 0; round < ROUNDS; round++) {
    const observer = await observe(t, [Number(ready['pid'])]);
    const ends = [...observer.drain().values()].filter(({ info }) => info.transport === 'tcp');
    observer.session.close();
    const roles = ends.map(({ info }) => [info.local.port === ready['serverPort'], info.role, info.roleEvidence]);
    assert.deepEqual(
      roles.sort(([a], [b]) => Number(a) - Number(b)),
      [
        [false, 'client', 'connect'],
        [true, 'server', 'listener'],
      ],
    );
  }
});
