import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spanOfLabels } from '../../receiver/kernel/go-labels.ts';
import { label } from '../../receiver/kernel/layout.ts';

function spanOf(labels: Readonly<Record<string, string>>): unknown {
  const entries = Object.entries(labels);
  const bytes = Buffer.alloc(entries.length * label.sizeOf + 8);
  for (const [index, [key, value]] of entries.entries()) {
    const at = 8 + index * label.sizeOf;
    bytes[at + label.keySize] = key.length;
    bytes[at + label.valueSize] = value.length;
    bytes.write(key, at + label.key, 'latin1');
    bytes.write(value, at + label.value, 'latin1');
  }
  return spanOfLabels(bytes, 8, entries.length);
}

const traceId = '0af7651916cd43dd8448eb211c80319c';

test('the ids of otel-profiling-go are hex, the span of dd-trace-go is decimal', () => {
  assert.deepEqual(spanOf({ trace_id: traceId, span_id: 'b7ad6b7169203331', other: 'x' }), {
    traceId,
    spanId: 'b7ad6b7169203331',
  });
  assert.deepEqual(spanOf({ 'span id': '13235353014750950193', 'trace id': traceId }), { traceId, spanId: 'b7ad6b7169203331' });
  assert.deepEqual(spanOf({ 'trace id': traceId, 'span id': '255' }), { traceId, spanId: '00000000000000ff' });
});

test('what is not both ids, whole and of their form, is no span', () => {
  const table: readonly Readonly<Record<string, string>>[] = [
    {},
    { trace_id: traceId },
    { span_id: 'b7ad6b7169203331' },
    { trace_id: '0'.repeat(32), span_id: 'b7ad6b7169203331' },
    { trace_id: traceId, span_id: '0'.repeat(16) },
    { trace_id: traceId.toUpperCase(), span_id: 'b7ad6b7169203331' },
    { trace_id: traceId.slice(1), span_id: 'b7ad6b7169203331' },
    { trace_id: traceId, span_id: '13235353014750950193' },
    { 'trace id': traceId, 'span id': '0' },
    { 'trace id': traceId, 'span id': '18446744073709551616' },
    { 'trace id': traceId, 'span id': 'b7ad6b7169203331' },
    { 'trace id': traceId, 'span id': '-1' },
  ];
  for (const labels of table) assert.equal(spanOf(labels), undefined, JSON.stringify(labels));
});

test('a size that is larger than its field is not believed', () => {
  const bytes = Buffer.alloc(label.sizeOf, 0x61);
  bytes[label.keySize] = 200;
  bytes[label.valueSize] = 200;
  assert.equal(spanOfLabels(bytes, 0, 1), undefined);
});
