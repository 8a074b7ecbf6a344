import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPprofHandler } from '../../receiver/extensions/pprof.ts';

interface CpuProfile {
  readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
  readonly samples: readonly number[];
  readonly startTime: number;
  readonly endTime: number;
}

const question = (target: string) => {
  const url = new URL(target, 'http://localhost');
  return { path: url.pathname, query: url.searchParams, signal: new AbortController().signal };
};

/** Something for a profile to find, until the time is over. */
function burnProcessorTime(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

const busy = (milliseconds: number): Promise<void> => {
  burnProcessorTime(milliseconds);
  return Promise.resolve();
};

test('a CPU profile names the functions that took the time', async () => {
  const answer = await createPprofHandler(busy)(question('/debug/pprof/profile?seconds=0.2'));
  assert.deepEqual([answer.status, answer.contentType], [200, 'application/json']);
  assert.equal(answer.headers?.['content-disposition'], 'attachment; filename="usm-receiver.cpuprofile"');
  const profile = JSON.parse(answer.body) as CpuProfile;
  assert.ok(profile.samples.length > 20, `${profile.samples.length} samples`);
  assert.ok(profile.endTime - profile.startTime >= 200_000);
  assert.ok(profile.nodes.some(({ callFrame }) => callFrame.functionName === 'burnProcessorTime'));
});

test('a heap profile tells what was allocated', async () => {
  const kept: object[] = [];
  const handler = createPprofHandler(() => {
    for (let count = 0; count < 100_000; count++) kept.push({ count });
    return Promise.resolve();
  });
  const answer = await handler(question('/debug/pprof/heap?seconds=1'));
  assert.equal(answer.status, 200);
  const profile = JSON.parse(answer.body) as { readonly head: object; readonly samples: readonly object[] };
  assert.ok(profile.samples.length > 0);
  assert.equal(kept.length, 100_000);
});

test('one profile at a time, and the next one when it is over', async () => {
  let finish = (): void => undefined;
  const handler = createPprofHandler(() => new Promise((resolve) => (finish = resolve)));
  const first = Promise.resolve(handler(question('/debug/pprof/profile?seconds=1')));
  while (String(finish).includes('undefined')) await new Promise((resolve) => setImmediate(resolve));
  const second = await handler(question('/debug/pprof/heap?seconds=1'));
  assert.deepEqual([second.status, second.body], [409, 'a profile is being taken already\n']);
  finish();
  assert.equal((await first).status, 200);
  assert.equal((await createPprofHandler(busy)(question('/debug/pprof/profile?seconds=0.01'))).status, 200);
});

test('the index says what there is; other paths and senseless times are refused', async () => {
  const handler = createPprofHandler(busy);
  const index = await handler(question('/debug/pprof/'));
  assert.equal(index.status, 200);
  assert.match(index.body, /profile\?seconds=N/);
  assert.equal((await handler(question('/debug/pprof/goroutine'))).status, 404);
  for (const seconds of ['0', '-1', '301', 'x', 'NaN', 'Infinity']) {
    assert.equal((await handler(question(`/debug/pprof/profile?seconds=${seconds}`))).status, 400, seconds);
  }
});
