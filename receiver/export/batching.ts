// Spans → batches, cut by size or by the age of the first span in them. Hot path: push.
import type { Batch, Span } from '../model/span.ts';
import type { Timer, Timers } from './timers.ts';

export interface BatchOptions {
  readonly flushTimeoutMs: number;
  /** Spans; reaching it cuts the batch at once. 0 and 1: every span is its own batch. */
  readonly minSize: number;
  /** Spans; never exceeded. 0: no limit. */
  readonly maxSize: number;
}

export class Batching {
  readonly #options: BatchOptions;
  readonly #timers: Timers;
  readonly #cut: (batch: Batch) => void;
  #pending: Span[] = [];
  #limit: number;
  #timer: Timer | undefined;

  constructor(options: BatchOptions, timers: Timers, cut: (batch: Batch) => void) {
    this.#options = options;
    this.#timers = timers;
    this.#cut = cut;
    this.#limit = sizeLimit(options);
  }

  get pending(): number {
    return this.#pending.length;
  }

  push(span: Span): void {
    if (this.#pending.length === 0) this.#timer = this.#timers.after(this.#options.flushTimeoutMs, () => this.flush());
    if (this.#pending.push(span) >= this.#limit) this.flush();
  }

  /** Cuts what is pending. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#pending.length === 0) return;
    const spans = this.#pending;
    this.#pending = [];
    this.#cut({ spans });
  }

  /** Keeps batches at or below this many spans from now on, within the options' own bounds. */
  limitTo(spans: number): void {
    this.#limit = Math.max(1, Math.min(sizeLimit(this.#options), spans));
  }
}

function sizeLimit(options: BatchOptions): number {
  return Math.max(1, options.maxSize > 0 ? Math.min(options.minSize, options.maxSize) : options.minSize);
}
