import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectionMetrics } from '../../../receiver/model/connection-metrics.ts';
import type { ConnectionVitals } from '../../../receiver/model/connection-vitals.ts';
import { imageOf } from '../../attribution/image.ts';
import { createRandom } from '../../config/random-config.ts';
import { type BenchOptions, MetricsBench, type PlainPoint, SECOND } from './metrics-bench.ts';

const names = connectionMetrics.map(({ name }) => name);
const shop = imageOf({ pid: 7, executablePath: '/usr/bin/shop' });
const cache = { address: '10.0.0.9', port: 6379 };

function vitals(variation: Partial<ConnectionVitals> = {}): ConnectionVitals {
  return {
    connection: 1,
    sent: 0,
    received: 0,
    retransmits: 0,
    rttUs: 0,
    role: 'client',
    ipVersion: 4,
    local: { address: '10.0.0.1', port: 40_001 },
    peer: cache,
    networkNamespace: 1,
    process: { pid: shop.pid, startTime: shop.startTime },
    outcome: undefined,
    error: 0,
    isUnsent: false,
    ...variation,
  };
}

function createBench(options: BenchOptions = {}): MetricsBench {
  const bench = new MetricsBench({ metrics: names, ...options });
  bench.start(shop);
  return bench;
}

/** Name, direction or error of each point, and its value; of histograms their count. */
function valuesOf(points: readonly PlainPoint[]): Record<string, number> {
  return Object.fromEntries(
    points.map(({ metric, attributes, count }) => {
      const detail = attributes['network.io.direction'] ?? attributes['error.type'];
      return [`${metric.replace('usm.connection.', '')}${detail === undefined ? '' : ` ${String(detail)}`}`, count];
    }),
  );
}

describe('what a point says', () => {
  test('a client names the server that it speaks to, a server itself, and one of which neither is known no server', () => {
    const bench = createBench({ metrics: ['usm.connection.retransmits'] });
    bench.connections.take(vitals({ connection: 1, outcome: 'closed' }));
    bench.connections.take(
      vitals({ connection: 2, outcome: 'closed', role: 'server', ipVersion: 6, local: { address: '::1', port: 80 } }),
    );
    bench.connections.take(vitals({ connection: 3, outcome: 'closed', role: 'unknown' }));
    const transport = { 'network.transport': 'tcp', 'network.type': 'ipv4' };
    assert.deepEqual(
      bench.collect().map(({ attributes }) => attributes),
      [
        { 'usm.connection.role': 'client', 'server.address': '10.0.0.9', 'server.port': 6379, ...transport },
        { 'usm.connection.role': 'server', 'server.address': '::1', 'server.port': 80, ...transport, 'network.type': 'ipv6' },
        { 'usm.connection.role': 'unknown', ...transport },
      ],
    );
  });

  test('clients of a server are one series, whatever their ports, unless their addresses are asked for', () => {
    const clients = ['10.0.0.2', '10.0.0.3', '10.0.0.3'].map((address, i) => ({ address, port: 40_000 + i }));
    const countsOf = (options: BenchOptions): unknown[] => {
      const bench = createBench({ metrics: ['usm.connection.count'], ...options });
      for (const [i, peer] of clients.entries()) bench.connections.take(vitals({ connection: i + 1, role: 'server', peer }));
      return bench.collect().map(({ attributes, count }) => [attributes['network.peer.address'], count]);
    };
    assert.deepEqual(countsOf({}), [[undefined, 3]]);
    assert.deepEqual(countsOf({ attributes: ['usm.connection.role', 'network.peer.address'] }), [
      ['10.0.0.2', 1],
      ['10.0.0.3', 2],
    ]);
  });

  test('each is measured for the service that has the connection, or for none', () => {
    const bench = createBench({ metrics: ['usm.connection.count'] });
    bench.connections.take(vitals());
    bench.connections.take(vitals({ connection: 2, process: undefined }));
    assert.deepEqual(
      bench.collect().map(({ service, count }) => [service, count]),
      [
        ['shop', 1],
        ['unknown_service', 1],
      ],
    );
  });

  test('a round-trip time is in seconds, and measured when something was acknowledged', () => {
    const bench = createBench({ metrics: ['usm.connection.rtt'] });
    bench.connections.take(vitals({ rttUs: 250 }));
    bench.connections.take(vitals({ rttUs: 250, received: 10 }));
    bench.connections.take(vitals({ rttUs: 1_750, sent: 10 }));
    bench.connections.take(vitals({ rttUs: 1_750, sent: 10, outcome: 'closed' }));
    bench.connections.take(vitals({ connection: 2, rttUs: 0, outcome: 'closed' }));
    const [point] = bench.collect();
    assert.deepEqual([point?.kind, point?.count, point?.sum], ['histogram', 2, 0.002]);
  });

  test('a reset says which end sent it, if that is known', () => {
    const bench = createBench({ metrics: ['usm.connection.resets'] });
    for (const [i, outcome] of (['reset_sent', 'reset_received', 'reset', 'closed', 'reset_received'] as const).entries()) {
      bench.connections.take(vitals({ connection: i + 1, outcome }));
    }
    assert.deepEqual(valuesOf(bench.collect()), { 'resets transmit': 1, 'resets receive': 2, resets: 1 });
  });

  test('a failed connect says why, moves nothing, and was never open', () => {
    const bench = createBench();
    for (const [i, error] of [111, 110, 113, 101, 104, 0, 13].entries()) {
      bench.connections.take(vitals({ connection: i + 1, outcome: 'failed', error, retransmits: i === 1 ? 6 : 0 }));
    }
    bench.connections.take(vitals({ connection: 20, outcome: 'failed', isUnsent: true }));
    assert.deepEqual(valuesOf(bench.collect()), {
      'failed_connects connection_refused': 1,
      'failed_connects timeout': 1,
      'failed_connects host_unreachable': 1,
      'failed_connects network_unreachable': 1,
      'failed_connects connection_reset': 1,
      'failed_connects cancelled': 1,
      'failed_connects _OTHER': 2,
      retransmits: 6,
    });
  });
});

