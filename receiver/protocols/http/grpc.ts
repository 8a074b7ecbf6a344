// Hot path. A gRPC call that an HTTP/2 exchange carries → its method, its status, and how it failed
// (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
// No status is made up. Where none was on the wire, what came instead is told as what it is, and only judged by the status that a client of gRPC
// makes of it.
import type { RpcCall, Transaction } from '../../model/transaction.ts';
import { endErrorOf } from './error-type.ts';

/** A method that nobody knows. */
export const OTHER_METHOD = '_OTHER';
/** `error.type` of an answer that ended as HTTP has it, and without a status. */
export const MISSING_STATUS = 'missing_status';

/** By number (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
const statusNames = [
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
] as const;

type StatusName = (typeof statusNames)[number];

/** '' for none. A number that has no name is told as it is. */
export function statusTextOf({ statusCode }: RpcCall): string {
  return statusCode === undefined ? '' : (statusNames[statusCode] ?? String(statusCode));
}

/** '' unless the span's status is Error: which statuses are errors depends on the end. */
export function callErrorOf(transaction: Transaction, call: RpcCall): string {
  if (!isError(judge(transaction, call), transaction.role === 'server')) return '';
  if (call.statusCode !== undefined) return statusTextOf(call);
  if (isForeign(transaction)) return String(transaction.response?.statusCode);
  const end = endErrorOf(transaction);
  return end === '' ? MISSING_STATUS : end;
}

/** The answer is not one of gRPC: a proxy's, mostly. */
export function isForeign({ response }: Transaction): boolean {
  return response !== undefined && response.statusCode !== 200;
}

/**
 * `package.Service/Method`, or {@link OTHER_METHOD} for a path that is none, and on a server for one that it has answered not to know: those are
 * as many as clients like.
 */
export function methodOf(transaction: Transaction, call: RpcCall): string {
  const method = originalMethodOf(transaction);
  const slash = method.indexOf('/');
  if (slash <= 0 || slash === method.length - 1) return OTHER_METHOD;
  return transaction.role === 'server' && judge(transaction, call) === 'UNIMPLEMENTED' ? OTHER_METHOD : method;
}

/** As the client wrote it; a query or a fragment, which gRPC does not have, is left out: nobody knows what is in it. */
export function originalMethodOf({ request: { target } }: Transaction): string {
  let end = target.indexOf('?');
  if (end === -1) end = target.length;
  const fragment = target.indexOf('#');
  if (fragment !== -1 && fragment < end) end = fragment;
  return target.charCodeAt(0) === 0x2f ? target.substring(1, end) : '';
}

/** The status that was answered, or one of the same gravity as what a client of gRPC makes of what came instead. */
function judge(transaction: Transaction, { statusCode }: RpcCall): StatusName {
  // A client takes what it does not know for UNKNOWN.
  if (statusCode !== undefined) return statusNames[statusCode] ?? 'UNKNOWN';
  const { response, reset } = transaction;
  if (response !== undefined && response.statusCode !== 200) return statusOfHttp(response.statusCode);
  return reset === undefined ? 'UNKNOWN' : statusOfReset(reset);
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md. What is UNAVAILABLE or INTERNAL there is an error of both ends, too. */
function statusOfHttp(statusCode: number): StatusName {
  switch (statusCode) {
    case 401:
      return 'UNAUTHENTICATED';
    case 403:
      return 'PERMISSION_DENIED';
    case 404:
      return 'UNIMPLEMENTED';
    default:
      return 'UNKNOWN';
  }
}

/** PROTOCOL-HTTP2.md, Errors. What is UNAVAILABLE there, or has no status, is an error of both ends, too. */
function statusOfReset(reset: string): StatusName {
  switch (reset) {
    case 'CANCEL':
      return 'CANCELLED';
    case 'ENHANCE_YOUR_CALM':
      return 'RESOURCE_EXHAUSTED';
    case 'INADEQUATE_SECURITY':
      return 'PERMISSION_DENIED';
    default:
      return 'INTERNAL';
  }
}

/** A server is not to blame for what its clients do. */
function isError(status: StatusName, isServer: boolean): boolean {
  if (!isServer) return status !== 'OK';
  switch (status) {
    case 'UNKNOWN':
    case 'DEADLINE_EXCEEDED':
    case 'UNIMPLEMENTED':
    case 'INTERNAL':
    case 'UNAVAILABLE':
    case 'DATA_LOSS':
      return true;
    default:
      return false;
  }
}
