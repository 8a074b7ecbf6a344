// What a user reads when the configuration is wrong: input → exact lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { around, failureOf, loadFrom, problemsOf } from './load-from.ts';

type Table = readonly (readonly [written: string, ...expected: string[]])[];

function checkUsm(table: Table): void {
  for (const [usm, ...expected] of table) assert.deepEqual(problemsOf(around({ usm })), expected, usm);
}

test('unknown keys are named with what is allowed and a near match', () => {
  const top =
    'valid keys are [aggregation capture collection_interval collector correlation filter http metrics overload process_context redaction sampling shutdown_timeout thread_context tls]';
  checkUsm([
    ['bad: 1', `'receivers::usm' has invalid keys: bad; ${top}`],
    ['filters: {}', `'receivers::usm' has invalid keys: filters (did you mean "filter"?); ${top}`],
    [
      'shutdownTimeout: 1s\nzz: null',
      `'receivers::usm' has invalid keys: shutdownTimeout (did you mean "shutdown_timeout"?), zz; ${top}`,
    ],
    ['"we ird\\n": 1', `'receivers::usm' has invalid keys: "we ird\\n"; ${top}`],
    [
      'filter: { include: [{ ports: [80] }] }',
      `'receivers::usm::filter::include::0' has invalid keys: ports; valid keys are [cgroups cidrs executables local_ports pids remote_ports]`,
    ],
    [
      'http: { max-head-size: 1KiB }',
      `'receivers::usm::http' has invalid keys: max-head-size (did you mean "max_head_size"?); valid keys are [known_methods max_head_size]`,
    ],
  ]);
});

test('values of the wrong type are named with both types', () => {
  checkUsm([
    ['filter: 5', `'receivers::usm::filter' expected type 'map', got unconvertible type 'int', value: 5`],
    ['filter: [1]', `'receivers::usm::filter' expected type 'map', got unconvertible type 'list'`],
    ['- 1', `'receivers::usm' expected type 'map', got unconvertible type 'list'`],
    ['filter: { include: {} }', `'receivers::usm::filter::include' expected type 'list', got unconvertible type 'map'`],
    [
      'filter: { loopback: "yes" }',
      `'receivers::usm::filter::loopback' expected type 'bool', got unconvertible type 'string', value: "yes"`,
    ],
    [
      'capture: { max_connections: "10" }',
      `'receivers::usm::capture::max_connections' expected type 'int', got unconvertible type 'string', value: "10"`,
    ],
    [
      'capture: { max_connections: 1.5 }',
      `'receivers::usm::capture::max_connections' expected type 'int', got unconvertible type 'float64', value: 1.5`,
    ],
    [
      'http: { known_methods: [GET, 5] }',
      `'receivers::usm::http::known_methods::1' expected type 'string', got unconvertible type 'int', value: 5; write it in quotes: "5"`,
    ],
    [
      'http: { known_methods: [~] }',
      `'receivers::usm::http::known_methods::0' expected type 'string', got unconvertible type 'null'`,
    ],
    [
      'http: { max_head_size: [] }',
      `'receivers::usm::http::max_head_size' expected type 'int or string', got unconvertible type 'list'`,
    ],
    [
      'correlation: { sdk_duplicates: true }',
      `'receivers::usm::correlation::sdk_duplicates' expected type 'string', got unconvertible type 'bool', value: true; write it in quotes: "true"`,
    ],
  ]);
});

