import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createZpagesHandler } from '../../receiver/extensions/zpages.ts';
import type { ConnectionFilter } from '../../receiver/model/inspection.ts';

function ask(target: string) {
  const filters: ConnectionFilter[] = [];
  const handler = createZpagesHandler((filter) => {
    filters.push(filter);
    return { ok: true };
  });
  const url = new URL(target, 'http://localhost');
  const answer = handler({ path: url.pathname, query: url.searchParams, signal: new AbortController().signal });
  assert.ok(!(answer instanceof Promise));
  return { status: answer.status, body: answer.body, filters };
}

test('filters are handed on, with a limit that is bounded', () => {
  const none = { connection: undefined, pid: undefined, port: undefined };
  assert.deepEqual(ask('/debug/usm'), { status: 200, body: '{"ok":true}\n', filters: [{ ...none, limit: 100 }] });
  assert.deepEqual(ask('/debug/usm?pid=12&port=80&connection=7&limit=5').filters, [
    { pid: 12, port: 80, connection: 7, limit: 5 },
  ]);
  assert.deepEqual(ask('/debug/usm?limit=99999999').filters, [{ ...none, limit: 1000 }]);
});

test('a filter that is misspelt or no number shows nothing rather than the wrong connections', () => {
  for (const query of ['pids=1', 'pid=x', 'pid=', 'port=-1', 'port=0x50', 'connection=1e3', 'limit=1.5']) {
    const { status, filters } = ask(`/debug/usm?${query}`);
    assert.deepEqual([status, filters], [400, []], query);
  }
});

test('other paths say where to look', () => {
  assert.equal(ask('/').status, 200);
  const { status, body, filters } = ask('/debug/tracez');
  assert.deepEqual([status, filters], [404, []]);
  assert.match(body, /\/debug\/usm/);
});
