import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { FileExporterConfig, OtlpGrpcExporterConfig, OtlpHttpExporterConfig } from '../../receiver/config/types.ts';
import { around, failureOf, loadFrom, loadSources, problemsOf } from './load-from.ts';

const queueDefaults = {
  enabled: true,
  numConsumers: 10,
  queueSize: 65536,
  sizer: 'items',
  blockOnOverflow: false,
  storage: undefined,
  batch: { flushTimeoutMs: 200, sizer: 'items', minSize: 512, maxSize: 4096 },
};
const retryDefaults = {
  enabled: true,
  initialIntervalMs: 5000,
  multiplier: 1.5,
  randomizationFactor: 0.5,
  maxIntervalMs: 30000,
  maxElapsedTimeMs: 300000,
};
const tlsDefaults = {
  insecure: false,
  insecureSkipVerify: false,
  includeSystemCaCertsPool: false,
  caFile: undefined,
  caPem: undefined,
  certFile: undefined,
  certPem: undefined,
  keyFile: undefined,
  keyPem: undefined,
  serverNameOverride: undefined,
  minVersion: '1.2',
};

const serverAttributes = [
  'http.request.method',
  'url.scheme',
  'error.type',
  'http.response.status_code',
  'network.protocol.version',
];
const clientAttributes = [
  'http.request.method',
  'server.address',
  'server.port',
  'error.type',
  'http.response.status_code',
  'network.protocol.version',
];
const callAttributes = ['rpc.system.name', 'error.type', 'rpc.method', 'rpc.status_code'];
const metricDefaults = {
  metrics: [
    { name: 'http.server.request.duration', attributes: serverAttributes },
    { name: 'http.client.request.duration', attributes: clientAttributes },
    { name: 'rpc.server.call.duration', attributes: callAttributes },
    { name: 'rpc.client.call.duration', attributes: [...callAttributes, 'server.address', 'server.port'] },
  ],
  aggregation: {
    temporality: 'cumulative',
    histogram: 'explicit',
    maxSize: 160,
    cardinalityLimit: 2000,
    exemplars: true,
    seriesExpiryMs: 300_000,
  },
  collectionIntervalMs: 60_000,
};

test('a receiver without settings has all defaults', () => {
  const { config, warnings } = loadFrom(around({}));
  assert.deepEqual(config, {
    usm: {
      id: 'usm',
      filter: { include: [], exclude: [], loopback: true, otlp: false },
      http: {
        maxHeadSizeBytes: 32768,
        knownMethods: ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'],
      },
      capture: { ringBufferSizeBytes: 8 * 1024 * 1024, maxConnections: 65536, drainIntervalMs: 5 },
      overload: { enabled: true, maxShare: 0.95 },
      correlation: { sdkDuplicates: 'suppress' },
      processContext: { isEnabled: true },
      threadContext: { isEnabled: false, hasGoLabels: false, attributes: [], registration: undefined },
      sampling: { ratio: undefined, keepErrors: false, keepSlowerThanMs: undefined },
      tls: { isEnabled: true },
      redaction: {
        queryKeys: [
          'AWSAccessKeyId',
          'Signature',
          'sig',
          'X-Goog-Signature',
          'X-Amz-Signature',
          'X-Amz-Credential',
          'X-Amz-Security-Token',
        ],
      },
      ...metricDefaults,
      shutdownTimeoutMs: 5000,
      collector: { socketPath: '/run/usm-receiver/collector.sock' },
    },
    exporters: [{ kind: 'debug', id: 'debug', verbosity: 'basic' }],
    pipelines: [{ id: 'traces', signal: 'traces', exporters: ['debug'] }],
    logs: { level: 'info', encoding: 'console', outputPaths: ['stderr'], errorOutputPaths: ['stderr'], initialFields: {} },
    selfMetrics: {
      level: 'normal',
      readers: [
        {
          kind: 'prometheus',
          listen: { host: 'localhost', port: 8888 },
          isDefault: true,
          withoutUnits: true,
          withoutTypeSuffix: true,
          withoutScopeInfo: true,
        },
      ],
    },
    extensions: [],
  });
  assert.deepEqual(warnings, []);
});

