// A handler → a small HTTP server for operators: GET only, no bodies, few connections, and errors that say what to do.
import type * as http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { messageOf, ReceiverError } from '../errors.ts';

// An import of it asks for everything that the module exports, and with that loads a client that takes as long as a fifth of our start.
const { createServer } = createRequire(import.meta.url)('node:http') as typeof http;

export interface ListenAddress {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** 0: one that is free. */
  readonly port: number;
}

export interface HttpQuestion {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type HttpHandler = (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>;

export interface HttpServer {
  /** `host:port`, as it was bound. */
  readonly address: string;
  readonly port: number;
  /** Ends open connections. May be called twice. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 32;
const MAX_HEAD_BYTES = 8192;
const REQUEST_TIMEOUT_MS = 5_000;

/** `owner` is what the user knows it by: `extension "zpages"`. Throws a ReceiverError when it cannot listen. */
export async function serveHttp(owner: string, listen: ListenAddress, handler: HttpHandler): Promise<HttpServer> {
  const server = createServer(
    { maxHeaderSize: MAX_HEAD_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      void answer(handler, request, response);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new ReceiverError(
          'USM_LISTEN',
          { attempted: `serve ${owner} on`, on: formatAddress(listen.host ?? '', listen.port), happened: messageOf(cause) },
          cause,
        ),
      );
    });
    server.listen({ ...(listen.host === undefined ? {} : { host: listen.host }), port: listen.port }, resolve);
  });
  // What fails later fails on one connection, which Node.js ends.
  server.on('error', () => undefined);
  const { address, port } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    address: formatAddress(address, port),
    port,
    close: () => {
      closed ??= new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

export function json(status: number, value: unknown): HttpAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

export function text(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

async function answer(handler: HttpHandler, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => {
    gone.abort();
  });
  const { status, contentType, body, headers } = await handle(handler, request, gone.signal);
  if (response.destroyed) return;
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': contentType, 'content-length': length, 'cache-control': 'no-store', ...headers });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function handle(handler: HttpHandler, request: http.IncomingMessage, signal: AbortSignal): Promise<HttpAnswer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...text(405, 'only GET\n'), headers: { allow: 'GET, HEAD', connection: 'close' } };
  }
  const url = URL.parse(request.url ?? '', 'http://localhost');
  if (url === null) return text(400, 'the request target is no path\n');
  try {
    return await handler({ path: url.pathname, query: url.searchParams, signal });
  } catch (error) {
    return text(500, `${messageOf(error)}\n`);
  }
}

function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
