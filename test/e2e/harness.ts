// Starts the built receiver on this kernel, stops it, and hands over what it wrote: exit code, ledger, spans.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { patience } from '../support/patience.ts';
import type { Cleanup } from '../traffic/program.ts';
import type { Exchange } from '../traffic/truth.ts';
import { compareTruth, type CompareOptions } from './compare.ts';
import { type PointRecord, readPoints } from './metric-points.ts';
import { readSpans, type SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

export const repository = path.resolve(import.meta.dirname, '../..');
export const receiverMain = path.join(repository, 'dist/receiver/main.js');
export const readyMessage = 'Everything is ready. Begin running and processing data.';

/** For node:test's `skip` option: false where the kernel can do it, else the reason, which is printed so that a log can be searched for it. */
export function kernelTestSkip(): string | false {
  const reason =
    process.getuid?.() !== 0
      ? 'not root'
      : existsSync('/sys/kernel/btf/vmlinux')
        ? undefined
        : 'the kernel has no BTF (/sys/kernel/btf/vmlinux)';
  if (reason === undefined) return false;
  const text = `KERNEL TEST SKIPPED: ${reason}`;
  console.error(text);
  return text;
}

/** For `usm`: on a machine that stalls for seconds the receiver would leave connections out, which is right, and not what most tests look at. */
export const leavesNothingOut = { overload: { enabled: false } };

/** The books as contract.md gives them; keys with 0 may be absent. */
export interface Ledger {
  readonly balanced: boolean;
  readonly transactions: {
    readonly seen: number;
    readonly exported: number;
    readonly pending?: number;
    readonly not_exported?: Readonly<Record<string, number>>;
  };
  readonly storage?: {
    readonly recovered: number;
    readonly exported: number;
    readonly pending?: number;
    readonly not_exported: Readonly<Record<string, number>>;
  };
  readonly exporters?: readonly {
    readonly id: string;
    readonly signal: string;
    readonly accepted: number;
    readonly stored: number;
    readonly recovered: number;
    readonly queueSize: number;
  }[];
  readonly connections?: {
    readonly seen?: number;
    readonly shed?: Readonly<Record<string, number>>;
    readonly not_http?: number;
    readonly unattributed?: Readonly<Record<string, number>>;
  };
  readonly bytes?: {
    readonly seen?: number;
    readonly parsed?: number;
    readonly skipped?: number;
    readonly lost?: Readonly<Record<string, number>>;
  };
  readonly events?: { readonly received?: number; readonly dropped?: Readonly<Record<string, number>> };
  /** The kernel side's own counters, those that are not 0. */
  readonly kernel?: Readonly<Record<string, number>>;
}

export interface ReceiverOptions {
  /** The `usm` block. */
  readonly usm?: object;
  /** Beside `file`, all in every pipeline. */
  readonly exporters?: Readonly<Record<string, object>>;
  /** A pipeline for each. Default: traces. */
  readonly signals?: readonly ('traces' | 'metrics')[];
  /** False: no `file` exporter; what `spans` would hold is elsewhere then. */
  readonly hasFile?: boolean;
  /** All of them started. */
  readonly extensions?: Readonly<Record<string, object>>;
  /** Instead of a configuration made of the above. */
  readonly configFile?: string;
  /** Before `--config`. */
  readonly command?: 'attach';
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs it as this user and group. */
  readonly uid?: number;
  /** With `uid`: the capabilities that it has all the same ('CAP_BPF'), and can have at all. */
  readonly capabilities?: readonly string[];
  /** What runs it, before its arguments, or what makes the whole command of these. Default: this Node.js, and what was built. */
  readonly launcher?: readonly string[] | ((args: readonly string[]) => readonly string[]);
}

export interface Stopped {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly ledger: Ledger | undefined;
  readonly spans: readonly SpanRecord[];
  /** Of metrics, in the order of writing. */
  readonly points: readonly PointRecord[];
  readonly stderr: string;
  readonly stdout: string;
  /** From the signal to the end. */
  readonly tookMs: number;
}

export interface Receiver {
  readonly pid: number;
  stderr(): string;
  stdout(): string;
  /** What the file exporter has written so far. */
  spans(): SpanRecord[];
  points(): PointRecord[];
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, or waits only, if it was signalled already. */
  stop(): Promise<Stopped>;
}

interface Launched {
  readonly pid: number;
  stderr(): string;
  stdout(): string;
  spans(): SpanRecord[];
  points(): PointRecord[];
  signal(signal: NodeJS.Signals): void;
  isOver(): boolean;
  finish(): Promise<Stopped>;
}

function launch(cleanup: Cleanup, options: ReceiverOptions): Launched {
  assert.ok(existsSync(receiverMain), `${receiverMain} is not there: build first (npm run build)`);
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-e2e-'));
  if (options.uid !== undefined) chownSync(folder, options.uid, options.uid);
  const output = path.join(folder, 'spans.json');
  let { configFile } = options;
  if (configFile === undefined) {
    configFile = path.join(folder, 'config.yaml');
    const file = options.hasFile === false ? {} : { file: { path: output, flush_interval: '50ms' } };
    const exporters = { ...file, ...options.exporters };
    // JSON is YAML.
    const config = {
      receivers: { usm: { ...(patience === 1 ? {} : { shutdown_timeout: `${5 * patience}s` }), ...options.usm } },
      exporters,
      extensions: options.extensions ?? {},
      service: {
        extensions: Object.keys(options.extensions ?? {}),
        pipelines: Object.fromEntries(
          (options.signals ?? ['traces']).map((signal) => [signal, { receivers: ['usm'], exporters: Object.keys(exporters) }]),
        ),
      },
    };
    writeFileSync(configFile, JSON.stringify(config, undefined, 2));
  }
  const { uid, capabilities, launcher = [process.execPath, receiverMain] } = options;
  const isGranted = uid !== undefined && capabilities !== undefined;
  const command = options.command === undefined ? [] : [options.command];
  const args = [...command, '--config', configFile, ...(options.args ?? [])];
  const launched = typeof launcher === 'function' ? launcher(args) : [...launcher, ...args];
  const [program = '', ...rest] = isGranted ? [...granting(uid, capabilities), ...launched] : launched;
  const child = spawn(program, rest, {
    cwd: options.uid === undefined ? folder : '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(uid === undefined || isGranted ? {} : { uid, gid: uid }),
  });
  let stderr = '';
  let stdout = '';
  let signalledAt = 0;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  closed.catch(() => {});
  cleanup.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await closed.catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    pid: child.pid ?? 0,
    stderr: () => stderr,
    stdout: () => stdout,
    spans: () => readSpans(output),
    points: () => readPoints(output),
    signal(signal) {
      signalledAt = performance.now();
      child.kill(signal);
    },
    isOver: () => child.exitCode !== null || child.signalCode !== null,
    async finish() {
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000 * patience);
      const [exitCode, signal] = await closed;
      clearTimeout(timer);
      const tookMs = signalledAt === 0 ? 0 : performance.now() - signalledAt;
      return {
        exitCode,
        signal,
        ledger: ledgerIn(stderr),
        spans: readSpans(output),
        points: readPoints(output),
        stderr,
        stdout,
        tookMs,
      };
    },
  };
}