test('a sending queue may be kept by a file_storage extension', () => {
  const exporters = '{ otlp: { endpoint: "h:1", sending_queue: { storage: file_storage/q } } }';
  const pipelines = 'pipelines: { traces: { receivers: [usm], exporters: [otlp] } }';
  const { config } = loadFrom([
    `receivers: { usm: }\nexporters: ${exporters}\nservice: { extensions: [file_storage/q], ${pipelines} }`,
    'extensions: { file_storage/q: { directory: /q, directory_permissions: "700", compaction: { on_start: true } } }',
  ]);
  assert.equal((config.exporters[0] as OtlpGrpcExporterConfig).sendingQueue.storage, 'file_storage/q');
  assert.deepEqual(config.extensions, [
    {
      kind: 'file_storage',
      id: 'file_storage/q',
      directory: '/q',
      createDirectory: false,
      directoryPermissions: 0o700,
      timeoutMs: 1000,
      fsync: false,
      recreate: true,
      compaction: {
        onStart: true,
        onRebound: false,
        directory: '/q',
        reboundNeededBytes: 100 * 1024 * 1024,
        reboundTriggerBytes: 10 * 1024 * 1024,
        checkIntervalMs: 5000,
        cleanupOnStart: false,
      },
    },
  ]);
});

test('metrics are switched on and off one by one, and required attributes cannot be left out', () => {
  const { config } = loadFrom(
    around({
      usm: `collection_interval: 10s
metrics:
  http.server.request.duration: { enabled: false }
  http.client.request.duration: { attributes: [url.scheme] }
  http.server.active_requests: { enabled: true, attributes: [server.port, http.request.method] }
  http.client.response.body.size: { enabled: true }
  rpc.server.call.duration: { attributes: [rpc.method, server.port] }
  rpc.client.call.duration: { enabled: false }
aggregation: { temporality: delta, histogram: exponential, max_size: 80, cardinality_limit: 10, exemplars: false, series_expiry: 1h }`,
    }),
  );
  assert.deepEqual(config.usm.metrics, [
    { name: 'http.server.active_requests', attributes: ['http.request.method', 'url.scheme', 'server.port'] },
    { name: 'http.client.request.duration', attributes: ['http.request.method', 'server.address', 'server.port', 'url.scheme'] },
    { name: 'http.client.response.body.size', attributes: clientAttributes },
    { name: 'rpc.server.call.duration', attributes: ['rpc.system.name', 'rpc.method', 'server.port'] },
  ]);
  assert.equal(config.usm.collectionIntervalMs, 10_000);
  assert.deepEqual(config.usm.aggregation, {
    temporality: 'delta',
    histogram: 'exponential',
    maxSize: 80,
    cardinalityLimit: 10,
    exemplars: false,
    seriesExpiryMs: 3_600_000,
  });
});

test('pipelines of either signal share the receiver, and each names its exporters', () => {
  const { config } = loadFrom(`
    receivers: { usm: }
    exporters: { debug: , otlp_http: { metrics_endpoint: "http://m:1/in" } }
    service:
      pipelines:
        traces: { receivers: [usm], exporters: [debug] }
        metrics/all: { receivers: [usm], exporters: [otlp_http, debug] }`);
  assert.deepEqual(config.pipelines, [
    { id: 'traces', signal: 'traces', exporters: ['debug'] },
    { id: 'metrics/all', signal: 'metrics', exporters: ['otlp_http', 'debug'] },
  ]);
  const [, http] = config.exporters;
  assert.equal((http as OtlpHttpExporterConfig).tracesEndpoint, undefined);
  assert.equal((http as OtlpHttpExporterConfig).metricsEndpoint, 'http://m:1/in');
});

