// Go programs have the spans of their goroutines as profiler labels. On the client side these lie: a request is written by the goroutine of its connection,
// which has the labels of whoever opened it. So a client's transaction must never join them; a server's joins its own, if its trace is among them.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { assertBooks, kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { prepare } from './prepare.ts';
import { FIRST, isPublished, modeOf, pairsOf, parentIn, startPeers, type Command } from './writers.ts';

const { folder, reason } = prepare('go');
const skip = reason ?? kernelTestSkip();

for (const kind of ['otel', 'datadog'] as const) {
  test(`Go labels, ${kind}: no transaction is below a span of another request`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true, go_labels: true } } });
    const program = (role: string): Command => ({ file: path.join(folder, 'go-peer'), args: [role, kind] });
    const peers = await startPeers(t, program('serve'), program('call'));
    // So that both have been looked at. dd-trace-go has no trace id among its labels unless its AppSec runs: nothing of it can be joined.
    let number = 1;
    await waitFor('a server below a published span', async () => {
      await peers.run('both', (number += 20) - 20, 20, 8);
      return kind === 'datadog' || receiver.spans().some((span) => span.kind === 'SERVER' && isPublished(span));
    });
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
      const isInSpan = ['both', 'server'].includes(modeOf('mixed', number));
      assert.equal(isPublished(server), isInSpan && kind === 'otel', `${text}: the server`);
      if (isPublished(server)) assert.equal(parentIn(peers.truth.server.get(number), server), 'serve', `${text}: the server`);
      else assert.deepEqual([server.traceId, server.parentSpanId], [client.traceId, client.spanId], `${text}: the server`);
    }
    assert.equal(pairs.size, count);
  });
}
