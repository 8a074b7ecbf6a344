// Real servers that are configured by a file, like nginx: a free port, and a child process that listens on it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from './program.ts';

const START_TIMEOUT_MS = 10_000;

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether something accepts on that port of 127.0.0.1. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Its process id, once it listens on `port`. When the test ends it is stopped, and `folder` removed. */
export async function startListener(
  cleanup: Cleanup,
  [program, ...args]: readonly [string, ...string[]],
  port: number,
  folder: string,
): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  const exited = once(child, 'close');
  exited.catch(() => {});
  cleanup.after(async () => {
    child.kill('SIGTERM');
    await exited.catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${program} did not start: ${stderr}`);
    await sleep(20);
  }
  return child.pid!;
}
