// Ring records in, spans out: all stages together, and what the ledger says when one of them fails.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createClock } from '../receiver/clock.ts';
import { loadConfig } from '../receiver/config/load.ts';
import type { ExportPath } from '../receiver/export/fan-out.ts';
import { connOutcome, endCause, ioFlag } from '../receiver/kernel/layout.ts';
import { controlLayout, windowSize } from '../receiver/kernel/session.ts';
import type { Exemplar } from '../receiver/model/metric.ts';
import type { NotExportedReason } from '../receiver/model/protocol.ts';
import { type Span, SpanKind } from '../receiver/model/span.ts';
import { createPipeline, type Pipeline } from '../receiver/pipeline.ts';
import { Ledger, type LedgerReport } from '../receiver/telemetry/ledger.ts';
import { createRandom } from './config/random-config.ts';
import { PID, RecordWriter } from './support/ring-records.ts';

const origin = 5_000_000_000n;
const SECOND = 1e9;
const OWN_PORT = 8_888;
const OWN_NAMESPACE = 4_026_531_840;
const sampled = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

function pick<Item>(random: () => number, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

const request = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`;
const response = (status = 200, body = 'hello'): string =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Keeps what it is given, and says at once how it ended. */
class CollectingPath implements ExportPath<Span> {
  readonly spans: Span[] = [];
  readonly #ledger: Ledger;
  readonly #outcome: 'exported' | NotExportedReason;

  constructor(ledger: Ledger, outcome: 'exported' | NotExportedReason) {
    this.#ledger = ledger;
    this.#outcome = outcome;
  }

  push(span: Span): void {
    this.spans.push(span);
    if (this.#outcome === 'exported') this.#ledger.exported(1);
    else this.#ledger.notExported(this.#outcome, 1);
  }
  outstanding(): number {
    return 0;
  }
  isFull(): boolean {
    return false;
  }
  counters(): [] {
    return [];
  }
  flush(): Promise<boolean> {
    return Promise.resolve(true);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A pipeline, and the kernel's end of it. */
class Bench {
  readonly ledger = new Ledger();
  readonly path: CollectingPath;
  readonly pipeline: Pipeline;
  readonly kernel: RecordWriter;
  readonly #position = new Map<number, { sent: number; received: number }>();
  warned = 0;

  constructor(usm = '', outcome: 'exported' | NotExportedReason = 'exported', signals: readonly string[] = ['traces']) {
    const pipelines = signals.map((signal) => `${signal}: {receivers: [usm], exporters: [debug]}`).join(', ');
    const { config } = loadConfig(
      [`yaml:{receivers: {usm: {${usm}}}, exporters: {debug: }, service: {pipelines: {${pipelines}}}}`],
      [],
      { readFile: () => '', env: {} },
    );
    const buffer = new Uint8Array(256 * 1024);
    this.kernel = new RecordWriter(buffer, origin);
    this.path = new CollectingPath(this.ledger, outcome);
    let ids = 0;
    this.pipeline = createPipeline({
      config,
      clock: createClock(
        () => origin,
        () => 0,
      ),
      version: '1.2.3',
      host: { id: 'host-id', name: 'host-name', arch: 'amd64' },
      ids: { traceId: () => `${++ids}`.padStart(32, '0'), spanId: () => `${++ids}`.padStart(16, '0') },
      random: Math.random,
      ledger: this.ledger,
      exportPath: this.path,
      controls: new ArrayBuffer(64 * controlLayout.words * 8),
      controlLayout,
      windowSize,
      buffer,
      cpus: 2,
      ownServers: { ports: new Set([OWN_PORT]), networkNamespace: OWN_NAMESPACE },
      onEventsDropped: (count) => {
        this.warned += count;
      },
    });
  }

  process(): this {
    this.kernel.process({ executable: '/usr/sbin/shopd', args: ['shopd'], environment: ['OTEL_SERVICE_NAME=shop'] });
    return this;
  }

  connection(cookie: number, role: 1 | 2 = 2): this {
    this.kernel.connection({ cookie, role });
    this.#position.set(cookie, { sent: 0, received: 0 });
    return this;
  }

  sent(cookie: number, text: string, more = {}): this {
    return this.#io(cookie, true, text, more);
  }

  received(cookie: number, text: string, more = {}): this {
    return this.#io(cookie, false, text, more);
  }

  /** Bytes that no event tells of. */
  unseen(cookie: number, flow: 'sent' | 'received', size: number): this {
    const position = this.#position.get(cookie);
    assert.ok(position);
    position[flow] += size;
    return this;
  }

  exchange(cookie: number, path: string, fields = ''): this {
    return this.received(cookie, request(path, fields)).sent(cookie, response());
  }

  closed(cookie: number, error = 0): this {
    const position = this.#position.get(cookie);
    assert.ok(position);
    this.kernel.end({ cookie, cause: endCause.closed, error, sentPosition: position.sent, receivedPosition: position.received });
    return this;
  }

  /** Hands over what the kernel wrote. */
  take(): this {
    this.pipeline.take(this.kernel.size);
    this.kernel.rewind();
    return this;
  }

  /** Hands over the rest, lets time pass, stops, and asks for the books. */
  finish(): LedgerReport {
    this.take();
    this.pipeline.tick(10 * SECOND);
    this.pipeline.close();
    return this.ledger.report();
  }

  #io(cookie: number, isSent: boolean, text: string, more: object): this {
    const position = this.#position.get(cookie);
    assert.ok(position);
    const payload = Buffer.from(text);
    this.kernel.io({
      cookie,
      isSent,
      position: isSent ? position.sent : position.received,
      otherPosition: isSent ? position.received : position.sent,
      payload,
      ...more,
    });
    if (isSent) position.sent += payload.length;
    else position.received += payload.length;
    return this;
  }
}

function attributesOf(span: Span | undefined): Readonly<Record<string, unknown>> {
  assert.ok(span);
  const entries: [string, unknown][] = [];
  for (let i = 0; i < span.attributes.length; i += 2) entries.push([String(span.attributes[i]), span.attributes[i + 1]]);
  return Object.fromEntries(entries);
}

test('a transaction of a server is a span of its process, with its attributes and its times', () => {
  const bench = new Bench().process().connection(1);
  bench.received(1, request('/cart?id=7', `traceparent: ${sampled}\r\nUser-Agent: test\r\n`), { monotonicNs: origin + 1000n });
  bench.sent(1, response(404, 'no'), { monotonicNs: origin + 5000n });
  const report = bench.finish();
  const [span] = bench.path.spans;
  assert.ok(span);
  assert.deepEqual(
    [span.name, span.kind, span.start, span.end, span.traceId, span.parentSpanId, span.parentIsRemote, span.isError],
    ['GET', SpanKind.server, 1000, 5000, '4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', true, false],
  );
  assert.deepEqual(attributesOf(span), {
    'http.request.method': 'GET',
    'url.scheme': 'http',
    'url.path': '/cart',
    'url.query': 'id=7',
    'server.address': 'shop.example',
    'server.port': attributesOf(span)['server.port'],
    'client.address': '127.0.0.1',
    'network.peer.address': '127.0.0.1',
    'network.peer.port': 40_000,
    'network.protocol.version': '1.1',
    'user_agent.original': 'test',
    'http.request.body.size': 0,
    'http.response.status_code': 404,
    'http.response.body.size': 2,
    'usm.correlation.source': 'traceparent',
    'usm.correlation.confidence': 'observed',
  });
  assert.equal(span.resource.serviceName, 'shop');
  assert.equal(span.resource.attributes.get('process.pid'), PID);
  assert.deepEqual(report.transactions, { seen: 1, exported: 1, not_exported: {} });
  assert.equal(report.balanced, true);
});

test('N transactions on many connections, both roles, are N spans, and the books balance', () => {
  const bench = new Bench().process();
  let bytes = 0;
  for (let cookie = 1; cookie <= 20; cookie++) bench.connection(cookie, cookie % 2 === 0 ? 2 : 1);
  for (let i = 0; i < 500; i++) {
    const cookie = (i % 20) + 1;
    const question = request(`/${i}`);
    const answer = response(200, 'x'.repeat(i));
    if (cookie % 2 === 0) bench.received(cookie, question).sent(cookie, answer);
    else bench.sent(cookie, question).received(cookie, answer);
    bytes += question.length + answer.length;
    if (i % 50 === 0) bench.take();
  }
  const report = bench.finish();
  assert.equal(bench.path.spans.length, 500);
  assert.equal(bench.path.spans.filter((span) => span.kind === SpanKind.client).length, 250);
  const sizes = new Set(bench.path.spans.map((span) => attributesOf(span)['http.response.body.size']));
  assert.equal(sizes.size, 500);
  assert.deepEqual(report.transactions, { seen: 500, exported: 500, not_exported: {} });
  assert.deepEqual([report.connections.seen, report.bytes.seen, report.bytes.lost], [20, bytes, {}]);
  assert.equal(report.bytes.parsed + report.bytes.skipped, bytes);
  assert.deepEqual(report.events, { received: 1021, dropped: {} });
  assert.equal(report.balanced, true);
});

test('one process image is one resource', () => {
  const bench = new Bench().process().connection(1).exchange(1, '/a').exchange(1, '/b');
  bench.finish();
  assert.equal(bench.path.spans[0]?.resource, bench.path.spans[1]?.resource);
});

test('a process that has ended is known still when its transaction ends', () => {
  const bench = new Bench().process().connection(1).exchange(1, '/a').received(1, request('/b'));
  bench.kernel.processExit({});
  bench.closed(1, 104);
  const report = bench.finish();
  assert.deepEqual(
    bench.path.spans.map((span) => [span.resource.serviceName, attributesOf(span)['error.type'], span.isError]),
    [
      ['shop', undefined, false],
      ['shop', 'connection_reset', true],
    ],
  );
  assert.equal(report.balanced, true);
});

describe('what is not exported has its reason in the ledger', () => {
  const rows: readonly (readonly [reason: NotExportedReason, bench: () => Bench])[] = [
    ['process_unknown', () => new Bench().connection(1).exchange(1, '/a')],
    [
      'unsampled',
      () =>
        new Bench()
          .process()
          .connection(1)
          .exchange(1, '/a', `traceparent: ${sampled.replace(/1$/, '0')}\r\n`),
    ],
    [
      'sdk_duplicate',
      () =>
        new Bench()
          .process()
          .connection(1, 1)
          .sent(1, request('/a', `traceparent: ${sampled}\r\n`))
          .received(1, response()),
    ],
    [
      'filtered',
      () =>
        new Bench()
          .process()
          .connection(1)
          .received(1, 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n')
          .sent(1, response()),
    ],
    ['queue_full', () => new Bench('', 'queue_full').process().connection(1).exchange(1, '/a')],
    ['export_failed', () => new Bench('', 'export_failed').process().connection(1).exchange(1, '/a')],
    [
      'head_too_large',
      () =>
        new Bench('http: {max_head_size: 1KiB}')
          .process()
          .connection(1)
          .received(1, request('/a'))
          .sent(1, `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(2000)}\r\n\r\n`),
    ],
  ];
  for (const [reason, make] of rows) {
    test(reason, () => {
      const bench = make();
      const report = bench.finish();
      assert.deepEqual(report.transactions, { seen: 1, exported: 0, not_exported: { [reason]: 1 } });
      assert.equal(report.balanced, true);
    });
  }

  test('open_at_exit', () => {
    const bench = new Bench().process().connection(1).exchange(1, '/a').received(1, request('/b')).take();
    assert.equal(bench.pipeline.openTransactions(), 1);
    const report = bench.finish();
    assert.deepEqual(report.transactions, { seen: 2, exported: 1, not_exported: { open_at_exit: 1 } });
    assert.equal(report.balanced, true);
  });

  test('bytes_lost', () => {
    const bench = new Bench().process().connection(1).exchange(1, '/a');
    bench.received(1, request('/b')).unseen(1, 'sent', 10).sent(1, 'K\r\n\r\n', { flags: ioFlag.resumed });
    const report = bench.finish();
    assert.deepEqual(report.transactions, { seen: 2, exported: 1, not_exported: { bytes_lost: 1 } });
    assert.equal(report.bytes.lost['ring_full'], 10);
    assert.equal(report.balanced, true);
  });
});

describe('metrics', () => {
  interface Measured {
    readonly metric: string;
    readonly service: string;
    readonly attributes: Readonly<Record<string, unknown>>;
    readonly count: number;
    readonly exemplars: readonly Exemplar[];
  }

  function collect({ pipeline }: Bench): Measured[] {
    const points: Measured[] = [];
    pipeline.beginCollection();
    const isComplete = pipeline.collectMetrics(({ resource, metric: { name, data } }) => {
      for (const point of data.points) {
        const attributes: [string, unknown][] = [];
        for (let i = 0; i < point.attributes.length; i += 2)
          attributes.push([String(point.attributes[i]), point.attributes[i + 1]]);
        points.push({
          metric: name,
          service: resource.serviceName,
          attributes: Object.fromEntries(attributes),
          count: 'value' in point ? point.value : point.count,
          exemplars: 'value' in point ? [] : [...point.exemplars],
        });
      }
    }, Infinity);
    assert.equal(isComplete, true);
    return points;
  }

  const total = (points: readonly Measured[]): number => points.reduce((sum, { count }) => sum + count, 0);

  test('connections are measured only where somebody asked, and never those of our own clients', () => {
    const isOn = 'metrics: {usm.connection.io: {enabled: true}, http.client.request.duration: {enabled: false}}';
    const measured = (usm: string): unknown[] => {
      const bench = new Bench(usm, 'exported', ['metrics']).process();
      bench.kernel.vitals({ cookie: 4, sent: 10, received: 20, peerPort: 6379, outcome: connOutcome.closed });
      bench.kernel.vitals({ cookie: 5, sent: 1, peerPort: OWN_PORT, netns: OWN_NAMESPACE, outcome: connOutcome.closed });
      bench.take();
      return collect(bench).map(({ metric, service, attributes, count }) => [
        metric,
        service,
        attributes['network.io.direction'],
        attributes['server.port'],
        count,
      ]);
    };
    assert.deepEqual(measured(isOn), [
      ['usm.connection.io', 'shop', 'transmit', 6379, 10],
      ['usm.connection.io', 'shop', 'receive', 6379, 20],
    ]);
    assert.deepEqual(measured(''), []);
  });

  test('random transactions are counted to the unit, whatever becomes of their spans, and as the ledger has them', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = createRandom(seed);
      const signals = pick(random, [['metrics'], ['traces', 'metrics']]);
      const bench = new Bench('', pick(random, ['exported', 'queue_full', 'export_rejected']), signals);
      bench.process();
      for (let cookie = 1; cookie <= 12; cookie++) bench.connection(cookie, cookie % 2 === 0 ? 2 : 1);
      for (let i = 0; i < 400; i++) {
        const cookie = 1 + Math.floor(random() * 12);
        const fields = pick(random, ['', '', `traceparent: ${sampled}\r\n`, `traceparent: ${sampled.replace(/1$/, '0')}\r\n`]);
        const isOtlp = random() < 0.1;
        const otlpFields = 'Host: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n';
        const question = isOtlp ? `POST /v1/metrics HTTP/1.1\r\n${otlpFields}` : request(`/${i}`, fields);
        const answer = response(pick(random, [200, 201, 404, 500]));
        // Nothing is known of every tenth process.
        const by = { pid: random() < 0.1 ? PID + 1 : PID };
        if (cookie % 2 === 0) bench.received(cookie, question, by).sent(cookie, answer, by);
        else bench.sent(cookie, question, by).received(cookie, answer, by);
        if (i % 40 === 0) bench.take();
      }
      bench.received(2, request('/open'));
      bench.sent(1, request('/cut')).closed(1, 104);
      const { transactions, balanced } = bench.finish();
      const measured = collect(bench);
      const { filtered = 0, open_at_exit = 0, ...others } = transactions.not_exported;
      assert.equal(balanced, true);
      assert.equal(total(measured), transactions.seen - filtered - open_at_exit, `seed ${seed}`);
      assert.equal(open_at_exit, 1);
      assert.equal(others['no_traces_pipeline'] !== undefined, !signals.includes('traces'));
      assert.equal(bench.path.spans.length > 0, signals.includes('traces'));
      // Exemplars name what is exported by us, or by an SDK.
      const exported = new Set(bench.path.spans.map((span) => `${span.traceId}-${span.spanId}`));
      for (const { traceId, spanId } of measured.flatMap(({ exemplars }) => exemplars)) {
        assert.ok(exported.has(`${traceId}-${spanId}`) || sampled.includes(`${traceId}-${spanId}`));
      }
    }
  });

  test('what is under way is counted at each collection, telemetry on its way is not', () => {
    const on = 'metrics: {http.server.active_requests: {enabled: true}, http.client.open_connections: {enabled: true}, ';
    const off = 'http.server.request.duration: {enabled: false}, http.client.request.duration: {enabled: false}}';
    const bench = new Bench(on + off, 'exported', ['metrics']).process();
    for (const cookie of [1, 2, 3]) bench.connection(cookie, 2);
    for (const cookie of [4, 5, 6]) bench.connection(cookie, 1);
    const shortOf = ({ metric, attributes, count }: Measured): unknown[] => [
      metric,
      attributes['http.request.method'] ?? attributes['http.connection.state'],
      count,
    ];
    bench.exchange(1, '/a').received(1, request('/b')).received(2, request('/c')).exchange(3, '/d');
    bench.sent(4, request('/e')).sent(5, request('/f')).received(5, response());
    bench.sent(6, 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n');
    bench.take();
    // A request that nobody has answered yet may be anything still, unless the connection has shown that it is HTTP.
    const points = collect(bench).map(shortOf);
    assert.deepEqual(points, [
      ['http.server.active_requests', 'GET', 1],
      ['http.client.open_connections', 'idle', 1],
    ]);
    bench
      .sent(1, response())
      .sent(2, response())
      .received(2, request('/g'))
      .received(4, response())
      .sent(4, request('/h'))
      .take();
    assert.deepEqual(collect(bench).map(shortOf), [
      ['http.server.active_requests', 'GET', 1],
      ['http.client.open_connections', 'idle', 1],
      ['http.client.open_connections', 'active', 1],
    ]);
    bench.closed(4).take();
    bench.pipeline.tick(10 * SECOND);
    assert.deepEqual(collect(bench).map(shortOf).at(-1), ['http.client.open_connections', 'active', 0]);
  });
});

describe('what never becomes a transaction shows elsewhere in the ledger', () => {
  test('events that the ring refused', () => {
    const bench = new Bench().process().connection(1).exchange(1, '/a').take();
    bench.received(1, request('/b'), { sequence: 100 });
    const report = bench.finish();
    assert.deepEqual(report.events.dropped, { ring_full: 96 });
    assert.equal(bench.warned, 96);
  });

  test('a connection whose beginning was among them', () => {
    const bench = new Bench().process().connection(1);
    bench.take();
    bench.kernel.io({ cookie: 2, isSent: false, position: 0, payload: Buffer.from(request('/a')) });
    const report = bench.finish();
    assert.deepEqual(report.connections.shed, { ring_full: 1 });
    assert.deepEqual(report.bytes.lost, { connection_unknown: request('/a').length });
    assert.equal(report.balanced, true);
  });

  test('more connections than max_connections', () => {
    const bench = new Bench('capture: {max_connections: 1}').process().connection(1).connection(2);
    const report = bench.exchange(1, '/a').exchange(2, '/b').finish();
    assert.deepEqual([report.connections.shed, report.transactions.seen], [{ too_many_connections: 1 }, 1]);
    assert.equal(report.balanced, true);
  });

  test('a connection that is not HTTP', () => {
    const report = new Bench().process().connection(1).received(1, '\x16\x03\x01').sent(1, '\x16\x03\x03').finish();
    assert.deepEqual([report.connections.not_http, report.bytes.skipped, report.transactions.seen], [1, 6, 0]);
    assert.equal(report.balanced, true);
  });

  test('a record that is none', () => {
    const bench = new Bench();
    bench.kernel.other(1, 0, Buffer.alloc(4));
    assert.deepEqual(bench.finish().events.dropped, { malformed: 1 });
  });

  test('a traceparent that is none is noticed', () => {
    const report = new Bench().process().connection(1).exchange(1, '/a', 'traceparent: x\r\n').finish();
    assert.deepEqual([report.noticed, report.transactions.exported], [{ invalid_traceparent: 1 }, 1]);
  });
});

test('connections that the kernel does not know any more end with a sweep', () => {
  const bench = new Bench().process().connection(1).received(1, request('/a')).take();
  assert.equal(bench.pipeline.needsSweep(), true);
  bench.pipeline.sweep(new Set(), SECOND);
  bench.pipeline.tick(2 * SECOND);
  // The kernel tells every end of a TCP connection: with this one, the answer may have been lost.
  assert.deepEqual(bench.path.spans, []);
  assert.equal(bench.pipeline.needsSweep(), false);
});
