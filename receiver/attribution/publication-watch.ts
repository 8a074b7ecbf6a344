// Processes that were looked at → those that may have published something since, so that a look is worth it: one maps memory to publish its context
// (OTEP 4719), and to load a library; and each change of a context has another time. Both are seen from outside, once a second, so that no system call
// of theirs costs more than it did.
import type { ProcessInstance } from '../model/thread-context.ts';

export interface PublicationWatchOptions {
  /** Calls back for every process, with a number that is another one when it has mapped something. */
  readonly visitSizes: (visit: (pid: number, startTime: bigint, mark: number) => void) => void;
  /** The time of the context at that address; undefined when it can't be read, or is being changed. */
  readonly publishedAt: (pid: number, address: number) => bigint | undefined;
}

/** What a look has found of a context. */
export interface SeenContext {
  readonly address: number;
  readonly publishedAt: bigint;
}

interface State {
  readonly instance: ProcessInstance;
  mark: number | undefined;
  /** Mark before the last look. */
  lookedMark: number | undefined;
  context: SeenContext | undefined;
  /** A process that maps all the time, and publishes nothing, is looked at ever more rarely. */
  intervalMs: number;
  notBeforeMs: number;
}

const WATCH_INTERVAL_MS = 1_000;
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 60_000;
/** Contexts whose time is read in one round. */
const MAX_TIMES = 64;

export class PublicationWatch {
  readonly #options: PublicationWatchOptions;
  readonly #states = new Map<number, State>();
  /** In the order in which their turn comes. */
  readonly #published = new Set<State>();
  #nextMs = 0;

  constructor(options: PublicationWatchOptions) {
    this.#options = options;
  }

  /** To be told of each look: `isNews` when it has changed what is known of the process. */
  looked(instance: ProcessInstance, context: SeenContext | undefined, isNews: boolean, nowMs: number): void {
    let state = this.#states.get(instance.pid);
    if (state?.instance !== instance) {
      this.forget(instance.pid);
      state = { instance, mark: undefined, lookedMark: undefined, context, intervalMs: MIN_INTERVAL_MS, notBeforeMs: 0 };
      this.#states.set(instance.pid, state);
    }
    state.lookedMark = state.mark;
    state.context = context;
    if (context === undefined) this.#published.delete(state);
    else this.#published.add(state);
    state.intervalMs = isNews ? MIN_INTERVAL_MS : Math.min(state.intervalMs * 2, MAX_INTERVAL_MS);
    state.notBeforeMs = nowMs + (isNews ? MIN_INTERVAL_MS : state.intervalMs / 2);
  }

  forget(pid: number): void {
    const state = this.#states.get(pid);
    if (state === undefined) return;
    this.#states.delete(pid);
    this.#published.delete(state);
  }

  /** To be called often: names the processes to look at again. */
  tick(nowMs: number, changed: (instance: ProcessInstance) => void): void {
    if (nowMs < this.#nextMs || this.#states.size === 0) return;
    this.#nextMs = nowMs + WATCH_INTERVAL_MS;
    this.#options.visitSizes((pid, startTime, mark) => {
      const state = this.#states.get(pid);
      if (state?.instance.startTime !== startTime) return;
      state.mark = mark;
      if (mark !== state.lookedMark && nowMs >= state.notBeforeMs) changed(state.instance);
    });
    // Each goes to the end of the line, where it is met again.
    let left = Math.min(this.#published.size, MAX_TIMES);
    for (const state of this.#published) {
      if (left-- === 0) break;
      this.#published.delete(state);
      this.#published.add(state);
      const { instance, context } = state;
      if (context === undefined || nowMs < state.notBeforeMs) continue;
      if (this.#options.publishedAt(instance.pid, context.address) !== context.publishedAt) changed(instance);
    }
  }
}
