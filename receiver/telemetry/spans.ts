// Hot path. Transaction + who made it → Span, or the reason why there is none.
import type { ProcessImage } from '../model/process.ts';
import type { ConversationEvent, NotExportedReason } from '../model/protocol.ts';
import type { Resource } from '../model/resource.ts';
import { ATTR_USM_CORRELATION_CONFIDENCE, ATTR_USM_CORRELATION_SOURCE } from '../model/semconv.ts';
import type { Span, SpanDescription } from '../model/span.ts';
import type { Correlation, Evidence, TraceContext } from '../model/trace.ts';
import { TraceFlag } from '../model/trace.ts';
import type { Transaction } from '../model/transaction.ts';
import type { IdSource } from './random-ids.ts';
import { isTracestate, parseTraceparent } from './trace-context.ts';

/** Name of the instrumentation scope of all spans. */
export const SCOPE_NAME = 'usm-receiver';

export type SpanEvent = Extract<ConversationEvent, 'invalid_traceparent' | 'invalid_tracestate'>;

export interface SpanBuilderOptions {
  readonly describe: (transaction: Transaction) => SpanDescription;
  readonly resourceOf: (image: ProcessImage) => Resource;
  readonly correlate: (role: Transaction['role'], evidence: Evidence) => Correlation;
  readonly ids: IdSource;
  readonly count: (event: SpanEvent) => void;
}

export type SpanResult =
  | { readonly kind: 'span'; readonly span: Span }
  | {
      readonly kind: 'not_exported';
      readonly reason: Extract<NotExportedReason, 'unsampled' | 'sdk_duplicate' | 'process_unknown' | 'no_traces_pipeline'>;
      /** The span that somebody else has made of this transaction, if one is known. */
      readonly exemplar: TraceContext | undefined;
    };

export interface SpanBuilder {
  /** `image`: the process of the transaction, `undefined` when nothing is known of it. */
  build(transaction: Transaction, image: ProcessImage | undefined): SpanResult;
  /** Where nobody wants spans: as build, but there is never one. */
  pass(transaction: Transaction): SpanResult;
}

const processUnknown: SpanResult = { kind: 'not_exported', reason: 'process_unknown', exemplar: undefined };
const noTracesPipeline: SpanResult = { kind: 'not_exported', reason: 'no_traces_pipeline', exemplar: undefined };

export function createSpanBuilder(options: SpanBuilderOptions): SpanBuilder {
  const { describe, resourceOf, correlate, ids, count } = options;

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

  function follow({ role, request }: Transaction): Correlation {
    return correlate(role, {
      wire: wireContext(request.traceparent, request.tracestate),
      thread: undefined,
      otherEnd: undefined,
      passedOn: undefined,
      serving: undefined,
    });
  }

  function build(transaction: Transaction, image: ProcessImage | undefined): SpanResult {
    const correlation = follow(transaction);
    if (correlation.kind === 'no_span') return notExported(correlation);
    if (image === undefined) return processUnknown;

    const description = describe(transaction);
    const isChild = correlation.kind === 'child';
    description.attributes.push(ATTR_USM_CORRELATION_SOURCE, isChild ? correlation.source : 'none');
    if (isChild) description.attributes.push(ATTR_USM_CORRELATION_CONFIDENCE, correlation.confidence);
    const span: Span = {
      resource: resourceOf(image),
      traceId: isChild ? correlation.parent.traceId : ids.traceId(),
      spanId: ids.spanId(),
      parentSpanId: isChild ? correlation.parent.spanId : '',
      parentIsRemote: isChild && correlation.parentIsRemote,
      traceFlags: isChild ? correlation.parent.flags : TraceFlag.sampled | TraceFlag.random,
      traceState: isChild ? correlation.parent.traceState : '',
      kind: isChild ? correlation.spanKind : description.kind,
      name: description.name,
      start: transaction.start,
      end: transaction.end,
      attributes: description.attributes,
      isError: description.isError,
    };
    return { kind: 'span', span };
  }

  return {
    build,
    pass: (transaction) => {
      const correlation = follow(transaction);
      return correlation.kind === 'no_span' ? notExported(correlation) : noTracesPipeline;
    },
  };
}

function notExported({ reason, exemplar }: Extract<Correlation, { readonly kind: 'no_span' }>): SpanResult {
  return { kind: 'not_exported', reason, exemplar };
}
