// Requests that a server makes to serve another: found by its threads where each serves one request at a time, and guessed nowhere.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startProgram } from '../traffic/program.ts';
import { certificateEnv, newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest } from '../traffic/truth.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';
import { pidOf, targetOf, type SpanRecord } from './spans.ts';

const skip = kernelTestSkip();
const REQUESTS = 60;
const CONNECTIONS = 6;
const traffic = path.join(import.meta.dirname, '..', 'traffic');

interface Legs {
  readonly caller: SpanRecord;
  readonly relayed: SpanRecord;
  readonly forwarded: SpanRecord;
  readonly served: SpanRecord;
  /** Asked for behind the answer. */
  readonly after: SpanRecord | undefined;
}

/** What is encrypted: what the relay is asked, and what it asks. */
interface Secured {
  readonly front: boolean;
  readonly upstream: boolean;
}

/** The spans of requests over a relay, one by one. */
async function relay(t: TestContext, command: readonly [string, ...string[]], isSecure: Secured): Promise<readonly Legs[]> {
  const receiver = await startReceiver(t);
  const upstream = await startServer(t, 'node', { isSecure: isSecure.upstream });
  const [program, ...args] = command;
  const env = { ...(isSecure.front ? certificateEnv() : {}), ...(isSecure.upstream ? { TLS: '1' } : {}) };
  const started = startProgram(t, program, [...args, '127.0.0.1', String(upstream.port)], { env });
  t.after(() => started.stop());
  const port = Number((await started.next('listening'))['port']);
  const client = await startClient(t, 'node', { ...upstream, target: `127.0.0.1:${port}`, port, isSecure: isSecure.front });
  const run = newRun();
  const requests = Array.from({ length: REQUESTS }, (_, index) =>
    planRequest(`${run}-${index}`, { size: 10, query: '&delay=5' }),
  );
  await client.run(requests, { connections: CONNECTIONS });
  const stopped = await receiver.stop();
  assertBooks(stopped);
  return requests.map(({ id }) => {
    const spans = stopped.spans.filter((span) => targetOf(span).includes(`id=${id}&`));
    const one = (kind: SpanRecord['kind'], pid: number, isAfter = false): SpanRecord | undefined => {
      const found = spans.filter(
        (span) => span.kind === kind && pidOf(span) === pid && targetOf(span).includes('after=1') === isAfter,
      );
      assert.ok(found.length <= 1, id);
      return found[0];
    };
    const [caller, relayed] = [one('CLIENT', client.pid), one('SERVER', started.pid)];
    const [forwarded, served] = [one('CLIENT', started.pid), one('SERVER', upstream.pid)];
    assert.ok(caller && relayed && forwarded && served, `${id}: ${String(spans.length)} spans`);
    return { caller, relayed, forwarded, served, after: one('CLIENT', started.pid, true) };
  });
}

for (const isSecure of [
  { front: false, upstream: false },
  { front: false, upstream: true },
  { front: true, upstream: false },
  { front: true, upstream: true },
]) {
  const ways = `asked by ${isSecure.front ? 'HTTPS' : 'HTTP'}, asking by ${isSecure.upstream ? 'HTTPS' : 'HTTP'}`;
  test(`a thread that serves one request at a time makes its own requests for that one: ${ways}`, { skip }, async (t) => {
    const all = await relay(t, ['python3', path.join(traffic, 'python/relay_server.py')], isSecure);
    for (const { caller, relayed, forwarded, served, after } of all) {
      assert.deepEqual(
        [relayed, forwarded, served].map(({ traceId, parentSpanId }) => [traceId, parentSpanId]),
        [
          [caller.traceId, caller.spanId],
          [caller.traceId, relayed.spanId],
          [caller.traceId, forwarded.spanId],
        ],
        targetOf(caller),
      );
      assert.equal(forwarded.attributes['usm.correlation.source'], 'thread');
      assert.equal(forwarded.attributes['usm.correlation.confidence'], 'inferred');
      if (after !== undefined) assert.equal(after.parentSpanId, '', 'it had answered already');
    }
    // The last of each connection may still be under way.
    assert.ok(all.filter(({ after }) => after !== undefined).length >= REQUESTS - CONNECTIONS);
  });

  if (isSecure.front !== isSecure.upstream) continue;
  test(`of a thread that serves many requests at a time nothing is guessed: ${ways}`, { skip }, async (t) => {
    const all = await relay(t, [process.execPath, path.join(traffic, 'node/relay-server.mjs')], isSecure);
    for (const { caller, relayed, forwarded, served } of all) {
      assert.deepEqual([caller.parentSpanId, relayed.parentSpanId], ['', caller.spanId]);
      assert.deepEqual([forwarded.parentSpanId, served.parentSpanId], ['', forwarded.spanId]);
    }
  });
}