test('extensions that service names are started in its order, with the defaults of the Collector', () => {
  const extensions = 'extensions: { pprof: , zpages/x: { endpoint: ":0" }, health_check: , health_check/unused: }';
  const { config } = loadFrom([around({}), `${extensions}\nservice: { extensions: [zpages/x, health_check, pprof] }`]);
  assert.deepEqual(config.extensions, [
    { kind: 'zpages', id: 'zpages/x', listen: { host: undefined, port: 0 } },
    {
      kind: 'health_check',
      id: 'health_check',
      listen: { host: 'localhost', port: 13133 },
      path: '/',
      healthyBody: undefined,
      unhealthyBody: undefined,
      stallTimeoutMs: 10_000,
      exporterFailureTimeoutMs: 300_000,
    },
    { kind: 'pprof', id: 'pprof', listen: { host: 'localhost', port: 1777 } },
  ]);
});

test('readers of the metrics about ourselves', () => {
  const readersOf = (readers: string) =>
    loadFrom([around({}), `service: { telemetry: { metrics: ${readers} } }`]).config.selfMetrics;
  assert.deepEqual(readersOf('{ level: None, readers: [] }'), { level: 'none', readers: [] });
  assert.equal(readersOf('{ level: detailed }').level, 'detailed');
  assert.deepEqual(
    readersOf('{ readers: [{ pull: { exporter: { prometheus: { host: 0.0.0.0, port: 9090, without_type_suffix: false } } } }] }')
      .readers,
    [
      {
        kind: 'prometheus',
        listen: { host: '0.0.0.0', port: 9090 },
        isDefault: false,
        withoutUnits: true,
        withoutTypeSuffix: false,
        withoutScopeInfo: true,
      },
    ],
  );
  const otlp = (settings: string) =>
    readersOf(`{ readers: [{ periodic: { interval: 5000, exporter: { otlp: { ${settings} } } } }] }`).readers[0];
  assert.deepEqual(otlp('protocol: grpc, endpoint: "c:4317", insecure: true, headers: [{ name: k, value: v }]'), {
    kind: 'otlp',
    protocol: 'grpc',
    endpoint: 'http://c:4317/',
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    headers: { k: 'v' },
    compression: 'none',
    requestTimeoutMs: 10_000,
    intervalMs: 5000,
    timeoutMs: 5000,
  });
  const http = otlp('protocol: http/protobuf, endpoint: "c:4318"');
  assert.equal(http?.kind === 'otlp' ? http.endpoint : '', 'https://c:4318/v1/metrics');
});

test('the configuration is frozen all the way down', () => {
  const { config } = loadFrom(around({}));
  const isFrozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen));
  assert.ok(isFrozen(config));
});

test('every setting of the receiver is read', () => {
  const { usm } = loadFrom(`
receivers:
  usm/edge:
    filter:
      include:
        - { local_ports: [80, "8000-8999"], remote_ports: ["443"] }
        - { cidrs: [10.1.2.3/8, "fd00::1/8", 192.0.2.7, "::ffff:10.0.0.0/104"], pids: [1, 4194304] }
      exclude:
        - { executables: [/usr/bin/curl], cgroups: [system.slice/nginx.service/, /kubepods.slice] }
      loopback: false
    http: { max_head_size: 16KiB, known_methods: [GET, BREW] }
    capture: { ring_buffer_size: 1048576, max_connections: 10, drain_interval: 1.5ms }
    overload: { enabled: false, max_share: 0.5 }
    correlation: { sdk_duplicates: keep }
    process_context: { enabled: false }
    thread_context: { enabled: true, go_labels: true, attributes: [enduser.id], registration: { endpoint: /run/usm/register.sock, mode: "0660", group: 1000 } }
    sampling: { ratio: 0.1, keep_errors: true, keep_slower_than: 1.5s }
    tls: { enabled: false }
    redaction: { query_keys: [] }
    shutdown_timeout: 1m30s
    collector: { socket: /run/usm.sock }
exporters: { debug: {} }
service: { pipelines: { traces: { receivers: [usm/edge], exporters: [debug] } } }
`).config;
  const none = { localPorts: [], remotePorts: [], cidrs: [], pids: [], executables: [], cgroups: [] };
  assert.deepEqual(usm, {
    id: 'usm/edge',
    filter: {
      include: [
        {
          ...none,
          localPorts: [
            { first: 80, last: 80 },
            { first: 8000, last: 8999 },
          ],
          remotePorts: [{ first: 443, last: 443 }],
        },
        {
          ...none,
          cidrs: [
            { ipVersion: 4, bytes: [10, 0, 0, 0], prefixLength: 8 },
            { ipVersion: 6, bytes: [0xfd, ...new Array<number>(15).fill(0)], prefixLength: 8 },
            { ipVersion: 4, bytes: [192, 0, 2, 7], prefixLength: 32 },
            { ipVersion: 4, bytes: [10, 0, 0, 0], prefixLength: 8 },
          ],
          pids: [1, 4194304],
        },
      ],
      exclude: [{ ...none, executables: ['/usr/bin/curl'], cgroups: ['/system.slice/nginx.service', '/kubepods.slice'] }],
      loopback: false,
      otlp: false,
    },
    http: { maxHeadSizeBytes: 16384, knownMethods: ['GET', 'BREW'] },
    capture: { ringBufferSizeBytes: 1048576, maxConnections: 10, drainIntervalMs: 1.5 },
    overload: { enabled: false, maxShare: 0.5 },
    correlation: { sdkDuplicates: 'keep' },
    processContext: { isEnabled: false },
    threadContext: {
      isEnabled: true,
      hasGoLabels: true,
      attributes: ['enduser.id'],
      registration: { path: '/run/usm/register.sock', mode: 0o660, gid: 1000 },
    },
    sampling: { ratio: 0.1, keepErrors: true, keepSlowerThanMs: 1500 },
    tls: { isEnabled: false },
    redaction: { queryKeys: [] },
    ...metricDefaults,
    shutdownTimeoutMs: 90000,
    collector: { socketPath: '/run/usm.sock' },
  });
});

