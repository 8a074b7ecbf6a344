// The one time of the pipeline: nanoseconds since the receiver started, on the kernel's monotonic clock
// (bpf_ktime_get_ns, CLOCK_MONOTONIC). Unix time is made only where a span leaves.

export interface Clock {
  /** CLOCK_MONOTONIC nanoseconds at the receiver's start: the zero of pipeline time. */
  readonly originMonotonicNs: bigint;
  /** Pipeline time now. */
  now(): number;
  /** Unix time in nanoseconds of a pipeline time, by the offset last sampled (NTP steps are followed). */
  toUnixNs(time: number): bigint;
  /** Samples CLOCK_REALTIME against CLOCK_MONOTONIC again. */
  resync(): void;
}

/** A clock over `process.hrtime.bigint` (CLOCK_MONOTONIC on Linux) and a wall clock in milliseconds. */
export function createClock(monotonicNs: () => bigint, wallMs: () => number): Clock {
  const originMonotonicNs = monotonicNs();
  let originUnixNs = 0n;
  const clock: Clock = {
    originMonotonicNs,
    now: () => Number(monotonicNs() - originMonotonicNs),
    toUnixNs: (time) => originUnixNs + BigInt(Math.round(time)),
    resync() {
      // The wall clock counts milliseconds, so the monotonic reading is taken on both sides of a tick's read.
      const before = monotonicNs();
      const wall = wallMs();
      const after = monotonicNs();
      const middle = (before + after) / 2n - originMonotonicNs;
      originUnixNs = BigInt(Math.round(wall * 1e6)) - middle;
    },
  };
  clock.resync();
  return clock;
}
