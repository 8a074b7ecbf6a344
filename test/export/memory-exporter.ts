// A real exporter into memory, whose answers a test chooses, and an encoder that counts bytes.
import type { Exporter, ExportResult, Payload, RequestEncoder, Signal } from '../../receiver/export/exporter.ts';

export const accepted: ExportResult = { kind: 'accepted', rejected: 0 };
export const unavailable: ExportResult = { kind: 'retryable', message: 'unavailable' };
export const invalid: ExportResult = { kind: 'refused', message: 'invalid' };

/** So many bytes for each item. */
export class CountingEncoder implements RequestEncoder<unknown> {
  readonly #bytesPerItem: number;
  #bytes = 0;

  constructor(bytesPerItem = 1) {
    this.#bytesPerItem = bytesPerItem;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(): void {
    this.#bytes += this.#bytesPerItem;
  }

  finish(): Uint8Array {
    const request = new Uint8Array(this.#bytes);
    this.#bytes = 0;
    return request;
  }
}

export class MemoryExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal = 'traces';
  readonly attempts: Payload[] = [];
  isClosed = false;
  readonly maxPayloadBytes: number;
  readonly #answer: (payload: Payload, attempt: number) => ExportResult | Promise<ExportResult>;

  constructor(
    id: string,
    answer: (payload: Payload, attempt: number) => ExportResult | Promise<ExportResult> = () => accepted,
    maxPayloadBytes = Infinity,
  ) {
    this.id = id;
    this.#answer = answer;
    this.maxPayloadBytes = maxPayloadBytes;
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
