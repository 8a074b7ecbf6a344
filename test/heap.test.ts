// V8 does as it is told at run time: in processes of their own, as V8 has one heap for all tests of a file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { createCollector } from '../receiver/heap.ts';

const heap = path.join(import.meta.dirname, '../receiver/heap.ts');
/** Keeps the last few of many objects, so that V8 wants a larger nursery. */
const churn = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { limitHeap } from ${JSON.stringify(heap)};
  const limited = process.argv[1];
  if (limited !== undefined) limitHeap({ v8: process.versions.v8, isNurseryLimited: limited === 'yes' });
  const kept = [];
  for (let round = 0; round < 200; round++) {
    kept.push(Array.from({ length: 20_000 }, (_, i) => ({ i })));
    if (kept.length > 3) kept.shift();
  }
  console.log(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size);
`;

function nurseryBytes(flags: readonly string[], ...args: string[]): number {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', churn, ...args], {
    encoding: 'utf8',
    env: {},
  });
  assert.equal(stderr, '');
  return Number(stdout);
}

test('the nursery stays small, unless somebody has said how large it may be', () => {
  const MB = 1024 * 1024;
  assert.ok(nurseryBytes([]) > 8 * MB, 'or there is nothing to limit');
  assert.ok(nurseryBytes([], 'no') <= 4 * MB);
  assert.equal(nurseryBytes(['--max-semi-space-size=4'], 'yes'), 8 * MB);
});

/** Makes a block of garbage; returns how much is outside of the heap with it. */
function waste(bytes: number): number {
  const block = new Uint8Array(bytes);
  return process.memoryUsage().arrayBuffers + block[0]!;
}

test('much garbage is collected, little is left to V8', () => {
  const collect = createCollector();
  collect();
  const size = 16 * 1024 * 1024;
  const full = waste(size);
  collect();
  assert.ok(process.memoryUsage().arrayBuffers <= full - size);
  const little = waste(size / 16);
  collect();
  assert.equal(process.memoryUsage().arrayBuffers, little);
});
