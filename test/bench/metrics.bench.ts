// CPU per transaction of measuring it, and memory and time of a collection of many services.
//   node --expose-gc --max-semi-space-size=2 --heap-growing-percent=50 test/bench/metrics.bench.ts [transactions per round] [services] [series of each]
import { createResources } from '../../receiver/attribution/resources.ts';
import { createServiceResources } from '../../receiver/attribution/service-resources.ts';
import { MetricRequestEncoder } from '../../receiver/export/otlp-metrics-protobuf.ts';
import { httpMetrics } from '../../receiver/model/http-metrics.ts';
import { defaultAttributes } from '../../receiver/model/metric-definition.ts';
import { rpcMetrics } from '../../receiver/model/rpc-metrics.ts';
import type { ProcessImage } from '../../receiver/model/process.ts';
import type { HttpRequest, Transaction } from '../../receiver/model/transaction.ts';
import { createHttpDimensions } from '../../receiver/protocols/http/dimensions.ts';
import { HttpMetrics } from '../../receiver/telemetry/metrics/http-metrics.ts';
import { MetricStore, type MetricStoreOptions } from '../../receiver/telemetry/metrics/metric-store.ts';
import { imageOf } from '../attribution/image.ts';
import { scope } from '../export/spans.ts';
import { callOf, transactionOf, type Variation } from '../protocols/http/transaction.ts';

const ROUNDS = 9;
/** Different transactions, so that no object is the one just seen. */
const DISTINCT = 1_024;
const count = Number(process.argv[2] ?? 500_000);
const services = Number(process.argv[3] ?? 1_000);
const seriesOfEach = Number(process.argv[4] ?? 50);

const host = { id: '5e1f0c2b7a9d4e3f8b6c0d1e2f3a4b5c', name: 'bench', arch: 'amd64' };
const knownMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'];
const measure = createHttpDimensions({ knownMethods, isServerAddressed: false });
const span = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

interface Metered {
  readonly store: MetricStore;
  readonly metrics: HttpMetrics;
}

function createMetrics(aggregation: Partial<MetricStoreOptions['aggregation']> = {}, isEverythingOn = false): Metered {
  const resources = createResources({ host, version: '0.0.0', maxProcesses: 32_768 });
  const store = new MetricStore({
    metrics: [...httpMetrics, ...rpcMetrics]
      .filter(({ isEnabledByDefault }) => isEverythingOn || isEnabledByDefault)
      .map((definition) => ({ definition, attributes: defaultAttributes(definition) })),
    aggregation: {
      temporality: 'cumulative',
      histogram: 'explicit',
      maxSize: 160,
      cardinalityLimit: 2_000,
      seriesExpiry: 300e9,
      ...aggregation,
    },
    resourceOf: createServiceResources({ host, resourceOf: resources.resourceOf }),
    isAlive: () => true,
    clock: { now: () => performance.now() * 1e6, toUnixNs: (time) => 1_795_178_096_000_000_000n + BigInt(Math.round(time)) },
    random: Math.random,
  });
  const metrics = new HttpMetrics({ store, exemplars: true, measure, imageOf: () => undefined, present: () => undefined });
  return { store, metrics };
}

/** A string like those of the parser: made from bytes, not a constant of the program. */
const fresh = (text: string): string => Buffer.from(text).toString();

const statuses = [200, 200, 200, 200, 201, 204, 304, 404, 500];
const grpcStatuses = [0, 0, 0, 0, 0, 0, 5, 14];
const methods = ['GET', 'GET', 'GET', 'POST', 'PUT'];

function make(role: Transaction['role'], i: number, extra: Partial<HttpRequest>, isCall: boolean): Transaction {
  const variation: Variation = {
    role,
    status: statuses[i % statuses.length] as number,
    request: {
      method: fresh(methods[i % methods.length] as string),
      target: fresh(`/api/v1/carts/${i}/items?page=${i % 10}&size=20`),
      host: fresh('cart.shop.svc.cluster.local:8080'),
      ...extra,
    },
  };
  const transaction = transactionOf(isCall ? callOf(variation, grpcStatuses[i % grpcStatuses.length]) : variation);
  return { ...transaction, start: 1e9, end: 1e9 + 1e6 * (1 + (i % 97)) };
}

