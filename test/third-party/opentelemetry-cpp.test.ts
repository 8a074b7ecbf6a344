// examples/opentelemetry-cpp, against the opentelemetry-cpp that the machine has (CXXFLAGS=-I… for one elsewhere).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { repository } from '../e2e/harness.ts';

test('the span that is active in opentelemetry-cpp is the one that the thread publishes', (t) => {
  const { status, stdout, stderr } = spawnSync(path.join(repository, 'examples/opentelemetry-cpp/check.sh'), {
    encoding: 'utf8',
  });
  if (status === 3) {
    console.error(`THIRD-PARTY TEST SKIPPED: ${stderr.trim()}`);
    t.skip(stderr.trim());
    return;
  }
  assert.equal(`${stdout}${stderr}`, '28008 steps, 0 wrong\n');
  assert.equal(status, 0);
});
