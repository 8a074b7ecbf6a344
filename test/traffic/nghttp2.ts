// nghttpd, which serves files over HTTP/2; nghttpx, a proxy that also takes it by `Upgrade: h2c`; h2load, which asks for many at a time; and
// nghttp, which asks for an upgrade.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serverCertificate } from './certificate.ts';
import { freePort, startListener } from './listener.ts';
import type { Cleanup } from './program.ts';

export interface Nghttpd {
  readonly pid: number;
  readonly port: number;
  readonly service: 'nghttpd';
  readonly isSecure: boolean;
}

/** `files`: name and size. */
export async function startNghttpd(
  cleanup: Cleanup,
  files: Readonly<Record<string, number>>,
  options: { readonly isSecure?: boolean } = {},
): Promise<Nghttpd> {
  const { isSecure = false } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-nghttpd-'));
  for (const [name, size] of Object.entries(files)) writeFileSync(path.join(folder, name), Buffer.alloc(size, 'f'));
  const port = await freePort();
  const { certificate, key } = isSecure ? serverCertificate() : { certificate: '', key: '' };
  const tls = isSecure ? [key, certificate] : ['--no-tls'];
  const args = ['--address=127.0.0.1', `--htdocs=${folder}`, '--max-concurrent-streams=1000'];
  const where = isSecure ? [String(port), ...tls] : [...tls, String(port)];
  const pid = await startListener(cleanup, ['nghttpd', ...args, ...where], port, folder);
  return { pid, port, service: 'nghttpd', isSecure };
}

export interface Nghttpx {
  readonly pid: number;
  readonly port: number;
  readonly service: 'nghttpx';
}

/** In front of the HTTP/1.1 server at `upstream` (`host:port`). */
export async function startNghttpx(cleanup: Cleanup, upstream: string): Promise<Nghttpx> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-nghttpx-'));
  const port = await freePort();
  const ends = [`--frontend=127.0.0.1,${port};no-tls`, `--backend=${upstream.replace(':', ',')}`];
  const quiet = ['--conf=/dev/null', '--accesslog-file=/dev/null', '--single-process', '--workers=1'];
  const pid = await startListener(cleanup, ['nghttpx', ...quiet, ...ends], port, folder);
  return { pid, port, service: 'nghttpx' };
}

/** GETs all of them over one connection, the first by `Upgrade: h2c`; the process that did, and the statuses by target. */
export async function runNghttp(
  origin: string,
  targets: readonly string[],
): Promise<{ readonly pid: number; readonly statuses: ReadonlyMap<string, number> }> {
  const args = ['--upgrade', '--null-out', '--stat', '--no-dep', ...targets.map((target) => `${origin}${target}`)];
  const child = spawn('nghttp', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child, 'close');
  const statuses = new Map<string, number>();
  // Its table of answers: …, status, size (as 39K) and target.
  for (const [, status, target] of output.matchAll(/ (\d{3}) +\w+ (\/\S*)$/gm)) statuses.set(target!, Number(status));
  if (statuses.size !== targets.length) throw new Error(`nghttp did not get what it asked for: ${output}`);
  return { pid: child.pid!, statuses };
}

export interface LoadOptions {
  readonly connections: number;
  /** At a time on each connection. */
  readonly streams: number;
}

/** Asks for each of these targets once on each connection; the process that did. Throws unless all are answered with a 2xx. */
export async function runH2load(
  origin: string,
  targets: readonly string[],
  { connections, streams }: LoadOptions,
): Promise<{ readonly pid: number }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-h2load-'));
  const list = path.join(folder, 'targets');
  writeFileSync(list, targets.map((target) => `${origin}${target}\n`).join(''));
  const each = connections * targets.length;
  const args = [`--requests=${each}`, `--clients=${connections}`, `--max-concurrent-streams=${streams}`, `--input-file=${list}`];
  const child = spawn('h2load', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child, 'close');
  rmSync(folder, { recursive: true, force: true });
  if (!output.includes(`${each} succeeded, 0 failed`)) throw new Error(`h2load did not get what it asked for: ${output}`);
  return { pid: child.pid! };
}