test('values outside of what is allowed are named with what is', () => {
  const port = 'expected a port from 1 to 65535 or a range such as "8000-8999"';
  checkUsm([
    [
      'correlation: { sdk_duplicates: drop }',
      'receivers::usm::correlation::sdk_duplicates: must be one of [suppress internal keep], found "drop"',
    ],
    [
      'correlation: { sdk_duplicates: supress }',
      'receivers::usm::correlation::sdk_duplicates: must be one of [suppress internal keep], found "supress" (did you mean "suppress"?)',
    ],
    ['capture: { max_connections: 0 }', 'receivers::usm::capture::max_connections: must be between 1 and 1048576, found 0'],
    [
      'capture: { ring_buffer_size: 3MiB }',
      'receivers::usm::capture::ring_buffer_size: must be a power of two between 1MiB and 256MiB, found 3MiB',
    ],
    [
      'capture: { ring_buffer_size: 512MiB }',
      'receivers::usm::capture::ring_buffer_size: must be a power of two between 1MiB and 256MiB, found 512MiB',
    ],
    ['capture: { drain_interval: 2s }', 'receivers::usm::capture::drain_interval: must be between 1ms and 1s, found 2s'],
    ['http: { max_head_size: 65536 }', 'receivers::usm::http::max_head_size: must be between 1KiB and 32KiB, found 65536'],
    [
      'http: { max_head_size: 32KB }',
      'receivers::usm::http::max_head_size: expected a size in bytes such as 32768, 32KiB or 8MiB, found "32KB"',
    ],
    [
      'http: { max_head_size: -1 }',
      'receivers::usm::http::max_head_size: expected a size in bytes such as 32768, 32KiB or 8MiB, found -1',
    ],
    [
      'http: { known_methods: [] }',
      'receivers::usm::http::known_methods: must not be empty; leave it out to set no condition or to use the default',
    ],
    ['http: { known_methods: [""] }', 'receivers::usm::http::known_methods::0: must not be empty'],
    [
      'thread_context: { registration: { endpoint: /run/usm/register.sock } }',
      'receivers::usm::thread_context::registration::endpoint: needs thread_context::enabled: true',
    ],
    [
      'thread_context: { enabled: true, registration: { endpoint: register.sock } }',
      'receivers::usm::thread_context::registration::endpoint: expected an absolute path of at most 107 bytes such as /run/usm-receiver/usm.sock, found "register.sock"',
    ],
    [
      'thread_context: { enabled: true, registration: { endpoint: /run/a.sock, mode: rw } }',
      'receivers::usm::thread_context::registration::mode: expected an octal mode such as "0660", found "rw"',
    ],
    [
      'thread_context: { enabled: true, registration: { endpoint: /run/a.sock, group: -1 } }',
      'receivers::usm::thread_context::registration::group: must be between 0 and 4294967294, found -1',
    ],
    [
      'sampling: { keep_slower_than: 2d }',
      'receivers::usm::sampling::keep_slower_than: expected a duration such as 200ms, 5s or 1m30s, found "2d"',
    ],
    [
      'collector: { restart: { initial_interval: 5m } }',
      'receivers::usm::collector::restart::max_interval: must not be less than collector::restart::initial_interval (5m), found 1m',
    ],
    [
      'collector: { socket: collector.sock }',
      'receivers::usm::collector::socket: expected an absolute path of at most 107 bytes such as /run/usm-receiver/usm.sock, found "collector.sock"',
    ],
    ['shutdown_timeout: 1h', 'receivers::usm::shutdown_timeout: must be between 100ms and 10m, found 1h'],
    [
      'filter: { include: [{}] }',
      'receivers::usm::filter::include::0: must have at least one of [cgroups cidrs executables local_ports pids remote_ports]',
    ],
    [
      'filter: { include: [{ pids: ~ }] }',
      'receivers::usm::filter::include::0: must have at least one of [cgroups cidrs executables local_ports pids remote_ports]',
    ],
    [
      'filter: { include: [{ pids: [] }] }',
      'receivers::usm::filter::include::0::pids: must not be empty; leave it out to set no condition or to use the default',
    ],
    [
      'filter: { include: [{ pids: [0] }] }',
      'receivers::usm::filter::include::0::pids::0: must be between 1 and 4194304, found 0',
    ],
    ['filter: { exclude: [{ local_ports: [80, 0] }] }', `receivers::usm::filter::exclude::0::local_ports::1: ${port}, found 0`],
    [
      'filter: { exclude: [{ remote_ports: ["9-8"] }] }',
      `receivers::usm::filter::exclude::0::remote_ports::0: ${port}, found "9-8"`,
    ],
    [
      'filter: { exclude: [{ cidrs: [10.0.0.0/33] }] }',
      'receivers::usm::filter::exclude::0::cidrs::0: expected a prefix such as 10.0.0.0/8 or fd00::/8, or an address, found "10.0.0.0/33"',
    ],
    [
      'filter: { exclude: [{ executables: [nginx] }] }',
      'receivers::usm::filter::exclude::0::executables::0: expected an absolute path such as /usr/sbin/nginx, found "nginx"',
    ],
    [
      'filter: { exclude: [{ cgroups: [/sys/fs/cgroup/a] }] }',
      'receivers::usm::filter::exclude::0::cgroups::0: expected a path below the cgroup root such as /system.slice/nginx.service, found "/sys/fs/cgroup/a"',
    ],
  ]);
  const rules = `filter: { include: [${new Array<string>(65).fill('{ pids: [1] }').join()}] }`;
  assert.deepEqual(problemsOf(around({ usm: rules })), [
    'receivers::usm::filter::include: must have at most 32 entries, found 65',
  ]);
});

