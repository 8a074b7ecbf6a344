// A real store of payloads in memory, which a test can break.
import type { PayloadStore } from '../../receiver/export/storage/file-storage.ts';
import type { ReadResult, StoredPayload } from '../../receiver/export/storage/payload-database.ts';
import type { PutResult } from '../../receiver/export/storage/thread-messages.ts';

export class MemoryStore implements PayloadStore {
  readonly recovered: readonly StoredPayload[];
  readonly rows = new Map<number, { readonly items: number; readonly body: Uint8Array<ArrayBuffer> }>();
  /** Why writing fails. */
  failure: string | undefined;
  reads = 0;
  isClosed = false;

  constructor(rows: ReadonlyMap<number, { readonly items: number; readonly body: Uint8Array<ArrayBuffer> }> = new Map()) {
    for (const [id, row] of rows) this.rows.set(id, row);
    this.recovered = [...rows].map(([id, { items, body }]) => ({ id, items, bytes: body.length }));
  }

  put(id: number, items: number, body: Uint8Array): Promise<PutResult> {
    if (this.failure !== undefined) return Promise.resolve({ kind: 'failed', body, message: this.failure });
    const own = new Uint8Array(body);
    this.rows.set(id, { items, body: own });
    return Promise.resolve({ kind: 'stored', body: own });
  }

  read(id: number): Promise<ReadResult> {
    this.reads++;
    const row = this.rows.get(id);
    return Promise.resolve(row === undefined ? { kind: 'unreadable', message: 'gone' } : { kind: 'payload', body: row.body });
  }

  delete(id: number): void {
    this.rows.delete(id);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
