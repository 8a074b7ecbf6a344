// Spans → every exporter of the pipeline, and one ending per span for the ledger. Hot path: push.
import type { Span } from '../model/span.ts';
import type { DecoratedExporter, ExporterCounters } from './export-lane.ts';
import { ExportLane } from './export-lane.ts';
import type { ExportLogger } from './exporter.ts';
import type { SpansSettled } from './settlement.ts';
import { Settlement } from './settlement.ts';
import type { Timers } from './timers.ts';
import { settleWithin } from './timers.ts';

export interface ExportPathDependencies {
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly logger: ExportLogger;
}

export interface ExportPath {
  push(span: Span): void;
  /** Spans that have no ending yet. */
  outstanding(): number;
  counters(): readonly ExporterCounters[];
  /** Sends what is pending. True when, within the time, as many spans have ended as had been pushed. */
  flush(withinMs: number): Promise<boolean>;
  /**
   * Delivers what it can within the time, without waiting for backends that fail; the rest ends as 'export_failed'. Nothing ends
   * afterwards. May be called twice.
   */
  close(withinMs: number): Promise<void>;
}

/** What an exporter may take to let go of its connections or its file after the deadline. */
const CLOSE_GRACE_MS = 250;

/** `onSettled` hears of every pushed span exactly once, also of those pushed after close. */
export function createExportPath(
  exporters: readonly DecoratedExporter[],
  onSettled: SpansSettled,
  dependencies: ExportPathDependencies,
): ExportPath {
  return new FanOut(exporters, onSettled, dependencies);
}

class FanOut implements ExportPath {
  readonly #lanes: readonly ExportLane[];
  readonly #onSettled: SpansSettled;
  readonly #timers: Timers;
  #pushed = 0;
  #ended = 0;
  #waiters: { readonly target: number; readonly resolve: () => void }[] = [];
  #closing: Promise<void> | undefined;

  constructor(exporters: readonly DecoratedExporter[], onSettled: SpansSettled, dependencies: ExportPathDependencies) {
    const { timers, random, logger } = dependencies;
    const settlement = new Settlement(exporters.length, (spans, outcome) => {
      this.#ended += spans;
      onSettled(spans, outcome);
      if (this.#waiters.length > 0) this.#wake();
    });
    this.#onSettled = onSettled;
    this.#timers = timers;
    this.#lanes = exporters.map(
      (exporter) =>
        new ExportLane(exporter, timers, random, logger, (first, spans, outcome) => settlement.settle(first, spans, outcome)),
    );
  }

  push(span: Span): void {
    if (this.#closing !== undefined) {
      this.#onSettled(1, 'export_failed');
      return;
    }
    this.#pushed++;
    for (const lane of this.#lanes) lane.push(span);
  }

  outstanding(): number {
    return this.#pushed - this.#ended;
  }

  counters(): readonly ExporterCounters[] {
    return this.#lanes.map((lane) => lane.counters());
  }

  async flush(withinMs: number): Promise<boolean> {
    for (const lane of this.#lanes) lane.flush();
    return this.#allEnded(withinMs);
  }

  close(withinMs: number): Promise<void> {
    this.#closing ??= this.#close(withinMs);
    return this.#closing;
  }

  async #close(withinMs: number): Promise<void> {
    for (const lane of this.#lanes) lane.stop();
    await this.#allEnded(withinMs);
    for (const lane of this.#lanes) lane.abandon();
    await settleWithin(this.#timers, CLOSE_GRACE_MS, Promise.allSettled(this.#lanes.map((lane) => lane.close())));
  }

  /** True when, within the time, as many spans have ended as were pushed before the call. */
  async #allEnded(withinMs: number): Promise<boolean> {
    const target = this.#pushed;
    if (this.#ended >= target) return true;
    const ended = new Promise<true>((resolve) => {
      this.#waiters.push({ target, resolve: () => resolve(true) });
    });
    return (await settleWithin(this.#timers, withinMs, ended)) === true;
  }

  #wake(): void {
    const ready = this.#waiters.filter((waiter) => waiter.target <= this.#ended);
    this.#waiters = this.#waiters.filter((waiter) => waiter.target > this.#ended);
    for (const waiter of ready) waiter.resolve();
  }
}
