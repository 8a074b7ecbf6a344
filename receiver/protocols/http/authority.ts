// Hot path. "host:port" → host and port; text → is it an IP address (RFC 3986, 3.2.2 and 3.2.3).
// Hand-written because it runs once or twice per transaction: no regular expressions, nothing allocated but the host itself.

const HYPHEN = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Where {@link parseAuthority} writes. */
export interface Authority {
  /** Without the brackets of an IPv6 address. */
  host: string;
  /** -1 when the authority has none. */
  port: number;
}

/**
 * Parses text[from, to), which has no userinfo. False, with `out` untouched, for what is no host with an optional port: a host that is
 * empty or has a character that no host has, several colons outside of brackets, a port that is no number up to 65535.
 */
export function parseAuthority(text: string, from: number, to: number, out: Authority): boolean {
  let hostFrom = from;
  let hostTo: number;
  let at: number;
  if (from < to && text.charCodeAt(from) === OPEN_BRACKET) {
    hostFrom = from + 1;
    hostTo = hostFrom;
    while (hostTo < to && text.charCodeAt(hostTo) !== CLOSE_BRACKET) hostTo++;
    if (hostTo === to || !isIpv6(text, hostFrom, zoneStart(text, hostFrom, hostTo))) return false;
    at = hostTo + 1;
  } else {
    hostTo = from;
    while (hostTo < to && isHostCharacter(text.charCodeAt(hostTo))) hostTo++;
    at = hostTo;
  }
  if (hostFrom === hostTo) return false;
  let port = -1;
  if (at < to) {
    if (text.charCodeAt(at++) !== COLON) return false;
    for (; at < to; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) return false;
      port = (port === -1 ? 0 : port) * 10 + digit;
      if (port > 65_535) return false;
    }
  }
  out.host = text.substring(hostFrom, hostTo);
  out.port = port;
  return true;
}

/** The characters of a reg-name (unreserved, percent-encoded, sub-delims) and, as browsers do, those beyond ASCII. */
function isHostCharacter(code: number): boolean {
  if ((code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= ZERO && code <= NINE)) return true;
  switch (code) {
    case HYPHEN:
    case DOT:
    case 0x5f: // _
    case 0x7e: // ~
    case 0x25: // %
    case 0x21: // ! $ & ' ( ) * + , ; =
    case 0x24:
    case 0x26:
    case 0x27:
    case 0x28:
    case 0x29:
    case 0x2a:
    case 0x2b:
    case 0x2c:
    case 0x3b:
    case 0x3d:
      return true;
    default:
      return code >= 0x80;
  }
}

/** A zone ("%eth0", RFC 6874) belongs to the host but not to the address. */
function zoneStart(text: string, from: number, to: number): number {
  const percent = text.indexOf('%', from);
  return percent === -1 || percent >= to ? to : percent;
}

/** Four decimal numbers up to 255. */
export function isIpv4(text: string, from: number, to: number): boolean {
  let numbers = 0;
  let digits = 0;
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || numbers === 3) return false;
      numbers++;
      digits = 0;
      value = 0;
      continue;
    }
    if (code < ZERO || code > NINE || (digits > 0 && value === 0)) return false;
    value = value * 10 + code - ZERO;
    digits++;
    if (value > 255) return false;
  }
  return numbers === 3 && digits > 0;
}

/** Eight groups of up to four hex digits, the last two perhaps as IPv4, one run of zero groups perhaps as "::" (RFC 4291, 2.2). */
export function isIpv6(text: string, from: number, to: number): boolean {
  let groups = 0;
  let digits = 0;
  let groupFrom = from;
  let isCompressed = false;
  let i = from;
  // A leading colon is only ever the first half of "::".
  if (i + 1 < to && text.charCodeAt(i) === COLON) {
    if (text.charCodeAt(i + 1) !== COLON) return false;
    isCompressed = true;
    i += 2;
    groupFrom = i;
  }
  for (; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) {
      if (digits === 0) {
        // The second colon of "::", which must directly follow a group.
        if (isCompressed || i === from || text.charCodeAt(i - 1) !== COLON) return false;
        isCompressed = true;
      } else {
        groups++;
        digits = 0;
      }
      groupFrom = i + 1;
      continue;
    }
    if (code === DOT) {
      if (!isIpv4(text, groupFrom, to)) return false;
      groups += 2;
      return isCompressed ? groups < 8 : groups === 8;
    }
    if (!isHexDigit(code) || ++digits > 4) return false;
  }
  if (digits > 0) groups++;
  // A final colon is only ever the second half of "::".
  else if (!isCompressed || text.charCodeAt(to - 1) !== COLON || text.charCodeAt(to - 2) !== COLON) return false;
  return isCompressed ? groups < 8 : groups === 8;
}

function isHexDigit(code: number): boolean {
  return (code >= ZERO && code <= NINE) || (code >= 0x61 && code <= 0x66) || (code >= 0x41 && code <= 0x46);
}