const call = (i: number): Partial<HttpRequest> => ({ target: fresh(`/shop.cart.v1.CartService/Method${i % 20}`) });
const cases: readonly [name: string, role: Transaction['role'], (i: number) => Partial<HttpRequest>, isCall?: boolean][] = [
  ['server', 'server', () => ({})],
  ['server, behind a proxy', 'server', () => ({ xForwardedFor: fresh('192.0.2.7'), xForwardedProto: fresh('https') })],
  ['client, 1 server', 'client', () => ({})],
  ['client, 20 servers', 'client', (i) => ({ host: fresh(`backend-${i % 20}.shop.svc:8080`) })],
  ['client, 500 servers', 'client', (i) => ({ host: fresh(`backend-${i % 500}.shop.svc:8080`) })],
  ['gRPC server, 20 methods', 'server', call, true],
  ['gRPC client, 20 methods', 'client', call, true],
];
const images: readonly ProcessImage[] = Array.from({ length: 4 }, (_, i) => imageOf({ pid: i + 1 }));

function time({ store, metrics }: Metered, transactions: readonly Transaction[]): string {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < count; i++) metrics.record(transactions[i % DISTINCT] as Transaction, images[(i >> 6) & 3], span);
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / count);
    store.beginCollection(() => undefined);
    store.collect(() => undefined, Infinity);
  }
  times.sort((a, b) => a - b);
  return `${(times[ROUNDS >> 1] as number).toFixed(3)} µs (best ${(times[0] as number).toFixed(3)})`;
}

for (const [name, role, extra, isCall = false] of cases) {
  const transactions = Array.from({ length: DISTINCT }, (_, i) => make(role, i, extra(i), isCall));
  const columns = [
    ['explicit', createMetrics()],
    ['exponential', createMetrics({ histogram: 'exponential' })],
    ['all metrics', createMetrics({}, true)],
  ] as const;
  console.log(`${name.padEnd(24)} ${columns.map(([title, metered]) => `${title} ${time(metered, transactions)}`).join('   ')}`);
}

for (const histogram of ['explicit', 'exponential'] as const) {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  const { store, metrics } = createMetrics({ histogram });
  for (let service = 0; service < services; service++) {
    const image = imageOf({ pid: service + 1, executablePath: `/usr/bin/service-${service}`, args: [`service-${service}`] });
    for (let series = 0; series < seriesOfEach; series++) {
      const transaction = make('client', series, { host: fresh(`backend-${series}.shop.svc:8080`) }, false);
      for (let i = 0; i < 20; i++) {
        const end = transaction.start + 1e6 * 1.7 ** (i % 12);
        metrics.record({ ...transaction, end }, image, span);
      }
    }
  }
  const encoder = new MetricRequestEncoder(scope, { now: () => 0, toUnixNs: (at) => BigInt(Math.round(at)) });
  let bytes = 0;
  let longestMs = 0;
  const start = performance.now();
  store.beginCollection(() => undefined);
  for (let isDone = false; !isDone;) {
    const turn = performance.now();
    isDone = store.collect((item) => {
      encoder.add(item);
    });
    bytes += encoder.finish().length;
    longestMs = Math.max(longestMs, performance.now() - turn);
  }
  const tookMs = performance.now() - start;
  globalThis.gc?.();
  const after = process.memoryUsage.rss();
  const mib = (value: number): string => `${(value / 1024 / 1024).toFixed(0)} MiB`;
  console.log(
    `${histogram}: ${store.counters().series} series of ${services} services: RSS ${mib(after)} (+${mib(after - before)}), ` +
      `collection ${tookMs.toFixed(0)} ms, ${longestMs.toFixed(0)} ms at once, ${mib(bytes)} of OTLP`,
  );
}
