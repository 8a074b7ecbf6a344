// The packages on arm64, as far as an emulator of user programs goes: it has no bpf(2), so nothing is captured.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { emulator } from '../otel-thread-context/reader/emulated.ts';
import { buildFixtures, fixtures, startPublisher } from '../otel-thread-context/reader/publisher.ts';
import { fetchNode, installed, mainOfPackage, makePackages, repository } from './packages.ts';

const packed = makePackages();
const node = packed.reason === undefined ? fetchNode('arm64', process.versions.node) : undefined;
const skip = packed.reason ?? (node === undefined ? 'there is no Node.js for arm64' : false);
/** What is compiled while it runs, the emulator would have to translate too. */
const withoutCompiler = '--jitless';

/** What is printed. Rejects where the exit code is not 0. */
async function run(...args: string[]): Promise<string> {
  const [program = '', ...before] = emulator;
  const { stdout } = await promisify(execFile)(program, [...before, node ?? '', ...args]);
  return stdout;
}

describe('on arm64', { skip, concurrency: 2 }, () => {
  const app =
    skip === false ? installed({ after }, [packed.receiver, packed.arm64], ['--force', '--cpu=arm64', '--os=linux']) : '';
  const main = path.join(app, mainOfPackage);

  test('the reader finds the contexts that threads publish', async () => {
    buildFixtures();
    await using publisher = await startPublisher([...emulator, `${fixtures}aarch64/exported`]);
    const script = path.join(import.meta.dirname, 'arm64-reader.ts');
    const reader = path.join(app, 'node_modules/usm-receiver/dist/otel-thread-context/reader/index.js');
    const printed = await run(script, reader, JSON.stringify(publisher));
    const published = publisher.threads.filter(({ slot }) => slot !== 0);
    assert.ok(published.length > 1);
    assert.deepEqual(JSON.parse(printed), {
      arch: 'arm64',
      contexts: Object.fromEntries(published.map(({ thread, traceId }) => [thread, traceId])),
    });
  });

  test('the command tells its version', async () => {
    assert.match(await run(withoutCompiler, main, '--version'), /^usm-receiver version \d+\.\d+\.\d+\n$/);
  });

  test('the command checks a configuration', async () => {
    const config = path.join(repository, 'collector-config.yaml');
    assert.equal(await run(withoutCompiler, main, 'validate', '--config', config), '');
  });

  test('the addon loads and knows where it is', async () => {
    const addon = path.join(app, 'node_modules/@usm-receiver/linux-arm64/usm.node');
    const printed = await run(withoutCompiler, '-p', `JSON.stringify(require(${JSON.stringify(addon)}).describeHost())`);
    const { machine, possibleCpus } = JSON.parse(printed) as { machine: string; possibleCpus: number };
    assert.equal(machine, 'aarch64');
    assert.ok(possibleCpus > 0);
  });
});
