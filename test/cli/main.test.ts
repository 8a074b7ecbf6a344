// The command as a user runs it: output, errors and exit codes. What needs the kernel is in test/e2e.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../receiver/main.ts', import.meta.url));
const example = fileURLToPath(new URL('../../collector-config.yaml', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'usm-cli-'));
after(() => {
  rmSync(folder, { recursive: true });
});

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Outcome {
  const { stdout, stderr, status } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { PATH: process.env['PATH'], ...env },
  });
  return { stdout, stderr, status };
}

test('validate prints nothing and exits 0 when the configuration is good', () => {
  assert.deepEqual(run(['validate', `--config=${example}`]), { stdout: '', stderr: '', status: 0 });
  const viaEnvironment = run(['validate', '--config', 'env:CONFIG', '--set=exporters.debug.verbosity=detailed'], {
    CONFIG:
      'receivers: { usm: }\nexporters: { debug: }\nservice: { pipelines: { traces: { receivers: [usm], exporters: [debug] } } }',
  });
  assert.deepEqual(viaEnvironment, { stdout: '', stderr: '', status: 0 });
});

test('validate and run tell every problem on standard error and exit 1', () => {
  const file = join(folder, 'bad.yaml');
  writeFileSync(
    file,
    'receivers: { usm: { filter: { loopbak: true } } }\nexporters: { debug: { verbosity: loud } }\nservice: { pipelines: { traces: { receivers: [usm], exporters: [debug] } } }',
  );
  const expected = `Error: invalid configuration: 2 problems:
  'receivers::usm::filter' has invalid keys: loopbak (did you mean "loopback"?); valid keys are [exclude include loopback otlp]
  exporters::debug::verbosity: must be one of [basic normal detailed], found "loud"
`;
  assert.deepEqual(run(['validate', '--config', file]), { stdout: '', stderr: expected, status: 1 });
  assert.deepEqual(run(['--config', file]), { stdout: '', stderr: expected, status: 1 });
});

test('sources that cannot be read are one line on standard error', () => {
  assert.deepEqual(run([]), {
    stdout: '',
    stderr: 'Error: at least one config flag must be provided; give a file with --config=FILE\n',
    status: 1,
  });
  const missing = join(folder, 'missing.yaml');
  assert.deepEqual(run(['validate', '--config', missing]), {
    stdout: '',
    stderr: `Error: cannot read the file ${missing}: no such file or directory; check the path and its permissions\n`,
    status: 1,
  });
  assert.deepEqual(
    run(['validate', '--config', folder]).stderr,
    `Error: cannot read the file ${folder}: illegal operation on a directory; check the path and its permissions\n`,
  );
});

test('unknown flags and commands exit 1 with a hint', () => {
  assert.deepEqual(run(['--confg', 'x']), {
    stdout: '',
    stderr: `Error: unknown flag: --confg (did you mean "--config"?); run 'usm-receiver --help' for usage\n`,
    status: 1,
  });
  assert.equal(run(['sreve']).status, 1);
});

test('a log file that cannot be opened ends the start', () => {
  const { stderr, status } = run(['--config', example, '--set=service.telemetry.logs.output_paths=[/nowhere/a.log]']);
  assert.match(
    stderr,
    /^Error: cannot open the log file \/nowhere\/a\.log: ENOENT: no such file or directory, .*; create its directory, or give the process the right to write there\n$/,
  );
  assert.equal(status, 1);
});

test('help, version and components print to standard output', () => {
  const help = run(['--help']);
  assert.match(help.stdout, /^usm-receiver observes .*\n\nUsage:\n/);
  assert.deepEqual([help.stderr, help.status], ['', 0]);
  assert.deepEqual(run(['help']), help);
  assert.match(run(['-v']).stdout, /^usm-receiver version \d+\.\d+\.\d+\n$/);
  const components = run(['components']);
  assert.match(components.stdout, /^buildinfo:\n {4}command: usm-receiver\n/);
  assert.deepEqual([components.stderr, components.status], ['', 0]);
});
