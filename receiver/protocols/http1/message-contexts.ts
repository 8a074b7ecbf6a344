// Contexts of I/Os → contexts of messages: an I/O's belongs to the message that it begins with, unless another one begins in it as well. A thread
// that moves several messages at once is in one span, and nobody knows whose that is. Of one connection; hot path where contexts are published.
import type { Side } from '../../model/protocol.ts';
import type { IoContext } from '../../model/thread-context.ts';
import type { HttpExchange } from './exchange.ts';

export class MessageContexts {
  /** Of the last I/O with one. */
  #ofRequest: IoContext | undefined;
  #ofResponse: IoContext | undefined;
  /** Span that the last response was written in. */
  #lastSpanId = '';

  /** An I/O with a context, or a further part of it. */
  arrive(side: Side, context: IoContext): void {
    if (side === 'request') this.#ofRequest = context;
    else this.#ofResponse = context;
  }

  /** A request that begins at `position`. */
  requestBegins(exchange: HttpExchange, position: number): void {
    const context = this.#ofRequest;
    if (context?.position !== position) return;
    // A server's thread that is still in the span of the request before has not left it, and is not in this one's.
    if (exchange.connection.role !== 'client' && context.context.spanId === this.#lastSpanId) return;
    exchange.requestContext = context;
  }

  /** `end`: position behind it. */
  requestEnds(exchange: HttpExchange, end: number): void {
    if (exchange.requestContext !== undefined && end < exchange.requestContext.end) exchange.requestContext = undefined;
  }

  /** A final response that begins at `position`. */
  responseBegins(exchange: HttpExchange, position: number): void {
    const context = this.#ofResponse;
    if (context?.position !== position) return;
    this.#lastSpanId = context.context.spanId;
    exchange.responseContext = context;
  }

  /** Of the I/O that response bytes from `position` on are part of; undefined: it has none, or has ended. */
  ofResponseAt(position: number): IoContext | undefined {
    const context = this.#ofResponse;
    return context !== undefined && position < context.end ? context : undefined;
  }

  responseEnds(exchange: HttpExchange, end: number): void {
    if (exchange.responseContext !== undefined && end < exchange.responseContext.end) exchange.responseContext = undefined;
  }
}
