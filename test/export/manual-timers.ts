// Timers whose time moves only when a test says so.
import type { Timer, Timers } from '../../receiver/export/timers.ts';

export class ManualTimers implements Timers {
  #nowMs = 0;
  #due: { readonly atMs: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry = { atMs: this.#nowMs + delayMs, run };
    this.#due.push(entry);
    return { cancel: () => void (this.#due = this.#due.filter((other) => other !== entry)) };
  }

  get waiting(): number {
    return this.#due.length;
  }

  /** Milliseconds until the next timer, `undefined` when there is none. */
  get nextInMs(): number | undefined {
    return this.#due.length === 0 ? undefined : Math.min(...this.#due.map((entry) => entry.atMs)) - this.#nowMs;
  }

  /** Moves time, running what falls due in order, with room for promises in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = this.#due.filter((entry) => entry.atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due = this.#due.filter((entry) => entry !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = end;
    await settle();
  }
}

/** Lets every promise that can go on do so. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
