// nghttpd, which serves files over HTTP/2, and h2load, which asks for many at a time.
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
