// Starts the servers and clients of this folder and turns what they report into the truth (truth.ts).
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { buildGoPeer, buildIo } from './build.ts';
import { serverCertificate } from './certificate.ts';
import { startProgram, type Cleanup, type Program, type StartOptions } from './program.ts';
import { isBodiless, type Exchange, type Party, type PlannedRequest } from './truth.ts';

const here = import.meta.dirname;

export type ServerKind = 'node' | 'go' | 'python' | 'asyncio' | 'gnutls' | 'openssl' | 'io';
export type ClientKind = 'node' | 'go' | 'python' | 'io';
export type Family = 'ipv4' | 'ipv6' | 'unix';

/** How c/io.c moves its bytes and who gets the socket; see there for the names. */
export interface IoWays {
  readonly handover: string;
  readonly sendHead: string;
  readonly sendBody: string;
  readonly receiveHead: string;
  readonly receiveBody: string;
}

export const plainWays: IoWays = {
  handover: 'inline',
  sendHead: 'write',
  sendBody: 'write',
  receiveHead: 'read',
  receiveBody: 'read',
};

export interface EchoServer {
  readonly kind: ServerKind;
  readonly pid: number;
  readonly service: string;
  readonly family: Family;
  /** `HOST:PORT` (IPv6 in brackets) or a path, as the clients take it. */
  readonly target: string;
  readonly port: number;
  /** Its clients use TLS. */
  readonly isSecure: boolean;
  readonly isHttp2: boolean;
  readonly program: Program;
  stop(): Promise<void>;
}

export interface ServerOptions extends StartOptions {
  readonly family?: Family;
  /** Socket path, with family `unix`. */
  readonly socketPath?: string;
  /** Instead of the loopback address of the family. */
  readonly host?: string;
  /** Instead of any free port. */
  readonly port?: number;
  readonly ways?: IoWays;
  /** What runs it in place of what usually does, of `node`. */
  readonly interpreter?: string;
  /** HTTPS; not with `io`. */
  readonly isSecure?: boolean;
  /** HTTP/2, without TLS by prior knowledge; only `node` and `go`. */
  readonly isHttp2?: boolean;
}

function ioArguments(role: 'server' | 'client', address: string, ways: IoWays): string[] {
  return [role, address, ways.handover, ways.sendHead, ways.sendBody, ways.receiveHead, ways.receiveBody];
}

function serverCommand(kind: ServerKind, options: ServerOptions): { command: string; args: string[]; service: string } {
  const { family = 'ipv4', port = 0 } = options;
  const host = options.host ?? (family === 'ipv6' ? '::1' : '127.0.0.1');
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const address = family === 'unix' ? options.socketPath! : `${bracketed}:${port}`;
  switch (kind) {
    case 'node': {
      const where = family === 'unix' ? [address] : [String(port), host];
      const script = options.isHttp2 === true ? 'http2-server' : 'echo-server';
      const { interpreter = process.execPath } = options;
      return { command: interpreter, args: [path.join(here, `node/${script}.mjs`), ...where], service: script };
    }
    case 'go':
      return { command: buildGoPeer(), args: ['server', address], service: 'go-peer' };
    case 'python':
    case 'asyncio':
    case 'gnutls':
    case 'openssl': {
      if (family !== 'ipv4') throw new Error(`the ${kind} server speaks IPv4 only`);
      const script = kind === 'python' ? 'echo_server' : `${kind}_server`;
      return { command: 'python3', args: [path.join(here, `python/${script}.py`), host, String(port)], service: script };
    }
    case 'io': {
      const where = family === 'unix' ? `unix:${address}` : `${family === 'ipv6' ? 'tcp6' : 'tcp4'}:${port}`;
      return { command: buildIo(), args: ioArguments('server', where, options.ways ?? plainWays), service: 'io' };
    }
  }
}

export async function startServer(cleanup: Cleanup, kind: ServerKind, options: ServerOptions = {}): Promise<EchoServer> {
  const { family = 'ipv4', isSecure = false, isHttp2 = false } = options;
  const { command, args, service } = serverCommand(kind, options);
  const env = { ...options.env, ...(isSecure ? certificateEnv() : {}), ...(isHttp2 ? { HTTP2: '1' } : {}) };
  const program = startProgram(cleanup, command, args, { ...options, env });
  const line = await program.next('listening');
  const port = Number(line['port'] ?? 0);
  const host = options.host ?? (family === 'ipv6' ? '[::1]' : '127.0.0.1');
  const target = family === 'unix' ? String(line['path']) : `${host}:${port}`;
  const pid = Number(line['pid']);
  return { kind, pid, service, family, target, port, isSecure, isHttp2, program, stop: () => program.stop() };
}

/** What makes the servers here speak TLS. */
export function certificateEnv(): Readonly<Record<string, string>> {
  const { certificate, key } = serverCertificate();
  return { TLS_CERTIFICATE: certificate, TLS_KEY: key };
}

export interface RunOptions {
  readonly connections?: number;
  /** Requests in one write, over HTTP/1.1 from the Node.js client. */
  readonly pipeline?: number;
  /** Requests at a time on each connection, over HTTP/2. */
  readonly streams?: number;
}

