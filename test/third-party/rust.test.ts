// The crates libdd-otel-thread-ctx and libdd-library-config, in a program as cargo links it: the variable is in .symtab alone.
import path from 'node:path';
import { test } from 'node:test';
import { kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { assertWritten, FIRST, startPeers, untilLocated, type Command } from './writers.ts';

const { folder, reason } = prepare('rust');
const skip = reason ?? kernelTestSkip();

const program = (...args: readonly string[]): Command => ({ file: path.join(folder, 'libdd-peer'), args: [...args, 'threads'] });

test('libdd-otel-thread-ctx: every transaction is below the span of its own request', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true, attributes: ['request.id'] } } });
  const peers = await startPeers(t, program('serve'), program('call'));
  await untilLocated(receiver, peers);
  const count = 500;
  await peers.run('mixed', FIRST, count, 8);
  assertWritten(await receiver.stop(), peers, 'mixed', count, { client: 'peer', server: 'peer' });
});
