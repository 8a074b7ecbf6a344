// Where every stage reports what it did with each byte and each transaction. The ledger implements it; tests read it.
import type { ConversationEvent, LossReason, NotExportedReason } from './protocol.ts';

export type ByteLossReason =
  LossReason | 'resynchronising' | 'malformed_message' | 'head_too_large' | 'connection_unknown' | 'tls_unbound';

export type ShedReason = 'ring_full' | 'too_many_connections';

/**
 * 'role_unknown': it ended before it was known which end asks. 'tls_unread': it carried TLS and no library that is read made its plaintext
 * known. 'tls_unbound': plaintext of a session of which it was never proven whose it is; 'tls_contradiction': the evidence was against itself;
 * 'tls_unfollowed': some of the plaintext of a session went a way that is not followed.
 */
export type UnattributedReason = 'role_unknown' | 'tls_unread' | 'tls_unbound' | 'tls_contradiction' | 'tls_unfollowed';

export interface Books {
  /** A transaction exists; exactly one of {@link exported} and {@link notExported} follows for it. */
  transactionSeen(): void;
  exported(count: number): void;
  notExported(reason: NotExportedReason, count: number): void;
  connectionSeen(): void;
  connectionShed(reason: ShedReason): void;
  connectionNotHttp(): void;
  connectionUnattributed(reason: UnattributedReason): void;
  /** Bytes moved on an observed connection; each is later parsed, skipped or lost. */
  bytesSeen(count: number): void;
  bytesParsed(count: number): void;
  bytesSkipped(count: number): void;
  bytesLost(reason: ByteLossReason, count: number): void;
  eventsReceived(count: number): void;
  eventsDropped(reason: string, count: number): void;
  /** Noteworthy, but no entry of the books. */
  noticed(event: ConversationEvent): void;
}
