import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { encodeKey, encodeResource } from '../../receiver/export/otlp-protobuf-envelope.ts';
import type { AttributeValue, Span } from '../../receiver/model/span.ts';
import { SpanKind } from '../../receiver/model/span.ts';
import { clock, makeResource, makeSpan, ORIGIN_UNIX_NS, otherTrace, payloadOf, scope, shop, tricky } from './spans.ts';
import type { DecodedSpan } from './wire.ts';
import { decodeTraceRequest } from './wire.ts';

const encode = (spans: readonly Span[], encoder = new TraceRequestEncoder(scope, clock)): Uint8Array =>
  payloadOf(encoder, spans).body;

/** What a decoder must see of a span. */
function expected(span: Span): DecodedSpan {
  const attributes: [string, unknown][] = [];
  for (let i = 0; i < span.attributes.length; i += 2) {
    attributes.push([span.attributes[i] as string, expectedValue(span.attributes[i + 1] as AttributeValue)]);
  }
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    traceState: span.traceState,
    parentSpanId: span.parentSpanId,
    name: span.name,
    kind: span.kind,
    startUnixNs: ORIGIN_UNIX_NS + BigInt(span.start),
    endUnixNs: ORIGIN_UNIX_NS + BigInt(span.end),
    attributes,
    links: span.link === undefined ? [] : [{ ...span.link, flags: span.link.flags | 0x100 }],
    statusCode: span.isError ? 2 : 0,
    flags: span.traceFlags | 0x100 | (span.parentIsRemote ? 0x200 : 0),
  };
}

function expectedValue(value: AttributeValue): unknown {
  if (typeof value === 'string') return value.replace(/\p{Surrogate}/gu, '\ufffd');
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  return value;
}

function decodedSpans(bytes: Uint8Array): DecodedSpan[] {
  return decodeTraceRequest(bytes).flatMap((resourceSpans) => resourceSpans.scopes.flatMap((scopeSpans) => scopeSpans.spans));
}

test('a plain span arrives with every field', () => {
  const span = makeSpan();
  assert.deepEqual(decodedSpans(encode([span])), [expected(span)]);
});

test('a span in which everything is unusual arrives with every field', () => {
  assert.deepEqual(decodedSpans(encode([tricky])), [expected(tricky)]);
});

test('a link arrives, and the span after it is whole', () => {
  const spans = [makeSpan({ link: otherTrace, isError: true }), makeSpan()];
  assert.deepEqual(decodedSpans(encode(spans)), spans.map(expected));
});

test('the bytes of a small span are those of the specification', () => {
  const span = makeSpan({
    attributes: ['a', 'b', 'n', -2],
    resource: makeResource('s'),
    parentSpanId: 'ffffffffffffffff',
    isError: true,
  });
  const bytes = encode([span], new TraceRequestEncoder({ name: 'n', version: '', schemaUrl: '' }, clock));
  const golden = [
    '0a8501', // resource_spans
    '0a150a13', // resource { attributes {
    '0a0c736572766963652e6e616d65', // key "service.name"
    '12030a0173', // value { string_value "s" } } }
    '126c', // scope_spans
    '0a030a016e', // scope { name "n" }
    '1265', // spans
    '0a104bf92f3577b34da6a3ce929d0e0e4736', // trace_id
    '120800f067aa0ba902b7', // span_id
    '2208ffffffffffffffff', // parent_span_id
    '2a03474554', // name "GET"
    '3002', // kind SERVER
    '39' + hexTime(span.start), // start_time_unix_nano
    '41' + hexTime(span.end), // end_time_unix_nano
    '4a080a016112030a0162', // attributes { key "a" value { string_value "b" } }
    '4a100a016e120b18feffffffffffffffff01', // attributes { key "n" value { int_value -2 } }
    '7a021802', // status { code ERROR }
    '850101010000', // flags 0x101
  ].join('');
  assert.equal(Buffer.from(bytes).toString('hex'), golden);
});

function hexTime(time: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(ORIGIN_UNIX_NS + BigInt(time));
  return bytes.toString('hex');
}

test('spans are grouped by the identity of their resource, in order of appearance, with scope and schema', () => {
  const other = makeResource('other');
  const spans = [
    makeSpan({ name: '1' }),
    makeSpan({ name: '2', resource: other }),
    makeSpan({ name: '3' }),
    makeSpan({ name: '4', resource: makeResource('other') }),
  ];
  const decoded = decodeTraceRequest(encode(spans));
  assert.deepEqual(
    decoded.map((group) => group.scopes.map((scopeSpans) => scopeSpans.spans.map((span) => span.name))),
    [[['1', '3']], [['2']], [['4']]],
  );
  assert.deepEqual(decoded[0]?.resource, [
    ['service.name', 'shop'],
    ['process.pid', 4711n],
  ]);
  for (const group of decoded) {
    assert.equal(group.schemaUrl, scope.schemaUrl);
    assert.deepEqual(
      group.scopes.map(({ name, version, schemaUrl }) => ({ name, version, schemaUrl })),
      [scope],
    );
  }
});

