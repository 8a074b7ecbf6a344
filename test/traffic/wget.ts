// Runs wget once: a client of GnuTLS, that ends the moment it has its answer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface WgetResult {
  readonly pid: number;
  /** 0: no answer. */
  readonly status: number;
  readonly responseBodySize: number;
}

export async function wget(url: string, options: { readonly method: string; readonly bodySize: number }): Promise<WgetResult> {
  const { method, bodySize } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-wget-'));
  const body = path.join(folder, 'body');
  writeFileSync(body, Buffer.alloc(bodySize, 'x'));
  const output = ['--no-config', '--no-hsts', '--no-check-certificate', '--tries=1', '--quiet', '--server-response'];
  const what = [`--method=${method}`, ...(bodySize > 0 ? [`--body-file=${body}`] : []), '--content-on-error'];
  // Not to a pipe, which is a UNIX socket here, over which something that looks like HTTP would go.
  const answer = path.join(folder, 'answer');
  const child = spawn('wget', [...output, ...what, `--output-document=${answer}`, url], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  const responseBodySize = existsSync(answer) ? statSync(answer).size : 0;
  rmSync(folder, { recursive: true });
  return { pid: child.pid!, status: Number(/^ *HTTP\/1\.1 (\d+)/m.exec(said)?.[1] ?? 0), responseBodySize };
}
