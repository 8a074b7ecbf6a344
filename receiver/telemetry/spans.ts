// Hot path. Transaction + who made it + the context of its span → Span, or the reason why there is none.
import type { ProcessImage } from '../model/process.ts';
import type { NotExportedReason } from '../model/protocol.ts';
import type { Resource } from '../model/resource.ts';
import { ATTR_USM_CORRELATION_CONFIDENCE, ATTR_USM_CORRELATION_SOURCE, ATTR_USM_EXCHANGE_ID } from '../model/semconv.ts';
import type { AttributeValue, Span, SpanDescription } from '../model/span.ts';
import type { Correlation, SpanContext, TraceContext } from '../model/trace.ts';
import type { Transaction } from '../model/transaction.ts';
import type { Sampler } from './sampling.ts';

/** Name of the instrumentation scope of all spans. */
export const SCOPE_NAME = 'usm-receiver';

export interface SpanBuilderOptions {
  readonly describe: (transaction: Transaction) => SpanDescription;
  readonly resourceOf: (image: ProcessImage) => Resource;
  readonly sampler: Sampler;
  /** Appends what the application's thread said of the transaction. */
  readonly addThreadAttributes?: ((transaction: Transaction, to: (string | AttributeValue)[]) => void) | undefined;
}

export type SpanResult =
  | { readonly kind: 'span'; readonly span: Span }
  | {
      readonly kind: 'not_exported';
      readonly reason: Extract<
        NotExportedReason,
        'unsampled' | 'sampled_out' | 'sdk_duplicate' | 'process_unknown' | 'no_traces_pipeline'
      >;
      /** The span that somebody else has made of this transaction, if one is known. */
      readonly exemplar: TraceContext | undefined;
    };

export interface SpanBuilder {
  /** `image`: the process of the transaction, `undefined` when nothing is known of it. */
  build(transaction: Transaction, image: ProcessImage | undefined, spanContext: SpanContext): SpanResult;
  /** Where nobody wants spans: as build, but there is never one. */
  pass(spanContext: SpanContext): SpanResult;
}

const processUnknown: SpanResult = { kind: 'not_exported', reason: 'process_unknown', exemplar: undefined };
const noTracesPipeline: SpanResult = { kind: 'not_exported', reason: 'no_traces_pipeline', exemplar: undefined };
const sampledOut: SpanResult = { kind: 'not_exported', reason: 'sampled_out', exemplar: undefined };

export function createSpanBuilder({ describe, resourceOf, sampler, addThreadAttributes }: SpanBuilderOptions): SpanBuilder {
  function build(transaction: Transaction, image: ProcessImage | undefined, spanContext: SpanContext): SpanResult {
    if (spanContext.kind === 'none') return notExported(spanContext.correlation);
    if (image === undefined) return processUnknown;

    const { correlation, context, isSampled } = spanContext;
    const { connection, requestPosition, start, end } = transaction;
    const description = describe(transaction);
    const traceState = isSampled ? context.traceState : sampler.keep(description.isError, end - start);
    if (traceState === undefined) return sampledOut;
    const { attributes } = description;
    const isChild = correlation.kind === 'child';
    attributes.push(ATTR_USM_CORRELATION_SOURCE, isChild ? correlation.source : 'none');
    if (isChild) attributes.push(ATTR_USM_CORRELATION_CONFIDENCE, correlation.confidence);
    if (connection.pair !== '') attributes.push(ATTR_USM_EXCHANGE_ID, `${connection.pair}-${requestPosition.toString(16)}`);
    addThreadAttributes?.(transaction, attributes);
    const span: Span = {
      resource: resourceOf(image),
      traceId: context.traceId,
      spanId: context.spanId,
      parentSpanId: isChild ? correlation.parent.spanId : '',
      parentIsRemote: isChild && correlation.parentIsRemote,
      traceFlags: context.flags,
      traceState,
      kind: isChild ? correlation.spanKind : description.kind,
      name: description.name,
      start,
      end,
      attributes,
      link: isChild ? correlation.link : undefined,
      isError: description.isError,
    };
    return { kind: 'span', span };
  }

  return {
    build,
    pass: (spanContext) => (spanContext.kind === 'none' ? notExported(spanContext.correlation) : noTracesPipeline),
  };
}

function notExported({ reason, exemplar }: Extract<Correlation, { readonly kind: 'no_span' }>): SpanResult {
  return { kind: 'not_exported', reason, exemplar };
}