describe('what is counted', () => {
  test('of a living connection what moved since the last look, at its end the rest', () => {
    const bench = createBench({ aggregation: { temporality: 'delta' } });
    bench.connections.take(vitals({ sent: 100, received: 5, retransmits: 1, rttUs: 80 }));
    assert.deepEqual(valuesOf(bench.collect()), { 'io transmit': 100, 'io receive': 5, retransmits: 1, rtt: 1, count: 1 });
    bench.connections.take(vitals({ sent: 140, received: 6, retransmits: 1, rttUs: 80 }));
    bench.connections.take(vitals({ sent: 150, received: 6, retransmits: 3, rttUs: 80, outcome: 'reset_received' }));
    assert.deepEqual(valuesOf(bench.collect()), {
      'io transmit': 50,
      'io receive': 1,
      retransmits: 2,
      rtt: 2,
      'resets receive': 1,
      count: 0,
    });
    assert.equal(bench.connections.connections, 0);
  });

  test('random looks, lost records and ends make exactly what the connections moved', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = createRandom(seed);
      const bench = createBench({ maxConnections: seed % 3 === 0 ? 4 : 100 });
      const truth = { sent: 0, received: 0, retransmits: 0, resets: 0 };
      const open = new Map<number, { sent: number; received: number; retransmits: number }>();
      let points: PlainPoint[] = [];
      for (let step = 1; step <= 500; step++) {
        if (random() < 0.1) open.set(step, { sent: 0, received: 0, retransmits: 0 });
        for (const [connection, totals] of open) {
          totals.sent += Math.floor(random() * 1_000);
          totals.received += Math.floor(random() * 1_000);
          totals.retransmits += random() < 0.1 ? 1 : 0;
          // Some looks tell nothing of it.
          if (random() < 0.3) bench.connections.take(vitals({ connection, ...totals }));
          if (random() > 0.05) continue;
          const outcome = random() < 0.3 ? 'reset_sent' : 'closed';
          bench.connections.take(vitals({ connection, ...totals, outcome }));
          open.delete(connection);
          truth.sent += totals.sent;
          truth.received += totals.received;
          truth.retransmits += totals.retransmits;
          truth.resets += outcome === 'closed' ? 0 : 1;
        }
        if (random() < 0.05) points = bench.collect(1);
      }
      for (const [connection, totals] of open) {
        bench.connections.take(vitals({ connection, ...totals, outcome: 'closed' }));
        truth.sent += totals.sent;
        truth.received += totals.received;
        truth.retransmits += totals.retransmits;
      }
      points = bench.collect();
      const values = valuesOf(points);
      assert.deepEqual(
        [
          values['io transmit'],
          values['io receive'],
          values['retransmits'],
          values['resets transmit'] ?? 0,
          values['count'] ?? 0,
        ],
        [truth.sent, truth.received, truth.retransmits, truth.resets, 0],
        `seed ${seed}`,
      );
      assert.equal(bench.connections.connections, 0);
    }
  });

  test('beyond the bound a connection is counted whole at its end', () => {
    const bench = createBench({ maxConnections: 1, metrics: ['usm.connection.io', 'usm.connection.count'] });
    bench.connections.take(vitals({ connection: 1, sent: 1 }));
    bench.connections.take(vitals({ connection: 2, sent: 10 }));
    assert.deepEqual(valuesOf(bench.collect()), { 'io transmit': 1, 'io receive': 0, count: 1 });
    bench.connections.take(vitals({ connection: 2, sent: 30, outcome: 'closed' }));
    assert.deepEqual(valuesOf(bench.collect()), { 'io transmit': 31, 'io receive': 0, count: 1 });
  });

  test('figures that come before their process has described itself wait for it', () => {
    const bench = createBench({ metrics: ['usm.connection.io', 'usm.connection.count'], maxConnections: 3 });
    const cart = imageOf({ pid: 9, executablePath: '/usr/bin/cart' });
    const process = { pid: cart.pid, startTime: cart.startTime };
    for (const sent of [5, 6]) bench.connections.take(vitals({ connection: 1, sent, process }));
    bench.connections.take(vitals({ connection: 2, sent: 10, process }));
    bench.connections.take(vitals({ connection: 3, sent: 100, process }));
    bench.connections.settle();
    assert.deepEqual(bench.collect(), []);
    bench.connections.take(vitals({ connection: 2, sent: 10, process, outcome: 'closed' }));
    bench.connections.sweep(new Set([1, 2]));
    bench.start(cart);
    bench.connections.settle();
    bench.connections.settle();
    assert.deepEqual(
      bench
        .collect()
        .map(({ service, attributes, count }) => `${service} ${String(attributes['network.io.direction'])} ${count}`)
        .sort(),
      ['cart receive 0', 'cart transmit 6', 'cart undefined 1', 'unknown_service receive 0', 'unknown_service transmit 10'],
    );
  });

  test('what is no longer there is not open, though nobody told its end', () => {
    const bench = createBench({ metrics: ['usm.connection.count'] });
    for (const connection of [1, 2, 3]) bench.connections.take(vitals({ connection }));
    bench.connections.sweep(new Set([2]));
    assert.deepEqual(valuesOf(bench.collect()), { count: 1 });
  });

  test('as many servers as there are make no more series than the limit, and nothing is lost', () => {
    const bench = createBench({ aggregation: { cardinalityLimit: 10 }, maxConnections: 20, metrics: ['usm.connection.io'] });
    for (let connection = 1; connection <= 500; connection++) {
      const peer = { address: '10.0.0.9', port: connection };
      bench.connections.take(vitals({ connection, sent: 3, peer, outcome: 'closed' }));
    }
    const points = bench.collect();
    assert.equal(points.length, 10);
    assert.equal(points.filter(({ attributes }) => attributes['otel.metric.overflow'] === true).length, 1);
    assert.equal(
      points.reduce((sum, { count }) => sum + count, 0),
      1_500,
    );
  });

  test('a series that has ended begins anew, and nothing goes into the old one', () => {
    const bench = createBench({ aggregation: { seriesExpiry: 100 * SECOND }, metrics: ['usm.connection.io'] });
    bench.connections.take(vitals({ sent: 5, outcome: 'closed' }));
    bench.collect();
    bench.end(shop);
    const ended = bench.collect(200);
    assert.ok(ended.length === 2 && ended.every(({ hasNoValue }) => hasNoValue));
    assert.deepEqual(bench.collect(), []);
    const next = bench.start(imageOf({ pid: 8, executablePath: '/usr/bin/shop' }));
    const process = { pid: next.pid, startTime: next.startTime };
    bench.connections.take(vitals({ connection: 2, sent: 7, process, outcome: 'closed' }));
    const points = bench.collect();
    assert.deepEqual(valuesOf(points), { 'io transmit': 7, 'io receive': 0 });
    assert.ok(points.every(({ start }) => start >= (ended[0]?.time ?? Infinity)));
  });

  test('a counter is the same with delta and cumulative temporality, in sum', () => {
    const totals = (['delta', 'cumulative'] as const).map((temporality) => {
      const bench = createBench({ aggregation: { temporality }, metrics: ['usm.connection.io'] });
      let sum = 0;
      let last = 0;
      for (let i = 1; i <= 5; i++) {
        bench.connections.take(vitals({ sent: i * i }));
        last = valuesOf(bench.collect())['io transmit'] ?? 0;
        sum += last;
      }
      return temporality === 'delta' ? sum : last;
    });
    assert.deepEqual(totals, [25, 25]);
  });
});
