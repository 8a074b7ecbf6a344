import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { httpMetrics } from '../../../receiver/model/http-metrics.ts';
import { rpcMetrics } from '../../../receiver/model/rpc-metrics.ts';
import { defaultAttributes } from '../../../receiver/model/metric-definition.ts';
import type { Present } from '../../../receiver/model/protocol.ts';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttpDescriber } from '../../../receiver/protocols/http/describe.ts';
import { imageOf } from '../../attribution/image.ts';
import { createRandom } from '../../config/random-config.ts';
import { callOf, transactionOf, type Variation } from '../../protocols/http/transaction.ts';
import { MetricsBench, SECOND, type PlainPoint } from './metrics-bench.ts';

const shop = imageOf({ pid: 1 });
const cart = imageOf({ pid: 9, executablePath: '/usr/bin/cart' });
const span = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

/** Takes `ms` and ends at `end` seconds. */
function exchange(variation: Variation = {}, ms = 3, end = 1): Transaction {
  return { ...transactionOf(variation), start: end * SECOND - ms * 1e6, end: end * SECOND };
}

function only(points: readonly PlainPoint[]): PlainPoint {
  assert.equal(points.length, 1, JSON.stringify(points));
  return points[0] as PlainPoint;
}

const countsOf = (points: readonly PlainPoint[]): (string | number)[][] =>
  points.map(({ service, attributes, count }) => [service, String(attributes['http.response.status_code']), count]);

