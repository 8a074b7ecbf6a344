// Metrics of real traffic, to a real Collector: every exchange counted, by any way of sending, with exemplars of the spans that were sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCollector } from '../peers/peers.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests } from '../traffic/truth.ts';
import { assertBooks, assertTruth, kernelTestSkip, startReceiver } from './harness.ts';
import { lastPoints, type PointRecord, readPoints } from './metric-points.ts';
import type { SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const unsampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
/** OTLP DataPointFlags. */
const NO_RECORDED_VALUE = 1;
const ofSdk = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const total = (points: readonly PointRecord[], metric: string): number =>
  points.filter((point) => point.metric === metric).reduce((sum, { count }) => sum + count, 0);

/** What the durations of these spans make of one series. */
function assertSeries(point: PointRecord, spans: readonly SpanRecord[]): void {
  const what = JSON.stringify(point.attributes);
  const seconds = spans.map((span) => Number(span.end - span.start) / 1e9);
  assert.equal(point.count, spans.length, what);
  assert.ok(Math.abs(point.sum - seconds.reduce((sum, value) => sum + value, 0)) < 1e-6, what);
  assert.equal(point.min, Math.min(...seconds), what);
  assert.equal(point.max, Math.max(...seconds), what);
  const counts = new Array<number>(bounds.length + 1).fill(0);
  for (const value of seconds) {
    const bucket = bounds.findIndex((bound) => value <= bound);
    const at = bucket < 0 ? bounds.length : bucket;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  assert.deepEqual(point.bucketCounts, counts, what);
  assert.deepEqual(point.explicitBounds, bounds);
}

const names = ['http.request.method', 'http.response.status_code', 'error.type', 'network.protocol.version'] as const;
const clientNames = ['server.address', 'server.port'] as const;
const serverNames = ['url.scheme'] as const;

function keyOf(service: unknown, isServer: boolean, attributes: Readonly<Record<string, unknown>>): string {
  const chosen = [...names, ...(isServer ? serverNames : clientNames)].map((name) => attributes[name] ?? null);
  return JSON.stringify([service, isServer, ...chosen]);
}

for (const [name, exporter] of [
  ['otlp_grpc', (ports: { grpcPort: number }) => ({ endpoint: `127.0.0.1:${ports.grpcPort}`, tls: { insecure: true } })],
  ['otlp_http', (ports: { httpPort: number }) => ({ endpoint: `http://127.0.0.1:${ports.httpPort}` })],
  ['otlp_http/json', (ports: { httpPort: number }) => ({ endpoint: `http://127.0.0.1:${ports.httpPort}`, encoding: 'json' })],
] as const) {
  test(
    `a Collector gets by ${name} the durations of every exchange, series by series as the spans have them`,
    { skip },
    async (t) => {
      const collector = await startCollector(t);
      const receiver = await startReceiver(t, {
        usm: { collection_interval: '500ms' },
        exporters: { [name]: exporter(collector) },
        signals: ['traces', 'metrics'],
      });
      const server = await startServer(t, 'node');
      const client = await startClient(t, 'go', server);
      const truth = await client.run(planRequests(newRun(), 140, 'plain'), { connections: 3 });
      await waitFor('a collection at the Collector', () => readPoints(collector.metricsFile).length > 0);
      truth.push(...(await client.run(planRequests(newRun(), 60, 'plain'), { connections: 3 })));
      const stopped = await receiver.stop();
      await collector.stop();
      assertTruth(stopped, truth);
      const points = lastPoints(readPoints(collector.metricsFile));
      const bySeries = new Map<string, SpanRecord[]>();
      for (const span of stopped.spans) {
        const key = keyOf(span.resource['service.name'], span.kind === 'SERVER', span.attributes);
        bySeries.set(key, [...(bySeries.get(key) ?? []), span]);
      }
      const sent = new Map(stopped.spans.map((span) => [span.spanId, span]));
      let exemplars = 0;
      for (const point of points) {
        const isServer = point.metric === 'http.server.request.duration';
        assert.ok(isServer || point.metric === 'http.client.request.duration');
        assert.deepEqual([point.unit, point.kind, point.temporality, point.flags], ['s', 'histogram', 2, 0]);
        const key = keyOf(point.resource['service.name'], isServer, point.attributes);
        assertSeries(point, bySeries.get(key) ?? []);
        bySeries.delete(key);
        assert.equal(point.resource['process.pid'], undefined);
      }
      assert.deepEqual([...bySeries.keys()], [], 'spans without a series');
      for (const { exemplars: ofPoint } of readPoints(collector.metricsFile)) {
        for (const { traceId, spanId, asDouble, timeUnixNano } of ofPoint) {
          const span = sent.get(spanId);
          assert.ok(span?.traceId === traceId, 'an exemplar names a span that was sent');
          assert.equal(Number(span.end - span.start) / 1e9, asDouble);
          assert.ok(Math.abs(Number(BigInt(timeUnixNano) - span.end)) < 1e9);
          exemplars++;
        }
      }
      assert.ok(exemplars >= points.length, `${exemplars} exemplars of ${points.length} series`);
    },
  );
}

test('what makes no span is counted all the same, and an SDK is named in the exemplar', { skip }, async (t) => {
  const receiver = await startReceiver(t, {
    usm: { aggregation: { temporality: 'delta', histogram: 'exponential' }, collection_interval: '10m' },
    signals: ['traces', 'metrics'],
  });
  const server = await startServer(t, 'python');
  const client = await startClient(t, 'node', server);
  const run = newRun();
  const withHeader = (part: string, traceparent: string) =>
    planRequests(`${run}-${part}`, 20, 'plain').map((request) => ({ ...request, headers: { traceparent } }));
  await client.run(withHeader('u', unsampled));
  await client.run(withHeader('s', ofSdk));
  await client.run(planRequests(`${run}-p`, 20, 'plain'));
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.deepEqual(stopped.ledger?.transactions.not_exported, { sdk_duplicate: 20, unsampled: 40 });
  const points = stopped.points;
  assert.ok(points.every((point) => point.kind === 'exponentialHistogram' && point.temporality === 1));
  assert.equal(total(points, 'http.server.request.duration'), 60);
  assert.equal(total(points, 'http.client.request.duration'), 60);
  const spanIds = new Set(stopped.spans.map(({ spanId }) => spanId));
  const named = points.flatMap(({ exemplars }) => exemplars);
  assert.ok(named.length > 0);
  for (const { traceId, spanId } of named) assert.ok(spanIds.has(spanId) || ofSdk.includes(`${traceId}-${spanId}`));
});

test('a metrics pipeline alone makes no spans, a traces pipeline alone no metrics', { skip }, async (t) => {
  for (const signal of ['metrics', 'traces'] as const) {
    const receiver = await startReceiver(t, { signals: [signal] });
    const server = await startServer(t, 'go');
    const client = await startClient(t, 'go', server);
    await client.run(planRequests(newRun(), 28, 'plain'));
    const stopped = await receiver.stop();
    assertBooks(stopped);
    const isTraced = signal === 'traces';
    assert.equal(stopped.spans.length, isTraced ? 56 : 0);
    assert.deepEqual(stopped.ledger?.transactions.not_exported, isTraced ? {} : { no_traces_pipeline: 56 });
    assert.equal(total(stopped.points, 'http.server.request.duration'), isTraced ? 0 : 28);
    assert.equal(total(stopped.points, 'http.client.request.duration'), isTraced ? 0 : 28);
  }
});

test('every metric there is, with exponential buckets, is at a Collector what it is in our own file', { skip }, async (t) => {
  const collector = await startCollector(t);
  const names = [
    ...['request.duration', 'active_requests', 'request.body.size', 'response.body.size'].map((name) => `http.server.${name}`),
    ...['request.duration', 'open_connections', 'request.body.size', 'response.body.size'].map((name) => `http.client.${name}`),
    ...['io', 'retransmits', 'rtt', 'count'].map((name) => `usm.connection.${name}`),
  ];
  const receiver = await startReceiver(t, {
    usm: {
      aggregation: { histogram: 'exponential' },
      collection_interval: '300ms',
      metrics: Object.fromEntries(names.map((name) => [name, { enabled: true }])),
    },
    exporters: { otlp_grpc: { endpoint: `127.0.0.1:${collector.grpcPort}`, tls: { insecure: true } } },
    signals: ['traces', 'metrics'],
  });
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'node', server);
  const warm = await client.run(planRequests(newRun(), 14, 'plain'), { connections: 2 });
  const slow = client.run([planRequest(`${newRun()}-slow`, { size: 5, query: '&delay=1500' })], { connections: 2 });
  const isActive = ({ metric, count }: PointRecord): boolean => metric === 'http.server.active_requests' && count > 0;
  await waitFor('an active request at the Collector', () => readPoints(collector.metricsFile).some(isActive));
  const truth = [...warm, ...(await slow)];
  /** Of this client: numbers of connections in that state, collection by collection. */
  const connectionsIn = (state: string): number[] =>
    readPoints(collector.metricsFile)
      .filter(
        ({ metric, attributes }) => metric === 'http.client.open_connections' && attributes['http.connection.state'] === state,
      )
      .filter(({ resource }) => resource['service.name'] === client.service)
      .map(({ count }) => count);
  await waitFor('both connections to be idle', () => connectionsIn('idle').at(-1) === 2 && connectionsIn('active').at(-1) === 0);
  assert.ok(connectionsIn('active').includes(1), 'one has waited for the slow answer');
  const stopped = await receiver.stop();
  await collector.stop();
  assertTruth(stopped, truth);
  const text = (points: readonly PointRecord[]): string[] =>
    points
      .map((point) => JSON.stringify(point, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)))
      .sort();
  const received = readPoints(collector.metricsFile);
  assert.deepEqual(text(received), text(stopped.points));
  assert.deepEqual([...new Set(received.map(({ metric }) => metric))].sort(), names.sort());
  const last = lastPoints(received);
  for (const metric of ['http.server.request.duration', 'http.client.request.duration', 'http.server.response.body.size']) {
    assert.equal(total(last, metric), truth.length, metric);
  }
  assert.equal(total(last, 'http.server.active_requests'), 0);
  const sizes = last
    .filter(({ metric }) => metric === 'http.client.response.body.size')
    .reduce((sum, point) => sum + point.sum, 0);
  assert.equal(
    sizes,
    truth.reduce((sum, { responseBodySize = 0 }) => sum + responseBodySize, 0),
  );
});

