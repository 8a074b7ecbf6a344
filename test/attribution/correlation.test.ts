// Every row of the table in docs/telemetry.md.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCorrelation, type SdkDuplicates } from '../../receiver/attribution/correlation.ts';
import { SpanKind } from '../../receiver/model/span.ts';
import type { Correlation, CorrelationRule, Evidence, TraceContext } from '../../receiver/model/trace.ts';
import { TraceFlag } from '../../receiver/model/trace.ts';

function context(trace: string, span: string, flags: number = TraceFlag.sampled): TraceContext {
  return { traceId: trace.repeat(16), spanId: span.repeat(8), flags, traceState: '' };
}

const nothing: Evidence = { wire: undefined, thread: undefined, otherEnd: undefined, passedOn: undefined, serving: undefined };
const wire = context('aa', '01');
const unsampledWire = context('aa', '01', 0);
const sameTrace = context('aa', '02');
const sameSpan = context('aa', '01');
const otherTrace = context('bb', '03');
const ours = context('cc', '04');
const passing = context('aa', '05');

type Role = 'server' | 'client';

function correlate(role: Role, evidence: Partial<Evidence>, sdkDuplicates: SdkDuplicates = 'suppress'): Correlation {
  return createCorrelation(sdkDuplicates)(role, { ...nothing, ...evidence });
}

/** What tells the rows apart, as one line. */
function summary(correlation: Correlation): string {
  const names = new Map([
    [wire.spanId, 'wire'],
    [sameTrace.spanId, 'same trace'],
    [otherTrace.spanId, 'other trace'],
    [ours.spanId, 'ours'],
    [passing.spanId, 'passing'],
  ]);
  const name = (of: TraceContext | undefined): string => (of === undefined ? '-' : (names.get(of.spanId) ?? '?'));
  switch (correlation.kind) {
    case 'root':
      return 'root';
    case 'no_span':
      return `no span: ${correlation.reason}, exemplar ${name(correlation.exemplar)}`;
    case 'child': {
      const kind = Object.entries(SpanKind).find(([, value]) => value === correlation.spanKind)?.[0];
      const remote = correlation.parentIsRemote ? 'remote ' : '';
      const link = correlation.link === undefined ? '' : `, link ${name(correlation.link)}`;
      return `${kind} under ${remote}${name(correlation.parent)}, ${correlation.source} ${correlation.confidence}${link}`;
    }
  }
}

const rows: readonly [role: Role, evidence: Partial<Evidence>, rule: CorrelationRule, result: string][] = [
  ['server', { wire, thread: sameTrace }, 'server_sdk', 'no span: sdk_duplicate, exemplar same trace'],
  ['server', { wire, thread: sameSpan }, 'server_confirmed', 'server under remote wire, traceparent confirmed'],
  ['server', { wire }, 'server_traceparent', 'server under remote wire, traceparent observed'],
  ['server', { wire, otherEnd: ours }, 'server_traceparent', 'server under remote wire, traceparent observed'],
  ['server', { wire, otherEnd: passing }, 'server_other_end', 'server under remote passing, exchange confirmed'],
  [
    'server',
    { wire, thread: sameSpan, otherEnd: passing },
    'server_other_end',
    'server under remote passing, exchange confirmed',
  ],
  ['server', { wire, thread: sameTrace, otherEnd: passing }, 'server_sdk', 'no span: sdk_duplicate, exemplar same trace'],
  [
    'server',
    { wire, thread: otherTrace },
    'server_contradicted',
    'server under remote wire, traceparent observed, link other trace',
  ],
  ['server', { thread: otherTrace }, 'server_thread_context', 'server under other trace, thread_context observed'],
  [
    'server',
    { thread: otherTrace, otherEnd: ours },
    'server_thread_context',
    'server under other trace, thread_context observed',
  ],
  ['server', { otherEnd: ours }, 'server_other_end', 'server under remote ours, exchange observed'],
  ['server', {}, 'server_root', 'root'],
  ['client', { wire, thread: sameTrace }, 'client_sdk', 'no span: sdk_duplicate, exemplar wire'],
  ['client', { wire, thread: otherTrace }, 'client_contradicted', 'no span: sdk_duplicate, exemplar wire'],
  ['client', { wire, thread: sameTrace, passedOn: ours }, 'client_sdk', 'no span: sdk_duplicate, exemplar wire'],
  ['client', { wire, passedOn: ours }, 'client_passed_on', 'client under ours, traceparent inferred'],
  ['client', { wire }, 'client_traceparent', 'no span: sdk_duplicate, exemplar wire'],
  ['client', { wire, serving: ours }, 'client_traceparent', 'no span: sdk_duplicate, exemplar wire'],
  ['client', { thread: otherTrace }, 'client_thread_context', 'client under other trace, thread_context observed'],
  ['client', { thread: otherTrace, serving: ours }, 'client_thread_context', 'client under other trace, thread_context observed'],
  ['client', { serving: ours }, 'client_serving', 'client under ours, thread inferred'],
  ['client', {}, 'client_root', 'root'],
];

describe('which trace a transaction joins', () => {
  for (const [role, evidence, rule, result] of rows) {
    test(`${role} with ${Object.keys(evidence).join(' and ') || 'nothing'}: ${rule}`, () => {
      const correlation = correlate(role, evidence);
      assert.equal(correlation.rule, rule);
      assert.equal(summary(correlation), result);
    });
  }

  test('an unsampled traceparent makes no span, whatever else is known', () => {
    for (const role of ['server', 'client'] as const) {
      for (const thread of [undefined, sameTrace, otherTrace]) {
        for (const ourSpan of [undefined, ours]) {
          const evidence = { wire: unsampledWire, thread, otherEnd: ourSpan, passedOn: ourSpan, serving: ourSpan };
          for (const sdkDuplicates of ['suppress', 'internal', 'keep'] as const) {
            assert.equal(summary(correlate(role, evidence, sdkDuplicates)), 'no span: unsampled, exemplar -');
          }
        }
      }
    }
  });

  test('flags of 0 in a thread context do not mean unsampled', () => {
    const thread = context('bb', '03', 0);
    assert.equal(correlate('server', { thread }).kind, 'child');
    assert.equal(correlate('client', { thread }).kind, 'child');
  });
});

describe('what an SDK has made already', () => {
  const cases: readonly [Role, Partial<Evidence>, internal: string, keep: string][] = [
    [
      'server',
      { wire, thread: sameTrace },
      'internal under same trace, thread_context observed',
      'server under remote wire, traceparent observed',
    ],
    ['client', { wire }, 'internal under wire, traceparent observed', 'client under wire, traceparent observed'],
    [
      'client',
      { wire, thread: sameTrace },
      'internal under wire, traceparent observed',
      'client under wire, traceparent observed',
    ],
    [
      'client',
      { wire, thread: otherTrace },
      'internal under wire, traceparent observed',
      'client under wire, traceparent observed',
    ],
  ];
  for (const [role, evidence, internal, keep] of cases) {
    test(`${role} with ${Object.keys(evidence).join(' and ')}, by correlation.sdk_duplicates`, () => {
      assert.equal(summary(correlate(role, evidence, 'internal')), internal);
      assert.equal(summary(correlate(role, evidence, 'keep')), keep);
    });
  }
});
