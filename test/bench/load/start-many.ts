// Starts a program many times, evenly over some seconds, each with a line of input that ends after two more: start-many.ts PROCESSES SECONDS FIRST FILE ARGUMENT…
// A program of its own, since a small process starts others faster. Says how long it took when the last one has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

const LIFETIME_MS = 2_000;
const [processes = 0, seconds = 0, first = 0] = process.argv.slice(2, 5).map(Number);
const [file = '', ...args] = process.argv.slice(5);
const running: Promise<unknown>[] = [];
const begun = performance.now();
for (let index = 0; index < processes; index++) {
  await setTimeout(Math.max(0, begun + (index * seconds * 1000) / processes - performance.now()));
  const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'inherit'] });
  running.push(once(child, 'close'));
  child.stdin.write(`run ${first + index} 1 1 both\n`);
  void setTimeout(LIFETIME_MS).then(() => child.stdin.end());
}
const tookSeconds = (performance.now() - begun) / 1000;
await Promise.all(running);
console.log(JSON.stringify({ kind: 'done', tookSeconds }));
