// Spans → an OTLP/JSON ExportTraceServiceRequest, key for key as the Collector's own marshaller writes it: hex ids, 64-bit numbers
// as strings, enums as numbers, empty fields left out (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
import type { Span } from '../model/span.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';
import { JsonRequest } from './otlp-json-request.ts';

const STATUS_ERROR = 2;
const FLAGS_HAS_IS_REMOTE = 0x100;
const FLAGS_IS_REMOTE = 0x200;

export class TraceJsonEncoder implements RequestEncoder<Span> {
  readonly #clock: UnixTime;
  readonly #request: JsonRequest;
  #origin = 0n;

  /** `end`: ends a request; a newline where requests are lines. */
  constructor(scope: InstrumentationScope, clock: UnixTime, end = '') {
    this.#clock = clock;
    this.#request = new JsonRequest({ resource: 'resourceSpans', scope: 'scopeSpans', items: 'spans' }, scope, end);
  }

  get bytes(): number {
    return this.#request.bytes;
  }

  add(span: Span): void {
    // One reading per request: a step of the wall clock never falls between the start and the end of a span.
    if (this.#request.bytes === 0) this.#origin = this.#clock.toUnixNs(0);
    this.#request.add(span.resource, this.#span(span, this.#origin));
  }

  finish(): Uint8Array {
    return this.#request.finish();
  }

  #span(span: Span, origin: bigint): string {
    const flags = (span.traceFlags & 0xff) | FLAGS_HAS_IS_REMOTE | (span.parentIsRemote ? FLAGS_IS_REMOTE : 0);
    let text = `{"traceId":"${span.traceId}","spanId":"${span.spanId}"`;
    if (span.traceState !== '') text += `,"traceState":${JSON.stringify(span.traceState)}`;
    if (span.parentSpanId !== '') text += `,"parentSpanId":"${span.parentSpanId}"`;
    text += `,"flags":${flags},"name":${JSON.stringify(span.name)},"kind":${span.kind}`;
    text += `,"startTimeUnixNano":"${origin + BigInt(Math.round(span.start))}"`;
    text += `,"endTimeUnixNano":"${origin + BigInt(Math.round(span.end))}"`;
    if (span.attributes.length > 0) text += `,"attributes":${this.#request.attributes(span.attributes)}`;
    if (span.link !== undefined) {
      const { traceId, spanId, flags } = span.link;
      text += `,"links":[{"traceId":"${traceId}","spanId":"${spanId}","flags":${(flags & 0xff) | FLAGS_HAS_IS_REMOTE}}]`;
    }
    return `${text},"status":${span.isError ? `{"code":${STATUS_ERROR}}` : '{}'}}`;
  }
}
