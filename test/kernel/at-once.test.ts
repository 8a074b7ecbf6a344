// Connections whose first I/O two threads do at the same time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelTest } from '../support/kernel.ts';
import { buildAtOnce } from '../traffic/build.ts';
import { startProgram } from '../traffic/program.ts';
import { observe } from './told-streams.ts';

const CONNECTIONS = 20_000;

test('are told of before their bytes are', kernelTest(), async (t) => {
  const program = startProgram(t, buildAtOnce(), [String(CONNECTIONS)]);
  await program.next('ready');
  const observer = await observe(t, [program.pid], 64 * 1024 * 1024);
  program.send('go');
  await program.next('done', 300_000);
  const ends = [...observer.drain().values()];
  assert.equal(ends.length, 2 * CONNECTIONS);
  assert.equal(observer.strange.size, 0);
  const wrong = ends.filter(({ info, sent, received }) => {
    const sizes = [...sent, ...received].map(
      ({ position, size, isUnordered }) => `${position}+${size}${isUnordered ? ' unordered' : ''}`,
    );
    return sizes.join() !== (info.role === 'client' ? '0+1,0+1' : '0+1');
  });
  assert.deepEqual(wrong, []);
});