test('durations need a unit', () => {
  const form = 'receivers::usm::shutdown_timeout: expected a duration such as 200ms, 5s or 1m30s, found';
  checkUsm([
    ['shutdown_timeout: 5', `${form} 5 without a unit (did you mean "5s" or "5ms"?)`],
    ['shutdown_timeout: "5"', `${form} "5"`],
    ['shutdown_timeout: 5 s', `${form} "5 s"`],
    ['shutdown_timeout: -5s', `${form} "-5s"`],
    ['shutdown_timeout: [5s]', `${form} a list`],
  ]);
});

function checkExporters(table: Table): void {
  for (const [exporters, ...expected] of table) assert.deepEqual(problemsOf(around({ exporters })), expected, exporters);
}

test('exporters refuse what the Collector has and we do not, with the reason', () => {
  checkExporters([
    [
      'otlp: { endpoint: "h:1", compression: zstd }',
      'exporters::otlp::compression: "zstd" is not supported: the gRPC library sends gzip or none',
    ],
    [
      'otlp: { endpoint: "h:1", compression: gzp }',
      'exporters::otlp::compression: must be one of [gzip none], found "gzp" (did you mean "gzip"?)',
    ],
    [
      'otlp: { endpoint: "h:1", balancer_name: x }',
      'exporters::otlp::balancer_name: is not supported: one connection is used; balance with a proxy or a Collector',
    ],
    [
      'otlp/b: { endpoint: "h:1", tls: { reload_interval: 1h } }',
      'exporters::otlp/b::tls::reload_interval: is not supported: certificates are read once, at start; restart to use new ones',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { blocking: true, wait_for_result: true } }',
      'exporters::otlp::sending_queue::blocking: is not supported: it is called block_on_overflow',
      'exporters::otlp::sending_queue::wait_for_result: true is not supported: nobody waits: traffic is observed, not received',
    ],
    [
      'otlphttp: { endpoint: "http://h", logs_endpoint: "http://m" }',
      'exporters::otlphttp::logs_endpoint: is not supported: usm-receiver makes no logs',
    ],
    ['debug/x: { sampling_initial: 5 }', 'exporters::debug/x::sampling_initial: is not supported: every transaction is printed'],
    ['file: { path: f, format: proto }', 'exporters::file::format: "proto" is not supported: files are written as OTLP JSON'],
  ]);
});

