import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TraceJsonEncoder } from '../../receiver/export/otlp-json.ts';
import type { Span } from '../../receiver/model/span.ts';
import { clock, makeResource, makeSpan, otherTrace, payloadOf, scope, tricky } from './spans.ts';

const encode = (spans: readonly Span[], encoder = new TraceJsonEncoder(scope, clock)): string =>
  Buffer.from(payloadOf(encoder, spans).body).toString();

// Both texts are what the Collector's own marshaller (pdata v1.67.0) wrote for the same spans after reading them as protobuf.
test('a request is written as the Collector writes it', () => {
  assert.equal(
    encode([makeSpan()]),
    '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},' +
      '{"key":"process.pid","value":{"intValue":"4711"}}]},"scopeSpans":[{"scope":{"name":"usm-receiver","version":"0.1.0"},' +
      '"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":257,"name":"GET","kind":2,' +
      '"startTimeUnixNano":"1795178096790012345","endTimeUnixNano":"1795178096792512345","attributes":[' +
      '{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"url.path","value":{"stringValue":"/"}},' +
      '{"key":"http.response.status_code","value":{"intValue":"200"}}],"status":{}}],' +
      '"schemaUrl":"https://opentelemetry.io/schemas/1.40.0"}],"schemaUrl":"https://opentelemetry.io/schemas/1.40.0"}]}',
  );
});

test('a span in which everything is unusual is written as the Collector writes it', () => {
  // Text is well-formed by the time it gets here; protobuf replaces what is not, JSON would escape it.
  const attributes = tricky.attributes.map((value) => (value === 'a\ud800b' ? 'a\ufffdb' : value));
  const span = { ...tricky, attributes, resource: { serviceName: '', attributes: new Map() } };
  assert.equal(
    encode([span]),
    '{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{"name":"usm-receiver","version":"0.1.0"},"spans":[{"traceId":"ffffffffffffffffffffffffffffff0a","spanId":"a0b1c2d3e4f50617","traceState":"ot=th:8,congo=t61rcWkgMzE","parentSpanId":"53995c3f42cd8ad8","flags":771,' +
      '"name":"GET é€😀","kind":3,' +
      '"startTimeUnixNano":"1795178096789012344","endTimeUnixNano":"1795182391756308346","attributes":[{"key":"empty","value":{"stringValue":""}},' +
      '{"key":"short","value":{"stringValue":"é"}},' +
      '{"key":"long","value":{"stringValue":"' +
      'x'.repeat(200) +
      '€"}},' +
      '{"key":"surrogate","value":{"stringValue":"a�b"}},' +
      '{"key":"escapes","value":{"stringValue":"\\"\\\\\\n\\u0001/\u2028"}},' +
      '{"key":"zero","value":{"intValue":"0"}},' +
      '{"key":"negative","value":{"intValue":"-1"}},' +
      '{"key":"far.negative","value":{"intValue":"-9007199254740991"}},' +
      '{"key":"large","value":{"intValue":"9007199254740991"}},' +
      '{"key":"double","value":{"doubleValue":0.1}},' +
      '{"key":"double.large","value":{"doubleValue":1e+300}},' +
      '{"key":"true","value":{"boolValue":true}},' +
      '{"key":"false","value":{"boolValue":false}},' +
      '{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":""},{"stringValue":"ü"}]}}},' +
      '{"key":"list.empty","value":{"arrayValue":{}}},' +
      '{"key":"' +
      'k'.repeat(150) +
      '","value":{"stringValue":"long key"}}],' +
      '"status":{"code":2}}],"schemaUrl":"https://opentelemetry.io/schemas/1.40.0"}],"schemaUrl":"https://opentelemetry.io/schemas/1.40.0"}]}',
  );
});

test('a link is written between the attributes and the status', () => {
  assert.match(
    encode([makeSpan({ attributes: [], link: otherTrace })]),
    /"endTimeUnixNano":"\d+","links":\[\{"traceId":"5e5e5e5e5e5e5e5e00000000000f6180","spanId":"5e000000000f6180","flags":257\}\],"status":\{\}\}/,
  );
});

test('resources are grouped by identity, and an empty one stays an object', () => {
  const empty = { serviceName: '', attributes: new Map() };
  const text = encode([makeSpan({ name: 'a' }), makeSpan({ resource: empty }), makeSpan({ name: 'b' })]);
  const request = JSON.parse(text) as { resourceSpans: { resource: object; scopeSpans: { spans: { name: string }[] }[] }[] };
  assert.deepEqual(
    request.resourceSpans.map((group) => group.scopeSpans[0]?.spans.map((span) => span.name)),
    [['a', 'b'], ['GET']],
  );
  assert.deepEqual(request.resourceSpans[1]?.resource, {});
});

test('a resource attribute of any type is written', () => {
  const resource = makeResource('s', { flag: true, ratio: 0.5, list: ['a', 'b'], none: NaN });
  const request = JSON.parse(encode([makeSpan({ resource })])) as {
    resourceSpans: { resource: { attributes: { key: string; value: object }[] } }[];
  };
  assert.deepEqual(
    request.resourceSpans[0]?.resource.attributes.slice(1).map((attribute) => attribute.value),
    [
      { boolValue: true },
      { doubleValue: 0.5 },
      { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } },
      { doubleValue: 'NaN' },
    ],
  );
});

test('a request is its own, and an empty one is well-formed', () => {
  const encoder = new TraceJsonEncoder(scope, clock, '\n');
  const first = encode([makeSpan()], encoder);
  assert.equal(encode([], encoder), '{"resourceSpans":[]}\n');
  assert.equal(encode([makeSpan()], encoder), first);
  assert.equal(encoder.bytes, 0);
});
