// OTLP JSON, one ExportTraceServiceRequest per line (what the `file` exporters of the receiver and of the Collector write), → plain spans.
// Shapes: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
import { existsSync, readFileSync } from 'node:fs';

export type Value = string | number | boolean | readonly string[];

export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT';
  readonly name: string;
  /** Unix nanoseconds. */
  readonly start: bigint;
  readonly end: bigint;
  readonly isError: boolean;
  readonly flags: number;
  readonly traceState: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: Readonly<Record<string, Value>>;
  readonly resource: Readonly<Record<string, Value>>;
  readonly scope: string;
}

interface AnyValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: AnyValue[] };
}

export interface KeyValue {
  key: string;
  value: AnyValue;
}

interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  kind: number;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status?: { code?: number };
  flags?: number;
  traceState?: string;
  links?: { traceId: string; spanId: string }[];
  attributes?: KeyValue[];
}

interface Request {
  resourceSpans?: {
    resource?: { attributes?: KeyValue[] };
    scopeSpans?: { scope?: { name?: string }; spans?: OtlpSpan[] }[];
  }[];
}

function plain(value: AnyValue): Value {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map((item) => String(plain(item)));
  return value.stringValue ?? value.doubleValue ?? value.boolValue ?? '';
}

export function flatten(attributes: readonly KeyValue[] = []): Record<string, Value> {
  const flat: Record<string, Value> = {};
  for (const { key, value } of attributes) {
    if (key in flat) throw new Error(`attribute ${key} twice`);
    flat[key] = plain(value);
  }
  return flat;
}

const kinds: Readonly<Record<number, SpanRecord['kind']>> = { 1: 'INTERNAL', 2: 'SERVER', 3: 'CLIENT' };

export function parseRequests(text: string): SpanRecord[] {
  const spans: SpanRecord[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const request = JSON.parse(line) as Request;
    for (const { resource, scopeSpans } of request.resourceSpans ?? []) {
      const resourceAttributes = flatten(resource?.attributes);
      for (const { scope, spans: inScope } of scopeSpans ?? []) {
        for (const span of inScope ?? []) {
          const kind = kinds[span.kind];
          if (kind === undefined) throw new Error(`span kind ${span.kind}`);
          spans.push({
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId ?? '',
            kind,
            name: span.name,
            start: BigInt(span.startTimeUnixNano),
            end: BigInt(span.endTimeUnixNano),
            isError: span.status?.code === 2,
            flags: span.flags ?? 0,
            traceState: span.traceState ?? '',
            links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
            attributes: flatten(span.attributes),
            resource: resourceAttributes,
            scope: scope?.name ?? '',
          });
        }
      }
    }
  }
  return spans;
}

/** The spans in a file so far; a last line that is still being written is left for the next time. */
export function readSpans(file: string): SpanRecord[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  return parseRequests(text.slice(0, text.lastIndexOf('\n') + 1));
}

export function pidOf(span: SpanRecord): number {
  return Number(span.resource['process.pid']);
}

/** `package.Service/Method` of a gRPC call as it was sent. */
export function callOf({ attributes }: SpanRecord): string | undefined {
  // Calls that are plain HTTP are exchanges of HTTP.
  const isHttp = attributes['http.request.method'] !== undefined;
  const method = isHttp ? undefined : (attributes['rpc.method_original'] ?? attributes['rpc.method']);
  return method === undefined ? undefined : String(method);
}

/** Path and query as on the wire, `host:port` for CONNECT: what an Exchange calls its target. */
export function targetOf(span: SpanRecord): string {
  const { attributes } = span;
  const call = callOf(span);
  if (call !== undefined) return `/${call}`;
  const isTunnel = attributes['url.full'] === undefined && attributes['url.path'] === undefined;
  if (attributes['http.request.method'] === 'CONNECT' && isTunnel)
    return `${String(attributes['server.address'])}:${String(attributes['server.port'])}`;
  const full = attributes['url.full'];
  if (typeof full === 'string') {
    const afterScheme = full.indexOf('://') + 3;
    const slash = full.slice(afterScheme).search(/[/?*]/);
    return slash < 0 ? '' : full.slice(afterScheme + slash);
  }
  const query = attributes['url.query'];
  return `${String(attributes['url.path'] ?? '')}${query === undefined ? '' : `?${String(query)}`}`;
}
