// One stream that a client opened: a request on its way to an answer, and the Transaction made of the two. RFC 9113, 8.
import type { ConnectionInfo } from '../../model/connection.ts';
import type { OpenExchange, OpenRequest } from '../../model/exchange.ts';
import type { ProcessId } from '../../model/process.ts';
import type { Side } from '../../model/protocol.ts';
import type { Abort, HttpRequest, Nanoseconds, RpcCall, Transaction } from '../../model/transaction.ts';
import { transactionOf } from '../http/exchange.ts';
import { Field } from './fields.ts';
import type { HeaderList } from './header-list.ts';

/** A size that is not known, because bytes were lost or the padding was not seen. */
export const UNKNOWN_SIZE = -1;

/** Bits of {@link StreamExchange.doubt}. */
export const Doubt = { request: 1, response: 2 } as const;

/** 'unknown': the content type was not known. */
type GrpcVerdict = 'yes' | 'no' | 'unknown';

export interface StreamExchange extends OpenExchange {
  readonly stream: number;
  grpc: GrpcVerdict;
  /** A response head has come whose status is not known: it may have been the final one. */
  isStatusUnknown: boolean;
  /** Text of `grpc-status`. */
  grpcStatus: string | undefined;
  /** It may have been in a field that is not known. */
  isGrpcStatusUnknown: boolean;
  /** Payload so far. */
  requestSize: number;
  responseSize: number;
  isRequestOver: boolean;
  isResponseOver: boolean;
  /** Of the response body as its head tells it; {@link UNKNOWN_SIZE} if it does not. */
  responseLength: number;
  /** When so much of it had come: a client may leave without reading that the stream has ended. */
  wholeAt: Nanoseconds | undefined;
  /** Response bytes were lost since it was opened. */
  isResponseLossy: boolean;
  /** Sides whose bytes were lost in which it may have ended, and that have said nothing of it since: {@link Doubt}. */
  doubt: number;
  /** Since when nothing was seen of it, if it is in doubt. */
  doubtSince: Nanoseconds;
}

export type RequestVerdict = 'good' | 'header_unknown' | 'malformed_message' | 'head_too_large';

/** Can an exchange be told of this request head? */
export function judgeRequest(list: HeaderList): RequestVerdict {
  if (list.isTooLarge) return 'head_too_large';
  if (list.isMalformed || list.has(Field.status)) return 'malformed_message';
  // The trace that it may belong to is not known, and nobody else's span may stand beside an SDK's.
  if (list.hasUnknownTraceparent && !list.has(Field.traceparent)) return 'header_unknown';
  const missing = list.hasUnknown ? 'header_unknown' : 'malformed_message';
  const method = list.get(Field.method);
  if (method === undefined || method === '') return missing;
  const path = list.get(Field.path);
  if (path === '') return 'malformed_message';
  if (path !== undefined) return 'good';
  // Only a plain CONNECT has no path, and its target is the authority. Whether it is one shows only if all is known.
  const isTunnel = method === 'CONNECT' && !list.hasUnknown && !list.has(Field.protocol) && list.has(Field.authority);
  return isTunnel ? 'good' : missing;
}

export function openExchange(
  list: HeaderList,
  connection: ConnectionInfo,
  stream: number,
  position: number,
  start: Nanoseconds,
  process: ProcessId,
): StreamExchange {
  const method = list.get(Field.method) ?? '';
  const authority = list.get(Field.authority);
  const contentType = list.get(Field.contentType);
  const request: OpenRequest = {
    method,
    target: list.get(Field.path) ?? authority ?? '',
    version: '2',
    scheme: list.get(Field.scheme),
    protocol: list.get(Field.protocol),
    host: authority ?? list.get(Field.host),
    userAgent: list.get(Field.userAgent),
    traceparent: list.get(Field.traceparent),
    tracestate: list.get(Field.tracestate),
    forwarded: list.get(Field.forwarded),
    xForwardedFor: list.get(Field.xForwardedFor),
    xForwardedProto: list.get(Field.xForwardedProto),
    contentType,
    connectVersion: list.get(Field.connectVersion),
    bodySize: undefined,
  };
  const isTypeUnknown = contentType === undefined && list.hasUnknown;
  const mayBeCall = isTypeUnknown && method === 'POST' && isCallPath(request.target);
  const grpc = mayBeCall ? 'unknown' : isGrpcType(contentType) ? 'yes' : 'no';
  return exchangeOf(connection, stream, position, start, process, request, grpc);
}

/**
 * The request of HTTP/1.1 that a connection was upgraded with is stream 1, which its client has ended (RFC 7540, 3.2); the version is what
 * was negotiated. The object stays the same, because others hold on to it.
 */
export function continueExchange(exchange: OpenExchange): StreamExchange {
  const { connection, position, start, process, request } = exchange;
  request.version = '2';
  const grpc = isGrpcType(request.contentType) ? 'yes' : 'no';
  const stream = exchangeOf(connection, 1, position, start, process, request, grpc);
  return Object.assign(exchange, { ...stream, ...exchange, isRequestOver: true });
}