test('known methods come from the environment variable of the conventions unless the file has them', () => {
  const env = { OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: 'GET, PURGE,' };
  assert.deepEqual(loadFrom(around({}), { env }).config.usm.http.knownMethods, ['GET', 'PURGE']);
  assert.deepEqual(loadFrom(around({ usm: 'http: { known_methods: [PUT] }' }), { env }).config.usm.http.knownMethods, ['PUT']);
});

/** The exporter that these settings make, as the only one in use. */
function exporterOf(id: string, settings: string): unknown {
  const text = around({
    exporters: `${id}: ${settings}`,
    service: `pipelines: { traces: { receivers: [usm], exporters: ["${id}"] } }`,
  });
  const { exporters } = loadFrom(text).config;
  assert.equal(exporters.length, 1);
  return exporters[0];
}

test('otlp_grpc and its alias have the defaults of the Collector', () => {
  const expected = {
    kind: 'otlp_grpc',
    endpoint: 'localhost:4317',
    tls: tlsDefaults,
    headers: {},
    compression: 'gzip',
    timeoutMs: 5000,
    keepalive: undefined,
    userAgent: undefined,
    sendingQueue: queueDefaults,
    retryOnFailure: retryDefaults,
  };
  for (const id of ['otlp_grpc', 'otlp', 'otlp/backend']) {
    assert.deepEqual(exporterOf(id, '{ endpoint: "localhost:4317" }'), { ...expected, id });
  }
});

