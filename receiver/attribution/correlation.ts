// What is known about a transaction's trace → the trace it joins: the table in docs/telemetry.md, row by row.
// An observer cannot write a traceparent, so one in a request that a client sends was put there by an SDK in that process,
// or came in with the request that the process passes on; either way there is a span with that id already.
import type { Role } from '../model/connection.ts';
import { SpanKind } from '../model/span.ts';
import type {
  Correlation,
  CorrelationConfidence,
  CorrelationRule,
  CorrelationSource,
  Evidence,
  TraceContext,
} from '../model/trace.ts';
import { TraceFlag } from '../model/trace.ts';

/** What becomes of a transaction that an SDK already has a span for. */
export type SdkDuplicates = 'suppress' | 'internal' | 'keep';

export type Correlate = (role: Exclude<Role, 'unknown'>, evidence: Evidence) => Correlation;

const serverRoot: Correlation = { kind: 'root', rule: 'server_root' };
const clientRoot: Correlation = { kind: 'root', rule: 'client_root' };
const unsampled: Correlation = { kind: 'no_span', rule: 'unsampled', reason: 'unsampled', exemplar: undefined };

export function createCorrelation(sdkDuplicates: SdkDuplicates): Correlate {
  function server({ wire, thread, otherEnd }: Evidence): Correlation {
    if (wire === undefined) {
      if (thread !== undefined) return child('server_thread_context', thread, SpanKind.server, 'thread_context', 'observed');
      if (otherEnd !== undefined) return child('server_other_end', otherEnd, SpanKind.server, 'exchange', 'observed', true);
      return serverRoot;
    }
    // The thread is in a span of this trace that is not the caller's: an SDK's own span of this request.
    if (thread?.traceId === wire.traceId && thread.spanId !== wire.spanId) {
      if (sdkDuplicates === 'keep') return child('server_sdk', wire, SpanKind.server, 'traceparent', 'observed', true);
      return duplicate('server_sdk', thread, 'thread_context');
    }
    const link = thread?.traceId === wire.traceId ? undefined : thread;
    // Whoever passed the traceparent on has a span between the header's and this one.
    if (otherEnd?.traceId === wire.traceId) {
      return child('server_other_end', otherEnd, SpanKind.server, 'exchange', 'confirmed', true, link);
    }
    if (link !== undefined) return child('server_contradicted', wire, SpanKind.server, 'traceparent', 'observed', true, link);
    if (thread !== undefined) return child('server_confirmed', wire, SpanKind.server, 'traceparent', 'confirmed', true);
    return child('server_traceparent', wire, SpanKind.server, 'traceparent', 'observed', true);
  }

  function client({ wire, thread, passedOn, serving }: Evidence): Correlation {
    if (wire === undefined) {
      if (thread !== undefined) return child('client_thread_context', thread, SpanKind.client, 'thread_context', 'observed');
      if (serving !== undefined) return child('client_serving', serving, SpanKind.client, 'thread', 'inferred');
      return clientRoot;
    }
    if (thread === undefined && passedOn !== undefined) {
      return child('client_passed_on', passedOn, SpanKind.client, 'traceparent', 'inferred');
    }
    const rule =
      thread === undefined ? 'client_traceparent' : thread.traceId === wire.traceId ? 'client_sdk' : 'client_contradicted';
    if (sdkDuplicates === 'keep') return child(rule, wire, SpanKind.client, 'traceparent', 'observed');
    return duplicate(rule, wire, 'traceparent');
  }

  function duplicate(rule: CorrelationRule, of: TraceContext, source: Exclude<CorrelationSource, 'none'>): Correlation {
    return sdkDuplicates === 'internal'
      ? child(rule, of, SpanKind.internal, source, 'observed')
      : { kind: 'no_span', rule, reason: 'sdk_duplicate', exemplar: of };
  }

  return (role, evidence) => {
    const { wire } = evidence;
    if (wire !== undefined && (wire.flags & TraceFlag.sampled) === 0) return unsampled;
    return role === 'server' ? server(evidence) : client(evidence);
  };
}

function child(
  rule: CorrelationRule,
  parent: TraceContext,
  spanKind: SpanKind,
  source: Exclude<CorrelationSource, 'none'>,
  confidence: CorrelationConfidence,
  parentIsRemote = false,
  link?: TraceContext,
): Correlation {
  return { kind: 'child', rule, parent, parentIsRemote, spanKind, source, confidence, link };
}
