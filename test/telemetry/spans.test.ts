import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SdkDuplicates } from '../../receiver/attribution/correlation.ts';
import { createCorrelation } from '../../receiver/attribution/correlation.ts';
import type { ProcessImage } from '../../receiver/model/process.ts';
import type { Resource } from '../../receiver/model/resource.ts';
import type { Span } from '../../receiver/model/span.ts';
import { SpanKind } from '../../receiver/model/span.ts';
import type { TraceContext } from '../../receiver/model/trace.ts';
import type { Transaction } from '../../receiver/model/transaction.ts';
import { createSampler, type SamplingOptions } from '../../receiver/telemetry/sampling.ts';
import { createSpanContexts, type SpanEvent } from '../../receiver/telemetry/span-contexts.ts';
import type { SpanResult } from '../../receiver/telemetry/spans.ts';
import { createSpanBuilder } from '../../receiver/telemetry/spans.ts';
import { imageOf } from '../attribution/image.ts';
import { transactionOf } from '../protocols/http/transaction.ts';

const wireTrace = '0af7651916cd43dd8448eb211c80319c';
const wireSpan = 'b7ad6b7169203331';
const newTrace = 'aa'.repeat(16);
const newSpan = 'bb'.repeat(8);
const sampled = `00-${wireTrace}-${wireSpan}-01`;
const unsampled = `00-${wireTrace}-${wireSpan}-00`;

const image = imageOf();
const resource: Resource = { attributes: new Map(), serviceName: 'shop' };

interface Input {
  readonly role: Transaction['role'];
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly sdkDuplicates?: SdkDuplicates;
  readonly image?: ProcessImage | undefined;
  readonly isError?: boolean;
  readonly sampling?: Partial<SamplingOptions>;
  readonly pair?: string;
  /** What a server's thread has published. */
  readonly thread?: TraceContext;
}

function build(input: Input): { readonly result: SpanResult; readonly events: readonly SpanEvent[] } {
  const events: SpanEvent[] = [];
  const sampler = createSampler({ ratio: undefined, keepErrors: false, keepSlowerThanMs: undefined, ...input.sampling });
  const spans = createSpanBuilder({
    describe: ({ role }) => ({
      name: 'GET',
      kind: role === 'server' ? SpanKind.server : SpanKind.client,
      attributes: ['url.path', '/'],
      isError: input.isError ?? false,
    }),
    resourceOf: () => resource,
    sampler,
  });
  const spanContextOf = createSpanContexts({
    correlate: createCorrelation(input.sdkDuplicates ?? 'suppress'),
    ids: { traceId: () => newTrace, spanId: () => newSpan },
    sampler,
    isKnown: () => true,
    count: (event) => events.push(event),
  });
  const { role, traceparent, tracestate, pair = '', thread } = input;
  const transaction = transactionOf({ role, request: { traceparent, tracestate }, connection: { pair } });
  if (thread !== undefined) transaction.exchange.responseContext = { position: 0, end: 1, context: thread, record: undefined };
  const spanContext = spanContextOf(transaction.exchange);
  return { result: spans.build(transaction, 'image' in input ? input.image : image, spanContext), events };
}

function spanOf(input: Input): Span {
  const { result } = build(input);
  assert.equal(result.kind, 'span');
  return result.span;
}

const root = { traceId: newTrace, parentSpanId: '', parentIsRemote: false, traceFlags: 3, source: 'none', confidence: undefined };
const child = { traceId: wireTrace, parentSpanId: wireSpan, traceFlags: 1, source: 'traceparent', confidence: 'observed' };

describe('which trace a span joins', () => {
  const rows: readonly [title: string, Input, expected: object][] = [
    [
      'a server with a traceparent',
      { role: 'server', traceparent: sampled },
      { ...child, parentIsRemote: true, kind: SpanKind.server },
    ],
    ['a server without', { role: 'server' }, { ...root, kind: SpanKind.server }],
    ['a server with a malformed one', { role: 'server', traceparent: 'nonsense' }, { ...root, kind: SpanKind.server }],
    ['a client without', { role: 'client' }, { ...root, kind: SpanKind.client }],
    ['a client with a malformed one', { role: 'client', traceparent: sampled.toUpperCase() }, { ...root, kind: SpanKind.client }],
    [
      'an SDK client, internal',
      { role: 'client', traceparent: sampled, sdkDuplicates: 'internal' },
      { ...child, parentIsRemote: false, kind: SpanKind.internal },
    ],
    [
      'an SDK client, kept',
      { role: 'client', traceparent: sampled, sdkDuplicates: 'keep' },
      { ...child, parentIsRemote: false, kind: SpanKind.client },
    ],
  ];
  for (const [title, input, expected] of rows) {
    test(title, () => {
      const span = spanOf(input);
      const { traceId, parentSpanId, parentIsRemote, traceFlags, kind, attributes } = span;
      assert.equal(span.spanId, newSpan);
      const value = (key: string): unknown => (attributes.includes(key) ? attributes[attributes.indexOf(key) + 1] : undefined);
      assert.deepEqual(
        {
          traceId,
          parentSpanId,
          parentIsRemote,
          traceFlags,
          kind,
          source: value('usm.correlation.source'),
          confidence: value('usm.correlation.confidence'),
        },
        expected,
      );
    });
  }
});