test('rules between the keys of an exporter', () => {
  checkExporters([
    ['otlp:', 'exporters::otlp: requires a non-empty "endpoint"'],
    ['otlp: { endpoint: "" }', 'exporters::otlp: requires a non-empty "endpoint"'],
    [
      'otlp: { endpoint: 4317 }',
      `'exporters::otlp::endpoint' expected type 'string', got unconvertible type 'int', value: 4317; write it in quotes: "4317"`,
    ],
    [
      'otlp: { endpoint: localhost }',
      'exporters::otlp::endpoint: expected host:port, http(s)://host:port, dns:///host:port or unix:///path, found "localhost"',
    ],
    ['otlp: { endpoint: "h:99999" }', 'exporters::otlp::endpoint: invalid port "99999": must be a number from 1 to 65535'],
    ['otlp: { endpoint: "h:otlp" }', 'exporters::otlp::endpoint: invalid port "otlp": must be a number from 1 to 65535'],
    [
      'otlp: { endpoint: "http://h:1/v1/traces" }',
      'exporters::otlp::endpoint: invalid port "1/v1/traces": must be a number from 1 to 65535',
    ],
    ['otlphttp: {}', 'exporters::otlphttp: at least one endpoint must be specified'],
    [
      'otlphttp: { endpoint: "localhost:4318" }',
      'exporters::otlphttp::endpoint: expected a URL such as http://localhost:4318, found "localhost:4318"',
    ],
    [
      'otlphttp: { traces_endpoint: "ftp://h" }',
      'exporters::otlphttp::traces_endpoint: expected a URL such as http://localhost:4318, found "ftp://h"',
    ],
    [
      'otlphttp: { endpoint: "http://u:p@h" }',
      'exporters::otlphttp::endpoint: must not hold a user name or password; set headers::authorization instead',
    ],
    ['file: {}', 'exporters::file: requires a non-empty "path"'],
    [
      'file: { path: f, append: true, rotation: {} }',
      'exporters::file: append and rotation enabled at the same time is not supported',
    ],
    ['file: { path: f, flush_interval: 0 }', 'exporters::file: flush_interval must be larger than zero'],
    [
      'otlp: { endpoint: "h:1", tls: { ca_file: a, ca_pem: b } }',
      'exporters::otlp::tls: provide either a CA file or the PEM-encoded string, but not both',
    ],
    [
      'otlp: { endpoint: "h:1", tls: { cert_file: a, cert_pem: b, key_file: c, key_pem: d } }',
      'exporters::otlp::tls: provide either certificate file or PEM, but not both',
      'exporters::otlp::tls: provide either key file or PEM, but not both',
    ],
    [
      'otlp: { endpoint: "h:1", tls: { cert_file: a } }',
      'exporters::otlp::tls: TLS configuration must include both certificate and key: there is a certificate but no key_file or key_pem',
    ],
    [
      'otlp: { endpoint: "h:1", tls: { key_pem: a } }',
      'exporters::otlp::tls: TLS configuration must include both certificate and key: there is a key but no cert_file or cert_pem',
    ],
    [
      'otlp: { endpoint: "h:1", tls: { min_version: 1.2 } }',
      `'exporters::otlp::tls::min_version' expected type 'string', got unconvertible type 'float64', value: 1.2; write it in quotes: "1.2"`,
    ],
    [
      'otlp: { endpoint: "h:1", keepalive: { time: 1ms, timeout: 0 } }',
      'exporters::otlp::keepalive::time: must be at least 1s, found 1ms',
      'exporters::otlp::keepalive::timeout: must be at least 1ms, found 0',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { num_consumers: 0 } }',
      'exporters::otlp::sending_queue::num_consumers: must be between 1 and 1000, found 0',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { queue_size: 10000001 } }',
      'exporters::otlp::sending_queue::queue_size: must be between 1 and 10000000, found 10000001',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { enabled: false, storage: file_storage } }',
      'exporters::otlp::sending_queue: `storage` keeps a queue, and `enabled: false` asks for none; remove one of them',
      'exporters::otlp::sending_queue::storage: references extension "file_storage" which is not configured',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { storage: redis } }',
      'exporters::otlp::sending_queue::storage: "redis" is no storage extension; name a file_storage',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { sizer: items, queue_size: 9 } }',
      'exporters::otlp::sending_queue: `min_size` (512) must be less than or equal to `queue_size` (9)',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { batch: { max_size: 9 } } }',
      'exporters::otlp::sending_queue::batch: `max_size` (9) must be greater or equal to `min_size` (512)',
    ],
    [
      'otlp: { endpoint: "h:1", sending_queue: { batch: { flush_timeout: 0 } } }',
      'exporters::otlp::sending_queue::batch: `flush_timeout` must be between 1ms and 1h, found 0',
    ],
    [
      'otlp: { endpoint: "h:1", retry_on_failure: { max_elapsed_time: 1s } }',
      `exporters::otlp::retry_on_failure: 'max_elapsed_time' must not be less than 'initial_interval'`,
      `exporters::otlp::retry_on_failure: 'max_elapsed_time' must not be less than 'max_interval'`,
    ],
    [
      'otlp: { endpoint: "h:1", retry_on_failure: { randomization_factor: 1.1 } }',
      'exporters::otlp::retry_on_failure::randomization_factor: must be between 0 and 1, found 1.1',
    ],
  ]);
});