test('every setting of otlp_grpc is read', () => {
  const exporter = exporterOf(
    'otlp_grpc',
    `
    endpoint: https://backend:4317
    tls: { insecure: true, insecure_skip_verify: true, include_system_ca_certs_pool: true, ca_pem: CA, cert_file: c.pem, key_pem: KEY, server_name_override: b, min_version: "1.3" }
    headers: { authorization: Bearer x, "__proto__": y }
    compression: none
    timeout: 0
    keepalive: { time: 20s, permit_without_stream: true }
    user_agent: me/1
    sending_queue: { enabled: false, num_consumers: 2, queue_size: 9, sizer: requests, block_on_overflow: true, wait_for_result: false, batch: { flush_timeout: 1s, min_size: 5000 } }
    retry_on_failure: { enabled: false, initial_interval: 1s, multiplier: 2, randomization_factor: 0, max_interval: 2s, max_elapsed_time: 0s }`,
  ) as OtlpGrpcExporterConfig;
  assert.deepEqual(exporter, {
    kind: 'otlp_grpc',
    id: 'otlp_grpc',
    endpoint: 'https://backend:4317',
    tls: {
      insecure: true,
      insecureSkipVerify: true,
      includeSystemCaCertsPool: true,
      caFile: undefined,
      caPem: 'CA',
      certFile: 'c.pem',
      certPem: undefined,
      keyFile: undefined,
      keyPem: 'KEY',
      serverNameOverride: 'b',
      minVersion: '1.3',
    },
    headers: Object.fromEntries([
      ['authorization', 'Bearer x'],
      ['__proto__', 'y'],
    ]),
    compression: 'none',
    timeoutMs: 0,
    keepalive: { timeMs: 20000, timeoutMs: 10000, permitWithoutStream: true },
    userAgent: 'me/1',
    sendingQueue: {
      enabled: false,
      numConsumers: 2,
      queueSize: 9,
      sizer: 'requests',
      blockOnOverflow: true,
      storage: undefined,
      batch: { flushTimeoutMs: 1000, sizer: 'items', minSize: 5000, maxSize: 5000 },
    },
    retryOnFailure: {
      enabled: false,
      initialIntervalMs: 1000,
      multiplier: 2,
      randomizationFactor: 0,
      maxIntervalMs: 2000,
      maxElapsedTimeMs: 0,
    },
  });
  assert.deepEqual(Object.keys(exporter.headers), ['authorization', '__proto__']);
});

test('a queue_size alone counts batches, as in the Collector', () => {
  const queueOf = (settings: string): OtlpGrpcExporterConfig['sendingQueue'] =>
    (exporterOf('otlp', `{ endpoint: "h:1", sending_queue: ${settings} }`) as OtlpGrpcExporterConfig).sendingQueue;
  assert.deepEqual(queueOf('{ queue_size: 7 }'), { ...queueDefaults, queueSize: 7, sizer: 'requests' });
  assert.deepEqual(queueOf('{ sizer: requests }'), { ...queueDefaults, queueSize: 1000, sizer: 'requests' });
  assert.deepEqual(queueOf('{ sizer: bytes }'), { ...queueDefaults, queueSize: 64 * 1024 * 1024, sizer: 'bytes' });
  assert.deepEqual(queueOf('{ batch: { sizer: bytes, max_size: 0 } }').batch, {
    flushTimeoutMs: 200,
    sizer: 'bytes',
    minSize: 256 * 1024,
    maxSize: 0,
  });
  assert.deepEqual(queueOf('{ sizer: items, queue_size: 4000 }'), { ...queueDefaults, queueSize: 4000, sizer: 'items' });
});

test('gRPC endpoints may have each form that the Collector takes', () => {
  for (const endpoint of [
    'localhost:4317',
    'http://h:1',
    'https://h:65535/',
    '[::1]:4317',
    'dns:///h:4317',
    'dns://1.1.1.1/h:4317',
    'unix:///run/c.sock',
  ]) {
    assert.equal((exporterOf('otlp', `{ endpoint: "${endpoint}" }`) as OtlpGrpcExporterConfig).endpoint, endpoint);
  }
});

test('otlp_http posts to /v1/traces below the endpoint, or to traces_endpoint as it is', () => {
  const endpointOf = (settings: string): string | undefined =>
    (exporterOf('otlphttp', settings) as OtlpHttpExporterConfig).tracesEndpoint;
  assert.equal(endpointOf('{ endpoint: "http://h:4318" }'), 'http://h:4318/v1/traces');
  assert.equal(endpointOf('{ endpoint: "https://h/otlp/" }'), 'https://h/otlp/v1/traces');
  assert.equal(endpointOf('{ endpoint: "http://h:4318", traces_endpoint: "http://t/in?x=1" }'), 'http://t/in?x=1');
  assert.deepEqual(exporterOf('otlp_http/b', '{ endpoint: "http://h", encoding: json }'), {
    kind: 'otlp_http',
    id: 'otlp_http/b',
    tracesEndpoint: 'http://h/v1/traces',
    metricsEndpoint: 'http://h/v1/metrics',
    encoding: 'json',
    tls: tlsDefaults,
    headers: {},
    compression: 'gzip',
    timeoutMs: 30000,
    sendingQueue: queueDefaults,
    retryOnFailure: retryDefaults,
  });
});

