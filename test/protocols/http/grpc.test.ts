// Spans of gRPC calls, row by row of the tables in docs/telemetry.md.
import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { type AttributeValue, SpanKind } from '../../../receiver/model/span.ts';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttpDescriber } from '../../../receiver/protocols/http/describe.ts';
import { attributesOf } from './attributes.ts';
import { callOf, transactionOf, type Variation } from './transaction.ts';

const describe = createHttpDescriber({ knownMethods: ['POST'], redactedQueryKeys: [] });
const SAY_HELLO = 'helloworld.Greeter/SayHello';

function call(variation: Variation = {}, statusCode?: number): Transaction {
  return transactionOf(callOf(variation, statusCode));
}

function attributesOfCall(variation: Variation, statusCode?: number): Record<string, AttributeValue> {
  return attributesOf(describe(call(variation, statusCode)));
}

test('a server span has exactly the attributes of the conventions, and the facts of its HTTP exchange that they have no name for', () => {
  const description = describe(call({ request: { userAgent: 'grpc-go/1.80.0', bodySize: 12 }, responseSize: 18 }, 0));
  assert.equal(description.name, SAY_HELLO);
  assert.equal(description.kind, SpanKind.server);
  assert.equal(description.isError, false);
  assert.deepEqual(attributesOf(description), {
    'rpc.system.name': 'grpc',
    'rpc.method': SAY_HELLO,
    'rpc.status_code': 'OK',
    'server.address': 'greeter.example',
    'server.port': 50_051,
    'network.peer.address': '10.0.0.2',
    'network.peer.port': 50_000,
    'network.protocol.version': '2',
    'user_agent.original': 'grpc-go/1.80.0',
    'http.request.body.size': 12,
    'http.response.body.size': 18,
  });
});

test('a client span has exactly the attributes of the conventions, and the facts of its HTTP exchange that they have no name for', () => {
  const description = describe(
    call({ role: 'client', secure: true, request: { scheme: 'https', bodySize: undefined }, responseSize: undefined }, 5),
  );
  assert.equal(description.name, SAY_HELLO);
  assert.equal(description.kind, SpanKind.client);
  assert.equal(description.isError, true);
  assert.deepEqual(attributesOf(description), {
    'rpc.system.name': 'grpc',
    'rpc.method': SAY_HELLO,
    'rpc.status_code': 'NOT_FOUND',
    'server.address': 'greeter.example',
    'server.port': 50_051,
    'network.peer.address': '10.0.0.1',
    'network.peer.port': 8080,
    'network.protocol.version': '2',
    'error.type': 'NOT_FOUND',
  });
});

suite('a status', () => {
  const rows: readonly [code: number, text: string, isServerError: boolean][] = [
    [0, 'OK', false],
    [1, 'CANCELLED', false],
    [2, 'UNKNOWN', true],
    [3, 'INVALID_ARGUMENT', false],
    [4, 'DEADLINE_EXCEEDED', true],
    [5, 'NOT_FOUND', false],
    [6, 'ALREADY_EXISTS', false],
    [7, 'PERMISSION_DENIED', false],
    [8, 'RESOURCE_EXHAUSTED', false],
    [9, 'FAILED_PRECONDITION', false],
    [10, 'ABORTED', false],
    [11, 'OUT_OF_RANGE', false],
    [12, 'UNIMPLEMENTED', true],
    [13, 'INTERNAL', true],
    [14, 'UNAVAILABLE', true],
    [15, 'DATA_LOSS', true],
    [16, 'UNAUTHENTICATED', false],
    // Clients take what they do not know for UNKNOWN.
    [17, '17', true],
    [4_000_000_000, '4000000000', true],
  ];
  for (const [code, text, isServerError] of rows) {
    test(`${text} is ${isServerError ? 'an' : 'no'} error of a server, and ${code === 0 ? 'no' : 'an'} error of a client`, () => {
      for (const [role, isError] of [
        ['server', isServerError],
        ['client', code !== 0],
      ] as const) {
        const description = describe(call({ role }, code));
        const attributes = attributesOf(description);
        assert.equal(description.isError, isError, role);
        assert.equal(attributes['rpc.status_code'], text, role);
        assert.equal(attributes['error.type'], isError ? text : undefined, role);
        assert.equal(attributes['http.response.status_code'], undefined, role);
      }
    });
  }

  test('says more than how the stream and the connection ended, and than the status of HTTP', () => {
    for (const more of [{ reset: 'INTERNAL_ERROR' }, { abort: 'connection_reset' }, { status: 503 }] as const) {
      assert.equal(attributesOfCall(more, 0)['error.type'], undefined);
      assert.equal(attributesOfCall({ ...more, role: 'client' }, 9)['error.type'], 'FAILED_PRECONDITION');
    }
  });
});

