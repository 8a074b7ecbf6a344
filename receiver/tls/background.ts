// Long work, done in short turns of the event loop: what is urgent first, then the rest, and never so much at once that the ring is kept waiting.

export interface BackgroundOptions {
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  /** Calls back later, when others had their turn. */
  readonly defer: (callback: () => void) => void;
}

/** Work: each step takes some milliseconds at most. It must not throw. */
export type Work = Generator<void, void>;

const TURN_MS = 2;

export class Background {
  readonly #options: BackgroundOptions;
  readonly #urgent: Work[] = [];
  readonly #rest: Work[] = [];
  readonly #idle: (() => void)[] = [];
  #isRunning = false;
  #isClosed = false;

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  /** How many pieces of work are not done. */
  get size(): number {
    return this.#urgent.length + this.#rest.length;
  }

  add(work: Work, isUrgent: boolean): void {
    (isUrgent ? this.#urgent : this.#rest).push(work);
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    this.#options.defer(() => {
      this.#turn();
    });
  }

  /** Calls back once all work is done. */
  whenIdle(callback: () => void): void {
    if (this.#isRunning) this.#idle.push(callback);
    else callback();
  }

  close(): void {
    this.#isClosed = true;
    this.#urgent.length = 0;
    this.#rest.length = 0;
  }

  #turn(): void {
    const { nowMs, defer } = this.#options;
    const end = nowMs() + TURN_MS;
    while (!this.#isClosed && nowMs() < end) {
      const queue = this.#urgent.length > 0 ? this.#urgent : this.#rest;
      const [work] = queue;
      if (work === undefined) break;
      // It may add to the front or the end of its queue meanwhile, never before itself.
      if (work.next().done === true) queue.shift();
    }
    if (this.size > 0 && !this.#isClosed) {
      defer(() => {
        this.#turn();
      });
      return;
    }
    this.#isRunning = false;
    for (const callback of this.#idle.splice(0)) callback();
  }
}
