// Starts the gRPC servers and clients of this folder and turns what they report into the truth (truth.ts).
import path from 'node:path';
import { buildCppGrpcPeer, buildGrpcPeer, buildJavaGrpcPeer, fetchPython } from './build.ts';
import { serverCertificate } from './certificate.ts';
import { startProgram, type Cleanup, type StartOptions } from './program.ts';
import { certificateEnv } from './traffic.ts';
import type { Exchange } from './truth.ts';

const here = import.meta.dirname;

export type CallPeer = 'go' | 'node' | 'python' | 'cpp' | 'java';

/** How many messages either end sends: unary one and one, `server` and `client` many of that end, `bidi` one for each that comes. */
export type Shape = 'unary' | 'server' | 'client' | 'bidi';

/** By number (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
export const statusNames: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;

/** A call to make; the programs' plan lines hold these (README.md). */
export interface PlannedCall {
  readonly id: string;
  /** `package.Service/Method` */
  readonly method: string;
  readonly shape: Shape;
  /** Messages of the client, and the bytes of each. */
  readonly requests: number;
  readonly requestSize: number;
  /** The same of the server. */
  readonly responses: number;
  readonly size: number;
  readonly code: number;
  /** What the server is asked to do, as a query. */
  readonly plan: string;
  /** Milliseconds that the client gives a call of which the server takes longer. */
  readonly deadline?: number;
  /** The client cancels at the first answer, while the server holds back its status. */
  readonly cancel?: boolean;
}

interface CallOptions {
  readonly shape?: Shape;
  readonly requests?: number;
  readonly requestSize?: number;
  readonly responses?: number;
  readonly size?: number;
  readonly code?: number;
}

export function planCall(id: string, options: CallOptions = {}): PlannedCall {
  const { shape = 'unary', requests = 1, requestSize = 100, size = 100, code = 0 } = options;
  const responses = options.responses ?? (shape === 'bidi' ? requests : code === 0 || shape === 'server' ? 1 : 0);
  const messages = shape === 'bidi' ? 'each=1' : `messages=${responses}`;
  const method = `usm.test.Echo/${id}`;
  return { id, method, shape, requests, requestSize, responses, size, code, plan: `${messages}&size=${size}&code=${code}` };
}

/** `count` calls of every shape with every status in turn, with ids `<run>-0`, … */
export function planCalls(run: string, count: number): PlannedCall[] {
  const kinds: readonly CallOptions[] = [
    {},
    { requestSize: 0, size: 0 },
    { shape: 'server', responses: 5 },
    { shape: 'client', requests: 5 },
    { shape: 'bidi', requests: 5 },
    { requestSize: 70_000, size: 70_000 },
    { shape: 'server', responses: 3, size: 40_000 },
    { shape: 'bidi', requests: 3, requestSize: 20_000, size: 20_000 },
  ];
  const calls: PlannedCall[] = [];
  for (let i = 0; i < count; i++) {
    const id = `${run}-${i}`;
    // Of the failing ones, which are every third, each shape with each status: trailers alone, and trailers behind messages.
    const code = i % 3 === 2 ? 1 + (((i - 2) / 3) % 16) : 0;
    if (code === 0) calls.push(planCall(id, kinds[i % kinds.length]));
    else if (i % 2 === 0) calls.push(planCall(id, { code }));
    else calls.push(planCall(id, { ...kinds[i % kinds.length], code }));
  }
  return calls;
}

/** Calls that the client breaks off: in turn by a deadline and by cancelling behind the first answer. */
export function planBroken(run: string, count: number): PlannedCall[] {
  return Array.from({ length: count }, (_, i) => {
    const call = planCall(`${run}-${i}`, { shape: i % 4 === 1 ? 'bidi' : 'server' });
    if (i % 2 === 0) return { ...call, shape: 'unary', plan: 'delay=20000', code: DEADLINE_EXCEEDED, deadline: 200 };
    return { ...call, plan: `${call.plan}&hold=1`, code: CANCELLED, cancel: true };
  });
}

export interface CallServer {
  readonly pid: number;
  readonly service: string;
  /** `HOST:PORT` */
  readonly target: string;
  readonly isSecure: boolean;
  /** Before they are called: gives these methods to a server that cannot answer to any. */
  register?(calls: readonly PlannedCall[]): Promise<void>;
}

