// Contexts of I/Os → contexts of streams: an I/O's belongs to the stream whose HEADERS it carries, if it carries those of no other on its
// side. A thread that moves the HEADERS of several is in one span, and nobody knows whose that is; so whose it is shows only when the I/O
// has been read to its end. Of one connection; hot path where contexts are published.
import type { Side } from '../../model/protocol.ts';
import type { IoContext } from '../../model/thread-context.ts';
import type { StreamExchange } from './exchange.ts';

const NONE = 0;
const SEVERAL = -1;

interface Candidate {
  readonly context: IoContext;
  /** Whose HEADERS the I/O carries so far. */
  stream: number;
  exchange: StreamExchange | undefined;
}

export class StreamContexts {
  #request: Candidate | undefined;
  #response: Candidate | undefined;
  /** Span that the last response was written in. */
  #lastSpanId = '';

  /** An I/O is being read whose context may be somebody's. */
  get isUnsettled(): boolean {
    return this.#request !== undefined || this.#response !== undefined;
  }

  /** An I/O with a context, or a further part of it. `isInBlock`: it begins within a header block of an earlier I/O. */
  arrive(side: Side, context: IoContext, isInBlock: boolean): void {
    const candidate = side === 'request' ? this.#request : this.#response;
    if (candidate?.context.position === context.position && candidate.context.end === context.end) return;
    if (candidate !== undefined) this.#settle(side, candidate);
    this.#put(side, { context, stream: isInBlock ? SEVERAL : NONE, exchange: undefined });
  }

  /** HEADERS of a stream that begin at `position`; `exchange`: they are its request, or its final response. */
  headers(side: Side, stream: number, position: number, exchange: StreamExchange | undefined): void {
    const candidate = side === 'request' ? this.#request : this.#response;
    if (candidate === undefined || position < candidate.context.position || position >= candidate.context.end) return;
    if (candidate.stream === NONE) candidate.stream = stream;
    else if (candidate.stream !== stream) candidate.stream = SEVERAL;
    candidate.exchange ??= exchange;
  }

  /** This side is read up to `position`. `isInBlock`: within a header block there. */
  reach(side: Side, position: number, isInBlock: boolean): void {
    const candidate = side === 'request' ? this.#request : this.#response;
    if (candidate === undefined || position < candidate.context.end) return;
    if (isInBlock) candidate.stream = SEVERAL;
    this.#settle(side, candidate);
  }

  /** Bytes of this side were lost that may have had HEADERS. */
  spoil(side: Side): void {
    const candidate = side === 'request' ? this.#request : this.#response;
    if (candidate !== undefined) candidate.stream = SEVERAL;
  }

  #settle(side: Side, { context, stream, exchange }: Candidate): void {
    this.#put(side, undefined);
    if (stream === SEVERAL || exchange === undefined) return;
    const { spanId } = context.context;
    if (side === 'response') {
      this.#lastSpanId = spanId;
      exchange.responseContext = context;
      return;
    }
    // A server's thread that is still in the span of the request before has not left it, and is not in this one's.
    if (exchange.connection.role === 'client' || spanId !== this.#lastSpanId) exchange.requestContext = context;
  }

  #put(side: Side, candidate: Candidate | undefined): void {
    if (side === 'request') this.#request = candidate;
    else this.#response = candidate;
  }
}
