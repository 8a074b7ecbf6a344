// Which exchanges are telemetry on its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOtlpExport } from '../../../receiver/protocols/http/otlp-export.ts';
import { callOf, transactionOf } from './transaction.ts';

const cases: readonly (readonly [boolean, string, string, string | undefined])[] = [
  [true, 'POST', '/v1/traces', 'application/x-protobuf'],
  [true, 'POST', '/v1/metrics', 'application/json; charset=utf-8'],
  [true, 'POST', '/v1/logs?tenant=a', 'application/x-protobuf'],
  [true, 'POST', 'http://collector:4318/v1/traces', 'application/x-protobuf'],
  [true, 'POST', '/otlp/v1/traces', 'application/x-protobuf'],
  [false, 'POST', '/otlp/v1/logs', 'application/json'],
  [false, 'POST', '/v1/traces', undefined],
  [false, 'POST', '/v1/traces', 'text/plain'],
  [false, 'GET', '/v1/traces', 'application/json'],
  [false, 'POST', '/v1/traces/1', 'application/json'],
  [false, 'POST', '/?next=/v1/traces', 'application/x-protobuf'],
  [false, 'POST', 'http://shop', 'application/x-protobuf'],
];

for (const [expected, method, target, contentType] of cases) {
  test(`${method} ${target} of ${contentType ?? 'no type'} is ${expected ? '' : 'not '}an OTLP export`, () => {
    assert.equal(isOtlpExport(transactionOf({ request: { method, target, contentType } })), expected);
  });
}

const calls: readonly (readonly [boolean, string])[] = [
  [true, '/opentelemetry.proto.collector.trace.v1.TraceService/Export'],
  [true, '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'],
  [true, '/opentelemetry.proto.collector.logs.v1.LogsService/Export'],
  [true, '/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export'],
  [false, '/opentelemetry.proto.collector.trace.v1.TraceService/Import'],
  [false, '/opentelemetry.proto.collector.trace.v1.TraceService'],
  [false, '/shop.opentelemetry.proto.collector.trace.v1.TraceService/Export'],
  [false, '/shop.Reports/Export'],
];

for (const [expected, target] of calls) {
  test(`a call of ${target} is ${expected ? '' : 'not '}an OTLP export, at either end, encrypted or not`, () => {
    for (const role of ['server', 'client'] as const) {
      for (const secure of [false, true]) {
        assert.equal(isOtlpExport(transactionOf(callOf({ role, secure, request: { target } }, 0))), expected);
        // It has ended otherwise than well, or its content type is not known.
        assert.equal(isOtlpExport(transactionOf(callOf({ role, status: 0, request: { target }, reset: 'CANCEL' }))), expected);
        assert.equal(isOtlpExport(transactionOf({ role, request: { method: 'POST', version: '2', target } })), expected);
      }
    }
  });
}

for (const [expected, method, target, contentType] of cases) {
  test(`over HTTP/2, ${method} ${target} of ${contentType ?? 'no type'} is ${expected ? '' : 'not '}an OTLP export`, () => {
    const request = { method, target, contentType, version: '2', scheme: 'http' };
    for (const role of ['server', 'client'] as const) assert.equal(isOtlpExport(transactionOf({ role, request })), expected);
  });
}