test('a server whose thread is in another trace than the header is linked to that, and others to nothing', () => {
  const thread = { traceId: '5e'.repeat(16), spanId: '5e'.repeat(8), flags: 1, traceState: '' };
  const linkOf = (input: Partial<Input>) => spanOf({ role: 'server', ...input }).link;
  assert.deepEqual(linkOf({ traceparent: sampled, thread }), thread);
  assert.equal(linkOf({ traceparent: sampled, thread: { ...thread, traceId: wireTrace, spanId: wireSpan } }), undefined);
  assert.equal(linkOf({ traceparent: sampled }), undefined);
  assert.equal(linkOf({ thread }), undefined);
  assert.equal(linkOf({}), undefined);
});

describe('no span', () => {
  const rows: readonly [title: string, Input, reason: string][] = [
    ['a server whose caller does not sample', { role: 'server', traceparent: unsampled }, 'unsampled'],
    ['a client that does not sample', { role: 'client', traceparent: unsampled }, 'unsampled'],
    ['the same, with duplicates kept', { role: 'client', traceparent: unsampled, sdkDuplicates: 'keep' }, 'unsampled'],
    ['a client whose SDK has made one', { role: 'client', traceparent: sampled }, 'sdk_duplicate'],
    ['a trace that sampling leaves out', { role: 'server', sampling: { ratio: 0 } }, 'sampled_out'],
    ['a fast one, with slow ones kept', { role: 'client', sampling: { ratio: 0, keepSlowerThanMs: 1 } }, 'sampled_out'],
    ['a process of which nothing is known', { role: 'server', image: undefined }, 'process_unknown'],
  ];
  for (const [title, input, reason] of rows) {
    test(title, () => {
      const { result } = build(input);
      assert.equal(result.kind, 'not_exported');
      assert.equal(result.reason, reason);
      // Only the span of an SDK is exported by somebody.
      assert.equal(result.exemplar?.traceId, reason === 'sdk_duplicate' ? wireTrace : undefined);
    });
  }
});

describe('tracestate', () => {
  test('is passed on', () => {
    assert.equal(spanOf({ role: 'server', traceparent: sampled, tracestate: 'ot=th:8' }).traceState, 'ot=th:8');
  });

  test('is dropped and counted when malformed, without harm to the traceparent', () => {
    const { result, events } = build({ role: 'server', traceparent: sampled, tracestate: 'Not=Valid' });
    assert.equal(result.kind, 'span');
    assert.equal(result.span.traceState, '');
    assert.equal(result.span.traceId, wireTrace);
    assert.deepEqual(events, ['invalid_tracestate']);
  });

  test('says nothing without a traceparent', () => {
    const { result, events } = build({ role: 'server', tracestate: 'a=1' });
    assert.equal(result.kind === 'span' ? result.span.traceState : 'no span', '');
    assert.deepEqual(events, []);
  });
});

test('a malformed traceparent is counted, a good or an absent one is not', () => {
  assert.deepEqual(build({ role: 'server', traceparent: 'nonsense' }).events, ['invalid_traceparent']);
  assert.deepEqual(build({ role: 'server', traceparent: '' }).events, ['invalid_traceparent']);
  assert.deepEqual(build({ role: 'server', traceparent: sampled }).events, []);
  assert.deepEqual(build({ role: 'server' }).events, []);
});

test('a span has the times, the description and the resource of its transaction', () => {
  const span = spanOf({ role: 'server' });
  assert.equal(span.resource, resource);
  assert.equal(span.start, 1_000);
  assert.equal(span.end, 2_500);
  assert.equal(span.name, 'GET');
  assert.equal(span.isError, false);
  assert.deepEqual(span.attributes, ['url.path', '/', 'usm.correlation.source', 'none']);
});

describe('sampling', () => {
  test('says in the tracestate what a root stands for', () => {
    assert.equal(spanOf({ role: 'server', sampling: { ratio: 0.5 } }).traceState, 'ot=th:8');
  });

  test('does not concern a trace that the wire brought in', () => {
    const span = spanOf({ role: 'server', traceparent: sampled, tracestate: 'a=1', sampling: { ratio: 0 } });
    assert.equal(span.traceState, 'a=1');
  });

  test('can keep errors in full', () => {
    assert.equal(spanOf({ role: 'server', isError: true, sampling: { ratio: 0, keepErrors: true } }).traceState, 'ot=th:0');
  });
});

test('a span names its exchange as the other end does', () => {
  assert.deepEqual(spanOf({ role: 'server', pair: '0000000100000002' }).attributes.slice(-2), [
    'usm.exchange.id',
    '0000000100000002-0',
  ]);
});
