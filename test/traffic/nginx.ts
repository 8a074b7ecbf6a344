// A real nginx with a configuration of our own: static files by sendfile, fixed answers, and a reverse proxy with keep-alive.
import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serverCertificate } from './certificate.ts';
import { freePort, startListener } from './listener.ts';
import type { Cleanup } from './program.ts';

export interface Nginx {
  readonly port: number;
  readonly masterPid: number;
  readonly service: 'nginx';
}

export interface NginxOptions {
  /** `host:port` or `unix:/path` behind `/echo`. */
  readonly upstream?: string;
  /** `host:port` that gRPC calls go to. */
  readonly callUpstream?: string;
  readonly workers?: number;
  /** HTTPS. */
  readonly isSecure?: boolean;
  /** HTTP/2, without TLS by prior knowledge. */
  readonly isHttp2?: boolean;
  /** `upstream` speaks HTTPS. */
  readonly isUpstreamSecure?: boolean;
  /** Name and size of files under `/files/`. */
  readonly files?: Readonly<Record<string, number>>;
}

function configuration(folder: string, port: number, options: NginxOptions): string {
  const { upstream, callUpstream, workers = 1, isSecure = false, isHttp2 = false, isUpstreamSecure = false } = options;
  const { certificate, key } = isSecure ? serverCertificate() : { certificate: '', key: '' };
  return `daemon off;
user root;
worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  keepalive_timeout 1h;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 0;
  large_client_header_buffers 4 16k;
  ${isHttp2 ? 'http2_max_concurrent_streams 512;' : ''}
  ${upstream === undefined ? '' : `upstream backend { server ${upstream}; keepalive 16; }`}
  ${callUpstream === undefined ? '' : `upstream calls { server ${callUpstream}; keepalive 16; }`}
  server {
    listen 127.0.0.1:${port}${isSecure ? ' ssl' : ''}${isHttp2 ? ' http2' : ''};
    ${isSecure ? `ssl_certificate ${certificate}; ssl_certificate_key ${key};` : ''}
    # Names the worker that answers; the upstream's own server-pid passes through.
    add_header Nginx-Pid $pid always;
    location /files/ { root ${folder}; }
    ${callUpstream === undefined ? '' : 'location /usm.test.Echo/ { grpc_pass grpc://calls; }'}
    location /fixed { default_type text/plain; return 200 "0123456789"; }
    ${
      upstream === undefined
        ? ''
        : `location /echo {
      proxy_pass ${isUpstreamSecure ? 'https' : 'http'}://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
    }`
    }
  }
}
`;
}

export async function startNginx(cleanup: Cleanup, options: NginxOptions = {}): Promise<Nginx> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-nginx-'));
  mkdirSync(path.join(folder, 'files'));
  for (const [name, size] of Object.entries(options.files ?? {}))
    writeFileSync(path.join(folder, 'files', name), Buffer.alloc(size, 'f'));
  const port = await freePort();
  const config = path.join(folder, 'nginx.conf');
  writeFileSync(config, configuration(folder, port, options));
  const pid = await startListener(cleanup, ['nginx', '-p', folder, '-c', config], port, folder);
  return { port, masterPid: pid, service: 'nginx' };
}