test('secrets are not quoted', () => {
  checkExporters([
    [
      'otlp: { endpoint: "h:1", headers: { authorization: 12345 } }',
      `'exporters::otlp::headers::authorization' expected type 'string', got unconvertible type 'int'`,
    ],
    [
      'otlp: { endpoint: "h:1", headers: secret }',
      `'exporters::otlp::headers' expected type 'map', got unconvertible type 'string'`,
    ],
    [
      'otlp: { endpoint: "h:1", headers: { authorization: "sec\\nret" } }',
      'exporters::otlp::headers::authorization: the value has characters that a header cannot carry',
    ],
    ['otlp: { endpoint: "h:1", headers: { "x y": secret } }', 'exporters::otlp::headers: "x y" is not a valid header name'],
    [
      'otlp: { endpoint: "h:1", tls: { key_pem: 12345 } }',
      `'exporters::otlp::tls::key_pem' expected type 'string', got unconvertible type 'int'`,
    ],
  ]);
});

test('components that do not exist are refused by name', () => {
  const whole = (parts: string): string =>
    `${parts}\nservice: { pipelines: { traces: { receivers: [usm], exporters: [debug] } } }`;
  const table: Table = [
    [
      'receivers: { usm: , usn: }\nexporters: { debug: }',
      'receivers: unknown type: "usn" for id: "usn" (valid values: [usm]) (did you mean "usm"?)',
    ],
    [
      'receivers: { usm: , otlp/x: }\nexporters: { debug: }',
      'receivers: unknown type: "otlp" for id: "otlp/x" (valid values: [usm])',
    ],
    [
      'receivers: { usm: }\nexporters: { debug: , "otlpgrpc / a": }',
      'exporters: unknown type: "otlpgrpc" for id: "otlpgrpc/a" (valid values: [debug file otlp_grpc otlp_http]) (did you mean "otlp_grpc"?)',
    ],
    [
      'receivers: { usm: }\nexporters: { debug: }\nprocessors: { batch: }',
      `processors: unknown type: "batch" for id: "batch" (valid values: []); usm-receiver has no processors yet; batches are set by the exporter's sending_queue::batch`,
    ],
    [
      'receivers: { usm: }\nexporters: { debug: }\nconnectors: { spanmetrics: }',
      'connectors: unknown type: "spanmetrics" for id: "spanmetrics" (valid values: []); usm-receiver has no connectors; send to a Collector that has',
    ],
    [
      'receivers: { usm: }\nexporters: { debug: }\nextensions: { healthcheck/a: }',
      'extensions: unknown type: "healthcheck" for id: "healthcheck/a" (valid values: [file_storage health_check pprof zpages]) (did you mean "health_check"?)',
    ],
    ['receivers: { usm: , usm/: }\nexporters: { debug: }', 'receivers: in "usm/" id: the part after / should not be empty'],
    ['receivers: { usm: , /x: }\nexporters: { debug: }', 'receivers: in "/x" id: the part before / should not be empty'],
    ['receivers: { usm: , " ": }\nexporters: { debug: }', 'receivers: id must not be empty'],
    ['receivers: { usm: , u-m: }\nexporters: { debug: }', 'receivers: in "u-m" id: invalid character(s) in type "u-m"'],
    ['receivers: { usm: , "usm/a b": }\nexporters: { debug: }', 'receivers: in "usm/a b" id: invalid character(s) in name "a b"'],
    ['receivers: { usm: , " usm ": }\nexporters: { debug: }', 'receivers: duplicate name "usm" after trimming spaces'],
    [
      'receivers: { usm: }\nexporters: { debug: }\nrecievers: {}',
      `'' has invalid keys: recievers (did you mean "receivers"?); valid keys are [receivers processors exporters connectors extensions service]`,
    ],
    [
      'receivers: [usm]\nexporters: { debug: }',
      `'receivers' expected type 'map', got unconvertible type 'list'`,
      'no receiver configuration specified in config',
      'service::pipelines::traces: references receiver "usm" which is not configured',
    ],
    [
      'receivers: { usm: }',
      'no exporter configuration specified in config',
      'service::pipelines::traces: references exporter "debug" which is not configured',
    ],
  ];
  for (const [parts, ...expected] of table) assert.deepEqual(problemsOf(whole(parts)), expected, parts);
  assert.deepEqual(problemsOf(''), ['empty configuration file']);
  assert.deepEqual(problemsOf('service: {}'), ['empty configuration file']);
});

