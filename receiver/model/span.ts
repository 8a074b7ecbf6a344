// What leaves the receiver. Shapes follow OTLP (opentelemetry-proto trace/v1) with times still in receiver time.
import type { Resource } from './resource.ts';
import type { Nanoseconds } from './transaction.ts';

export type AttributeValue = string | number | boolean | readonly string[];

/** OTLP Span.SpanKind numbers. */
export const SpanKind = { internal: 1, server: 2, client: 3 } as const;
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

/** Flat list key, value, key, value …: made once per span in the hot path, read once by an encoder. Integers are int values. */
export type AttributeList = readonly (string | AttributeValue)[];

export interface Span {
  readonly resource: Resource;
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** 16 lower-case hex digits, '' for a root span. */
  readonly parentSpanId: string;
  /** The parent came over the wire (OTLP flags bit 9). */
  readonly parentIsRemote: boolean;
  /** W3C trace flags of this span's context. */
  readonly traceFlags: number;
  /** W3C tracestate, '' when there is none. */
  readonly traceState: string;
  readonly kind: SpanKind;
  readonly name: string;
  readonly start: Nanoseconds;
  readonly end: Nanoseconds;
  readonly attributes: AttributeList;
  /** Another span that says it is of the same transaction, in another trace. */
  readonly link: SpanLink | undefined;
  /** OTLP status: Error when true, Unset otherwise (an observer never sets Ok). */
  readonly isError: boolean;
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** What a protocol says of a transaction, before it is known which trace that belongs to. */
export interface SpanDescription {
  readonly name: string;
  readonly kind: SpanKind;
  /** Flat like {@link AttributeList}, and open: whoever asked for the description may append to it. */
  readonly attributes: (string | AttributeValue)[];
  readonly isError: boolean;
}
