import type { handleUnaryCall, ServerCredentials } from '@grpc/grpc-js';
import { Metadata, Server, ServerCredentials as Credentials, status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Exporter, Signal } from '../../receiver/export/exporter.ts';
import type { OtlpGrpcOptions } from '../../receiver/export/otlp-grpc.ts';
import { grpcTarget, openOtlpGrpcExporter } from '../../receiver/export/otlp-grpc.ts';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import type { Certificate } from './certificates.ts';
import { makeCertificate } from './certificates.ts';
import { deferred } from './memory-exporter.ts';
import { partialSuccess, rpcStatus } from './protobuf-build.ts';
import { clock, makeSpan, payloadOf, scope } from './spans.ts';
import { tlsOptions } from './tls-options.ts';
import { decodeTraceRequest } from './wire.ts';

const directory = mkdtempSync(join(tmpdir(), 'usm-otlp-grpc-'));
after(() => rmSync(directory, { recursive: true }));
const spans = [makeSpan({ name: 'one' }), makeSpan({ name: 'two' })];

type Handler = handleUnaryCall<Buffer, Buffer>;

/** A real gRPC server with the trace service, on a free port of the loopback interface or on the given address. */
async function serve(
  handler: Handler,
  credentials: ServerCredentials = Credentials.createInsecure(),
  address = '127.0.0.1:0',
  service = 'trace.v1.TraceService',
) {
  const server = new Server();
  const identity = (bytes: Buffer): Buffer => bytes;
  server.addService(
    {
      Export: {
        path: `/opentelemetry.proto.collector.${service}/Export`,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { Export: handler },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { port, endpoint: `127.0.0.1:${port}`, [Symbol.dispose]: () => server.forceShutdown() };
}

async function open(changes: Partial<OtlpGrpcOptions>, signal: Signal = 'traces'): Promise<Exporter & Disposable> {
  const exporter = await openOtlpGrpcExporter(
    {
      id: 'otlp',
      endpoint: '127.0.0.1:1',
      tls: tlsOptions({ insecure: true }),
      headers: {},
      compression: 'gzip',
      timeoutMs: 5000,
      keepalive: undefined,
      userAgent: undefined,
      ...changes,
    },
    signal,
    scope,
  );
  return Object.assign(exporter, { [Symbol.dispose]: () => void exporter.close() });
}

function send(exporter: Exporter) {
  return exporter.export(payloadOf(new TraceRequestEncoder(scope, clock), spans));
}

const ok: Handler = (_, callback) => callback(null, Buffer.alloc(0));

test('a request arrives whole, with headers and user agent, compressed or not', async () => {
  for (const compression of ['gzip', 'none'] as const) {
    const seen: { names: string[]; metadata: Metadata }[] = [];
    using server = await serve((call, callback) => {
      const spans = decodeTraceRequest(call.request)[0]?.scopes[0]?.spans ?? [];
      seen.push({ names: spans.map((span) => span.name), metadata: call.metadata });
      callback(null, Buffer.alloc(0));
    });
    using exporter = await open({ endpoint: server.endpoint, compression, headers: { 'X-Tenant': 'a', 'token-bin': 'AQI=' } });
    assert.deepEqual(await send(exporter), { kind: 'accepted', rejected: 0 });
    assert.deepEqual(seen[0]?.names, ['one', 'two']);
    const { metadata } = seen[0];
    assert.deepEqual(metadata.get('x-tenant'), ['a']);
    assert.deepEqual(metadata.get('token-bin'), [Buffer.from([1, 2])]);
    assert.match(String(metadata.get('user-agent')[0]), /^usm-receiver\/0\.1\.0 /);
  }
});

test('gzip is on the wire when it is asked for, and only then', async () => {
  for (const compression of ['gzip', 'none'] as const) {
    const frame = deferred<{ encoding: unknown; flag: number; message: Buffer }>();
    // Below gRPC: an HTTP/2 server that looks at the message's own frame.
    const server = createHttp2Server((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const bytes = Buffer.concat(chunks);
        frame.resolve({ encoding: request.headers['grpc-encoding'], flag: bytes[0] ?? -1, message: bytes.subarray(5) });
        response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '0' }).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    using exporter = await open({ endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`, compression });
    const sent = send(exporter);
    const { encoding, flag, message } = await frame.promise;
    const isGzip = compression === 'gzip';
    assert.deepEqual([encoding ?? 'identity', flag], [isGzip ? 'gzip' : 'identity', isGzip ? 1 : 0]);
    assert.equal(decodeTraceRequest(isGzip ? gunzipSync(message) : message).length, 1);
    await sent;
    server.close();
  }
});

test('metrics go to the metrics service, as they are', async () => {
  const seen: Buffer[] = [];
  const take: Handler = (call, callback) => {
    seen.push(call.request);
    callback(null, partialSuccess(2, 'no such metric'));
  };
  using server = await serve(take, undefined, undefined, 'metrics.v1.MetricsService');
  using exporter = await open({ endpoint: server.endpoint }, 'metrics');
  const result = await exporter.export({ items: 7, body: Buffer.from([1, 2, 3]) });
  assert.deepEqual(result, { kind: 'accepted', rejected: 2, message: 'no such metric' });
  assert.deepEqual(seen, [Buffer.from([1, 2, 3])]);
});

test('a partial success is counted', async () => {
  using server = await serve((_, callback) => callback(null, partialSuccess(1, 'too old')));
  using exporter = await open({ endpoint: server.endpoint });
  assert.deepEqual(await send(exporter), { kind: 'accepted', rejected: 1, message: 'too old' });
});

test('a backend that was unavailable takes the next attempt', async () => {
  let attempts = 0;
  using server = await serve((_, callback) => {
    attempts++;
    if (attempts === 1) callback({ code: status.UNAVAILABLE, details: 'starting' });
    else callback(null, Buffer.alloc(0));
  });
  using exporter = await open({ endpoint: server.endpoint });
  const first = await send(exporter);
  assert.equal(first.kind, 'retryable');
  assert.match(first.message, new RegExp(`^${server.endpoint}: 14 UNAVAILABLE: starting$`));
  assert.equal((await send(exporter)).kind, 'accepted');
});

test('each status code is retried or not as OTLP says', async () => {
  let code = status.OK;
  using server = await serve((_, callback) => callback({ code, details: 'no' }));
  using exporter = await open({ endpoint: server.endpoint });
  const kinds = new Map<string, string>();
  for (const name of Object.keys(status).filter((key) => Number.isNaN(Number(key)) && key !== 'OK')) {
    code = status[name as keyof typeof status];
    kinds.set(name, (await send(exporter)).kind);
  }
  const retryable = [...kinds].filter(([, kind]) => kind === 'retryable').map(([name]) => name);
  assert.deepEqual(retryable.sort(), ['ABORTED', 'CANCELLED', 'DATA_LOSS', 'DEADLINE_EXCEEDED', 'OUT_OF_RANGE', 'UNAVAILABLE']);
  assert.equal(kinds.get('RESOURCE_EXHAUSTED'), 'refused');
  assert.equal(kinds.get('PERMISSION_DENIED'), 'refused');
});

test('an exhausted backend is retried when and only when it says when', async () => {
  let delayMs: number | undefined = 1500;
  using server = await serve((_, callback) => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', rpcStatus(status.RESOURCE_EXHAUSTED, 'slow down', delayMs));
    callback({ code: status.RESOURCE_EXHAUSTED, details: 'slow down', metadata });
  });
  using exporter = await open({ endpoint: server.endpoint });
  const throttled = await send(exporter);
  assert.equal(throttled.kind, 'retryable');
  assert.equal(throttled.retryAfterMs, 1500);
  delayMs = undefined;
  assert.equal((await send(exporter)).kind, 'refused');
});

test('an attempt ends at its deadline', async () => {
  using server = await serve(() => undefined);
  using exporter = await open({ endpoint: server.endpoint, timeoutMs: 100 });
  const result = await send(exporter);
  assert.equal(result.kind, 'retryable');
  assert.match(result.message, /4 DEADLINE_EXCEEDED/);
});

test('a port where nobody listens is an answer, quickly, and the backend is found when it comes', async () => {
  const unused = await serve(ok);
  unused[Symbol.dispose]();
  using exporter = await open({ endpoint: unused.endpoint });
  const result = await send(exporter);
  assert.equal(result.kind, 'retryable');
  assert.match(result.message, /14 UNAVAILABLE.*ECONNREFUSED/);
  using server = await serve(ok, Credentials.createInsecure(), unused.endpoint);
  assert.equal(server.endpoint, unused.endpoint);
  const deadline = Date.now() + 15_000;
  let kind = '';
  while (kind !== 'accepted' && Date.now() < deadline) {
    kind = (await send(exporter)).kind;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(kind, 'accepted');
});

test('close ends a running attempt, and later ones end at once', async () => {
  using server = await serve(() => undefined);
  const exporter = await open({ endpoint: server.endpoint, timeoutMs: 0 });
  const running = send(exporter);
  await exporter.close();
  await exporter.close();
  assert.equal((await running).kind, 'retryable');
  assert.equal((await send(exporter)).kind, 'retryable');
});

test('a unix socket is an endpoint', async () => {
  const endpoint = `unix://${join(directory, 'otlp.sock')}`;
  using server = await serve(ok, Credentials.createInsecure(), endpoint);
  assert.ok(server.port > 0);
  using exporter = await open({ endpoint });
  assert.equal((await send(exporter)).kind, 'accepted');
});

test('endpoints have the forms of the Collector', () => {
  assert.deepEqual(grpcTarget('collector:4317'), { target: 'collector:4317', isHttps: false });
  assert.deepEqual(grpcTarget('http://collector:4317'), { target: 'collector:4317', isHttps: false });
  assert.deepEqual(grpcTarget('https://collector:4317/'), { target: 'collector:4317', isHttps: true });
  assert.deepEqual(grpcTarget('unix:///run/otlp.sock'), { target: 'unix:///run/otlp.sock', isHttps: false });
  assert.deepEqual(grpcTarget('dns:///collector:4317'), { target: 'dns:///collector:4317', isHttps: false });
});

const certificate: Certificate = makeCertificate(directory, 'backend.test');
const clientCertificate: Certificate = makeCertificate(directory, 'client.test');
const tlsServer = (isMutual = false): ServerCredentials =>
  Credentials.createSsl(
    Buffer.from(clientCertificate.cert),
    [{ private_key: Buffer.from(certificate.key), cert_chain: Buffer.from(certificate.cert) }],
    isMutual,
  );

test('TLS verifies the backend against the given authority and name', async () => {
  using server = await serve(ok, tlsServer());
  const cases: [Partial<Parameters<typeof tlsOptions>[0]> & object, string][] = [
    [{ caFile: certificate.certFile }, 'accepted'],
    [{ caPem: certificate.cert, includeSystemCaCertsPool: true }, 'accepted'],
    [{ caPem: certificate.cert, minVersion: '1.3' }, 'accepted'],
    [{ caPem: certificate.cert, serverNameOverride: 'backend.test' }, 'accepted'],
    [{ caPem: certificate.cert, serverNameOverride: 'other.test' }, 'retryable'],
    [{ caPem: clientCertificate.cert }, 'retryable'],
    [{}, 'retryable'],
    [{ insecureSkipVerify: true }, 'accepted'],
  ];
  for (const [tls, kind] of cases) {
    using exporter = await open({ endpoint: server.endpoint, tls: tlsOptions(tls) });
    assert.equal((await send(exporter)).kind, kind, JSON.stringify(Object.keys(tls)));
  }
});

test('https in the endpoint means TLS whatever tls::insecure says, http does not switch it off', async () => {
  using server = await serve(ok, tlsServer());
  using https = await open({
    endpoint: `https://${server.endpoint}`,
    tls: tlsOptions({ insecure: true, caPem: certificate.cert }),
  });
  assert.equal((await send(https)).kind, 'accepted');
  using http = await open({ endpoint: `http://${server.endpoint}`, tls: tlsOptions({ caPem: certificate.cert }) });
  assert.equal((await send(http)).kind, 'accepted');
});

test('a client certificate is shown to a backend that asks for one', async () => {
  using server = await serve(ok, tlsServer(true));
  using without = await open({ endpoint: server.endpoint, tls: tlsOptions({ caPem: certificate.cert }) });
  assert.equal((await send(without)).kind, 'retryable');
  const tls = tlsOptions({ caPem: certificate.cert, certFile: clientCertificate.certFile, keyFile: clientCertificate.keyFile });
  using exporter = await open({ endpoint: server.endpoint, tls });
  assert.equal((await send(exporter)).kind, 'accepted');
});

test('TLS to a backend without TLS is explained', async () => {
  using server = await serve(ok);
  using exporter = await open({ endpoint: server.endpoint, tls: tlsOptions() });
  const result = await send(exporter);
  assert.match(result.kind === 'retryable' ? result.message : '', /set tls::insecure to true/);
});

test('wrong key material and headers are found when the exporter is opened', async () => {
  await assert.rejects(
    open({ tls: tlsOptions({ caFile: join(directory, 'none') }) }),
    /exporters::otlp::tls::ca_file: cannot read .*none: ENOENT/,
  );
  await assert.rejects(open({ tls: tlsOptions({ certPem: 'x', keyPem: 'y' }) }), /exporters::otlp::tls: /);
  await assert.rejects(open({ headers: { 'bad name': 'x' } }), /exporters::otlp::headers: bad name: /);
});
