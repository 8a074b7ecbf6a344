// One exporter with everything in front of it: items → payloads → queue → attempts. Says how each item ended, in ranges of the
// numbers that items have in the order of pushing. Hot path: push.
import type { BatchOptions } from './batching.ts';
import { Batching } from './batching.ts';
import { DeliveryLog } from './delivery-log.ts';
import type { Exporter, ExportLogger, ExportOutcome, Payload, RequestEncoder, Signal } from './exporter.ts';
import type { RetryOptions } from './retrying.ts';
import { RetryingExporter } from './retrying.ts';
import type { Ending, QueuedPayload, QueueOptions } from './sending-queue.ts';
import { SendingQueue } from './sending-queue.ts';
import type { PayloadStore } from './storage/file-storage.ts';
import type { Timers } from './timers.ts';

/** An exporter, how it is to be fed, and what with. */
export interface DecoratedExporter<Item> {
  readonly encoder: RequestEncoder<Item>;
  readonly exporter: Exporter;
  readonly sendingQueue: QueueOptions & { readonly batch: BatchOptions };
  readonly retryOnFailure: RetryOptions;
  /** Absent: the queue is in memory. */
  readonly store?: PayloadStore | undefined;
}

/** In items (spans, or metric data points), since start. */
export interface ExporterCounters {
  readonly id: string;
  readonly signal: Signal;
  readonly accepted: number;
  /** By the backend: in a partial success, or with a final error. */
  readonly rejected: number;
  /** Given up: no more retries, or the receiver stopped. */
  readonly failed: number;
  readonly queueFull: number;
  /** Left on disk at the end, for the next run. */
  readonly stored: number;
  /** Could not be written to the storage, or read back. */
  readonly storageFailed: number;
  /** Found in the storage at start. */
  readonly recovered: number;
  /** In the sizer's units, with the capacity. */
  readonly queueSize: number;
  readonly queueCapacity: number;
}

/** For exporters without a queue of their own in the configuration: bounded, in order, one at a time, no retries. */
export function directDelivery(flushTimeoutMs: number): Pick<DecoratedExporter<unknown>, 'sendingQueue' | 'retryOnFailure'> {
  return {
    sendingQueue: {
      enabled: true,
      numConsumers: 1,
      queueSize: DIRECT_QUEUE_ITEMS,
      sizer: 'items',
      batch: { flushTimeoutMs, minSize: DIRECT_BATCH_ITEMS, maxSize: DIRECT_BATCH_ITEMS },
    },
    retryOnFailure: {
      enabled: false,
      initialIntervalMs: 0,
      multiplier: 1,
      randomizationFactor: 0,
      maxIntervalMs: 0,
      maxElapsedTimeMs: 0,
    },
  };
}

/** `firstItem` undefined: items of an earlier run, which the storage had kept. */
export type RangeSettled = (firstItem: number | undefined, items: number, outcome: ExportOutcome) => void;

const DIRECT_QUEUE_ITEMS = 65_536;
const DIRECT_BATCH_ITEMS = 4096;

export class ExportLane<Item> {
  readonly #exporter: RetryingExporter;
  readonly #batching: Batching<Item>;
  readonly #queue: SendingQueue;
  readonly #log: DeliveryLog;
  readonly #store: PayloadStore | undefined;
  readonly #onSettled: RangeSettled;
  #isStopping = false;
  #cut = 0;
  #accepted = 0;
  #rejected = 0;
  #failed = 0;
  #queueFull = 0;
  #stored = 0;
  #storageFailed = 0;
  #recovered = 0;

