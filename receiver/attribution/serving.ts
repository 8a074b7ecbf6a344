// Which request a process is serving as it makes one of its own. The evidence is a traceparent that came in and goes out unchanged: a proxy
// passes it on. Two requests under way with the same traceparent make it ambiguous, and then nothing is said.
import type { Exchange } from '../model/exchange.ts';

export class Serving {
  readonly #limit: number;
  /** By process and traceparent, in the order in which they came. */
  readonly #byTraceparent = new Map<string, Exchange | 'ambiguous'>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A request's head is complete. Sets what a client's request is served by. */
  requested(exchange: Exchange): void {
    if (exchange.request.traceparent === undefined) return;
    const key = keyOf(exchange);
    const known = this.#byTraceparent.get(key);
    const serving = known === undefined || known === 'ambiguous' || known.isOver ? undefined : known;
    if (exchange.connection.role === 'client') {
      exchange.servedBy = serving;
      return;
    }
    this.#byTraceparent.set(key, serving === undefined && known !== 'ambiguous' ? exchange : 'ambiguous');
    if (this.#byTraceparent.size <= this.#limit) return;
    for (const oldest of this.#byTraceparent.keys()) {
      this.#byTraceparent.delete(oldest);
      return;
    }
  }

  /** A request of a server is answered or given up. */
  ended(exchange: Exchange): void {
    if (exchange.request.traceparent === undefined || exchange.connection.role === 'client') return;
    const key = keyOf(exchange);
    if (this.#byTraceparent.get(key) === exchange) this.#byTraceparent.delete(key);
  }
}

function keyOf({ process, request }: Exchange): string {
  return `${String(process.pid)} ${String(process.startTime)} ${request.traceparent ?? ''}`;
}