test('file and debug have the defaults of the Collector', () => {
  assert.deepEqual(exporterOf('debug/2', '{ verbosity: detailed }'), { kind: 'debug', id: 'debug/2', verbosity: 'detailed' });
  const file: FileExporterConfig = {
    kind: 'file',
    id: 'file',
    path: 'spans.json',
    format: 'json',
    append: false,
    rotation: undefined,
    flushIntervalMs: 1000,
    createDirectory: false,
  };
  assert.deepEqual(exporterOf('file', '{ path: spans.json }'), file);
  assert.deepEqual(exporterOf('file', '{ path: spans.json, rotation: {}, create_directory: true, flush_interval: 200ms }'), {
    ...file,
    rotation: { maxMegabytes: 100, maxDays: 0, maxBackups: 100, localtime: false },
    createDirectory: true,
    flushIntervalMs: 200,
  });
});

test('what no pipeline uses is left out', () => {
  const { config } = loadFrom(
    around({
      exporters: 'debug/unused:\notlp: { endpoint: "h:1" }\nfile: { path: f }',
      service:
        'pipelines:\n  traces: { receivers: [usm], exporters: [otlp, debug] }\n  traces/2: { receivers: [usm], processors: [], exporters: [debug] }',
    }),
  );
  assert.deepEqual(
    config.exporters.map(({ id }) => id),
    ['otlp', 'debug'],
  );
  assert.deepEqual(config.pipelines, [
    { id: 'traces', signal: 'traces', exporters: ['otlp', 'debug'] },
    { id: 'traces/2', signal: 'traces', exporters: ['debug'] },
  ]);
});

test('every setting of the log is read', () => {
  const { logs } = loadFrom(
    around({
      service: `
pipelines: { traces: { receivers: [usm], exporters: [debug] } }
telemetry:
  logs:
    level: DEBUG
    encoding: json
    output_paths: [stdout, /var/log/usm.log]
    error_output_paths: [stdout]
    initial_fields: { host: a, nested: { n: [1, null] } }
    disable_caller: false
    disable_stacktrace: false
    sampling: { enabled: false }
  metrics: { level: none }
  traces: { level: none }`,
    }),
  ).config;
  assert.deepEqual(logs, {
    level: 'debug',
    encoding: 'json',
    outputPaths: ['stdout', '/var/log/usm.log'],
    errorOutputPaths: ['stdout'],
    initialFields: { host: 'a', nested: { n: [1, null] } },
  });
});

