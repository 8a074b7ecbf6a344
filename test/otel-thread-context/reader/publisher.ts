// Builds and starts the publishers of fixtures/, and says what they print about themselves.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
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
  /** Grows when a command makes another thread publish. */
  readonly threads: readonly PublisherThread[];
  /** Of what it forked. */
  readonly children: readonly number[];
  /** AT_PHDR as the program itself sees it. */
  readonly programHeaders: number;
  /** r: loads its library anew; k: publishes the schema; f: forks; x: becomes another program (which tells nobody when); q: ends its first thread. */
  obey(letter: 'r' | 'k' | 'f' | 'x' | 'q'): Promise<void>;
}

/** Takes seconds the first time, nothing when all is up to date. */
export function buildFixtures(): void {
  const directory = fileURLToPath(new URL('fixtures/', import.meta.url));
  mkdirSync(fixtures, { recursive: true });
  // Test files run side by side.
  const make = [`${fixtures}.lock`, 'make', '-s', '-j2', '-C', directory, `OUT=${fixtures}`];
  execFileSync('flock', make, { stdio: ['ignore', 'inherit', 'inherit'] });
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
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const threads: PublisherThread[] = [];
  const children: number[] = [];
  let programHeaders = 0;
  const untilReady = async (): Promise<void> => {
    for (;;) {
      const line = await lines.next();
      if (line.done) throw new Error(`${command.join(' ')} ended before it was ready`);
      if (line.value === 'ready') return;
      const printed = JSON.parse(line.value) as PublisherThread | { programHeaders: number } | { child: number };
      if ('thread' in printed) threads.push(printed);
      else if ('child' in printed) children.push(printed.child);
      else programHeaders = printed.programHeaders;
    }
  };
  await untilReady();
  assert.ok(child.pid);
  return {
    pid: child.pid,
    threads,
    children,
    programHeaders,
    obey: async (letter) => {
      child.stdin.write(letter);
      if (letter !== 'x') await untilReady();
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
