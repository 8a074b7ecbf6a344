// TLS sessions and the connections that carry them: what comes of a session waits here until it is proven whose it is.
import type { Books } from '../model/books.ts';
import type { ConnectionId, ConnectionInfo } from '../model/connection.ts';
import type { IoEvent, OpenEvent, SecuredEvent } from '../model/stream-event.ts';
import type { Nanoseconds } from '../model/transaction.ts';

export interface TlsSessionsOptions {
  readonly books: Books;
  readonly maxCarriers: number;
}

/** A connection that carries TLS. */
interface Carrier {
  readonly open: OpenEvent;
  session: ConnectionId | undefined;
  /** Whether a session of it was ever read. */
  wasRead: boolean;
}

interface Unbound {
  readonly events: IoEvent[];
  bytes: number;
}

/** A session that is bound: how its connection opens, and what it has said so far. */
export interface Bound {
  readonly open: OpenEvent;
  readonly events: readonly IoEvent[];
}

const MAX_UNBOUND = 4096;
const MAX_EVENTS = 64;
/** Chunks are followed in their bytes: so many of them may be in a request whose answer tells whose it is. */
const MAX_BYTES = 512 * 1024;
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

export class TlsSessions {
  readonly #options: TlsSessionsOptions;
  readonly #carriers = new Map<ConnectionId, Carrier>();
  /** The oldest first. */
  readonly #unbound = new Map<ConnectionId, Unbound>();
  #unboundBytes = 0;

  constructor(options: TlsSessionsOptions) {
    this.#options = options;
  }

  get carriers(): number {
    return this.#carriers.size;
  }

  /** False: there is no room for it. */
  carry(open: OpenEvent): boolean {
    if (this.#carriers.size >= this.#options.maxCarriers) return false;
    this.#carriers.set(open.info.id, { open, session: undefined, wasRead: false });
    return true;
  }

  isCarrier(id: ConnectionId): boolean {
    return this.#carriers.has(id);
  }

  sessionOf(carrier: ConnectionId): ConnectionId | undefined {
    return this.#carriers.get(carrier)?.session;
  }

  /** Plaintext of a session of which nobody knows yet whose it is. False: there is no room, and none of it is wanted any more. */
  hold(event: IoEvent): boolean {
    let unbound = this.#unbound.get(event.connection);
    if (unbound === undefined) {
      unbound = { events: [], bytes: 0 };
      this.#unbound.set(event.connection, unbound);
      if (this.#unbound.size > MAX_UNBOUND) this.#dropOldest();
    }
    if (unbound.events.length >= MAX_EVENTS) {
      this.#count(event.size);
      this.drop(event.connection);
      return false;
    }
    // Of what is long most is a body, of which only the size matters.
    const isRoom = unbound.bytes + event.captured <= MAX_BYTES;
    const captured = isRoom ? event.captured : 0;
    const missing = isRoom ? event.missing : 'capture_window';
    unbound.events.push({ ...event, bytes: event.bytes.slice(event.from, event.from + captured), from: 0, captured, missing });
    unbound.bytes += captured;
    this.#unboundBytes += captured;
    while (this.#unboundBytes > MAX_TOTAL_BYTES) this.#dropOldest();
    return this.#unbound.has(event.connection);
  }

  /** Undefined: nothing of the session is wanted. */
  bind(event: SecuredEvent): Bound | undefined {
    const { session, evidence, library, since } = event;
    const carrier = this.#carriers.get(event.carrier);
    const held = this.#unbound.get(session);
    if (evidence === 'contradiction' || evidence === 'unfollowed') {
      this.#options.books.connectionUnattributed(`tls_${evidence}`);
      this.#forget(session);
      this.#lose(held);
      return undefined;
    }
    if (evidence === 'ignored' || carrier === undefined) {
      // Of a connection that is not observed, nothing was to be seen either.
      this.#forget(session);
      return undefined;
    }
    this.#forget(session);
    const isFirst = event.isFirst && !carrier.wasRead;
    carrier.session = session;
    carrier.wasRead = true;
    const { info, lastFlow, time } = carrier.open;
    const isFromStart = info.isFromStart && since !== undefined && since <= time;
    const secured: ConnectionInfo = {
      ...info,
      id: session,
      isFromStart,
      // Positions of the two ends agree only if both are counted from the first byte, and mean the same only of one session.
      pair: isFromStart && isFirst ? info.pair : '',
      security: { library, evidence, carrier: info.id },
    };
    const open: OpenEvent = { info: secured, sentPosition: 0, receivedPosition: 0, lastFlow, isSecure: false, time };
    return { open, events: held?.events ?? [] };
  }

  /** A session that was bound is over; its carrier may carry another. */
  release(session: ConnectionId, carrier: ConnectionId): void {
    const found = this.#carriers.get(carrier);
    if (found?.session === session) found.session = undefined;
  }

  /** The connection is over, and all that could be said of it was. */
  forgetCarrier(id: ConnectionId): void {
    const carrier = this.#carriers.get(id);
    if (carrier === undefined) return;
    this.#carriers.delete(id);
    if (!carrier.wasRead) this.#options.books.connectionUnattributed('tls_unread');
  }

  /** Carriers of which `isLive` knows nothing, at a time at which the last event was at least `time`. */
  *missing(isLive: (id: ConnectionId) => boolean, time: Nanoseconds): Iterable<ConnectionId> {
    for (const [id, carrier] of this.#carriers) if (!isLive(id) && carrier.open.time <= time) yield id;
  }

  /** What waits for evidence, if anything, will not get it. */
  drop(session: ConnectionId): void {
    const held = this.#unbound.get(session);
    if (held === undefined) return;
    this.#forget(session);
    this.#options.books.connectionUnattributed('tls_unbound');
    this.#lose(held);
  }

  /** The receiver stops. */
  close(): void {
    for (const session of [...this.#unbound.keys()]) this.drop(session);
    for (const id of [...this.#carriers.keys()]) this.forgetCarrier(id);
  }

  #forget(session: ConnectionId): void {
    const held = this.#unbound.get(session);
    if (held === undefined) return;
    this.#unbound.delete(session);
    this.#unboundBytes -= held.bytes;
  }

  #lose(held: Unbound | undefined): void {
    for (const { size } of held?.events ?? []) this.#count(size);
  }

  #count(size: number): void {
    this.#options.books.bytesSeen(size);
    this.#options.books.bytesLost('tls_unbound', size);
  }

  #dropOldest(): void {
    for (const oldest of this.#unbound.keys()) {
      this.drop(oldest);
      return;
    }
  }
}
