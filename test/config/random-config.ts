// Random good configurations, from a seed: any subset of the settings, each with one of the values listed here.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonMap = Record<string, Json>;
export type Random = () => number;

/** mulberry32: numbers in [0, 1). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

/** A list: one of these values. A function: what it makes. Otherwise a map of settings, of which any may be left out. */
type Choice = readonly Json[] | ((random: Random) => Json) | { readonly [key: string]: Choice };

function choose(random: Random, choice: Choice): Json {
  if (typeof choice === 'function') return choice(random);
  if (Array.isArray(choice)) return structuredClone(pick(random, choice as readonly Json[]));
  const result: JsonMap = {};
  for (const [key, inner] of Object.entries(choice as Readonly<Record<string, Choice>>))
    if (random() < 0.5) result[key] = choose(random, inner);
  return result;
}

const booleans = [true, false];

const ruleChoice: Choice = {
  local_ports: [[80], ['1-1023', 8080], ['65535']],
  remote_ports: [[443, '8000-8999']],
  cidrs: [['10.0.0.0/8'], ['::1', 'fd00::/8', '192.0.2.1']],
  pids: [[1], [4194304, 7]],
  executables: [['/usr/sbin/nginx'], ['/a b/c', '/d']],
  cgroups: [['/system.slice'], ['kubepods.slice/x/']],
};

function makeRules(random: Random): Json {
  return Array.from({ length: Math.floor(random() * 3) }, () => {
    const rule = choose(random, ruleChoice) as JsonMap;
    return Object.keys(rule).length === 0 ? { pids: [2] } : rule;
  });
}

const usmChoice: Choice = {
  filter: { include: makeRules, exclude: makeRules, loopback: booleans, otlp: booleans },
  http: { max_head_size: [1024, '1KiB', '32KiB', 20000], known_methods: [['GET'], ['GET', 'BREW']] },
  capture: {
    ring_buffer_size: ['1MiB', '256MiB', 1048576],
    max_connections: [1, 1048576],
    drain_interval: ['1ms', '1s', '2500us'],
  },
  correlation: { sdk_duplicates: ['suppress', 'internal', 'keep'] },
  redaction: { query_keys: [[], ['sig', 'token']] },
  metrics: {
    'http.server.request.duration': { enabled: booleans, attributes: [[], ['server.address', 'error.type']] },
    'http.client.open_connections': { enabled: booleans, attributes: [['network.peer.address']] },
    'rpc.client.call.duration': { enabled: booleans, attributes: [['rpc.method']] },
  },
  aggregation: {
    temporality: ['cumulative', 'delta'],
    histogram: ['explicit', 'exponential'],
    max_size: [2, 160],
    cardinality_limit: [2, 100000],
    exemplars: booleans,
    series_expiry: ['1s', '168h'],
  },
  sampling: { ratio: [0, 0.25, 1], keep_errors: booleans, keep_slower_than: ['1ms', '24h'] },
  thread_context: {
    enabled: [true],
    attributes: [[], ['a.b']],
    go_labels: booleans,
    registration: { mode: ['0600', '777'], group: [0, 4294967294] },
  },
  collector: {
    mode: ['attach', 'supervise'],
    socket: ['/run/usm.sock', '/é/a b'],
    max_recv_msg_size_mib: [4, 1024],
    executable: ['/opt/usm/bin/usm-receiver'],
    startup_timeout: ['1s', '10m'],
    shutdown_timeout: ['1s', '15m'],
    memory_limit_mib: [128, 1048576],
    restart: { initial_interval: ['100ms', '1s'], multiplier: [1, 1.5, 10], max_interval: ['1s', '24h'] },
  },
  collection_interval: ['100ms', '60s', '24h'],
  shutdown_timeout: ['100ms', '10m', '1m30s'],
};

const tlsChoice: Choice = {
  insecure: booleans,
  insecure_skip_verify: booleans,
  include_system_ca_certs_pool: booleans,
  ca_file: ['', 'ca.pem'],
  server_name_override: ['host'],
  min_version: ['1.0', '1.1', '1.2', '1.3'],
};

const deliveryChoice = {
  tls: tlsChoice,
  headers: [{}, { authorization: 'Bearer x', 'x-y': '' }],
  compression: ['gzip', 'none'],
  timeout: ['0', '5s', '0.5m'],
  sending_queue: {
    enabled: booleans,
    num_consumers: [1, 1000],
    queue_size: [2048, 10000000],
    sizer: ['items', 'requests', 'bytes'],
    block_on_overflow: booleans,
    wait_for_result: [false],
    batch: { flush_timeout: ['1ms', '1h'], min_size: [0, 2048], max_size: [0, 2048, 1000000], sizer: ['items'] },
  },
  retry_on_failure: {
    enabled: booleans,
    initial_interval: ['0s', '1s'],
    multiplier: [1, 1.5],
    randomization_factor: [0, 0.25, 1],
    max_interval: ['1s', '30s'],
    max_elapsed_time: ['0', '30s', '1h'],
  },
} as const satisfies Choice;

