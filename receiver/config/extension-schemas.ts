// The blocks under `extensions:`, with the key names of the Collector's own and contrib extensions (v0.159).
// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/extension
import type { Schema } from './schema.ts';

/** `:13133` is every address, `localhost:0` a port of the kernel's choice. */
const endpointForms = '`host:port`; without a host, all addresses; with port 0, one that is free.';

export const healthCheckSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoint: { type: 'string', minLength: 1, default: 'localhost:13133', description: `Where to listen: ${endpointForms}` },
    path: { type: 'string', minLength: 1, default: '/', description: 'The path that is answered; all others are 404.' },
    response_body: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Texts to answer with instead of the JSON that says how the receiver is.',
      properties: {
        healthy: { type: 'string', default: '', description: 'Body of a 200; empty: JSON.' },
        unhealthy: { type: 'string', default: '', description: 'Body of a 503; empty: JSON.' },
      },
    },
    stall_timeout: {
      type: 'string',
      format: 'go-duration',
      default: '10s',
      description: 'Unhealthy when no event has been taken from the kernel for this long, though the receiver runs.',
    },
    exporter_failure_timeout: {
      type: 'string',
      format: 'go-duration',
      default: '5m',
      description: 'Unhealthy when an exporter has delivered nothing for this long while it had something to deliver; 0: never.',
    },
  },
} as const satisfies Schema;

const noServerTls = 'it is served without TLS; listen on localhost, or behind a proxy';
const noServerLimits = 'requests are small and few; their size is bounded';

const serverRefusals = {
  tls: noServerTls,
  auth: 'it is served without authentication; listen on localhost, or behind a proxy',
  cors: 'it is not for browsers of other origins',
  max_request_body_size: noServerLimits,
  include_metadata: 'nothing of a request is passed on',
  response_headers: 'headers are fixed',
  compression_algorithms: 'requests have no bodies',
  read_timeout: noServerLimits,
  read_header_timeout: noServerLimits,
  write_timeout: noServerLimits,
  idle_timeout: noServerLimits,
} as const;

export const healthCheckRefusals = {
  ...serverRefusals,
  check_collector_pipeline: 'exporters are checked by exporter_failure_timeout',
  use_v2: 'there is one form of answer',
} as const;

export const pprofSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoint: { type: 'string', minLength: 1, default: 'localhost:1777', description: `Where to listen: ${endpointForms}` },
  },
} as const satisfies Schema;

const noGoProfile = 'profiles are those of V8: CPU and heap';

export const pprofRefusals = {
  block_profile_fraction: noGoProfile,
  mutex_profile_fraction: noGoProfile,
  save_to_file: 'profiles are taken on demand: GET /debug/pprof/profile?seconds=N',
} as const;

export const zpagesSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoint: { type: 'string', minLength: 1, default: 'localhost:55679', description: `Where to listen: ${endpointForms}` },
  },
} as const satisfies Schema;

export const zpagesRefusals = {
  ...serverRefusals,
  expvar: 'usm-receiver has no expvars; GET /debug/usm says how it is',
} as const;
