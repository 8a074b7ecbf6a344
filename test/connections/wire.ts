// A connection that all protocols are tried on, byte by byte as its socket moves them, and the books of it.
import assert from 'node:assert/strict';
import { Connection } from '../../receiver/connections/connection.ts';
import { Controls } from '../../receiver/connections/controls.ts';
import { controlLayout } from '../../receiver/kernel/session.ts';
import type { Role } from '../../receiver/model/connection.ts';
import type { Exchange } from '../../receiver/model/exchange.ts';
import type { Protocol } from '../../receiver/model/protocol.ts';
import type { IoEvent } from '../../receiver/model/stream-event.ts';
import type { Abort, Transaction } from '../../receiver/model/transaction.ts';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';
import { createHttp2 } from '../../receiver/protocols/http2/protocol.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';
import { connectionInfo, createBench, type IoOptions, Socket, WINDOW_SIZE } from './socket.ts';

export class Wire {
  readonly ledger = new Ledger();
  readonly requested: Exchange[] = [];
  readonly transactions: Transaction[] = [];
  readonly connection: Connection;
  readonly #socket = new Socket(createBench().table, 1);

  constructor(role: Role = 'server', isFromStart = false, protocols: readonly Protocol[] = [createHttp2(), createHttp1()]) {
    const info = connectionInfo(role, { isFromStart });
    this.connection = new Connection(
      { info, sentPosition: 0, receivedPosition: 0, lastFlow: 'unknown', isSecure: false, time: 0 },
      {
        protocols,
        controls: new Controls(new ArrayBuffer(controlLayout.words * 8), controlLayout),
        books: this.ledger,
        windowSize: WINDOW_SIZE,
        onRequest: (exchange) => this.requested.push(exchange),
        onTransaction: (transaction) => {
          this.transactions.push(transaction);
          this.ledger.exported(1);
        },
        onIgnored: () => undefined,
      },
    );
  }

  received(bytes: Uint8Array | string, options: IoOptions = {}): void {
    this.#io(false, bytes, options);
  }

  sent(bytes: Uint8Array | string, options: IoOptions = {}): void {
    this.#io(true, bytes, options);
  }

  /** `unseen`: bytes that moved last, each way. */
  close(cause: Abort, unseen = 0): void {
    const { received, sent } = this.#socket.position;
    this.connection.close(cause, 1e9, received + unseen, sent + unseen);
  }

  /** What was told, in a word each; the books are balanced. */
  end(): string[] {
    this.connection.abandon();
    const { transactions, bytes } = this.ledger.report();
    const lost = Object.values(bytes.lost).reduce((sum, count) => sum + count, 0);
    assert.equal(bytes.seen, bytes.parsed + bytes.skipped + lost);
    const dropped = Object.values(transactions.not_exported).reduce((sum, count) => sum + count, 0);
    assert.equal(transactions.seen, transactions.exported + dropped);
    return this.transactions.map(
      ({ request, response }) => `${request.version} ${request.target} ${String(response?.statusCode)}`,
    );
  }

  /** Bytes move, and the ring has no room to say so. */
  unseen(isSent: boolean, size: number): void {
    this.#socket.unseen(isSent ? 'sent' : 'received', size);
  }

  #io(isSent: boolean, bytes: Uint8Array | string, options: IoOptions): void {
    const content = Buffer.from(bytes as string, 'latin1');
    // The socket encodes text; what is sent here are bytes.
    const blank = this.#socket.event(isSent, ' '.repeat(content.length), options);
    const event: IoEvent = { ...blank, bytes: content, from: 0 };
    this.connection.io(event);
  }
}
