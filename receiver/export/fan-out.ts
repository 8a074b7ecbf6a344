// Items → every exporter of a pipeline, and one ending per item for the ledger. Hot path: push.
import type { DecoratedExporter, ExporterCounters } from './export-lane.ts';
import { ExportLane } from './export-lane.ts';
import type { ExportLogger, ExportOutcome } from './exporter.ts';
import type { ItemsSettled } from './settlement.ts';
import { Settlement } from './settlement.ts';
import type { Timers } from './timers.ts';
import { settleWithin } from './timers.ts';

export interface ExportPathDependencies {
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly logger: ExportLogger;
  /** Hears of what an earlier run stored: it is none of what is pushed. */
  readonly recovery?: RecoveryBooks | undefined;
}

/** In items, once for each exporter that stored them. */
export interface RecoveryBooks {
  recovered(items: number): void;
  recoveredSettled(items: number, outcome: ExportOutcome): void;
}

/** Of one signal: spans one by one, or metrics in whatever pieces. */
export interface ExportPath<Item> {
  /** `items`: how many spans or data points that is. */
  push(item: Item, items?: number): void;
  /** Items that have no ending yet. */
  outstanding(): number;
  /** True: nothing should be pushed until it is false, as an exporter with `block_on_overflow` has a full queue. */
  isFull(): boolean;
  counters(): readonly ExporterCounters[];
  /** Sends what is pending. True when, within the time, as many items have ended as had been pushed. */
  flush(withinMs: number): Promise<boolean>;
  /**
   * Delivers what it can within the time, without waiting for backends that fail; the rest ends as 'stored' where there is a storage,
   * else as 'export_failed'. Nothing ends afterwards. May be called twice.
   */
  close(withinMs: number): Promise<void>;
}

/** What an exporter may take to let go of its connections or its file after the deadline. */
const CLOSE_GRACE_MS = 250;

/** `onSettled` hears of every pushed item exactly once, also of those pushed after close. */
export function createExportPath<Item>(
  exporters: readonly DecoratedExporter<Item>[],
  onSettled: ItemsSettled,
  dependencies: ExportPathDependencies,
): ExportPath<Item> {
  return new FanOut(exporters, onSettled, dependencies);
}

class FanOut<Item> implements ExportPath<Item> {
  readonly #lanes: readonly ExportLane<Item>[];
  readonly #onSettled: ItemsSettled;
  readonly #timers: Timers;
  #pushed = 0;
  #ended = 0;
  #waiters: { readonly target: number; readonly resolve: () => void }[] = [];
  #closing: Promise<void> | undefined;

  constructor(exporters: readonly DecoratedExporter<Item>[], onSettled: ItemsSettled, dependencies: ExportPathDependencies) {
    const { timers, random, logger, recovery } = dependencies;
    const settlement = new Settlement(exporters.length, (items, outcome) => {
      this.#ended += items;
      onSettled(items, outcome);
      if (this.#waiters.length > 0) this.#wake();
    });
    this.#onSettled = onSettled;
    this.#timers = timers;
    this.#lanes = exporters.map(
      (exporter) =>
        new ExportLane(exporter, timers, random, logger, (first, items, outcome) => {
          if (first !== undefined) settlement.settle(first, items, outcome);
          else if (items > 0) recovery?.recoveredSettled(items, outcome);
        }),
    );
    for (const lane of this.#lanes) if (lane.recovered > 0) recovery?.recovered(lane.recovered);
  }

  push(item: Item, items = 1): void {
    if (this.#closing !== undefined) {
      this.#onSettled(items, 'export_failed');
      return;
    }
    this.#pushed += items;
    for (const lane of this.#lanes) lane.push(item, items);
  }

  outstanding(): number {
    return this.#pushed - this.#ended;
  }

  isFull(): boolean {
    return this.#lanes.some((lane) => lane.isFull);
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

  /** True when, within the time, as many items have ended as were pushed before the call. */
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