test('the example at the root is good and exports to the endpoint of the environment', () => {
  const text = readFileSync(new URL('../../collector-config.yaml', import.meta.url), 'utf8');
  const endpointOf = (env: Readonly<Record<string, string>>): unknown =>
    loadFrom(text, { env }).config.exporters.flatMap((exporter) => (exporter.kind === 'otlp_grpc' ? exporter.endpoint : []));
  assert.deepEqual(endpointOf({}), ['localhost:4317']);
  assert.deepEqual(endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://backend:4317' }), ['https://backend:4317']);
});

test('sources of every scheme are merged from left to right, and --set over them', () => {
  const { config } = loadSources(['base.yaml', 'file:over.yaml', 'env:MORE', 'yaml:exporters::debug::verbosity: detailed'], {
    files: {
      'base.yaml': around({ usm: 'shutdown_timeout: 1s\nhttp: { known_methods: [GET, PUT] }' }),
      'over.yaml': 'receivers::usm::http: { known_methods: [POST] }',
    },
    env: { MORE: 'receivers: { usm: { capture: { max_connections: 5 } } }' },
    sets: ['receivers.usm.filter.loopback=false', 'receivers::usm::correlation={sdk_duplicates: keep}'],
  });
  assert.equal(config.usm.shutdownTimeoutMs, 1000);
  assert.deepEqual(config.usm.http.knownMethods, ['POST']);
  assert.equal(config.usm.capture.maxConnections, 5);
  assert.equal(config.usm.filter.loopback, false);
  assert.equal(config.usm.correlation.sdkDuplicates, 'keep');
  assert.deepEqual(config.exporters, [{ kind: 'debug', id: 'debug', verbosity: 'detailed' }]);
});

test('null takes away what an earlier source said', () => {
  const base = around({ usm: 'http: { max_head_size: 1KiB }' });
  assert.equal(loadFrom([base, 'receivers: { usm: { http: } }']).config.usm.http.maxHeadSizeBytes, 32768);
});

test('a source that cannot be used is named with the reason', () => {
  const messageOf = (sources: readonly string[], sets: readonly string[] = []): string =>
    failureOf(() =>
      loadSources(sources, {
        sets,
        files: { 'a.yaml': around({}), 'bad.yaml': 'a: 1\nb: 2\na: 3\n', 'list.yaml': '- 1', 'tag.yaml': 'a: !x 1' },
      }),
    ).message;
  const table: readonly (readonly [readonly string[], readonly string[], string])[] = [
    [[], [], 'at least one config flag must be provided; give a file with --config=FILE'],
    [['none.yaml'], [], 'cannot read the file none.yaml: no such file or directory; check the path and its permissions'],
    [
      ['bad.yaml'],
      [],
      'cannot parse the configuration bad.yaml: line 3: Map keys must be unique; correct the source that the message names',
    ],
    [
      ['tag.yaml'],
      [],
      'cannot parse the configuration tag.yaml: line 1: Unresolved tag: !x; correct the source that the message names',
    ],
    [
      ['list.yaml'],
      [],
      'cannot use the configuration list.yaml: it is not a map of receivers, exporters and service; correct the source that the message names',
    ],
    [
      ['https://example.com/c.yaml'],
      [],
      'cannot use the configuration https://example.com/c.yaml: usm-receiver reads no configuration over https; download it and give the file',
    ],
    [['s3:bucket'], [], 'scheme "s3" is not supported for uri "s3:bucket"; supported are [env file yaml]'],
    [
      ['fil:a.yaml'],
      [],
      'scheme "fil" is not supported for uri "fil:a.yaml" (did you mean "file"?); supported are [env file yaml]',
    ],
    [['a.yaml'], ['a.b'], 'cannot use the flag --set=a.b: missing equal sign; write --set=path.to.key=value'],
    [['a.yaml'], ['a..b=1'], 'cannot use the flag --set=a..b: the path has an empty part; write --set=path.to.key=value'],
    [
      ['a.yaml'],
      ['a.b={secret'],
      'cannot use the flag --set=a.b: the value is not YAML: line 1: Flow map must end with a }; write --set=path.to.key=value',
    ],
    [['env:1X'], [], 'environment variable "1X" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'],
    [new Array<string>(101).fill('a.yaml'), [], 'at most 100 --config and --set flags can be given, found 101'],
    [['env:UNSET'], [], 'invalid configuration: empty configuration file'],
    [['yaml:'], [], 'invalid configuration: empty configuration file'],
  ];
  for (const [sources, sets, expected] of table) assert.equal(messageOf(sources, sets), expected);
});

test('double colons in keys are paths, but in lists', () => {
  const { config } = loadFrom(
    around({ usm: 'filter::loopback: false\nfilter: { otlp: true }\n"metrics::http.client.request.duration::enabled": false' }),
  );
  assert.deepEqual([config.usm.filter.loopback, config.usm.filter.otlp], [false, true]);
  assert.ok(!config.usm.metrics.some(({ name }) => name === 'http.client.request.duration'));
  assert.deepEqual(problemsOf(around({ usm: 'filter: { include::x: 1, exclude: [{ pids::x: 1 }] }' })), [
    `'receivers::usm::filter::exclude::0' has invalid keys: "pids::x"; valid keys are [cgroups cidrs executables local_ports pids remote_ports]`,
    `'receivers::usm::filter::include' expected type 'list', got unconvertible type 'map'`,
  ]);
});