const exporterChoices: Readonly<Record<string, Choice>> = {
  otlp_grpc: {
    ...deliveryChoice,
    keepalive: { time: ['1s'], timeout: ['1ms'], permit_without_stream: booleans },
    user_agent: ['x'],
  },
  otlp_http: { ...deliveryChoice, encoding: ['proto', 'json'] },
  debug: { verbosity: ['basic', 'normal', 'detailed'] },
  file: {
    format: ['json'],
    rotation: { max_megabytes: [1, 100], max_days: [0, 7], max_backups: [0, 3], localtime: booleans },
    flush_interval: ['1ms', '1s'],
    create_directory: booleans,
  },
};

const requiredSettings: Readonly<Record<string, JsonMap>> = {
  otlp_grpc: { endpoint: 'localhost:4317' },
  otlp_http: { endpoint: 'http://localhost:4318' },
  debug: {},
  file: { path: 'spans.json' },
};

const extensionChoices: Readonly<Record<string, Choice>> = {
  file_storage: {
    directory: ['/var/lib/usm'],
    create_directory: booleans,
    directory_permissions: ['0700', '755'],
    timeout: ['0', '1s'],
    fsync: booleans,
    recreate: booleans,
    compaction: {
      on_start: booleans,
      on_rebound: booleans,
      directory: ['/tmp'],
      rebound_needed_threshold_mib: [100, 1000],
      rebound_trigger_threshold_mib: [1, 99],
      check_interval: ['100ms', '5s'],
      cleanup_on_start: booleans,
    },
  },
  health_check: {
    endpoint: ['localhost:13133', '0.0.0.0:1', ':0', '[::1]:80'],
    path: ['/', '/health'],
    response_body: { healthy: ['', 'ok'], unhealthy: ['no'] },
    stall_timeout: ['1s', '1m'],
    exporter_failure_timeout: ['0', '5m'],
  },
  pprof: { endpoint: ['localhost:1777'] },
  zpages: { endpoint: ['localhost:55679'] },
};

const telemetryChoice: Choice = {
  logs: {
    level: ['debug', 'INFO', 'warn', 'error'],
    encoding: ['console', 'json'],
    output_paths: [['stderr'], ['stdout', 'a.log']],
    error_output_paths: [['stderr']],
    initial_fields: [{}, { a: { b: [1] } }],
    disable_caller: booleans,
    disable_stacktrace: booleans,
    sampling: { enabled: [false] },
  },
  metrics: {
    level: ['none', 'basic', 'Normal', 'detailed'],
    readers: [
      [{ pull: { exporter: { prometheus: { host: 'localhost', port: 8888, without_units: true } } } }],
      [
        { periodic: { exporter: { otlp: { protocol: 'grpc', endpoint: 'http://localhost:4317' } } } },
        {
          periodic: {
            interval: 1000,
            timeout: 2000,
            exporter: { otlp: { protocol: 'http/json', endpoint: 'h:1', insecure: true, headers: [{ name: 'a', value: 'b' }] } },
          },
        },
      ],
    ],
  },
  traces: { level: ['none'] },
};

export const exporterTypeNames = Object.keys(exporterChoices);

export function randomUsm(random: Random): JsonMap {
  return choose(random, usmChoice) as JsonMap;
}

export function randomExporter(random: Random, type: string): JsonMap {
  return { ...(choose(random, exporterChoices[type] ?? {}) as JsonMap), ...requiredSettings[type] };
}

export function randomConfig(random: Random): JsonMap {
  const receiver = pick(random, ['usm', 'usm/a', 'usm/b.c']);
  const exporters: JsonMap = {};
  const aliases: Readonly<Record<string, string>> = { otlp_grpc: 'otlp', otlp_http: 'otlphttp' };
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const type = pick(random, exporterTypeNames);
    const written = random() < 0.5 ? type : (aliases[type] ?? type);
    exporters[random() < 0.5 ? written : `${written}/${count}`] = randomExporter(random, type);
  }
  const ids = Object.keys(exporters);
  const pipelines: JsonMap = { traces: { receivers: [receiver], exporters: ids } };
  if (random() < 0.5) pipelines['traces/second'] = { receivers: [receiver], processors: [], exporters: [pick(random, ids)] };
  const service: JsonMap = { pipelines };
  if (random() < 0.5) service['telemetry'] = choose(random, telemetryChoice);
  const config: JsonMap = { receivers: { [receiver]: randomUsm(random) }, exporters, service };
  if (random() < 0.5) {
    const extensions: JsonMap = {};
    for (const [type, choice] of Object.entries(extensionChoices)) extensions[`${type}/x`] = choose(random, choice);
    config['extensions'] = extensions;
    service['extensions'] = Object.keys(extensions).slice(Math.floor(random() * 3));
  }
  return config;
}
