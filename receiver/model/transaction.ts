// A request and what became of it. The unit of the ledger: every transaction is exported or counted under a reason.
import type { ConnectionInfo, Role } from './connection.ts';
import type { Exchange } from './exchange.ts';
import type { ProcessId } from './process.ts';

/** Nanoseconds since the receiver started; may be negative for what the kernel stamped before. */
export type Nanoseconds = number;

/** Why an exchange ended before its response did. */
export type Abort = 'connection_reset' | 'connection_closed' | 'process_exited';

/**
 * Fields as on the wire, optional whitespace around them removed. Text is decoded as UTF-8 with U+FFFD for ill-formed bytes, so every
 * string is well-formed; an absent field is `undefined`.
 */
export interface HttpRequest {
  /** As on the wire, case kept. */
  readonly method: string;
  /** Request target as on the wire: origin-, absolute-, authority- or asterisk-form (RFC 9112, 3.2). */
  readonly target: string;
  /** '1.0', '1.1', '2'. */
  readonly version: string;
  /** `:scheme` of HTTP/2. */
  readonly scheme: string | undefined;
  /** `:protocol` of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  readonly traceparent: string | undefined;
  /** Several tracestate fields are joined with commas. */
  readonly tracestate: string | undefined;
  readonly forwarded: string | undefined;
  readonly xForwardedFor: string | undefined;
  readonly xForwardedProto: string | undefined;
  /** Of the request body. */
  readonly contentType: string | undefined;
  /** `Connect-Protocol-Version`, of a unary call of Connect (https://connectrpc.com/docs/protocol/). */
  readonly connectVersion: string | undefined;
  /** Payload bytes seen, without framing; `undefined` when the end of the body was not reached or bytes were lost in it. */
  readonly bodySize: number | undefined;
}

export interface HttpResponse {
  readonly statusCode: number;
  /** As in {@link HttpRequest.bodySize}. */
  readonly bodySize: number | undefined;
}

/** A call of a remote procedure that the HTTP exchange carries. */
export interface RpcCall {
  readonly system: 'grpc';
  /** `grpc-status` of the trailers, or of an answer that is nothing else; undefined: there was none. */
  readonly statusCode: number | undefined;
  /** Messages by their prefixes; undefined where they were not counted. */
  readonly requestMessages: number | undefined;
  readonly responseMessages: number | undefined;
}

export interface Transaction {
  readonly kind: 'http';
  readonly exchange: Exchange;
  readonly connection: ConnectionInfo;
  /** Resolved by now: never 'unknown'. */
  readonly role: Exclude<Role, 'unknown'>;
  readonly secure: boolean;
  /** The process that this transaction belongs to: who wrote the response (server) or the request (client). */
  readonly process: ProcessId;
  /** Position in its stream of the request's first byte: with the connection it names the exchange. */
  readonly requestPosition: number;
  /** First byte of the request moved by this process. */
  readonly start: Nanoseconds;
  /** Last byte of the response by framing, or the close that ended it. */
  readonly end: Nanoseconds;
  readonly request: HttpRequest;
  /** The final (not 1xx, except 101) response, if its head was seen whole. */
  readonly response: HttpResponse | undefined;
  /** Set when the exchange ended early; absent on complete ones. */
  readonly abort: Abort | undefined;
  /** Name of the HTTP/2 error code by which the stream ended early, a number if it has none (RFC 9113, 7); with it `abort` is undefined. */
  readonly reset: string | undefined;
  readonly rpc: RpcCall | undefined;
}
