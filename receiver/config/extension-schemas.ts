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

export const fileStorageSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    directory: {
      type: 'string',
      minLength: 1,
      default: '/var/lib/otelcol/file_storage',
      description: 'Where the databases are, one for each exporter and signal that uses it.',
    },
    create_directory: { type: 'boolean', default: false, description: 'Create the directories if they do not exist.' },
    directory_permissions: {
      type: 'string',
      default: '0750',
      description: 'Octal mode of directories that are created, less the umask.',
    },
    timeout: {
      type: 'string',
      format: 'go-duration',
      default: '1s',
      description: 'How long to wait for a database that another process has open.',
    },
    fsync: {
      type: 'boolean',
      default: false,
      description:
        'Force each write to the disk, so that it survives a crash of the machine too. Without it, it survives whatever happens to the receiver.',
    },
    recreate: {
      type: 'boolean',
      default: true,
      description:
        'Rename a database that cannot be read aside (`.backup`) and begin anew. False, as is the default of the Collector: do not start.',
    },
    compaction: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'When room that the databases no longer need is given back to the file system.',
      properties: {
        on_start: { type: 'boolean', default: false, description: 'At every start.' },
        on_rebound: {
          type: 'boolean',
          default: false,
          description: 'When a database that had grown is nearly empty again.',
        },
        directory: {
          type: 'string',
          minLength: 1,
          description: 'Where the compacted copy is made. Default: `directory`.',
        },
        rebound_needed_threshold_mib: {
          type: 'integer',
          minimum: 1,
          maximum: 1048576,
          default: 100,
          description: '`on_rebound`: the size of the file from which on it is considered.',
        },
        rebound_trigger_threshold_mib: {
          type: 'integer',
          minimum: 1,
          maximum: 1048576,
          default: 10,
          description: '`on_rebound`: what may still be in use when it is done.',
        },
        check_interval: {
          type: 'string',
          format: 'go-duration',
          default: '5s',
          description: '`on_rebound`: how often it is looked at.',
        },
        cleanup_on_start: {
          type: 'boolean',
          default: false,
          description: 'Remove copies that a run that was killed while compacting left behind (`tempdb*`).',
        },
      },
    },
  },
} as const satisfies Schema;

export const fileStorageRefusals = {
  'compaction::max_transaction_size': 'a database is compacted in one transaction',
} as const;
