// What /proc tells of a process: resident memory, descendants.
import { readdirSync, readFileSync } from 'node:fs';

/** Of VmRSS (now) or VmHWM (peak). */
export function memoryBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? NaN) * 1024;
}

/** The process and all below it. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (let at = 0; at < tree.length; at++) {
    const threads = readdirSync(`/proc/${tree[at]!}/task`);
    for (const thread of threads) {
      const children = readFileSync(`/proc/${tree[at]!}/task/${thread}/children`, 'utf8');
      tree.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return tree;
}
