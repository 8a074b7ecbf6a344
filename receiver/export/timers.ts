// Time as batching, retrying and the exporters need it: a parameter, so that tests own it.

export interface Timer {
  /** May be called twice, and after the timer fired. */
  cancel(): void;
}

export interface Timers {
  /** Monotonic milliseconds. */
  now(): number;
  after(delayMs: number, run: () => void): Timer;
}

/** setTimeout's own limit; a longer delay would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

export function createTimers(monotonicMs: () => number = () => performance.now()): Timers {
  return {
    now: monotonicMs,
    after(delayMs, run) {
      const handle = setTimeout(run, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** Settles with the promise, or with `undefined` when it takes longer than `withinMs`. */
export async function settleWithin<T>(timers: Timers, withinMs: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: Timer | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = timers.after(withinMs, () => resolve(undefined));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    timer?.cancel();
  }
}
