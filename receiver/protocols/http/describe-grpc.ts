// Hot path. A gRPC call → name, kind, status and attributes of its span (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/). Where and why we
// differ from the conventions: docs/telemetry.md.
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_RPC_METHOD,
  ATTR_RPC_METHOD_ORIGINAL,
  ATTR_RPC_STATUS_CODE,
  ATTR_RPC_SYSTEM_NAME,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  RPC_SYSTEM_NAME_VALUE_GRPC,
} from '@opentelemetry/semantic-conventions';
import { type SpanDescription, SpanKind } from '../../model/span.ts';
import type { RpcCall, Transaction } from '../../model/transaction.ts';
import { addBodySizes, addNetwork, type Attributes, bound } from './attributes.ts';
import { type Authority, parseAuthority } from './authority.ts';
import { callErrorOf, isForeign, methodOf, originalMethodOf, OTHER_METHOD, statusTextOf } from './grpc.ts';

/** `authority`: scratch space. */
export function describeGrpc(transaction: Transaction, call: RpcCall, authority: Authority): SpanDescription {
  const { response } = transaction;
  const method = bound(methodOf(transaction, call));
  const attributes: Attributes = [ATTR_RPC_SYSTEM_NAME, RPC_SYSTEM_NAME_VALUE_GRPC, ATTR_RPC_METHOD, method];
  if (method === OTHER_METHOD) {
    const original = originalMethodOf(transaction);
    if (original !== '') attributes.push(ATTR_RPC_METHOD_ORIGINAL, bound(original));
  }
  const status = statusTextOf(call);
  if (status !== '') attributes.push(ATTR_RPC_STATUS_CODE, status);
  else if (response !== undefined && isForeign(transaction)) attributes.push(ATTR_HTTP_RESPONSE_STATUS_CODE, response.statusCode);
  const { host } = transaction.request;
  if (host === undefined || !parseAuthority(host, 0, host.length, authority)) unnamedCallServerOf(transaction, authority);
  if (authority.host !== '') {
    attributes.push(ATTR_SERVER_ADDRESS, bound(authority.host));
    if (authority.port > 0) attributes.push(ATTR_SERVER_PORT, authority.port);
  }
  addNetwork(transaction, attributes);
  addBodySizes(transaction, attributes);
  const errorType = callErrorOf(transaction, call);
  if (errorType !== '') attributes.push(ATTR_ERROR_TYPE, errorType);
  return {
    name: method === OTHER_METHOD ? RPC_SYSTEM_NAME_VALUE_GRPC : method,
    kind: transaction.role === 'server' ? SpanKind.server : SpanKind.client,
    attributes,
    isError: errorType !== '',
  };
}

/**
 * Where a call does not say whom it addresses: on a client the other end of its socket, since the conventions want an address; on a server none
 * (the host is ''), since they want no network address there.
 */
export function unnamedCallServerOf({ connection, role }: Transaction, out: Authority): void {
  const { address, port } = connection.peer;
  out.host = role === 'client' ? address : '';
  out.port = role === 'client' && port !== 0 ? port : -1;
}