test('the series of a service end when its processes have, and what comes back begins anew', { skip }, async (t) => {
  const collector = await startCollector(t);
  const receiver = await startReceiver(t, {
    usm: { collection_interval: '200ms', aggregation: { series_expiry: '1s' } },
    hasFile: false,
    exporters: { otlp_http: { endpoint: `http://127.0.0.1:${collector.httpPort}` } },
    signals: ['traces', 'metrics'],
  });
  const env = { OTEL_SERVICE_NAME: `of-this-test-${newRun()}` };
  const live = async (count: number): Promise<void> => {
    const server = await startServer(t, 'node', { env });
    const client = await startClient(t, 'go', server);
    await client.run(planRequests(newRun(), count, 'bodiless'), { connections: 3 });
    await client.stop();
    await server.stop();
  };
  const own = (): PointRecord[] =>
    readPoints(collector.metricsFile).filter(
      ({ metric, resource }) => metric === 'http.server.request.duration' && resource['service.name'] === env.OTEL_SERVICE_NAME,
    );
  const hasEnded = ({ flags }: PointRecord): boolean => (flags & NO_RECORDED_VALUE) !== 0;
  const isOnPage = async (): Promise<boolean> =>
    (await (await fetch(collector.metricsPage)).text()).includes(env.OTEL_SERVICE_NAME);

  const series = (points: readonly PointRecord[]): PointRecord[][] => [
    ...Map.groupBy(points, ({ attributes }) => JSON.stringify(attributes)).values(),
  ];

  await live(30);
  await waitFor('the series on the page', isOnPage);
  await waitFor('the end of every series', () => own().length > 0 && series(own()).every((points) => hasEnded(points.at(-1)!)));
  await waitFor('the series to leave the page', async () => !(await isOnPage()));
  const first = own();
  await live(18);
  await waitFor('the series on the page again', isOnPage);
  const stopped = await receiver.stop();
  assert.equal(stopped.exitCode, 0);
  await collector.stop();

  const second = own().slice(first.length);
  for (const points of series(first)) {
    assert.deepEqual(
      points.map(hasEnded),
      points.map((_, at) => at === points.length - 1),
      'the last point of each says that it ends',
    );
    assert.equal(new Set(points.map(({ start }) => start)).size, 1);
  }
  const values = (points: readonly PointRecord[]): PointRecord[] => points.filter((point) => !hasEnded(point));
  assert.equal(total(lastPoints(values(first)), 'http.server.request.duration'), 30);
  assert.equal(total(lastPoints(values(second)), 'http.server.request.duration'), 18, 'nothing is counted twice');
  const lastEnd = Math.max(...first.map(({ time }) => Number(time)));
  for (const { start } of second) assert.ok(Number(start) >= lastEnd);
});
