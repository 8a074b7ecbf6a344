// Runs curl once: a process that ends the moment it has its answer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { StartOptions } from './program.ts';

export interface CurlResult {
  readonly pid: number;
  /** 000 as 0: no answer. */
  readonly status: number;
  readonly responseBodySize: number;
  /** Of the last response: `1.1`, `2`. */
  readonly version: string;
  /** Lower-case names; of the last response. */
  readonly headers: ReadonlyMap<string, string>;
  readonly exitCode: number;
}

export interface CurlOptions extends StartOptions {
  readonly method?: string;
  readonly bodySize?: number;
  readonly args?: readonly string[];
}

export async function curl(url: string, options: CurlOptions = {}): Promise<CurlResult> {
  const { method = 'GET', bodySize = 0 } = options;
  const verb = method === 'HEAD' ? ['--head'] : ['--request', method];
  const body = bodySize > 0 ? ['--data-binary', '@-', '--header', 'Expect:'] : [];
  const output = [
    '--silent',
    '--output',
    '/dev/null',
    '--dump-header',
    '-',
    '--write-out',
    '%{http_code} %{size_download} %{http_version}',
  ];
  const args = [...output, ...verb, ...body, ...(options.args ?? []), url];
  const [file, ...rest] = [...(options.prefix ?? []), 'curl', ...args] as [string, ...string[]];
  const child = spawn(file, rest, { stdio: 'pipe', env: { ...process.env, ...options.env } });
  let written = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text));
  child.stderr.resume();
  child.stdin.on('error', () => {}); // curl need not read it
  child.stdin.end(Buffer.alloc(bodySize, 'x'));
  const [exitCode] = (await once(child, 'close')) as [number];
  // The heads of all answers (1xx too), then the line that --write-out makes.
  const parts = written.split('\r\n\r\n');
  const [status, size, version = ''] = parts.at(-1)!.split(' ');
  const last = parts.at(-2) ?? '';
  const headers = new Map<string, string>();
  for (const line of last.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const responseBodySize = method === 'HEAD' ? 0 : Number(size);
  return { pid: child.pid!, status: Number(status), responseBodySize, version, headers, exitCode };
}
