// Hot path. Spans → the bytes of an OTLP ExportTraceServiceRequest
// (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto).
// Why it is our own: docs/decisions/0002-own-otlp-encoder.md.
import type { AttributeList, AttributeValue, Span, SpanLink } from '../model/span.ts';
import { EncodedNames } from './encoded-names.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';
import { encodeKey, encodeResource, RequestEnvelope, writeKeyValue } from './otlp-protobuf-envelope.ts';
import { ProtobufWriter } from './protobuf-writer.ts';
import { ResourceGroups } from './resource-groups.ts';

/** Attributes beyond this position are encoded without looking at the span before. */
const MAX_POSITIONS = 64;
/** Resources of one request that have a memory of their own; more than that share. */
const MEMORIES = 8;
/** Only the width of the guess matters: 128 to 16,383 bytes take two. */
const EXPECTED_SPAN_BYTES = 600;
/** Both ids and the flags, each behind its tag. */
const LINK_BYTES = 18 + 10 + 5;
const STATUS_ERROR = 2;
const FLAGS_HAS_IS_REMOTE = 0x100;
const FLAGS_IS_REMOTE = 0x200;
const TWO_32 = 0x1_0000_0000;

/** Owns the buffer and the caches that make encoding cheap. */
export class TraceRequestEncoder implements RequestEncoder<Span> {
  readonly #clock: UnixTime;
  readonly #envelope: RequestEnvelope;
  /** Spans as fields of a ScopeSpans, in the order in which they came. */
  readonly #writer = new ProtobufWriter();
  readonly #groups = new ResourceGroups(encodeResource);
  readonly #keys = new EncodedNames(encodeKey);
  readonly #memories: readonly Memory[] = Array.from({ length: MEMORIES }, createMemory);
  /** Counts up whenever remembered offsets become invalid. */
  #generation = 0;
  #originHigh = 0;
  #originLow = 0;

  constructor(scope: InstrumentationScope, clock: UnixTime) {
    this.#envelope = new RequestEnvelope(scope);
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#writer.position + this.#groups.resourceBytes;
  }

  add(span: Span): void {
    const writer = this.#writer;
    const from = writer.position;
    if (from === 0) this.#begin();
    const group = this.#groups.of(span.resource);
    const memory = this.#memories[group.number % MEMORIES] as Memory;
    const start = writer.open(EXPECTED_SPAN_BYTES, 0x12); // spans
    this.#span(span, memory[span.kind] as readonly Remembered[]);
    if (writer.close(start, EXPECTED_SPAN_BYTES)) this.#generation++;
    group.append(from, writer.position);
  }

  finish(): Uint8Array {
    const request = this.#envelope.wrap(this.#writer.written(), this.#groups);
    this.#writer.clear();
    this.#groups.clear();
    return request;
  }

  release(request: Uint8Array): void {
    this.#envelope.release(request);
  }

  #begin(): void {
    // One reading per request: a step of the wall clock never falls between the start and the end of a span.
    const origin = this.#clock.toUnixNs(0);
    this.#originHigh = Number(origin >> 32n);
    this.#originLow = Number(origin & 0xffff_ffffn);
    this.#generation++;
  }

  #span(span: Span, memory: readonly Remembered[]): void {
    const writer = this.#writer;
    writer.hexField(0x0a, span.traceId); // trace_id
    writer.hexField(0x12, span.spanId); // span_id
    if (span.traceState !== '') writer.textField(0x1a, span.traceState); // trace_state
    if (span.parentSpanId !== '') writer.hexField(0x22, span.parentSpanId); // parent_span_id
    writer.textField(0x2a, span.name); // name
    writer.byte(0x30); // kind
    writer.byte(span.kind);
    this.#timeField(0x39, span.start); // start_time_unix_nano
    this.#timeField(0x41, span.end); // end_time_unix_nano
    this.#attributes(span.attributes, memory);
    if (span.link !== undefined) this.#link(span.link);
    if (span.isError) {
      writer.byte(0x7a); // status { code }
      writer.byte(2);
      writer.byte(0x18);
      writer.byte(STATUS_ERROR);
    }
    writer.byte(0x85); // flags
    writer.byte(0x01);
    writer.fixed32((span.traceFlags & 0xff) | FLAGS_HAS_IS_REMOTE | (span.parentIsRemote ? FLAGS_IS_REMOTE : 0));
  }

  #link({ traceId, spanId, flags }: SpanLink): void {
    const writer = this.#writer;
    writer.byte(0x6a); // links
    writer.byte(LINK_BYTES);
    writer.hexField(0x0a, traceId); // trace_id
    writer.hexField(0x12, spanId); // span_id
    writer.byte(0x35); // flags
    writer.fixed32((flags & 0xff) | FLAGS_HAS_IS_REMOTE);
  }

  /** fixed64 of origin + time, exact to the nanosecond without a BigInt per span. */
  #timeField(tag: number, time: number): void {
    const rounded = Math.round(time);
    const high = Math.floor(rounded / TWO_32);
    const low = rounded - high * TWO_32 + this.#originLow;
    const carry = low >= TWO_32 ? 1 : 0;
    this.#writer.fixed64Field(tag, high + this.#originHigh + carry, low - carry * TWO_32);
  }

  #attributes(attributes: AttributeList, memory: readonly Remembered[]): void {
    const writer = this.#writer;
    const generation = this.#generation;
    // Neighbours that are repeated from neighbours are copied as one run.
    let runFrom = 0;
    let runTo = 0;
    for (let i = 0; i + 1 < attributes.length; i += 2) {
      const name = attributes[i] as string;
      const value = attributes[i + 1] as AttributeValue;
      const last = memory[i >>> 1];
      if (last?.name === name && last.value === value && last.generation === generation) {
        if (last.from !== runTo) {
          if (runFrom !== runTo) writer.repeat(runFrom, runTo);
          runFrom = last.from;
        }
        runTo = last.to;
        continue;
      }
      if (runFrom !== runTo) writer.repeat(runFrom, runTo);
      runFrom = runTo = 0;
      if (last === undefined) {
        writeKeyValue(writer, 0x4a, this.#keys.of(name), value);
        continue;
      }
      if (last.name !== name) {
        last.name = name;
        last.key = this.#keys.of(name);
      }
      last.value = value;
      last.generation = generation;
      last.from = writer.position;
      writeKeyValue(writer, 0x4a, last.key, value); // attributes
      last.to = writer.position;
    }
    if (runFrom !== runTo) writer.repeat(runFrom, runTo);
  }
}

/** The last attribute at one position, and where its bytes are in the request being written. */
interface Remembered {
  name: string | undefined;
  value: AttributeValue;
  key: Uint8Array;
  generation: number;
  from: number;
  to: number;
}

/**
 * By kind of span. Spans of one kind and resource mostly carry the same names in the same places, and often the same values: comparing with
 * the last one there and repeating its bytes beats encoding.
 */
type Memory = readonly (readonly Remembered[])[];

function createMemory(): Memory {
  return [remember(), remember(), remember(), remember()];
}

function remember(): readonly Remembered[] {
  const key = new Uint8Array(0);
  return Array.from({ length: MAX_POSITIONS }, () => ({ name: undefined, value: '', key, generation: 0, from: 0, to: 0 }));
}
