// The `usm` block under `receivers:`. The Collector's component takes the same block, and checks it by this schema.
import { collectorSchema } from './collector-schema.ts';
import { aggregationSchema, collectionIntervalSchema, metricsSchema } from './metrics-schema.ts';
import type { Schema } from './schema.ts';

const ports = {
  type: 'array',
  items: { type: ['integer', 'string'], format: 'port-range' },
  minItems: 1,
  maxItems: 256,
} as const satisfies Schema;

const cidrs = { type: 'array', items: { type: 'string', format: 'cidr' }, minItems: 1, maxItems: 256 } as const satisfies Schema;

const paths = {
  type: 'array',
  items: { type: 'string', format: 'absolute-path' },
  minItems: 1,
  maxItems: 256,
} as const satisfies Schema;

const cgroups = {
  type: 'array',
  items: { type: 'string', format: 'cgroup-path' },
  minItems: 1,
  maxItems: 256,
} as const satisfies Schema;

const filterRule = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    local_ports: { ...ports, description: 'Ports of this end of the connection: numbers or ranges such as `"8000-8999"`.' },
    remote_ports: { ...ports, description: 'Ports of the other end.' },
    cidrs: {
      ...cidrs,
      description:
        'Prefixes such as `10.0.0.0/8` or `fd00::/8`, or single addresses. The remote or the local address must be inside one.',
    },
    pids: {
      type: 'array',
      items: { type: 'integer', minimum: 1, maximum: 4194304 },
      minItems: 1,
      maxItems: 256,
      description: 'Process ids as the host counts them (initial pid namespace).',
    },
    executables: { ...paths, description: 'Absolute paths of executables, in the mount namespace of the process.' },
    cgroups: {
      ...cgroups,
      description: 'Paths below the cgroup v2 root, such as `/system.slice/nginx.service`; groups below them match too.',
    },
  },
} as const satisfies Schema;