suite('without a status on the wire there is none on the span, and error.type is', () => {
  // Errors of both ends, of clients alone, or of none.
  const rows: readonly [Variation, errorType: string, of: 'both' | 'clients'][] = [
    [{}, 'missing_status', 'both'],
    [{ status: 400 }, '400', 'both'],
    [{ status: 401 }, '401', 'clients'],
    [{ status: 403 }, '403', 'clients'],
    [{ status: 404 }, '404', 'both'],
    [{ status: 415 }, '415', 'both'],
    [{ status: 429 }, '429', 'both'],
    [{ status: 500 }, '500', 'both'],
    [{ status: 502 }, '502', 'both'],
    [{ status: 503 }, '503', 'both'],
    [{ status: 504 }, '504', 'both'],
    [{ status: 204 }, '204', 'both'],
    [{ status: 503, reset: 'CANCEL' }, '503', 'both'],
    [{ status: 0, reset: 'NO_ERROR' }, 'NO_ERROR', 'both'],
    [{ status: 0, reset: 'PROTOCOL_ERROR' }, 'PROTOCOL_ERROR', 'both'],
    [{ status: 0, reset: 'INTERNAL_ERROR' }, 'INTERNAL_ERROR', 'both'],
    [{ status: 0, reset: 'FLOW_CONTROL_ERROR' }, 'FLOW_CONTROL_ERROR', 'both'],
    [{ status: 0, reset: 'SETTINGS_TIMEOUT' }, 'SETTINGS_TIMEOUT', 'both'],
    [{ status: 0, reset: 'STREAM_CLOSED' }, 'STREAM_CLOSED', 'both'],
    [{ status: 0, reset: 'FRAME_SIZE_ERROR' }, 'FRAME_SIZE_ERROR', 'both'],
    [{ status: 0, reset: 'REFUSED_STREAM' }, 'REFUSED_STREAM', 'both'],
    [{ status: 0, reset: 'CANCEL' }, 'CANCEL', 'clients'],
    [{ status: 200, reset: 'CANCEL' }, 'CANCEL', 'clients'],
    [{ status: 0, reset: 'COMPRESSION_ERROR' }, 'COMPRESSION_ERROR', 'both'],
    [{ status: 0, reset: 'CONNECT_ERROR' }, 'CONNECT_ERROR', 'both'],
    [{ status: 0, reset: 'ENHANCE_YOUR_CALM' }, 'ENHANCE_YOUR_CALM', 'clients'],
    [{ status: 0, reset: 'INADEQUATE_SECURITY' }, 'INADEQUATE_SECURITY', 'clients'],
    [{ status: 0, reset: 'HTTP_1_1_REQUIRED' }, 'HTTP_1_1_REQUIRED', 'both'],
    [{ status: 0, reset: '99' }, '_OTHER', 'both'],
    [{ status: 0, abort: 'connection_reset' }, 'connection_reset', 'both'],
    [{ status: 200, abort: 'connection_closed' }, 'connection_closed', 'both'],
    [{ status: 0, abort: 'process_exited' }, 'process_exited', 'both'],
  ];
  for (const [variation, errorType, of] of rows) {
    const { status = 200, reset, abort } = variation;
    const what = [status === 0 ? 'no answer' : `HTTP ${status}`, reset, abort].filter((part) => part !== undefined).join(', ');
    test(`${what}: ${errorType}, an error of ${of === 'both' ? 'both ends' : 'the client'}`, () => {
      for (const role of ['server', 'client'] as const) {
        const description = describe(call({ ...variation, role }));
        const attributes = attributesOf(description);
        const isError = of === 'both' || role === 'client';
        assert.equal(description.isError, isError, role);
        assert.equal(attributes['error.type'], isError ? errorType : undefined, role);
        assert.equal(attributes['rpc.status_code'], undefined, role);
        const isForeign = status !== 0 && status !== 200;
        assert.equal(attributes['http.response.status_code'], isForeign ? status : undefined, role);
      }
    });
  }
});

