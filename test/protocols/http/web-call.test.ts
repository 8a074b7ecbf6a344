// Calls that are plain HTTP: they are exchanges of HTTP that also say which procedure was called.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpRequest } from '../../../receiver/model/transaction.ts';
import { createHttpDescriber } from '../../../receiver/protocols/http/describe.ts';
import { attributesOf } from './attributes.ts';
import { transactionOf } from './transaction.ts';

const describeHttp = createHttpDescriber({ knownMethods: ['GET', 'POST'], redactedQueryKeys: [] });
const target = '/greet.v1.Greeter/SayHello';

/** System and method of the call that a POST is, undefined where it says nothing of it. */
function callOf(request: Partial<HttpRequest>): readonly unknown[] {
  const attributes = attributesOf(describeHttp(transactionOf({ request: { method: 'POST', target, ...request } })));
  return [attributes['rpc.system.name'], attributes['rpc.method']];
}

test('gRPC-Web is told by its content types', () => {
  for (const contentType of [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web;charset=utf-8',
    'application/grpc-web-text',
    'application/grpc-web-text+proto',
  ]) {
    assert.deepEqual(callOf({ contentType }), ['grpc', 'greet.v1.Greeter/SayHello'], contentType);
  }
});

test('Connect is told by the content types of its streams, and by its version with any other', () => {
  const expected = ['connectrpc', 'greet.v1.Greeter/SayHello'];
  for (const contentType of ['application/connect+proto', 'application/connect+json']) {
    assert.deepEqual(callOf({ contentType }), expected, contentType);
  }
  for (const contentType of ['application/proto', 'application/json', 'application/json; charset=utf-8']) {
    assert.deepEqual(callOf({ contentType, connectVersion: '1' }), expected, contentType);
  }
});

test('what only looks like them is no call', () => {
  for (const request of [
    { contentType: undefined },
    { contentType: undefined, connectVersion: '1' },
    { contentType: 'application/json' },
    { contentType: 'application/json', connectVersion: '2' },
    { contentType: 'application/proto' },
    { contentType: 'application/grpc-webby' },
    { contentType: 'application/grpc-web-textual' },
    { contentType: 'application/connect' },
    { method: 'OPTIONS', contentType: 'application/grpc-web' },
    { method: 'GET', contentType: 'application/json', connectVersion: '1' },
  ]) {
    assert.deepEqual(callOf(request), [undefined, undefined], JSON.stringify(request));
  }
});

test('the method is the last two parts of the path, if there are two', () => {
  const contentType = 'application/grpc-web+proto';
  for (const [path, method] of [
    ['/api/v2/a.B/C?x=/y/z', 'a.B/C'],
    ['http://shop.example/a.B/C', 'a.B/C'],
    ['http://shop.example/C', undefined],
    ['/C', undefined],
    ['//C', undefined],
    ['/a.B/', undefined],
    ['/', undefined],
    ['*', undefined],
  ] as const) {
    assert.deepEqual(callOf({ contentType, target: path }), ['grpc', method], path);
  }
});

test('they are judged as HTTP, and measured as such', () => {
  const request = { method: 'POST', target, contentType: 'application/connect+proto' } as const;
  const description = describeHttp(transactionOf({ request, status: 503 }));
  assert.equal(description.name, 'POST');
  const attributes = attributesOf(description);
  assert.equal(attributes['error.type'], '503');
  assert.equal(attributes['http.response.status_code'], 503);
  assert.equal(attributes['url.path'], target);
  assert.equal(attributes['rpc.status_code'], undefined);
});
