// ddtrace publishes the spans of Python programs: of threads, of asyncio's tasks, and of worker processes that were forked.
import path from 'node:path';
import { test } from 'node:test';
import { kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { assertWritten, FIRST, startPeers, untilLocated, type Command } from './writers.ts';

const { folder, reason } = prepare('python');
const skip = reason ?? kernelTestSkip();

function program(...args: readonly string[]): Command {
  const env = {
    PYTHONPATH: folder,
    DD_TRACE_OTEL_CTX_ENABLED: 'true',
    DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
    DD_REMOTE_CONFIGURATION_ENABLED: 'false',
  };
  return { file: 'python3', args: [path.join(import.meta.dirname, 'python/datadog.py'), ...args], env };
}

const count = 300;
const usm = { thread_context: { enabled: true } };

for (const kind of ['threads', 'asyncio'] as const) {
  test(`ddtrace, ${kind}: every transaction is below the span of its own request`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm });
    const peers = await startPeers(t, program('serve', kind), program('call', kind));
    await untilLocated(receiver, peers);
    await peers.run('mixed', FIRST, count, 8);
    assertWritten(await receiver.stop(), peers, 'mixed', count, { client: 'peer.client', server: 'peer.server' });
  });
}

test('ddtrace, gunicorn: workers that were forked publish as the processes that they are', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm });
  const peers = await startPeers(t, program('serve', 'gunicorn'), program('call', 'threads'));
  await untilLocated(receiver, peers, 2);
  await peers.run('both', FIRST, count, 4);
  assertWritten(await receiver.stop(), peers, 'both', count, { client: 'peer.client', server: 'wsgi.response' });
});
