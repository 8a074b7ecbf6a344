// ConnectionId -> Connection: opens, feeds, closes and bounds them.
import { type ConnectionId, isSession, type Role } from '../model/connection.ts';
import type { ConnectionFilter, ConnectionInspection, ConnectionsInspection } from '../model/inspection.ts';
import type { Exchange } from '../model/exchange.ts';
import type { Books, ShedReason } from '../model/books.ts';
import type { ProcessId } from '../model/process.ts';
import type { GiveUpReason, Present, Protocol } from '../model/protocol.ts';
import type { Abort, Nanoseconds, Transaction } from '../model/transaction.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import type { Controls } from './controls.ts';
import { Pairs } from './pairs.ts';
import { TlsSessions } from './tls-sessions.ts';
import type { EndEvent, IoEvent, OpenEvent, SecuredEvent, WalkEvent } from '../model/stream-event.ts';

export interface ConnectionTableOptions {
  readonly protocols: readonly Protocol[];
  readonly controls: Controls;
  readonly books: Books;
  readonly windowSize: number;
  readonly maxConnections: number;
  /** A request's head is complete; its {@link Exchange.otherEnd} is set where it can be. */
  readonly onRequest: (exchange: Exchange) => void;
  readonly onTransaction: (transaction: Transaction) => void;
}

/**
 * A connection that the kernel reported closed is kept this long: the event of an I/O is made when its call returns, and a peer's
 * reset can be handled on another CPU before that.
 */
const LINGER_NS = 50e6;
/** A response whose request event does not come is handed over after this time. */
const MAX_HOLD_NS = 500e6;
/** How often conversations are given the time. */
const SETTLE_INTERVAL_NS = 500e6;
/** Cookies of connections that we gave up, whose late events are no surprise. */
const MAX_REMEMBERED = 65536;
/** Cookies of connections that have ended, whose late events are nobody else's. */
const MAX_ENDED = 8192;

const ECONNRESET = 104;
const EPIPE = 32;

/** Path, where the process is known. */
type ExecutableOf = (process: ProcessId) => string | undefined;

interface Closing {
  readonly cause: Abort;
  readonly time: Nanoseconds;
  readonly receivedPosition: number;
  readonly sentPosition: number;
}

export class ConnectionTable {
  readonly #connections = new Map<ConnectionId, Connection>();
  readonly #context: ConnectionContext;
  readonly #pairs: Pairs;
  readonly #maxConnections: number;
  /** Given up, and why; the oldest are forgotten. */
  readonly #ignored = new Map<ConnectionId, GiveUpReason | ShedReason | 'tls_unbound'>();
  readonly #holding = new Set<Connection>();
  readonly #ended = new Set<ConnectionId>();
  /** In the order in which their ends were told. */
  readonly #closing = new Map<Connection, Closing>();
  /** Unknown to the kernel at a time up to which not all events had been handed in. */
  readonly #gone = new Map<Connection, Nanoseconds>();
  readonly #sessions: TlsSessions;
  /** Connections that carried TLS and are over, in the order in which their ends were told. */
  readonly #endedCarriers = new Map<ConnectionId, Nanoseconds>();
  #settledAt: Nanoseconds = 0;
  /** When events were last found missing. */
  #lossAt: Nanoseconds = -Infinity;
  /** Of the last event. */
  #now: Nanoseconds = 0;