  constructor(
    decorated: DecoratedExporter<Item>,
    timers: Timers,
    random: () => number,
    logger: ExportLogger,
    onSettled: RangeSettled,
  ) {
    const { exporter, encoder, sendingQueue, retryOnFailure, store } = decorated;
    this.#onSettled = onSettled;
    this.#log = new DeliveryLog(exporter.id, exporter.signal, logger);
    this.#exporter = new RetryingExporter(exporter, retryOnFailure, timers, random, (result, items, retryInMs) => {
      // What is stored is not lost by the last attempt before the end.
      const isLast = retryInMs === undefined && result.kind === 'retryable';
      if (!(isLast && this.#isStopping && store !== undefined)) this.#log.attempt(result, items, retryInMs);
    });
    this.#store = store;
    for (const { items } of store?.recovered ?? []) this.#recovered += items;
    if (this.#recovered > 0) this.#log.recovered(this.#recovered);
    this.#queue = new SendingQueue(
      this.#exporter,
      sendingQueue,
      (entry, ending, body) => {
        this.#settle(entry, ending);
        // Only a backend that has it all says so; a failed attempt may still be on its way.
        if (ending.kind === 'accepted' && body !== undefined) encoder.release?.(body);
      },
      store,
      (failure) => this.#log.written(failure),
    );
    // A payload that the whole queue could not hold would never be sent.
    const queueBytes = sendingQueue.enabled && sendingQueue.sizer === 'bytes' ? sendingQueue.queueSize : Infinity;
    const maxPayloadBytes = Math.min(this.#exporter.maxPayloadBytes, queueBytes);
    this.#batching = new Batching(encoder, withinQueue(sendingQueue), maxPayloadBytes, timers, (payload) => this.#offer(payload));
  }

  /** `items`: how many the item counts as. */
  push(item: Item, items: number): void {
    this.#batching.push(item, items);
  }

  flush(): void {
    this.#batching.flush();
  }

  /** In items: found in the storage at start. */
  get recovered(): number {
    return this.#recovered;
  }

  /** True: nothing should be pushed now, see `block_on_overflow`. */
  get isFull(): boolean {
    return this.#queue.isFull;
  }

  /** Sends what is pending and waits no more between attempts. */
  stop(): void {
    this.#isStopping = true;
    this.#queue.stop();
    this.#batching.flush();
    this.#exporter.stop();
  }

  /** Settles what is left: as stored, or as failed. */
  abandon(): void {
    this.#batching.flush();
    this.#queue.abandon();
    if (this.#stored > 0) this.#log.stored(this.#stored);
  }

  async close(): Promise<void> {
    await Promise.all([this.#exporter.close(), this.#store?.close()]);
  }

  counters(): ExporterCounters {
    return {
      id: this.#exporter.id,
      signal: this.#exporter.signal,
      accepted: this.#accepted,
      rejected: this.#rejected,
      failed: this.#failed,
      queueFull: this.#queueFull,
      stored: this.#stored,
      storageFailed: this.#storageFailed,
      recovered: this.#recovered,
      queueSize: this.#queue.size,
      queueCapacity: this.#queue.capacity,
    };
  }

  #offer(payload: Payload): void {
    const { items } = payload;
    const firstItem = this.#cut;
    this.#cut += items;
    if (this.#queue.offer(payload, firstItem)) return;
    this.#queueFull += items;
    this.#log.queueFull(items);
    this.#onSettled(firstItem, items, 'queue_full');
  }

  #settle({ firstItem, items }: QueuedPayload, ending: Ending): void {
    if (this.#queue.size * 2 <= this.#queue.capacity) this.#log.queueHasRoom();
    switch (ending.kind) {
      case 'accepted': {
        // Which ones the backend rejected it does not say; the ledger counts.
        const accepted = items - ending.rejected;
        this.#accepted += accepted;
        this.#rejected += ending.rejected;
        this.#onSettled(firstItem, accepted, 'exported');
        this.#onSettled(firstItem === undefined ? undefined : firstItem + accepted, ending.rejected, 'export_rejected');
        return;
      }
      case 'refused':
        this.#rejected += items;
        this.#onSettled(firstItem, items, 'export_rejected');
        return;
      case 'retryable':
      case 'abandoned':
        this.#failed += items;
        this.#onSettled(firstItem, items, 'export_failed');
        return;
      case 'stored':
        this.#stored += items;
        this.#onSettled(firstItem, items, 'stored');
        return;
      case 'not_stored':
      case 'unreadable':
        this.#storageFailed += items;
        if (ending.kind === 'unreadable') this.#log.unreadable(items, ending.message);
        else this.#log.notStored(items);
        this.#onSettled(firstItem, items, ending.kind === 'not_stored' ? 'storage_failed' : 'storage_unreadable');
        return;
    }
  }
}

/** A batch that the whole queue could not hold would never be sent. */
function withinQueue(queue: DecoratedExporter<unknown>['sendingQueue']): BatchOptions {
  const { batch, enabled, sizer, queueSize } = queue;
  if (!enabled || sizer !== 'items' || batch.sizer === 'bytes') return batch;
  return { ...batch, maxSize: batch.maxSize > 0 ? Math.min(batch.maxSize, queueSize) : queueSize };
}
