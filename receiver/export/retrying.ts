// An exporter that tries again: exponential backoff with jitter under the Collector's retry_on_failure settings. What it returns is final.
import type { Exporter, ExportResult, Payload, Signal } from './exporter.ts';
import type { Timer, Timers } from './timers.ts';

export interface RetryOptions {
  readonly enabled: boolean;
  readonly initialIntervalMs: number;
  readonly multiplier: number;
  readonly randomizationFactor: number;
  readonly maxIntervalMs: number;
  /** 0: forever. */
  readonly maxElapsedTimeMs: number;
}

/** Told about every attempt, and the wait before the next one; `undefined` when this was the last. */
export type AttemptObserver = (result: ExportResult, items: number, retryInMs: number | undefined) => void;

export class RetryingExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal;
  readonly #inner: Exporter;
  readonly #options: RetryOptions;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #onAttempt: AttemptObserver;
  /** Those that wait for their next attempt. */
  readonly #waiting = new Set<{ readonly timer: Timer; readonly wake: () => void }>();
  #isStopping = false;

  /** `random`: uniform in [0, 1). */
  constructor(inner: Exporter, options: RetryOptions, timers: Timers, random: () => number, onAttempt: AttemptObserver) {
    this.id = inner.id;
    this.signal = inner.signal;
    this.#inner = inner;
    this.#options = options;
    this.#timers = timers;
    this.#random = random;
    this.#onAttempt = onAttempt;
  }

  get maxPayloadBytes(): number {
    return this.#inner.maxPayloadBytes ?? Infinity;
  }

  async export(payload: Payload): Promise<ExportResult> {
    const startMs = this.#timers.now();
    let intervalMs = this.#options.initialIntervalMs;
    for (;;) {
      const result = await this.#inner.export(payload);
      const delayMs = this.#delay(result, intervalMs, startMs);
      this.#onAttempt(result, payload.items, delayMs);
      if (delayMs === undefined) return result;
      intervalMs = Math.min(intervalMs * this.#options.multiplier, this.#options.maxIntervalMs);
      await this.#wait(delayMs);
    }
  }

  /** From now on nobody waits: those who do try once more, at once, and every failure is final. */
  stop(): void {
    this.#isStopping = true;
    for (const { timer, wake } of this.#waiting) {
      timer.cancel();
      wake();
    }
    this.#waiting.clear();
  }

  close(): Promise<void> {
    this.stop();
    return this.#inner.close();
  }

  #delay(result: ExportResult, intervalMs: number, startMs: number): number | undefined {
    if (result.kind !== 'retryable' || !this.#options.enabled || this.#isStopping) return undefined;
    const spread = this.#options.randomizationFactor * intervalMs;
    const backoffMs = intervalMs - spread + this.#random() * 2 * spread;
    const delayMs = Math.max(backoffMs, result.retryAfterMs ?? 0);
    const limitMs = this.#options.maxElapsedTimeMs;
    const isTooLate = limitMs > 0 && this.#timers.now() + delayMs - startMs > limitMs;
    return isTooLate ? undefined : delayMs;
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = {
        timer: this.#timers.after(delayMs, () => {
          this.#waiting.delete(waiting);
          resolve();
        }),
        wake: resolve,
      };
      this.#waiting.add(waiting);
    });
  }
}
