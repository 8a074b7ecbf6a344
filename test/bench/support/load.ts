// The load: programs of ../load, built when they are older than their source, and wrk.
import { execFile, execFileSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ContextPlace } from '../../../receiver/model/thread-context.ts';
import { repository } from '../../e2e/harness.ts';
import { startProgram, type Cleanup, type Line, type Program } from '../../traffic/program.ts';
import type { Server } from './servers.ts';

const built = path.join(repository, 'build/bench');
const run = promisify(execFile);

export const emptyObject = path.join(built, 'empty.bpf.o');
export const rawCaptureObject = path.join(built, 'raw-capture.bpf.o');
export const helpersObject = path.join(built, 'helpers.bpf.o');
export const pingPongPath = path.join(built, 'ping-pong');

export function buildLoad(): void {
  execFileSync('make', ['-s', '-C', path.join(import.meta.dirname, '../load')], { stdio: 'inherit' });
}

/** CPU time of processes, all threads, in nanoseconds (load/cpu-time.c). */
export function cpuNs(pids: readonly number[]): number {
  return Number(execFileSync(path.join(built, 'cpu-time'), pids.map(String), { encoding: 'utf8' }));
}

/** No CPU sleeps until the end: load/keep-awake.c says why. */
export async function keepAwake(cleanup: Cleanup): Promise<void> {
  const program = startProgram(cleanup, path.join(built, 'keep-awake'), []);
  await program.next('ready');
}

export interface FixedRateOptions {
  readonly connections: number;
  /** Requests per second. */
  readonly rate: number;
  readonly seconds: number;
  /** Number of the first request, where the path of the server has a place for it. */
  readonly first?: number;
  readonly prefix?: readonly string[];
}

export interface FixedRateResult {
  readonly sent: number;
  readonly answered: number;
  /** Times that something was due and no connection was idle. */
  readonly late: number;
  readonly errors: number;
  readonly seconds: number;
}

export async function runFixedRate(server: Server, options: FixedRateOptions): Promise<FixedRateResult> {
  const { connections, rate, seconds, first = 0, prefix = [] } = options;
  const args = ['127.0.0.1', server.port, connections, rate, seconds, server.path, first].map(String);
  const [command, ...rest] = [...prefix, path.join(built, 'fixed-rate'), ...args] as [string, ...string[]];
  const { stdout } = await run(command, rest);
  const result = JSON.parse(stdout) as FixedRateResult;
  if (result.errors > 0 || result.answered !== result.sent) throw new Error(`the load went wrong: ${stdout}`);
  return result;
}

export interface ClosedLoop {
  readonly requests: number;
  /** Per second. */
  readonly rate: number;
}

/** A closed loop, with as many requests as `connections` under way all the time. */
export async function runWrk(
  server: Server,
  connections: number,
  seconds: number,
  prefix: readonly string[] = [],
): Promise<ClosedLoop> {
  const url = `${server.isSecure ? 'https' : 'http'}://127.0.0.1:${server.port}${server.path}`;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, url];
  const [first, ...more] = prefix;
  const { stdout } = await (first === undefined ? run('wrk', args) : run(first, [...more, 'wrk', ...args]));
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  if (!(rate > 0) || /Socket errors|Non-2xx/.test(stdout)) throw new Error(`wrk went wrong:\n${stdout}`);
  return { rate, requests };
}

/** One process has both ends of a connection, and 20,000 open files are what some hosts allow at most. */
const MAX_CONNECTIONS_PER_PROCESS = 8_000;
const PROCESSES = 2;

/** load/ping-pong.c under orders. Many connections are shared by several processes, which then take turns. */
export class PingPong {
  readonly #programs: readonly Program[];
  /** Those that have connections. */
  #active: readonly Program[] = [];
  readonly ports: readonly number[];
  /** Where its threads have their contexts, in either way; it publishes neither. */
  readonly places: { readonly context: ContextPlace; readonly 'context by DTV': ContextPlace };

  private constructor(programs: readonly Program[], ready: readonly Line[]) {
    this.#programs = programs;
    const dtv = { dtvOffset: Number(ready[0]?.['dtv']), countOffset: -16, entrySize: 16 };
    this.places = {
      context: { kind: 'static', offset: Number(ready[0]?.['context']) },
      'context by DTV': { kind: 'module', offset: 0, moduleId: 1, generation: 7, ...dtv },
    };
    this.ports = ready.map((line) => Number(line['port']));
  }

  static async start(cleanup: Cleanup, prefix: readonly string[] = []): Promise<PingPong> {
    const programs = Array.from({ length: PROCESSES }, () => startProgram(cleanup, pingPongPath, [], { prefix }));
    return new PingPong(programs, await Promise.all(programs.map((program) => program.next('ready'))));
  }

  async open(connections: number): Promise<void> {
    this.#active = this.#programs.slice(0, Math.ceil(connections / MAX_CONNECTIONS_PER_PROCESS));
    for (const program of this.#active) await order(program, `open ${connections / this.#active.length}`, 'opened');
  }

  async close(): Promise<void> {
    for (const program of this.#active) await order(program, 'close', 'closed');
    this.#active = [];
  }

  /** Nanoseconds per I/O, of which an exchange has four. `isGathered`: what is sent comes from two vectors, head and body. */
  exchange(count: number, isGathered = false): Promise<number> {
    return timed(this.#active, isGathered ? 'gather' : 'exchange', count);
  }

  /** Nanoseconds per call of getppid(). */
  getppid(count: number): Promise<number> {
    return timed(this.#programs.slice(0, 1), 'getppid', count);
  }
}

async function timed(programs: readonly Program[], what: string, count: number): Promise<number> {
  let ns = 0;
  let calls = 0;
  for (const program of programs) {
    const line = await order(program, `${what} ${Math.ceil(count / programs.length)}`, 'done');
    ns += Number(line['ns']);
    calls += Number(line['calls']);
  }
  return ns / calls;
}

function order(program: Program, line: string, answer: string): Promise<Line> {
  program.send(line);
  return program.next(answer, 120_000);
}