describe('what a point says', () => {
  test('a server exchange is a duration in seconds with the attributes of the conventions', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange({}, 30), bench.start(shop), span);
    const point = only(bench.collect());
    assert.deepEqual(point, {
      service: 'shop',
      instance: point.instance,
      metric: 'http.server.request.duration',
      unit: 's',
      kind: 'histogram',
      attributes: {
        'http.request.method': 'GET',
        'url.scheme': 'http',
        'http.response.status_code': 200,
        'network.protocol.version': '1.1',
      },
      start: SECOND - 30e6,
      time: 60 * SECOND,
      hasNoValue: false,
      count: 1,
      sum: 0.03,
      counts: [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      exemplars: [{ value: 0.03, time: SECOND, ...span }],
    });
  });

  test('a client exchange names the server', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange({ role: 'client', status: 503, request: { host: 'api.example:81' } }), shop, undefined);
    const { metric, attributes, exemplars } = only(bench.collect());
    assert.equal(metric, 'http.client.request.duration');
    assert.deepEqual(attributes, {
      'http.request.method': 'GET',
      'server.address': 'api.example',
      'server.port': 81,
      'error.type': '503',
      'http.response.status_code': 503,
      'network.protocol.version': '1.1',
    });
    assert.deepEqual(exemplars, []);
  });

  test('an exchange that was cut short has an error type and no status', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange({ status: 0, abort: 'connection_reset' }), shop, undefined);
    const { attributes } = only(bench.collect());
    assert.equal(attributes['error.type'], 'connection_reset');
    assert.equal(attributes['http.response.status_code'], undefined);
  });

  test('a gRPC call is a call, in seconds with the attributes of the conventions, and no request of HTTP', () => {
    const everything = [...httpMetrics, ...rpcMetrics].map(({ name }) => name);
    const bench = new MetricsBench({ metrics: everything });
    bench.metrics.record(exchange(callOf({ request: { bodySize: 7 } }, 4), 30), shop, span);
    bench.metrics.record(exchange(callOf({ role: 'client', request: { bodySize: 7 } }, 5), 30), shop, undefined);
    bench.metrics.record(exchange(callOf({ status: 0, reset: 'CANCEL' }), 30), shop, undefined);
    assert.deepEqual(
      bench.collect().map(({ metric, unit, attributes, count, sum, counts, exemplars }) => ({
        ...{ metric, unit, attributes, count, sum },
        bucket: counts.indexOf(1),
        exemplars: exemplars.length,
      })),
      [
        {
          metric: 'rpc.server.call.duration',
          unit: 's',
          attributes: {
            'rpc.system.name': 'grpc',
            'error.type': 'DEADLINE_EXCEEDED',
            'rpc.method': 'helloworld.Greeter/SayHello',
            'rpc.status_code': 'DEADLINE_EXCEEDED',
          },
          count: 1,
          sum: 0.03,
          bucket: 3,
          exemplars: 1,
        },
        {
          metric: 'rpc.server.call.duration',
          unit: 's',
          attributes: { 'rpc.system.name': 'grpc', 'rpc.method': 'helloworld.Greeter/SayHello' },
          count: 1,
          sum: 0.03,
          bucket: 3,
          exemplars: 0,
        },
        {
          metric: 'rpc.client.call.duration',
          unit: 's',
          attributes: {
            'rpc.system.name': 'grpc',
            'error.type': 'NOT_FOUND',
            'rpc.method': 'helloworld.Greeter/SayHello',
            'rpc.status_code': 'NOT_FOUND',
            'server.address': 'greeter.example',
            'server.port': 50_051,
          },
          count: 1,
          sum: 0.03,
          bucket: 3,
          exemplars: 0,
        },
      ],
    );
  });

  test('calls of a metric that is switched off are nowhere', () => {
    const bench = new MetricsBench({ metrics: ['http.server.request.duration', 'rpc.client.call.duration'] });
    bench.metrics.record(exchange(callOf({}, 0)), shop, undefined);
    assert.deepEqual(bench.collect(), []);
  });

  test('methods are told apart, however many there are', () => {
    const bench = new MetricsBench();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 500; i++)
        bench.metrics.record(exchange(callOf({ request: { target: `/a.B/c${i}` } }, 0)), shop, undefined);
    }
    const points = bench.collect();
    assert.equal(new Set(points.map(({ attributes }) => attributes['rpc.method'])).size, 500);
    assert.ok(points.every(({ count }) => count === 3));
  });

  test('as many methods as clients make up are one series, when the server does not know them', () => {
    const bench = new MetricsBench();
    for (let i = 0; i < 100; i++)
      bench.metrics.record(exchange(callOf({ request: { target: `/a.B/c${i}` } }, 12)), shop, undefined);
    const { attributes, count } = only(bench.collect());
    assert.deepEqual([attributes['rpc.method'], count], ['_OTHER', 100]);
  });

  test('body sizes are measured where they are known', () => {
    const bench = new MetricsBench({ metrics: ['http.server.request.body.size', 'http.server.response.body.size'] });
    bench.metrics.record(exchange({ request: { bodySize: 0 }, responseSize: 70_000 }), shop, undefined);
    bench.metrics.record(exchange({ request: { bodySize: undefined }, responseSize: undefined }), shop, undefined);
    const points = bench.collect();
    assert.deepEqual(
      points.map(({ metric, count, sum }) => [metric, count, sum]),
      [
        ['http.server.request.body.size', 1, 0],
        ['http.server.response.body.size', 1, 70_000],
      ],
    );
  });

  test('a metric has the attributes that were chosen, and series that differ in others only are one', () => {
    const bench = new MetricsBench({ attributes: ['http.request.method', 'url.scheme', 'server.port'] });
    for (const status of [200, 404, 500]) {
      bench.metrics.record(exchange({ status, request: { host: 'a:82' } }), shop, undefined);
    }
    bench.metrics.record(exchange({ request: { method: 'BREW' } }), shop, undefined);
    assert.deepEqual(
      bench.collect().map(({ attributes, count }) => [attributes, count]),
      [
        [{ 'http.request.method': 'GET', 'url.scheme': 'http', 'server.port': 82 }, 3],
        [{ 'http.request.method': '_OTHER', 'url.scheme': 'http', 'server.port': 80 }, 1],
      ],
    );
  });

  test('without exemplars there are none', () => {
    const bench = new MetricsBench({ aggregation: { exemplars: false } });
    bench.metrics.record(exchange(), shop, span);
    assert.deepEqual(only(bench.collect()).exemplars, []);
  });
});

type Random = () => number;

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

const targets = ['/', '/a?b', 'http://other.example:90/x', 'https://secure.example/', '*'];
const callTargets = ['/shop.Cart/Add', '/shop.Cart/AddAll', '/shop.Stock/Watch', '/shop.Cart/Add?q', '/none', '*'];

