// What the benchmark of overload finds wrong, and that it does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { type Span, SpanKind } from '../../receiver/model/span.ts';
import { clock, makeResource, makeSpan, payloadOf, scope } from '../export/spans.ts';
import { numberedAnswer, numberedFolder } from './support/numbered-answers.ts';
import { SpanCheck, type SpanCheckResult } from './support/span-check.ts';

const nginx = makeResource('nginx');
const load = makeResource('fixed-rate');
const trace = 'a'.repeat(32);

function attributesOf(number: number, answeredAs: number, url: 'url.path' | 'url.full'): Span['attributes'] {
  const { status, size } = numberedAnswer(answeredAs);
  const path = `${numberedFolder(number)}${number}`;
  return [
    ...['http.request.method', 'GET', url, url === 'url.path' ? path : `http://127.0.0.1:80${path}`],
    ...['http.response.status_code', status, 'http.response.body.size', size],
  ];
}

const idOf = (number: number, kind: SpanKind): string => (number * 4 + kind + 1).toString(16).padStart(16, '0');

function serverSpan(number: number, extra: Partial<Span> = {}, answeredAs = number): Span {
  return makeSpan({
    resource: nginx,
    traceId: trace,
    spanId: idOf(number, SpanKind.server),
    parentSpanId: idOf(number, SpanKind.client),
    attributes: attributesOf(number, answeredAs, 'url.path'),
    ...extra,
  });
}

function clientSpan(number: number, extra: Partial<Span> = {}, answeredAs = number): Span {
  const attributes = attributesOf(number, answeredAs, 'url.full');
  const spanId = idOf(number, SpanKind.client);
  return makeSpan({ resource: load, traceId: trace, spanId, kind: SpanKind.client, attributes, ...extra });
}

function check(...spans: readonly Span[]): SpanCheckResult {
  const checked = new SpanCheck(1000);
  checked.take(Buffer.from(payloadOf(new TraceRequestEncoder(scope, clock), spans).body));
  return checked.result();
}

test('both ends of every exchange are right', () => {
  const all = Array.from({ length: 300 }, (_, number) => [serverSpan(number), clientSpan(number)]).flat();
  assert.deepEqual(check(...all), { spans: 600, wrong: 0, repeated: 0, examples: [], pairs: 300, unjoined: 0 });
});

test('an end that is missing is nothing wrong, and neither is one that was not joined, which is counted', () => {
  assert.deepEqual(check(serverSpan(1), clientSpan(2)), { spans: 2, wrong: 0, repeated: 0, examples: [], pairs: 0, unjoined: 0 });
  assert.equal(check(serverSpan(1, { parentSpanId: '' }), clientSpan(1)).unjoined, 1);
});

test('a span that came before is counted', () => {
  assert.deepEqual(check(serverSpan(1), serverSpan(1)), {
    ...{ spans: 2, wrong: 0, repeated: 1, examples: [] },
    ...{ pairs: 0, unjoined: 0 },
  });
});

const wrongs: readonly (readonly [string, readonly Span[], RegExp])[] = [
  ['the answer to another request, with another status', [serverSpan(17, {}, 27)], /status 202 .* instead of 201/],
  ['the answer to another request, with another size', [clientSpan(17, {}, 18)], /168 bytes instead of 167/],
  ['no answer', [clientSpan(17, { attributes: attributesOf(17, 17, 'url.full').slice(0, 4) })], /status undefined/],
  ['two spans of one end', [clientSpan(17), clientSpan(17, { spanId: 'f'.repeat(16) })], /another one came before/],
  ['the program of the other end', [serverSpan(17, { resource: load })], /told by fixed-rate/],
  ['a request that nobody made', [serverSpan(1000)], /no such request/],
  ['a path that nobody asked for', [serverSpan(17, { attributes: ['url.path', '/18/17'] })], /no such request/],
  [
    'the parent of another exchange',
    [serverSpan(17, { parentSpanId: idOf(18, SpanKind.client) }), clientSpan(17)],
    /another client/,
  ],
  ['another trace', [serverSpan(17, { traceId: 'b'.repeat(32) }), clientSpan(17)], /another trace/],
];

for (const [name, spans, expected] of wrongs) {
  test(`wrong: ${name}`, () => {
    const { wrong, examples } = check(...spans);
    assert.equal(wrong, 1);
    assert.match(examples[0] ?? '', expected);
  });
}