/** What gives a command these capabilities and no others. */
function granting(uid: number, capabilities: readonly string[]): readonly string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name.replace('CAP_', '').toLowerCase()}`)].join(',');
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return ['setpriv', ...user, `--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`, '--no-new-privs', '--'];
}

/** The last `Ledger` record of a log in console encoding: time, level, message, fields as JSON. */
export function ledgerIn(log: string): Ledger | undefined {
  const line = log.split('\n').findLast((text) => text.includes('\tLedger\t'));
  return line === undefined ? undefined : (JSON.parse(line.slice(line.indexOf('\tLedger\t') + 8)) as Ledger);
}

/** The books as they stand, on demand. */
export async function booksOf(receiver: Receiver): Promise<Ledger> {
  const count = (): number => receiver.stderr().split('\tLedger\t').length;
  const before = count();
  process.kill(receiver.pid, 'SIGUSR2');
  return waitFor('the ledger', () => count() > before && receiver.stderr().endsWith('\n') && ledgerIn(receiver.stderr()));
}

/** Starts the receiver and waits until it says that it is ready. */
export async function startReceiver(cleanup: Cleanup, options: ReceiverOptions = {}): Promise<Receiver> {
  const launched = launch(cleanup, options);
  await waitFor(
    'the receiver to be ready',
    () => {
      if (launched.isOver()) throw new Error(`the receiver ended: ${launched.stderr()}`);
      return launched.stderr().includes(readyMessage);
    },
    20_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${launched.stderr()}`);
  });
  let isSignalled = false;
  const signal = (name: NodeJS.Signals): void => {
    isSignalled = true;
    launched.signal(name);
  };
  return {
    pid: launched.pid,
    stderr: () => launched.stderr(),
    stdout: () => launched.stdout(),
    spans: () => launched.spans(),
    points: () => launched.points(),
    signal,
    stop() {
      if (!isSignalled) signal('SIGTERM');
      return launched.finish();
    },
  };
}

/** For configurations that must not start. */
export function runReceiver(cleanup: Cleanup, options: ReceiverOptions): Promise<Stopped> {
  return launch(cleanup, options).finish();
}

/** Books that balance, and an exit as the contract has it. */
export function assertBooks(stopped: Stopped): void {
  assert.equal(stopped.exitCode, 0, `exit code, after:\n${stopped.stderr.slice(-3000)}`);
  const { ledger } = stopped;
  assert.ok(ledger, `no Ledger record in:\n${stopped.stderr.slice(-3000)}`);
  const { seen, exported, not_exported = {} } = ledger.transactions;
  const notExported = Object.values(not_exported).reduce((sum, count) => sum + count, 0);
  const text = JSON.stringify(ledger);
  assert.equal(seen, exported + notExported, `seen = exported + not_exported in ${text}`);
  assert.equal(ledger.balanced, true, text);
  assert.equal(exported, stopped.spans.length, `exported transactions are the spans in the file: ${text}`);
}

/** The whole check: the spans are the truth, and the books balance. */
export function assertTruth(stopped: Stopped, truth: readonly Exchange[], options: CompareOptions = {}): void {
  const difference = compareTruth(truth, stopped.spans, options);
  if (difference !== undefined)
    assert.fail(`${difference}\nledger: ${JSON.stringify(stopped.ledger)}\n${warningsIn(stopped.stderr)}`);
  assertBooks(stopped);
}

function warningsIn(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => /\t(warn|error)\t/.test(line));
  return lines.slice(0, 10).join('\n');
}
