// Hot path. HTTP request → what it says of the remote procedure call that it is: of gRPC-Web, or of Connect, which are made of plain HTTP. The exchange
// stays one of HTTP, with the status that HTTP has: what the call came to is in the last bytes of the body, or in its text, and bodies are not read.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md, https://connectrpc.com/docs/protocol/
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM_NAME, RPC_SYSTEM_NAME_VALUE_GRPC } from '@opentelemetry/semantic-conventions';
import { RPC_SYSTEM_NAME_VALUE_CONNECTRPC } from '../../model/semconv.ts';
import type { HttpRequest } from '../../model/transaction.ts';
import { type Attributes, bound } from './attributes.ts';
import type { Target } from './target.ts';

/** Of binary messages, and of the same in base64. */
const GRPC_WEB = ['application/grpc-web', 'application/grpc-web-text'] as const;
const CONNECT_STREAM = 'application/connect+';
const CONNECT_VERSION = '1';

/** Adds nothing for what is no such call. `target`: that of the request. */
export function addWebCall(request: HttpRequest, target: Target, to: Attributes): void {
  const system = systemOf(request);
  if (system === '') return;
  to.push(ATTR_RPC_SYSTEM_NAME, system);
  const method = methodOf(target.path);
  if (method !== '') to.push(ATTR_RPC_METHOD, bound(method));
}

/** '' for none. */
function systemOf({ method, contentType, connectVersion }: HttpRequest): string {
  if (method !== 'POST' || contentType === undefined) return '';
  // Unary calls have the content types of their messages, `application/json` among them.
  if (connectVersion === CONNECT_VERSION || contentType.startsWith(CONNECT_STREAM)) return RPC_SYSTEM_NAME_VALUE_CONNECTRPC;
  return GRPC_WEB.some((type) => isOfType(contentType, type)) ? RPC_SYSTEM_NAME_VALUE_GRPC : '';
}

/** `type` itself, with a format of messages, or with parameters. */
function isOfType(contentType: string, type: string): boolean {
  if (!contentType.startsWith(type)) return false;
  const next = contentType.charAt(type.length);
  return next === '' || next === '+' || next === ';' || next === ' ';
}

/** `package.Service/Method`: the last two parts of a path, which may have others before them. '' if it has no two. */
function methodOf(path: string): string {
  const last = path.lastIndexOf('/');
  const before = path.lastIndexOf('/', last - 1);
  return before < 0 || last - before < 2 || last === path.length - 1 ? '' : path.substring(before + 1);
}
