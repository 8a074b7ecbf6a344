// A real exporter into memory, whose answers a test chooses.
import type { Exporter, ExportResult, Payload, Signal } from '../../receiver/export/exporter.ts';
import type { Batch } from '../../receiver/model/span.ts';

export const accepted: ExportResult = { kind: 'accepted', rejected: 0 };
export const unavailable: ExportResult = { kind: 'retryable', message: 'unavailable' };
export const invalid: ExportResult = { kind: 'refused', message: 'invalid' };

export class MemoryExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal = 'traces';
  readonly attempts: Payload[] = [];
  readonly batches: Batch[] = [];
  isClosed = false;
  readonly maxPayloadBytes: number;
  readonly #answer: (payload: Payload, attempt: number) => ExportResult | Promise<ExportResult>;
  readonly #bytesPerSpan: number;

  constructor(
    id: string,
    answer: (payload: Payload, attempt: number) => ExportResult | Promise<ExportResult> = () => accepted,
    limits: { readonly maxPayloadBytes: number; readonly bytesPerSpan: number } = { maxPayloadBytes: Infinity, bytesPerSpan: 1 },
  ) {
    this.id = id;
    this.#answer = answer;
    this.maxPayloadBytes = limits.maxPayloadBytes;
    this.#bytesPerSpan = limits.bytesPerSpan;
  }

  encode(batch: Batch): Payload {
    this.batches.push(batch);
    return { items: batch.spans.length, body: new Uint8Array(batch.spans.length * this.#bytesPerSpan) };
  }

  async export(payload: Payload): Promise<ExportResult> {
    this.attempts.push(payload);
    return this.#answer(payload, this.attempts.length);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** A promise that a test resolves. */
export function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settlePromise) => {
    resolve = settlePromise;
  });
  return { promise, resolve };
}
