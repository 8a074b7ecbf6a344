// Spans → the text of the `debug` exporter: one line per transaction for people (basic), or the Collector's own normal and detailed layouts.
// What came over the network is escaped: no control character reaches a terminal.
import type { AttributeValue, Span } from '../model/span.ts';
import { SpanKind } from '../model/span.ts';
import type { InstrumentationScope, UnixTime } from './exporter.ts';
import { groupByResource } from './group-by-resource.ts';

const SERVICE_COLUMNS = 24;
const REQUEST_COLUMNS = 48;
const STATUS_COLUMNS = 3;
const DURATION_COLUMNS = 9;
const PEER_COLUMNS = 21;
/** A longer path would push what follows off the screen. */
const MAX_TARGET_CHARACTERS = 256;

/** `time kind service[pid] method target status duration peer trace`, aligned, one line per span; of a call `grpc` and its method. */
export function basicText(spans: readonly Span[], clock: UnixTime): string {
  const originMs = clock.toUnixNs(0);
  let text = '';
  for (const span of spans) {
    const startMs = Number((originMs + BigInt(Math.round(span.start))) / 1_000_000n);
    const pid = span.resource.attributes.get('process.pid');
    const service = `${span.resource.serviceName}${pid === undefined ? '' : `[${String(pid)}]`}`;
    const method =
      attribute(span, 'http.request.method_original') ??
      attribute(span, 'http.request.method') ??
      attribute(span, 'rpc.system.name') ??
      span.name;
    const status = attribute(span, 'rpc.status_code') ?? attribute(span, 'http.response.status_code');
    const error = attribute(span, 'error.type');
    // The error type of a 404 or 500 is the status again.
    const outcome =
      status === undefined ? (error ?? '-') : error === undefined || error === status ? status : `${status} ${error}`;
    const line = [
      localTime(startMs),
      kindText(span.kind),
      escapeControls(service).padEnd(SERVICE_COLUMNS),
      escapeControls(shorten(`${method} ${target(span)}`)).padEnd(REQUEST_COLUMNS),
      escapeControls(outcome).padEnd(STATUS_COLUMNS),
      durationText(span.end - span.start).padStart(DURATION_COLUMNS),
      escapeControls(peer(span)).padEnd(PEER_COLUMNS),
      span.traceId,
    ];
    text += `${line.join('  ')}\n`;
  }
  return text;
}

/** The Collector's `normal`: a line per resource, scope and span, with attributes. */
export function normalText(spans: readonly Span[], scope: InstrumentationScope): string {
  const schemaUrl = scope.schemaUrl === '' ? '' : ` [${scope.schemaUrl}]`;
  const version = scope.version === '' ? '' : `@${scope.version}`;
  let text = '';
  for (const [index, group] of groupByResource(spans).entries()) {
    text += `ResourceTraces #${index}${schemaUrl}${attributesLine(group.resource.attributes)}\n`;
    text += `ScopeTraces #0 ${scope.name}${version}${schemaUrl}\n`;
    for (const span of group.spans) {
      text += `${escapeControls(span.name)} ${span.traceId} ${span.spanId}${attributesLine(pairs(span))}\n`;
    }
  }
  return text;
}

/** The Collector's `detailed`: every field on its own line. */
export function detailedText(spans: readonly Span[], clock: UnixTime, scope: InstrumentationScope): string {
  const origin = clock.toUnixNs(0);
  let text = '';
  for (const [index, group] of groupByResource(spans).entries()) {
    text += `ResourceSpans #${index}\nResource SchemaURL: ${scope.schemaUrl}\n`;
    text += attributesBlock('Resource attributes', group.resource.attributes);
    text += `ScopeSpans #0\nScopeSpans SchemaURL: ${scope.schemaUrl}\nInstrumentationScope ${scope.name} ${scope.version}\n`;
    for (const [spanIndex, span] of group.spans.entries()) {
      text += `Span #${spanIndex}\n`;
      text += field('Trace ID', span.traceId) + field('Parent ID', span.parentSpanId) + field('ID', span.spanId);
      text += field('Name', span.name) + field('Kind', kindName(span.kind));
      if (span.traceState !== '') text += field('TraceState', span.traceState);
      text += field('Start time', utcTime(origin + BigInt(Math.round(span.start))));
      text += field('End time', utcTime(origin + BigInt(Math.round(span.end))));
      text += field('Status code', span.isError ? 'Error' : 'Unset') + field('Status message', '');
      text += field('DroppedAttributesCount', '0') + field('DroppedEventsCount', '0') + field('DroppedLinksCount', '0');
      text += attributesBlock('Attributes', pairs(span)) + linkBlock(span);
    }
  }
  return text;
}

