// A child process that speaks the control protocol of README.md: JSON lines out, lines in, ends when its input ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { patience } from '../support/patience.ts';

/** Where started things are handed in to be stopped: a node:test context, or anything alike. */
export interface Cleanup {
  after(stop: () => Promise<void> | void): void;
}

export type Line = Readonly<Record<string, unknown>> & { readonly kind: string };

export interface Program {
  readonly pid: number;
  send(line: string): void;
  /** The next line, which must be of that kind. */
  next(kind: string, timeoutMs?: number): Promise<Line>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves once the process is gone and reaped. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Ends its input and waits; kills what has not gone after 5 s. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command, for instance `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

export function startProgram(cleanup: Cleanup, command: string, args: readonly string[], options: StartOptions = {}): Program {
  const [file, ...rest] = [...(options.prefix ?? []), command, ...args] as [string, ...string[]];
  const child: ChildProcess = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  const name = [file, ...rest].join(' ').slice(0, 200);
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  child.stdin!.on('error', () => {}); // it may have gone already: `exited` says so

  const lines: Line[] = [];
  let isOver = false;
  let wake = (): void => {};
  createInterface({ input: child.stdout! }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line);
    wake();
  });
  const exited = once(child, 'close').then(([code, signal]) => {
    isOver = true;
    wake();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  exited.catch(() => {}); // a failed spawn shows in next()
  child.on('error', (error) => {
    stderr += String(error);
    isOver = true;
    wake();
  });

  const program: Program = {
    pid: child.pid ?? 0,
    exited,
    send: (line) => void child.stdin!.write(`${line}\n`),
    signal: (signal) => void child.kill(signal),
    async next(kind, timeoutMs = 20_000) {
      const deadline = Date.now() + timeoutMs * patience;
      while (lines.length === 0) {
        const left = deadline - Date.now();
        if (isOver) throw new Error(`${name} ended before it said "${kind}": ${stderr}`);
        if (left <= 0) throw new Error(`${name} did not say "${kind}" within ${timeoutMs * patience} ms: ${stderr}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const line = lines.shift()!;
      if (line.kind !== kind) throw new Error(`${name} said ${JSON.stringify(line)} instead of "${kind}"`);
      return line;
    },
    async stop() {
      child.stdin!.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000 * patience);
      await exited.catch(() => {});
      clearTimeout(timer);
    },
  };
  cleanup.after(() => program.stop());
  return program;
}
