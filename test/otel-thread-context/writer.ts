// The C library and its test programs, built in a variant by their own Makefile and run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../otel-thread-context/', import.meta.url));

export interface Outcome {
  readonly title: string;
  readonly passed: boolean;
  /** Comments that came before it: what was not so. */
  readonly comments: readonly string[];
}

export interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly outcomes: readonly Outcome[];
}

/** Builds a target of otel-thread-context/test/Makefile, one at a time of all test files; throws with what the compiler says. */
export function make(target: string): string {
  mkdirSync(`${folder}build`, { recursive: true });
  const command = ['make', '-s', '--no-print-directory', '-C', `${folder}test`, target];
  const { status, stdout, stderr } = spawnSync('flock', [`${folder}build/.lock`, ...command], { encoding: 'utf8' });
  assert.equal(status, 0, `make ${target}:\n${stdout}${stderr}`);
  return stdout;
}

/** The path of something built, by its variant and name: `test/record_test`, `libotel-thread-context.so`. */
export function built(variant: string, name: string): string {
  return `${folder}build/${variant}/${name}`;
}

export function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(`${directory}/${command}`));
}

/** Runs a test program and takes its lines apart. */
export function run(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Run {
  const [program = '', ...argv] = command;
  const { status, stdout, stderr, signal, error } = spawnSync(program, argv, {
    encoding: 'utf8',
    timeout: 300_000,
    env: { ...process.env, ...environment },
  });
  const outcomes: Outcome[] = [];
  let comments: string[] = [];
  for (const line of stdout.split('\n')) {
    const match = /^(not )?ok - (.*)$/.exec(line);
    if (match === null) {
      comments.push(line);
      continue;
    }
    outcomes.push({ title: match[2] ?? '', passed: match[1] === undefined, comments });
    comments = [];
  }
  const end = status === null ? `\nended by ${signal ?? error?.message ?? 'nothing known'}` : '';
  return { status, output: stdout + stderr + end, outcomes };
}
