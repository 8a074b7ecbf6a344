// How each of several exporters settled an item → how the item ended, said exactly once: 'exported' when all of them took it, else the first
// reason why one did not. Items are numbered in the order of pushing, and two bytes are kept for each until its last exporter has settled it.
import type { ExportOutcome } from './exporter.ts';

export type ItemsSettled = (items: number, outcome: ExportOutcome) => void;

const BLOCK_ITEMS = 4096;
const OUTCOMES: readonly ExportOutcome[] = [
  'exported',
  'queue_full',
  'export_failed',
  'export_rejected',
  'stored',
  'storage_failed',
  'storage_unreadable',
];

interface Block {
  /** Per item: how many exporters have settled it. */
  readonly settled: Uint8Array;
  /** Per item: index in OUTCOMES. */
  readonly outcome: Uint8Array;
  /** Items that all exporters have settled. */
  done: number;
}

export class Settlement {
  readonly #exporters: number;
  readonly #onSettled: ItemsSettled;
  /** Bounded by what the exporters' queues hold: an item is in here only while it is in one of them. */
  readonly #blocks = new Map<number, Block>();
  readonly #counts = new Uint32Array(OUTCOMES.length);

  constructor(exporters: number, onSettled: ItemsSettled) {
    this.#exporters = exporters;
    this.#onSettled = onSettled;
  }

  /** One exporter has settled the items [first, first + items). */
  settle(first: number, items: number, outcome: ExportOutcome): void {
    if (items === 0) return;
    if (this.#exporters === 1) {
      this.#onSettled(items, outcome);
      return;
    }
    const code = OUTCOMES.indexOf(outcome);
    const counts = this.#counts;
    counts.fill(0);
    const end = first + items;
    let number = first;
    while (number < end) {
      const blockNumber = Math.floor(number / BLOCK_ITEMS);
      const block = this.#block(blockNumber);
      const blockStart = blockNumber * BLOCK_ITEMS;
      const stop = Math.min(end, blockStart + BLOCK_ITEMS);
      for (; number < stop; number++) {
        const index = number - blockStart;
        if (block.outcome[index] === 0) block.outcome[index] = code;
        const settled = (block.settled[index] as number) + 1;
        block.settled[index] = settled;
        if (settled !== this.#exporters) continue;
        block.done++;
        const ending = block.outcome[index] as number;
        counts[ending] = (counts[ending] as number) + 1;
      }
      if (block.done === BLOCK_ITEMS) this.#blocks.delete(blockNumber);
    }
    for (const [index, name] of OUTCOMES.entries()) {
      const count = counts[index] as number;
      if (count > 0) this.#onSettled(count, name);
    }
  }

  #block(number: number): Block {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const block: Block = { settled: new Uint8Array(BLOCK_ITEMS), outcome: new Uint8Array(BLOCK_ITEMS), done: 0 };
    this.#blocks.set(number, block);
    return block;
  }
}
