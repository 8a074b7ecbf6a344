// Head sampling of the traces that begin here: which of them are exported, by their trace id alone, so that whoever else decides by the
// same rule decides alike. https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
import type { Nanoseconds } from '../model/transaction.ts';

export interface SamplingOptions {
  /** Share of the traces to keep, 0 to 1. Undefined: there is no sampling, and spans say nothing of it. */
  readonly ratio: number | undefined;
  /** Every span with the status Error is kept. */
  readonly keepErrors: boolean;
  /** Every span that took this long or longer is kept. Undefined: none for that reason. */
  readonly keepSlowerThanMs: number | undefined;
}

export interface Sampler {
  /** The tracestate of a root span of this trace, or undefined when the trace is not kept. `traceId`: 32 hex digits, the last 14 random. */
  sample(traceId: string): string | undefined;
  /** The same for a span that {@link sample} did not keep, now that it is known how it went. */
  keep(isError: boolean, duration: Nanoseconds): string | undefined;
}

/** The threshold is compared with the last 56 bits of the trace id. */
const DIGITS = 14;
const RANGE = 1n << 56n;
/** Significant hex digits of a threshold, as the specification recommends. */
const PRECISION = 4;
const EVERY_TRACE = 'ot=th:0';

export function createSampler({ ratio, keepErrors, keepSlowerThanMs }: SamplingOptions): Sampler {
  if (ratio === undefined) return { sample: () => '', keep: () => '' };
  const slow = keepSlowerThanMs === undefined ? Infinity : keepSlowerThanMs * 1e6;
  const kept = BigInt(Math.round(ratio * Number(RANGE)));
  const threshold = kept === 0n ? undefined : rejectionThreshold(kept);
  const traceState = threshold === undefined ? '' : `ot=th:${threshold.replace(/0+$/, '') || '0'}`;
  return {
    sample: (traceId) =>
      threshold !== undefined && traceId.slice(traceId.length - DIGITS) >= threshold ? traceState : undefined,
    // Spans of this sort are all there, so each stands for itself alone.
    keep: (isError, duration) => ((keepErrors && isError) || duration >= slow ? EVERY_TRACE : undefined),
  };
}

/** 14 hex digits; traces whose random part is below are not kept. `kept`: how many of 2^56 are to be kept, at least 1. */
function rejectionThreshold(kept: bigint): string {
  const exact = RANGE - kept;
  const text = exact.toString(16).padStart(DIGITS, '0');
  const leading = /^f*/.exec(text)?.[0].length ?? 0;
  const dropped = DIGITS - PRECISION - leading;
  if (dropped <= 0) return text;
  const unit = 16n ** BigInt(dropped);
  const rounded = ((exact + unit / 2n) / unit) * unit;
  return rounded < RANGE ? rounded.toString(16).padStart(DIGITS, '0') : text;
}
