// Hot path. HTTP transaction → name, kind, status and attributes of its span, by the stable semantic conventions
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/). Where and why we differ from them: docs/telemetry.md.
import {
  ATTR_CLIENT_ADDRESS,
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
  ATTR_URL_PATH,
  ATTR_URL_QUERY,
  ATTR_URL_SCHEME,
  HTTP_REQUEST_METHOD_VALUE_OTHER,
} from '@opentelemetry/semantic-conventions';
import type { Endpoint } from '../../model/connection.ts';
import type { SpanDescription } from '../../model/span.ts';
import { SpanKind } from '../../model/span.ts';
import type { Transaction } from '../../model/transaction.ts';
import { addBodySizes, addNetwork, type Attributes, bound } from './attributes.ts';
import type { Authority } from './authority.ts';
import { parseAuthority } from './authority.ts';
import { describeGrpc } from './describe-grpc.ts';
import { errorTypeOf } from './error-type.ts';
import { forwardedClient } from './forwarded.ts';
import { REDACTED, redactQuery } from './redact.ts';
import { defaultPort, schemeOf } from './scheme.ts';
import type { Target } from './target.ts';
import { createTarget, parseTarget } from './target.ts';
import { addWebCall } from './web-call.ts';

export interface HttpDescriberOptions {
  /** Case-sensitive; others become `_OTHER`. */
  readonly knownMethods: readonly string[];
  /** Case-sensitive names of query parameters whose values are replaced. */
  readonly redactedQueryKeys: readonly string[];
}

export type DescribeHttp = (transaction: Transaction) => SpanDescription;

export function createHttpDescriber(options: HttpDescriberOptions): DescribeHttp {
  const knownMethods = new Set(options.knownMethods);
  const redactedKeys = [...options.redactedQueryKeys];
  // Scratch space of the calls, one at a time.
  const target = createTarget();
  const authority: Authority = { host: '', port: -1 };

  return function describe(transaction) {
    const { request, response, connection, rpc } = transaction;
    if (rpc !== undefined) return describeGrpc(transaction, rpc, authority);
    const isServer = transaction.role === 'server';
    const attributes: Attributes = [];

    const isKnown = knownMethods.has(request.method);
    attributes.push(ATTR_HTTP_REQUEST_METHOD, isKnown ? request.method : HTTP_REQUEST_METHOD_VALUE_OTHER);
    if (!isKnown && request.method !== '') attributes.push(ATTR_HTTP_REQUEST_METHOD_ORIGINAL, bound(request.method));

    parseTarget(request, target);
    const scheme = schemeOf(transaction, target);
    // The text that names the server, for url.full; '' if only the socket does.
    let authorityText = '';
    let isAddressed = false;
    if (target.authorityTo > target.authorityFrom) {
      isAddressed = parseAuthority(request.target, target.authorityFrom, target.authorityTo, authority);
      if (isAddressed) authorityText = request.target.substring(target.authorityFrom, target.authorityTo);
    }
    if (!isAddressed && request.host !== undefined) {
      isAddressed = parseAuthority(request.host, 0, request.host.length, authority);
      if (isAddressed) authorityText = request.host;
    }
    if (!isAddressed) {
      const server = isServer ? connection.local : connection.peer;
      authority.host = server.address;
      authority.port = server.port === 0 ? -1 : server.port;
      if (connection.transport !== 'unix') authorityText = socketAuthority(server, scheme);
    }

    if (target.form !== 'authority') {
      const query = target.query === '' ? '' : redactQuery(target.query, redactedKeys);
      attributes.push(ATTR_URL_SCHEME, bound(scheme));
      // An unnamed server on a UNIX socket has no absolute URL.
      if (isServer || authorityText === '') {
        attributes.push(ATTR_URL_PATH, bound(pathOf(request.method, target)));
        if (query !== '') attributes.push(ATTR_URL_QUERY, bound(query));
      } else {
        attributes.push(ATTR_URL_FULL, bound(fullUrl(scheme, authorityText, target, query)));
        // The absolute URL of `*` is that of the server as a whole: only the path says what was asked for.
        if (target.form === 'asterisk') attributes.push(ATTR_URL_PATH, target.path);
      }
    }

    if (authority.host !== '') {
      attributes.push(ATTR_SERVER_ADDRESS, bound(authority.host));
      const port = authority.port === -1 && isAddressed ? defaultPort(scheme) : authority.port;
      if (port > 0) attributes.push(ATTR_SERVER_PORT, port);
    }
    if (isServer) {
      const forwarded = forwardedClient(request.forwarded, request.xForwardedFor);
      const client = forwarded === '' ? connection.peer.address : forwarded;
      if (client !== '') attributes.push(ATTR_CLIENT_ADDRESS, client);
    }
    addNetwork(transaction, attributes);
    if (response !== undefined) attributes.push(ATTR_HTTP_RESPONSE_STATUS_CODE, response.statusCode);
    addBodySizes(transaction, attributes);
    addWebCall(request, target, attributes);
    const errorType = errorTypeOf(transaction, isServer);
    if (errorType !== '') attributes.push(ATTR_ERROR_TYPE, errorType);
    return {
      name: isKnown ? request.method : 'HTTP',
      kind: isServer ? SpanKind.server : SpanKind.client,
      attributes,
      isError: errorType !== '',
    };
  };
}

/** An absolute URL without a path asks for the root, or, with OPTIONS, for the server as a whole (RFC 9112, 3.2.4). */
function pathOf(method: string, target: Target): string {
  if (target.path !== '') return target.path;
  return method === 'OPTIONS' && target.form === 'absolute' && target.query === '' ? '*' : '/';
}

function fullUrl(scheme: string, authority: string, target: Target, query: string): string {
  const userinfo = target.hasUserinfo ? (target.hasPassword ? `${REDACTED}:${REDACTED}@` : `${REDACTED}@`) : '';
  let url = scheme + '://' + userinfo + authority;
  if (target.form !== 'asterisk') {
    // Without it, a path that does not begin with a slash would become part of the host.
    if (target.path.charCodeAt(0) !== 0x2f) url += '/';
    url += target.path;
  }
  return query === '' ? url : url + '?' + query;
}

function socketAuthority(server: Endpoint, scheme: string): string {
  const host = server.address.includes(':') ? '[' + server.address + ']' : server.address;
  return server.port === 0 || server.port === defaultPort(scheme) ? host : host + ':' + String(server.port);
}
