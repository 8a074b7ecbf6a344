// `service::telemetry::metrics`: how metrics about the receiver itself leave it. The keys are the Collector's, which are those of the
// declarative configuration 0.3: https://opentelemetry.io/docs/collector/internal-telemetry/#configure-internal-metrics
import type { Schema } from './schema.ts';

const withoutUnits = 'Leave the unit off the names (`_seconds`, `_bytes`).';
const withoutTypeSuffix = 'Leave `_total` off the names of counters.';
const withoutScopeInfo = 'Leave the labels `otel_scope_name` and `otel_scope_version` off.';

const milliseconds = (initial: number, description: string) =>
  ({ type: 'integer', minimum: 1, maximum: 86_400_000, default: initial, description }) as const;

const prometheus = {
  type: 'object',
  additionalProperties: false,
  required: ['host', 'port'],
  description: 'A page for Prometheus to scrape: `/metrics`.',
  properties: {
    host: { type: 'string', description: 'Where to listen.' },
    port: { type: 'integer', minimum: 0, maximum: 65535, description: 'Where to listen; 0: a port that is free.' },
    without_units: { type: 'boolean', default: true, description: withoutUnits },
    without_type_suffix: { type: 'boolean', default: true, description: withoutTypeSuffix },
    without_scope_info: { type: 'boolean', default: true, description: withoutScopeInfo },
  },
} as const satisfies Schema;

const otlp = {
  type: 'object',
  additionalProperties: false,
  required: ['protocol', 'endpoint'],
  description: 'OTLP to a backend.',
  properties: {
    protocol: { type: 'string', enum: ['grpc', 'http/protobuf', 'http/json'], description: 'How to send.' },
    endpoint: {
      type: 'string',
      description: '`host:port` or `http(s)://host:port`; for HTTP also the path, `/v1/metrics` if there is none.',
    },
    insecure: {
      type: 'boolean',
      default: false,
      description: 'Without TLS, where the endpoint does not say `http://` or `https://`.',
    },
    certificate: { type: 'string', description: 'PEM file of the certificate authorities to trust.' },
    client_certificate: { type: 'string', description: 'PEM file of the client certificate.' },
    client_key: { type: 'string', description: 'PEM file of the key of the client certificate.' },
    headers: {
      type: 'array',
      maxItems: 64,
      default: [],
      description: 'Sent with each request.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name'],
        properties: {
          name: { type: 'string', description: 'Name of the header.' },
          value: { type: 'string', default: '', writeOnly: true, description: 'Its value.' },
        },
      },
    },
    compression: { type: 'string', enum: ['none', 'gzip'], default: 'none', description: 'Of requests.' },
    timeout: milliseconds(10_000, 'Milliseconds that one request may take.'),
    temporality_preference: {
      type: 'string',
      enum: ['cumulative'],
      default: 'cumulative',
      description: 'Counters count from the start of the receiver.',
    },
  },
} as const satisfies Schema;

export const selfMetricsSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Metrics about ourselves.',
  properties: {
    level: {
      type: 'string',
      enum: ['none', 'basic', 'normal', 'detailed', 'None', 'Basic', 'Normal', 'Detailed'],
      default: 'normal',
      description: 'How many: none, those one alerts on, the usual ones, or also those by CPU and by BPF program.',
    },
    readers: {
      type: 'array',
      maxItems: 16,
      description:
        'Who takes them. Default: a page for Prometheus on `localhost:8888`, as the Collector has it; if that port is taken, a warning is logged and there is none.',
      items: {
        type: 'object',
        additionalProperties: false,
        minProperties: 1,
        properties: {
          pull: {
            type: 'object',
            additionalProperties: false,
            required: ['exporter'],
            description: 'A reader that is asked.',
            properties: {
              exporter: {
                type: 'object',
                additionalProperties: false,
                required: ['prometheus'],
                description: 'What it answers with.',
                properties: { prometheus },
              },
            },
          },
          periodic: {
            type: 'object',
            additionalProperties: false,
            required: ['exporter'],
            description: 'A reader that sends.',
            properties: {
              interval: milliseconds(60_000, 'Milliseconds from one sending to the next.'),
              timeout: milliseconds(30_000, 'Milliseconds that one sending may take.'),
              exporter: {
                type: 'object',
                additionalProperties: false,
                required: ['otlp'],
                description: 'Where it sends to.',
                properties: { otlp },
              },
            },
          },
        },
      },
    },
  },
} as const satisfies Schema;

const noConsole = 'metrics are not written to the console; scrape them, or send them with otlp';

/** Keys as they stand in `service`. */
export const selfMetricsRefusals = {
  'telemetry::metrics::address': 'it is ignored by the Collector since 0.123; write a pull reader with host and port',
  'telemetry::metrics::views': 'the metrics are fixed; choose a level',
  'telemetry::metrics::readers::pull::exporter::prometheus::with_resource_constant_labels':
    'labels of the resource are in target_info',
  'telemetry::metrics::readers::pull::exporter::prometheus::without_target_info': 'target_info is always there',
  'telemetry::metrics::readers::pull::exporter::prometheus::translation_strategy':
    'names are made by without_units and without_type_suffix',
  'telemetry::metrics::readers::pull::exporter::console': noConsole,
  'telemetry::metrics::readers::periodic::exporter::console': noConsole,
  'telemetry::metrics::readers::periodic::exporter::otlp::headers_list': 'write headers, a list of name and value',
  'telemetry::metrics::readers::periodic::exporter::otlp::default_histogram_aggregation': 'boundaries of histograms are fixed',
  'telemetry::metrics::readers::periodic::exporter::otlp::temporality_preference=delta':
    'counters count from the start of the receiver',
  'telemetry::metrics::readers::periodic::exporter::otlp::temporality_preference=lowmemory':
    'counters count from the start of the receiver',
} as const;