function commandOf(
  kind: CallPeer,
  role: 'server' | 'client',
  address: string,
): { command: string; args: string[]; service: string } {
  switch (kind) {
    case 'go':
      return { command: buildGrpcPeer(), args: [role, address], service: 'grpc-peer' };
    case 'node':
      return { command: process.execPath, args: [path.join(here, `node/grpc-${role}.mjs`), address], service: `grpc-${role}` };
    case 'python':
      return { command: 'python3', args: [path.join(here, `python/grpc_${role}.py`), address], service: `grpc_${role}` };
    case 'cpp':
      return { command: buildCppGrpcPeer(), args: [role, address], service: 'grpc-peer-cpp' };
    case 'java': {
      const folder = buildJavaGrpcPeer();
      const machine = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${folder}:${folder}/*`];
      return { command: 'java', args: [...machine, 'GrpcPeer', role, address], service: 'GrpcPeer' };
    }
  }
}

function envOf(kind: CallPeer): Readonly<Record<string, string>> {
  return kind === 'python' ? { PYTHONPATH: fetchPython('grpc') } : {};
}

export async function startCallServer(
  cleanup: Cleanup,
  kind: CallPeer,
  options: StartOptions & { readonly isSecure?: boolean } = {},
): Promise<CallServer> {
  const { isSecure = false } = options;
  const { command, args, service } = commandOf(kind, 'server', '127.0.0.1:0');
  const env = { ...options.env, ...envOf(kind), ...(isSecure ? certificateEnv() : {}) };
  const program = startProgram(cleanup, command, args, { ...options, env });
  const line = await program.next('listening');
  return {
    ...{ pid: Number(line['pid']), service, target: `127.0.0.1:${String(line['port'])}`, isSecure },
    async register(calls) {
      if (kind !== 'node') return;
      program.send(JSON.stringify({ methods: calls.map(({ method }) => method) }));
      await program.next('registered');
    },
  };
}

export interface CallClient {
  readonly pid: number;
  readonly service: string;
  /** Makes the calls and returns what happened; throws when an answer is not the one that was asked for. */
  run(calls: readonly PlannedCall[], options?: { readonly connections?: number; readonly streams?: number }): Promise<Exchange[]>;
  stop(): Promise<void>;
}

export async function startCallClient(
  cleanup: Cleanup,
  kind: CallPeer,
  server: CallServer,
  options: StartOptions = {},
): Promise<CallClient> {
  const { command, args, service } = commandOf(kind, 'client', server.target);
  const secure = server.isSecure ? { TLS: '1', TLS_CERTIFICATE: serverCertificate().certificate } : {};
  const program = startProgram(cleanup, command, args, { ...options, env: { ...options.env, ...envOf(kind), ...secure } });
  const pid = Number((await program.next('ready'))['pid']);
  return {
    pid,
    service,
    stop: () => program.stop(),
    async run(calls, { connections = 1, streams = 1 } = {}) {
      await server.register?.(calls);
      program.send(JSON.stringify({ calls, connections, streams }));
      const planned = new Map(calls.map((call) => [call.id, call]));
      const exchanges: Exchange[] = [];
      for (let i = 0; i < calls.length; i++) {
        const line = await program.next('call', 60_000);
        const call = planned.get(String(line['id']))!;
        // A server that ends the call at its deadline may reset the stream, which the client takes for CANCELLED.
        const isCut = call.deadline !== undefined && line['code'] === CANCELLED;
        if (line['code'] !== call.code && !isCut)
          throw new Error(`the call did not go as planned: ${JSON.stringify({ call, line })}`);
        exchanges.push(exchangeOf(call, { pid: server.pid, service: server.service }, { pid, service }));
      }
      await program.next('done');
      return exchanges;
    },
  };
}

/** Each message has a prefix of five bytes. */
const PREFIX = 5;

function exchangeOf(call: PlannedCall, server: Exchange['server'], client: Exchange['client']): Exchange {
  const { id, method, requests, requestSize, responses, size, code, deadline, cancel } = call;
  const isBroken = deadline !== undefined || cancel === true;
  // What either end makes of a deadline may cross the other's; a cancelled call has no status.
  const statuses = deadline !== undefined ? [undefined, statusNames[code]] : [cancel === true ? undefined : statusNames[code]];
  return {
    ...{ id, method: 'POST', target: `/${method}`, status: undefined, transport: 'tcp', version: '2', server, client },
    requestBodySize: isBroken ? undefined : requests * (PREFIX + requestSize),
    responseBodySize: isBroken ? undefined : responses * (PREFIX + size),
    call: { method, statuses },
  };
}