/** Control characters (C0, DEL, C1) and what reorders or breaks lines as \xNN or \uNNNN. */
export function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

function kindText(kind: SpanKind): string {
  switch (kind) {
    case SpanKind.server:
      return '→ SERVER';
    case SpanKind.client:
      return 'CLIENT →';
    default:
      return 'INTERNAL';
  }
}

function kindName(kind: SpanKind): string {
  switch (kind) {
    case SpanKind.server:
      return 'Server';
    case SpanKind.client:
      return 'Client';
    default:
      return 'Internal';
  }
}

function target(span: Span): string {
  const path = attribute(span, 'url.path');
  const query = attribute(span, 'url.query');
  if (path !== undefined) return query === undefined ? path : `${path}?${query}`;
  const call = attribute(span, 'url.full') ?? attribute(span, 'rpc.method_original') ?? attribute(span, 'rpc.method');
  return call ?? address(attribute(span, 'server.address'), attribute(span, 'server.port'));
}

function peer(span: Span): string {
  return address(
    attribute(span, 'network.peer.address') ?? attribute(span, 'server.address'),
    attribute(span, 'network.peer.port'),
  );
}

function address(host: string | undefined, port: string | undefined): string {
  if (host === undefined) return '-';
  if (port === undefined) return host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function attribute(span: Span, name: string): string | undefined {
  const attributes = span.attributes;
  for (let i = 0; i + 1 < attributes.length; i += 2) {
    if (attributes[i] === name) return valueText(attributes[i + 1] as AttributeValue);
  }
  return undefined;
}

function* pairs(span: Span): Iterable<readonly [string, AttributeValue]> {
  for (let i = 0; i + 1 < span.attributes.length; i += 2) {
    yield [span.attributes[i] as string, span.attributes[i + 1] as AttributeValue];
  }
}

export function attributesLine(attributes: Iterable<readonly [string, AttributeValue]>): string {
  let text = '';
  for (const [name, value] of attributes) text += ` ${escapeControls(name)}=${escapeControls(valueText(value))}`;
  return text;
}

export function attributesBlock(header: string, attributes: Iterable<readonly [string, AttributeValue]>): string {
  let text = '';
  for (const [name, value] of attributes) {
    text += `     -> ${escapeControls(name)}: ${typeName(value)}(${escapeControls(valueText(value))})\n`;
  }
  return text === '' ? '' : `${header}:\n${text}`;
}

function field(name: string, value: string): string {
  return `    ${name.padEnd(15)}: ${escapeControls(value)}\n`;
}

function linkBlock({ link }: Span): string {
  if (link === undefined) return '';
  const fields = [`Trace ID: ${link.traceId}`, `ID: ${link.spanId}`, 'TraceState: ', 'DroppedAttributesCount: 0'];
  return `Links:\nSpanLink #0\n${fields.map((text) => `     -> ${text}\n`).join('')}`;
}

function typeName(value: AttributeValue): string {
  if (typeof value === 'string') return 'Str';
  if (typeof value === 'boolean') return 'Bool';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'Int' : 'Double';
  return 'Slice';
}

function valueText(value: AttributeValue): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function shorten(text: string): string {
  return text.length > MAX_TARGET_CHARACTERS ? `${text.slice(0, MAX_TARGET_CHARACTERS - 1)}…` : text;
}

function durationText(nanoseconds: number): string {
  if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(0)} µs`;
  if (nanoseconds < 1e9) return `${(nanoseconds / 1e6).toFixed(nanoseconds < 1e8 ? 2 : 1)} ms`;
  return `${(nanoseconds / 1e9).toFixed(2)} s`;
}

/** `15:04:05.000` in the local time zone. */
function localTime(unixMs: number): string {
  const date = new Date(unixMs);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${date.getMilliseconds().toString().padStart(3, '0')}`;
}

/** As Go prints times: `2006-01-02 15:04:05.999999999 +0000 UTC`, without trailing zeros. */
export function utcTime(unixNs: bigint): string {
  const seconds = new Date(Number(unixNs / 1_000_000_000n) * 1000).toISOString().slice(0, 19).replace('T', ' ');
  const fraction = (unixNs % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : `.${fraction}`} +0000 UTC`;
}

function two(value: number): string {
  return value.toString().padStart(2, '0');
}
