// The `service` block: pipelines and our own log. https://opentelemetry.io/docs/collector/configuration/#service
import type { Schema } from './schema.ts';
import { selfMetricsRefusals, selfMetricsSchema } from './self-metrics-schema.ts';

const references = { type: 'array', items: { type: 'string' }, maxItems: 256 } as const satisfies Schema;

export const serviceSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    extensions: {
      ...references,
      default: [],
      description: 'Ids of extensions to start. Those that are defined and not named here are checked only.',
    },
    pipelines: {
      type: 'object',
      default: {},
      description: 'Keys are `traces`, `metrics`, or one of them with a name such as `metrics/prometheus`.',
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        default: {},
        description: 'One pipeline: what its receivers see goes to each of its exporters.',
        properties: {
          receivers: {
            ...references,
            default: [],
            description: 'Ids of receivers; the same one `usm` receiver in every pipeline.',
          },
          processors: { ...references, default: [], description: 'There are no processors yet: empty or not present.' },
          exporters: {
            ...references,
            default: [],
            description: 'Ids of exporters, at least one. Each gets everything that its pipeline is about.',
          },
        },
      },
    },
    telemetry: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Telemetry about usm-receiver itself.',
      properties: {
        logs: {
          type: 'object',
          additionalProperties: false,
          default: {},
          description: 'Our own log.',
          properties: {
            level: {
              type: 'string',
              enum: ['debug', 'info', 'warn', 'error', 'DEBUG', 'INFO', 'WARN', 'ERROR'],
              default: 'info',
              description: 'The least severe records to write.',
            },
            encoding: {
              type: 'string',
              enum: ['console', 'json'],
              default: 'console',
              description: 'Tab-separated text or one JSON object per line.',
            },
            output_paths: {
              type: 'array',
              items: { type: 'string', minLength: 1 },
              minItems: 1,
              maxItems: 16,
              default: ['stderr'],
              description: '`stderr`, `stdout` or paths of files, which are appended to.',
            },
            error_output_paths: {
              type: 'array',
              items: { type: 'string', minLength: 1 },
              minItems: 1,
              maxItems: 16,
              default: ['stderr'],
              description: 'Where failures to write the log are reported.',
            },
            initial_fields: { type: 'object', additionalProperties: true, default: {}, description: 'Added to every record.' },
            disable_caller: { type: 'boolean', default: true, description: 'No effect: records never name source lines.' },
            disable_stacktrace: {
              type: 'boolean',
              default: true,
              description: 'No effect: records carry no stack traces, except of a crash.',
            },
            sampling: {
              type: 'object',
              additionalProperties: false,
              description: 'Records are not sampled; repeating warnings are limited to one in 10 s.',
              properties: { enabled: { type: 'boolean', enum: [false], default: false, description: 'Must be false.' } },
            },
          },
        },
        metrics: selfMetricsSchema,
        traces: {
          type: 'object',
          additionalProperties: false,
          description: 'usm-receiver does not trace itself.',
          properties: { level: { type: 'string', enum: ['none', 'None'], default: 'none', description: 'Must be none.' } },
        },
      },
    },
  },
} as const satisfies Schema;

const noTraces = 'usm-receiver does not trace itself; write level: none or leave the block out';

export const serviceRefusals = {
  'telemetry::resource': 'records carry no resource; use telemetry::logs::initial_fields',
  'telemetry::logs::development': 'there is no development mode; use level: debug',
  'telemetry::logs::processors': 'the log is written to output_paths only',
  'telemetry::logs::sampling::enabled=true': 'records are not sampled; repeating warnings are limited to one in 10 s',
  'telemetry::logs::sampling::tick': 'records are not sampled',
  'telemetry::logs::sampling::initial': 'records are not sampled',
  'telemetry::logs::sampling::thereafter': 'records are not sampled',
  ...selfMetricsRefusals,
  'telemetry::traces::processors': noTraces,
  'telemetry::traces::propagators': noTraces,
  'telemetry::traces::sampler': noTraces,
  'telemetry::traces::level=basic': noTraces,
} as const;
