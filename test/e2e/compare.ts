// The truth of the traffic against the spans that came out: exactly N of N on each side, none extra, none wrong.
import type { Call, Exchange, Party } from '../traffic/truth.ts';
import { callOf, pidOf, targetOf, type SpanRecord } from './spans.ts';

export interface CompareOptions {
  /** Processes that were busy with what is no HTTP, or is not ours to report: any span of theirs is one too many. */
  readonly silentPids?: readonly number[];
  /** Body sizes may be absent. What is there must be right. */
  readonly areSizesOptional?: boolean;
  /** Spans may be missing. What is there must be right. */
  readonly mayMiss?: boolean;
}

/** What a span says, in the terms of an Exchange; both sides of the comparison are brought to this form. */
type Facts = Readonly<Record<string, string | number | readonly (string | undefined)[] | undefined>>;

interface Expected {
  readonly key: string;
  readonly facts: Facts;
}

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

function expectedErrorType(
  status: number | undefined,
  kind: 'SERVER' | 'CLIENT',
  abort: readonly string[] | undefined,
): readonly string[] | undefined {
  const isConventional = status !== undefined && status >= (kind === 'SERVER' ? 500 : 400);
  // A 4xx that was cut short keeps its name for the client; to a server it is no error until it is cut short.
  return isConventional ? [String(status)] : abort;
}

/** https://opentelemetry.io/docs/specs/semconv/rpc/grpc/: what is an error of a server. To a client, everything but OK is one. */
const serverErrors = new Set(['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS']);

/** Calls without a status were cancelled: to a server that is no error. */
function expectedCall(exchange: Exchange, { method, statuses }: Call, kind: 'SERVER' | 'CLIENT', party: Party): Expected {
  const errors = statuses.map((status) => {
    if (kind === 'SERVER') return status !== undefined && serverErrors.has(status) ? status : undefined;
    return status === 'OK' ? undefined : (status ?? 'CANCEL');
  });
  // Nobody can tell from outside whether a server has such a method.
  const isOther = kind === 'SERVER' && statuses.includes('UNIMPLEMENTED');
  return {
    key: `${kind} pid=${party.pid} gRPC ${method}`,
    facts: {
      name: isOther ? 'grpc' : method,
      'rpc.system.name': 'grpc',
      'rpc.method': isOther ? '_OTHER' : method,
      'rpc.status_code': statuses,
      'error.type': errors,
      status: errors.map((error) => (error === undefined ? 'unset' : 'error')),
      'http.request.method': undefined,
      'http.response.status_code': undefined,
      'url.path': undefined,
      'url.full': undefined,
      ...commonFacts(exchange, party),
    },
  };
}

function commonFacts(exchange: Exchange, party: Party): Facts {
  return {
    'http.request.body.size': exchange.requestBodySize,
    'http.response.body.size': exchange.responseBodySize,
    'network.protocol.version': exchange.version,
    'network.transport': exchange.transport,
    'service.name': party.service,
  };
}

function expectedOf(exchange: Exchange, kind: 'SERVER' | 'CLIENT', party: Party): Expected {
  if (exchange.call !== undefined) return expectedCall(exchange, exchange.call, kind, party);
  const isKnown = knownMethods.has(exchange.method);
  const errorType = expectedErrorType(exchange.status, kind, party.abort);
  return {
    key: `${kind} pid=${party.pid} ${exchange.method} ${exchange.target}`,
    facts: {
      name: isKnown ? exchange.method : 'HTTP',
      'http.request.method': isKnown ? exchange.method : '_OTHER',
      'http.response.status_code': exchange.status,
      'error.type': errorType,
      status: errorType === undefined ? 'unset' : 'error',
      'rpc.system.name': exchange.procedure?.system,
      'rpc.method': exchange.procedure?.method,
      ...commonFacts(exchange, party),
    },
  };
}

function keyOf(span: SpanRecord): string {
  const call = callOf(span);
  if (call !== undefined) return `${span.kind} pid=${pidOf(span)} gRPC ${call}`;
  const method = span.attributes['http.request.method_original'] ?? span.attributes['http.request.method'];
  return `${span.kind} pid=${pidOf(span)} ${String(method)} ${targetOf(span)}`;
}

