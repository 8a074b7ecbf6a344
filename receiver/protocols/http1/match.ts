// Requests and responses of one connection → transactions: the oldest unanswered request gets the next final response (RFC 9112, 9.3.2).
// Nothing is "seen" before the connection is proven to be HTTP. After lost bytes that order itself is in doubt, because requests may
// have been pipelined in the hole: then finished transactions are held until the client has shown that it waits for each answer.
import { type ConversationInspection, MAX_EXCHANGES } from '../../model/inspection.ts';
import type { ConnectionInfo } from '../../model/connection.ts';
import type { ProcessId } from '../../model/process.ts';
import type { ConversationSink, NotExportedReason, Present } from '../../model/protocol.ts';
import type { Abort, HttpRequest, Nanoseconds, Transaction } from '../../model/transaction.ts';
import { transactionOf } from '../http/exchange.ts';
import { type HttpExchange, pastExchange } from './exchange.ts';

/** In doubt, silence of this length after the last answer tells as much as the next request does, unless an answer takes as long. */
const SETTLE_NS = 5e9;
/**
 * So many turns without a request or an answer too many settle a doubt. A client that keeps a few requests on their way may take turns
 * with its server for a while, each answer seeming to be the next request's.
 */
const SETTLE_TURNS = 8;
/** So many turns of which every message was seen show that this client waits for its answers. */
const WAITING_TURNS = 8;

/** So long after its end an exchange can still be asked for by the other end of its connection. */
const LAST_NS = 1e9;

export class Matcher {
  readonly #sink: ConversationSink;
  readonly #limit: number;
  readonly #waiting: HttpExchange[] = [];
  /** Undefined where nothing was ever in doubt. */
  #held: Transaction[] | undefined;
  /** The last one that ended, as long as the other end of the connection may still ask for it. */
  #last: HttpExchange | undefined;
  #lastEnd: Nanoseconds = 0;
  /** Of an idle connection, what is kept of its last exchange. */
  #pastRequest: HttpRequest | undefined;
  #pastProcess: ProcessId | undefined;
  #heldSince: Nanoseconds = 0;
  #cleanTurns = 0;
  #turns = 0;
  #isConfirmed = false;
  #isInDoubt = false;
  #isPipelined = false;

  constructor(sink: ConversationSink, limit: number) {
    this.#sink = sink;
    this.#limit = limit;
  }

  /** Unanswered requests. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Transactions that were seen and that nothing else was said of. */
  get openCount(): number {
    return this.#isConfirmed ? this.#waiting.length + this.#heldCount : 0;
  }

