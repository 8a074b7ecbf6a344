// Contexts of I/Os → contexts of messages: an I/O's belongs to the message that begins in it, if only one does. A thread that moves several
// requests at once is in one span, and nobody knows whose that is. Of one connection; hot path where processes publish contexts.
import type { Side } from '../../model/protocol.ts';
import type { IoContext } from '../../model/thread-context.ts';
import type { HttpExchange } from './exchange.ts';

export class MessageContexts {
  #ofRequest: IoContext | undefined;
  #ofResponse: IoContext | undefined;
  /** Whose message was the first to begin in it. */
  #requesting: HttpExchange | undefined;
  #responding: HttpExchange | undefined;
  /** Span that the last response was written in. */
  #lastSpanId = '';

  /** An I/O with a context, or a further part of it. */
  arrive(side: Side, context: IoContext): void {
    if (side === 'request') {
      if (context !== this.#ofRequest) this.#requesting = undefined;
      this.#ofRequest = context;
    } else {
      if (context !== this.#ofResponse) this.#responding = undefined;
      this.#ofResponse = context;
    }
  }

  requestBegins(exchange: HttpExchange, position: number): void {
    const context = this.#ofRequest;
    if (context === undefined || !isWithin(position, context)) return;
    if (this.#requesting !== undefined) {
      this.#requesting.requestContext = undefined;
      return;
    }
    this.#requesting = exchange;
    // A server's thread that is still in the span of the request before has not left it, and is not in this one's.
    if (exchange.connection.role !== 'client' && context.context.spanId === this.#lastSpanId) return;
    exchange.requestContext = context;
  }

  responseBegins(exchange: HttpExchange, position: number): void {
    const context = this.#ofResponse;
    if (context === undefined || !isWithin(position, context)) return;
    if (this.#responding !== undefined) {
      this.#responding.responseContext = undefined;
      return;
    }
    this.#responding = exchange;
    this.#lastSpanId = context.context.spanId;
    exchange.responseContext = context;
  }
}

function isWithin(position: number, { position: from, end }: IoContext): boolean {
  return position >= from && position < end;
}
