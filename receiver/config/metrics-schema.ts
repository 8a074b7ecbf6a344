// The keys of the `usm` block that are about metrics: which, how aggregated, how often.
import { defaultAttributes, type MetricDefinition } from '../model/metric-definition.ts';
import { type MetricName, metrics } from '../model/metrics.ts';
import type { Schema } from './schema.ts';

/** One metric, with the keys that metrics of Collector receivers have. */
function metricSchema(metric: MetricDefinition) {
  return {
    type: 'object',
    additionalProperties: false,
    default: {},
    description: `${metric.description} Unit \`${metric.unit}\`.`,
    properties: {
      enabled: { type: 'boolean', default: metric.isEnabledByDefault, description: 'Make this metric.' },
      attributes: {
        type: 'array',
        items: { type: 'string', enum: metric.attributes.map(({ name }) => name) },
        maxItems: 16,
        default: defaultAttributes(metric),
        description: 'Attributes that its series are told apart by. Those that are required are always there.',
      },
    },
  } as const satisfies Schema;
}

const metricProperties = Object.fromEntries(metrics.map((metric) => [metric.name, metricSchema(metric)])) as Readonly<
  Record<MetricName, ReturnType<typeof metricSchema>>
>;

export const metricsSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'The metrics there are; made only if a `metrics` pipeline has this receiver.',
  properties: metricProperties,
} as const satisfies Schema;

export const aggregationSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'How exchanges become data points.',
  properties: {
    temporality: {
      type: 'string',
      enum: ['cumulative', 'delta'],
      default: 'cumulative',
      description:
        'Of histograms and counters: since the start of a series, or since the last collection. Sums that go up and down are always cumulative.',
    },
    histogram: {
      type: 'string',
      enum: ['explicit', 'exponential'],
      default: 'explicit',
      description: 'Buckets with the bounds of the semantic conventions, or base-2 exponential ones.',
    },
    max_size: {
      type: 'integer',
      minimum: 2,
      maximum: 1024,
      default: 160,
      description: 'Buckets that an exponential histogram has at most; when values need more, it becomes coarser.',
    },
    cardinality_limit: {
      type: 'integer',
      minimum: 2,
      maximum: 100000,
      default: 2000,
      description:
        'Series of one metric of one service, the overflow series included. Beyond it everything is measured in that one, which has the attribute `otel.metric.overflow`.',
    },
    exemplars: {
      type: 'boolean',
      default: true,
      description: 'Keep an example for each bucket, with the trace and the span that it comes from, if that span is exported.',
    },
    series_expiry: {
      type: 'string',
      format: 'go-duration',
      range: ['1s', '168h'],
      default: '5m',
      description:
        'A series ends when nothing was measured for this time and no process of the service lives, or its room is needed.',
    },
  },
} as const satisfies Schema;

export const collectionIntervalSchema = {
  type: 'string',
  format: 'go-duration',
  range: ['100ms', '24h'],
  default: '1m',
  description: 'How often metrics are collected and sent. A last time at the end.',
} as const satisfies Schema;
