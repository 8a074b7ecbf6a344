// When a process started, by which /proc and the kernel side agree on which one it is. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html

/** Of the start time in /proc/PID/stat: 1/100 s on all machines that we run on. */
const NS_PER_TICK = 10_000_000n;

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything. */
export function startTicks(stat: string): bigint | undefined {
  const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return /^\d+$/.test(field) ? BigInt(field) : undefined;
}

/** Of nanoseconds since boot, as the kernel side has them. */
export function ticksOf(startTime: bigint): bigint {
  return startTime / NS_PER_TICK;
}