  constructor(options: ConnectionTableOptions) {
    this.#maxConnections = options.maxConnections;
    this.#pairs = new Pairs(options.onTransaction);
    this.#sessions = new TlsSessions({
      books: options.books,
      maxCarriers: options.maxConnections,
    });
    this.#context = {
      protocols: options.protocols,
      controls: options.controls,
      books: options.books,
      windowSize: options.windowSize,
      onRequest: (exchange, connection) => {
        this.#pairs.requested(exchange, connection);
        options.onRequest(exchange);
      },
      onTransaction: (transaction, connection) => {
        this.#pairs.take(transaction, connection);
      },
      onIgnored: (connection, reason) => {
        this.#forget(connection.info.id, reason);
      },
    };
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Transactions that were seen and have not ended. */
  get openTransactions(): number {
    let open = this.#pairs.waiting;
    for (const connection of this.#connections.values()) open += connection.openTransactions;
    return open;
  }

  /** What is under way on each connection that has not ended. */
  present(now: Nanoseconds, visit: (present: Present) => void): void {
    for (const connection of this.#connections.values()) {
      if (this.#closing.has(connection) || this.#gone.has(connection)) continue;
      const present = connection.present(now);
      if (present !== undefined) visit(present);
    }
  }

  /** The connections that the filter lets through, for people: those of the last I/O first. */
  inspect(filter: ConnectionFilter, now: Nanoseconds, executableOf: ExecutableOf): ConnectionsInspection {
    const matching = [...this.#connections.values()].filter((connection) => isMatch(connection, filter));
    const shown = matching.sort((a, b) => b.lastTime - a.lastTime).slice(0, filter.limit);
    const givenUp = filter.connection === undefined ? undefined : this.#ignored.get(filter.connection);
    return {
      tracked: this.#connections.size,
      matching: matching.length,
      shown: shown.map((connection) => this.#inspect(connection, now, executableOf)),
      truncated: shown.length < matching.length,
      given_up: givenUp,
    };
  }

  #inspect(connection: Connection, now: Nanoseconds, executableOf: ExecutableOf): ConnectionInspection {
    const gone = this.#gone.has(connection) ? 'gone without a word' : undefined;
    const executable = executableOf(connection.info.openedBy);
    return { ...connection.inspect(now), executable, closing: this.#closing.get(connection)?.cause ?? gone };
  }

  /** Undefined: it is not followed. */
  roleOf(id: ConnectionId): Role | undefined {
    return this.#connections.get(id)?.info.role;
  }

  open(event: OpenEvent): void {
    const { books } = this.#context;
    const { id } = event.info;
    // Two threads that do the first I/O at once may both tell of it.
    if (this.#connections.has(id) || this.#ignored.has(id) || this.#sessions.isCarrier(id)) return;
    books.connectionSeen();
    if (event.isSecure && this.#sessions.carry(event)) return;
    if (this.#connections.size >= this.#maxConnections) {
      books.connectionShed('too_many_connections');
      this.#forget(id, 'too_many_connections');
      return;
    }
    this.#add(event);
  }

  /** It is known which connection a TLS session belongs to, or that it will never be. */
  secured(event: SecuredEvent): void {
    const { session } = event;
    const bound = this.#sessions.bind(event);
    if (bound === undefined) {
      const connection = this.#connections.get(session);
      connection?.abandon('bytes_lost');
      if (connection !== undefined) this.#release(connection);
      this.#forget(session, 'tls_unbound');
      return;
    }
    if (this.#connections.has(session) || this.#ignored.has(session)) return;
    this.#add(bound.open);
    for (const held of bound.events) this.io(held);
  }

  #add(event: OpenEvent): void {
    const connection = new Connection(event, this.#context);
    this.#connections.set(event.info.id, connection);
    this.#pairs.open(connection);
  }

  /** Events that never came, of nobody knows which connections. */
  noteLoss(): void {
    this.#lossAt = this.#now;
  }

  io(event: IoEvent): void {
    this.#now = event.time;
    const connection = this.#connections.get(event.connection);
    if (connection === undefined) return this.#strange(event);
    connection.io(event);
    if (connection.waitingSince !== undefined) this.#holding.add(connection);
  }

  /** Records of this connection found the ring full before the one that comes next. */
  resumed(id: ConnectionId): void {
    this.#connections.get(id)?.resumed();
  }

  walked(event: WalkEvent): void {
    this.#connections.get(event.connection)?.walked(event);
  }

  end(event: EndEvent): void {
    const connection = this.#connections.get(event.connection);
    if (this.#sessions.isCarrier(event.connection)) {
      this.#endCarrier(event);
      return;
    }
    if (connection === undefined) {
      if (isSession(event.connection)) {
        this.#sessions.drop(event.connection);
        this.#noteEnded(event.connection);
      }
      if (event.cause === 'closed' && this.#ignored.delete(event.connection)) this.#context.controls.release(event.connection);
      return;
    }
    switch (event.cause) {
      case 'eof':
        connection.end(false, event.time, event.receivedPosition);
        return;
      case 'shutdown':
        if (event.isExiting) this.#close(connection, 'process_exited', event);
        else connection.end(true, event.time, event.sentPosition);
        return;
      case 'error':
        // A broken pipe ends only what is sent: after an own shutdown the answer may still come.
        if (event.error === ECONNRESET) this.#close(connection, 'connection_reset', event);
        return;
      case 'closed':
        this.#close(connection, causeOf(event), event);
        return;
    }
  }

  /**
   * Finishes what has lingered or waited long enough. `now`: pipeline time up to which events have been handed in. Records leave the ring
   * in the order in which they took their places there, so that with the ring not yet empty that is at least the time of the last I/O.
   */
  tick(now: Nanoseconds = this.#now): void {
    // Before ends are forgotten.
    this.#pairs.tick(now);
    for (const [connection, closing] of this.#closing) {
      if (closing.time + LINGER_NS > now) break;
      this.#finish(connection, closing);
    }
    for (const [connection, time] of this.#gone) {
      if (time + LINGER_NS > now) break;
      this.#finishGone(connection, time);
    }
    for (const [id, time] of this.#endedCarriers) {
      if (time + LINGER_NS > now) break;
      this.#endedCarriers.delete(id);
      this.#sessions.forgetCarrier(id);
    }
    if (now - this.#settledAt >= SETTLE_INTERVAL_NS) {
      this.#settledAt = now;
      for (const connection of this.#connections.values()) connection.settle(now);
    }
    for (const connection of this.#holding) {
      const since = connection.waitingSince;
      if (since !== undefined && since + MAX_HOLD_NS > now) continue;
      connection.release();
      this.#holding.delete(connection);
    }
  }

  /**
   * `live`: connections that the kernel still knew at `time`. The others are gone without a word (UNIX sockets, lost events), but what
   * they did may be in the ring still, so that they end only with a later {@link tick}.
   */
  sweep(live: ReadonlySet<ConnectionId>, time: Nanoseconds): void {
    for (const [id, connection] of this.#connections) {
      if (live.has(connection.info.security?.carrier ?? id) || connection.lastTime > time || this.#gone.has(connection)) continue;
      this.#gone.set(connection, time);
    }
    for (const id of this.#sessions.missing((carrier) => live.has(carrier), time)) {
      if (!this.#endedCarriers.has(id)) this.#endedCarriers.set(id, time);
    }
  }

  /** True while there is a connection whose end {@link sweep} may have to find: of any, the event may be lost. */
  needsSweep(): boolean {
    return this.#connections.size > 0 || this.#sessions.carriers > 0;
  }

  /** The receiver stops, and all events have been handed in: what lingers is finished, what is open is counted. */
  close(): void {
    for (const [connection, closing] of this.#closing) this.#finish(connection, closing);
    for (const [connection, time] of this.#gone) this.#finishGone(connection, time);
    for (const connection of this.#connections.values()) connection.abandon();
    this.#sessions.close();
    this.#pairs.close();
    this.#connections.clear();
    this.#holding.clear();
  }

  #close(connection: Connection, cause: Abort, event: EndEvent): void {
    // The first cause counts: a reset is followed by the end of the socket.
    if (this.#closing.has(connection)) return;
    const { time, receivedPosition, sentPosition } = event;
    this.#closing.set(connection, { cause, time, receivedPosition, sentPosition });
  }

  #finish(connection: Connection, closing: Closing): void {
    const { cause, time, receivedPosition, sentPosition } = closing;
    const { id } = connection.info;
    this.#closing.delete(connection);
    this.#gone.delete(connection);
    this.#holding.delete(connection);
    if (this.#connections.get(id) !== connection) return;
    this.#connections.delete(id);
    this.#context.controls.release(id);
    this.#noteEnded(id);
    connection.close(cause, time, receivedPosition, sentPosition);
    this.#release(connection);
    this.#pairs.forget(connection);
  }

  #noteEnded(id: ConnectionId): void {
    this.#ended.add(id);
    evict(this.#ended, MAX_ENDED);
  }

  /** Of a TLS session: its carrier may carry another one. */
  #release({ info: { id, security } }: Connection): void {
    if (security !== undefined) this.#sessions.release(id, security.carrier);
  }

  /** The plaintext ends as its carrier does; where it stood then only its own events tell. */
  #endCarrier(event: EndEvent): void {
    const session = this.#sessions.sessionOf(event.connection);
    if (event.cause === 'closed') this.#endedCarriers.set(event.connection, event.time);
    if (session === undefined || !this.#connections.has(session)) return;
    this.end({ ...event, connection: session, receivedPosition: 0, sentPosition: 0 });
  }

  #finishGone(connection: Connection, time: Nanoseconds): void {
    this.#gone.delete(connection);
    // Its end was in the ring, or it was not gone.
    if (this.#closing.has(connection) || connection.lastTime > time) return;
    // The kernel tells the end of every TCP connection, so that one without is a lost event, and the answer may be lost with it. A UNIX
    // socket ends without a word.
    if (connection.info.transport === 'tcp' || this.#lossAt >= connection.lastTime) connection.abandon('bytes_lost');
    this.#finish(connection, { cause: 'connection_closed', time: connection.lastTime, receivedPosition: 0, sentPosition: 0 });
  }

  /** An event of a connection that we do not know: given up already, over, or its beginning was lost. */
  #strange(event: IoEvent): void {
    const { books } = this.#context;
    if (isSession(event.connection) && !this.#ignored.has(event.connection) && !this.#ended.has(event.connection)) {
      if (!this.#sessions.hold(event)) this.#forget(event.connection, 'tls_unbound');
      return;
    }
    books.bytesSeen(event.size);
    if (this.#ignored.has(event.connection)) {
      books.bytesSkipped(event.size);
      // The kernel has not heard of it, or its slot was another one's.
      this.#context.controls.ignore(event.connection);
      return;
    }
    books.bytesLost('connection_unknown', event.size);
    if (this.#ended.has(event.connection)) return;
    books.connectionSeen();
    books.connectionShed('ring_full');
    this.#forget(event.connection, 'ring_full');
  }

  #forget(id: ConnectionId, reason: GiveUpReason | ShedReason | 'tls_unbound'): void {
    const connection = this.#connections.get(id);
    if (connection !== undefined) this.#pairs.forget(connection);
    this.#connections.delete(id);
    this.#context.controls.ignore(id);
    this.#ignored.set(id, reason);
    evict(this.#ignored, MAX_REMEMBERED);
  }
}

function isMatch({ info }: Connection, { connection, pid, port }: ConnectionFilter): boolean {
  if (connection !== undefined && info.id !== connection) return false;
  if (pid !== undefined && info.openedBy.pid !== pid) return false;
  return port === undefined || info.local.port === port || info.peer.port === port;
}

/** Makes room for the newest by forgetting the oldest. */
function evict(ids: Set<ConnectionId> | Map<ConnectionId, unknown>, limit: number): void {
  if (ids.size <= limit) return;
  for (const oldest of ids.keys()) {
    ids.delete(oldest);
    return;
  }
}

function causeOf(event: EndEvent): Abort {
  if (event.isExiting) return 'process_exited';
  return event.error === ECONNRESET || event.error === EPIPE ? 'connection_reset' : 'connection_closed';
}
