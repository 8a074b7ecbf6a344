// Runs every examples/*/run.sh and compares what it prints with its expected.txt (`<number>` stands for any digits, `<trace id>` for one).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../traffic/listener.ts';
import { kernelTestSkip, repository } from './harness.ts';

const skip = kernelTestSkip();
const ports = [
  'OTLP_PORT',
  'PAGE_PORT',
  'JAEGER_PORT',
  'QUERY_PORT',
  'QUERY_GRPC_PORT',
  'DEMO_PORT',
  'FIRST_PORT',
  'SECOND_PORT',
];
const examples = path.join(repository, 'examples');

for (const name of readdirSync(examples)) {
  const script = path.join(examples, name, 'run.sh');
  if (!existsSync(script)) continue;
  test(`examples/${name} prints what it says`, { skip }, async (t) => {
    const env = { ...process.env };
    for (const port of ports) env[port] = String(await freePort());
    const child = spawn(script, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => void child.kill('SIGTERM')); // its trap ends what it started
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code] = (await once(child, 'close')) as [number];
    // What it needs of other people's packages cannot be had here.
    if (code === 3) {
      t.skip(`THIRD-PARTY TEST SKIPPED: ${stderr.trim()}`);
      return;
    }
    assert.equal(code, 0, stderr);
    const expected = readFileSync(path.join(examples, name, 'expected.txt'), 'utf8');
    const pattern = expected
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('<number>', '\\d+')
      .replaceAll('<trace id>', '[0-9a-f]{32}');
    assert.match(stdout, new RegExp(`^${pattern}$`));
  });
}
