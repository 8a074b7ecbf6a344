import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isTracestate, parseTraceparent } from '../../receiver/telemetry/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

describe('a well-formed traceparent', () => {
  const rows: readonly [title: string, traceparent: string, flags: number][] = [
    ['sampled', `00-${traceId}-${spanId}-01`, 1],
    ['not sampled', `00-${traceId}-${spanId}-00`, 0],
    ['sampled and random', `00-${traceId}-${spanId}-03`, 3],
    ['with flags of the future, which are dropped', `00-${traceId}-${spanId}-fd`, 1],
    ['of a future version', `01-${traceId}-${spanId}-01`, 1],
    ['of a future version, with more', `cc-${traceId}-${spanId}-01-what-the-future-will-be-like`, 1],
    ['of a future version, with an empty more', `fe-${traceId}-${spanId}-01-`, 1],
  ];
  for (const [title, traceparent, flags] of rows) {
    test(title, () => {
      assert.deepEqual(parseTraceparent(traceparent, 'a=b'), { traceId, spanId, flags, traceState: 'a=b' });
    });
  }
});

describe('a malformed traceparent', () => {
  const rows: readonly [title: string, traceparent: string][] = [
    ['empty', ''],
    ['version ff', `ff-${traceId}-${spanId}-01`],
    ['a version that is no number', `0x-${traceId}-${spanId}-01`],
    ['a version in upper case', `CC-${traceId}-${spanId}-01`],
    ['too long for version 00', `00-${traceId}-${spanId}-01-`],
    ['longer than version 00 without a separator', `01-${traceId}-${spanId}-011`],
    ['too short', `00-${traceId}-${spanId}-0`],
    ['an all-zero trace id', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['an all-zero span id', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['a trace id in upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['a span id in upper case', `00-${traceId}-${spanId.toUpperCase()}-01`],
    ['a trace id that is no number', `00-${traceId.slice(1)}g-${spanId}-01`],
    ['a span id that is no number', `00-${traceId}-${spanId.slice(1)}.-01`],
    ['flags that are no number', `00-${traceId}-${spanId}-0x`],
    ['flags in upper case', `00-${traceId}-${spanId}-0B`],
    ['other separators', `00_${traceId}_${spanId}_01`],
    ['two in one', `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`],
    ['a blank at the start', ` 00-${traceId}-${spanId}-01`],
    ['letters beyond ASCII', `00-${traceId.slice(1)}\u0661-${spanId}-01`],
  ];
  for (const [title, traceparent] of rows) {
    test(title, () => {
      assert.equal(parseTraceparent(traceparent, ''), undefined);
    });
  }

  test('every change of one character that leaves the grammar', () => {
    const good = `00-${traceId}-${spanId}-01`;
    for (let i = 0; i < good.length; i++) {
      assert.equal(parseTraceparent(good.slice(0, i) + 'x' + good.slice(i + 1), ''), undefined, `x at ${i}`);
      assert.equal(parseTraceparent(good.slice(0, i), ''), undefined, `cut at ${i}`);
    }
  });
});

describe('tracestate', () => {
  const longest = 'k'.repeat(256) + '=' + 'v'.repeat(256);
  const valid: readonly [title: string, tracestate: string][] = [
    ['empty', ''],
    ['one member', 'rojo=00f067aa0ba902b7'],
    ['two members', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
    ['a tenant', 'fw529a3039@dt=FfffffeB'],
    ['a key that begins with a digit', '0vendor=1'],
    ['all characters of a key', 'a_-*/0=1'],
    ['blanks around members', 'a=1 ,\tb=2\t, c=3'],
    ['empty members', 'a=1,,b=2,'],
    ['a blank inside a value', 'a=1 2'],
    ['OpenTelemetry sampling', 'ot=th:8;rv:00000000000001'],
    ['the longest member', longest],
    ['32 members', Array.from({ length: 32 }, (_, i) => `k${i}=1`).join(',')],
  ];
  for (const [title, tracestate] of valid) {
    test(`${title} is valid`, () => {
      assert.equal(isTracestate(tracestate), true);
    });
  }

  const invalid: readonly [title: string, tracestate: string][] = [
    ['no value', 'a='],
    ['no key', '=1'],
    ['no equals sign', 'a'],
    ['a key in upper case', 'A=1'],
    ['a key that begins with a hyphen', '-a=1'],
    ['a blank in a key', 'a b=1'],
    ['two equals signs', 'a=1=2'],
    ['a control character', 'a=1\u0001'],
    ['a character beyond ASCII', 'a=\u00e9'],
    ['the same key twice', 'a=1,b=2,a=3'],
    ['a key too long', 'k'.repeat(257) + '=1'],
    ['a value too long', 'k=' + 'v'.repeat(257)],
    ['33 members', Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')],
    ['a flood of separators', ','.repeat(100_000)],
  ];
  for (const [title, tracestate] of invalid) {
    test(`${title} is invalid`, () => {
      assert.equal(isTracestate(tracestate), false);
    });
  }
});
