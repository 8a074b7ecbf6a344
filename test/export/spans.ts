// Spans and a clock for the tests of this folder.
import type { InstrumentationScope, Payload, RequestEncoder, UnixTime } from '../../receiver/export/exporter.ts';
import type { Resource } from '../../receiver/model/resource.ts';
import type { AttributeValue, Span } from '../../receiver/model/span.ts';
import { SpanKind } from '../../receiver/model/span.ts';

export const scope: InstrumentationScope = {
  name: 'usm-receiver',
  version: '0.1.0',
  schemaUrl: 'https://opentelemetry.io/schemas/1.40.0',
};

/** 2026-11-20 12:34:56.789012345 UTC at pipeline time 0. */
export const ORIGIN_UNIX_NS = 1_795_178_096_789_012_345n;

export const clock: UnixTime = { now: () => 0, toUnixNs: (time) => ORIGIN_UNIX_NS + BigInt(Math.round(time)) };

export function makeResource(serviceName: string, extra: Readonly<Record<string, AttributeValue>> = {}): Resource {
  return { serviceName, attributes: new Map<string, AttributeValue>([['service.name', serviceName], ...Object.entries(extra)]) };
}

export const shop = makeResource('shop', { 'process.pid': 4711 });

export function makeSpan(fields: Partial<Span> = {}): Span {
  return {
    resource: shop,
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: '00f067aa0ba902b7',
    parentSpanId: '',
    parentIsRemote: false,
    traceFlags: 1,
    traceState: '',
    kind: SpanKind.server,
    name: 'GET',
    start: 1_000_000,
    end: 3_500_000,
    attributes: ['http.request.method', 'GET', 'url.path', '/', 'http.response.status_code', 200],
    link: undefined,
    isError: false,
    ...fields,
  };
}

/** What a span may be linked to. */
export const otherTrace = { traceId: '5e5e5e5e5e5e5e5e00000000000f6180', spanId: '5e000000000f6180', flags: 1 };

/** A span in which everything is unusual. */
export const tricky: Span = makeSpan({
  traceId: 'ffffffffffffffffffffffffffffff0a',
  spanId: 'a0b1c2d3e4f50617',
  parentSpanId: '53995c3f42cd8ad8',
  parentIsRemote: true,
  traceFlags: 3,
  traceState: 'ot=th:8,congo=t61rcWkgMzE',
  kind: SpanKind.client,
  name: 'GET é€😀',
  start: -1,
  end: 4_294_967_296 * 1000 + 1,
  attributes: [
    'empty',
    '',
    'short',
    'é',
    'long',
    `${'x'.repeat(200)}€`,
    'surrogate',
    'a\ud800b',
    'escapes',
    '"\\\n\u0001/\u2028',
    'zero',
    0,
    'negative',
    -1,
    'far.negative',
    -9_007_199_254_740_991,
    'large',
    9_007_199_254_740_991,
    'double',
    0.1,
    'double.large',
    1e300,
    'true',
    true,
    'false',
    false,
    'list',
    ['a', '', 'ü'],
    'list.empty',
    [],
    'k'.repeat(150),
    'long key',
  ],
  isError: true,
});

/** One request of these spans, as a cut makes it. */
export function payloadOf(encoder: RequestEncoder<Span>, spans: readonly Span[]): Payload {
  for (const span of spans) encoder.add(span);
  return { items: spans.length, body: encoder.finish() };
}