suite('rpc.method', () => {
  const rows: readonly [target: string, method: string, original: string | undefined][] = [
    [`/${SAY_HELLO}`, SAY_HELLO, undefined],
    ['/EchoService/Echo', 'EchoService/Echo', undefined],
    ['/a/b/c', 'a/b/c', undefined],
    ['/pkg.S/M?token=secret', 'pkg.S/M', undefined],
    ['/pkg.S/M#secret', 'pkg.S/M', undefined],
    ['/pkg.S/M#a?b', 'pkg.S/M', undefined],
    ['/NoMethod', '_OTHER', 'NoMethod'],
    ['/NoMethod/', '_OTHER', 'NoMethod/'],
    ['//NoService', '_OTHER', '/NoService'],
    ['/', '_OTHER', undefined],
    ['', '_OTHER', undefined],
    ['*', '_OTHER', undefined],
    ['/?a/b', '_OTHER', undefined],
    ['http://h/pkg.S/M', '_OTHER', undefined],
  ];
  for (const [target, method, original] of rows) {
    test(`of ${target === '' ? 'nothing' : target} is ${method}`, () => {
      for (const role of ['server', 'client'] as const) {
        const description = describe(call({ role, request: { target } }, 0));
        const attributes = attributesOf(description);
        assert.equal(attributes['rpc.method'], method);
        assert.equal(attributes['rpc.method_original'], original);
        assert.equal(description.name, method === '_OTHER' ? 'grpc' : method);
      }
    });
  }

  test('is not what a server does not know, and a client may ask for it all the same', () => {
    for (const [variation, statusCode] of [
      [{}, 12],
      [{ status: 404 }, undefined],
    ] as const) {
      const ofServer = attributesOfCall(variation, statusCode);
      assert.equal(ofServer['rpc.method'], '_OTHER');
      assert.equal(ofServer['rpc.method_original'], SAY_HELLO);
      assert.equal(describe(call(variation, statusCode)).name, 'grpc');
      const ofClient = attributesOfCall({ ...variation, role: 'client' }, statusCode);
      assert.equal(ofClient['rpc.method'], SAY_HELLO);
      assert.equal(ofClient['rpc.method_original'], undefined);
    }
  });

  test('is that of a call which was never answered', () => {
    assert.equal(attributesOfCall({ status: 0, reset: 'CANCEL' })['rpc.method'], SAY_HELLO);
  });
});

suite('server.address and server.port', () => {
  const unix = { transport: 'unix', ipVersion: undefined } as const;
  const path = { address: '/run/app.sock', port: 0 };
  const unnamed = { address: '', port: 0 };
  const rows: readonly [title: string, Variation, address: string | undefined, port: number | undefined][] = [
    ['come from :authority', {}, 'greeter.example', 50_051],
    ['have no port that was not written', { secure: true, request: { host: 'greeter.example' } }, 'greeter.example', undefined],
    ['have no brackets', { request: { host: '[::1]:443' } }, '::1', 443],
    ['are absent on a server without an authority', { request: { host: undefined } }, undefined, undefined],
    ['are absent on a server with an authority that is none', { request: { host: 'a b' } }, undefined, undefined],
    ['come from the socket on a client without an authority', { role: 'client', request: { host: '' } }, '10.0.0.1', 8080],
    [
      'are the path of a UNIX socket on a client without an authority',
      { role: 'client', request: { host: undefined }, connection: { ...unix, local: unnamed, peer: path } },
      '/run/app.sock',
      undefined,
    ],
    [
      'come from :authority on a UNIX socket',
      { role: 'client', request: { host: 'localhost' }, connection: { ...unix, local: unnamed, peer: path } },
      'localhost',
      undefined,
    ],
  ];
  for (const [title, variation, address, port] of rows) {
    test(title, () => {
      const attributes = attributesOfCall(variation, 0);
      assert.equal(attributes['server.address'], address);
      assert.equal(attributes['server.port'], port);
    });
  }

  test('a UNIX socket is named as transport', () => {
    const attributes = attributesOfCall({ connection: { ...unix, local: path, peer: unnamed } }, 0);
    assert.equal(attributes['network.transport'], 'unix');
    assert.equal(attributes['network.peer.address'], undefined);
  });
});

test('what proxies say of the client is not on the span of a call', () => {
  const attributes = attributesOfCall({ request: { xForwardedFor: '192.0.2.1', xForwardedProto: 'https' } }, 0);
  assert.deepEqual(
    Object.keys(attributes).filter((key) => /^(?:url|client|http\.request\.method|http\.response\.status)/.test(key)),
    [],
  );
});

test('a description owes nothing to the one before it', () => {
  const without = call({ request: { host: undefined } }, 0);
  const before = describe(without);
  describe(call({ role: 'client' }, 12));
  describe(transactionOf({ request: { target: 'ftp://me:secret@[::1]:21/x?y#z' } }));
  assert.deepEqual(describe(without), before);
});