test('extensions are named with what is wrong', () => {
  const table: Table = [
    [
      'health_check: { endpont: x }',
      `'extensions::health_check' has invalid keys: endpont (did you mean "endpoint"?); valid keys are [endpoint exporter_failure_timeout path response_body stall_timeout]`,
    ],
    ['health_check/a: { endpoint: "13133" }', 'extensions::health_check/a::endpoint: expected host:port or :port, found "13133"'],
    [
      'pprof: { endpoint: "localhost:70000" }',
      'extensions::pprof::endpoint: expected host:port or :port, found "localhost:70000"',
    ],
    [
      'file_storage: { directory_permissions: "rwx", compaction: { check_interval: 1ms, rebound_needed_threshold_mib: 10 } }',
      'extensions::file_storage::directory_permissions: expected an octal mode such as "0750", found "rwx"',
      'extensions::file_storage::compaction::check_interval: must be at least 100ms, found 1ms',
      'extensions::file_storage::compaction: rebound_trigger_threshold_mib (10) must be less than rebound_needed_threshold_mib (10)',
    ],
    [
      'file_storage: { compaction: { max_transaction_size: 1 } }',
      'extensions::file_storage::compaction::max_transaction_size: is not supported: a database is compacted in one transaction',
    ],
    ['health_check: { path: health }', 'extensions::health_check::path: must start with /'],
    ['health_check: { stall_timeout: 10ms }', 'extensions::health_check::stall_timeout: must be at least 1s, found 10ms'],
    ['health_check: { use_v2: true }', 'extensions::health_check::use_v2: is not supported: there is one form of answer'],
    [
      'zpages: { expvar: { enabled: true } }',
      'extensions::zpages::expvar: is not supported: usm-receiver has no expvars; GET /debug/usm says how it is',
    ],
  ];
  for (const [extensions, ...expected] of table)
    assert.deepEqual(problemsOf([around({}), `extensions: { ${extensions} }`]), expected, extensions);
});

test('a storage that is configured is in service::extensions too', () => {
  const problem = 'exporters::otlp::sending_queue::storage: extension "file_storage" is not in service::extensions; add it there';
  const exporter = 'exporters: { otlp: { endpoint: "h:1", sending_queue: { storage: file_storage } } }';
  assert.deepEqual(problemsOf([around({}), `${exporter}\nextensions: { file_storage: }`]), [problem]);
});

test('service::extensions names what is configured, once', () => {
  const table: Table = [
    ['[zpages/a]', 'service::extensions: references extension "zpages/a" which is not configured (did you mean "zpages"?)'],
    ['[zpages, " zpages "]', 'service::extensions: references extension "zpages" multiple times'],
    ['[zpages/]', 'service::extensions: in "zpages/" id: the part after / should not be empty'],
  ];
  for (const [references, ...expected] of table)
    assert.deepEqual(problemsOf([around({}), `extensions: { zpages: }\nservice: { extensions: ${references} }`]), expected);
});

test('defined but unused components are checked too', () => {
  assert.deepEqual(problemsOf(around({ exporters: 'file/unused: {}' })), ['exporters::file/unused: requires a non-empty "path"']);
  assert.deepEqual(
    problemsOf(
      `receivers: { usm: , usm/unused: { x: 1 } }\nexporters: { debug: }\nservice: { pipelines: { traces: { receivers: [usm], exporters: [debug] } } }`,
    ).length,
    1,
  );
});

