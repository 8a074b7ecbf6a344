// What the receiver's thread and the storage thread say to each other. Bodies are handed over, not copied, and come back when they are written.
import type { DatabaseOptions, ReadResult, StoredPayload } from './payload-database.ts';

export interface OpenRequest {
  readonly kind: 'open';
  /** Number of the database, and of this request. */
  readonly database: number;
  readonly request: number;
  readonly options: DatabaseOptions;
  /** Undefined: not while it is open. */
  readonly rebound: Rebound | undefined;
}

/** When a file that had grown is compacted. */
export interface Rebound {
  readonly neededBytes: number;
  readonly triggerBytes: number;
  readonly checkIntervalMs: number;
}

export type ThreadRequest =
  | OpenRequest
  | {
      readonly kind: 'put';
      readonly database: number;
      readonly request: number;
      readonly id: number;
      readonly items: number;
      readonly body: Uint8Array<ArrayBuffer>;
    }
  | { readonly kind: 'read'; readonly database: number; readonly request: number; readonly id: number }
  | { readonly kind: 'delete'; readonly database: number; readonly id: number }
  | { readonly kind: 'close'; readonly database: number; readonly request: number };

export type PutResult =
  | { readonly kind: 'stored'; readonly body: Uint8Array<ArrayBuffer> }
  /** The body, unless it was lost with the thread. */
  | { readonly kind: 'failed'; readonly body: Uint8Array | undefined; readonly message: string };

export type ThreadAnswer =
  | { readonly kind: 'opened'; readonly request: number; readonly stored: readonly StoredPayload[] }
  | { readonly kind: 'failed'; readonly request: number; readonly message: string }
  | { readonly kind: 'put'; readonly request: number; readonly result: PutResult }
  | { readonly kind: 'read'; readonly request: number; readonly result: ReadResult }
  | { readonly kind: 'closed'; readonly request: number }
  | { readonly kind: 'notice'; readonly message: string };
