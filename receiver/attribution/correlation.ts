// What is known about a transaction's trace → the trace it joins (docs/telemetry.md, Correlation).
// An observer cannot write a traceparent, so one in a request that a client sends was put there by an SDK in that process,
// or came in with the request that the process passes on; either way there is a span with that id already.
import type { Role } from '../model/connection.ts';
import { SpanKind } from '../model/span.ts';
import type { Correlation, Evidence, TraceContext } from '../model/trace.ts';
import { TraceFlag } from '../model/trace.ts';

/** What becomes of a client transaction that an SDK already has a span for. */
export type SdkDuplicates = 'suppress' | 'internal' | 'keep';

export type Correlate = (role: Exclude<Role, 'unknown'>, evidence: Evidence) => Correlation;

const root: Correlation = { kind: 'root' };
const unsampled: Correlation = { kind: 'no_span', reason: 'unsampled' };
const sdkDuplicate: Correlation = { kind: 'no_span', reason: 'sdk_duplicate' };

export function createCorrelation(sdkDuplicates: SdkDuplicates): Correlate {
  return (role, { wire }) => {
    if (wire === undefined) return root;
    if ((wire.flags & TraceFlag.sampled) === 0) return unsampled;
    if (role === 'server') return childOf(wire, true, SpanKind.server);
    if (sdkDuplicates === 'suppress') return sdkDuplicate;
    return childOf(wire, false, sdkDuplicates === 'internal' ? SpanKind.internal : SpanKind.client);
  };
}

function childOf(parent: TraceContext, parentIsRemote: boolean, spanKind: SpanKind): Correlation {
  return { kind: 'child', parent, parentIsRemote, spanKind, source: 'traceparent', confidence: 'observed' };
}
