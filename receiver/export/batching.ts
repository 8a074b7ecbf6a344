// Items → payloads: each is encoded as it comes, and a request is cut by its size or by the age of the first item in it. Hot path: push.
import type { Payload, RequestEncoder } from './exporter.ts';
import type { Timer, Timers } from './timers.ts';

export interface BatchOptions {
  readonly flushTimeoutMs: number;
  /** What the sizes count: items, or bytes of the request, uncompressed. Default: items. */
  readonly sizer?: 'items' | 'bytes' | undefined;
  /** Reaching it cuts the batch at once. 0 and 1: every item is its own batch. */
  readonly minSize: number;
  /** Never exceeded, unless by what is pushed in one piece. 0: no limit. */
  readonly maxSize: number;
}

/** A request is cut when it has this part of the bytes that it may have: far less is in one span, or in the Resource that comes with it. */
const FILL = 0.75;

export class Batching<Item> {
  readonly #encoder: RequestEncoder<Item>;
  readonly #options: BatchOptions;
  readonly #enough: number;
  readonly #maxSize: number;
  readonly #enoughBytes: number;
  readonly #timers: Timers;
  readonly #cut: (payload: Payload) => void;
  #pending = 0;
  #timer: Timer | undefined;

  constructor(
    encoder: RequestEncoder<Item>,
    options: BatchOptions,
    maxPayloadBytes: number,
    timers: Timers,
    cut: (payload: Payload) => void,
  ) {
    this.#encoder = encoder;
    this.#options = options;
    const maxSize = options.maxSize > 0 ? options.maxSize : Infinity;
    const isBytes = options.sizer === 'bytes';
    this.#maxSize = isBytes ? Infinity : maxSize;
    this.#enough = isBytes ? Infinity : Math.max(1, Math.min(options.minSize, maxSize));
    const enoughBytes = Math.min(maxPayloadBytes, isBytes ? maxSize : Infinity) * FILL;
    this.#enoughBytes = isBytes ? Math.min(enoughBytes, options.minSize) : enoughBytes;
    this.#timers = timers;
    this.#cut = cut;
  }

  /** Items in the request that is being made. */
  get pending(): number {
    return this.#pending;
  }

  /** `items`: how many the item counts as. */
  push(item: Item, items: number): void {
    if (this.#pending + items > this.#maxSize) this.flush();
    if (this.#pending === 0) this.#timer = this.#timers.after(this.#options.flushTimeoutMs, () => this.flush());
    this.#encoder.add(item);
    this.#pending += items;
    if (this.#pending >= this.#enough || this.#encoder.bytes >= this.#enoughBytes) this.flush();
  }

  /** Cuts what is pending. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#pending === 0) return;
    const items = this.#pending;
    this.#pending = 0;
    this.#cut({ items, body: this.#encoder.finish() });
  }
}
