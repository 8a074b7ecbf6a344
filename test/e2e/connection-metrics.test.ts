// How TCP connections fare, by the metrics of the services at their ends: every byte of every connection, by what both programs did with them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { type Program, startProgram } from '../traffic/program.ts';
import { newRun } from '../traffic/traffic.ts';
import { assertBooks, kernelTestSkip, type Receiver, repository, startReceiver, type Stopped } from './harness.ts';
import { lastPoints, type PointRecord } from './metric-points.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const peerFile = path.join(repository, 'test/e2e/tcp_peer.py');
const names = ['io', 'retransmits', 'rtt', 'resets', 'failed_connects', 'count'].map((name) => `usm.connection.${name}`);
const switchedOn = Object.fromEntries(names.map((name) => [name, { enabled: true }]));
/** Names of the errors of connect(2), by errno. */
const errorNames: Readonly<Record<number, string>> = { 110: 'timeout', 111: 'connection_refused', 113: 'host_unreachable' };

interface Peer {
  readonly service: string;
  readonly program: Program;
}

interface Server extends Peer {
  readonly host: string;
  readonly port: number;
}

type Connection = readonly [up: number, down: number, end: 'server' | 'client' | 'unread' | 'reset' | 'silent'];

function startPeer(t: TestContext, args: readonly string[], prefix: readonly string[] = []): Peer {
  const service = `peer-${newRun()}`;
  const program = startProgram(t, 'python3', ['-u', peerFile, ...args], { prefix, env: { OTEL_SERVICE_NAME: service } });
  return { service, program };
}

async function startServer(t: TestContext, host = '127.0.0.1', prefix: readonly string[] = []): Promise<Server> {
  const peer = startPeer(t, ['server', host], prefix);
  return { ...peer, host, port: Number((await peer.program.next('ready'))['port']) };
}

async function tell(client: Peer, action: string, more: object = {}): Promise<Readonly<Record<string, unknown>>> {
  client.program.send(JSON.stringify({ do: action, ...more }));
  return client.program.next('done', 60_000);
}

function run(client: Peer, { host, port }: Server, connections: readonly Connection[]): Promise<unknown> {
  return tell(client, 'run', { host, port, connections });
}

function startMeasuring(t: TestContext, usm: object = {}, more: object = {}): Promise<Receiver> {
  return startReceiver(t, {
    usm: { collection_interval: '10m', metrics: switchedOn, ...usm },
    signals: ['metrics'],
    ...more,
  });
}

/** Of one service, by metric and direction or error: the last value of each series; of histograms the count. */
function valuesOf(points: readonly PointRecord[], service: string): Record<string, number> {
  const values: Record<string, number> = {};
  for (const { metric, attributes, resource, count } of lastPoints(points)) {
    if (resource['service.name'] !== service || !metric.startsWith('usm.connection.')) continue;
    const detail = attributes['network.io.direction'] ?? attributes['error.type'];
    const name = metric.slice('usm.connection.'.length) + (detail === undefined ? '' : ` ${String(detail)}`);
    values[name] = (values[name] ?? 0) + count;
  }
  return values;
}