test('times are exact to the nanosecond around every 32-bit carry', () => {
  const lows = [0n, 1n, 0xffff_fffen, 0xffff_ffffn, 0x8000_0000n];
  const times = [0, 1, -1, 4_294_967_295, 4_294_967_296, 4_294_967_297, -4_294_967_296, -4_294_967_297, 9_007_199_254_740_991];
  for (const low of lows) {
    const origin = (0x18e0_0000n << 32n) | low;
    const encoder = new TraceRequestEncoder(scope, { now: () => 0, toUnixNs: (time) => origin + BigInt(time) });
    for (const start of times) {
      for (const end of times) {
        const bytes = encode([makeSpan({ start, end })], encoder);
        const [span] = decodedSpans(bytes);
        assert.equal(span?.startUnixNs, origin + BigInt(start));
        assert.equal(span.endUnixNs, origin + BigInt(end));
      }
    }
  }
});

test('a repeated attribute is repeated right wherever it stands, whatever changes around it', () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const values: readonly AttributeValue[] = [
    '',
    'GET',
    'é',
    'x'.repeat(13),
    'y'.repeat(64),
    'z'.repeat(130),
    '€'.repeat(60),
    'w'.repeat(20_000),
    200,
    -1,
    128,
    65_536,
    true,
    false,
    1.5,
    ['a'],
    ['b', 'c'],
  ];
  const names = ['a', 'http.request.method', 'server.address', 'é'];
  const resources = [shop, makeResource('one'), makeResource('two')];
  const encoder = new TraceRequestEncoder(scope, clock);
  for (let round = 0; round < 300; round++) {
    const spans = Array.from({ length: random(12) }, () => {
      const attributes: (string | AttributeValue)[] = [];
      for (let i = random(random(10) === 0 ? 90 : 8); i > 0; i--) {
        attributes.push(
          names[random(names.length)] as string,
          values[random(round % 2 === 0 ? 3 : values.length)] as AttributeValue,
        );
      }
      return makeSpan({
        attributes,
        kind: random(2) === 0 ? SpanKind.client : SpanKind.server,
        resource: resources[random(3)] as typeof shop,
      });
    });
    const grouped = [...new Set(spans.map((span) => span.resource))].flatMap((resource) =>
      spans.filter((span) => span.resource === resource),
    );
    assert.deepEqual(decodedSpans(encode(spans, encoder)), grouped.map(expected));
  }
});

test('requests of every size around the width of a length are well-formed', () => {
  const encoder = new TraceRequestEncoder(scope, clock);
  for (const count of [0, 1, 2, 20, 27, 28, 29, 30, 3000, 3600]) {
    const spans = Array.from({ length: count }, (_, index) => makeSpan({ name: `span ${index}` }));
    assert.deepEqual(
      decodedSpans(encode(spans, encoder)).map((span) => span.name),
      spans.map((span) => span.name),
    );
  }
});

test('a request is its own: the next one does not change it', () => {
  const encoder = new TraceRequestEncoder(scope, clock);
  const first = encode([makeSpan({ name: 'first' })], encoder);
  encode([makeSpan({ name: 'other' })], encoder);
  assert.equal(decodedSpans(first)[0]?.name, 'first');
});

test('the memory of a request that was given back serves the next ones, and those that were not stay as they are', () => {
  const encoder = new TraceRequestEncoder(scope, clock);
  const spans = Array.from({ length: 1000 }, (_, index) => makeSpan({ name: `${index} ${'x'.repeat(40)}` }));
  const names = (request: Uint8Array): string[] => decodedSpans(request).map((span) => span.name);
  const kept = encode(spans, encoder);
  const returned = encode(spans.toReversed(), encoder);
  encoder.release(returned);
  const next = encode(spans.slice(1), encoder);
  assert.equal(next.buffer, returned.buffer);
  assert.deepEqual(
    names(next),
    spans.slice(1).map((span) => span.name),
  );
  assert.deepEqual(
    names(kept),
    spans.map((span) => span.name),
  );
});

test('what is kept of a resource and a key is not more than its bytes', () => {
  assert.ok(encodeResource(shop).buffer.byteLength < 100);
  assert.ok(encodeKey('http.request.method').buffer.byteLength < 30);
});
