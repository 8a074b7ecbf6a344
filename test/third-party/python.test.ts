// ddtrace publishes the spans of Python programs: of threads, of asyncio's tasks, and of worker processes that were forked.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { assertBooks, kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { waitFor } from '../e2e/wait.ts';
import {
  assertWritten,
  FIRST,
  isPublished,
  ofPeers,
  pairsOf,
  parentIn,
  startPeers,
  untilLocated,
  type Command,
} from './writers.ts';

const { folder, reason } = prepare('python');
const skip = reason ?? kernelTestSkip();

const services = { client: 'dd-call', server: 'dd-serve' };

function program(...args: readonly string[]): Command {
  const env = {
    DD_SERVICE: `dd-${String(args[0])}`,
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
    assertWritten(await receiver.stop(), peers, 'mixed', count, { client: 'peer.client', server: 'peer.server', services });
  });
}

test('ddtrace, gunicorn: workers that were forked publish as the processes that they are', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm });
  const peers = await startPeers(t, program('serve', 'gunicorn'), program('call', 'threads'));
  await untilLocated(receiver, peers, 2);
  await peers.run('both', FIRST, count, 4);
  assertWritten(await receiver.stop(), peers, 'both', count, { client: 'peer.client', server: 'wsgi.response', services });
});

test('ddtrace with its own integrations: each transaction is known to be one of which it has a span', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { ...usm, correlation: { sdk_duplicates: 'internal' } } });
  const patched = ({ env, ...command }: Command): Command => ({ ...command, env: { ...env, PATCH: '1' } });
  const peers = await startPeers(t, patched(program('serve', 'gunicorn')), patched(program('call', 'threads')));
  let number = 1;
  await waitFor('both workers to be found', async () => {
    await peers.run('both', number++, 1, 1);
    const servers = ofPeers(receiver.spans(), peers).filter(isPublished);
    return new Set(servers.map((span) => span.resource['process.pid'])).size === 2;
  });
  await peers.run('both', FIRST, count, 4);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  const pairs = pairsOf(stopped.spans, peers);
  for (let number = FIRST; number < FIRST + count; number++) {
    const { client, server } = pairs.get(number) ?? {};
    assert.ok(client !== undefined && server !== undefined, `a span of ${number} is missing`);
    assert.deepEqual([client.kind, server.kind, server.traceId], ['INTERNAL', 'INTERNAL', client.traceId]);
    const { truth } = peers;
    const parents = [parentIn(truth.client.get(number), client), parentIn(truth.server.get(number), server)];
    assert.deepEqual(parents, ['http.client.request', 'wsgi.response']);
  }
  assert.equal(pairs.size, count);
});
