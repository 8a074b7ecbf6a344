// Hot path. Request target → its parts (RFC 9112, 3.2: origin-, absolute-, authority- and asterisk-form).
import type { HttpRequest } from '../../model/transaction.ts';

const SLASH = 0x2f;

/** Where {@link parseTarget} writes. Ranges are offsets into the target; an absent part has both ends equal. */
export interface Target {
  /** Lower-case; '' unless the target is in absolute-form. */
  scheme: string;
  /** Authority without its userinfo. */
  authorityFrom: number;
  authorityTo: number;
  /** The userinfo has a password part. Meaningful when `hasUserinfo`. */
  hasPassword: boolean;
  hasUserinfo: boolean;
  /** As it was sent; '' in authority-form and in an absolute-form without a path. */
  path: string;
  /** Without the question mark; '' when absent or empty. */
  query: string;
  /** `*` and `host:port` name no resource. */
  form: 'path' | 'absolute' | 'authority' | 'asterisk';
}

export function createTarget(): Target {
  return {
    scheme: '',
    authorityFrom: 0,
    authorityTo: 0,
    hasPassword: false,
    hasUserinfo: false,
    path: '',
    query: '',
    form: 'path',
  };
}

/**
 * A target that is in none of the four forms is taken as a path: it is what was asked for. So is that of a CONNECT which names a protocol
 * (RFC 8441, 4): its authority has a field of its own.
 */
export function parseTarget(
  { method, target, protocol }: Pick<HttpRequest, 'method' | 'target' | 'protocol'>,
  out: Target,
): void {
  out.scheme = '';
  out.authorityFrom = 0;
  out.authorityTo = 0;
  out.hasUserinfo = false;
  out.hasPassword = false;
  out.path = '';
  out.query = '';
  if (target.charCodeAt(0) === SLASH) {
    out.form = 'path';
    splitPath(target, 0, out);
    return;
  }
  if (method === 'CONNECT' && protocol === undefined) {
    out.form = 'authority';
    setAuthority(target, 0, target.length, out);
    return;
  }
  if (target === '*') {
    out.form = 'asterisk';
    out.path = '*';
    return;
  }
  const schemeEnd = schemeLength(target);
  if (schemeEnd === 0) {
    out.form = 'path';
    splitPath(target, 0, out);
    return;
  }
  out.form = 'absolute';
  out.scheme = target.substring(0, schemeEnd).toLowerCase();
  const authorityFrom = schemeEnd + 3;
  let authorityTo = authorityFrom;
  while (authorityTo < target.length && !endsAuthority(target.charCodeAt(authorityTo))) authorityTo++;
  setAuthority(target, authorityFrom, authorityTo, out);
  splitPath(target, authorityTo, out);
}

/** Path and query; a fragment has no business on the wire, and what it holds (tokens, often) is not passed on. */
function splitPath(target: string, from: number, out: Target): void {
  const fragment = target.indexOf('#', from);
  const to = fragment === -1 ? target.length : fragment;
  const question = target.indexOf('?', from);
  if (question === -1 || question >= to) {
    out.path = from === 0 && to === target.length ? target : target.substring(from, to);
    return;
  }
  out.path = target.substring(from, question);
  out.query = target.substring(question + 1, to);
}

function setAuthority(target: string, from: number, to: number, out: Target): void {
  out.authorityFrom = from;
  out.authorityTo = to;
  const at = to === from ? -1 : target.lastIndexOf('@', to - 1);
  if (at < from) return;
  const colon = target.indexOf(':', from);
  out.hasUserinfo = true;
  out.hasPassword = colon !== -1 && colon < at;
  out.authorityFrom = at + 1;
}

/** `/`, `?`, `#`, and `\`, which many clients take for a slash. */
function endsAuthority(code: number): boolean {
  return code === SLASH || code === 0x3f || code === 0x23 || code === 0x5c;
}

/** Length of the scheme of "scheme://…", 0 if the target does not begin that way. */
function schemeLength(target: string): number {
  const end = target.indexOf('://');
  return isScheme(target, end) ? end : 0;
}

/** Whether text[0, end) is a scheme (RFC 3986, 3.1). */
export function isScheme(text: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    const isLetter = (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a);
    const isOther = (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e;
    if (!isLetter && (i === 0 || !isOther)) return false;
  }
  return end > 0;
}
