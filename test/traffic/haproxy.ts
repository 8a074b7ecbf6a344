// A real HAProxy that ends TLS and goes on in plain text, or in TLS again.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serverCertificate } from './certificate.ts';
import { freePort, startListener } from './listener.ts';
import type { Cleanup } from './program.ts';

export interface Haproxy {
  readonly port: number;
  readonly pid: number;
  readonly service: 'haproxy';
}

export interface HaproxyOptions {
  /** `host:port` */
  readonly upstream: string;
  readonly isUpstreamSecure: boolean;
}

export async function startHaproxy(cleanup: Cleanup, { upstream, isUpstreamSecure }: HaproxyOptions): Promise<Haproxy> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-haproxy-'));
  const { certificate, key } = serverCertificate();
  const both = path.join(folder, 'both.pem');
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  const port = await freePort();
  const config = path.join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend front
  bind 127.0.0.1:${port} ssl crt ${both} alpn http/1.1
  default_backend back
backend back
  http-reuse always
  server upstream ${upstream} ${isUpstreamSecure ? 'ssl verify none alpn http/1.1' : ''}
`,
  );
  const pid = await startListener(cleanup, ['haproxy', '-db', '-f', config], port, folder);
  return { port, pid, service: 'haproxy' };
}
