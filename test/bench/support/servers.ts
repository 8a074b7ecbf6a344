// The observed servers: nginx, Node.js, Go and Python, each with answers of 200 bytes over connections that stay open.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { waitFor } from '../../e2e/wait.ts';
import { buildGoPeer } from '../../traffic/build.ts';
import { serverCertificate } from '../../traffic/certificate.ts';
import { freePort, isListening } from '../../traffic/listener.ts';
import { startProgram, type Cleanup } from '../../traffic/program.ts';
import { NUMBERED_ANSWERS, numberedAnswer, numberedFolder } from './numbered-answers.ts';
import { processTree } from './processes.ts';

const traffic = path.resolve(import.meta.dirname, '../../traffic');

export type ServerName = 'nginx' | 'node' | 'go' | 'python';

export interface Server {
  readonly port: number;
  /** Of the request. */
  readonly path: string;
  readonly pids: readonly number[];
  readonly isSecure: boolean;
}

export interface ServerOptions {
  /** HTTPS. */
  readonly isSecure?: boolean;
  /** Requests have numbers, and answers are those of numbered-answers.ts. Only nginx. */
  readonly isNumbered?: boolean;
}

/** `prefix` is put before the command, for instance `taskset -c 1`. */
export async function startServer(
  cleanup: Cleanup,
  name: ServerName,
  prefix: readonly string[] = [],
  { isSecure = false, isNumbered = false }: ServerOptions = {},
): Promise<Server> {
  const { certificate, key } = isSecure ? serverCertificate() : { certificate: '', key: '' };
  if (name === 'nginx') {
    const tls = isSecure ? `ssl_certificate ${certificate}; ssl_certificate_key ${key};` : '';
    return startNginx(cleanup, prefix, tls, isNumbered);
  }
  const commands = {
    node: [process.execPath, path.join(traffic, 'node/echo-server.mjs'), '0'],
    go: name === 'go' ? [buildGoPeer(), 'server', '127.0.0.1:0'] : [],
    python: ['python3', path.join(traffic, 'python/echo_server.py'), '127.0.0.1', '0'],
  } satisfies Record<string, string[]>;
  const [command = '', ...args] = commands[name];
  const env = isSecure ? { TLS_CERTIFICATE: certificate, TLS_KEY: key } : {};
  const program = startProgram(cleanup, command, args, { prefix, env });
  const { pid, port } = await program.next('listening');
  return { port: Number(port), path: '/echo?size=200', pids: [Number(pid)], isSecure };
}

/** The traffic generator's nginx answers 10 bytes and is made to be strange; here it is as lean as it gets, so that we weigh most. */
async function startNginx(cleanup: Cleanup, prefix: readonly string[], tls: string, isNumbered: boolean): Promise<Server> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-bench-nginx-'));
  const port = await freePort();
  const config = path.join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 65536;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 32768; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port}${tls === '' ? '' : ' ssl'};
    ${tls}
    default_type text/plain;
    ${isNumbered ? numberedLocations() : `location / { return 200 "${'x'.repeat(200)}"; }`}
  }
}
`,
  );
  const [file, ...args] = [...prefix, 'nginx', '-p', folder, '-c', config];
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  cleanup.after(async () => {
    child.kill('SIGTERM');
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });
  await waitFor('nginx to listen', () => isListening(port));
  const pids = await waitFor('the worker of nginx', () => {
    const tree = processTree(child.pid ?? 0);
    return tree.length > 1 && tree;
  });
  return { port, path: isNumbered ? '/#' : '/', pids, isSecure: tls !== '' };
}

function numberedLocations(): string {
  return Array.from({ length: NUMBERED_ANSWERS }, (_, number) => {
    const { status, size } = numberedAnswer(number);
    return `location ${numberedFolder(number)} { return ${status} "${'x'.repeat(size)}"; }`;
  }).join('\n    ');
}
