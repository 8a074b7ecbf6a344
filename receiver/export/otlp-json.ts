// Spans → an OTLP/JSON ExportTraceServiceRequest, key for key as the Collector's own marshaller writes it: hex ids, 64-bit numbers
// as strings, enums as numbers, empty fields left out (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
import type { Resource } from '../model/resource.ts';
import type { AttributeValue, Span } from '../model/span.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';

/** Attribute names come from a fixed vocabulary; one that is beyond it is encoded each time. */
const MAX_CACHED_KEYS = 1024;
const COMMA = Buffer.from(',');
const STATUS_ERROR = 2;
const FLAGS_HAS_IS_REMOTE = 0x100;
const FLAGS_IS_REMOTE = 0x200;

/** Owns the caches that make encoding cheap. */
export class TraceJsonEncoder implements RequestEncoder<Span> {
  readonly #clock: UnixTime;
  /** Ends a request: a newline where requests are lines. */
  readonly #end: string;
  readonly #scope: string;
  readonly #schemaUrl: string;
  readonly #keys = new Map<string, string>();
  readonly #resources = new WeakMap<Resource, string>();
  #groups = new Map<Resource, Buffer[]>();
  #bytes = 0;
  #origin = 0n;

  constructor(scope: InstrumentationScope, clock: UnixTime, end = '') {
    this.#clock = clock;
    this.#end = end;
    const version = scope.version === '' ? '' : `,"version":${JSON.stringify(scope.version)}`;
    this.#scope = `"scope":{"name":${JSON.stringify(scope.name)}${version}}`;
    this.#schemaUrl = scope.schemaUrl === '' ? '' : `,"schemaUrl":${JSON.stringify(scope.schemaUrl)}`;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(span: Span): void {
    // One reading per request: a step of the wall clock never falls between the start and the end of a span.
    if (this.#bytes === 0) this.#origin = this.#clock.toUnixNs(0);
    let spans = this.#groups.get(span.resource);
    if (spans === undefined) {
      spans = [];
      this.#groups.set(span.resource, spans);
      this.#bytes += this.#resource(span.resource).length;
    } else {
      spans.push(COMMA);
    }
    const encoded = Buffer.from(this.#span(span, this.#origin));
    spans.push(encoded);
    this.#bytes += encoded.length + 1;
  }

  finish(): Uint8Array {
    const parts: Buffer[] = [];
    let text = '{"resourceSpans":[';
    for (const [resource, spans] of this.#groups) {
      text += `{"resource":${this.#resource(resource)},"scopeSpans":[{${this.#scope},"spans":[`;
      parts.push(Buffer.from(text));
      for (const part of spans) parts.push(part);
      text = `]${this.#schemaUrl}}]${this.#schemaUrl}},`;
    }
    if (parts.length > 0) text = text.slice(0, -1);
    parts.push(Buffer.from(`${text}]}${this.#end}`));
    this.#groups = new Map();
    this.#bytes = 0;
    return Buffer.concat(parts);
  }

  #span(span: Span, origin: bigint): string {
    const flags = (span.traceFlags & 0xff) | FLAGS_HAS_IS_REMOTE | (span.parentIsRemote ? FLAGS_IS_REMOTE : 0);
    let text = `{"traceId":"${span.traceId}","spanId":"${span.spanId}"`;
    if (span.traceState !== '') text += `,"traceState":${JSON.stringify(span.traceState)}`;
    if (span.parentSpanId !== '') text += `,"parentSpanId":"${span.parentSpanId}"`;
    text += `,"flags":${flags},"name":${JSON.stringify(span.name)},"kind":${span.kind}`;
    text += `,"startTimeUnixNano":"${origin + BigInt(Math.round(span.start))}"`;
    text += `,"endTimeUnixNano":"${origin + BigInt(Math.round(span.end))}"`;
    const attributes = span.attributes;
    if (attributes.length > 0) {
      text += ',"attributes":[';
      for (let i = 0; i + 1 < attributes.length; i += 2) {
        if (i > 0) text += ',';
        text += `${this.#key(attributes[i] as string)}${anyValue(attributes[i + 1] as AttributeValue)}}`;
      }
      text += ']';
    }
    return `${text},"status":${span.isError ? `{"code":${STATUS_ERROR}}` : '{}'}}`;
  }

  #resource(resource: Resource): string {
    const known = this.#resources.get(resource);
    if (known !== undefined) return known;
    let text = '';
    for (const [name, value] of resource.attributes) {
      text += `${text === '' ? '' : ','}${this.#key(name)}${anyValue(value)}}`;
    }
    const encoded = text === '' ? '{}' : `{"attributes":[${text}]}`;
    this.#resources.set(resource, encoded);
    return encoded;
  }

  /** The beginning of a KeyValue, up to its value. */
  #key(name: string): string {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = `{"key":${JSON.stringify(name)},"value":`;
    if (this.#keys.size < MAX_CACHED_KEYS) this.#keys.set(name, key);
    return key;
  }
}

function anyValue(value: AttributeValue): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  if (typeof value === 'number') {
    // A template writes -0 as 0, which is right for an integer.
    if (Number.isSafeInteger(value)) return `{"intValue":"${value}"}`;
    return `{"doubleValue":${Number.isFinite(value) ? value : `"${value}"`}}`;
  }
  if (value.length === 0) return '{"arrayValue":{}}';
  let items = '';
  for (const item of value) items += (items === '' ? '' : ',') + anyValue(item);
  return `{"arrayValue":{"values":[${items}]}}`;
}
