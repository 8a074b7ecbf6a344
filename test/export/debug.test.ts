import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDebugExporter, DebugTraceEncoder } from '../../receiver/export/debug.ts';
import { escapeControls } from '../../receiver/export/debug-text.ts';
import { SpanKind } from '../../receiver/model/span.ts';
import type { Span } from '../../receiver/model/span.ts';
import { clock, makeResource, makeSpan, otherTrace, payloadOf, scope, tricky } from './spans.ts';

process.env['TZ'] = 'UTC';

async function text(verbosity: 'basic' | 'normal' | 'detailed', spans: readonly Span[]): Promise<string> {
  let written = '';
  const exporter = createDebugExporter('debug', 'traces', (bytes) => {
    written += Buffer.from(bytes).toString();
  });
  assert.deepEqual(await exporter.export(payloadOf(new DebugTraceEncoder(verbosity, scope, clock), spans)), {
    kind: 'accepted',
    rejected: 0,
  });
  await exporter.close();
  return written;
}

const server = makeSpan({
  attributes: [
    'http.request.method',
    'GET',
    'url.path',
    '/items/7',
    'url.query',
    'page=2',
    'http.response.status_code',
    200,
    'network.peer.address',
    '10.0.0.7',
    'network.peer.port',
    51_522,
  ],
});
const client = makeSpan({
  resource: makeResource('checkout', { 'process.pid': 12 }),
  kind: SpanKind.client,
  end: 1_000_000 + 250_000,
  attributes: [
    'http.request.method',
    'POST',
    'url.full',
    'http://[::1]:8080/pay',
    'error.type',
    '503',
    'http.response.status_code',
    503,
    'server.address',
    '::1',
    'network.peer.address',
    '::1',
    'network.peer.port',
    8080,
  ],
  isError: true,
});
const aborted = makeSpan({
  resource: { serviceName: 'no-pid', attributes: new Map() },
  end: 12_001_000_000,
  attributes: [
    'http.request.method',
    '_OTHER',
    'http.request.method_original',
    'BREW',
    'url.path',
    '/pot',
    'error.type',
    'connection_reset',
  ],
  isError: true,
});
const connect = makeSpan({
  end: 151_000_000,
  attributes: [
    'http.request.method',
    'CONNECT',
    'server.address',
    'example.com',
    'server.port',
    443,
    'http.response.status_code',
    200,
    'error.type',
    'connection_closed',
  ],
});

test('basic: one aligned line per transaction, with who, what, outcome, time and trace', async () => {
  assert.equal(
    await text('basic', [server, client, aborted, connect]),
    [
      '12:34:56.790  → SERVER  shop[4711]                GET /items/7?page=2                               200    2.50 ms  10.0.0.7:51522         4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  CLIENT →  checkout[12]              POST http://[::1]:8080/pay                        503     250 µs  [::1]:8080             4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  no-pid                    BREW /pot                                         connection_reset    12.00 s  -                      4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  shop[4711]                CONNECT example.com:443                           200 connection_closed   150.0 ms  example.com            4bf92f3577b34da6a3ce929d0e0e4736',
      '',
    ].join('\n'),
  );
});

test('basic: a call that is plain HTTP is an exchange of HTTP', async () => {
  const http = ['http.request.method', 'POST', 'url.path', '/api/a.B/c', 'http.response.status_code', 200] as const;
  const call = ['rpc.system.name', 'connectrpc', 'rpc.method', 'a.B/c'] as const;
  assert.match(await text('basic', [makeSpan({ attributes: [...http, ...call] })]), / POST \/api\/a\.B\/c +200 /);
});

test('basic: a call is one line, with its method and its status', async () => {
  const peer = ['network.peer.address', '10.0.0.7', 'network.peer.port', 51_522] as const;
  const system = ['rpc.system.name', 'grpc'] as const;
  const method = ['rpc.method', 'helloworld.Greeter/SayHello'] as const;
  assert.equal(
    await text('basic', [
      makeSpan({ attributes: [...system, ...method, 'rpc.status_code', 'OK', ...peer] }),
      makeSpan({
        kind: SpanKind.client,
        attributes: [...system, ...method, 'rpc.status_code', 'NOT_FOUND', ...peer, 'error.type', 'NOT_FOUND'],
        isError: true,
      }),
      makeSpan({
        attributes: [
          ...system,
          ...['rpc.method', '_OTHER', 'rpc.method_original', 'a.B/c', 'rpc.status_code', 'UNIMPLEMENTED'],
          ...['error.type', 'UNIMPLEMENTED'],
        ],
        isError: true,
      }),
      makeSpan({ attributes: [...system, ...method, 'http.response.status_code', 503, 'error.type', '503'], isError: true }),
      makeSpan({ attributes: [...system, ...method, 'error.type', 'REFUSED_STREAM'], isError: true }),
      makeSpan({ attributes: [...system, ...method] }),
    ]),
    [
      '12:34:56.790  → SERVER  shop[4711]                grpc helloworld.Greeter/SayHello                  OK     2.50 ms  10.0.0.7:51522         4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  CLIENT →  shop[4711]                grpc helloworld.Greeter/SayHello                  NOT_FOUND    2.50 ms  10.0.0.7:51522         4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  shop[4711]                grpc a.B/c                                        UNIMPLEMENTED    2.50 ms  -                      4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  shop[4711]                grpc helloworld.Greeter/SayHello                  503    2.50 ms  -                      4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  shop[4711]                grpc helloworld.Greeter/SayHello                  REFUSED_STREAM    2.50 ms  -                      4bf92f3577b34da6a3ce929d0e0e4736',
      '12:34:56.790  → SERVER  shop[4711]                grpc helloworld.Greeter/SayHello                  -      2.50 ms  -                      4bf92f3577b34da6a3ce929d0e0e4736',
      '',
    ].join('\n'),
  );
});

