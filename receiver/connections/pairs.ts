// Both ends of one connection, when both are observed: which exchange of the client's end a server's transaction is the other side of.
// The ends know each other by their pair, and the exchange by its request's position, never by addresses.
import type { Exchange } from '../model/exchange.ts';
import type { Nanoseconds, Transaction } from '../model/transaction.ts';
import type { Connection } from './connection.ts';

/**
 * The event of an I/O is made when its call returns, so a server can have answered before the client's own event has come: by as long as
 * the client's thread is kept from its CPU. This long a transaction is kept back whose other end is followed here.
 */
const MAX_LAG_NS = 1e9;
/** This long, where it is not known whether there is another end here. */
const MAX_WAIT_NS = 100e6;
/** No more are kept back at a time. */
const MAX_WAITING = 4096;

interface Waiting {
  readonly transaction: Transaction;
  readonly connection: Connection;
}

export class Pairs {
  /** By pair: one end whose other end has not shown. */
  readonly #single = new Map<string, Connection>();
  readonly #onTransaction: (transaction: Transaction) => void;
  /** In the order in which they ended. */
  #waiting: Waiting[] = [];

  /** `onTransaction`: takes each transaction when its other end is known, or known not to be here. */
  constructor(onTransaction: (transaction: Transaction) => void) {
    this.#onTransaction = onTransaction;
  }

  /** Transactions that are kept back. */
  get waiting(): number {
    return this.#waiting.length;
  }

  open(connection: Connection): void {
    const { pair } = connection.info;
    if (pair === '') return;
    const other = this.#single.get(pair);
    if (other === undefined) {
      this.#single.set(pair, connection);
      return;
    }
    this.#single.delete(pair);
    connection.otherEnd = other;
    other.otherEnd = connection;
  }

  /** One end is over: the other one will not have another. */
  forget(connection: Connection): void {
    const { otherEnd } = connection;
    if (otherEnd === undefined) {
      if (this.#single.get(connection.info.pair) === connection) this.#single.delete(connection.info.pair);
      return;
    }
    connection.otherEnd = undefined;
    otherEnd.otherEnd = undefined;
  }

  /** A request's head is complete at `connection`: a server's normally after the one at its client's end. */
  requested(exchange: Exchange, { otherEnd }: Connection): void {
    const other = otherEnd?.exchangeAt(exchange.position);
    if (exchange.connection.role === 'server') {
      if (otherEnd?.info.role === 'client') exchange.otherEnd ??= other;
    } else if (otherEnd?.info.role === 'server' && other !== undefined) {
      other.otherEnd ??= exchange;
    }
  }

  /** Hands the transaction on, at once or when its other end has had its time to show. */
  take(transaction: Transaction, connection: Connection): void {
    this.requested(transaction.exchange, connection);
    if (this.#waiting.length < MAX_WAITING && waitOf(transaction, connection) > 0)
      this.#waiting.push({ transaction, connection });
    else this.#onTransaction(transaction);
  }

  /** `now`: time up to which all events have been handed in. */
  tick(now: Nanoseconds): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { transaction, connection } of waiting) {
      this.requested(transaction.exchange, connection);
      const wait = waitOf(transaction, connection);
      if (wait > 0 && transaction.end + wait > now) {
        this.#waiting.push({ transaction, connection });
      } else {
        this.#onTransaction(transaction);
      }
    }
  }

  close(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { transaction, connection } of waiting) {
      this.requested(transaction.exchange, connection);
      this.#onTransaction(transaction);
    }
  }
}

/** How long after its end it is worth keeping back, for its other end to show. */
function waitOf({ exchange, role, requestPosition, request }: Transaction, { otherEnd, info }: Connection): Nanoseconds {
  // What the wire says goes before what the other end says.
  if (role === 'client' || exchange.otherEnd !== undefined || request.traceparent !== undefined) return 0;
  // Only of the first exchange of a connection is it unknown whether there is another end here.
  if (otherEnd === undefined) return requestPosition === 0 && info.pair !== '' ? MAX_WAIT_NS : 0;
  const followed = otherEnd.requestPosition;
  return followed === undefined || followed <= requestPosition ? MAX_LAG_NS : 0;
}
