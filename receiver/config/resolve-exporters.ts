// Checked exporter blocks → exporter configurations: units converted, and the rules between keys that a schema cannot say.
// Wording of those rules follows the Validate functions of configtls, configretry, exporterhelper and the exporters themselves.
import type { debugSchema, fileSchema, otlpGrpcSchema, otlpHttpSchema } from './exporter-schemas.ts';
import type { FromSchema } from './schema.ts';
import type {
  BatchConfig,
  DebugExporterConfig,
  FileExporterConfig,
  KeepaliveConfig,
  OtlpGrpcExporterConfig,
  OtlpHttpExporterConfig,
  RetryConfig,
  SendingQueueConfig,
  TlsConfig,
} from './types.ts';
import { parseDurationMs } from './values.ts';

type GrpcBlock = FromSchema<typeof otlpGrpcSchema>;
type HttpBlock = FromSchema<typeof otlpHttpSchema>;

/** Where an exporter stands, and the list that its problems go to. */
interface Site {
  readonly id: string;
  readonly path: string;
  readonly problems: string[];
}

export function resolveOtlpGrpc(id: string, path: string, block: GrpcBlock, problems: string[]): OtlpGrpcExporterConfig {
  const site: Site = { id, path, problems };
  checkGrpcEndpoint(block.endpoint, site);
  checkHeaders(block.headers, site);
  return {
    kind: 'otlp_grpc',
    id,
    endpoint: block.endpoint,
    tls: resolveTls(block.tls, site),
    headers: block.headers,
    compression: block.compression,
    timeoutMs: toMs(block.timeout),
    keepalive: block.keepalive === undefined ? undefined : resolveKeepalive(block.keepalive, site),
    userAgent: block.user_agent,
    sendingQueue: resolveQueue(block.sending_queue, site),
    retryOnFailure: resolveRetry(block.retry_on_failure, site),
  };
}

export function resolveOtlpHttp(id: string, path: string, block: HttpBlock, problems: string[]): OtlpHttpExporterConfig {
  const site: Site = { id, path, problems };
  checkHeaders(block.headers, site);
  checkHttpEndpoints(block, site);
  return {
    kind: 'otlp_http',
    id,
    tracesEndpoint: resolveSignalEndpoint(block, 'traces'),
    metricsEndpoint: resolveSignalEndpoint(block, 'metrics'),
    encoding: block.encoding,
    tls: resolveTls(block.tls, site),
    headers: block.headers,
    compression: block.compression,
    timeoutMs: toMs(block.timeout),
    sendingQueue: resolveQueue(block.sending_queue, site),
    retryOnFailure: resolveRetry(block.retry_on_failure, site),
  };
}

export function resolveDebug(id: string, block: FromSchema<typeof debugSchema>): DebugExporterConfig {
  return { kind: 'debug', id, verbosity: block.verbosity };
}

export function resolveFile(
  id: string,
  path: string,
  block: FromSchema<typeof fileSchema>,
  problems: string[],
): FileExporterConfig {
  const { rotation } = block;
  if (block.append && rotation !== undefined)
    problems.push(`${path}: append and rotation enabled at the same time is not supported`);
  const flushIntervalMs = toMs(block.flush_interval);
  if (flushIntervalMs <= 0) problems.push(`${path}: flush_interval must be larger than zero`);
  return {
    kind: 'file',
    id,
    path: block.path,
    format: block.format,
    append: block.append,
    rotation:
      rotation === undefined
        ? undefined
        : {
            maxMegabytes: rotation.max_megabytes,
            maxDays: rotation.max_days,
            maxBackups: rotation.max_backups,
            localtime: rotation.localtime,
          },
    flushIntervalMs,
    createDirectory: block.create_directory,
  };
}