test('basic: what came over the network cannot steer a terminal or break a line', async () => {
  const line = await text('basic', [
    makeSpan({
      resource: makeResource('a\u001b[31m\u009b'),
      attributes: ['http.request.method', 'GET', 'url.path', '/\r\n\u0007\u202e\u2028é', 'http.response.status_code', 200],
    }),
  ]);
  assert.equal(line.split('\n').length, 2);
  assert.ok(line.includes('a\\x1b[31m\\x9b'));
  assert.ok(line.includes('GET /\\x0d\\x0a\\x07\\u202e\\u2028é'));
  assert.equal(escapeControls('plain – text'), 'plain – text');
});

test('basic: a target of any length stays readable', async () => {
  const line = await text('basic', [
    makeSpan({ attributes: ['http.request.method', 'GET', 'url.path', `/${'x'.repeat(30_000)}`] }),
  ]);
  assert.ok(line.length < 450);
  assert.ok(line.includes('x…'));
});

test('normal: a line per resource, scope and span, as the Collector has them', async () => {
  assert.equal(
    await text('normal', [server, client]),
    [
      'ResourceTraces #0 [https://opentelemetry.io/schemas/1.40.0] service.name=shop process.pid=4711',
      'ScopeTraces #0 usm-receiver@0.1.0 [https://opentelemetry.io/schemas/1.40.0]',
      'GET 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 http.request.method=GET url.path=/items/7 url.query=page=2 http.response.status_code=200 network.peer.address=10.0.0.7 network.peer.port=51522',
      'ResourceTraces #1 [https://opentelemetry.io/schemas/1.40.0] service.name=checkout process.pid=12',
      'ScopeTraces #0 usm-receiver@0.1.0 [https://opentelemetry.io/schemas/1.40.0]',
      'GET 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 http.request.method=POST url.full=http://[::1]:8080/pay error.type=503 http.response.status_code=503 server.address=::1 network.peer.address=::1 network.peer.port=8080',
      '',
    ].join('\n'),
  );
});

test('detailed: the whole span, as the Collector prints it', async () => {
  const span = { ...tricky, attributes: tricky.attributes.slice(8, 24).concat(['list', ['a', 'b'], 'zero', 0]) };
  assert.equal(
    await text('detailed', [span, makeSpan({ attributes: [], start: 987_655, link: otherTrace })]),
    [
      'ResourceSpans #0',
      'Resource SchemaURL: https://opentelemetry.io/schemas/1.40.0',
      'Resource attributes:',
      '     -> service.name: Str(shop)',
      '     -> process.pid: Int(4711)',
      'ScopeSpans #0',
      'ScopeSpans SchemaURL: https://opentelemetry.io/schemas/1.40.0',
      'InstrumentationScope usm-receiver 0.1.0',
      'Span #0',
      '    Trace ID       : ffffffffffffffffffffffffffffff0a',
      '    Parent ID      : 53995c3f42cd8ad8',
      '    ID             : a0b1c2d3e4f50617',
      '    Name           : GET é€😀',
      '    Kind           : Client',
      '    TraceState     : ot=th:8,congo=t61rcWkgMzE',
      '    Start time     : 2026-11-20 12:34:56.789012344 +0000 UTC',
      '    End time       : 2026-11-20 13:46:31.756308346 +0000 UTC',
      '    Status code    : Error',
      '    Status message : ',
      '    DroppedAttributesCount: 0',
      '    DroppedEventsCount: 0',
      '    DroppedLinksCount: 0',
      'Attributes:',
      '     -> escapes: Str("\\\\x0a\\x01/\\u2028)',
      '     -> zero: Int(0)',
      '     -> negative: Int(-1)',
      '     -> far.negative: Int(-9007199254740991)',
      '     -> large: Int(9007199254740991)',
      '     -> double: Double(0.1)',
      '     -> double.large: Double(1e+300)',
      '     -> true: Bool(true)',
      '     -> list: Slice(["a","b"])',
      '     -> zero: Int(0)',
      'Span #1',
      '    Trace ID       : 4bf92f3577b34da6a3ce929d0e0e4736',
      '    Parent ID      : ',
      '    ID             : 00f067aa0ba902b7',
      '    Name           : GET',
      '    Kind           : Server',
      '    Start time     : 2026-11-20 12:34:56.79 +0000 UTC',
      '    End time       : 2026-11-20 12:34:56.792512345 +0000 UTC',
      '    Status code    : Unset',
      '    Status message : ',
      '    DroppedAttributesCount: 0',
      '    DroppedEventsCount: 0',
      '    DroppedLinksCount: 0',
      'Links:',
      'SpanLink #0',
      '     -> Trace ID: 5e5e5e5e5e5e5e5e00000000000f6180',
      '     -> ID: 5e000000000f6180',
      '     -> TraceState: ',
      '     -> DroppedAttributesCount: 0',
      '',
    ].join('\n'),
  );
});

test('an output that fails is a refusal, not a throw', async () => {
  const exporter = createDebugExporter('debug', 'traces', () => Promise.reject(new Error('EPIPE')));
  const result = await exporter.export({ items: 1, body: Buffer.from('GET') });
  assert.deepEqual(result, { kind: 'refused', message: 'cannot write to the debug output: EPIPE' });
});
