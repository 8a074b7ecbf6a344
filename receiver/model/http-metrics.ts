// The HTTP metrics there are, as the semantic conventions define them (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/), and
// what exchanges are told apart by in them.
import type { MetricAttribute, MetricDefinition } from './metric-definition.ts';

export interface HttpMetricDefinition extends MetricDefinition {
  readonly role: 'server' | 'client';
  /** What one exchange adds to it, or what of the present it counts. */
  readonly measures: 'duration' | 'request_body_size' | 'response_body_size' | 'active_requests' | 'open_connections';
  readonly stability: 'stable' | 'development';
}

/** Seconds, as the conventions advise for HTTP and for remote procedure calls. */
export const DURATION_BOUNDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Bytes. The conventions advise none, and an SDK's defaults end at 10,000: powers of four from 256 B to 256 MiB. */
export const BODY_SIZE_BOUNDS: readonly number[] = [
  0, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456,
];

const outcomeAttributes: readonly MetricAttribute[] = [
  { name: 'error.type', level: 'conditionally_required' },
  { name: 'http.response.status_code', level: 'conditionally_required' },
  { name: 'network.protocol.version', level: 'recommended' },
];

const serverAttributes: readonly MetricAttribute[] = [
  { name: 'http.request.method', level: 'required' },
  { name: 'url.scheme', level: 'required' },
  ...outcomeAttributes,
  { name: 'server.address', level: 'opt_in' },
  { name: 'server.port', level: 'opt_in' },
];

const clientAttributes: readonly MetricAttribute[] = [
  { name: 'http.request.method', level: 'required' },
  { name: 'server.address', level: 'required' },
  { name: 'server.port', level: 'required' },
  ...outcomeAttributes,
  { name: 'url.scheme', level: 'opt_in' },
];

export const httpMetrics = [
  {
    name: 'http.server.request.duration',
    description: 'Duration of HTTP server requests.',
    unit: 's',
    role: 'server',
    measures: 'duration',
    stability: 'stable',
    isEnabledByDefault: true,
    attributes: serverAttributes,
  },
  {
    name: 'http.server.active_requests',
    description: 'Number of active HTTP server requests.',
    unit: '{request}',
    role: 'server',
    measures: 'active_requests',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: [
      { name: 'http.request.method', level: 'required' },
      { name: 'url.scheme', level: 'required' },
      { name: 'server.address', level: 'opt_in' },
      { name: 'server.port', level: 'opt_in' },
    ],
  },
  {
    name: 'http.server.request.body.size',
    description: 'Size of HTTP server request bodies.',
    unit: 'By',
    role: 'server',
    measures: 'request_body_size',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: serverAttributes,
  },
  {
    name: 'http.server.response.body.size',
    description: 'Size of HTTP server response bodies.',
    unit: 'By',
    role: 'server',
    measures: 'response_body_size',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: serverAttributes,
  },
  {
    name: 'http.client.request.duration',
    description: 'Duration of HTTP client requests.',
    unit: 's',
    role: 'client',
    measures: 'duration',
    stability: 'stable',
    isEnabledByDefault: true,
    attributes: clientAttributes,
  },
  {
    name: 'http.client.request.body.size',
    description: 'Size of HTTP client request bodies.',
    unit: 'By',
    role: 'client',
    measures: 'request_body_size',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: clientAttributes,
  },
  {
    name: 'http.client.response.body.size',
    description: 'Size of HTTP client response bodies.',
    unit: 'By',
    role: 'client',
    measures: 'response_body_size',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: clientAttributes,
  },
  {
    name: 'http.client.open_connections',
    description: 'Number of outbound HTTP connections that are currently active or idle on the client.',
    unit: '{connection}',
    role: 'client',
    measures: 'open_connections',
    stability: 'development',
    isEnabledByDefault: false,
    attributes: [
      { name: 'http.connection.state', level: 'required' },
      { name: 'server.address', level: 'required' },
      { name: 'server.port', level: 'required' },
      { name: 'network.peer.address', level: 'recommended' },
      { name: 'network.protocol.version', level: 'recommended' },
      { name: 'url.scheme', level: 'opt_in' },
    ],
  },
] as const satisfies readonly HttpMetricDefinition[];

export type HttpMetricName = (typeof httpMetrics)[number]['name'];

/**
 * What exchanges are told apart by in metrics, also those that carry a remote procedure call. One mutable object, filled anew for each exchange
 * (hot path).
 */
export interface HttpDimensions {
  /** A known method, or `_OTHER`. */
  method: string;
  /** The full name of the procedure, or `_OTHER`; '' for an exchange that carries no call. */
  rpcMethod: string;
  /** Name of the status of the call; '' for none. */
  rpcStatusCode: string;
  scheme: string;
  /** Of the request: '1.1'. */
  protocolVersion: string;
  /** 0: none was seen. */
  statusCode: number;
  /** '' for none. */
  errorType: string;
  /** '' when unknown or not asked for. */
  serverAddress: string;
  /** 0 when unknown or not asked for. */
  serverPort: number;
}
