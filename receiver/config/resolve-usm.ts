// A checked `usm` block → UsmConfig: units converted, and the rules that a schema cannot say.
import { resolveAggregation, resolveMetrics } from './resolve-metrics.ts';
import type { FromSchema } from './schema.ts';
import type { usmSchema } from './usm-schema.ts';
import type { FilterRule, SamplingConfig, ThreadContextConfig, UsmConfig } from './types.ts';
import { formatSize, parseCidr, parseDurationMs, parsePortRange, parseSizeBytes } from './values.ts';

export type UsmBlock = FromSchema<typeof usmSchema>;
type RuleBlock = UsmBlock['filter']['include'][number];

/** HTTP semantic conventions: RFC 9110, PATCH (RFC 5789) and QUERY. */
const conventionalMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'];
export const knownMethodsVariable = 'OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS';

/** unix(7): sun_path, with its final 0. */
const MAX_SOCKET_PATH = 107;
const kib = 1024;
const mib = 1024 * kib;

export function resolveUsm(
  id: string,
  path: string,
  block: UsmBlock,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): UsmConfig {
  const at = (key: string): string => `${path}::${key}`;
  const { filter, http, capture, overload, correlation, redaction } = block;
  return {
    id,
    filter: {
      include: filter.include.map((rule, index) => resolveRule(rule, at(`filter::include::${index}`), problems)),
      exclude: filter.exclude.map((rule, index) => resolveRule(rule, at(`filter::exclude::${index}`), problems)),
      loopback: filter.loopback,
      otlp: filter.otlp,
    },
    http: {
      maxHeadSizeBytes: resolveSize(http.max_head_size, at('http::max_head_size'), kib, 32 * kib, false, problems),
      knownMethods: http.known_methods ?? methodsOf(env[knownMethodsVariable]) ?? conventionalMethods,
    },
    capture: {
      ringBufferSizeBytes: resolveSize(capture.ring_buffer_size, at('capture::ring_buffer_size'), mib, 256 * mib, true, problems),
      maxConnections: capture.max_connections,
      drainIntervalMs: resolveDuration(capture.drain_interval, at('capture::drain_interval'), 1, 1_000, problems),
    },
    overload: { enabled: overload.enabled, maxShare: overload.max_share },
    sampling: resolveSampling(block.sampling, at('sampling'), problems),
    correlation: { sdkDuplicates: correlation.sdk_duplicates },
    processContext: { isEnabled: block.process_context.enabled },
    threadContext: resolveThreadContext(block.thread_context, at('thread_context'), problems),
    tls: { isEnabled: block.tls.enabled },
    redaction: { queryKeys: redaction.query_keys },
    metrics: resolveMetrics(block.metrics),
    aggregation: resolveAggregation(block.aggregation, (written, key, minimumMs, maximumMs) =>
      resolveDuration(written, at(key), minimumMs, maximumMs, problems),
    ),
    collectionIntervalMs: resolveDuration(block.collection_interval, at('collection_interval'), 100, 86_400_000, problems),
    shutdownTimeoutMs: resolveDuration(block.shutdown_timeout, at('shutdown_timeout'), 100, 600_000, problems),
  };
}

function resolveSampling(block: UsmBlock['sampling'], path: string, problems: string[]): SamplingConfig {
  const slow = block?.keep_slower_than;
  return {
    ratio: block?.ratio,
    keepErrors: block?.keep_errors ?? false,
    keepSlowerThanMs:
      slow === undefined ? undefined : resolveDuration(slow, `${path}::keep_slower_than`, 1, 86_400_000, problems),
  };
}

