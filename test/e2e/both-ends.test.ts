// Both ends of an exchange on one host are one trace, joined by what the kernel knows of the connection: between languages, over UNIX sockets,
// between network namespaces, through a proxy's two legs; and two receivers that see one end each name the exchange alike.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startNginx } from '../traffic/nginx.ts';
import { newRun, startClient, startServer, type ClientKind, type ServerKind } from '../traffic/traffic.ts';
import { planRequests, type Exchange, type PlannedRequest } from '../traffic/truth.ts';
import { assertBooks, assertTruth, kernelTestSkip, leavesNothingOut, startReceiver } from './harness.ts';
import { joinsOf } from './joins.ts';
import { pidOf, targetOf, type SpanRecord } from './spans.ts';

const skip = kernelTestSkip();

const pairs: readonly [ServerKind, ClientKind][] = [
  ['node', 'go'],
  ['go', 'node'],
  ['python', 'python'],
  ['asyncio', 'io'],
];

test('every exchange between programs of several languages is one trace', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  for (const [serverKind, clientKind] of pairs) {
    const server = await startServer(t, serverKind);
    const client = await startClient(t, clientKind, server);
    const connections = clientKind === 'io' ? 1 : 3;
    truth.push(...(await client.run(planRequests(newRun(), 240, 'plain'), { connections })));
  }
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(joinsOf(stopped.spans), { joined: truth.length, apart: 0, wrong: [] });
});

test('every exchange over a UNIX socket is one trace', { skip }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-unix-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'go', { family: 'unix', socketPath: path.join(folder, 'echo.sock') });
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 60, 'plain'), { connections: 4 });
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(joinsOf(stopped.spans), { joined: truth.length, apart: 0, wrong: [] });
});

test('pipelined requests are each below their own', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 120, 'bodiless'), { connections: 2, pipeline: 10 });
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(joinsOf(stopped.spans), { joined: truth.length, apart: 0, wrong: [] });
});

test('connections that are older than the receiver are joined too', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  await client.run(planRequests(newRun(), 8, 'plain'), { connections: 4 });
  const receiver = await startReceiver(t, { usm: { filter: { include: [{ pids: [server.pid, client.pid] }] } } });
  const truth = await client.run(planRequests(newRun(), 80, 'plain'), { connections: 4 });
  const stopped = await receiver.stop();
  assertBooks(stopped);
  const { joined, apart, wrong } = joinsOf(stopped.spans);
  assert.deepEqual(wrong, []);
  assert.equal(apart, 0);
  assert.equal(joined, truth.length);
});