/** What is still known of the last exchange of an idle connection, for those who ask what connections are for. */
export function pastExchange(connection: ConnectionInfo, request: HttpRequest, process: ProcessId): StreamExchange {
  const exchange = exchangeOf(connection, 0, 0, 0, process, request, isGrpcType(request.contentType) ? 'yes' : 'no');
  exchange.isOver = true;
  return exchange;
}

function exchangeOf(
  connection: ConnectionInfo,
  stream: number,
  position: number,
  start: Nanoseconds,
  process: ProcessId,
  request: OpenRequest,
  grpc: GrpcVerdict,
): StreamExchange {
  return {
    connection,
    position,
    start,
    process,
    stream,
    isOver: false,
    otherEnd: undefined,
    servedBy: undefined,
    requestContext: undefined,
    responseContext: undefined,
    spanContext: undefined,
    request,
    isConnect: request.method === 'CONNECT',
    grpc,
    statusCode: 0,
    isStatusUnknown: false,
    grpcStatus: undefined,
    isGrpcStatusUnknown: false,
    answeredBy: undefined,
    requestSize: 0,
    responseSize: 0,
    isRequestOver: false,
    isResponseOver: false,
    responseLength: UNKNOWN_SIZE,
    wholeAt: undefined,
    isResponseLossy: false,
    doubt: 0,
    doubtSince: start,
  };
}

const GRPC = 'application/grpc';

/** gRPC, but not gRPC-Web. */
function isGrpcType(type: string | undefined): boolean {
  if (type?.startsWith(GRPC) !== true) return false;
  const next = type.charAt(GRPC.length);
  return next === '' || next === '+' || next === ';' || next === ' ';
}

/** `/service/method`, which is the path of every call. */
function isCallPath(path: string): boolean {
  return path.indexOf('/', 1) > 1 && !path.includes('?');
}

/** Bytes of `side` were lost: the stream may have ended in them, and what was being counted cannot be. */
export function markLossy(exchange: StreamExchange, side: Side, time: Nanoseconds): void {
  exchange.doubtSince = time;
  if (side === 'request') {
    exchange.doubt |= Doubt.request;
    if (!exchange.isRequestOver) exchange.requestSize = UNKNOWN_SIZE;
    return;
  }
  if (!exchange.isResponseOver) exchange.doubt |= Doubt.response;
  exchange.isResponseLossy = true;
  if (exchange.statusCode !== 0 || exchange.isStatusUnknown) exchange.responseSize = UNKNOWN_SIZE;
}

/** A final response's head says of what type it is: of a call's answer the same as its request. */
export function noteResponseType(exchange: StreamExchange, list: HeaderList): void {
  if (exchange.grpc !== 'unknown') return;
  const type = list.get(Field.contentType);
  if (type !== undefined) exchange.grpc = isGrpcType(type) ? 'yes' : 'no';
  else if (!list.hasUnknown) exchange.grpc = 'no';
}

/** How long the body is. A tunnel has none, and a call ends with its status. */
export function noteResponseLength(exchange: StreamExchange, list: HeaderList): void {
  const length = list.get(Field.contentLength);
  if (length === undefined || exchange.isConnect || exchange.grpc !== 'no' || !/^\d{1,15}$/.test(length)) return;
  exchange.responseLength = Number(length);
}

/** The status of a call comes with the fields that end its answer. `isHead`: they are its head, too. */
export function noteLastFields(exchange: StreamExchange, list: HeaderList, isHead: boolean): void {
  exchange.grpcStatus = list.get(Field.grpcStatus);
  exchange.isGrpcStatusUnknown = exchange.grpcStatus === undefined && list.hasUnknown;
  // Behind a body only gRPC has them; gRPC-Web may have them in a head.
  if (exchange.grpc === 'unknown' && !isHead && !exchange.isGrpcStatusUnknown) {
    exchange.grpc = exchange.grpcStatus === undefined ? 'no' : 'yes';
  }
}

/** The answer ends with its body, as that of a call never does: its status comes behind. */
export function noteLastData(exchange: StreamExchange): void {
  if (exchange.grpc === 'unknown') exchange.grpc = 'no';
}

/** What it came to cannot be told, because fields that decide it are not known. */
export function isOutcomeUnknown(exchange: StreamExchange): boolean {
  if (exchange.grpc === 'unknown') return true;
  if (exchange.statusCode === 0 && exchange.isStatusUnknown) return true;
  return exchange.grpc === 'yes' && exchange.isGrpcStatusUnknown;
}

function rpcOf(exchange: StreamExchange): RpcCall | undefined {
  if (exchange.grpc !== 'yes') return undefined;
  const { grpcStatus } = exchange;
  const statusCode = grpcStatus !== undefined && /^\d{1,9}$/.test(grpcStatus) ? Number(grpcStatus) : undefined;
  // The prefixes of messages are in the payload, which is not read.
  return { system: 'grpc', statusCode, requestMessages: undefined, responseMessages: undefined };
}

export function toTransaction(
  exchange: StreamExchange,
  end: Nanoseconds,
  abort: Abort | undefined,
  reset: string | undefined,
): Transaction {
  const { responseSize } = exchange;
  const bodySize = exchange.isResponseOver && responseSize !== UNKNOWN_SIZE ? responseSize : undefined;
  return transactionOf(exchange, end, bodySize, abort, reset, rpcOf(exchange));
}
