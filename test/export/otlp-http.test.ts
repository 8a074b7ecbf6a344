import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Exporter, ExportResult, Signal } from '../../receiver/export/exporter.ts';
import type { OtlpHttpOptions } from '../../receiver/export/otlp-http.ts';
import { openOtlpHttpExporter, readRetryAfter } from '../../receiver/export/otlp-http.ts';
import { TraceJsonEncoder } from '../../receiver/export/otlp-json.ts';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { createTimers } from '../../receiver/export/timers.ts';
import { makeCertificate } from './certificates.ts';
import { deferred } from './memory-exporter.ts';
import { partialSuccess, rpcStatus } from './protobuf-build.ts';
import { clock, makeSpan, ORIGIN_UNIX_NS, payloadOf, scope } from './spans.ts';
import { tlsOptions } from './tls-options.ts';
import { decodeTraceRequest } from './wire.ts';

const directory = mkdtempSync(join(tmpdir(), 'usm-otlp-http-'));
after(() => rmSync(directory, { recursive: true }));
const spans = [makeSpan({ name: 'one' }), makeSpan({ name: 'two' })];

type Handler = (request: IncomingMessage, body: Buffer, response: ServerResponse) => void;

async function serve(handler: Handler, tls?: { key: string; cert: string }) {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handler(request, Buffer.concat(chunks), response));
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/v1/traces`,
    connections: () => connections,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function open(changes: Partial<OtlpHttpOptions>, signal: Signal = 'traces'): Promise<Exporter & Disposable> {
  const exporter = await openOtlpHttpExporter(
    {
      id: 'otlphttp',
      url: 'http://127.0.0.1:1/v1/traces',
      encoding: 'proto',
      tls: tlsOptions(),
      headers: {},
      compression: 'gzip',
      timeoutMs: 30_000,
      ...changes,
    },
    signal,
    scope,
    clock,
    createTimers(),
  );
  return Object.assign(exporter, { [Symbol.dispose]: () => void exporter.close() });
}

function send(exporter: Exporter, encoding: 'proto' | 'json' = 'proto'): Promise<ExportResult> {
  const encoder = encoding === 'json' ? new TraceJsonEncoder(scope, clock) : new TraceRequestEncoder(scope, clock);
  return exporter.export(payloadOf(encoder, spans));
}

/** One attempt against a backend that answers so. */
async function answered(statusCode: number, headers: Record<string, string>, body: Uint8Array | string): Promise<ExportResult> {
  using server = await serve((_, __, response) => response.writeHead(statusCode, headers).end(body));
  using exporter = await open({ url: server.url });
  const result = await send(exporter);
  return 'message' in result ? { ...result, message: result.message.replace(server.url, 'URL') } : result;
}

test('a request arrives whole in each encoding and compression', async () => {
  for (const encoding of ['proto', 'json'] as const) {
    for (const compression of ['gzip', 'none'] as const) {
      const seen: { request: IncomingMessage; body: Buffer }[] = [];
      using server = await serve((request, body, response) => {
        seen.push({ request, body });
        response.end();
      });
      using exporter = await open({ url: server.url, encoding, compression, headers: { 'x-tenant': 'a' } });
      assert.deepEqual(await send(exporter, encoding), { kind: 'accepted', rejected: 0 });
      assert.equal(seen.length, 1);
      const { request, body } = seen.at(0) ?? assert.fail();
      assert.equal(request.method, 'POST');
      assert.equal(request.url, '/v1/traces');
      assert.equal(request.headers['content-type'], encoding === 'proto' ? 'application/x-protobuf' : 'application/json');
      assert.equal(request.headers['content-encoding'], compression === 'gzip' ? 'gzip' : undefined);
      assert.equal(request.headers['content-length'], String(body.length));
      assert.equal(request.headers['x-tenant'], 'a');
      assert.equal(request.headers['user-agent'], 'usm-receiver/0.1.0');
      const plain = compression === 'gzip' ? gunzipSync(body) : body;
      const names =
        encoding === 'proto'
          ? decodeTraceRequest(plain)[0]?.scopes[0]?.spans.map((span) => span.name)
          : (
              JSON.parse(plain.toString()) as { resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[] }
            ).resourceSpans[0]?.scopeSpans[0]?.spans.map((span) => span.name);
      assert.deepEqual(names, ['one', 'two']);
    }
  }
});

test('a user agent of the caller replaces our own', async () => {
  const agents: (string | undefined)[] = [];
  using server = await serve((request, _, response) => {
    agents.push(request.headers['user-agent']);
    response.end();
  });
  using exporter = await open({ url: server.url, userAgent: 'me/1' });
  await send(exporter);
  assert.deepEqual(agents, ['me/1']);
});

test('a connection is kept for the next request', async () => {
  using server = await serve((_, __, response) => response.end('x'));
  using exporter = await open({ url: server.url });
  for (let i = 0; i < 5; i++) assert.equal((await send(exporter)).kind, 'accepted');
  assert.equal(server.connections(), 1);
});

test('a partial success is counted in either encoding', async () => {
  const result = { kind: 'accepted', rejected: 1, message: 'too old' };
  assert.deepEqual(await answered(200, { 'content-type': 'application/x-protobuf' }, partialSuccess(1, 'too old')), result);
  const json = '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}';
  assert.deepEqual(await answered(200, { 'content-type': 'application/json' }, json), result);
});

test('429, 502, 503 and 504 are retryable, everything else that is no success is final', async () => {
  for (const code of [429, 502, 503, 504]) {
    assert.deepEqual(await answered(code, {}, ''), { kind: 'retryable', message: `URL: HTTP status ${code}` });
  }
  for (const code of [307, 400, 401, 404, 413, 500, 501]) {
    assert.deepEqual(await answered(code, {}, '<html>'), { kind: 'refused', message: `URL: HTTP status ${code}` });
  }
});

test('Retry-After is honoured as seconds and as a date', async () => {
  assert.deepEqual(await answered(503, { 'retry-after': '7' }, ''), {
    kind: 'retryable',
    message: 'URL: HTTP status 503',
    retryAfterMs: 7000,
  });
  const nowMs = Number(ORIGIN_UNIX_NS / 1_000_000n);
  const date = new Date(nowMs + 60_000).toUTCString();
  const result = await answered(429, { 'retry-after': date }, '');
  const delayMs = result.kind === 'retryable' ? (result.retryAfterMs ?? -1) : -1;
  assert.ok(delayMs > 58_000 && delayMs <= 60_000);
  assert.equal(readRetryAfter('Fri, 31 Dec 1999 23:59:59 GMT', nowMs), 0);
  assert.equal(readRetryAfter('soon', nowMs), undefined);
  assert.equal(readRetryAfter(undefined, nowMs), undefined);
});

test('what the backend says about an error is passed on', async () => {
  const body = rpcStatus(3, 'span without an id');
  assert.deepEqual(await answered(400, { 'content-type': 'application/x-protobuf' }, body), {
    kind: 'refused',
    message: 'URL: HTTP status 400: span without an id',
  });
  assert.deepEqual(await answered(400, { 'content-type': 'application/json' }, '{"message":"no"}'), {
    kind: 'refused',
    message: 'URL: HTTP status 400: no',
  });
});

test('an endless answer is read to its end without being kept', async () => {
  const result = await answered(400, { 'content-type': 'application/json' }, Buffer.alloc(5_000_000, 'x'));
  assert.deepEqual(result, { kind: 'refused', message: 'URL: HTTP status 400' });
});

test('an attempt ends at its deadline', async () => {
  using server = await serve(() => undefined);
  using exporter = await open({ url: server.url, timeoutMs: 100 });
  assert.deepEqual(await send(exporter), { kind: 'retryable', message: `${server.url}: no answer within 100 ms` });
});

test('a backend that is not there, or breaks off, is retryable', async () => {
  const gone = await serve(() => undefined);
  gone[Symbol.dispose]();
  using exporter = await open({ url: gone.url });
  const refused = await send(exporter);
  assert.match(refused.kind === 'retryable' ? refused.message : '', /ECONNREFUSED/);
  using server = await serve((_, __, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('x', () => response.destroy());
  });
  using other = await open({ url: server.url });
  assert.equal((await send(other)).kind, 'retryable');
});

test('a header that HTTP does not allow is refused, not thrown', async () => {
  using exporter = await open({ headers: { 'x-a': 'b\nc' } });
  assert.equal((await send(exporter)).kind, 'refused');
});

test('close ends a running attempt, and later ones end at once', async () => {
  const closed = { kind: 'retryable', message: 'the exporter is closed' };
  const arrived = deferred<string>();
  using server = await serve(() => arrived.resolve(''));
  const exporter = await open({ url: server.url });
  const running = send(exporter);
  await arrived.promise;
  const starting = send(exporter);
  await exporter.close();
  await exporter.close();
  assert.deepEqual(await Promise.all([running, starting, send(exporter)]), [closed, closed, closed]);
});

test('TLS verifies the backend against the given authority and name', async () => {
  const certificate = makeCertificate(directory, 'backend.test');
  using server = await serve((_, __, response) => response.end(), certificate);
  const cases: [Parameters<typeof tlsOptions>[0], string][] = [
    [{ caFile: certificate.certFile }, 'accepted'],
    [{ caPem: certificate.cert, serverNameOverride: 'backend.test', minVersion: '1.3' }, 'accepted'],
    [{ caPem: certificate.cert, serverNameOverride: 'other.test' }, 'retryable'],
    [{}, 'retryable'],
    [{ insecureSkipVerify: true }, 'accepted'],
  ];
  for (const [tls, kind] of cases) {
    using exporter = await open({ url: server.url, tls: tlsOptions(tls) });
    assert.equal((await send(exporter)).kind, kind, JSON.stringify(tls));
  }
});
