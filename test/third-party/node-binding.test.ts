// examples/node-binding: the span that is active in a Node.js program is the one that its thread publishes.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { startProgram } from '../traffic/program.ts';
import { bindingFolder, prepare } from './prepare.ts';
import { assertWritten, FIRST, startPeers, untilLocated, type Command } from './writers.ts';

const node = prepare('node');

/** The command that runs one of the programs. */
function prepareProgram(t: TestContext, name: string): (...args: readonly string[]) => Command {
  const folder = bindingFolder(t, node, [`node/${name}`]);
  return (...args) => ({
    file: process.execPath,
    args: [path.join(folder, name), path.join(folder, 'thread_context.node'), ...args],
  });
}

test(
  'whatever way a context is left and entered, the published span is the active one',
  { skip: node.reason ?? false },
  async (t) => {
    const { file, args } = prepareProgram(t, 'switches.cjs')();
    const { ways, inSpan, outside, wrong } = await startProgram(t, file, args).next('done');
    assert.deepEqual({ ways, wrong }, { ways: 38, wrong: 0 });
    assert.ok(Number(inSpan) > 1000 && Number(outside) > 100, `${String(inSpan)} in a span, ${String(outside)} outside`);
  },
);

test('every transaction is below the span of its own request', { skip: node.reason ?? kernelTestSkip() }, async (t) => {
  const program = prepareProgram(t, 'binding.cjs');
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } } });
  const peers = await startPeers(t, program('serve'), program('call'));
  await untilLocated(receiver, peers);
  const count = 500;
  await peers.run('mixed', FIRST, count, 8);
  assertWritten(await receiver.stop(), peers, 'mixed', count, { client: 'call', server: 'serve' });
});
