// A request from its head on. Whoever is to be hung under its span asks for the span's context before the exchange has ended. A protocol may
// leave it to another to be answered.
import type { ConnectionInfo } from './connection.ts';
import type { ProcessId } from './process.ts';
import type { IoContext } from './thread-context.ts';
import type { SpanContext } from './trace.ts';
import type { HttpRequest, Nanoseconds } from './transaction.ts';

export interface Exchange {
  readonly connection: ConnectionInfo;
  /** Who moved the first byte of the request. */
  readonly process: ProcessId;
  /** Position of the request's first byte in its stream: the same on both ends of the connection. */
  readonly position: number;
  readonly request: HttpRequest;
  /** Answered, or given up: nothing more is hung under it. */
  isOver: boolean;
  /** A server's: the client's exchange at the other end of the connection, where that is observed too. */
  otherEnd: Exchange | undefined;
  /** A client's: the request that this one was made to serve. Undefined where that is not known. */
  servedBy: Exchange | undefined;
  /** What the thread that moved the request's first byte had published; undefined where that is not known, or not of this request alone. */
  requestContext: IoContext | undefined;
  /** The same of the final response's first byte. */
  responseContext: IoContext | undefined;
  /** Undefined until somebody has asked. */
  spanContext: SpanContext | undefined;
}

/** A request of which not everything is known yet. */
export type OpenRequest = { -readonly [K in keyof HttpRequest]: HttpRequest[K] };

/** A request on its way to an answer, as the protocol knows it that follows it. */
export interface OpenExchange extends Exchange {
  readonly start: Nanoseconds;
  readonly request: OpenRequest;
  readonly isConnect: boolean;
  /** 0 until the final response's head is whole, or while its status is not known. */
  statusCode: number;
  /** Who moved the first byte of the final response. */
  answeredBy: ProcessId | undefined;
}

/**
 * What the application's thread said of an exchange: a client's as it wrote the request, a server's as it wrote the response. What a server's
 * thread says as it reads the request may still be of the one before.
 */
export function threadContextOf({ connection, requestContext, responseContext }: Exchange): IoContext | undefined {
  if (connection.role !== 'client') return responseContext;
  return requestContext?.isOfServersAlone === true ? undefined : requestContext;
}
