// The packages as a user has them: installed without scripts and without a compiler, run where there is nothing but Node.js, on each line of it that is
// supported.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { kernelTestSkip, runReceiver } from '../e2e/harness.ts';
import { inCleanRoot } from './clean-root.ts';
import { assertMainJob } from './main-job.ts';
import { installedOnce, mainOfPackage, makePackages, nodeLines, npmPlaces, packages } from './packages.ts';

const packed = makePackages();
const skip = packed.reason ?? kernelTestSkip();

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-app-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

test(
  'in an empty folder, without scripts and without a compiler, the packages install, and npx runs the command',
  { skip },
  (t) => {
    const { mounts, env } = npmPlaces();
    const app = emptyFolder(t);
    const [command = '', ...before] = inCleanRoot(t, process.execPath, { '/packages': packages, '/app': app, ...mounts });
    const run = (...what: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(command, [...before, 'sh', '-c', 'cd /app && exec "$@"', 'sh', ...what], {
        encoding: 'utf8',
        env: { ...process.env, ...env },
      });

    for (const name of ['cc', 'gcc', 'g++', 'clang', 'make', 'python3']) assert.notEqual(run(name, '--version').status, 0, name);
    const tarballs = [packed.receiver, packed.x64].map((file) => `/packages/${path.basename(file)}`);
    const installed = run('npm', 'install', '--ignore-scripts', '--omit=dev', ...tarballs);
    assert.equal(installed.status, 0, installed.stderr);

    const version = run('npx', 'usm-receiver', '--version');
    assert.equal(version.status, 0, version.stderr);
    assert.match(version.stdout, /^usm-receiver version \d+\.\d+\.\d+\n$/);
    const shipped = 'node_modules/usm-receiver/collector-config.yaml';
    const valid = run('npx', 'usm-receiver', 'validate', '--config', shipped);
    assert.deepEqual([valid.status, valid.stdout], [0, ''], valid.stderr);
    const invalid = run('npx', 'usm-receiver', 'validate', '--config', '/nowhere.yaml');
    assert.equal(invalid.status, 1);
    assert.match(invalid.stderr, /\/nowhere\.yaml/);
  },
);

for (const { version, node } of packed.reason === undefined ? nodeLines() : []) {
  test(`with Node.js ${version} and nothing else, every HTTP and HTTPS exchange makes its two spans`, { skip }, async (t) => {
    const root = inCleanRoot(t, node, { '/app': installedOnce(packed) });
    await assertMainJob(t, [...root, '/app/node_modules/.bin/usm-receiver']);
  });
}

/** A copy of what is installed, to be damaged. */
function copyOf(t: TestContext): string {
  const app = emptyFolder(t);
  cpSync(installedOnce(packed), app, { recursive: true, verbatimSymlinks: true });
  return app;
}

test('without the package for the platform it says which one is missing', { skip }, async (t) => {
  const app = copyOf(t);
  rmSync(path.join(app, 'node_modules/@usm-receiver'), { recursive: true });
  const stopped = await runReceiver(t, { launcher: [process.execPath, path.join(app, mainOfPackage)] });
  assert.equal(stopped.exitCode, 1);
  assert.match(
    stopped.stderr,
    /^Error: cannot load the native addon: .*the package @usm-receiver\/linux-x64 is not installed; .*install the package again\n$/,
  );
  assert.doesNotMatch(stopped.stderr, /\n\s+at /, 'no stack');
});

test('an addon that the loader refuses is an error that says why', { skip }, async (t) => {
  const app = copyOf(t);
  copyFileSync(path.join(packages, 'linux-arm64/usm.node'), path.join(app, 'node_modules/@usm-receiver/linux-x64/usm.node'));
  const stopped = await runReceiver(t, { launcher: [process.execPath, path.join(app, mainOfPackage)] });
  assert.equal(stopped.exitCode, 1);
  assert.match(stopped.stderr, /^Error: cannot load the native addon: load the addon '.*usm\.node': ENOEXEC: /);
  assert.doesNotMatch(stopped.stderr, /\n\s+at /, 'no stack');
});
