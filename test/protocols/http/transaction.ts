// A plain GET over TCP from 10.0.0.2 to 10.0.0.1:8080, and a gRPC call over the same, to be varied.
import type { ConnectionInfo } from '../../../receiver/model/connection.ts';
import type { HttpRequest, Transaction } from '../../../receiver/model/transaction.ts';

export interface Variation {
  readonly role?: Transaction['role'];
  readonly secure?: boolean;
  readonly request?: Partial<HttpRequest>;
  /** A status code; 0: no response was seen. */
  readonly status?: number;
  readonly responseSize?: number | undefined;
  readonly abort?: Transaction['abort'];
  readonly reset?: Transaction['reset'];
  readonly rpc?: Transaction['rpc'];
  readonly connection?: Partial<ConnectionInfo>;
}

const process = { pid: 4242, startTime: 1_000_000 };
const client = { address: '10.0.0.2', port: 50_000 };
const server = { address: '10.0.0.1', port: 8080 };

export function transactionOf(variation: Variation = {}): Transaction {
  const role = variation.role ?? 'server';
  const status = variation.status ?? 200;
  const connection: ConnectionInfo = {
    id: 1,
    transport: 'tcp',
    ipVersion: 4,
    role,
    roleEvidence: 'tcp_state',
    local: role === 'server' ? server : client,
    peer: role === 'server' ? client : server,
    networkNamespace: 1,
    pair: '',
    isFromStart: true,
    openedBy: process,
    ...variation.connection,
  };
  const request: HttpRequest = {
    method: 'GET',
    target: '/',
    version: '1.1',
    scheme: undefined,
    protocol: undefined,
    host: 'shop.example',
    userAgent: undefined,
    traceparent: undefined,
    tracestate: undefined,
    forwarded: undefined,
    xForwardedFor: undefined,
    xForwardedProto: undefined,
    contentType: undefined,
    connectVersion: undefined,
    bodySize: 0,
    ...variation.request,
  };
  return {
    kind: 'http',
    exchange: {
      connection,
      process,
      position: 0,
      request,
      isOver: true,
      otherEnd: undefined,
      servedBy: undefined,
      requestContext: undefined,
      responseContext: undefined,
      spanContext: undefined,
    },
    connection,
    role,
    secure: variation.secure ?? false,
    process,
    requestPosition: 0,
    start: 1_000,
    end: 2_500,
    request,
    response:
      status === 0 ? undefined : { statusCode: status, bodySize: 'responseSize' in variation ? variation.responseSize : 12 },
    abort: variation.abort,
    reset: variation.reset,
    rpc: variation.rpc,
  };
}

/** A call of helloworld.Greeter/SayHello. `statusCode`: what `grpc-status` said. */
export function callOf(variation: Variation = {}, statusCode?: number): Variation {
  return {
    ...variation,
    request: {
      method: 'POST',
      target: '/helloworld.Greeter/SayHello',
      version: '2',
      scheme: 'http',
      host: 'greeter.example:50051',
      contentType: 'application/grpc',
      ...variation.request,
    },
    rpc: { system: 'grpc', statusCode, requestMessages: undefined, responseMessages: undefined },
  };
}