test('pipelines refer to what is defined', () => {
  const table: Table = [
    ['{}', 'service::pipelines: service must have at least one pipeline'],
    [
      'pipelines: { traces: }',
      'service::pipelines::traces: must have at least one receiver',
      'service::pipelines::traces: must have at least one exporter',
    ],
    [
      'pipelines: { traces/a: { receivers: [usm/x], exporters: [debg] } }',
      'service::pipelines::traces/a: references receiver "usm/x" which is not configured',
      'service::pipelines::traces/a: references exporter "debg" which is not configured (did you mean "debug"?)',
    ],
    [
      'pipelines: { traces: { receivers: [usm, usm], exporters: [debug, " debug "] } }',
      'service::pipelines::traces: references receiver "usm" multiple times',
      'service::pipelines::traces: references exporter "debug" multiple times',
    ],
    [
      'pipelines: { traces: { receivers: [usm], exporters: [debug/] } }',
      'service::pipelines::traces::exporters: in "debug/" id: the part after / should not be empty',
    ],
    [
      'pipelines: { traces: { receivers: [usm], processors: [batch], exporters: [debug] } }',
      `service::pipelines::traces: references processor "batch", but usm-receiver has no processors yet; remove it (batches are set by the exporter's sending_queue::batch)`,
    ],
    [
      'pipelines: { logs/x: { receivers: [usm], exporters: [debug] } }',
      'service::pipelines::logs/x: logs pipelines are not implemented; usm-receiver makes traces and metrics',
    ],
    [
      'pipelines: { trace: { receivers: [usm], exporters: [debug] } }',
      'service::pipelines: unknown pipeline signal: "trace" for id: "trace" (valid values: [metrics traces]) (did you mean "traces"?)',
    ],
    [
      'pipelines: { traces: { receiver: [usm], receivers: [usm], exporters: [debug] } }',
      `'service::pipelines::traces' has invalid keys: receiver (did you mean "receivers"?); valid keys are [exporters processors receivers]`,
    ],
    [
      'extensions: [health_check]\npipelines: { traces: { receivers: [usm], exporters: [debug] } }',
      'service::extensions: references extension "health_check" which is not configured',
    ],
  ];
  for (const [service, ...expected] of table) assert.deepEqual(problemsOf(around({ service })), expected, service);
});

test('two usm receivers cannot be in use at once', () => {
  const text = `
receivers: { usm: , usm/b: }
exporters: { debug: }
service: { pipelines: { traces: { receivers: [usm], exporters: [debug] }, traces/b: { receivers: [usm/b], exporters: [debug] } } }`;
  assert.deepEqual(problemsOf(text), [
    'service::pipelines: pipelines use receivers "usm" and "usm/b"; one usm receiver observes the whole host: use the same one in every pipeline',
  ]);
});

test('telemetry about ourselves is what there is', () => {
  const pipelines = 'pipelines: { traces: { receivers: [usm], exporters: [debug] } }\n';
  const table: Table = [
    [
      'telemetry: { metrics: { level: debug } }',
      'service::telemetry::metrics::level: must be one of [none basic normal detailed None Basic Normal Detailed], found "debug"',
    ],
    [
      'telemetry: { metrics: { readers: [] } }',
      'service::telemetry::metrics: collector telemetry metrics reader should exist when metric level is not none',
    ],
    [
      'telemetry: { metrics: { address: ":8888" } }',
      'service::telemetry::metrics::address: is not supported: it is ignored by the Collector since 0.123; write a pull reader with host and port',
    ],
    [
      'telemetry: { metrics: { readers: [{}] } }',
      'service::telemetry::metrics::readers::0: must have at least one of [periodic pull]',
    ],
    [
      'telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: a } } } }] } }',
      'service::telemetry::metrics::readers::0::pull::exporter::prometheus: requires a non-empty "port"',
    ],
    [
      'telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: a, port: 1 } } }, periodic: { exporter: { otlp: { protocol: grpc, endpoint: "a:1" } } } }] } }',
      'service::telemetry::metrics::readers::0: must have one of [pull periodic], found both',
    ],
    [
      'telemetry: { metrics: { readers: [{ periodic: { exporter: { console: {} } } }] } }',
      'service::telemetry::metrics::readers::0::periodic::exporter::console: is not supported: metrics are not written to the console; scrape them, or send them with otlp',
      'service::telemetry::metrics::readers::0::periodic::exporter: requires a non-empty "otlp"',
    ],
    [
      'telemetry: { metrics: { readers: [{ periodic: { exporter: { otlp: { protocol: grpc, endpoint: "ftp://a:1", headers: [{ name: "a b", value: secret }] } } } }] } }',
      'service::telemetry::metrics::readers::0::periodic::exporter::otlp::endpoint: expected host:port or http(s)://host:port, found "ftp://a:1"',
      'service::telemetry::metrics::readers::0::periodic::exporter::otlp::headers: "a b" is not a valid header name',
    ],
    [
      'telemetry: { logs: { level: verbose } }',
      'service::telemetry::logs::level: must be one of [debug info warn error DEBUG INFO WARN ERROR], found "verbose"',
    ],
    [
      'telemetry: { logs: { sampling: { enabled: true } } }',
      'service::telemetry::logs::sampling::enabled: true is not supported: records are not sampled; repeating warnings are limited to one in 10 s',
    ],
    [
      'telemetry: { resource: { a: b } }',
      'service::telemetry::resource: is not supported: records carry no resource; use telemetry::logs::initial_fields',
    ],
  ];
  for (const [telemetry, ...expected] of table)
    assert.deepEqual(problemsOf(around({ service: pipelines + telemetry })), expected, telemetry);
});

