// Whatever a transaction holds, describing and measuring it has no surprises. Its seed is fixed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../receiver/model/connection.ts';
import type { HttpDimensions } from '../../../receiver/model/http-metrics.ts';
import { SpanKind } from '../../../receiver/model/span.ts';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttpDescriber } from '../../../receiver/protocols/http/describe.ts';
import { createHttpDimensions } from '../../../receiver/protocols/http/dimensions.ts';
import { isOtlpExport } from '../../../receiver/protocols/http/otlp-export.ts';
import { attributesOf } from './attributes.ts';
import { createRandom, type Random } from './seeded-random.ts';
import { transactionOf } from './transaction.ts';

const COUNT = 30_000;
const pieces = [
  ...'/:?#@[]%*.,;="\\ \0\r\n\u007f\ufffdé'.match(/./gs)!,
  ...[
    '\u{1f600}',
    'a',
    'Z',
    '0',
    '65536',
    '//',
    '://',
    'http',
    'https',
    'localhost',
    '10.0.0.1',
    '::1',
    '_OTHER',
    'x'.repeat(300),
  ],
];
const likely = [
  '/',
  '/a.B/c',
  'GET',
  'POST',
  'CONNECT',
  'OPTIONS',
  'h.example:1',
  'for=1.2.3.4;proto=https',
  'application/grpc',
  '*',
];
const statusCodes = [0, 100, 101, 200, 204, 304, 399, 400, 401, 404, 499, 500, 503, 599, 600, 999];
const grpcCodes = [undefined, 0, 1, 2, 5, 12, 13, 16, 17, -1, 1.5, NaN, 2 ** 32];
const aborts = [undefined, 'connection_reset', 'connection_closed', 'process_exited'] as const;
const sizes = [undefined, 0, 1, Number.MAX_SAFE_INTEGER];

function text(random: Random): string {
  if (random.below(3) === 0) return random.pick(likely);
  let result = '';
  for (let count = random.below(6); count > 0; count--) result += random.pick(pieces);
  return result;
}

function anyTransaction(random: Random): Transaction {
  const maybe = (): string | undefined => (random.below(2) === 0 ? undefined : text(random));
  const transport = random.pick(['tcp', 'unix'] as const);
  const endpoint = (): Endpoint =>
    transport === 'unix'
      ? { address: random.pick(['', '/run/a.sock', '@abstract']), port: 0 }
      : { address: random.pick(['10.0.0.1', '::1']), port: random.pick([1, 80, 443]) };
  return transactionOf({
    role: random.pick(['server', 'client']),
    secure: random.below(2) === 0,
    status: random.pick(statusCodes),
    responseSize: random.pick(sizes),
    abort: random.pick(aborts),
    reset: random.pick([undefined, 'CANCEL', 'NO_ERROR', 'REFUSED_STREAM', '99', '']),
    connection: { transport, local: endpoint(), peer: endpoint() },
    rpc:
      random.below(2) === 0
        ? undefined
        : {
            system: 'grpc',
            statusCode: random.pick(grpcCodes),
            requestMessages: random.pick(sizes),
            responseMessages: random.pick(sizes),
          },
    request: {
      method: text(random),
      target: text(random),
      version: random.pick(['1.0', '1.1', '2']),
      scheme: maybe(),
      protocol: maybe(),
      host: maybe(),
      userAgent: maybe(),
      forwarded: maybe(),
      xForwardedFor: maybe(),
      xForwardedProto: maybe(),
      contentType: random.pick([undefined, 'application/grpc-web+proto', 'application/json', text(random)]),
      connectVersion: random.pick([undefined, '1', '']),
      bodySize: random.pick(sizes),
    },
  });
}

const options = { knownMethods: ['GET', 'POST', 'CONNECT', 'OPTIONS'], redactedQueryKeys: ['a'], isServerAddressed: true };

test('any transaction has a description that is well-formed, and says the same in metrics', () => {
  const describe = createHttpDescriber(options);
  const measure = createHttpDimensions(options);
  const random = createRandom(7);
  const dimensions: HttpDimensions = {
    method: '',
    rpcMethod: '',
    rpcStatusCode: '',
    scheme: '',
    protocolVersion: '',
    statusCode: 0,
    errorType: '',
    serverAddress: '',
    serverPort: 0,
  };
  let calls = 0;
  for (let i = 0; i < COUNT; i++) {
    const transaction = anyTransaction(random);
    const { role, rpc, connection } = transaction;
    const where = `transaction ${i}: ${JSON.stringify({ ...transaction, exchange: undefined })}`;
    const { name, kind, attributes: list, isError } = describe(transaction);
    const attributes = attributesOf({ name, kind, attributes: list, isError });
    assert.notEqual(name, '', where);
    assert.equal(kind, role === 'server' ? SpanKind.server : SpanKind.client, where);
    assert.equal(isError, attributes['error.type'] !== undefined, where);
    for (const [key, value] of Object.entries(attributes)) {
      assert.ok(value !== '' && (typeof value !== 'number' || Number.isSafeInteger(value)), `${key}, ${where}`);
      assert.ok(typeof value !== 'string' || (value.length <= 16_384 && value.isWellFormed()), `${key}, ${where}`);
    }
    const isCall = rpc !== undefined;
    if (isCall) calls++;
    const system = attributes['rpc.system.name'];
    // A call that is plain HTTP says so, and is measured as that.
    if (isCall) assert.equal(system, 'grpc', where);
    else if (system !== undefined) assert.equal(transaction.request.method, 'POST', where);
    assert.equal(attributes['http.request.method'] === undefined, isCall, where);
    assert.equal(name === 'grpc' || name === attributes['rpc.method'], isCall, where);
    assert.equal(attributes['network.peer.address'] ?? '', connection.peer.address, where);

    measure(transaction, dimensions);
    const measured = {
      'http.request.method': dimensions.method,
      ...(isCall ? { 'rpc.method': dimensions.rpcMethod } : {}),
      'rpc.status_code': dimensions.rpcStatusCode,
      'error.type': dimensions.errorType,
      'server.address': dimensions.serverAddress,
      'network.protocol.version': dimensions.protocolVersion,
    };
    for (const [key, value] of Object.entries(measured))
      assert.equal(value, String(attributes[key] ?? '').slice(0, 256), `${key}, ${where}`);
    assert.equal(dimensions.serverPort, attributes['server.port'] ?? 0, where);
    assert.equal(typeof isOtlpExport(transaction), 'boolean');
  }
  assert.ok(calls > COUNT / 3 && calls < (2 * COUNT) / 3, `${calls} calls`);
});