  get #heldCount(): number {
    return this.#held === undefined ? 0 : this.#held.length;
  }

  get isFull(): boolean {
    return this.#waiting.length + this.#heldCount >= this.#limit;
  }

  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /**
   * This client sends requests before it has all answers. After a loss there is then no moment at which the next answer is provably
   * the next request's, so that such a connection is not found again.
   */
  get isPipelined(): boolean {
    return this.#isPipelined;
  }

  get oldest(): HttpExchange | undefined {
    return this.#waiting[0];
  }

  get newest(): HttpExchange | undefined {
    return this.#waiting[this.#waiting.length - 1];
  }

  present(now: Nanoseconds, connection: ConnectionInfo): Present {
    if (!this.#isConfirmed) return { open: [], last: undefined };
    const last =
      this.#pastRequest === undefined || this.#pastProcess === undefined
        ? this.#last
        : pastExchange(connection, this.#pastRequest, this.#pastProcess);
    return {
      open: this.#waiting.map((exchange) => present(exchange, now)),
      last: last && present(last, now),
    };
  }

  inspect(now: Nanoseconds): Pick<ConversationInspection, 'open_exchanges' | 'open' | 'held'> {
    return {
      open_exchanges: this.#waiting.slice(0, MAX_EXCHANGES).map(({ position, start, process, statusCode }) => ({
        request_position: position,
        age_ms: Math.round((now - start) / 1e6),
        pid: process.pid,
        status_code: statusCode === 0 ? undefined : statusCode,
      })),
      open: this.#waiting.length,
      held: this.#heldCount,
    };
  }

  /** Where every message was seen, this client asked again only when it had its answer. */
  get isKnownToWait(): boolean {
    return this.#turns >= WAITING_TURNS && !this.#isPipelined;
  }

  /** What was seen of this client's habits may have been something else. */
  forgetTurns(): void {
    this.#turns = 0;
  }

  at(position: number): HttpExchange | undefined {
    if (this.#last?.position === position) return this.#last;
    for (let i = 0; i < this.#waiting.length; i++) {
      const exchange = this.#waiting[i];
      if (exchange?.position === position) return exchange;
    }
    return undefined;
  }

  doubt(): void {
    this.#isInDoubt = true;
    this.#cleanTurns = 0;
  }

  /** The client speaks after the server did. */
  noteTurn(): void {
    if (this.#waiting.length > 0) return;
    if (!this.#isInDoubt) this.#turns++;
    if (this.#heldCount === 0) return;
    if (++this.#cleanTurns >= SETTLE_TURNS) this.settle();
  }

  /** Requests, or answers, have come that only pipelining explains. */
  notePipelining(): void {
    this.#isPipelined = true;
  }

  /** `told`: up to where the response side is known. If it stood farther, the answer may be there already. */
  open(exchange: HttpExchange, told: number): void {
    const { length } = this.#waiting;
    if (length > 0) {
      const newest = this.#waiting[length - 1] as HttpExchange;
      if (exchange.otherPosition <= Math.max(told, newest.otherPosition)) this.#isPipelined = true;
    }
    this.#waiting.push(exchange);
    this.#sink.requested(exchange);
    if (this.#isConfirmed) this.#sink.seen();
  }

  /** The connection, or the place in it, is proven. */
  confirm(): void {
    if (this.#isConfirmed) return;
    this.#isConfirmed = true;
    for (let i = 0; i < this.#waiting.length; i++) this.#sink.seen();
  }

  /** The oldest request's response is over, or (with `abort`) will never be. */
  finish(end: Nanoseconds, responseBodySize: number | undefined, abort: Abort | undefined): void {
    // One is the common case, and taking it from the end costs less.
    const exchange = this.#waiting.length === 1 ? this.#waiting.pop() : this.#waiting.shift();
    if (exchange === undefined) return;
    exchange.isOver = true;
    this.#last = exchange;
    this.#lastEnd = end;
    this.#pastRequest = this.#pastProcess = undefined;
    const transaction = transactionOf(exchange, end, responseBodySize, abort, undefined, undefined);
    if (!this.#isInDoubt) {
      this.#sink.transaction(transaction);
      return;
    }
    (this.#held ??= []).push(transaction);
    this.#heldSince = end;
  }

  /** The client has waited for all its answers, so none was somebody else's: no more doubt. */
  settle(): void {
    if (!this.#isInDoubt || !this.#isConfirmed || this.#waiting.length > 0 || this.#heldCount === 0) return;
    this.#isInDoubt = false;
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const transaction of held) this.#sink.transaction(transaction);
  }

  settleAfterSilence(now: Nanoseconds): void {
    if (this.#last !== undefined && this.#heldCount === 0 && now - this.#lastEnd >= LAST_NS) {
      this.#pastRequest = this.#last.request;
      this.#pastProcess = this.#last.process;
      this.#last = undefined;
      this.#held = undefined;
      // An array that has held something goes on owning room for more.
      if (this.#waiting.length === 0) this.#waiting.length = 0;
    }
    if (this.#heldCount > 0 && now - this.#heldSince >= SETTLE_NS) this.settle();
  }

  /** The newest request is answered elsewhere, and is no more one of these. */
  handOver(): void {
    this.#waiting.pop();
    this.settle();
  }

  /** The oldest request ends without a Transaction. */
  dropOldest(reason: NotExportedReason): void {
    const exchange = this.#waiting.shift();
    if (exchange === undefined) return;
    exchange.isOver = true;
    if (this.#isConfirmed) this.#sink.dropped(reason);
  }

  /** All that is open ends without a Transaction; what comes next must be confirmed anew. */
  dropAll(reason: NotExportedReason): void {
    for (let open = this.openCount; open > 0; open--) this.#sink.dropped(reason);
    for (const exchange of this.#waiting) exchange.isOver = true;
    this.#waiting.length = 0;
    this.#held = undefined;
    this.#isConfirmed = false;
    this.#cleanTurns = 0;
  }
}

function present(exchange: HttpExchange, now: Nanoseconds): Transaction {
  return transactionOf(exchange, now, undefined, undefined, undefined, undefined);
}
