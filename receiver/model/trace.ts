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

/** All that is known, at the end of a transaction, about the trace it is part of. Each member is one independent witness. */
export interface Evidence {
  /** The traceparent in the request's head. */
  readonly wire: TraceContext | undefined;
}

export type CorrelationSource = 'traceparent' | 'none';
/** 'observed': one source says so. */
export type CorrelationConfidence = 'observed';

export type Correlation =
  | { readonly kind: 'root' }
  | {
      readonly kind: 'child';
      readonly parent: TraceContext;
      /** The parent came from another process. */
      readonly parentIsRemote: boolean;
      readonly spanKind: SpanKind;
      readonly source: Exclude<CorrelationSource, 'none'>;
      readonly confidence: CorrelationConfidence;
    }
  | { readonly kind: 'no_span'; readonly reason: Extract<NotExportedReason, 'unsampled' | 'sdk_duplicate'> };
