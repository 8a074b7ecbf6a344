// Where started things are handed in to be stopped: what a node:test context is for tests.
import type { Cleanup } from '../../traffic/program.ts';

export class Stops implements Cleanup {
  readonly #stops: (() => Promise<void> | void)[] = [];

  after(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  /** Latest first. May be called twice. */
  async close(): Promise<void> {
    for (let stop = this.#stops.pop(); stop !== undefined; stop = this.#stops.pop()) await stop();
  }
}

/** Runs `action` with a place for what it starts, and stops that whatever happens. */
export async function withCleanup<T>(action: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const stops = new Stops();
  try {
    return await action(stops);
  } finally {
    await stops.close();
  }
}
