// How a TCP connection fares by the kernel's own figures, whatever it carries.
import type { ConnectionId, Endpoint, Role } from './connection.ts';
import type { ProcessId } from './process.ts';

/** How it ended. `failed`: it was never there. `reset`: by whom is not known. */
export type ConnectionOutcome = 'closed' | 'reset_received' | 'reset_sent' | 'reset' | 'failed';

/** Numbers are totals since the connection was first observed, so that the next ones tell what was missed. */
export interface ConnectionVitals {
  readonly connection: ConnectionId;
  /** Payload bytes that the peer has acknowledged. */
  readonly sent: number;
  /** Payload bytes that arrived in order. */
  readonly received: number;
  /** Segments. */
  readonly retransmits: number;
  /** Smoothed round-trip time, 0: none was measured. */
  readonly rttUs: number;
  readonly role: Role;
  readonly ipVersion: 4 | 6;
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /** Inode of the network namespace. */
  readonly networkNamespace: number;
  /** That opened it, undefined: not known. */
  readonly process: ProcessId | undefined;
  /** Undefined while it lives. */
  readonly outcome: ConnectionOutcome | undefined;
  /** errno of the socket at its end; 0: none, or given up by the process before there was an answer. */
  readonly error: number;
  /** Not even its first segment was sent. */
  readonly isUnsent: boolean;
}