export interface EchoClient {
  readonly pid: number;
  readonly service: string;
  /** Makes the requests and returns what happened; throws when an answer is not the one that was asked for. */
  run(requests: readonly PlannedRequest[], options?: RunOptions): Promise<Exchange[]>;
  stop(): Promise<void>;
}

function clientCommand(
  kind: ClientKind,
  server: EchoServer,
  ways: IoWays,
  interpreter = process.execPath,
): { command: string; args: string[]; service: string } {
  const { target } = server;
  switch (kind) {
    case 'node': {
      const script = server.isHttp2 ? 'http2-client' : 'echo-client';
      return { command: interpreter, args: [path.join(here, `node/${script}.mjs`), target], service: script };
    }
    case 'go':
      return { command: buildGoPeer(), args: ['client', target], service: 'go-peer' };
    case 'python': {
      const colon = target.lastIndexOf(':');
      const host = target.slice(0, colon).replace(/^\[|\]$/g, '');
      return {
        command: 'python3',
        args: [path.join(here, 'python/echo_client.py'), host, target.slice(colon + 1)],
        service: 'echo_client',
      };
    }
    case 'io': {
      const where = server.family === 'unix' ? `unix:${target}` : `${server.family === 'ipv6' ? 'tcp6' : 'tcp4'}:${server.port}`;
      return { command: buildIo(), args: ioArguments('client', where, ways), service: 'io' };
    }
  }
}

export async function startClient(
  cleanup: Cleanup,
  kind: ClientKind,
  server: EchoServer,
  options: StartOptions & Pick<ServerOptions, 'ways' | 'interpreter'> = {},
): Promise<EchoClient> {
  const { command, args, service } = clientCommand(kind, server, options.ways ?? plainWays, options.interpreter);
  const env = { ...options.env, ...(server.isSecure ? { TLS: '1' } : {}), ...(server.isHttp2 ? { HTTP2: '1' } : {}) };
  const program = startProgram(cleanup, command, args, { ...options, env });
  const pid = Number((await program.next('ready'))['pid']);
  return {
    pid,
    service,
    stop: () => program.stop(),
    async run(requests, { connections = 1, pipeline = 1, streams = 1 } = {}) {
      if (kind === 'io') {
        for (const { id, method, target, bodySize } of requests) program.send(`${id} ${method} ${target} ${bodySize}`);
        program.send('done');
      } else {
        program.send(JSON.stringify({ requests, connections, pipeline, streams }));
      }
      const planned = new Map(requests.map((request) => [request.id, request]));
      const exchanges: Exchange[] = [];
      for (let i = 0; i < requests.length; i++) {
        const line = await program.next('exchange', 60_000);
        const request = planned.get(String(line['id']))!;
        const server_ = { pid: Number(line['serverPid'] ?? server.pid), service: server.service };
        const client = { pid: Number(line['clientPid'] ?? pid), service };
        const transport = server.family === 'unix' ? 'unix' : 'tcp';
        const exchange = (server.isHttp2 ? asExpectedOfStream : asExpected)(request, line, transport, server_, client);
        exchanges.push(exchange);
      }
      await program.next('done');
      return exchanges;
    },
  };
}

/** The truth of an exchange that went as planned. A generator that does not do what it says proves nothing: so it throws. */
export function asExpected(
  request: PlannedRequest,
  result: Readonly<Record<string, unknown>>,
  transport: 'tcp' | 'unix',
  server: Party | undefined,
  client: Party | undefined,
): Exchange {
  const { id, method, target, status, size, bodySize } = request;
  const responseBodySize = isBodiless(method, status) ? 0 : size;
  if (result['error'] !== undefined || result['status'] !== status || result['responseBodySize'] !== responseBodySize) {
    throw new Error(`the traffic did not go as planned: ${JSON.stringify({ request, result })}`);
  }
  return { id, method, target, status, requestBodySize: bodySize, responseBodySize, transport, server, client };
}

/** The same over HTTP/2, where the plan may be that an end resets the stream. */
function asExpectedOfStream(
  request: PlannedRequest,
  result: Readonly<Record<string, unknown>>,
  transport: 'tcp' | 'unix',
  server: Party,
  client: Party,
): Exchange {
  const { id, method, target, reset } = request;
  if (reset === undefined) return { ...asExpected(request, result, transport, server, client), version: '2' };
  // The head of an answer comes before a reset only if the plan says so.
  const status = reset.isWithin ? request.status : undefined;
  if (result['error'] === undefined || result['status'] !== status)
    throw new Error(`the traffic did not go as planned: ${JSON.stringify({ request, result })}`);
  const abort = [reset.error];
  const sizes = { requestBodySize: undefined, responseBodySize: undefined };
  return {
    ...{ id, method, target, status, ...sizes, transport, version: '2' },
    server: { ...server, abort },
    client: { ...client, abort },
  };
}

/** Whether c/io.c can use this feature (`uring`, `zerocopy`) on this kernel. */
export function canDo(feature: 'uring' | 'zerocopy'): boolean {
  return spawnSync(buildIo(), ['probe', feature]).status === 0;
}

/** A short random text that makes the ids of one test its own. */
export function newRun(): string {
  return Math.random().toString(36).slice(2, 10).padEnd(8, '0');
}
