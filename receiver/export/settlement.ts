// How each of several exporters settled a span → how the span ended, said exactly once: 'exported' when all of them took it, else the first
// reason why one did not. Spans are numbered in the order of pushing, and two bytes are kept for each until its last exporter has settled it.
import type { ExportOutcome } from './exporter.ts';

export type SpansSettled = (spans: number, outcome: ExportOutcome) => void;

const BLOCK_SPANS = 4096;
const OUTCOMES: readonly ExportOutcome[] = ['exported', 'queue_full', 'export_failed', 'export_rejected'];

interface Block {
  /** Per span: how many exporters have settled it. */
  readonly settled: Uint8Array;
  /** Per span: index in OUTCOMES. */
  readonly outcome: Uint8Array;
  /** Spans that all exporters have settled. */
  done: number;
}

export class Settlement {
  readonly #exporters: number;
  readonly #onSettled: SpansSettled;
  /** Bounded by what the exporters' queues hold: a span is in here only while it is in one of them. */
  readonly #blocks = new Map<number, Block>();
  readonly #counts = new Uint32Array(OUTCOMES.length);

  constructor(exporters: number, onSettled: SpansSettled) {
    this.#exporters = exporters;
    this.#onSettled = onSettled;
  }

  /** One exporter has settled the spans [first, first + spans). */
  settle(first: number, spans: number, outcome: ExportOutcome): void {
    if (spans === 0) return;
    if (this.#exporters === 1) {
      this.#onSettled(spans, outcome);
      return;
    }
    const code = OUTCOMES.indexOf(outcome);
    const counts = this.#counts;
    counts.fill(0);
    const end = first + spans;
    let number = first;
    while (number < end) {
      const blockNumber = Math.floor(number / BLOCK_SPANS);
      const block = this.#block(blockNumber);
      const blockStart = blockNumber * BLOCK_SPANS;
      const stop = Math.min(end, blockStart + BLOCK_SPANS);
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
      if (block.done === BLOCK_SPANS) this.#blocks.delete(blockNumber);
    }
    for (const [index, name] of OUTCOMES.entries()) {
      const count = counts[index] as number;
      if (count > 0) this.#onSettled(count, name);
    }
  }

  #block(number: number): Block {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const block: Block = { settled: new Uint8Array(BLOCK_SPANS), outcome: new Uint8Array(BLOCK_SPANS), done: 0 };
    this.#blocks.set(number, block);
    return block;
  }
}
