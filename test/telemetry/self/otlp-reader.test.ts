// Against real servers: what arrives is what the counters say, and a backend that is not there does no harm.
import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { instruments } from '../../../receiver/telemetry/self/instruments.ts';
import type { OtlpReaderDependencies, OtlpReaderOptions } from '../../../receiver/telemetry/self/otlp-reader.ts';
import { openOtlpReader } from '../../../receiver/telemetry/self/otlp-reader.ts';
import { readingsAt } from './readings.ts';

interface Request {
  readonly path: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

async function serveHttp(status = 200) {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      requests.push({ path: request.url, headers: request.headers, body });
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { port, requests, [Symbol.dispose]: close };
}

function options(changes: Partial<OtlpReaderOptions>): OtlpReaderOptions {
  return {
    protocol: 'http/json',
    endpoint: '',
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    headers: {},
    compression: 'none',
    requestTimeoutMs: 1_000,
    intervalMs: 60_000,
    timeoutMs: 1_000,
    ...changes,
  };
}

function dependencies(failures: string[], changes: Partial<OtlpReaderDependencies> = {}): OtlpReaderDependencies {
  return {
    instruments,
    identity: { resource: { 'service.name': 'usm-receiver' }, scope: { name: 'usm-receiver', version: '9' } },
    read: () => readingsAt(0),
    startMs: 1_000,
    nowMs: () => 61_500,
    onFailure: (message) => failures.push(message),
    ...changes,
  };
}

interface JsonMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: {
    readonly isMonotonic: boolean;
    readonly aggregationTemporality: number;
    readonly dataPoints: readonly JsonPoint[];
  };
  readonly gauge?: { readonly dataPoints: readonly JsonPoint[] };
  readonly histogram?: { readonly dataPoints: readonly JsonPoint[] };
}

interface JsonPoint {
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
  readonly asDouble?: number;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly bucketCounts?: readonly number[];
  readonly explicitBounds?: readonly number[];
  readonly count?: number;
  readonly sum?: number;
}

test('at the end the last values are sent: every metric of the table, with its unit, kind, attributes and times', async () => {
  using backend = await serveHttp();
  const failures: string[] = [];
  const reader = await openOtlpReader(
    options({ endpoint: `http://127.0.0.1:${backend.port}/v1/metrics`, compression: 'gzip', headers: { 'x-key': 'secret' } }),
    dependencies(failures),
  );
  await reader.close(5_000);
  assert.deepEqual(failures, []);
  assert.equal(backend.requests.length, 1);
  const [request] = backend.requests;
  assert.ok(request);
  assert.equal(request.path, '/v1/metrics');
  assert.equal(request.headers['x-key'], 'secret');
  assert.equal(request.headers['content-encoding'], 'gzip');
  const { resourceMetrics } = JSON.parse(request.body.toString()) as {
    readonly resourceMetrics: readonly {
      readonly resource: { readonly attributes: readonly { readonly key: string }[] };
      readonly scopeMetrics: readonly { readonly scope: object; readonly metrics: readonly JsonMetric[] }[];
    }[];
  };
  assert.equal(resourceMetrics.length, 1);
  assert.deepEqual(
    resourceMetrics[0]!.resource.attributes.map(({ key }) => key),
    ['service.name'],
  );
  const [scope] = resourceMetrics[0]!.scopeMetrics;
  assert.deepEqual(scope!.scope, { name: 'usm-receiver', version: '9' });
  const metrics = scope!.metrics;
  assert.deepEqual(
    metrics.map(({ name, unit }) => [name, unit]),
    instruments.map(({ name, unit }) => [name, unit]),
  );
  for (const [at, { kind, name, read }] of instruments.entries()) {
    const metric = metrics[at];
    assert.ok(metric);
    const points = (kind === 'counter' ? metric.sum : kind === 'gauge' ? metric.gauge : metric.histogram)?.dataPoints ?? [];
    if (kind === 'counter') assert.deepEqual([metric.sum?.isMonotonic, metric.sum?.aggregationTemporality], [true, 2], name);
    const told = points.map((point) => ({
      attributes: Object.fromEntries(point.attributes.map(({ key, value }) => [key, value.stringValue])),
      value: point.asDouble ?? {
        boundaries: point.explicitBounds,
        counts: point.bucketCounts,
        count: point.count,
        sum: point.sum,
      },
    }));
    assert.deepEqual(told, read(readingsAt(0)), name);
    for (const { startTimeUnixNano, timeUnixNano } of points) {
      assert.deepEqual([startTimeUnixNano, timeUnixNano], ['1000000000', '61500000000'], name);
    }
  }
});

