// The books: every byte and every transaction that was seen is exported or counted under a named reason (contract: Ledger).
import type { Books, ByteLossReason, ShedReason } from '../model/books.ts';
import type { ConversationEvent, NotExportedReason } from '../model/protocol.ts';

export interface LedgerReport {
  readonly balanced: boolean;
  readonly transactions: {
    readonly seen: number;
    readonly exported: number;
    /** On their way: open, or in an exporter's queue. Left out at exit. */
    readonly pending?: number;
    readonly not_exported: Readonly<Record<string, number>>;
  };
  /** What earlier runs left in the storage, as counted by them; once for each exporter that stored it. Absent: nothing. */
  readonly storage?: {
    readonly recovered: number;
    readonly exported: number;
    /** Not settled yet. Left out at exit. */
    readonly pending?: number;
    readonly not_exported: Readonly<Record<string, number>>;
  };
  readonly connections: {
    readonly seen: number;
    readonly shed: Readonly<Record<string, number>>;
    readonly not_http: number;
    readonly unattributed: Readonly<Record<string, number>>;
  };
  readonly bytes: {
    readonly seen: number;
    readonly parsed: number;
    readonly skipped: number;
    readonly lost: Readonly<Record<string, number>>;
  };
  readonly events: { readonly received: number; readonly dropped: Readonly<Record<string, number>> };
  readonly noticed: Readonly<Record<string, number>>;
}

/** Counts by reason; bounded, because reasons are names in the code and never data. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(reason: string, count: number): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
  }

  sum(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  report(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].filter(([, count]) => count !== 0).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

export class Ledger implements Books {
  #transactionsSeen = 0;
  #exported = 0;
  readonly #notExported = new Tally();
  #recovered = 0;
  #recoveredExported = 0;
  readonly #recoveredNotExported = new Tally();
  #connectionsSeen = 0;
  readonly #shed = new Tally();
  #notHttp = 0;
  readonly #unattributed = new Tally();
  #bytesSeen = 0;
  #bytesParsed = 0;
  #bytesSkipped = 0;
  readonly #bytesLost = new Tally();
  #eventsReceived = 0;
  readonly #eventsDropped = new Tally();
  readonly #noticed = new Tally();

  transactionSeen(): void {
    this.#transactionsSeen++;
  }

  exported(count: number): void {
    this.#exported += count;
  }

  notExported(reason: NotExportedReason, count: number): void {
    this.#notExported.add(reason, count);
  }

  /** Spans of earlier runs were found in the storage; exactly one {@link recoveredSettled} follows for each. */
  recovered(count: number): void {
    this.#recovered += count;
  }

  recoveredSettled(count: number, outcome: NotExportedReason | 'exported'): void {
    if (outcome === 'exported') this.#recoveredExported += count;
    else this.#recoveredNotExported.add(outcome, count);
  }

  connectionSeen(): void {
    this.#connectionsSeen++;
  }

  connectionShed(reason: ShedReason): void {
    this.#shed.add(reason, 1);
  }

  connectionNotHttp(): void {
    this.#notHttp++;
  }

  connectionUnattributed(reason: string): void {
    this.#unattributed.add(reason, 1);
  }

  bytesSeen(count: number): void {
    this.#bytesSeen += count;
  }

  bytesParsed(count: number): void {
    this.#bytesParsed += count;
  }

  bytesSkipped(count: number): void {
    this.#bytesSkipped += count;
  }

  bytesLost(reason: ByteLossReason, count: number): void {
    this.#bytesLost.add(reason, count);
  }

  eventsReceived(count: number): void {
    this.#eventsReceived += count;
  }

  eventsDropped(reason: string, count: number): void {
    this.#eventsDropped.add(reason, count);
  }

  noticed(event: ConversationEvent): void {
    this.#noticed.add(event, 1);
  }

  /**
   * What only the kernel counted: connections whose events the full ring refused, those left out before it was full, and runs of our
   * programs that were skipped.
   */
  kernelCounted(shed: { readonly ringFull: number; readonly overload: number }, recursionMisses: number): void {
    this.#shed.add('ring_full', shed.ringFull);
    this.#shed.add('overload', shed.overload);
    this.#eventsDropped.add('recursion', recursionMisses);
  }

  /** Transactions that are neither exported nor counted out yet: on their way. */
  get pending(): number {
    return this.#transactionsSeen - this.#exported - this.#notExported.sum();
  }

  /**
   * The books: at exit, when everything has ended, or as they stand. `onTheirWay`: transactions that the stages themselves say are
   * open or queued; undefined at exit. Until then nothing can be said of the bytes of unfinished heads.
   */
  report(onTheirWay?: number): LedgerReport {
    const areTransactionsBalanced = this.pending === (onTheirWay ?? 0);
    const unsettled = this.#recovered - this.#recoveredExported - this.#recoveredNotExported.sum();
    const isStorageBalanced = onTheirWay === undefined ? unsettled === 0 : unsettled >= 0;
    const unsaidBytes = this.#bytesSeen - this.#bytesParsed - this.#bytesSkipped - this.#bytesLost.sum();
    const areBytesBalanced = onTheirWay === undefined ? unsaidBytes === 0 : unsaidBytes >= 0;
    return {
      balanced: areTransactionsBalanced && areBytesBalanced && isStorageBalanced,
      transactions: {
        seen: this.#transactionsSeen,
        exported: this.#exported,
        ...(onTheirWay === undefined ? {} : { pending: onTheirWay }),
        not_exported: this.#notExported.report(),
      },
      ...(this.#recovered === 0
        ? {}
        : {
            storage: {
              recovered: this.#recovered,
              exported: this.#recoveredExported,
              ...(onTheirWay === undefined ? {} : { pending: unsettled }),
              not_exported: this.#recoveredNotExported.report(),
            },
          }),
      connections: {
        seen: this.#connectionsSeen,
        shed: this.#shed.report(),
        not_http: this.#notHttp,
        unattributed: this.#unattributed.report(),
      },
      bytes: {
        seen: this.#bytesSeen,
        parsed: this.#bytesParsed,
        skipped: this.#bytesSkipped,
        lost: this.#bytesLost.report(),
      },
      events: { received: this.#eventsReceived, dropped: this.#eventsDropped.report() },
      noticed: this.#noticed.report(),
    };
  }
}
