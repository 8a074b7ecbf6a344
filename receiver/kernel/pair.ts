// What both ends of a connection have in common → one text for both, or '' when the kernel could not tell.
import type { Role } from '../model/connection.ts';

/** Initial sequence numbers: 64 bits that both ends chose at random. */
export function tcpPair(localIsn: number, peerIsn: number): string {
  if (localIsn === 0 && peerIsn === 0) return '';
  return hex32(Math.min(localIsn, peerIsn)) + hex32(Math.max(localIsn, peerIsn));
}

/** The cookie of the client's socket. A peer has none (0) before its own first I/O, and the first I/O is the client's. */
export function unixPair(role: Role, cookie: number, peerCookie: number): string {
  const client = role === 'client' ? cookie : role === 'server' ? peerCookie : 0;
  return client === 0 ? '' : `unix-${client.toString(16)}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