/** Varied so that every dimension makes a difference, and that what is remembered of the last ones is often wrong. */
function randomExchange(random: Random): Transaction {
  const isClient = random() < 0.5;
  const method = pick(random, ['GET', 'GET', 'POST', 'BREW']);
  const isCall = random() < 0.4;
  const target = pick(random, isCall ? callTargets : targets);
  return exchange(
    {
      ...(isCall ? callOf({}, pick(random, [undefined, 0, 0, 0, 1, 4, 5, 12, 17])) : {}),
      reset: pick(random, [undefined, undefined, 'CANCEL', 'REFUSED_STREAM', '99']),
      role: isClient ? 'client' : 'server',
      secure: random() < 0.3,
      status: pick(random, [0, 200, 200, 204, 404, 500, 503]),
      abort: pick(random, [undefined, undefined, 'connection_reset', 'connection_closed'] as const),
      request: {
        method,
        target,
        version: pick(random, ['1.0', '1.1', '2']),
        scheme: pick(random, [undefined, 'http', 'https']),
        host: pick(random, [undefined, 'a', 'b', 'a:1', 'a:2', 'a:80', '[::1]:3', 'not a host', 'long.example']),
        forwarded: pick(random, [undefined, undefined, 'for=1.2.3.4;proto=https']),
        xForwardedProto: pick(random, [undefined, undefined, 'https', 'http']),
        bodySize: pick(random, [undefined, 0, 1, 5_000]),
      },
    },
    random() * 20,
  );
}

test('random exchanges are counted to the unit, under the attributes that their spans have', () => {
  const random = createRandom(11);
  const describeSpan = createHttpDescriber({ knownMethods: ['GET', 'POST'], redactedQueryKeys: [] });
  const durations: readonly string[] = [...httpMetrics, ...rpcMetrics]
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.duration'));
  const names = [...durations, 'http.client.request.body.size'];
  const bench = new MetricsBench({ metrics: names, aggregation: { cardinalityLimit: 100_000 } });
  const images = [shop, cart, imageOf({ pid: 2 }), undefined];
  const expected = new Map<string, { count: number; sum: number }>();
  for (let i = 0; i < 20_000; i++) {
    const transaction = randomExchange(random);
    const image = pick(random, images);
    bench.metrics.record(transaction, image, undefined);
    const { attributes } = describeSpan(transaction);
    const ofSpan = new Map<unknown, unknown>();
    for (let at = 0; at < attributes.length; at += 2) ofSpan.set(attributes[at], attributes[at + 1]);
    for (const definition of [...httpMetrics, ...rpcMetrics]) {
      if (!names.includes(definition.name) || definition.role !== transaction.role) continue;
      if (definition.name.startsWith('rpc.') !== (transaction.rpc !== undefined)) continue;
      const { bodySize } = transaction.request;
      const value = durations.includes(definition.name) ? (transaction.end - transaction.start) / SECOND : bodySize;
      if (value === undefined) continue;
      const chosen = defaultAttributes(definition).flatMap((name) => (ofSpan.has(name) ? [[name, ofSpan.get(name)]] : []));
      const service = image === undefined ? 'unknown_service' : image === cart ? 'cart' : 'shop';
      const key = JSON.stringify([service, definition.name, Object.fromEntries(chosen)]);
      const known = expected.get(key) ?? { count: 0, sum: 0 };
      expected.set(key, { count: known.count + 1, sum: known.sum + value });
    }
  }
  const measured = bench.collect();
  assert.equal(measured.length, expected.size);
  const countOf = (prefix: string): number =>
    measured
      .filter(({ metric }) => metric.startsWith(prefix) && durations.includes(metric))
      .reduce((all, { count }) => all + count, 0);
  assert.equal(countOf('http.') + countOf('rpc.'), 20_000);
  assert.ok(countOf('rpc.') > 5_000);
  for (const { service, metric, attributes, count, sum, counts } of measured) {
    const key = JSON.stringify([service, metric, attributes]);
    assert.equal(count, expected.get(key)?.count, key);
    assert.ok(Math.abs(sum - (expected.get(key)?.sum ?? NaN)) < 1e-6, key);
    assert.equal(
      counts.reduce((all, one) => all + one, 0),
      count,
    );
  }
});