test('settings of metrics', () => {
  checkUsm([
    [
      'metrics: { http.server.duration: { enabled: true } }',
      `'receivers::usm::metrics' has invalid keys: http.server.duration; valid keys are [http.client.open_connections http.client.request.body.size http.client.request.duration http.client.response.body.size http.server.active_requests http.server.request.body.size http.server.request.duration http.server.response.body.size rpc.client.call.duration rpc.server.call.duration usm.connection.count usm.connection.failed_connects usm.connection.io usm.connection.resets usm.connection.retransmits usm.connection.rtt]`,
    ],
    [
      'metrics: { rpc.server.call.duration: { attributes: [rpc.service] } }',
      'receivers::usm::metrics::rpc.server.call.duration::attributes::0: must be one of [rpc.system.name error.type rpc.method rpc.status_code server.address server.port], found "rpc.service"',
    ],
    [
      'metrics: { http.server.request.duration: { attributes: [http.route] } }',
      'receivers::usm::metrics::http.server.request.duration::attributes::0: must be one of [http.request.method url.scheme error.type http.response.status_code network.protocol.version server.address server.port], found "http.route"',
    ],
    ['aggregation: { max_size: 1 }', 'receivers::usm::aggregation::max_size: must be between 2 and 1024, found 1'],
    [
      'aggregation: { series_expiry: 10ms }',
      'receivers::usm::aggregation::series_expiry: must be between 1s and 168h, found 10ms',
    ],
    ['collection_interval: 10ms', 'receivers::usm::collection_interval: must be between 100ms and 24h, found 10ms'],
  ]);
});

test('an exporter needs an endpoint for each signal that it is given', () => {
  const text = around({
    exporters: 'otlp_http: { traces_endpoint: "http://t:1/x" }',
    service:
      'pipelines: { traces: { receivers: [usm], exporters: [otlp_http] }, metrics/a: { receivers: [usm], exporters: [otlp_http] } }',
  });
  assert.deepEqual(problemsOf(text), [
    'service::pipelines::metrics/a: exporter "otlp_http" has no endpoint for metrics; set its endpoint or metrics_endpoint',
  ]);
});

test('several problems are listed together, one problem is one line', () => {
  const two = failureOf(() => loadFrom(around({ usm: 'a: 1\nshutdown_timeout: 5' })));
  assert.equal(two.code, 'USM_CONFIG_INVALID');
  assert.equal(
    two.message,
    `invalid configuration: 2 problems:
  'receivers::usm' has invalid keys: a; valid keys are [aggregation capture collection_interval collector correlation filter http metrics overload process_context redaction sampling shutdown_timeout thread_context tls]
  receivers::usm::shutdown_timeout: expected a duration such as 200ms, 5s or 1m30s, found 5 without a unit (did you mean "5s" or "5ms"?)`,
  );
  assert.equal(
    failureOf(() => loadFrom(around({ exporters: 'file:' }))).message,
    'invalid configuration: exporters::file: requires a non-empty "path"',
  );
});
