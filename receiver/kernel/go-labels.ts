// Labels of a goroutine → the ids of the span that a tracer put there. Nobody has standardised them: these are otel-profiling-go's (both hex) and
// dd-trace-go's (the span's decimal). A trace id and a span id are both needed.
import { label } from './layout.ts';

export interface LabelledSpan {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
}

/** `count` labels at `at`, all of them within the buffer. */
export function spanOfLabels(bytes: Buffer, at: number, count: number): LabelledSpan | undefined {
  let traceId: string | undefined;
  let spanId: string | undefined;
  for (let i = 0; i < count; i++) {
    const from = at + i * label.sizeOf;
    const value = textOf(bytes, from + label.value, bytes[from + label.valueSize] ?? 0, label.sizeOf - label.value);
    switch (textOf(bytes, from + label.key, bytes[from + label.keySize] ?? 0, label.value - label.key)) {
      case 'trace_id':
      case 'trace id':
        traceId = idOf(value, 32);
        break;
      case 'span_id':
        spanId = idOf(value, 16);
        break;
      case 'span id':
        spanId = decimalIdOf(value);
    }
  }
  return traceId !== undefined && spanId !== undefined ? { traceId, spanId } : undefined;
}

function textOf(bytes: Buffer, from: number, size: number, limit: number): string {
  return size <= limit ? bytes.toString('latin1', from, from + size) : '';
}

function decimalIdOf(text: string): string | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  return idOf(BigInt(text).toString(16).padStart(16, '0'), 16);
}

function idOf(text: string, size: number): string | undefined {
  return text.length === size && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text) ? text : undefined;
}
