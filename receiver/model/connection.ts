// One end of one stream socket, as one process (or several, by fork or fd passing) sees it.
import type { ProcessId } from './process.ts';

/**
 * Socket cookie: a host-wide kernel counter, never reused. Exact as a number below 2^53, which the decoder asserts. From
 * {@link FIRST_SESSION} on: a TLS session, whose plaintext is followed like a connection of its own.
 */
export type ConnectionId = number;

/** bpf/tls.h */
export const FIRST_SESSION = 2 ** 52;

export function isSession(id: ConnectionId): boolean {
  return id >= FIRST_SESSION;
}

export type Role = 'client' | 'server' | 'unknown';

/** How the role is known, strongest first. */
export type RoleEvidence = 'tcp_state' | 'connect' | 'listener' | 'unix_address' | 'grammar' | 'none';

export type Transport = 'tcp' | 'unix';

/** Who encrypts, and how it is known whose plaintext it is. */
export interface Security {
  readonly library: TlsLibrary;
  /**
   * 'nested_io': the library did I/O on this socket within its own call; 'ciphertext': what it made is what was sent here; 'descriptor': its
   * object names the socket.
   */
  readonly evidence: 'nested_io' | 'ciphertext' | 'descriptor';
  /** Cookie of the socket that carries it. */
  readonly carrier: ConnectionId;
}

export type TlsLibrary = 'openssl' | 'go' | 'gnutls';

export interface Endpoint {
  /** IPv4 or IPv6 text (IPv4-mapped is given as IPv4), or the path of a UNIX socket ('@' first: abstract; '': unnamed). */
  readonly address: string;
  /** 0 for UNIX sockets. */
  readonly port: number;
}

export interface ConnectionInfo {
  readonly id: ConnectionId;
  readonly transport: Transport;
  readonly ipVersion: 4 | 6 | undefined;
  readonly role: Role;
  readonly roleEvidence: RoleEvidence;
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /** Inode of the network namespace. */
  readonly networkNamespace: number;
  /**
   * The same text on both ends of the connection and on no other: of TCP the two initial sequence numbers, which every network namespace,
   * plain NAT and two hosts agree on; of a UNIX socket the cookie of the client's. '' when it is not known.
   */
  readonly pair: string;
  /** True when observed from its first byte; false for a connection that is older than the receiver. */
  readonly isFromStart: boolean;
  /** Process that did the first observed I/O. */
  readonly openedBy: ProcessId;
  /** Of plaintext that was carried in TLS. */
  readonly security?: Security;
}

/** Direction of bytes as this socket sees them. */
export type Flow = 'received' | 'sent';
