// A checked `usm` block → UsmConfig: units converted. What can be wrong with the block is all in its schema, which the Collector's component has too.
import { resolveAggregation, resolveMetrics } from './resolve-metrics.ts';
import type { FromSchema } from './schema.ts';
import type { usmSchema } from './usm-schema.ts';
import type { FilterRule, SamplingConfig, ThreadContextConfig, UsmConfig } from './types.ts';
import {
  parseAbsolutePath,
  parseCgroup,
  parseCidr,
  parseDurationMs,
  parseMode,
  parsePortRange,
  parseSizeBytes,
} from './values.ts';

export type UsmBlock = FromSchema<typeof usmSchema>;
type RuleBlock = UsmBlock['filter']['include'][number];

/** HTTP semantic conventions: RFC 9110, PATCH (RFC 5789) and QUERY. */
const conventionalMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'];
export const knownMethodsVariable = 'OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS';

export function resolveUsm(id: string, block: UsmBlock, env: Readonly<Record<string, string | undefined>>): UsmConfig {
  const { filter, http, capture, overload, correlation, redaction } = block;
  return {
    id,
    filter: {
      include: filter.include.map(resolveRule),
      exclude: filter.exclude.map(resolveRule),
      loopback: filter.loopback,
      otlp: filter.otlp,
    },
    http: {
      maxHeadSizeBytes: toBytes(http.max_head_size),
      knownMethods: http.known_methods ?? methodsOf(env[knownMethodsVariable]) ?? conventionalMethods,
    },
    capture: {
      ringBufferSizeBytes: toBytes(capture.ring_buffer_size),
      maxConnections: capture.max_connections,
      drainIntervalMs: toMs(capture.drain_interval),
    },
    overload: { enabled: overload.enabled, maxShare: overload.max_share },
    sampling: resolveSampling(block.sampling),
    correlation: { sdkDuplicates: correlation.sdk_duplicates },
    processContext: { isEnabled: block.process_context.enabled },
    threadContext: resolveThreadContext(block.thread_context),
    tls: { isEnabled: block.tls.enabled },
    redaction: { queryKeys: redaction.query_keys },
    metrics: resolveMetrics(block.metrics),
    aggregation: resolveAggregation(block.aggregation),
    collectionIntervalMs: toMs(block.collection_interval),
    shutdownTimeoutMs: toMs(block.shutdown_timeout),
    collector: { socketPath: block.collector.socket },
  };
}

function resolveSampling(block: UsmBlock['sampling']): SamplingConfig {
  const slow = block?.keep_slower_than;
  return {
    ratio: block?.ratio,
    keepErrors: block?.keep_errors ?? false,
    keepSlowerThanMs: slow === undefined ? undefined : toMs(slow),
  };
}

function resolveThreadContext(block: UsmBlock['thread_context']): ThreadContextConfig {
  const { enabled, attributes, registration, go_labels: hasGoLabels } = block;
  const { endpoint, mode, group } = registration;
  return {
    isEnabled: enabled,
    hasGoLabels,
    attributes,
    registration: endpoint === undefined ? undefined : { path: endpoint, mode: parseMode(mode) ?? NaN, gid: group },
  };
}

function methodsOf(variable: string | undefined): readonly string[] | undefined {
  const methods = variable
    ?.split(',')
    .map((method) => method.trim())
    .filter((method) => method !== '');
  return methods === undefined || methods.length === 0 ? undefined : methods;
}

function resolveRule(rule: RuleBlock): FilterRule {
  return {
    localPorts: parseEach(rule.local_ports, parsePortRange),
    remotePorts: parseEach(rule.remote_ports, parsePortRange),
    cidrs: parseEach(rule.cidrs, parseCidr),
    pids: rule.pids ?? [],
    executables: parseEach(rule.executables, parseAbsolutePath),
    cgroups: parseEach(rule.cgroups, parseCgroup),
  };
}

function parseEach<Written, Parsed>(
  list: readonly Written[] | undefined,
  parse: (written: Written) => Parsed | undefined,
): readonly Parsed[] {
  return (list ?? []).map(parse).filter((parsed) => parsed !== undefined);
}

/** A duration that the schema has checked. */
function toMs(duration: string): number {
  return parseDurationMs(duration) ?? NaN;
}

/** A size that the schema has checked. */
function toBytes(size: string | number): number {
  return parseSizeBytes(size) ?? NaN;
}
