// Which exchanges are telemetry on its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOtlpExport } from '../../../receiver/protocols/http/otlp-export.ts';
import { transactionOf } from './transaction.ts';

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