/** Forms of https://github.com/grpc/grpc/blob/master/doc/naming.md that grpc-js resolves, and the http(s) ones of the Collector. */
function checkGrpcEndpoint(endpoint: string, { path, problems }: Site): void {
  if (/^unix:./.test(endpoint)) return;
  const authority = endpoint.replace(/^(?:https?:\/\/|dns:(?:\/\/[^/]*\/)?)/, '').replace(/\/$/, '');
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]@]+):([^:]*)$/.exec(authority);
  const at = `${path}::endpoint`;
  if (match === null) {
    problems.push(`${at}: expected host:port, http(s)://host:port, dns:///host:port or unix:///path, found "${endpoint}"`);
    return;
  }
  if (!isPort(match[1] ?? '')) problems.push(`${at}: invalid port "${match[1] ?? ''}": must be a number from 1 to 65535`);
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;
}

const endpointKeys = ['endpoint', 'traces_endpoint', 'metrics_endpoint'] as const;

function checkHttpEndpoints(block: HttpBlock, { path, problems }: Site): void {
  const written = endpointKeys.filter((key) => presence(block[key]) !== undefined);
  if (written.length === 0) problems.push(`${path}: at least one endpoint must be specified`);
  for (const key of written) {
    const endpoint = block[key] ?? '';
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || !/^https?:\/\//i.test(endpoint)) {
      problems.push(`${path}::${key}: expected a URL such as http://localhost:4318, found "${endpoint}"`);
    } else if (url.username !== '' || url.password !== '') {
      problems.push(`${path}::${key}: must not hold a user name or password; set headers::authorization instead`);
    }
  }
}

/** Undefined: there is none, which matters only to a pipeline of that signal. */
function resolveSignalEndpoint(block: HttpBlock, signal: 'traces' | 'metrics'): string | undefined {
  const endpoint = presence(block.endpoint);
  return presence(block[`${signal}_endpoint`]) ?? (endpoint && `${endpoint.replace(/\/+$/, '')}/v1/${signal}`);
}

/** What an HTTP field may hold (RFC 9110, 5.1 and 5.5), so that sending cannot fail for it. Values are not quoted: they are secrets. */
function checkHeaders(headers: Readonly<Record<string, string>>, { path, problems }: Site): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      problems.push(`${path}::headers: ${JSON.stringify(name)} is not a valid header name`);
    if (!/^[\t\x20-\x7e]*$/.test(value))
      problems.push(`${path}::headers::${name}: the value has characters that a header cannot carry`);
  }
}

function resolveTls(block: GrpcBlock['tls'], { path, problems }: Site): TlsConfig {
  const at = `${path}::tls`;
  const tls: TlsConfig = {
    insecure: block.insecure,
    insecureSkipVerify: block.insecure_skip_verify,
    includeSystemCaCertsPool: block.include_system_ca_certs_pool,
    caFile: presence(block.ca_file),
    caPem: presence(block.ca_pem),
    certFile: presence(block.cert_file),
    certPem: presence(block.cert_pem),
    keyFile: presence(block.key_file),
    keyPem: presence(block.key_pem),
    serverNameOverride: presence(block.server_name_override),
    minVersion: block.min_version,
  };
  if (tls.caFile !== undefined && tls.caPem !== undefined) {
    problems.push(`${at}: provide either a CA file or the PEM-encoded string, but not both`);
  }
  if (tls.certFile !== undefined && tls.certPem !== undefined)
    problems.push(`${at}: provide either certificate file or PEM, but not both`);
  if (tls.keyFile !== undefined && tls.keyPem !== undefined) problems.push(`${at}: provide either key file or PEM, but not both`);
  const hasCertificate = tls.certFile !== undefined || tls.certPem !== undefined;
  const hasKey = tls.keyFile !== undefined || tls.keyPem !== undefined;
  if (hasCertificate !== hasKey) {
    const [given, missing] = hasCertificate ? ['certificate', 'key_file or key_pem'] : ['key', 'cert_file or cert_pem'];
    problems.push(`${at}: TLS configuration must include both certificate and key: there is a ${given} but no ${missing}`);
  }
  return tls;
}

