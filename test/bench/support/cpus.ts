// A CPU for what is measured, the others for what drives it: so a ratio is not about where the scheduler put things.
import { execFileSync } from 'node:child_process';
import * as os from 'node:os';

export interface Places {
  /** Command prefixes, empty where there is one CPU only. */
  readonly measured: readonly string[];
  readonly driver: readonly string[];
  /**
   * For a load generator among the others there: goes before them. Were it held up by the receiver, requests would come in bursts, which a
   * server answers more cheaply, and observing would seem to save CPU time.
   */
  readonly load: readonly string[];
}

/** Also moves this process to the driver's CPUs. */
export function placeOnCpus(): Places {
  const last = os.availableParallelism() - 1;
  if (last === 0) return { measured: [], driver: [], load: [] };
  const others = last === 1 ? '0' : `0-${last - 1}`;
  execFileSync('taskset', ['-a', '-c', '-p', others, String(process.pid)], { stdio: 'ignore' });
  return {
    measured: ['taskset', '-c', String(last)],
    driver: ['taskset', '-c', others],
    load: ['chrt', '--fifo', '1', 'taskset', '-c', others],
  };
}
