// What one exporter's attempts look like → log records, at changes of state only: the first failure, the first loss, the recovery.
import type { ExportLogger, ExportResult, Signal } from './exporter.ts';

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
        error: result.message,
        interval,
      });
      return;
    }
    this.#dropped += items;
    if (this.#state === 'dropping') return;
    this.#state = 'dropping';
    this.#logger.error('Exporting failed. Dropping data.', { exporter: this.#id, error: result.message, dropped_items: items });
  }

  queueFull(items: number): void {
    this.#dropped += items;
    if (this.#isQueueFull) return;
    this.#isQueueFull = true;
    this.#logger.error('Sending queue is full. Dropping data.', { exporter: this.#id, dropped_items: items });
  }

  /** Called when the queue is at most half full again, so that a queue at its brim does not fill the log. */
  queueHasRoom(): void {
    if (!this.#isQueueFull) return;
    this.#isQueueFull = false;
    this.#recovered();
  }

  #accepted(result: ExportResult & { readonly kind: 'accepted' }): void {
    if (result.rejected > 0 || result.message !== undefined) {
      if (!this.#isRejecting) {
        this.#logger.warn('Partial success response', {
          exporter: this.#id,
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
    this.#logger.info('Exporting works again.', { exporter: this.#id, dropped_items: this.#dropped });
    this.#dropped = 0;
  }
}