/** An empty text is a setting that was not made, as in the Collector. */
function presence(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function resolveKeepalive(block: NonNullable<GrpcBlock['keepalive']>, { path, problems }: Site): KeepaliveConfig {
  const timeMs = toMs(block.time);
  const timeoutMs = toMs(block.timeout);
  if (timeMs < 1_000) problems.push(`${path}::keepalive::time: must be at least 1s, found ${block.time}`);
  if (timeoutMs < 1) problems.push(`${path}::keepalive::timeout: must be at least 1ms, found ${block.timeout}`);
  return { timeMs, timeoutMs, permitWithoutStream: block.permit_without_stream };
}

const defaultQueueSpans = 65_536;
const defaultQueueRequests = 1_000;
const defaultQueueBytes = 64 * 1024 * 1024;
const maxQueueCount = 10_000_000;
const defaultBatchSpans = { min: 512, max: 4_096 };
const defaultBatchBytes = { min: 256 * 1024, max: 2 * 1024 * 1024 };

function resolveQueue(block: GrpcBlock['sending_queue'], { path, problems }: Site): SendingQueueConfig {
  const sizer = block.sizer ?? (block.queue_size === undefined ? 'items' : 'requests');
  const defaults = { items: defaultQueueSpans, requests: defaultQueueRequests, bytes: defaultQueueBytes };
  const queueSize = block.queue_size ?? defaults[sizer];
  if (sizer !== 'bytes' && queueSize > maxQueueCount) {
    problems.push(`${path}::sending_queue::queue_size: must be between 1 and ${maxQueueCount}, found ${queueSize}`);
  }
  if (!block.enabled && block.storage !== undefined) {
    problems.push(`${path}::sending_queue: \`storage\` keeps a queue, and \`enabled: false\` asks for none; remove one of them`);
  }
  const batch = resolveBatch(block.batch, `${path}::sending_queue::batch`, problems);
  if (sizer === batch.sizer && batch.minSize > queueSize) {
    problems.push(
      `${path}::sending_queue: \`min_size\` (${batch.minSize}) must be less than or equal to \`queue_size\` (${queueSize})`,
    );
  }
  return {
    enabled: block.enabled,
    numConsumers: block.num_consumers,
    queueSize,
    sizer,
    blockOnOverflow: block.block_on_overflow,
    storage: block.storage?.trim(),
    batch,
  };
}

function resolveBatch(block: GrpcBlock['sending_queue']['batch'], at: string, problems: string[]): BatchConfig {
  const flushTimeoutMs = toMs(block.flush_timeout);
  const { sizer } = block;
  const defaults = sizer === 'bytes' ? defaultBatchBytes : defaultBatchSpans;
  const minSize = block.min_size ?? defaults.min;
  const maxSize = block.max_size ?? Math.max(defaults.max, minSize);
  if (flushTimeoutMs < 1 || flushTimeoutMs > 3_600_000) {
    problems.push(`${at}: \`flush_timeout\` must be between 1ms and 1h, found ${block.flush_timeout}`);
  }
  if (maxSize > 0 && maxSize < minSize) {
    problems.push(`${at}: \`max_size\` (${maxSize}) must be greater or equal to \`min_size\` (${minSize})`);
  }
  return { flushTimeoutMs, sizer, minSize, maxSize };
}

function resolveRetry(block: GrpcBlock['retry_on_failure'], { path, problems }: Site): RetryConfig {
  const at = `${path}::retry_on_failure`;
  const retry: RetryConfig = {
    enabled: block.enabled,
    initialIntervalMs: toMs(block.initial_interval),
    multiplier: block.multiplier,
    randomizationFactor: block.randomization_factor,
    maxIntervalMs: toMs(block.max_interval),
    maxElapsedTimeMs: toMs(block.max_elapsed_time),
  };
  if (!retry.enabled || retry.maxElapsedTimeMs === 0) return retry;
  if (retry.maxElapsedTimeMs < retry.initialIntervalMs)
    problems.push(`${at}: 'max_elapsed_time' must not be less than 'initial_interval'`);
  if (retry.maxElapsedTimeMs < retry.maxIntervalMs)
    problems.push(`${at}: 'max_elapsed_time' must not be less than 'max_interval'`);
  return retry;
}

/** A duration that the schema has checked. */
function toMs(duration: string): number {
  return parseDurationMs(duration) ?? NaN;
}
