// ConnectionId -> Connection: opens, feeds, closes and bounds them.
import type { ConnectionId } from '../model/connection.ts';
import type { Books } from '../model/books.ts';
import type { Protocol } from '../model/protocol.ts';
import type { Abort, Nanoseconds, Transaction } from '../model/transaction.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import type { Controls } from './controls.ts';
import type { EndEvent, IoEvent, OpenEvent, WalkEvent } from '../model/stream-event.ts';

export interface ConnectionTableOptions {
  readonly protocols: readonly Protocol[];
  readonly controls: Controls;
  readonly books: Books;
  readonly windowSize: number;
  readonly maxConnections: number;
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

const ECONNRESET = 104;
const EPIPE = 32;

interface Closing {
  readonly connection: Connection;
  readonly cause: Abort;
  readonly time: Nanoseconds;
  readonly receivedPosition: number;
  readonly sentPosition: number;
}

export class ConnectionTable {
  readonly #connections = new Map<ConnectionId, Connection>();
  readonly #context: ConnectionContext;
  readonly #maxConnections: number;
  readonly #ignored = new Set<ConnectionId>();
  readonly #holding = new Set<Connection>();
  #closing: Closing[] = [];
  #settledAt: Nanoseconds = 0;

  constructor(options: ConnectionTableOptions) {
    this.#maxConnections = options.maxConnections;
    this.#context = {
      protocols: options.protocols,
      controls: options.controls,
      books: options.books,
      windowSize: options.windowSize,
      onTransaction: options.onTransaction,
      onIgnored: (connection) => {
        this.#forget(connection.info.id);
      },
    };
  }

  get size(): number {
    return this.#connections.size;
  }

  open(event: OpenEvent): void {
    const { books } = this.#context;
    books.connectionSeen();
    if (this.#connections.size >= this.#maxConnections) {
      books.connectionShed('too_many_connections');
      this.#forget(event.info.id);
      return;
    }
    this.#connections.set(event.info.id, new Connection(event, this.#context));
  }

  io(event: IoEvent): void {
    const connection = this.#connections.get(event.connection);
    if (connection === undefined) {
      this.#strange(event);
      return;
    }
    connection.io(event);
    if (connection.isHolding) this.#holding.add(connection);
  }

  walked(event: WalkEvent): void {
    this.#connections.get(event.connection)?.walked(event);
  }

  end(event: EndEvent): void {
    const connection = this.#connections.get(event.connection);
    if (connection === undefined) {
      if (event.cause === 'closed' && this.#ignored.delete(event.connection)) this.#context.controls.release(event.connection);
      return;
    }
    switch (event.cause) {
      case 'eof':
        connection.end(false, event.time);
        return;
      case 'shutdown':
        if (event.isExiting) this.#close(connection, 'process_exited', event);
        else connection.end(true, event.time);
        return;
      case 'error':
        this.#close(connection, 'connection_reset', event);
        return;
      case 'closed':
        this.#close(connection, causeOf(event), event);
        return;
    }
  }

  /** Finishes what has lingered or waited long enough. `now`: pipeline time up to which events have been handed in. */
  tick(now: Nanoseconds): void {
    if (this.#closing.length > 0) {
      const ready = this.#closing.filter((closing) => closing.time + LINGER_NS <= now);
      if (ready.length > 0) {
        this.#closing = this.#closing.filter((closing) => closing.time + LINGER_NS > now);
        for (const closing of ready) this.#finish(closing);
      }
    }
    if (now - this.#settledAt >= SETTLE_INTERVAL_NS) {
      this.#settledAt = now;
      for (const connection of this.#connections.values()) connection.settle(now);
    }
    for (const connection of this.#holding) {
      if (connection.isHolding && connection.lastTime + MAX_HOLD_NS > now) continue;
      connection.release();
      this.#holding.delete(connection);
    }
  }

  /** `live`: connections that the kernel still knew at `time`. The others are gone without a word (UNIX sockets, lost events). */
  sweep(live: ReadonlySet<ConnectionId>, time: Nanoseconds): void {
    for (const [id, connection] of this.#connections) {
      if (live.has(id) || connection.lastTime > time) continue;
      this.#connections.delete(id);
      this.#context.controls.release(id);
      connection.close('connection_closed', connection.lastTime, 0, 0);
    }
  }

  /** True if somebody's end would go unnoticed without {@link sweep}. */
  needsSweep(): boolean {
    for (const connection of this.#connections.values()) if (connection.info.transport === 'unix') return true;
    return false;
  }

  /** The receiver stops: what lingers is finished, what is open is counted. */
  close(): void {
    for (const closing of this.#closing) this.#finish(closing);
    this.#closing = [];
    for (const connection of this.#connections.values()) connection.abandon();
    this.#connections.clear();
  }

  #close(connection: Connection, cause: Abort, event: EndEvent): void {
    const { time, receivedPosition, sentPosition } = event;
    this.#closing.push({ connection, cause, time, receivedPosition, sentPosition });
  }

  #finish(closing: Closing): void {
    const { connection, cause, time, receivedPosition, sentPosition } = closing;
    const { id } = connection.info;
    // The first cause counts: a reset is followed by the end of the socket.
    if (this.#connections.get(id) !== connection) return;
    this.#connections.delete(id);
    this.#holding.delete(connection);
    this.#context.controls.release(id);
    connection.close(cause, time, receivedPosition, sentPosition);
  }

  /** An event of a connection that we do not know: given up already, or its beginning was lost. */
  #strange(event: IoEvent): void {
    const { books } = this.#context;
    books.bytesSeen(event.size);
    if (this.#ignored.has(event.connection)) {
      books.bytesSkipped(event.size);
      return;
    }
    books.bytesLost('connection_unknown', event.size);
    books.connectionSeen();
    books.connectionShed('ring_full');
    this.#forget(event.connection);
  }

  #forget(id: ConnectionId): void {
    this.#connections.delete(id);
    this.#context.controls.ignore(id);
    this.#ignored.add(id);
    if (this.#ignored.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#ignored) {
      this.#ignored.delete(oldest);
      break;
    }
  }
}

function causeOf(event: EndEvent): Abort {
  if (event.isExiting) return 'process_exited';
  return event.error === ECONNRESET || event.error === EPIPE ? 'connection_reset' : 'connection_closed';
}
