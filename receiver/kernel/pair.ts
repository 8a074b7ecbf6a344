// What both ends of a connection have in common → one text for both, or '' when the kernel could not tell.

/** Initial sequence numbers: 64 bits that both ends chose at random. */
export function tcpPair(localIsn: number, peerIsn: number): string {
  if (localIsn === 0 && peerIsn === 0) return '';
  return hex32(Math.min(localIsn, peerIsn)) + hex32(Math.max(localIsn, peerIsn));
}

/** Socket cookies; 0: there is no peer. */
export function unixPair(cookie: number, peerCookie: number): string {
  if (peerCookie === 0) return '';
  return `unix-${Math.min(cookie, peerCookie).toString(16)}-${Math.max(cookie, peerCookie).toString(16)}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
