// Gives a process a share of a CPU, in turns of 100 ms: the same on every host, unlike quotas of its cgroup.
import type { Cleanup } from '../traffic/program.ts';

const PERIOD_MS = 100;

export interface Throttle {
  /** The process runs freely from now on. May be called twice. */
  end(): void;
}

/** `share`: of a CPU, 0 to 1. */
export function throttle(cleanup: Cleanup, pid: number, share: number): Throttle {
  let isOver = false;
  let timer: NodeJS.Timeout;
  const turn = (signal: 'SIGSTOP' | 'SIGCONT'): void => {
    process.kill(pid, signal);
    const isStopped = signal === 'SIGSTOP';
    timer = setTimeout(() => turn(isStopped ? 'SIGCONT' : 'SIGSTOP'), PERIOD_MS * (isStopped ? 1 - share : share));
  };
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    process.kill(pid, 'SIGCONT');
  };
  turn('SIGSTOP');
  cleanup.after(end);
  return { end };
}