export const usmSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    filter: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Which connections are observed. Decided once per connection.',
      properties: {
        include: {
          type: 'array',
          items: filterRule,
          maxItems: 32,
          default: [],
          description:
            'Rules of which one must match. All keys of a rule must match; of each list, one entry. Empty: everything.',
        },
        exclude: {
          type: 'array',
          items: filterRule,
          maxItems: 32,
          default: [],
          description: 'Rules of which none may match; wins over `include`.',
        },
        loopback: { type: 'boolean', default: true, description: 'Observe connections between loopback addresses.' },
        otlp: {
          type: 'boolean',
          default: false,
          description:
            'Report OTLP export requests (`POST /v1/traces`, gRPC calls of `TraceService/Export`, and their siblings) too. Without it telemetry on its way makes no telemetry: a Collector that forwards what we send would feed itself.',
        },
      },
    },
    http: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'HTTP/1.x and HTTP/2.',
      properties: {
        max_head_size: {
          type: ['integer', 'string'],
          format: 'byte-size',
          range: ['1KiB', '32KiB'],
          default: '32KiB',
          description:
            'The longest message head (start line and fields) that is followed. A longer one is counted and its transaction not reported.',
        },
        known_methods: {
          type: 'array',
          items: { type: 'string', minLength: 1 },
          minItems: 1,
          maxItems: 256,
          description:
            'Methods reported as they are, case-sensitive; others become `_OTHER`. Replaces the list. Default: `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` if set, else CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY, TRACE.',
        },
      },
    },
    capture: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'The kernel side and its bounds.',
      properties: {
        ring_buffer_size: {
          type: ['integer', 'string'],
          format: 'byte-size',
          range: ['1MiB', '256MiB'],
          powerOfTwo: true,
          default: '8MiB',
          description: 'Memory between kernel and receiver. When it is full, events are dropped and counted.',
        },
        max_connections: {
          type: 'integer',
          minimum: 1,
          maximum: 1048576,
          default: 65536,
          description: 'Connections followed at the same time. Those beyond are shed whole and counted.',
        },
        drain_interval: {
          type: 'string',
          format: 'go-duration',
          range: ['1ms', '1s'],
          default: '5ms',
          description: 'How often the ring is emptied. Longer costs less and reports later.',
        },
      },
    },
    overload: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'What happens when there is more traffic than the receiver can follow.',
      properties: {
        enabled: {
          type: 'boolean',
          default: true,
          description:
            'While the ring is half full or more, a growing share of the connections is left out whole, at both ends, and counted (`overload`); the share falls by itself. False: only what the full ring refuses is left out, of whichever connection.',
        },
        max_share: {
          type: 'number',
          minimum: 0,
          maximum: 1,
          default: 0.95,
          description: 'The largest share of connections that is left out.',
        },
      },
    },
    sampling: {
      type: 'object',
      additionalProperties: false,
      description:
        'Which of the traces that begin here are exported; a trace that a `traceparent` brought in is sampled by its flag. Metrics count every transaction. Not present: all.',
      properties: {
        ratio: {
          type: 'number',
          minimum: 0,
          maximum: 1,
          default: 1,
          description:
            'Share of the traces to keep, decided by the trace id and told in the `tracestate` (`ot=th`), so that others can decide alike.',
        },
        keep_errors: { type: 'boolean', default: false, description: 'Every span with the status Error is kept.' },
        keep_slower_than: {
          type: 'string',
          format: 'go-duration',
          range: ['1ms', '24h'],
          description: 'Every span that took this long or longer is kept. Not present: none for that reason.',
        },
      },
    },
    correlation: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'How transactions join traces.',
      properties: {
        sdk_duplicates: {
          type: 'string',
          enum: ['suppress', 'internal', 'keep'],
          default: 'suppress',
          description:
            'A transaction for which an SDK has made a span already: no span (`suppress`), a span of kind INTERNAL below it (`internal`), or a span as for any other (`keep`).',
        },
      },
    },
    process_context: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'What SDKs publish of their process (OTEP 4719): who it is, in the Resource of their own spans.',
      properties: {
        enabled: {
          type: 'boolean',
          default: true,
          description: 'Processes are searched for it, and the Resource of our spans and metrics says the same.',
        },
      },
    },
    thread_context: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description:
        'The spans that SDKs publish for each thread (OTEP 4947, `otel_thread_ctx_v1`): a transaction joins the one that its thread was in.',
      properties: {
        enabled: {
          type: 'boolean',
          default: false,
          description: 'Processes are searched for it, and it is read at the I/O of those that publish it.',
        },
        attributes: {
          type: 'array',
          items: { type: 'string', minLength: 1 },
          maxItems: 256,
          default: [],
          description:
            'Attributes of the published context that become attributes of the span, by their names. Default: none. A context with more than 128 bytes of attributes gives none.',
        },
        go_labels: {
          type: 'boolean',
          default: false,
          description:
            'Servers made by Go 1.24 to 1.27 are read by the pprof labels of their goroutines (`trace_id` and `span_id`, `trace id` and `span id`), also if they do not publish that they have any.',
        },
        registration: {
          type: 'object',
          additionalProperties: false,
          default: {},
          description: 'For programs in which the symbol cannot be found: they say themselves where it is, and prove it.',
          properties: {
            endpoint: {
              type: 'string',
              format: 'socket-path',
              needs: 'thread_context::enabled',
              description:
                'Absolute path of a UNIX stream socket on which programs register. Its folder must exist. Default: none, and nobody can.',
            },
            mode: {
              type: 'string',
              format: 'octal-mode',
              default: '0600',
              description: 'Octal mode of the socket: who may write to it may register, and only itself.',
            },
            group: {
              type: 'integer',
              minimum: 0,
              maximum: 4294967294,
              description: 'Numeric group of the socket. Default: the group of the receiver.',
            },
          },
        },
      },
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'HTTP inside of TLS.',
      properties: {
        enabled: {
          type: 'boolean',
          default: true,
          description:
            'TLS libraries that processes run are found and probed, so that what they encrypt is seen as well. False: connections that carry TLS are only counted.',
        },
      },
    },
    redaction: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'What is hidden in attributes.',
      properties: {
        query_keys: {
          type: 'array',
          items: { type: 'string', minLength: 1 },
          maxItems: 256,
          default: [
            'AWSAccessKeyId',
            'Signature',
            'sig',
            'X-Goog-Signature',
            'X-Amz-Signature',
            'X-Amz-Credential',
            'X-Amz-Security-Token',
          ],
          description:
            'Query parameters whose values become `REDACTED`, case-sensitive. Replaces the list of the semantic conventions; `[]` redacts none.',
        },
      },
    },
    metrics: metricsSchema,
    aggregation: aggregationSchema,
    collection_interval: collectionIntervalSchema,
    shutdown_timeout: {
      type: 'string',
      format: 'go-duration',
      range: ['100ms', '10m'],
      default: '5s',
      description: 'After SIGTERM or SIGINT: how long exporters may take to send what is queued.',
    },
    collector: collectorSchema,
  },
} as const satisfies Schema;
