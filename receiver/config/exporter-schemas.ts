// The blocks under `exporters:`, with the key names of the Collector's otlp_grpc, otlp_http, debug and file exporters (v0.159):
// config/configgrpc, config/confighttp, config/configtls, config/configretry and exporter/exporterhelper in opentelemetry-collector.
import type { Schema } from './schema.ts';

const tls = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Transport security of the connection to the backend.',
  properties: {
    insecure: {
      type: 'boolean',
      default: false,
      description: 'Send without TLS. An `https://` endpoint is sent with TLS regardless.',
    },
    insecure_skip_verify: {
      type: 'boolean',
      default: false,
      description: 'Use TLS but do not verify the certificate of the server.',
    },
    include_system_ca_certs_pool: {
      type: 'boolean',
      default: false,
      description: "Trust the system's certificate authorities besides those given here.",
    },
    ca_file: { type: 'string', description: 'PEM file of the certificate authorities to trust.' },
    ca_pem: { type: 'string', writeOnly: true, description: 'The same as text.' },
    cert_file: { type: 'string', description: 'PEM file of the client certificate.' },
    cert_pem: { type: 'string', writeOnly: true, description: 'The same as text.' },
    key_file: { type: 'string', description: 'PEM file of the key of the client certificate.' },
    key_pem: { type: 'string', writeOnly: true, description: 'The same as text.' },
    server_name_override: { type: 'string', description: 'Host name to ask for and to verify, instead of that of the endpoint.' },
    min_version: {
      type: 'string',
      enum: ['1.0', '1.1', '1.2', '1.3'],
      default: '1.2',
      description: 'The lowest TLS version to accept.',
    },
  },
} as const satisfies Schema;

const sendingQueue = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Spans that wait to be sent. When the queue is full, new ones are dropped and counted.',
  properties: {
    enabled: {
      type: 'boolean',
      default: true,
      description: 'Send from a queue. False: one batch at a time, at most one waiting.',
    },
    num_consumers: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 10,
      description: 'Batches in flight at the same time.',
    },
    queue_size: {
      type: 'integer',
      minimum: 1,
      maximum: 1099511627776,
      description:
        'How much the queue holds, in units of `sizer`: at most 10000000 spans or batches, or 1 TiB. Default: 65536 spans; with `sizer: requests`, 1000 batches; with `sizer: bytes`, 64 MiB.',
    },
    sizer: {
      type: 'string',
      enum: ['items', 'requests', 'bytes'],
      description:
        'What `queue_size` counts: spans (`items`), batches (`requests`) or bytes of their uncompressed requests (`bytes`). Default: `requests` where `queue_size` alone is given, as in the Collector, else `items`.',
    },
    block_on_overflow: {
      type: 'boolean',
      default: false,
      description:
        'What a full queue means. False: new spans are dropped and counted (`queue_full`). True: nothing more is taken from the kernel until there is room; when its ring is full too, whole connections are shed and counted. Traffic itself never waits.',
    },
    wait_for_result: { type: 'boolean', enum: [false], default: false, description: 'Must be false: nobody waits for a result.' },
    storage: {
      type: 'string',
      minLength: 1,
      description:
        'Id of a `file_storage` extension that keeps the queue on disk, so that it survives the receiver. Not present: the queue is in memory.',
    },
    batch: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'How spans are gathered into requests.',
      properties: {
        flush_timeout: {
          type: 'string',
          format: 'go-duration',
          default: '200ms',
          description: 'A batch is sent after this time, whatever its size.',
        },
        min_size: {
          type: 'integer',
          minimum: 0,
          maximum: 1073741824,
          description: 'A batch of this size is sent at once. Default: 512 spans; with `sizer: bytes`, 256 KiB.',
        },
        max_size: {
          type: 'integer',
          minimum: 0,
          maximum: 1073741824,
          description:
            'A batch never exceeds this size; 0: no limit. Default: 4096 spans or 2 MiB, or `min_size` where that is larger. Whatever it says, requests stay below 4 MiB, which gRPC servers accept by default.',
        },
        sizer: {
          type: 'string',
          enum: ['items', 'bytes'],
          default: 'items',
          description: 'What `min_size` and `max_size` count: spans (`items`) or bytes of the uncompressed request (`bytes`).',
        },
      },
    },
  },
} as const satisfies Schema;

