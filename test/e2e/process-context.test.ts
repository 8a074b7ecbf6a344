// Spans and metrics say who a process is as its SDK has published it (OTEP 4719), also when that comes late; before that they say what is known from outside.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { buildContextPeer } from '../traffic/build.ts';
import { startProgram, type Program } from '../traffic/program.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';
import { lastPoints } from './metric-points.ts';
import { pidOf, targetOf, type SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

interface Peers {
  readonly server: Program;
  /** Requests `first` … `first + count - 1`, of nobody who is in a span. */
  run(first: number, count: number): Promise<void>;
}

async function startPeers(t: TestContext, env: Readonly<Record<string, string>>, ...serverArgs: string[]): Promise<Peers> {
  const file = buildContextPeer('program');
  const server = startProgram(t, file, ['serve', ...serverArgs], { env });
  t.after(() => server.stop());
  const { port } = await server.next('ready');
  const client = startProgram(t, file, ['call', String(port)]);
  t.after(() => client.stop());
  await client.next('ready');
  return {
    server,
    async run(first, count) {
      client.send(`run ${first} ${count} 4 none`);
      assert.equal((await client.next('done'))['failed'], 0);
    },
  };
}

const numberOf = (span: SpanRecord): number => Number(/^\/c\?id=(\d+)&mode=none$/.exec(targetOf(span))?.[1] ?? 0);
const serviceOf = ({ resource }: SpanRecord): unknown => [resource['service.name'], resource['service.instance.id']];

test('the Resource is what the SDK publishes, from the moment on that it does', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: { collection_interval: '200ms' }, signals: ['traces', 'metrics'] });
  const env = { OTEL_SERVICE_NAME: 'told', OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=told-0,service.namespace=eu' };
  const peers = await startPeers(t, env, 'late');
  const servers = (): SpanRecord[] => receiver.spans().filter((span) => span.kind === 'SERVER' && numberOf(span) > 0);
  await peers.run(1, 100);
  await waitFor('spans from before', () => servers().length === 100);
  peers.server.send('publish');
  await peers.server.next('published');
  let number = 1_000;
  await waitFor(
    'a span with the published name',
    async () => {
      await peers.run(number++, 1);
      return servers().some((span) => span.resource['service.name'] === 'context-server');
    },
    5_000,
  );
  await peers.run(1_000_000, 200);
  peers.server.send('publish');
  await peers.server.next('published');
  await waitFor(
    'a span with the name that it has now',
    async () => {
      await peers.run(number++, 1);
      return servers().some((span) => span.resource['service.name'] === 'context-server-renamed');
    },
    5_000,
  );
  const stopped = await receiver.stop();
  assertBooks(stopped);
  const spans = stopped.spans.filter((span) => span.kind === 'SERVER' && numberOf(span) > 0);
  const pid = pidOf(spans[0] as SpanRecord);
  const published = ['context-server', `instance-${String(pid)}`];
  const before = spans.filter((span) => numberOf(span) <= 100);
  const after = spans.filter((span) => numberOf(span) >= 1_000_000);
  assert.deepEqual([before.length, after.length], [100, 200]);
  for (const span of before) assert.deepEqual(serviceOf(span), ['told', 'told-0']);
  for (const span of after) {
    assert.deepEqual(serviceOf(span), published);
    // What it does not publish is as it was told.
    assert.deepEqual([span.resource['service.namespace'], span.resource['process.pid']], ['eu', pid]);
  }
  // One way or the other between, and nothing twice.
  const between = spans.filter((span) => numberOf(span) > 100 && numberOf(span) < 1_000_000);
  assert.equal(between.length, number - 1_000);
  for (const service of ['told', 'context-server', 'context-server-renamed']) {
    const counted = lastPoints(stopped.points)
      .filter(({ metric, resource }) => metric === 'http.server.request.duration' && resource['service.name'] === service)
      .reduce((sum, { count }) => sum + count, 0);
    assert.equal(counted, spans.filter(({ resource }) => resource['service.name'] === service).length, service);
  }
});

test(
  'a process that publishes before its first request is named so, and one that is not searched is not',
  { skip },
  async (t) => {
    for (const isEnabled of [true, false]) {
      const receiver = await startReceiver(t, { usm: { process_context: { enabled: isEnabled } } });
      const peers = await startPeers(t, {});
      const named = (span: SpanRecord): boolean => /^context-(client|server)$/.test(String(span.resource['service.name']));
      let number = 1;
      const isSettled = (): boolean => {
        const seen = receiver.spans().filter((span) => numberOf(span) > 0);
        const kinds = new Set(seen.filter((span) => named(span) === isEnabled).map((span) => span.kind));
        return kinds.has('SERVER') && kinds.has('CLIENT');
      };
      await waitFor('spans of both ends', async () => {
        await peers.run(number++, 1);
        return isSettled();
      });
      await peers.run(1_000_000, 100);
      const stopped = await receiver.stop();
      assertBooks(stopped);
      const spans = stopped.spans.filter((span) => numberOf(span) >= 1_000_000);
      assert.equal(spans.length, 200);
      const names = [...new Set(spans.map((span) => `${span.kind} ${String(span.resource['service.name'])}`))].sort();
      const expected = isEnabled
        ? ['CLIENT context-client', 'SERVER context-server']
        : ['CLIENT context-peer-program', 'SERVER context-peer-program'];
      assert.deepEqual(names, expected);
    }
  },
);