function actualFact(span: SpanRecord, name: string): string | number | undefined {
  if (name === 'name') return span.name;
  if (name === 'status') return span.isError ? 'error' : 'unset';
  if (name === 'service.name') return span.resource['service.name'] as string;
  // TCP is what is meant when nothing is said.
  if (name === 'network.transport') return (span.attributes[name] as string | undefined) ?? 'tcp';
  return span.attributes[name] as string | number | undefined;
}

/** Facts that the truth leaves open (an end that never came, a service that is not of interest) are not compared. */
const optional = new Set(['http.request.body.size', 'http.response.body.size', 'network.protocol.version', 'service.name']);

function wrongFacts(span: SpanRecord, facts: Facts, areSizesOptional: boolean): string[] {
  const wrong: string[] = [];
  for (const [name, expected] of Object.entries(facts)) {
    if (expected === undefined && optional.has(name)) continue;
    const actual = actualFact(span, name);
    // The size of no body may be left out.
    if (actual === undefined && (expected === 0 || areSizesOptional) && name.endsWith('.body.size')) continue;
    // Several values: any of them.
    if (Array.isArray(expected) ? !expected.includes(actual) : actual !== expected)
      wrong.push(`${name}: expected ${String(expected)}, is ${String(actual)}`);
  }
  if (span.end < span.start) wrong.push(`ends ${span.start - span.end} ns before it starts`);
  if (!/^[0-9a-f]{32}$/.test(span.traceId) || /^0+$/.test(span.traceId)) wrong.push(`trace id ${span.traceId}`);
  if (!/^[0-9a-f]{16}$/.test(span.spanId) || /^0+$/.test(span.spanId)) wrong.push(`span id ${span.spanId}`);
  return wrong;
}

function firstOf(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return [`${lines.length} ${title}:`, ...lines.slice(0, 8).map((line) => `  ${line}`), ...(lines.length > 8 ? ['  …'] : [])];
}

/** What differs, as text for a person; undefined when nothing does. Spans of processes that the truth does not know are not looked at. */
export function compareTruth(
  truth: readonly Exchange[],
  spans: readonly SpanRecord[],
  options: CompareOptions = {},
): string | undefined {
  const expected = new Map<string, Expected[]>();
  const pids = new Set<number>(options.silentPids);
  let expectedCount = 0;
  for (const exchange of truth) {
    for (const [kind, party] of [
      ['SERVER', exchange.server],
      ['CLIENT', exchange.client],
    ] as const) {
      if (party === undefined) continue;
      const one = expectedOf(exchange, kind, party);
      const sameKey = expected.get(one.key);
      if (sameKey === undefined) expected.set(one.key, [one]);
      else sameKey.push(one);
      pids.add(party.pid);
      expectedCount++;
    }
  }
  const ids = truth.map((exchange) => exchange.id);
  const missing: string[] = [];
  const extra: string[] = [];
  const wrong: string[] = [];
  const spanIds = new Set<string>();
  let count = 0;
  for (const span of spans) {
    // Of interest by its process, or by its id: what is attributed to some other process is wrong too.
    const target = targetOf(span);
    const isOurs = pids.has(pidOf(span)) || ids.some((id) => target.includes(`id=${id}&`) || target.endsWith(`/${id}`));
    if (!isOurs) continue;
    count++;
    if (spanIds.has(span.spanId)) wrong.push(`span id ${span.spanId} twice`);
    spanIds.add(span.spanId);
    const key = keyOf(span);
    const sameKey = expected.get(key);
    const one = sameKey?.shift();
    if (one === undefined) {
      extra.push(
        `${key} → ${String(span.attributes['http.response.status_code'] ?? span.attributes['rpc.status_code'] ?? span.attributes['error.type'])}`,
      );
      continue;
    }
    const facts = wrongFacts(span, one.facts, options.areSizesOptional ?? false);
    if (facts.length > 0) wrong.push(`${key}: ${facts.join('; ')}`);
  }
  if (!options.mayMiss) for (const left of expected.values()) for (const one of left) missing.push(one.key);
  if (missing.length + extra.length + wrong.length === 0) return undefined;
  return [
    `expected ${expectedCount} spans, got ${count}`,
    ...firstOf('missing', missing),
    ...firstOf('extra', extra),
    ...firstOf('wrong', wrong),
  ].join('\n');
}
