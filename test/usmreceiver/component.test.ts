// Runs the tests of the Collector component, which are Go's, in the module itself. Their titles and reasons are in receiver/usmreceiver/.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { privileges } from '../../receiver/kernel/privileges.ts';

const module = path.resolve(import.meta.dirname, '../../receiver/usmreceiver');

interface Event {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Output?: string;
}

function go(...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('go', args, {
    cwd: module,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    // What is built is built from what is committed.
    env: { ...process.env, GOFLAGS: '-mod=readonly' },
  });
  return { status, stdout, output: `${stdout}${stderr}` };
}

test('go vet has nothing to say, and gofmt nothing to change', () => {
  const vet = go('vet', './...');
  assert.equal(vet.status, 0, vet.output);
  const sources = readdirSync(module).filter((name) => name.endsWith('.go'));
  const unformatted = spawnSync('gofmt', ['-l', ...sources, 'internal'], { cwd: module, encoding: 'utf8' });
  assert.equal(unformatted.stdout, '', unformatted.stderr);
});

test('a supervised receiver keeps each capability that the receiver has a use for', () => {
  const source = readFileSync(path.join(module, 'privileges.go'), 'utf8');
  for (const { capability } of privileges) assert.match(source, new RegExp(`unix\\.${capability}:`));
});

describe('the component', () => {
  // Not from the cache: what they show is about this kernel too.
  const { status, stdout, output } = go('test', '-count=1', '-json', './...');
  const events = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Event);
  for (const { Action: outcome, Test: title, Package: name } of events) {
    if (title === undefined || !['pass', 'fail'].includes(outcome)) continue;
    test(title, () => {
      const said = events.filter((event) => event.Test === title && event.Package === name).map((event) => event.Output ?? '');
      assert.equal(outcome, 'pass', said.join(''));
    });
  }
  test('ends well, having run them all', () => {
    assert.equal(status, 0, output.slice(-4000));
    assert.ok(events.filter(({ Action: action, Test: title }) => action === 'pass' && title !== undefined).length >= 40, output);
  });
});