const retryOnFailure = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Batches that could not be delivered are tried again, with growing pauses.',
  properties: {
    enabled: { type: 'boolean', default: true, description: 'Retry at all.' },
    initial_interval: { type: 'string', format: 'go-duration', default: '5s', description: 'Pause before the first retry.' },
    multiplier: {
      type: 'number',
      minimum: 0,
      maximum: 1000,
      default: 1.5,
      description: 'Growth of the pause from one retry to the next.',
    },
    randomization_factor: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 0.5,
      description: 'Each pause is drawn from ± this share of itself.',
    },
    max_interval: { type: 'string', format: 'go-duration', default: '30s', description: 'The longest pause.' },
    max_elapsed_time: {
      type: 'string',
      format: 'go-duration',
      default: '5m',
      description: 'A batch is given up after this time; 0: never.',
    },
  },
} as const satisfies Schema;

const headers = {
  type: 'object',
  additionalProperties: { type: 'string', writeOnly: true },
  writeOnly: true,
  default: {},
  description: 'Sent with each request, for example `authorization`.',
} as const satisfies Schema;

const compression = {
  type: 'string',
  enum: ['gzip', 'none'],
  default: 'gzip',
  description: 'Of request bodies.',
} as const satisfies Schema;

export const otlpGrpcSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['endpoint'],
  properties: {
    endpoint: {
      type: 'string',
      description:
        'Where to send: `host:port`, `http://host:port`, `https://host:port` (TLS), `dns:///host:port` or `unix:///path`.',
    },
    tls,
    headers,
    compression,
    timeout: { type: 'string', format: 'go-duration', default: '5s', description: 'Of one attempt; 0: none.' },
    keepalive: {
      type: 'object',
      additionalProperties: false,
      description: 'Ping idle connections. Not present: no pings.',
      properties: {
        time: { type: 'string', format: 'go-duration', default: '10s', description: 'Ping after this time without traffic.' },
        timeout: {
          type: 'string',
          format: 'go-duration',
          default: '10s',
          description: 'Close the connection when a ping is not answered in this time.',
        },
        permit_without_stream: { type: 'boolean', default: false, description: 'Ping also while no request is in flight.' },
      },
    },
    user_agent: { type: 'string', description: 'Replaces the User-Agent, by default our name and version.' },
    sending_queue: sendingQueue,
    retry_on_failure: retryOnFailure,
  },
} as const satisfies Schema;

export const otlpHttpSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoint: {
      type: 'string',
      description: 'Base URL, such as `http://localhost:4318`; traces go to `/v1/traces` below it, metrics to `/v1/metrics`.',
    },
    traces_endpoint: { type: 'string', description: 'Full URL for traces, used instead of `endpoint`.' },
    metrics_endpoint: { type: 'string', description: 'Full URL for metrics, used instead of `endpoint`.' },
    encoding: { type: 'string', enum: ['proto', 'json'], default: 'proto', description: 'Protobuf or OTLP JSON.' },
    tls,
    headers,
    compression,
    timeout: { type: 'string', format: 'go-duration', default: '30s', description: 'Of one attempt; 0: none.' },
    sending_queue: sendingQueue,
    retry_on_failure: retryOnFailure,
  },
} as const satisfies Schema;

export const debugSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    verbosity: {
      type: 'string',
      enum: ['basic', 'normal', 'detailed'],
      default: 'basic',
      description: 'One line per transaction (`basic`), with key attributes (`normal`), or the whole span (`detailed`).',
    },
  },
} as const satisfies Schema;

export const fileSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['path'],
  properties: {
    path: { type: 'string', description: 'The file to write, OTLP JSON, one request per line.' },
    append: { type: 'boolean', default: false, description: 'Keep what an existing file holds. Not together with `rotation`.' },
    format: { type: 'string', enum: ['json'], default: 'json', description: 'The only format.' },
    rotation: {
      type: 'object',
      additionalProperties: false,
      description: 'Begin a new file now and then. Not present: one file that grows.',
      properties: {
        max_megabytes: {
          type: 'integer',
          minimum: 1,
          maximum: 1048576,
          default: 100,
          description: 'Size at which a new file begins.',
        },
        max_days: {
          type: 'integer',
          minimum: 0,
          maximum: 36500,
          default: 0,
          description: 'Age at which an old file is removed; 0: never.',
        },
        max_backups: { type: 'integer', minimum: 0, maximum: 100000, default: 100, description: 'Old files to keep; 0: all.' },
        localtime: { type: 'boolean', default: false, description: 'Name old files by local time instead of UTC.' },
      },
    },
    flush_interval: { type: 'string', format: 'go-duration', default: '1s', description: 'How long lines may wait in memory.' },
    create_directory: { type: 'boolean', default: false, description: 'Create the directory of `path` if it does not exist.' },
  },
} as const satisfies Schema;