/** Payload that the client sends: the line that it begins with is part of it. */
function upOf([up, down, end]: Connection): number {
  return up === 0 ? 0 : Math.max(up, `${up} ${down} ${end}\n`.length);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Two network namespaces with a cable between them. */
function addNamespaces(t: TestContext): { readonly left: string[]; readonly right: string[]; cut(): void; mend(): void } {
  const [left, right, cable] = [`usm-${newRun()}`, `usm-${newRun()}`, newRun().slice(0, 6)] as const;
  for (const name of [left, right]) {
    ip('netns', 'add', name);
    t.after(() => ip('netns', 'del', name));
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('link', 'add', `l${cable}`, 'netns', left, 'type', 'veth', 'peer', 'name', `r${cable}`, 'netns', right);
  for (const [name, side, address] of [
    [left, 'l', '10.77.0.1/24'],
    [right, 'r', '10.77.0.2/24'],
  ] as const) {
    ip('-n', name, 'addr', 'add', address, 'dev', `${side}${cable}`);
    ip('-n', name, 'link', 'set', `${side}${cable}`, 'up');
  }
  const neighbour = (...args: string[]): void => ip('-n', left, 'neigh', 'replace', '10.77.0.2', ...args, 'dev', `l${cable}`);
  return {
    left: ['ip', 'netns', 'exec', left],
    right: ['ip', 'netns', 'exec', right],
    // What the left side sends goes to a card that is not there.
    cut: () => neighbour('lladdr', '02:00:00:00:00:99', 'nud', 'permanent'),
    mend: () => {
      ip('-n', left, 'neigh', 'del', '10.77.0.2', 'dev', `l${cable}`);
    },
  };
}

function assertMeasured(stopped: Stopped): void {
  assertBooks(stopped);
  assert.deepEqual(stopped.ledger?.events?.dropped ?? {}, {});
}

// Some wait for timers of the kernel. Each looks at its own programs alone.
describe('how TCP connections fare', { concurrency: 2 }, () => {
  for (const host of ['127.0.0.1', '::1']) {
    test(`every byte of every connection is counted at both ends, ${host}`, { skip }, async (t) => {
      const receiver = await startMeasuring(t);
      const server = await startServer(t, host);
      const client = startPeer(t, ['client']);
      const sizes = [1, 20, 1_000, 70_000, 300_001];
      const connections = Array.from({ length: 60 }, (_, i): Connection => {
        const end = i % 3 === 0 ? 'client' : 'server';
        return i % 10 === 9 ? [0, 0, end] : [sizes[i % 5] as number, sizes[(i + (i >> 3)) % 5] as number, end];
      });
      connections.push([1, 0, 'silent']);
      await run(client, server, connections);
      await client.program.stop();
      await server.program.stop();
      const stopped = await receiver.stop();
      assertMeasured(stopped);
      const up = sum(connections.map(upOf));
      const down = sum(connections.map(([first, second]) => (first === 0 ? 0 : second)));
      for (const [service, sent, received] of [
        [client.service, up, down],
        [server.service, down, up],
      ] as const) {
        const { rtt = 0, count = 0, retransmits, ...values } = valuesOf(stopped.points, service);
        assert.deepEqual(values, { 'io transmit': sent, 'io receive': received });
        // A few are sent again on a busy machine, though nothing was lost.
        assert.ok(retransmits !== undefined);
        // Once, or more often where a look came between.
        assert.ok(rtt >= connections.length && rtt <= connections.length + 5, `${rtt} round-trip times`);
        assert.equal(count, 0);
      }
      for (const { attributes, resource, unit, metric } of stopped.points) {
        const role = resource['service.name'] === client.service ? 'client' : 'server';
        if (resource['service.name'] !== client.service && resource['service.name'] !== server.service) continue;
        const { 'network.io.direction': direction, ...others } = attributes;
        assert.equal(direction === undefined, metric !== 'usm.connection.io');
        assert.deepEqual(others, {
          'usm.connection.role': role,
          'server.address': host,
          'server.port': server.port,
          'network.transport': 'tcp',
          'network.type': host.includes(':') ? 'ipv6' : 'ipv4',
        });
        assert.equal(unit, { 'usm.connection.io': 'By', 'usm.connection.rtt': 's' }[metric] ?? unit);
      }
    });
  }

  test('a reset is counted at both ends, by the one that sent it', { skip }, async (t) => {
    const receiver = await startMeasuring(t);
    const server = await startServer(t);
    const client = startPeer(t, ['client']);
    const ends = ['reset', 'unread', 'reset', 'server', 'client', 'unread', 'reset'] as const;
    await run(
      client,
      server,
      ends.map((end): Connection => [50, end === 'unread' ? 0 : 50, end]),
    );
    await client.program.stop();
    await server.program.stop();
    const stopped = await receiver.stop();
    assertMeasured(stopped);
    const resetsOf = ({ service }: Peer): (number | undefined)[] => {
      const values = valuesOf(stopped.points, service);
      return [values['resets transmit'], values['resets receive'], values['resets']];
    };
    assert.deepEqual(resetsOf(server), [5, undefined, undefined]);
    assert.deepEqual(resetsOf(client), [undefined, 5, undefined]);
  });

  for (const temporality of ['cumulative', 'delta'] as const) {
    test(`a long-lived connection is counted as it goes and at its end, once, ${temporality}`, { skip }, async (t) => {
      const receiver = await startMeasuring(t, { collection_interval: '200ms', aggregation: { temporality } });
      const server = await startServer(t);
      const client = startPeer(t, ['client']);
      const totalOf = (points: readonly PointRecord[], direction: string): number => {
        const own = points.filter(
          ({ metric, resource, attributes }) =>
            metric === 'usm.connection.io' &&
            resource['service.name'] === client.service &&
            attributes['network.io.direction'] === direction,
        );
        return temporality === 'delta' ? sum(own.map(({ count }) => count)) : (own.at(-1)?.count ?? 0);
      };
      await tell(client, 'open', { host: server.host, port: server.port });
      let [up, down] = [0, 0];
      for (const [nextUp, nextDown] of [
        [1_000, 10],
        [50, 200_000],
        [400_000, 0],
      ] as const) {
        await tell(client, 'say', { up: nextUp, down: nextDown });
        up += nextUp;
        down += nextDown;
        await waitFor('the bytes to be counted while the connection lives', () => {
          const points = receiver.points();
          return totalOf(points, 'transmit') === up && totalOf(points, 'receive') === down;
        });
        assert.equal(valuesOf(receiver.points(), client.service)['count'], 1);
        assert.equal(valuesOf(receiver.points(), server.service)['count'], 1);
      }
      await tell(client, 'say', { up: 77, down: 33 });
      await tell(client, 'close');
      await waitFor('the connection not to be open', () => valuesOf(receiver.points(), server.service)['count'] === 0);
      const stopped = await receiver.stop();
      assertMeasured(stopped);
      assert.equal(totalOf(stopped.points, 'transmit'), up + 77);
      assert.equal(totalOf(stopped.points, 'receive'), down + 33);
      for (const { metric, temporality: told } of stopped.points) {
        assert.equal(told, temporality === 'delta' && metric !== 'usm.connection.count' ? 1 : 2);
      }
    });
  }

  test('of a connection that is older than the receiver, what moves from then on', { skip }, async (t) => {
    const server = await startServer(t);
    const client = startPeer(t, ['client']);
    await tell(client, 'open', { host: server.host, port: server.port });
    await tell(client, 'say', { up: 123_456, down: 654_321 });
    const receiver = await startMeasuring(t, { collection_interval: '200ms' });
    await tell(client, 'say', { up: 1_000, down: 2_000 });
    await waitFor('the connection to be counted', () => valuesOf(receiver.points(), client.service)['io transmit'] === 1_000);
    await tell(client, 'say', { up: 30, down: 4 });
    await tell(client, 'close');
    await waitFor('its end', () => valuesOf(receiver.points(), server.service)['count'] === 0);
    const stopped = await receiver.stop();
    assertMeasured(stopped);
    for (const [peer, role, sent, received] of [
      [client, 'client', 1_030, 2_004],
      [server, 'server', 2_004, 1_030],
    ] as const) {
      const { rtt = 0, retransmits, ...values } = valuesOf(stopped.points, peer.service);
      assert.ok(rtt > 0 && retransmits !== undefined);
      assert.deepEqual(values, { 'io transmit': sent, 'io receive': received, count: 0 });
      const own = stopped.points.filter(({ resource }) => resource['service.name'] === peer.service);
      for (const { attributes, metric } of own.filter((point) => point.metric.startsWith('usm.'))) {
        assert.deepEqual([attributes['usm.connection.role'], attributes['server.port']], [role, server.port], metric);
      }
    }
  });

  test('attempts to connect that fail are counted by the reason', { skip }, async (t) => {
    const network = addNamespaces(t);
    const receiver = await startMeasuring(t);
    const client = startPeer(t, ['client'], network.left);
    const fail = async (host: string, how: string, count: number, repeats = 1): Promise<number[]> =>
      (await tell(client, 'fail', { host, port: 9, how, count, repeats }))['errors'] as number[];
    const refused = await fail('10.77.0.2', 'wait', 7);
    const unreachable = await fail('10.77.0.3', 'wait', 3, 4);
    network.cut();
    const unanswered = await fail('10.77.0.2', 'wait', 5);
    await fail('10.77.0.2', 'leave', 4);
    const stopped = await receiver.stop();
    assertMeasured(stopped);
    assert.deepEqual([...new Set(refused)], [111]);
    assert.deepEqual([...new Set(unreachable)], [113]);
    assert.deepEqual([...new Set(unanswered)], [110]);
    const { retransmits, ...values } = valuesOf(stopped.points, client.service);
    const expected: Record<string, number> = { 'failed_connects cancelled': 4 };
    for (const error of [...refused, ...unreachable, ...unanswered]) {
      const name = `failed_connects ${errorNames[error] ?? String(error)}`;
      expected[name] = (expected[name] ?? 0) + 1;
    }
    assert.deepEqual(values, expected);
    // Each unanswered one sent its SYN once more, as those that nobody could be found for may have more often.
    assert.ok(retransmits !== undefined && retransmits >= 5 && retransmits <= 5 + 3 * 4, `${String(retransmits)} retransmits`);
  });

  test('segments that were sent again are counted as the kernel tells the program itself', { skip }, async (t) => {
    const network = addNamespaces(t);
    const receiver = await startMeasuring(t);
    const server = await startServer(t, '10.77.0.2', network.right);
    const client = startPeer(t, ['client'], network.left);
    await tell(client, 'open', { host: server.host, port: server.port });
    await tell(client, 'say', { up: 1_000, down: 1_000 });
    network.cut();
    client.program.send(JSON.stringify({ do: 'say', up: 20_000, down: 500 }));
    // The program waits for the answer: the kernel is asked from outside.
    await waitFor('a segment to be sent again', () => {
      const text = execFileSync(network.left[0] as string, [...network.left.slice(1), 'ss', '-tin'], { encoding: 'utf8' });
      return Number(/retrans:\d+\/(\d+)/.exec(text)?.[1] ?? 0) >= 3;
    });
    network.mend();
    await client.program.next('done', 60_000);
    const info = await tell(client, 'info');
    await tell(client, 'close');
    await client.program.stop();
    await server.program.stop();
    const stopped = await receiver.stop();
    assertMeasured(stopped);
    const sent = valuesOf(stopped.points, client.service);
    assert.ok(Number(info['retransmits']) >= 3);
    assert.equal(sent['retransmits'], info['retransmits']);
    assert.deepEqual([sent['io transmit'], sent['io receive']], [21_000, 1_500]);
    const received = valuesOf(stopped.points, server.service);
    assert.deepEqual([received['io transmit'], received['io receive']], [1_500, 21_000]);
  });

  test('filters leave connections out, and the receiver never counts its own', { skip }, async (t) => {
    const sink = await startServer(t);
    const [wanted, excluded] = [await startServer(t), await startServer(t)];
    const receiver = await startMeasuring(
      t,
      {
        filter: { exclude: [{ local_ports: [excluded.port] }, { remote_ports: [excluded.port] }] },
        collection_interval: '200ms',
      },
      { exporters: { otlp_grpc: { endpoint: `127.0.0.1:${sink.port}`, tls: { insecure: true }, timeout: '1s' } } },
    );
    const client = startPeer(t, ['client']);
    await run(client, wanted, [[100, 100, 'server']]);
    await run(client, excluded, [[900, 900, 'server']]);
    await tell(client, 'fail', { host: '127.0.0.1', port: 1, how: 'wait', count: 1 });
    await waitFor('both to be counted', () => valuesOf(receiver.points(), wanted.service)['io receive'] === 100);
    const stopped = await receiver.stop();
    const values = valuesOf(stopped.points, client.service);
    assert.deepEqual([values['io transmit'], values['io receive'], values['failed_connects connection_refused']], [100, 100, 1]);
    assert.deepEqual(valuesOf(stopped.points, excluded.service), {});
    assert.deepEqual(valuesOf(stopped.points, sink.service), {}, 'the other end of our own connection');
    const ours = stopped.points.filter(({ attributes }) => attributes['server.port'] === sink.port);
    assert.deepEqual(ours, []);
  });
});