describe('whose they are', () => {
  test('the workers of a service are one stream, two services and two containers are two', () => {
    const bench = new MetricsBench();
    const container = `/docker-${'ab'.repeat(32)}.scope`;
    const images = [shop, imageOf({ pid: 2 }), imageOf({ pid: 3 }), cart, imageOf({ pid: 4, cgroupPath: container })];
    for (const image of images) bench.metrics.record(exchange(), bench.start(image), undefined);
    const points = bench.collect();
    assert.deepEqual(countsOf(points), [
      ['shop', '200', 3],
      ['cart', '200', 1],
      ['shop', '200', 1],
    ]);
    assert.equal(new Set(points.map(({ instance }) => instance)).size, 3);
  });

  test('what belongs to no known process is counted too', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange(), undefined, undefined);
    bench.metrics.record(exchange(), undefined, undefined);
    assert.deepEqual(countsOf(bench.collect()), [['unknown_service', '200', 2]]);
  });

  test('services beyond the limit share one resource, and nothing is left uncounted', () => {
    const bench = new MetricsBench({ maxServices: 3 });
    for (let pid = 1; pid <= 10; pid++) {
      bench.metrics.record(exchange(), bench.start(imageOf({ pid, executablePath: `/bin/s${pid}` })), undefined);
    }
    assert.deepEqual(countsOf(bench.collect()), [
      ['s1', '200', 1],
      ['s2', '200', 1],
      ['s3', '200', 1],
      ['unknown_service', '200', 7],
    ]);
  });
});

describe('cumulative', () => {
  test('a series keeps its start while it grows, whatever happens to the wall clock', () => {
    const bench = new MetricsBench();
    const image = bench.start(shop);
    bench.metrics.record(exchange({}, 3, 10), image, undefined);
    const first = only(bench.collect());
    bench.skewNs = -1_000_000_000n;
    bench.metrics.record(exchange({}, 3, 70), image, undefined);
    const second = only(bench.collect());
    assert.deepEqual([first.start, first.count, second.start, second.count], [10 * SECOND - 3e6, 1, first.start, 2]);
    assert.ok(second.time > first.time);
  });

  test('a wall clock that was set back makes no interval that ends before it begins', () => {
    const bench = new MetricsBench({ aggregation: { temporality: 'delta' } });
    const image = bench.start(shop);
    bench.metrics.record(exchange(), image, undefined);
    const first = only(bench.collect());
    bench.skewNs = -3_600_000_000_000n;
    bench.metrics.record(exchange({}, 3, 61), image, undefined);
    const second = only(bench.collect());
    assert.equal(second.start, first.time);
    assert.ok(second.time > second.start);
  });

  test('exemplars are those of one interval', () => {
    const bench = new MetricsBench();
    const image = bench.start(shop);
    bench.metrics.record(exchange(), image, span);
    assert.equal(only(bench.collect()).exemplars.length, 1);
    assert.equal(only(bench.collect()).exemplars.length, 0);
  });

  test('an idle series of a living service stays', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange(), bench.start(shop), undefined);
    for (let minute = 0; minute < 600; minute++) assert.equal(only(bench.collect()).hasNoValue, false);
  });

  test('a series of a service whose processes have ended ends after its time, says so once, and is forgotten', () => {
    const bench = new MetricsBench();
    const worker = imageOf({ pid: 2 });
    bench.metrics.record(exchange(), bench.start(shop), undefined);
    bench.metrics.record(exchange(), bench.start(worker), undefined);
    bench.collect();
    bench.end(shop);
    for (let minute = 0; minute < 10; minute++) assert.equal(only(bench.collect()).count, 2, 'a worker lives');
    bench.end(worker);
    const last = only(bench.collect());
    assert.equal(last.hasNoValue, true);
    assert.deepEqual(bench.collect(), []);
    const { services, series } = bench.store.counters();
    assert.deepEqual([services, series], [0, 0]);
  });

  test('a process that ends is not forgotten before the time is over: another run of it goes on', () => {
    const bench = new MetricsBench();
    for (let run = 1; run <= 20; run++) {
      const image = bench.start(imageOf({ pid: run, startTime: run }));
      bench.metrics.record(exchange({}, 3, bench.now / SECOND + 1), image, undefined);
      bench.end(image);
      const point = only(bench.collect(120));
      assert.deepEqual([point.count, point.start, point.hasNoValue], [run, SECOND - 3e6, false]);
    }
  });

  test('what comes back after its end begins anew, after the end, and counts from zero', () => {
    const bench = new MetricsBench();
    bench.metrics.record(exchange(), bench.start(shop), undefined);
    bench.end(shop);
    bench.collect();
    const ended = only(bench.collect(300));
    assert.equal(ended.hasNoValue, true);
    // Of a pid that is used again, and an exchange that began before the end was told.
    const again = bench.start(imageOf({ pid: 1, startTime: 2_000_000 }));
    bench.metrics.record(exchange({}, 10_000, 361), again, undefined);
    const point = only(bench.collect());
    assert.equal(point.count, 1);
    assert.ok(point.start >= ended.time && point.start < point.time);
  });

  test('where a metric is crowded, idle series make room although the service lives', () => {
    const bench = new MetricsBench({ aggregation: { cardinalityLimit: 10 } });
    const image = bench.start(shop);
    const ask = (host: string): void => {
      bench.metrics.record(exchange({ role: 'client', request: { host } }, 3, bench.now / SECOND + 1), image, undefined);
    };
    for (let i = 0; i < 8; i++) ask(`old${i}`);
    bench.collect();
    ask('old0');
    const points = bench.collect(300);
    assert.deepEqual(
      points.filter(({ hasNoValue }) => hasNoValue).map(({ attributes }) => attributes['server.address']),
      ['old1', 'old2', 'old3', 'old4', 'old5', 'old6', 'old7'],
    );
    for (let i = 0; i < 8; i++) ask(`new${i}`);
    ask('old0');
    ask('old1');
    const after = bench.collect();
    assert.equal(after.length, 10);
    assert.equal(after.filter(({ attributes }) => attributes['otel.metric.overflow'] === true).length, 1);
    assert.equal(after.find(({ attributes }) => attributes['server.address'] === 'old0')?.count, 3);
  });
});

