// The checked keys about metrics → which metrics there are, with which attributes, and how they are aggregated.
import { metrics } from '../model/metrics.ts';
import type { FromSchema } from './schema.ts';
import type { usmSchema } from './usm-schema.ts';
import type { AggregationConfig, MetricConfig } from './types.ts';
import { parseDurationMs } from './values.ts';

type UsmBlock = FromSchema<typeof usmSchema>;

/** Those that are switched on. */
export function resolveMetrics(block: UsmBlock['metrics']): readonly MetricConfig[] {
  const enabled: MetricConfig[] = [];
  for (const { name, attributes } of metrics) {
    const written = block[name];
    if (!written.enabled) continue;
    const chosen: readonly string[] = written.attributes;
    const names = attributes.filter((attribute) => attribute.level === 'required' || chosen.includes(attribute.name));
    enabled.push({ name, attributes: names.map((attribute) => attribute.name) });
  }
  return enabled;
}

export function resolveAggregation(block: UsmBlock['aggregation']): AggregationConfig {
  return {
    temporality: block.temporality,
    histogram: block.histogram,
    maxSize: block.max_size,
    cardinalityLimit: block.cardinality_limit,
    exemplars: block.exemplars,
    seriesExpiryMs: parseDurationMs(block.series_expiry) ?? NaN,
  };
}
