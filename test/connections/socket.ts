// One socket as the kernel side sees it: keeps the positions of both directions and tells a table, or a connection, of each I/O.
import { Controls } from '../../receiver/connections/controls.ts';
import { ConnectionTable } from '../../receiver/connections/table.ts';
import { controlLayout } from '../../receiver/kernel/session.ts';
import type { ConnectionInfo, Role } from '../../receiver/model/connection.ts';
import type { Exchange } from '../../receiver/model/exchange.ts';
import type { LossReason } from '../../receiver/model/protocol.ts';
import type { EndEvent, IoEvent, OpenEvent } from '../../receiver/model/stream-event.ts';
import type { IoContext } from '../../receiver/model/thread-context.ts';
import type { Transaction } from '../../receiver/model/transaction.ts';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';

const SLOTS = 64;
export const WINDOW_SIZE = 64 * 1024;
export const opener = { pid: 10, startTime: 1 };
const encoder = new TextEncoder();

/** A table over the real protocol, ledger and controls. */
export interface Bench {
  readonly table: ConnectionTable;
  readonly ledger: Ledger;
  readonly transactions: Transaction[];
  /** The client's exchange at the other end, of each transaction. */
  readonly otherEnds: (Exchange | undefined)[];
  /** The words of the shared control memory. */
  readonly words: BigUint64Array<ArrayBuffer>;
}

export function createBench(maxConnections = 100): Bench {
  const memory = new ArrayBuffer(SLOTS * controlLayout.words * 8);
  const ledger = new Ledger();
  const transactions: Transaction[] = [];
  const otherEnds: (Exchange | undefined)[] = [];
  const table = new ConnectionTable({
    protocols: [createHttp1()],
    controls: new Controls(memory, controlLayout),
    books: ledger,
    windowSize: WINDOW_SIZE,
    maxConnections,
    onRequest: () => undefined,
    onTransaction: (transaction) => {
      transactions.push(transaction);
      otherEnds.push(transaction.exchange.otherEnd);
      ledger.exported(1);
    },
  });
  return { table, ledger, transactions, otherEnds, words: new BigUint64Array(memory) };
}

/** A control word of a connection's slot, whoever holds it. */
export function controlWord(bench: Bench, id: number, offset: number): number {
  return Number(bench.words[(id % SLOTS) * controlLayout.words + offset]);
}

export interface IoOptions {
  readonly time?: number;
  readonly pid?: number;
  /** Where the opposite direction stood; without it, where this socket has it. */
  readonly otherPosition?: number;
  readonly isIoStart?: boolean;
  readonly isUnordered?: boolean;
  readonly isResumed?: boolean;
  /** Moved behind the bytes that were copied. */
  readonly uncopied?: number;
  readonly missing?: LossReason;
  /** The kernel follows frames; what it leaves out is counted as `uncopied`. */
  readonly framing?: { readonly toFrame: number; readonly isInData: boolean };
  readonly context?: IoContext;
}

/** A TCP connection, seen from its start, with the id 1. */
export function connectionInfo(role: Role, more: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return {
    id: 1,
    transport: 'tcp',
    ipVersion: 4,
    role,
    roleEvidence: role === 'unknown' ? 'none' : 'tcp_state',
    local: { address: '127.0.0.1', port: 80 },
    peer: { address: '127.0.0.1', port: 50_000 },
    networkNamespace: 1,
    pair: '',
    isFromStart: true,
    openedBy: opener,
    ...more,
  };
}

export class Socket {
  readonly id: number;
  readonly #table: ConnectionTable;
  readonly position = { sent: 0, received: 0 };
  time = 0;

  constructor(table: ConnectionTable, id: number) {
    this.#table = table;
    this.id = id;
  }

  open(role: Role, more: Partial<ConnectionInfo> = {}, event: Partial<OpenEvent> = {}): this {
    const info = connectionInfo(role, { id: this.id, ...more });
    const { sentPosition = 0, receivedPosition = 0, lastFlow = 'unknown' } = event;
    this.position.sent = sentPosition;
    this.position.received = receivedPosition;
    this.#table.open({
      info,
      sentPosition,
      receivedPosition,
      lastFlow,
      isSecure: event.isSecure ?? false,
      time: event.time ?? 0,
    });
    return this;
  }

  sent(text: string, options: IoOptions = {}): this {
    this.#table.io(this.event(true, text, options));
    return this;
  }

  received(text: string, options: IoOptions = {}): this {
    this.#table.io(this.event(false, text, options));
    return this;
  }

  /** Bytes move and no event tells. */
  unseen(flow: 'sent' | 'received', size: number): this {
    this.position[flow] += size;
    return this;
  }

  /** Bytes move; the event is for the caller to hand in, when it likes. */
  event(isSent: boolean, text: string, options: IoOptions = {}): IoEvent {
    const flow = isSent ? 'sent' : 'received';
    const payload = encoder.encode(text);
    // Not at the beginning of its buffer, as in the ring.
    const bytes = new Uint8Array(payload.length + 10);
    bytes.set(payload, 5);
    const position = this.position[flow];
    const size = payload.length + (options.uncopied ?? 0);
    this.position[flow] += size;
    this.time = options.time ?? this.time + 1000;
    return {
      connection: this.id,
      time: this.time,
      process: options.pid === undefined ? opener : { pid: options.pid, startTime: 1 },
      isSent,
      isIoStart: options.isIoStart ?? true,
      tid: 1,
      isBlocking: false,
      isUnordered: options.isUnordered ?? false,
      isResumed: options.isResumed ?? false,
      position,
      otherPosition: options.otherPosition ?? this.position[isSent ? 'received' : 'sent'],
      size,
      captured: payload.length,
      missing: options.missing,
      isFramed: options.framing !== undefined,
      toFrame: options.framing?.toFrame ?? 0,
      isInData: options.framing?.isInData ?? false,
      bytes,
      from: 5,
      context: options.context,
    };
  }

  end(cause: EndEvent['cause'], more: Partial<EndEvent> = {}): this {
    this.time += 1000;
    this.#table.end({
      connection: this.id,
      time: this.time,
      cause,
      sentPosition: this.position.sent,
      receivedPosition: this.position.received,
      error: 0,
      isExiting: false,
      ...more,
    });
    return this;
  }
}

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
export const ok = (body = ''): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** What the transactions of a bench were, in a word each. */
export function summary(bench: Bench): readonly string[] {
  return bench.transactions.map(
    ({ request, response, abort }) => `${request.target} ${abort ?? ''}${response === undefined ? '' : response.statusCode}`,
  );
}
