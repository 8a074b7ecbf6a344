import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '../e2e/wait.ts';
import { startCollector, startJaeger } from './peers.ts';

function request(traceId: string): string {
  const now = BigInt(Date.now()) * 1_000_000n;
  const span = {
    traceId,
    spanId: 'a1a2a3a4a5a6a7a8',
    name: 'GET',
    kind: 2,
    startTimeUnixNano: String(now - 1000n),
    endTimeUnixNano: String(now),
  };
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'peer-check' } }] };
  return JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'check' }, spans: [span] }] }] });
}

test('a span sent to the Collector is in its file and, handed on, in Jaeger', async (t) => {
  const jaeger = await startJaeger(t);
  const collector = await startCollector(t, {
    exporters: { otlp: { endpoint: `127.0.0.1:${jaeger.grpcPort}`, tls: { insecure: true } } },
  });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const response = await fetch(`http://127.0.0.1:${collector.httpPort}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: request(traceId),
  });
  assert.equal(response.status, 200);
  const traces = await waitFor('the trace in Jaeger', async () => {
    const found = await jaeger.traces('peer-check');
    return found.length > 0 && found;
  });
  assert.equal(traces[0]?.traceID, traceId);
  assert.ok((await jaeger.services()).includes('peer-check'));
  await waitFor('the span in the file', () => readFileSync(collector.file, 'utf8').includes(traceId));
});
