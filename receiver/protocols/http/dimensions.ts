// Hot path. HTTP transaction, or the gRPC call that it carries → what it is told apart by in metrics, with the same values that its span has
// (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/).
import { HTTP_REQUEST_METHOD_VALUE_OTHER } from '@opentelemetry/semantic-conventions';
import type { HttpDimensions } from '../../model/http-metrics.ts';
import type { RpcCall, Transaction } from '../../model/transaction.ts';
import type { Authority } from './authority.ts';
import { parseAuthority } from './authority.ts';
import { unnamedCallServerOf } from './describe-grpc.ts';
import { errorTypeOf } from './error-type.ts';
import { callErrorOf, methodOf, statusTextOf } from './grpc.ts';
import { defaultPort, schemeOf } from './scheme.ts';
import { createTarget, parseTarget } from './target.ts';

export interface HttpDimensionsOptions {
  /** Case-sensitive; others become `_OTHER`. */
  readonly knownMethods: readonly string[];
  /** Whether servers are told apart by what they are addressed as; clients always are. */
  readonly isServerAddressed: boolean;
}

export type MeasureHttp = (transaction: Transaction, out: HttpDimensions) => void;

interface Origin {
  readonly host: string;
  /** -1 when the text has none. */
  readonly port: number;
}

const SLASH = 0x2f;
/** Hosts that are kept parsed; a client that asks more of them is parsed each time. */
const MAX_HOSTS = 4_096;
/** Longer than any host name: what is longer is cut, so that series stay small. */
const MAX_VALUE_LENGTH = 256;

export function createHttpDimensions({ knownMethods, isServerAddressed }: HttpDimensionsOptions): MeasureHttp {
  const methods = new Map(knownMethods.map((method) => [method, method]));
  const hosts = new Map<string, Origin | undefined>();
  // Scratch space of the calls, one at a time.
  const target = createTarget();
  const authority: Authority = { host: '', port: -1 };

  function originOf(text: string): Origin | undefined {
    const known = hosts.get(text);
    if (known !== undefined || hosts.has(text)) return known;
    const isAddressed = parseAuthority(text, 0, text.length, authority);
    const origin = isAddressed ? { host: bound(authority.host), port: authority.port } : undefined;
    if (text.length <= MAX_VALUE_LENGTH) {
      if (hosts.size >= MAX_HOSTS) hosts.clear();
      hosts.set(text, origin);
    }
    return origin;
  }

  function address(transaction: Transaction, out: HttpDimensions): void {
    const { request, connection } = transaction;
    let origin: Origin | undefined;
    if (target.authorityTo > target.authorityFrom) {
      origin = originOf(request.target.substring(target.authorityFrom, target.authorityTo));
    }
    if (origin === undefined && request.host !== undefined) origin = originOf(request.host);
    if (origin !== undefined) {
      out.serverAddress = origin.host;
      out.serverPort = Math.max(0, origin.port === -1 ? defaultPort(out.scheme) : origin.port);
      return;
    }
    const server = transaction.role === 'server' ? connection.local : connection.peer;
    out.serverAddress = bound(server.address);
    out.serverPort = server.port;
  }

  function measureCall(transaction: Transaction, call: RpcCall, out: HttpDimensions): void {
    out.method = '';
    out.rpcMethod = bound(methodOf(transaction, call));
    out.rpcStatusCode = statusTextOf(call);
    out.statusCode = 0;
    out.errorType = callErrorOf(transaction, call);
    if (transaction.role === 'server' && !isServerAddressed) {
      out.serverAddress = '';
      out.serverPort = 0;
      return;
    }
    const { host } = transaction.request;
    const origin = host === undefined ? undefined : originOf(host);
    if (origin === undefined) unnamedCallServerOf(transaction, authority);
    const { host: address, port } = origin ?? authority;
    out.serverAddress = bound(address);
    out.serverPort = Math.max(0, port);
  }

  return function measure(transaction, out) {
    const { request, response, rpc } = transaction;
    const isServer = transaction.role === 'server';
    if (request.target.charCodeAt(0) === SLASH) {
      target.scheme = '';
      target.authorityFrom = target.authorityTo = 0;
    } else {
      parseTarget(request, target);
    }
    out.scheme = bound(schemeOf(transaction, target));
    out.protocolVersion = request.version;
    if (rpc !== undefined) {
      measureCall(transaction, rpc, out);
      return;
    }
    out.method = methods.get(request.method) ?? HTTP_REQUEST_METHOD_VALUE_OTHER;
    out.rpcMethod = '';
    out.rpcStatusCode = '';
    out.statusCode = response?.statusCode ?? 0;
    out.errorType = errorTypeOf(transaction, isServer);
    if (isServer && !isServerAddressed) {
      out.serverAddress = '';
      out.serverPort = 0;
      return;
    }
    address(transaction, out);
  };
}

function bound(text: string): string {
  return text.length <= MAX_VALUE_LENGTH ? text : text.substring(0, MAX_VALUE_LENGTH);
}
