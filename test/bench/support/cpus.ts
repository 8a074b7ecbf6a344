// A CPU for what is measured, the others for what observes it: so a ratio is not about where the scheduler put things. A load generator
// belongs to the measured: on the observer's CPU it is held up by it, and server and load wake each other across CPUs. Tried that way,
// nginx took 45 µs per request instead of 20, and observing often seemed to save CPU time.
import { execFileSync } from 'node:child_process';
import * as os from 'node:os';

export interface Places {
  /** Command prefixes, empty where there is one CPU only. */
  readonly measured: readonly string[];
  readonly observer: readonly string[];
}

/** Also moves this process to the observer's CPUs. */
export function placeOnCpus(): Places {
  const last = os.availableParallelism() - 1;
  if (last === 0) return { measured: [], observer: [] };
  const others = last === 1 ? '0' : `0-${last - 1}`;
  execFileSync('taskset', ['-a', '-c', '-p', others, String(process.pid)], { stdio: 'ignore' });
  return { measured: ['taskset', '-c', String(last)], observer: ['taskset', '-c', others] };
}
