// Both ends of one connection, when both are observed: which exchange of the client's end a server's transaction is the other side of.
// The ends know each other by their pair, and the exchange by its request's position, never by addresses.
import type { ConnectionId } from '../model/connection.ts';
import type { Exchange } from '../model/exchange.ts';
import type { Nanoseconds, Transaction } from '../model/transaction.ts';
import type { Connection } from './connection.ts';

/**
 * The event of an I/O is made when its call returns, so a server can have answered before the client's own event has come. This long a
 * transaction is kept back that may have another end here.
 */
const MAX_WAIT_NS = 20e6;

interface Waiting {
  readonly transaction: Transaction;
  readonly connection: Connection;
}

export class Pairs {
  readonly #ends = new Map<string, Connection>();
  readonly #others = new Map<ConnectionId, Connection>();
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
    const other = this.#ends.get(pair);
    if (other === undefined) {
      this.#ends.set(pair, connection);
      return;
    }
    this.#others.set(connection.info.id, other);
    this.#others.set(other.info.id, connection);
  }

  /** One end is over: the other one will not have another. */
  forget(connection: Connection): void {
    const other = this.#others.get(connection.info.id);
    const first = this.#ends.get(connection.info.pair);
    if (first === connection || (first !== undefined && first === other)) this.#ends.delete(connection.info.pair);
    if (other === undefined) return;
    this.#others.delete(connection.info.id);
    this.#others.delete(other.info.id);
  }

  /** A request's head is complete: a server's normally after the one at its client's end. */
  requested(exchange: Exchange): void {
    const other = this.#others.get(exchange.connection.id);
    if (other?.info.role !== 'client' || exchange.connection.role !== 'server') return;
    exchange.otherEnd ??= other.exchangeAt(exchange.position);
  }

  /** Hands the transaction on, at once or when its other end has had its time to show. */
  take(transaction: Transaction, connection: Connection): void {
    this.requested(transaction.exchange);
    if (this.#mustWait(transaction, connection)) this.#waiting.push({ transaction, connection });
    else this.#onTransaction(transaction);
  }

  /** `now`: time up to which all events have been handed in. */
  tick(now: Nanoseconds): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { transaction, connection } of waiting) {
      this.requested(transaction.exchange);
      if (transaction.end + MAX_WAIT_NS > now && this.#mustWait(transaction, connection)) {
        this.#waiting.push({ transaction, connection });
      } else {
        this.#onTransaction(transaction);
      }
    }
  }

  close(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { transaction } of waiting) {
      this.requested(transaction.exchange);
      this.#onTransaction(transaction);
    }
  }

  /** Only of the first exchange of a connection is it unknown whether there is another end here. */
  #mustWait(transaction: Transaction, connection: Connection): boolean {
    const { exchange, role, requestPosition, request } = transaction;
    // What the wire says goes before what the other end says.
    if (role === 'client' || exchange.otherEnd !== undefined || request.traceparent !== undefined) return false;
    const other = this.#others.get(connection.info.id);
    if (other === undefined) return requestPosition === 0 && connection.info.pair !== '';
    const followed = other.requestPosition;
    return followed === undefined || followed <= requestPosition;
  }
}
