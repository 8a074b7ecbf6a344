// What one exporter's attempts look like → log records, at changes of state only: the first failure, the first loss, the recovery.
import type { ExportLogger, ExportResult, Signal } from './exporter.ts';

/** So many in a row before the storage counts as working again: on a nearly full disk, some batches fit and some do not. */
const WRITES_UNTIL_WORKING = 16;
/** Unreadable payloads that are logged one by one. */
const MAX_UNREADABLE_RECORDS = 10;

type State = 'delivering' | 'retrying' | 'dropping';

export class DeliveryLog {
  readonly #id: string;
  readonly #signal: Signal;
  readonly #logger: ExportLogger;
  #state: State = 'delivering';
  #isQueueFull = false;
  #isRejecting = false;
  /** Items lost since the state was last 'delivering'. */
  #dropped = 0;
  #isStorageFailing = false;
  #writesInARow = 0;
  /** Items lost since the storage failed. */
  #notStored = 0;
  #unreadable = 0;

  constructor(id: string, signal: Signal, logger: ExportLogger) {
    this.#id = id;
    this.#signal = signal;
    this.#logger = logger;
  }

  /** One attempt with that many items; `retryInMs` undefined: there will be no other. */
  attempt(result: ExportResult, items: number, retryInMs: number | undefined): void {
    if (result.kind === 'accepted') {
      this.#accepted(result);
      return;
    }
    if (retryInMs !== undefined) {
      if (this.#state !== 'delivering') return;
      this.#state = 'retrying';
      const interval = `${(retryInMs / 1000).toFixed(1)}s`;
      this.#logger.warn('Exporting failed. Will retry the request after interval.', {
        exporter: this.#id,
        signal: this.#signal,
        error: result.message,
        interval,
      });
      return;
    }
    this.#dropped += items;
    if (this.#state === 'dropping') return;
    this.#state = 'dropping';
    this.#logger.error('Exporting failed. Dropping data.', {
      exporter: this.#id,
      signal: this.#signal,
      error: result.message,
      dropped_items: items,
    });
  }

  queueFull(items: number): void {
    this.#dropped += items;
    if (this.#isQueueFull) return;
    this.#isQueueFull = true;
    this.#logger.error('Sending queue is full. Dropping data.', {
      exporter: this.#id,
      signal: this.#signal,
      dropped_items: items,
    });
  }

  /** Called when the queue is at most half full again, so that a queue at its brim does not fill the log. */
  queueHasRoom(): void {
    if (!this.#isQueueFull) return;
    this.#isQueueFull = false;
    this.#recovered();
  }

  /** Items of an earlier run were found in the storage. */
  recovered(items: number): void {
    this.#logger.info('Found stored data, which will be sent.', { exporter: this.#id, signal: this.#signal, items });
  }

  /** At the end: items that are left in the storage. */
  stored(items: number): void {
    this.#logger.warn('Data is left in the storage, for the next start.', { exporter: this.#id, signal: this.#signal, items });
  }

  /** One payload was written into the storage, or could not be. */
  written(failure: string | undefined): void {
    if (failure !== undefined) {
      this.#writesInARow = 0;
      if (this.#isStorageFailing) return;
      this.#isStorageFailing = true;
      this.#logger.error(
        'Storing failed. Data is sent without being stored, or dropped when the backend does not take it at once.',
        { exporter: this.#id, signal: this.#signal, error: failure },
      );
      return;
    }
    if (!this.#isStorageFailing || ++this.#writesInARow < WRITES_UNTIL_WORKING) return;
    this.#isStorageFailing = false;
    this.#logger.info('Storing works again.', { exporter: this.#id, signal: this.#signal, dropped_items: this.#notStored });
    this.#notStored = 0;
  }

  /** Items were dropped because they could not be stored. */
  notStored(items: number): void {
    this.#notStored += items;
  }

  /** A payload was stored, and cannot be read back. */
  unreadable(items: number, reason: string): void {
    if (++this.#unreadable > MAX_UNREADABLE_RECORDS) return;
    const isLast = this.#unreadable === MAX_UNREADABLE_RECORDS;
    this.#logger.error(`Stored data cannot be read back. Skipping it.${isLast ? ' More of this is only counted.' : ''}`, {
      exporter: this.#id,
      signal: this.#signal,
      error: reason,
      dropped_items: items,
    });
  }

  #accepted(result: ExportResult & { readonly kind: 'accepted' }): void {
    if (result.rejected > 0 || result.message !== undefined) {
      if (!this.#isRejecting) {
        this.#logger.warn('Partial success response', {
          exporter: this.#id,
          signal: this.#signal,
          message: result.message ?? '',
          [this.#signal === 'traces' ? 'dropped_spans' : 'dropped_data_points']: result.rejected,
        });
      }
      this.#isRejecting = true;
    } else {
      this.#isRejecting = false;
    }
    if (this.#state === 'delivering') return;
    this.#state = 'delivering';
    this.#recovered();
  }

  #recovered(): void {
    if (this.#state !== 'delivering' || this.#isQueueFull) return;
    this.#logger.info('Exporting works again.', { exporter: this.#id, signal: this.#signal, dropped_items: this.#dropped });
    this.#dropped = 0;
  }
}