function addNamespace(t: TestContext): string {
  const name = `usm-${newRun()}`;
  ip('netns', 'add', name);
  t.after(() => ip('netns', 'del', name));
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Two namespaces with a link between them; the right one's address is 10.79.0.2. */
function addLinkedNamespaces(t: TestContext): readonly [left: string, right: string] {
  const [left, right] = [addNamespace(t), addNamespace(t)];
  const link = newRun().slice(0, 6);
  ip('link', 'add', `l${link}`, 'netns', left, 'type', 'veth', 'peer', 'name', `r${link}`, 'netns', right);
  for (const [namespace, name, address] of [
    [left, `l${link}`, '10.79.0.1/24'],
    [right, `r${link}`, '10.79.0.2/24'],
  ] as const) {
    ip('-n', namespace, 'addr', 'add', address, 'dev', name);
    ip('-n', namespace, 'link', 'set', name, 'up');
  }
  return [left, right];
}

const inside = (name: string): string[] => ['ip', 'netns', 'exec', name];

test('namespaces with the same addresses are never mixed up', { skip }, async (t) => {
  // Six programs that go as fast as they can leave the receiver no CPU for a while, right after its start.
  const receiver = await startReceiver(t, { usm: { capture: { ring_buffer_size: '64MiB' } } });
  const truths = await Promise.all(
    [addLinkedNamespaces(t), addLinkedNamespaces(t), addLinkedNamespaces(t)].map(async ([left, right]) => {
      const server = await startServer(t, 'go', { prefix: inside(right), host: '10.79.0.2', port: 8080 });
      const client = await startClient(t, 'go', server, { prefix: inside(left) });
      return client.run(planRequests(newRun(), 84, 'plain'), { connections: 3 });
    }),
  );
  const stopped = await receiver.stop();
  const truth = truths.flat();
  assertTruth(stopped, truth);
  assert.deepEqual(joinsOf(stopped.spans), { joined: truth.length, apart: 0, wrong: [] });
});

test('both ends are joined through a NAT that changes the ports of both', { skip }, async (t) => {
  const [left, right] = addLinkedNamespaces(t);
  const translate = (name: string, ...rule: string[]): void => {
    execFileSync('ip', ['netns', 'exec', name, 'iptables', '-t', 'nat', '-A', ...rule], { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  translate(left, 'POSTROUTING', '-p', 'tcp', '-j', 'SNAT', '--to-source', '10.79.0.1:61000-61999');
  translate(right, 'PREROUTING', '-p', 'tcp', '--dport', '9090', '-j', 'REDIRECT', '--to-ports', '8080');
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'go', { prefix: inside(right), host: '10.79.0.2', port: 8080 });
  const client = await startClient(t, 'go', { ...server, target: '10.79.0.2:9090' }, { prefix: inside(left) });
  const truth = await client.run(planRequests(newRun(), 84, 'plain'), { connections: 5 });
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(joinsOf(stopped.spans), { joined: truth.length, apart: 0, wrong: [] });
  // No port of one end is one of the other's.
  for (const { kind, attributes } of stopped.spans) {
    const port = Number(attributes['network.peer.port']);
    assert.ok(kind === 'CLIENT' ? port === 9090 : port >= 61_000, `${kind} ${String(port)}`);
  }
});

test('two receivers that see one end each name the exchange alike', { skip }, async (t) => {
  const [left, right] = addLinkedNamespaces(t);
  const server = await startServer(t, 'node', { prefix: inside(right), host: '10.79.0.2' });
  const client = await startClient(t, 'go', server, { prefix: inside(left) });
  const receivers = await Promise.all(
    [server.pid, client.pid].map((pid) => startReceiver(t, { usm: { filter: { include: [{ pids: [pid] }] } } })),
  );
  const truth = await client.run(planRequests(newRun(), 60, 'plain'), { connections: 5 });
  const stopped = await Promise.all(receivers.map((receiver) => receiver.stop()));
  for (const one of stopped) assertBooks(one);
  const named = stopped.map(({ spans }) =>
    spans.map((span) => `${targetOf(span)} ${String(span.attributes['usm.exchange.id'])}`).sort(),
  );
  assert.equal(named[0]?.length, truth.length);
  assert.deepEqual(named[0], named[1]);
  assert.equal(
    new Set(stopped[0]?.spans.map((span) => span.attributes['usm.exchange.id'])).size,
    truth.length,
    'each has its own',
  );
});

describeProxy('a proxy between them has two exchanges, and is not guessed through', false);
describeProxy('a traceparent that a proxy passes on joins all four spans', true);

function describeProxy(title: string, isTraced: boolean): void {
  test(title, { skip }, async (t) => {
    const receiver = await startReceiver(t);
    const upstream = await startServer(t, 'node');
    const nginx = await startNginx(t, { upstream: upstream.target });
    const client = await startClient(t, 'node', {
      ...upstream,
      target: `127.0.0.1:${nginx.port}`,
      port: nginx.port,
      service: 'nginx',
    });
    const run = newRun();
    const requests = planRequests(run, 40, 'plain').map((request, index): PlannedRequest =>
      isTraced ? { ...request, headers: { traceparent: traceparentOf(index) } } : request,
    );
    await client.run(requests, { connections: 4 });
    const stopped = await receiver.stop();
    assertBooks(stopped);
    for (const [index, { id }] of requests.entries()) {
      const spans = stopped.spans.filter((span) => targetOf(span).includes(`id=${id}&`));
      const one = (kind: SpanRecord['kind'], isClient: boolean, isUpstream: boolean): SpanRecord | undefined =>
        spans.find(
          (span) =>
            span.kind === kind && (pidOf(span) === client.pid) === isClient && (pidOf(span) === upstream.pid) === isUpstream,
        );
      const [caller, proxied, forwarded, served] = [
        one('CLIENT', true, false),
        one('SERVER', false, false),
        one('CLIENT', false, false),
        one('SERVER', false, true),
      ];
      assert.ok(proxied !== undefined && forwarded !== undefined && served !== undefined, `${id}: ${spans.length} spans`);
      if (isTraced) {
        const [, traceId, spanId] = traceparentOf(index).split('-');
        assert.equal(caller, undefined, 'its SDK has that span');
        assert.deepEqual(
          [proxied, forwarded, served].map((span) => [span.traceId, span.parentSpanId]),
          [
            [traceId, spanId],
            [traceId, proxied.spanId],
            [traceId, forwarded.spanId],
          ],
          id,
        );
      } else {
        assert.ok(caller !== undefined);
        assert.deepEqual([caller.parentSpanId, proxied.parentSpanId], ['', caller.spanId]);
        assert.deepEqual([forwarded.parentSpanId, served.parentSpanId], ['', forwarded.spanId]);
        assert.notEqual(proxied.attributes['usm.exchange.id'], forwarded.attributes['usm.exchange.id']);
      }
    }
  });
}

function traceparentOf(index: number): string {
  return `00-0af7651916cd43dd8448eb211c80319c-${(index + 1).toString(16).padStart(16, '0')}-01`;
}
