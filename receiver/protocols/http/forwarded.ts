// Forwarded and X-Forwarded-* → what the proxy nearest to the client said: the client's address and scheme (RFC 7239).
import { isIpv4, isIpv6 } from './authority.ts';

/** Address of the client that the first proxy served; '' if the fields name none (absent, "unknown", obfuscated, malformed). */
export function forwardedClient(forwarded: string | undefined, xForwardedFor: string | undefined): string {
  if (forwarded !== undefined) {
    const address = ipAddress(firstParameter(forwarded, 'for'));
    if (address !== '') return address;
  }
  return xForwardedFor === undefined ? '' : ipAddress(firstOf(xForwardedFor));
}

/** Scheme that the client used with the first proxy: 'http', 'https', or '' if the fields name neither. */
export function forwardedScheme(forwarded: string | undefined, xForwardedProto: string | undefined): string {
  if (forwarded !== undefined) {
    const scheme = knownScheme(firstParameter(forwarded, 'proto'));
    if (scheme !== '') return scheme;
  }
  return xForwardedProto === undefined ? '' : knownScheme(firstOf(xForwardedProto));
}

function knownScheme(text: string): string {
  if (text.length < 4 || text.length > 5) return '';
  const scheme = text.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : '';
}

function firstOf(list: string): string {
  const comma = list.indexOf(',');
  return (comma === -1 ? list : list.substring(0, comma)).trim();
}

/** Value of `name` in the first element of a Forwarded field, unquoted; '' if it is not there. */
function firstParameter(field: string, name: string): string {
  let at = 0;
  while (at < field.length) {
    const nameFrom = at;
    while (at < field.length && !isDelimiter(field[at] as string)) at++;
    const found = field.substring(nameFrom, at).trim().toLowerCase();
    let value = '';
    if (field[at] === '=') {
      at++;
      if (field[at] === '"') {
        at++;
        for (; at < field.length && field[at] !== '"'; at++) {
          if (field[at] === '\\') at++;
          value += field[at] ?? '';
        }
        while (at < field.length && field[at] !== ';' && field[at] !== ',') at++;
      } else {
        const valueFrom = at;
        while (at < field.length && field[at] !== ';' && field[at] !== ',') at++;
        value = field.substring(valueFrom, at).trim();
      }
    }
    if (found === name) return value;
    if (field[at] === ',') return '';
    at++;
  }
  return '';
}

function isDelimiter(character: string): boolean {
  return character === '=' || character === ';' || character === ',';
}

/** The IP address of "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80"; '' for anything else. */
function ipAddress(text: string): string {
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    return end !== -1 && isIpv6(text, 1, end) ? unmapped(text.substring(1, end)) : '';
  }
  const colon = text.indexOf(':');
  if (isIpv4(text, 0, colon === -1 ? text.length : colon)) return colon === -1 ? text : text.substring(0, colon);
  return isIpv6(text, 0, text.length) ? unmapped(text) : '';
}

/** IPv4-mapped addresses are reported as IPv4, as those of sockets are. */
function unmapped(address: string): string {
  return address.length > 7 && address.substring(0, 7).toLowerCase() === '::ffff:' && isIpv4(address, 7, address.length)
    ? address.substring(7)
    : address;
}
