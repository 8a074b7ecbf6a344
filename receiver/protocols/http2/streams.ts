// The streams of one connection that are open, by their ids, and what becomes of them: every request head that was seen ends as one
// Transaction or is dropped for one reason. RFC 9113, 5.1.
import { type ConversationInspection, MAX_EXCHANGES } from '../../model/inspection.ts';
import type { ConnectionInfo } from '../../model/connection.ts';
import type { ProcessId } from '../../model/process.ts';
import type { ConversationSink, NotExportedReason, Present, Side } from '../../model/protocol.ts';
import type { Abort, HttpRequest, Nanoseconds, Transaction } from '../../model/transaction.ts';
import { Doubt, isOutcomeUnknown, markLossy, pastExchange, type StreamExchange, toTransaction } from './exchange.ts';

/** So long after its end an exchange can still be asked for by the other end of its connection. */
const LAST_NS = 1e9;
/** A stream that may have ended in lost bytes, and of which nothing was seen for so long, has. */
const DOUBT_NS = 60e9;

export class Streams {
  /** The highest id that a request was seen of. */
  highest = 0;
  /** What ends meanwhile is told at {@link release}: what is known of it may still change. */
  isHolding = false;
  readonly #connection: ConnectionInfo;
  readonly #sink: ConversationSink;
  readonly #limit: number;
  readonly #open = new Map<number, StreamExchange>();
  #held: Transaction[] | undefined;
  /** The last one that ended, as long as the other end of the connection may still ask for it. */
  #last: StreamExchange | undefined;
  #lastEnd: Nanoseconds = 0;
  /** Of an idle connection, what is kept of its last exchange. */
  #pastRequest: HttpRequest | undefined;
  #pastProcess: ProcessId | undefined;

  constructor(connection: ConnectionInfo, sink: ConversationSink, limit: number) {
    this.#connection = connection;
    this.#sink = sink;
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#open.size >= this.#limit;
  }

  /** Transactions that were seen and that nothing else was said of. */
  get openCount(): number {
    return this.#open.size + (this.#held?.length ?? 0);
  }

  get(stream: number): StreamExchange | undefined {
    return this.#open.get(stream);
  }

  open(exchange: StreamExchange): void {
    this.#open.set(exchange.stream, exchange);
    this.#sink.requested(exchange);
    this.#sink.seen();
  }

  /** One that was seen as something else before. */
  adopt(exchange: StreamExchange): void {
    this.highest = exchange.stream;
    this.#open.set(exchange.stream, exchange);
  }

  /** A request head that makes no exchange. */
  refuse(reason: NotExportedReason): void {
    this.#sink.seen();
    this.#sink.dropped(reason);
  }

  /** It is over: whole, or early. */
  finish(exchange: StreamExchange, end: Nanoseconds, abort: Abort | undefined, reset: string | undefined): void {
    const isEarly = abort !== undefined || reset !== undefined;
    // It may have ended otherwise before.
    if (isEarly && (exchange.doubt & (abort === undefined ? Doubt.response : ~0)) !== 0) {
      this.drop(exchange, 'bytes_lost');
      return;
    }
    if (isOutcomeUnknown(exchange)) {
      this.drop(exchange, 'header_unknown');
      return;
    }
    this.#open.delete(exchange.stream);
    exchange.isOver = true;
    this.#last = exchange;
    this.#lastEnd = end;
    this.#pastRequest = this.#pastProcess = undefined;
    const transaction = toTransaction(exchange, end, abort, reset);
    if (this.isHolding) (this.#held ??= []).push(transaction);
    else this.#sink.transaction(transaction);
  }

  /** Its client leaves it, and had all of the answer: true, if that is so. */
  finishWhole(exchange: StreamExchange): boolean {
    if (exchange.wholeAt === undefined || exchange.responseSize !== exchange.responseLength) return false;
    exchange.isResponseOver = true;
    this.finish(exchange, exchange.wholeAt, undefined, undefined);
    return true;
  }

  release(): void {
    this.isHolding = false;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (const transaction of held) this.#sink.transaction(transaction);
  }

  drop(exchange: StreamExchange, reason: NotExportedReason): void {
    this.#open.delete(exchange.stream);
    exchange.isOver = true;
    this.#sink.dropped(reason);
  }

  dropAll(reason: NotExportedReason): void {
    this.release();
    for (const exchange of this.#open.values()) this.drop(exchange, reason);
  }

  /** All that is open ends with its connection; `responseEnd`: or with the response side, if that ended before. */
  abortAll(cause: Abort, time: Nanoseconds | undefined, responseEnd: Nanoseconds | undefined): void {
    for (const exchange of this.#open.values()) {
      const isEnded = responseEnd !== undefined && exchange.start <= responseEnd;
      const end = isEnded ? responseEnd : time;
      if (this.finishWhole(exchange)) continue;
      if (end !== undefined) this.finish(exchange, end, cause, undefined);
    }
  }

  /** The server takes no stream above `last`, and says so. */
  refuseAbove(last: number, time: Nanoseconds): void {
    for (const exchange of this.#open.values()) {
      const isUnanswered = exchange.statusCode === 0 && !exchange.isStatusUnknown;
      if (exchange.stream > last && isUnanswered) this.finish(exchange, time, undefined, 'REFUSED_STREAM');
    }
  }

  /** Bytes of `side` were lost: what is open may have ended in them, and what was being counted cannot be. */
  doubt(side: Side, time: Nanoseconds): void {
    for (const exchange of this.#open.values()) markLossy(exchange, side, time);
  }

  at(position: number): StreamExchange | undefined {
    if (this.#last?.position === position) return this.#last;
    for (const exchange of this.#open.values()) if (exchange.position === position) return exchange;
    return undefined;
  }

  present(now: Nanoseconds): Present {
    const last =
      this.#pastRequest === undefined || this.#pastProcess === undefined
        ? this.#last
        : pastExchange(this.#connection, this.#pastRequest, this.#pastProcess);
    return {
      open: [...this.#open.values()].map((exchange) => toTransaction(exchange, now, undefined, undefined)),
      last: last && toTransaction(last, now, undefined, undefined),
    };
  }

  inspect(now: Nanoseconds): Pick<ConversationInspection, 'open_exchanges' | 'open' | 'held'> {
    return {
      open_exchanges: [...this.#open.values()].slice(0, MAX_EXCHANGES).map(({ position, start, process, statusCode }) => ({
        request_position: position,
        age_ms: Math.round((now - start) / 1e6),
        pid: process.pid,
        status_code: statusCode === 0 ? undefined : statusCode,
      })),
      open: this.#open.size,
      held: this.#held?.length ?? 0,
    };
  }

  settle(now: Nanoseconds): void {
    if (this.#last !== undefined && now - this.#lastEnd >= LAST_NS) {
      this.#pastRequest = this.#last.request;
      this.#pastProcess = this.#last.process;
      this.#last = undefined;
    }
    for (const exchange of this.#open.values()) {
      if (exchange.doubt !== 0 && now - exchange.doubtSince >= DOUBT_NS) this.drop(exchange, 'bytes_lost');
    }
  }
}
