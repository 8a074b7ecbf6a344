// Payloads in order → an exporter, a bounded number of them at a time. What does not fit is not taken; what is being sent still counts.
// With a store, a payload is on disk before it is in the queue, and memory holds the bodies of those that are being sent only.
import type { Exporter, ExportResult, Payload } from './exporter.ts';
import type { PayloadStore } from './storage/file-storage.ts';

export interface QueueOptions {
  /** False: one payload at a time and no more than one waiting. */
  readonly enabled: boolean;
  readonly numConsumers: number;
  /** In units of `sizer`. */
  readonly queueSize: number;
  readonly sizer: 'items' | 'requests' | 'bytes';
  /** True: takes what does not fit, and whoever makes payloads stops while `isFull`. */
  readonly blockOnOverflow?: boolean;
}

/** What is known of a payload from the moment that it is offered, or found in the store, until it is settled. */
export interface QueuedPayload {
  readonly items: number;
  readonly bytes: number;
  /** Number of its first item in the order of pushing; what it means is the owner's business. Undefined: an earlier run stored it. */
  readonly firstItem: number | undefined;
}

/** How a payload ended, besides what an exporter says ('retryable': it gave up). */
export type Ending =
  | ExportResult
  /** It is in the store, for the next run. */
  | { readonly kind: 'stored' }
  /** It could not be stored, and there was no other way for it. */
  | { readonly kind: 'not_stored'; readonly message: string }
  /** It was stored and could not be read back. */
  | { readonly kind: 'unreadable'; readonly message: string }
  /** It was in memory when the receiver ended. */
  | { readonly kind: 'abandoned' };

/** Called exactly once per payload that was taken or found in the store. `body`: its own, if it was in memory. */
export type PayloadSettled = (entry: QueuedPayload, ending: Ending, body: Uint8Array | undefined) => void;

/** Told of every write into the store: why it failed, or undefined. */
export type StoreObserver = (failure: string | undefined) => void;

/** Bodies that are on their way to the disk. A disk that is slower than the traffic must not fill the memory. */
const MAX_STORING_BYTES = 32 * 1024 * 1024;

interface Entry extends QueuedPayload {
  /** In the store; 0: not in it. */
  id: number;
  /** Undefined: in the store only. */
  body: Uint8Array | undefined;
}

export class SendingQueue {
  readonly #exporter: Exporter;
  readonly #store: PayloadStore | undefined;
  readonly #onSettled: PayloadSettled;
  readonly #onStored: StoreObserver;
  readonly #numConsumers: number;
  readonly #capacity: number;
  readonly #sizer: QueueOptions['sizer'];
  readonly #blocks: boolean;
  #waiting: Entry[] = [];
  /** Index of the first in #waiting that is not taken yet. */
  #head = 0;
  readonly #sending = new Set<Entry>();
  /** Being written. */
  readonly #storing = new Set<Entry>();
  #storingBytes = 0;
  #size = 0;
  #lastId = 0;
  #isStopping = false;
  /** Stopping, and the exporter has failed: what is stored stays stored. */
  #isLeaving = false;

  constructor(
    exporter: Exporter,
    options: QueueOptions,
    onSettled: PayloadSettled,
    store?: PayloadStore,
    onStored: StoreObserver = () => undefined,
  ) {
    this.#exporter = exporter;
    this.#onSettled = onSettled;
    this.#numConsumers = options.enabled ? Math.max(1, options.numConsumers) : 1;
    this.#capacity = options.enabled ? options.queueSize : 2;
    this.#sizer = options.enabled ? options.sizer : 'requests';
    this.#blocks = options.enabled && options.blockOnOverflow === true;
    this.#store = store;
    this.#onStored = onStored;
    for (const { id, items, bytes } of store?.recovered ?? []) {
      const entry: Entry = { id, items, bytes, firstItem: undefined, body: undefined };
      this.#lastId = id;
      this.#size += this.#cost(entry);
      this.#waiting.push(entry);
    }
    this.#sendNext();
  }

  /** In units of the sizer: being stored, waiting and being sent. */
  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** True: payloads should not be made now. Never without `blockOnOverflow`. */
  get isFull(): boolean {
    return this.#blocks && (this.#size >= this.#capacity || this.#storingBytes >= MAX_STORING_BYTES);
  }

