// Hot path. Exchange → the context of its span: which trace, which id, and why. Decided once, when first asked for: at the end of the exchange,
// or earlier by whatever is to be hung under it.
import { type Exchange, threadContextOf } from '../model/exchange.ts';
import type { ProcessId } from '../model/process.ts';
import type { Role } from '../model/connection.ts';
import type { ConversationEvent } from '../model/protocol.ts';
import type { Correlation, Evidence, SpanContext, TraceContext } from '../model/trace.ts';
import { TraceFlag } from '../model/trace.ts';
import type { IdSource } from './random-ids.ts';
import type { Sampler } from './sampling.ts';
import { isTracestate, parseTraceparent } from './trace-context.ts';

export type SpanEvent = Extract<ConversationEvent, 'invalid_traceparent' | 'invalid_tracestate'>;

export interface SpanContextOptions {
  readonly correlate: (role: Exclude<Role, 'unknown'>, evidence: Evidence) => Correlation;
  readonly ids: IdSource;
  readonly sampler: Sampler;
  /** False: nothing is known of the process, and it makes no spans. */
  readonly isKnown: (process: ProcessId) => boolean;
  readonly count: (event: SpanEvent) => void;
}

export type SpanContextOf = (exchange: Exchange) => SpanContext;

export function createSpanContexts(options: SpanContextOptions): SpanContextOf {
  const { correlate, ids, sampler, isKnown, count } = options;

  function wireContext(traceparent: string | undefined, tracestate: string | undefined): TraceContext | undefined {
    // Without a traceparent a tracestate says nothing.
    if (traceparent === undefined) return undefined;
    let traceState = '';
    if (tracestate !== undefined && tracestate !== '') {
      if (isTracestate(tracestate)) traceState = tracestate;
      else count('invalid_tracestate');
    }
    const context = parseTraceparent(traceparent, traceState);
    if (context === undefined) count('invalid_traceparent');
    return context;
  }

  /** The span that something is to be hung under; undefined when that exchange makes none. */
  function parentSpan(exchange: Exchange | undefined): Extract<SpanContext, { readonly kind: 'span' }> | undefined {
    if (exchange === undefined || !isKnown(exchange.process)) return undefined;
    const parent = of(exchange);
    return parent.kind === 'span' ? parent : undefined;
  }

  function decide(exchange: Exchange): SpanContext {
    const { connection, request } = exchange;
    const role = connection.role === 'client' ? 'client' : 'server';
    const wire = wireContext(request.traceparent, request.tracestate);
    const thread = threadContextOf(exchange)?.context;
    // Asking for the span of a request that is being served decides on it, before all is known; a thread that speaks for itself needs none.
    const servedBy = thread === undefined ? exchange.servedBy : undefined;
    const parent = parentSpan(role === 'client' ? servedBy : exchange.otherEnd);
    const correlation = correlate(role, {
      wire,
      thread,
      otherEnd: parent?.context,
      passedOn: parent?.context,
      serving: parent?.context,
    });
    switch (correlation.kind) {
      case 'no_span':
        return { kind: 'none', correlation };
      case 'child': {
        const { traceId, flags, traceState } = correlation.parent;
        const isSampled = correlation.parent !== parent?.context || parent.isSampled;
        return { kind: 'span', correlation, context: { traceId, spanId: ids.spanId(), flags, traceState }, isSampled };
      }
      case 'root': {
        const traceId = ids.traceId();
        const traceState = sampler.sample(traceId);
        const context = {
          traceId,
          spanId: ids.spanId(),
          flags: TraceFlag.sampled | TraceFlag.random,
          traceState: traceState ?? '',
        };
        return { kind: 'span', correlation, context, isSampled: traceState !== undefined };
      }
    }
  }

  function of(exchange: Exchange): SpanContext {
    return (exchange.spanContext ??= decide(exchange));
  }

  return of;
}
