// Which trace a transaction belongs to: what is known about it, and what follows (docs/telemetry.md, Correlation).
// https://www.w3.org/TR/trace-context-2/
import type { NotExportedReason } from './protocol.ts';
import type { SpanKind } from './span.ts';

/** The context of one span, as a traceparent and a tracestate carry it. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** The flags that W3C defines; others are dropped. */
  readonly flags: number;
  /** '' when there is none. */
  readonly traceState: string;
}

/** W3C trace flags. */
export const TraceFlag = { sampled: 0x01, random: 0x02 } as const;

/** All that is known about the trace that a transaction is part of. Each member is one independent witness. */
export interface Evidence {
  /** The traceparent in the request's head. */
  readonly wire: TraceContext | undefined;
  /** What the application's own thread published: as it wrote the response (server) or the request (client). */
  readonly thread: TraceContext | undefined;
  /** Server: the CLIENT span of the other end of this exchange, when that is on this host and has one. */
  readonly otherEnd: TraceContext | undefined;
  /** Client: our SERVER span of a request that this process is serving and that carried the same traceparent. */
  readonly passedOn: TraceContext | undefined;
  /** Client: our SERVER span of the one request that this very thread is serving. */
  readonly serving: TraceContext | undefined;
}

/** A row of the table in docs/telemetry.md. Each has a counter. */
export type CorrelationRule =
  | 'server_sdk'
  | 'server_confirmed'
  | 'server_traceparent'
  | 'server_contradicted'
  | 'server_thread_context'
  | 'server_other_end'
  | 'server_root'
  | 'client_sdk'
  | 'client_contradicted'
  | 'client_passed_on'
  | 'client_traceparent'
  | 'client_thread_context'
  | 'client_serving'
  | 'client_root'
  | 'unsampled';

export type CorrelationSource = 'traceparent' | 'thread_context' | 'exchange' | 'thread' | 'none';
/** 'confirmed': two sources agree. 'observed': one says so. 'inferred': it follows from what was observed. */
export type CorrelationConfidence = 'confirmed' | 'observed' | 'inferred';

export type Correlation =
  | { readonly kind: 'root'; readonly rule: CorrelationRule }
  | {
      readonly kind: 'child';
      readonly rule: CorrelationRule;
      readonly parent: TraceContext;
      /** The parent came from another process. */
      readonly parentIsRemote: boolean;
      readonly spanKind: SpanKind;
      readonly source: Exclude<CorrelationSource, 'none'>;
      readonly confidence: CorrelationConfidence;
      /** Another truth about the same transaction. */
      readonly link: TraceContext | undefined;
    }
  | {
      readonly kind: 'no_span';
      readonly rule: CorrelationRule;
      readonly reason: Extract<NotExportedReason, 'unsampled' | 'sdk_duplicate'>;
      /** The span that somebody else has made of this transaction, if one is known: metrics can name it. */
      readonly exemplar: TraceContext | undefined;
    };

/** What the span of an exchange will be known by, decided once. */
export type SpanContext =
  | { readonly kind: 'none'; readonly correlation: Extract<Correlation, { readonly kind: 'no_span' }> }
  | {
      readonly kind: 'span';
      readonly correlation: Exclude<Correlation, { readonly kind: 'no_span' }>;
      /** Of the span itself. */
      readonly context: TraceContext;
      /** False: sampling leaves it out, unless it turns out to be one that is kept for what it is. */
      readonly isSampled: boolean;
    };
