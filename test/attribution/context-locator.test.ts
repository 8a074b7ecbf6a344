import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createContextLocator } from '../../receiver/attribution/context-locator.ts';
import { startTicks } from '../../receiver/attribution/process-start.ts';

const readText = (path: string): string => readFileSync(path, 'utf8');

test('the start time is found behind any name', () => {
  const fields = Array.from({ length: 30 }, (_, index) => String(index + 3)).join(' ');
  assert.equal(startTicks(`77 (a) b ) (c) ${fields}`), 22n);
  assert.equal(startTicks(''), undefined);
  assert.equal(startTicks('77 (x) S 1'), undefined);
});

test('only the process that was meant is looked at', () => {
  const locate = createContextLocator(readText);
  const ticks = startTicks(readText(`/proc/${process.pid}/stat`));
  assert.ok(ticks !== undefined);
  const startTime = ticks * 10_000_000n + 9_999_999n;
  assert.equal(locate({ pid: process.pid, startTime, execId: 0 })?.outcome.kind, 'not_published');
  assert.equal(locate({ pid: process.pid, startTime: startTime + 1n, execId: 0 }), undefined);
  assert.equal(createContextLocator(() => undefined)({ pid: process.pid, startTime, execId: 0 }), undefined);
});