function resolveThreadContext(block: UsmBlock['thread_context'], path: string, problems: string[]): ThreadContextConfig {
  const { enabled, attributes, registration, go_labels: hasGoLabels } = block;
  const { endpoint, mode, group } = registration;
  if (!/^0?[0-7]{3}$/.test(mode)) {
    problems.push(`${path}::registration::mode: expected an octal mode such as "0660", found "${mode}"`);
  }
  if (endpoint === undefined) return { isEnabled: enabled, hasGoLabels, attributes, registration: undefined };
  if (!enabled) problems.push(`${path}::registration::endpoint: needs thread_context::enabled: true`);
  if (parseAbsolutePath(endpoint) === undefined || Buffer.byteLength(endpoint) > MAX_SOCKET_PATH) {
    problems.push(
      `${path}::registration::endpoint: expected an absolute path of at most ${MAX_SOCKET_PATH} bytes such as /run/usm-receiver/register.sock, found ${JSON.stringify(endpoint)}`,
    );
  }
  return {
    isEnabled: enabled,
    hasGoLabels,
    attributes,
    registration: { path: endpoint, mode: Number.parseInt(mode, 8), gid: group },
  };
}

function methodsOf(variable: string | undefined): readonly string[] | undefined {
  const methods = variable
    ?.split(',')
    .map((method) => method.trim())
    .filter((method) => method !== '');
  return methods === undefined || methods.length === 0 ? undefined : methods;
}

function resolveRule(rule: RuleBlock, path: string, problems: string[]): FilterRule {
  return {
    localPorts: parseEach(
      rule.local_ports,
      `${path}::local_ports`,
      parsePortRange,
      'a port from 1 to 65535 or a range such as "8000-8999"',
      problems,
    ),
    remotePorts: parseEach(
      rule.remote_ports,
      `${path}::remote_ports`,
      parsePortRange,
      'a port from 1 to 65535 or a range such as "8000-8999"',
      problems,
    ),
    cidrs: parseEach(rule.cidrs, `${path}::cidrs`, parseCidr, 'a prefix such as 10.0.0.0/8 or fd00::/8, or an address', problems),
    pids: rule.pids ?? [],
    executables: parseEach(
      rule.executables,
      `${path}::executables`,
      parseAbsolutePath,
      'an absolute path such as /usr/sbin/nginx',
      problems,
    ),
    cgroups: parseEach(
      rule.cgroups,
      `${path}::cgroups`,
      parseCgroup,
      'a path below the cgroup root such as /system.slice/nginx.service',
      problems,
    ),
  };
}

function parseEach<Written extends string | number, Parsed>(
  list: readonly Written[] | undefined,
  path: string,
  parse: (written: Written) => Parsed | undefined,
  expected: string,
  problems: string[],
): readonly Parsed[] {
  const result: Parsed[] = [];
  for (const [index, written] of (list ?? []).entries()) {
    const parsed = parse(written);
    if (parsed === undefined) problems.push(`${path}::${index}: expected ${expected}, found ${JSON.stringify(written)}`);
    else result.push(parsed);
  }
  return result;
}

function parseAbsolutePath(path: string): string | undefined {
  return path.startsWith('/') && !hasOddPart(path.slice(1)) ? path : undefined;
}

/** With one slash in front and none behind; the mount point is not part of it. */
function parseCgroup(path: string): string | undefined {
  const inner = path.replace(/^\//, '').replace(/\/$/, '');
  return inner === '' || hasOddPart(inner) || inner.startsWith('sys/fs/cgroup') ? undefined : `/${inner}`;
}

function hasOddPart(path: string): boolean {
  return path.includes('\0') || path.split('/').some((part) => part === '' || part === '.' || part === '..');
}

function resolveSize(
  written: string | number,
  path: string,
  minimum: number,
  maximum: number,
  isPowerOfTwo: boolean,
  problems: string[],
): number {
  const bytes = parseSizeBytes(written) ?? NaN;
  const isInRange = bytes >= minimum && bytes <= maximum;
  if (isInRange && (!isPowerOfTwo || Number.isInteger(Math.log2(bytes)))) return bytes;
  const form = isPowerOfTwo ? 'a power of two between' : 'between';
  problems.push(`${path}: must be ${form} ${formatSize(minimum)} and ${formatSize(maximum)}, found ${written}`);
  return NaN;
}

function resolveDuration(written: string, path: string, minimumMs: number, maximumMs: number, problems: string[]): number {
  const duration = parseDurationMs(written) ?? NaN;
  if (duration >= minimumMs && duration <= maximumMs) return duration;
  problems.push(`${path}: must be between ${formatMs(minimumMs)} and ${formatMs(maximumMs)}, found ${written}`);
  return NaN;
}

function formatMs(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}
