// What both ends of a connection have in common → one text for both, or '' when the kernel could not tell.
import type { Role } from '../model/connection.ts';

/** Initial sequence numbers: 64 bits that both ends chose at random. */
export function tcpPair(localIsn: number, peerIsn: number): string {
  if (localIsn === 0 && peerIsn === 0) return '';
  // One number, and so one piece of text: it is kept as long as the connection.
  const pair = (BigInt(Math.min(localIsn, peerIsn)) << 32n) | BigInt(Math.max(localIsn, peerIsn));
  return pair.toString(16).padStart(16, '0');
}

/** The cookie of the client's socket. A peer has none (0) before its own first I/O, and the first I/O is the client's. */
export function unixPair(role: Role, cookie: number, peerCookie: number): string {
  const client = role === 'client' ? cookie : role === 'server' ? peerCookie : 0;
  return client === 0 ? '' : `unix-${client.toString(16)}`;
}