describe('delta', () => {
  test('intervals follow each other without a gap, and have what was measured in them', () => {
    const bench = new MetricsBench({ aggregation: { temporality: 'delta' } });
    const image = bench.start(shop);
    const seen: number[][] = [];
    for (const perInterval of [2, 5, 0, 1]) {
      for (let i = 0; i < perInterval; i++) bench.metrics.record(exchange({}, 3, bench.now / SECOND + 1), image, span);
      for (const point of bench.collect()) {
        seen.push([point.start / SECOND, point.time / SECOND, point.count, point.exemplars.length]);
      }
    }
    assert.deepEqual(seen, [
      [0, 60, 2, 1],
      [60, 120, 5, 1],
      [180, 240, 1, 1],
    ]);
  });
});

describe('limits', () => {
  test('series beyond the limit are measured in one overflow series, which counts towards the limit', () => {
    const bench = new MetricsBench({ aggregation: { cardinalityLimit: 4 } });
    for (let i = 0; i < 10; i++) {
      for (let times = 0; times <= i; times++) {
        bench.metrics.record(exchange({ role: 'client', request: { host: `h${i}` } }), shop, undefined);
      }
    }
    assert.deepEqual(
      bench.collect().map(({ attributes, count }) => [attributes['server.address'] ?? attributes, count]),
      [
        ['h0', 1],
        ['h1', 2],
        ['h2', 3],
        [{ 'otel.metric.overflow': true }, 49],
      ],
    );
  });

  test('the limit is that of each metric and each service', () => {
    const bench = new MetricsBench({ aggregation: { cardinalityLimit: 3 } });
    for (const image of [shop, cart]) {
      for (const role of ['client', 'server'] as const) {
        for (const status of [200, 201]) bench.metrics.record(exchange({ role, status }), image, undefined);
      }
    }
    const points = bench.collect();
    assert.equal(points.length, 8);
    assert.ok(points.every(({ attributes, count }) => count === 1 && attributes['otel.metric.overflow'] === undefined));
  });

  test('all services together have a limit too', () => {
    const bench = new MetricsBench({ maxSeries: 3 });
    for (const image of [shop, cart]) {
      for (const status of [200, 201, 202]) bench.metrics.record(exchange({ status }), image, undefined);
    }
    assert.deepEqual(countsOf(bench.collect()), [
      ['shop', '200', 1],
      ['shop', '201', 1],
      ['shop', '202', 1],
      ['cart', 'undefined', 3],
    ]);
  });

  test('points are handed over in pieces of a bounded size', () => {
    const bench = new MetricsBench();
    for (let i = 0; i < 1_300; i++) {
      bench.metrics.record(exchange({ role: 'client', request: { host: `h${i}` } }), shop, undefined);
    }
    assert.equal(bench.collect().length, 1_300);
    assert.deepEqual(bench.pieces, [256, 256, 256, 256, 256, 20]);
  });

  test('a point that ends its series stands alone, behind those that go on', () => {
    const bench = new MetricsBench();
    bench.start(shop);
    for (const host of ['a', 'b', 'c', 'd', 'e']) {
      bench.metrics.record(exchange({ role: 'client', request: { host } }), shop, undefined);
    }
    bench.collect();
    bench.end(shop);
    bench.metrics.record(exchange({ role: 'client', request: { host: 'd' } }, 3, 299), shop, undefined);
    bench.pieces.length = 0;
    const hosts = bench
      .collect(300)
      .map(({ attributes, hasNoValue }) => `${String(attributes['server.address'])}${hasNoValue ? ' ended' : ''}`);
    assert.deepEqual(hosts, ['d', 'a ended', 'b ended', 'c ended', 'e ended']);
    assert.deepEqual(bench.pieces, [1, 1, 1, 1, 1]);
  });
});