const queueRefusals = {
  'sending_queue::wait_for_result=true': 'nobody waits: traffic is observed, not received',
  'sending_queue::blocking': 'it is called block_on_overflow',
  'sending_queue::batch::sizer=requests': 'a batch becomes one request; it is counted in spans (items) or bytes',
  'sending_queue::batch::partition': 'spans carry no client metadata to partition by',
} as const;

const tlsRefusals = {
  'tls::max_version': 'the highest version that both sides know is used',
  'tls::cipher_suites': "the cipher suites are those of Node.js; set NODE_OPTIONS='--tls-cipher-list=…' to change them",
  'tls::curve_preferences': 'the curves are those of Node.js',
  'tls::reload_interval': 'certificates are read once, at start; restart to use new ones',
  'tls::tpm': 'keys are read from files or text only',
} as const;

const unauthenticated = 'there are no authenticator extensions; set headers instead';

export const otlpGrpcRefusals = {
  ...queueRefusals,
  ...tlsRefusals,
  'compression=snappy': 'the gRPC library sends gzip or none',
  'compression=zstd': 'the gRPC library sends gzip or none',
  auth: unauthenticated,
  authority: 'set tls::server_name_override instead',
  balancer_name: 'one connection is used; balance with a proxy or a Collector',
  middlewares: 'there are no middleware extensions',
  read_buffer_size: 'buffers are sized by Node.js',
  write_buffer_size: 'buffers are sized by Node.js',
  wait_for_ready: 'a failed attempt is retried, see retry_on_failure',
} as const;

const pooled = 'connections are pooled by Node.js, one per batch in flight (sending_queue::num_consumers)';

export const otlpHttpRefusals = {
  ...queueRefusals,
  ...tlsRefusals,
  'compression=snappy': 'request bodies are sent with gzip or none',
  'compression=zstd': 'request bodies are sent with gzip or none',
  'compression=zlib': 'request bodies are sent with gzip or none',
  'compression=deflate': 'request bodies are sent with gzip or none',
  'compression=lz4': 'request bodies are sent with gzip or none',
  logs_endpoint: 'usm-receiver makes no logs',
  profiles_endpoint: 'usm-receiver makes no profiles',
  auth: unauthenticated,
  compression_params: 'the default level is used',
  cookies: 'cookies are not kept',
  middlewares: 'there are no middleware extensions',
  proxy_url: 'proxies are not supported',
  read_buffer_size: 'buffers are sized by Node.js',
  write_buffer_size: 'buffers are sized by Node.js',
  max_idle_conns: pooled,
  max_idle_conns_per_host: pooled,
  max_conns_per_host: pooled,
  idle_conn_timeout: pooled,
  disable_keep_alives: pooled,
  force_attempt_http2: 'requests are sent with HTTP/1.1',
  http2_read_idle_timeout: 'requests are sent with HTTP/1.1',
  http2_ping_timeout: 'requests are sent with HTTP/1.1',
} as const;

export const debugRefusals = {
  sampling_initial: 'every transaction is printed',
  sampling_thereafter: 'every transaction is printed',
  use_internal_logger: 'lines go to standard output, apart from the log',
  output_paths: 'lines go to standard output',
  output: 'all attributes are printed at verbosity detailed',
  sending_queue: 'lines are printed at once',
} as const;

export const fileRefusals = {
  'format=proto': 'files are written as OTLP JSON',
  compression: 'files are written uncompressed',
  encoding: 'there are no encoding extensions; files are written as OTLP JSON',
  group_by: 'one file is written per exporter',
  directory_permissions: 'directories are created with the permissions that the umask leaves',
} as const;
