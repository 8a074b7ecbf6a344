// Who did it: processes that end at once, that restart, that take over a process id, and connections older than the receiver.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildWithPid } from '../traffic/build.ts';
import { curl } from '../traffic/curl.ts';
import { asExpected, newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests, type Exchange } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';
import { pidOf } from './spans.ts';

const skip = kernelTestSkip();

for (const kind of ['node', 'go', 'io'] as const) {
  test(
    `connections of a ${kind} client and server that are older than the receiver are picked up at the next exchange`,
    { skip },
    async (t) => {
      const server = await startServer(t, kind);
      const client = await startClient(t, kind, server);
      const connections = kind === 'io' ? 1 : 4;
      // Node.js's client probes its idle connections: whose the last word was shows if it did not come within a tick of the one before.
      const query = kind === 'node' ? '&delay=25' : '';
      const earlier = planRequests(newRun(), 16, 'plain').map((request) => ({ ...request, target: request.target + query }));
      await client.run(earlier, { connections });
      const receiver = await startReceiver(t);
      const truth = await client.run(planRequests(newRun(), 48, 'plain'), { connections });
      assertTruth(await receiver.stop(), truth);
    },
  );
}

test('a receiver that starts in the middle of an exchange reports the next one', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const run = newRun();
  await client.run([planRequest(`${run}-warm`)]);
  const slow = client.run([planRequest(`${run}-slow`, { size: 5, query: '&delay=3000' })]);
  const receiver = await startReceiver(t);
  const cut = (await slow)[0]!;
  const truth = await client.run(planRequests(run, 6, 'plain'));
  const stopped = await receiver.stop();
  // Its request was not seen, so it is nobody's: neither invented nor paired with another request.
  assert.equal(
    stopped.spans.filter((span) => String(span.attributes['url.query'] ?? span.attributes['url.full']).includes(cut.id)).length,
    0,
  );
  assertTruth(stopped, truth);
});

test('a process that ends with its answer still has a whole Resource', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node');
  const truth: Exchange[] = [];
  const ask = async (request: ReturnType<typeof planRequest>): Promise<void> => {
    const result = await curl(`http://${server.target}${request.target}`, { method: request.method, bodySize: request.bodySize });
    const client = { pid: result.pid, service: 'curl' };
    truth.push(
      asExpected(
        request,
        { status: result.status, responseBodySize: result.responseBodySize },
        'tcp',
        { pid: server.pid, service: 'echo-server' },
        client,
      ),
    );
  };
  const requests = planRequests(newRun(), 40, 'plain');
  for (const request of requests.slice(0, 20)) await ask(request);
  await Promise.all(requests.slice(20).map(ask));
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  const curls = new Set(truth.map((exchange) => exchange.client?.pid));
  for (const span of stopped.spans.filter((span) => curls.has(pidOf(span)))) {
    assert.equal(span.resource['process.executable.name'], 'curl');
    assert.match(String(span.resource['process.executable.path']), /^\/.*\/curl$/);
    assert.ok(span.resource['host.name']);
    assert.match(String(span.resource['service.instance.id']), /^[0-9a-f-]{36}$/);
  }
});

test('the environment of the process names its service', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const env = {
    OTEL_SERVICE_NAME: 'shop',
    OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2.3,deployment.environment.name=test%20bed',
  };
  const server = await startServer(t, 'python', { env });
  const client = await startClient(t, 'go', server);
  const truth = await client.run(planRequests(newRun(), 8, 'plain'));
  const stopped = await receiver.stop();
  assertTruth(
    stopped,
    truth.map((exchange) => ({ ...exchange, server: { pid: server.pid, service: 'shop' } })),
  );
  const span = stopped.spans.find((span) => pidOf(span) === server.pid);
  assert.equal(span?.resource['service.version'], '1.2.3');
  assert.equal(span.resource['deployment.environment.name'], 'test bed');
});

test('a server that restarts on its port is another process', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const first = await startServer(t, 'node');
  const before = await (await startClient(t, 'node', first)).run(planRequests(newRun(), 8, 'plain'));
  await first.stop();
  const second = await startServer(t, 'node', { port: first.port });
  const after = await (await startClient(t, 'node', second)).run(planRequests(newRun(), 8, 'plain'));
  assert.notEqual(first.pid, second.pid);
  const stopped = await receiver.stop();
  assertTruth(stopped, [...before, ...after]);
  const instances = new Set(
    stopped.spans
      .filter((span) => [first.pid, second.pid].includes(pidOf(span)))
      .map((span) => span.resource['service.instance.id']),
  );
  assert.equal(instances.size, 2);
});

test('a process that takes over the id of one that is gone does not take its name', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const first = await startServer(t, 'go');
  const before = await (await startClient(t, 'node', first)).run(planRequests(newRun(), 8, 'plain'));
  await first.stop();
  const second = await startServer(t, 'asyncio', { prefix: [buildWithPid(), String(first.pid)] });
  assert.equal(second.pid, first.pid);
  const after = await (await startClient(t, 'node', second)).run(planRequests(newRun(), 8, 'plain'));
  const stopped = await receiver.stop();
  assertTruth(stopped, [...before, ...after]);
  const instances = new Set(
    stopped.spans.filter((span) => pidOf(span) === first.pid).map((span) => span.resource['service.instance.id']),
  );
  assert.equal(instances.size, 2);
});
