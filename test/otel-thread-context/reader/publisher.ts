// Builds and starts the publishers of fixtures/, and says what they print about themselves.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const fixtures = fileURLToPath(new URL('../../../build/thread-context/', import.meta.url));

/** The numbers are addresses in the publisher. */
export interface PublisherThread {
  readonly thread: string;
  readonly threadPointer: number;
  /** 0 of the thread that never touches the variable. */
  readonly slot: number;
  readonly traceId: string;
}

export interface Publisher extends AsyncDisposable {
  readonly pid: number;
  readonly threads: readonly PublisherThread[];
  /** AT_PHDR as the program itself sees it. */
  readonly programHeaders: number;
}

/** Takes seconds the first time, nothing when all is up to date. */
export function buildFixtures(): void {
  const directory = fileURLToPath(new URL('fixtures/', import.meta.url));
  const make = ['-s', '-j2', '-C', directory, `OUT=${fixtures}`];
  execFileSync('make', make, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Returns when every thread has published. Disposing of it ends it and waits for its end. */
export async function startPublisher(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  errors: 'inherit' | 'ignore' = 'inherit',
): Promise<Publisher> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', errors], env: { ...process.env, ...environment } });
  const exited = once(child, 'exit');
  const threads: PublisherThread[] = [];
  let programHeaders = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') {
      assert.ok(child.pid);
      const stop = async (): Promise<void> => {
        child.stdin.end();
        await exited;
      };
      return { pid: child.pid, threads, programHeaders, [Symbol.asyncDispose]: stop };
    }
    const printed = JSON.parse(line) as PublisherThread | { programHeaders: number };
    if ('thread' in printed) threads.push(printed);
    else programHeaders = printed.programHeaders;
  }
  const [code] = (await exited) as [number | null];
  throw new Error(`${command.join(' ')} ended with ${String(code)} before it was ready`);
}
