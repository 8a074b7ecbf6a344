// Hot path. HTTP transaction → the scheme of the URL that was asked for, and scheme → its port.
import type { Transaction } from '../../model/transaction.ts';
import { forwardedScheme } from './forwarded.ts';
import { isScheme, type Target } from './target.ts';

/**
 * That of the URL asked for; else what a proxy said the client used (servers only); else `:scheme`; else that of the connection. `:scheme` may
 * name https on a plain connection, where a proxy passes on what it has decrypted. What is encrypted is https whatever `:scheme` says: programs
 * that do not know of their TLS write http.
 */
export function schemeOf(transaction: Transaction, target: Target): string {
  if (target.scheme !== '') return target.scheme;
  const { request } = transaction;
  if (transaction.role === 'server' && (request.forwarded !== undefined || request.xForwardedProto !== undefined)) {
    const scheme = forwardedScheme(request.forwarded, request.xForwardedProto);
    if (scheme !== '') return scheme;
  }
  const scheme = request.scheme === undefined ? '' : normalise(request.scheme);
  if (transaction.secure) return scheme === '' || scheme === 'http' ? 'https' : scheme;
  return scheme === '' ? 'http' : scheme;
}

/** Lower-case; '' for what is no scheme. */
function normalise(text: string): string {
  if (text === 'https' || text === 'http') return text;
  return isScheme(text, text.length) ? text.toLowerCase() : '';
}

/** -1 for a scheme whose port we do not know. */
export function defaultPort(scheme: string): number {
  switch (scheme) {
    case 'http':
    case 'ws':
      return 80;
    case 'https':
    case 'wss':
      return 443;
    default:
      return -1;
  }
}