  /** False: full, and the payload is not taken. */
  offer(payload: Payload, firstItem: number): boolean {
    const { items, body } = payload;
    const entry: Entry = { id: 0, items, bytes: body.length, firstItem, body };
    const cost = this.#cost(entry);
    const hasRoom = this.#size + cost <= this.#capacity && this.#storingBytes < MAX_STORING_BYTES;
    if (!hasRoom && !this.#blocks) return false;
    this.#size += cost;
    if (this.#store === undefined) this.#enqueue(entry);
    else void this.#put(entry, body, this.#store);
    return true;
  }

  /** From now on, what is stored stays stored as soon as the exporter fails. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Settles everything that is left: stored or given up. */
  abandon(): void {
    const left = [...this.#sending, ...this.#takeWaiting()];
    this.#sending.clear();
    for (const entry of left) this.#end(entry, leftAs(entry));
    const storing = [...this.#storing];
    this.#storing.clear();
    for (const entry of storing) this.#end(entry, { kind: 'not_stored', message: 'the storage did not answer in time' });
  }

  async #put(entry: Entry, body: Uint8Array, store: PayloadStore): Promise<void> {
    const id = ++this.#lastId;
    entry.body = undefined;
    this.#storing.add(entry);
    this.#storingBytes += entry.bytes;
    const result = await store.put(id, entry.items, body);
    this.#storingBytes -= entry.bytes;
    this.#onStored(result.kind === 'stored' ? undefined : result.message);
    // Abandoned meanwhile: settled already.
    if (!this.#storing.delete(entry)) return;
    entry.body = result.body;
    if (result.kind === 'stored') entry.id = id;
    else if (entry.body === undefined || this.#sending.size >= this.#numConsumers) {
      this.#end(entry, { kind: 'not_stored', message: result.message });
      return;
    }
    if (this.#isLeaving && entry.id > 0) {
      this.#end(entry, { kind: 'stored' });
      return;
    }
    this.#enqueue(entry);
  }

  #enqueue(entry: Entry): void {
    this.#waiting.push(entry);
    this.#sendNext();
    // It waits: the disk has it.
    if (entry.id > 0 && !this.#sending.has(entry)) entry.body = undefined;
  }

  #sendNext(): void {
    while (this.#sending.size < this.#numConsumers && this.#head < this.#waiting.length) {
      const entry = this.#waiting[this.#head++] as Entry;
      // Taking from the front is amortised: the array is cut when half of it is gone.
      if (this.#head * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#head);
        this.#head = 0;
      }
      this.#sending.add(entry);
      void this.#send(entry);
    }
  }

  async #send(entry: Entry): Promise<void> {
    const ending = await this.#attempt(entry);
    // Abandoned meanwhile: settled already.
    if (!this.#sending.delete(entry)) return;
    if (this.#isStopping && ending.kind === 'retryable' && entry.id > 0) {
      this.#end(entry, { kind: 'stored' });
      this.#leave();
    } else {
      if (entry.id > 0) this.#store?.delete(entry.id);
      this.#end(entry, ending);
    }
    this.#sendNext();
  }

  async #attempt(entry: Entry): Promise<Ending> {
    let { body } = entry;
    if (body === undefined) {
      const read = await this.#store?.read(entry.id);
      if (read?.kind !== 'payload') return { kind: 'unreadable', message: read?.message ?? 'there is no storage' };
      body = read.body;
    }
    try {
      return await this.#exporter.export({ items: entry.items, body });
    } catch (error) {
      // Exporters do not reject; if one does all the same, its items are still accounted for.
      return { kind: 'refused', message: `the exporter failed: ${(error as Error).message}` };
    }
  }

  /** The exporter fails, and there is no time to wait for it: what is stored is left to the next run. */
  #leave(): void {
    this.#isLeaving = true;
    for (const entry of this.#takeWaiting()) {
      if (entry.id > 0) this.#end(entry, { kind: 'stored' });
      else this.#waiting.push(entry);
    }
  }

  #takeWaiting(): readonly Entry[] {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    return waiting;
  }

  #end(entry: Entry, ending: Ending): void {
    this.#size -= this.#cost(entry);
    const { body } = entry;
    entry.body = undefined;
    this.#onSettled(entry, ending, body);
  }

  #cost(entry: QueuedPayload): number {
    switch (this.#sizer) {
      case 'items':
        return entry.items;
      case 'requests':
        return 1;
      case 'bytes':
        return entry.bytes;
    }
  }
}

function leftAs(entry: Entry): Ending {
  return entry.id > 0 ? { kind: 'stored' } : { kind: 'abandoned' };
}
