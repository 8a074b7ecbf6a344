// Transactions join the spans that applications publish for their threads (OTEP 4947): each exactly its own, whatever else the threads do, however the
// variable is linked, and also when the application begins to publish late. Whoever publishes nothing is as ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf, FIRST, numberOf, startPeers, type Mode, type Pair, type Peers } from './context-peers.ts';
import { assertBooks, kernelTestSkip, startReceiver, type Receiver, type Stopped } from './harness.ts';
import type { SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** Requests until both processes, or only the client, have been found to publish; their numbers are below FIRST. */
async function untilLocated(
  receiver: Receiver,
  peers: Peers,
  kinds: readonly SpanRecord['kind'][],
  timeoutMs = 15_000,
): Promise<void> {
  let number = 1;
  await waitFor(
    `spans below published ones: ${kinds.join(' and ')}`,
    async () => {
      await peers.run('both', number++, 1, 1);
      const found = receiver.spans().filter((span) => span.attributes['usm.correlation.source'] === 'thread_context');
      return kinds.every((kind) => found.some((span) => span.kind === kind));
    },
    timeoutMs,
  );
}

/** By the request's number, those from FIRST on; a span that comes twice is an error. */
function pairsOf(spans: readonly SpanRecord[]): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  for (const span of spans) {
    const number = numberOf(span);
    if (number === undefined) continue;
    const pair = pairs.get(number) ?? { client: undefined, server: undefined };
    const role = span.kind === 'CLIENT' ? 'client' : 'server';
    assert.equal(pair[role], undefined, `two ${role} spans of ${number}`);
    pair[role] = span;
    pairs.set(number, pair);
  }
  return pairs;
}

interface Planned {
  readonly mode: Mode;
  readonly first: number;
  readonly count: number;
}

function assertPlanned(stopped: Stopped, planned: readonly Planned[]): void {
  assertBooks(stopped);
  const pairs = pairsOf(stopped.spans);
  const faults: string[] = [];
  const none: Pair = { client: undefined, server: undefined };
  for (const { mode, first, count } of planned) {
    for (let number = first; number < first + count; number++) {
      const pair = pairs.get(number) ?? none;
      pairs.delete(number);
      const fault = faultOf(mode, number, pair);
      if (fault !== undefined)
        faults.push(
          `${mode} ${number}: ${fault}: ${JSON.stringify(pair, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
        );
    }
  }
  assert.deepEqual([faults.length, faults.slice(0, 3)], [0, []]);
  assert.equal(pairs.size, 0, 'spans of no request');
}

const modes: readonly Mode[] = ['both', 'client', 'server', 'none', 'linger', 'mixed', 'sdk', 'carry', 'contradict', 'both'];

/** Transactions by the rule that decided on their trace, as the receiver counts them. */
async function rulesOf(receiver: Receiver): Promise<Readonly<Record<string, number>>> {
  const url = /"endpoint": "(http:[^"]+\/metrics)"/.exec(receiver.stderr())?.[1] ?? '';
  const page = await (await fetch(url)).text();
  const lines = page.matchAll(/^otelcol_receiver_usm_correlations\{.*rule="(\w+)".*\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, rule = '', count]) => [rule, Number(count)]));
}

const withMetrics = [
  '--config',
  'yaml:service::telemetry::metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]}',
];

for (const linkage of ['program', 'library'] as const) {
  test(`every transaction is below the span of its own thread, in which the variable is a ${linkage}'s`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } }, args: withMetrics });
    const peers = await startPeers(t, linkage);
    await untilLocated(receiver, peers, ['CLIENT', 'SERVER']);
    const planned = modes.map((mode, index) => ({ mode, first: FIRST + index * 1000, count: 400 }));
    for (const { mode, first, count } of planned) await peers.run(mode, first, count, 8);
    // Of `sdk`, `carry` and `contradict`.
    const decided = { client_sdk: 400, server_sdk: 400, client_traceparent: 400, server_confirmed: 400 };
    const contradicted = { client_contradicted: 400, server_contradicted: 400 };
    await waitFor('each rule to have decided as often as it must', async () => {
      const rules = await rulesOf(receiver);
      return Object.entries({ ...decided, ...contradicted }).every(([rule, count]) => rules[rule] === count);
    });
    assertPlanned(await receiver.stop(), planned);
  });
}

test('a process that begins to publish late is found, and what it did before is as ever', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } } });
  const peers = await startPeers(t, 'program', 'late');
  await untilLocated(receiver, peers, ['CLIENT']);
  const before: Planned = { mode: 'client', first: FIRST, count: 100 };
  // The server's threads are in spans, of which nobody can know.
  await peers.run('client', before.first, before.count, 4);
  peers.server.send('publish');
  await peers.server.next('published');
  await untilLocated(receiver, peers, ['CLIENT', 'SERVER'], 5_000);
  const after: Planned = { mode: 'both', first: FIRST + 1000, count: 100 };
  await peers.run('both', after.first, after.count, 4);
  assertPlanned(await receiver.stop(), [before, after]);
});

test('attributes of the published context are those of the span, if they are wanted', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true, attributes: ['request.id'] } } });
  const peers = await startPeers(t, 'program');
  await untilLocated(receiver, peers, ['CLIENT', 'SERVER']);
  const planned: Planned = { mode: 'both', first: FIRST, count: 200 };
  await peers.run('both', planned.first, planned.count, 4);
  const stopped = await receiver.stop();
  assertPlanned(stopped, [planned]);
  for (const [number, { client, server }] of pairsOf(stopped.spans)) {
    assert.deepEqual([client?.attributes['request.id'], server?.attributes['request.id']], [String(number), String(number)]);
  }
});

test('nothing is read where it is switched off', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: false } } });
  const peers = await startPeers(t, 'program');
  const planned: Planned = { mode: 'both', first: FIRST, count: 100 };
  await peers.run('both', planned.first, planned.count, 4);
  const stopped = await receiver.stop();
  assertPlanned(stopped, [{ ...planned, mode: 'none' }]);
});
