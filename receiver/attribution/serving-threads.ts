// Which request a thread is serving as it makes one of its own. The evidence: it waited for the first bytes of that request on a socket that
// makes it wait, so it does one thing at a time, and has neither answered yet nor turned to another request. Threads that never wait, those of event loops, of Go
// and of whatever interleaves requests, say nothing; nor does one that has once had two requests at a time.
import type { ConnectionId, Role } from '../model/connection.ts';
import type { Exchange } from '../model/exchange.ts';
import type { ProcessId } from '../model/process.ts';
import type { IoEvent } from '../model/stream-event.ts';

export interface ServingThreadsOptions {
  readonly maxThreads: number;
  /** Undefined: the connection is not followed. */
  readonly roleOf: (connection: ConnectionId) => Role | undefined;
  /** Its threads say themselves what they are in: there is better evidence, which comes later. */
  readonly isPublishing: (process: ProcessId) => boolean;
}

interface ServingThread {
  readonly process: ProcessId;
  /** Where it has waited for a request that it has not answered. */
  connection: ConnectionId | undefined;
  /** That request, once its head is complete; the only one that was there. */
  serving: Exchange | undefined;
  /** It has had two requests at a time, or says itself what it is in. */
  isBarred: boolean;
}

export class ServingThreads {
  readonly #options: ServingThreadsOptions;
  /** By thread id; those that have waited for a request. */
  readonly #threads = new Map<number, ServingThread>();

  constructor(options: ServingThreadsOptions) {
    this.#options = options;
  }

  /** Bytes have moved; to be told before the connection hears of them. */
  io(event: IoEvent): void {
    if (!event.isBlocking && this.#threads.size === 0) return;
    const known = this.#threads.get(event.tid);
    if (known === undefined && !event.isBlocking) return;
    if (this.#options.roleOf(event.connection) !== 'server') return;
    const thread = known !== undefined && isSame(known.process, event.process) ? known : this.#add(event);
    if (event.context !== undefined) thread.isBarred = true;
    if (thread.connection === undefined) {
      if (event.isBlocking) thread.connection = event.connection;
      return;
    }
    if (thread.connection !== event.connection) thread.isBarred = true;
    else if (!event.isSent) return;
    thread.connection = undefined;
    thread.serving = undefined;
  }

  /** The head of a request is complete with the bytes of `event`. Sets what a client's is served by. */
  requested(exchange: Exchange, event: IoEvent): void {
    const { connection, request, position } = exchange;
    const thread = this.#threads.get(event.tid);
    if (thread?.connection === undefined || thread.isBarred || !isSame(thread.process, exchange.process)) return;
    // Otherwise it was begun, or held back, by another call than this one.
    if (event.connection !== connection.id || event.isSent !== (connection.role === 'client') || position < event.position)
      return;
    if (connection.role === 'server') {
      // Else of a TLS session of which it was not known yet that it is a server's when this was read.
      if (thread.connection !== connection.id) return;
      if (thread.serving === undefined) thread.serving = exchange;
      else thread.isBarred = true;
    } else if (request.traceparent === undefined && !this.#options.isPublishing(exchange.process)) {
      exchange.servedBy ??= thread.serving;
    }
  }

  #add({ tid, process }: IoEvent): ServingThread {
    const thread: ServingThread = { process, connection: undefined, serving: undefined, isBarred: false };
    this.#threads.delete(tid);
    this.#threads.set(tid, thread);
    if (this.#threads.size > this.#options.maxThreads) {
      for (const oldest of this.#threads.keys()) {
        this.#threads.delete(oldest);
        break;
      }
    }
    return thread;
  }
}

function isSame(a: ProcessId, b: ProcessId): boolean {
  return a.pid === b.pid && a.startTime === b.startTime;
}