test('values are sent again and again in the interval, as protobuf too', async () => {
  using backend = await serveHttp();
  const reader = await openOtlpReader(
    options({
      protocol: 'http/protobuf',
      endpoint: `http://127.0.0.1:${backend.port}/v1/metrics`,
      intervalMs: 20,
      timeoutMs: 20,
    }),
    dependencies([]),
  );
  const deadline = Date.now() + 5_000;
  while (backend.requests.length < 3 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  await reader.close(1_000);
  assert.ok(backend.requests.length >= 3);
  for (const { headers, body } of backend.requests) {
    assert.equal(headers['content-type'], 'application/x-protobuf');
    assert.ok(body.includes('otelcol_exporter_sent_spans'));
  }
});

test('nothing is sent before there is something to tell', async () => {
  using backend = await serveHttp();
  const reader = await openOtlpReader(
    options({ endpoint: `http://127.0.0.1:${backend.port}/v1/metrics` }),
    dependencies([], { read: () => undefined }),
  );
  await reader.close(1_000);
  assert.equal(backend.requests.length, 0);
});

test('gRPC, with headers as metadata', async () => {
  const server = new Server();
  const calls: { readonly body: Buffer; readonly metadata: Metadata }[] = [];
  const identity = (bytes: Buffer): Buffer => bytes;
  server.addService(
    {
      Export: {
        path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    {
      Export: (call: { request: Buffer; metadata: Metadata }, done: (error: null, answer: Buffer) => void) => {
        calls.push({ body: call.request, metadata: call.metadata });
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  try {
    const failures: string[] = [];
    const reader = await openOtlpReader(
      options({ protocol: 'grpc', endpoint: `http://127.0.0.1:${port}/`, headers: { 'x-key': 'secret' } }),
      dependencies(failures),
    );
    await reader.close(5_000);
    assert.deepEqual(failures, []);
    assert.equal(calls.length, 1);
    assert.deepEqual(calls[0]!.metadata.get('x-key'), ['secret']);
    assert.ok(calls[0]!.body.includes('otelcol_process_uptime'));
  } finally {
    server.forceShutdown();
  }
});

test('a backend that refuses is told of, and does not keep the receiver longer than its time', async () => {
  using backend = await serveHttp(400);
  const failures: string[] = [];
  const reader = await openOtlpReader(
    options({ endpoint: `http://127.0.0.1:${backend.port}/v1/metrics` }),
    dependencies(failures),
  );
  const begin = performance.now();
  await reader.close(2_000);
  assert.ok(performance.now() - begin < 3_000);
  assert.equal(failures.length, 1);
});

test('a backend that never answers does not keep the receiver longer than its time', async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const reader = await openOtlpReader(
    options({ endpoint: `http://127.0.0.1:${port}/`, requestTimeoutMs: 60_000, timeoutMs: 60_000 }),
    dependencies([]),
  );
  const begin = performance.now();
  await reader.close(200);
  const took = performance.now() - begin;
  server.close();
  server.closeAllConnections();
  assert.ok(took >= 190 && took < 2_000, `${took} ms`);
});

test('a certificate that is not there is an error at once', async () => {
  await assert.rejects(
    openOtlpReader(options({ endpoint: 'https://localhost:1/', caFile: '/nowhere/ca.pem' }), dependencies([])),
    {
      code: 'ENOENT',
    },
  );
});
