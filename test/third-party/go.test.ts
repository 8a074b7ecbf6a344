// Go programs have the spans of their goroutines as profiler labels. On the client side these lie: a request is written by the goroutine of its connection,
// which has the labels of whoever opened it. So a client's transaction must never join them; a server's joins its own, or what it would have joined without.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { assertBooks, kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { FIRST, isPublished, modeOf, pairsOf, parentIn, startPeers, type Command } from './writers.ts';

const { folder, reason } = prepare('go');
const skip = reason ?? kernelTestSkip();

for (const kind of ['otel', 'datadog'] as const) {
  test(`Go labels, ${kind}: no transaction is below a span of another request`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } } });
    const program = (role: string): Command => ({ file: path.join(folder, 'go-peer'), args: [role, kind] });
    const peers = await startPeers(t, program('serve'), program('call'));
    // So that both have been looked at.
    await peers.run('both', 1, 100, 8);
    const count = 500;
    await peers.run('mixed', FIRST, count, 8);
    const stopped = await receiver.stop();
    assertBooks(stopped);
    const pairs = pairsOf(stopped.spans, peers);
    for (let number = FIRST; number < FIRST + count; number++) {
      const { client, server } = pairs.get(number) ?? {};
      const text = `request ${number} (${modeOf('mixed', number)})`;
      assert.ok(client !== undefined && server !== undefined, `${text}: a span is missing`);
      assert.equal(client.parentSpanId, '', `${text}: the client`);
      if (isPublished(server)) assert.equal(parentIn(peers.truth.server.get(number), server), 'serve', `${text}: the server`);
      else assert.deepEqual([server.traceId, server.parentSpanId], [client.traceId, client.spanId], `${text}: the server`);
    }
    assert.equal(pairs.size, count);
  });
}
