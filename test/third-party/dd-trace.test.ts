// npm dd-trace with @datadog/pprof: Node.js keeps the record of the function that runs in V8's heap (schema nodejs_v1_dev).
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { assertWritten, FIRST, isPublished, pairsOf, startPeers, untilLocated, type Command } from './writers.ts';

const { folder, reason } = prepare('dd-trace');
const skip = reason ?? kernelTestSkip();

function peer(...args: readonly string[]): Command {
  const env = {
    NODE_PATH: path.join(folder, 'node_modules'),
    DD_TRACE_OTEL_CTX_ENABLED: 'true',
    DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
  };
  return { file: process.execPath, args: [path.join(import.meta.dirname, 'dd-trace/peer.cjs'), ...args], env };
}

for (const args of [['serve'], ['serve', 'worker']]) {
  test(`dd-trace: every transaction is below the span of its own request: ${args.join(' ')}`, { skip }, async (t) => {
    const attribute = 'datadog.local_root_span_id';
    const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true, attributes: [attribute] } } });
    const peers = await startPeers(t, peer(...args), peer('call'));
    await untilLocated(receiver, peers);
    const count = 500;
    await peers.run('mixed', FIRST, count, 16);
    const stopped = await receiver.stop();
    assertWritten(stopped, peers, 'mixed', count, { client: 'client.request', server: 'server.handle' });
    for (const [number, { server }] of pairsOf(stopped.spans, peers)) {
      if (server === undefined || !isPublished(server)) continue;
      const root = peers.truth.server.get(number)?.find(({ name }) => name === 'server.request');
      assert.equal(server.attributes[attribute], root?.span, String(number));
    }
  });
}
