// The contract of all exporters: items are encoded as they come, a cut makes a payload of bytes, and the bytes are sent as often as it takes.
// So no item outlives its turn of the event loop, and a queue holds encoded requests: a third of the size of what they were made from, and
// nothing for the garbage collector.

/** The Collector makes one exporter of each signal, with a queue of its own, and so do we. */
export type Signal = 'traces' | 'metrics';

/** One request as its exporter sends it: the unit of queueing, retrying and accounting. */
export interface Payload {
  /** Spans, or metric data points. */
  readonly items: number;
  readonly body: Uint8Array;
}

/** Items of one signal → requests, written item by item. */
export interface RequestEncoder<Item> {
  /** Writes the item into the request that is being made. Keeps nothing that the caller may change. */
  add(item: Item): void;
  /** Size of that request so far, without what finishing adds. */
  readonly bytes: number;
  /** The request; the next one begins empty. */
  finish(): Uint8Array;
  /** Takes back the memory of a request that was delivered, which nobody reads any more. Absent: the garbage collector does. */
  release?(request: Uint8Array): void;
}

/**
 * What became of one attempt. 'accepted': the backend took the request, less `rejected` items (OTLP partial success). 'retryable': it may
 * work later, not before `retryAfterMs` if given. 'refused': it will never work.
 */
export type ExportResult =
  | { readonly kind: 'accepted'; readonly rejected: number; readonly message?: string }
  | { readonly kind: 'retryable'; readonly message: string; readonly retryAfterMs?: number }
  | { readonly kind: 'refused'; readonly message: string };

/** Sends payloads of one signal. */
export interface Exporter {
  /** As in the configuration: `otlp`, `otlp/backend`, `debug`. */
  readonly id: string;
  readonly signal: Signal;
  /** No payload is made larger than this, unless by a single item; undefined: no limit. */
  readonly maxPayloadBytes?: number;
  /** One attempt. Does not reject for anything that network, disk or backend can do. */
  export(payload: Payload): Promise<ExportResult>;
  /** Ends running attempts and frees what is held. May be called twice. */
  close(): Promise<void>;
}

/** How one span ended: 'exported', or why it was not. The names are those of the ledger. */
export type ExportOutcome =
  | 'exported'
  | 'queue_full'
  | 'export_failed'
  | 'export_rejected'
  /** It is on disk, for the next run to send. */
  | 'stored'
  /** The disk did not take it. */
  | 'storage_failed'
  /** The disk did not give it back. */
  | 'storage_unreadable';

/** Who makes the spans, and the semantic conventions that they follow. */
export interface InstrumentationScope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
}

/** Where pipeline time becomes unix time: what exporters need of the receiver's clock. */
export interface UnixTime {
  /** Pipeline time now. */
  now(): number;
  /** Unix nanoseconds of a pipeline time. Linear between two calls of the clock's resync. */
  toUnixNs(time: number): bigint;
}

/** What exporters log with. */
export interface ExportLogger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