describe('what there is at the moment', () => {
  const metrics = ['http.server.active_requests', 'http.client.open_connections'];
  const present = (open: readonly Transaction[], last?: Transaction): Present => ({ open, last });
  const valuesOf = (points: readonly PlainPoint[]): unknown[] =>
    points.map(({ metric, attributes, count }) => [metric, ...Object.values(attributes), count]);

  test('requests without their whole answer are active on servers, connections are active or idle on clients', () => {
    const bench = new MetricsBench({ metrics });
    bench.start(imageOf({ pid: 4242 }));
    const server = exchange({ status: 0 });
    const client = exchange({ role: 'client', request: { host: 'a:1' } });
    bench.present = [
      present([server, exchange({ status: 0, request: { method: 'POST' } })]),
      present([server], server),
      present([], server),
      present([client, client]),
      present([], client),
      present([], client),
      present([]),
    ];
    const points = bench.collect();
    assert.deepEqual(valuesOf(points), [
      ['http.server.active_requests', 'GET', 'http', 2],
      ['http.server.active_requests', 'POST', 'http', 1],
      ['http.client.open_connections', 'active', 'a', 1, '10.0.0.1', '1.1', 1],
      ['http.client.open_connections', 'idle', 'a', 1, '10.0.0.1', '1.1', 2],
    ]);
    assert.ok(points.every(({ kind, start, time }) => kind === 'sum' && start < time));
  });

  test('a call that lasts is a request under way, and its connection is one of HTTP', () => {
    const bench = new MetricsBench({ metrics });
    bench.start(imageOf({ pid: 4242 }));
    const server = exchange(callOf({ status: 0 }));
    const client = exchange(callOf({ role: 'client' }, 0));
    bench.present = [present([server, exchange({ status: 0 })]), present([client]), present([], client)];
    assert.deepEqual(valuesOf(bench.collect()), [
      ['http.server.active_requests', 'POST', 'http', 1],
      ['http.server.active_requests', 'GET', 'http', 1],
      ['http.client.open_connections', 'active', 'greeter.example', 50_051, '10.0.0.1', '2', 1],
      ['http.client.open_connections', 'idle', 'greeter.example', 50_051, '10.0.0.1', '2', 1],
    ]);
  });

  test('what is no more counts 0, and is forgotten with its service', () => {
    const bench = new MetricsBench({ metrics, aggregation: { temporality: 'delta' } });
    const image = bench.start(imageOf({ pid: 4242 }));
    bench.present = [present([exchange({ status: 0 })])];
    assert.equal(only(bench.collect()).count, 1);
    assert.equal(only(bench.collect()).count, 1, 'counted anew, not added up');
    bench.present = [];
    assert.equal(only(bench.collect()).count, 0);
    bench.end(image);
    assert.equal(only(bench.collect(300)).hasNoValue, true);
    assert.deepEqual(bench.collect(), []);
  });
});

test('a collection in parts hands over each service once, and a new one begins with what the last had not come to', () => {
  const bench = new MetricsBench();
  for (let pid = 1; pid <= 10; pid++) {
    bench.metrics.record(exchange(), bench.start(imageOf({ pid, executablePath: `/bin/s${pid}` })), undefined);
  }
  const names: string[] = [];
  const collect = (minPoints: number): boolean =>
    bench.store.collect(({ resource }) => {
      names.push(resource.serviceName);
    }, minPoints);
  bench.store.beginCollection(() => undefined);
  assert.deepEqual([collect(3), collect(3), collect(3), collect(3)], [false, false, false, true]);
  assert.deepEqual(names.splice(0), ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8', 's9', 's10']);
  bench.store.beginCollection(() => undefined);
  collect(4);
  bench.store.beginCollection(() => undefined);
  assert.equal(collect(Infinity), true);
  assert.equal(names.length, 14);
  assert.equal(collect(Infinity), true);
  assert.equal(names.length, 14);
});
