// Payloads in order → an exporter, a bounded number of them at a time. What does not fit is not taken; what is being sent still counts.
import type { Exporter, ExportResult, Payload } from './exporter.ts';

export interface QueueOptions {
  /** False: one payload at a time and no more than one waiting. */
  readonly enabled: boolean;
  readonly numConsumers: number;
  /** In units of `sizer`. */
  readonly queueSize: number;
  readonly sizer: 'items' | 'requests' | 'bytes';
}

export interface QueuedPayload {
  readonly payload: Payload;
  /** Number of its first span in the order of pushing; what it means is the owner's business. */
  readonly firstItem: number;
}

/** `undefined`: given up at the end of the receiver without an answer. Called exactly once per accepted payload. */
export type PayloadSettled = (entry: QueuedPayload, result: ExportResult | undefined) => void;

export class SendingQueue {
  readonly #exporter: Exporter;
  readonly #onSettled: PayloadSettled;
  readonly #numConsumers: number;
  readonly #capacity: number;
  readonly #countsItems: boolean;
  #waiting: QueuedPayload[] = [];
  /** Index of the first in #waiting that is not taken yet. */
  #head = 0;
  readonly #sending = new Set<QueuedPayload>();
  #size = 0;

  constructor(exporter: Exporter, options: QueueOptions, onSettled: PayloadSettled) {
    this.#exporter = exporter;
    this.#onSettled = onSettled;
    this.#numConsumers = options.enabled ? Math.max(1, options.numConsumers) : 1;
    this.#capacity = options.enabled ? options.queueSize : 2;
    this.#countsItems = options.enabled && options.sizer === 'items';
  }

  /** In units of the sizer: waiting and being sent. */
  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** False: full, and the payload is not taken. */
  offer(entry: QueuedPayload): boolean {
    const cost = this.#cost(entry);
    if (this.#size + cost > this.#capacity) return false;
    this.#size += cost;
    this.#waiting.push(entry);
    this.#sendNext();
    return true;
  }

  /** Settles everything that is waiting or being sent as given up. */
  abandon(): void {
    const left = [...this.#sending, ...this.#waiting.slice(this.#head)];
    this.#sending.clear();
    this.#waiting = [];
    this.#head = 0;
    this.#size = 0;
    for (const entry of left) this.#onSettled(entry, undefined);
  }

  #sendNext(): void {
    while (this.#sending.size < this.#numConsumers && this.#head < this.#waiting.length) {
      const entry = this.#waiting[this.#head++] as QueuedPayload;
      // Taking from the front is amortised: the array is cut when half of it is gone.
      if (this.#head * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#head);
        this.#head = 0;
      }
      this.#sending.add(entry);
      void this.#send(entry);
    }
  }

  async #send(entry: QueuedPayload): Promise<void> {
    let result: ExportResult;
    try {
      result = await this.#exporter.export(entry.payload);
    } catch (error) {
      // Exporters do not reject; if one does all the same, its items are still accounted for.
      result = { kind: 'refused', message: `the exporter failed: ${(error as Error).message}` };
    }
    // Abandoned meanwhile: settled already.
    if (!this.#sending.delete(entry)) return;
    this.#size -= this.#cost(entry);
    this.#onSettled(entry, result);
    this.#sendNext();
  }

  #cost(entry: QueuedPayload): number {
    return this.#countsItems ? entry.payload.items : 1;
  }
}
