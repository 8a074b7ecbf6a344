// Checked extension blocks → extension configurations, and `service::extensions` → those to start, in their order.
import { parseComponentId } from './components.ts';
import { withNearMatch } from './check.ts';
import type { fileStorageSchema, healthCheckSchema, pprofSchema, zpagesSchema } from './extension-schemas.ts';
import type { FromSchema } from './schema.ts';
import type { ExporterConfig, FileStorageConfig, HealthCheckConfig, ListenAddress, PprofConfig, ZpagesConfig } from './types.ts';
import { parseDurationMs } from './values.ts';

type HealthCheckBlock = FromSchema<typeof healthCheckSchema>;

export function resolveHealthCheck(id: string, path: string, block: HealthCheckBlock, problems: string[]): HealthCheckConfig {
  if (!block.path.startsWith('/')) problems.push(`${path}::path: must start with /`);
  const stallTimeoutMs = parseDurationMs(block.stall_timeout) ?? NaN;
  if (stallTimeoutMs < 1_000) problems.push(`${path}::stall_timeout: must be at least 1s, found ${block.stall_timeout}`);
  return {
    kind: 'health_check',
    id,
    listen: resolveListen(block.endpoint, path, problems),
    path: block.path,
    healthyBody: presence(block.response_body.healthy),
    unhealthyBody: presence(block.response_body.unhealthy),
    stallTimeoutMs,
    exporterFailureTimeoutMs: parseDurationMs(block.exporter_failure_timeout) ?? NaN,
  };
}

export function resolvePprof(id: string, path: string, block: FromSchema<typeof pprofSchema>, problems: string[]): PprofConfig {
  return { kind: 'pprof', id, listen: resolveListen(block.endpoint, path, problems) };
}

export function resolveZpages(
  id: string,
  path: string,
  block: FromSchema<typeof zpagesSchema>,
  problems: string[],
): ZpagesConfig {
  return { kind: 'zpages', id, listen: resolveListen(block.endpoint, path, problems) };
}

const bytesPerMebibyte = 1024 * 1024;

export function resolveFileStorage(
  id: string,
  path: string,
  block: FromSchema<typeof fileStorageSchema>,
  problems: string[],
): FileStorageConfig {
  const { compaction } = block;
  const mode = /^0?[0-7]{1,4}$/.test(block.directory_permissions) ? Number.parseInt(block.directory_permissions, 8) : undefined;
  if (mode === undefined) {
    problems.push(
      `${path}::directory_permissions: expected an octal mode such as "0750", found "${block.directory_permissions}"`,
    );
  }
  const checkIntervalMs = parseDurationMs(compaction.check_interval) ?? NaN;
  if (checkIntervalMs < 100) {
    problems.push(`${path}::compaction::check_interval: must be at least 100ms, found ${compaction.check_interval}`);
  }
  if (compaction.rebound_trigger_threshold_mib >= compaction.rebound_needed_threshold_mib) {
    problems.push(
      `${path}::compaction: rebound_trigger_threshold_mib (${compaction.rebound_trigger_threshold_mib}) must be less than rebound_needed_threshold_mib (${compaction.rebound_needed_threshold_mib})`,
    );
  }
  return {
    kind: 'file_storage',
    id,
    directory: block.directory,
    createDirectory: block.create_directory,
    directoryPermissions: mode ?? 0,
    timeoutMs: parseDurationMs(block.timeout) ?? NaN,
    fsync: block.fsync,
    recreate: block.recreate,
    compaction: {
      onStart: compaction.on_start,
      onRebound: compaction.on_rebound,
      directory: compaction.directory ?? block.directory,
      reboundNeededBytes: compaction.rebound_needed_threshold_mib * bytesPerMebibyte,
      reboundTriggerBytes: compaction.rebound_trigger_threshold_mib * bytesPerMebibyte,
      checkIntervalMs,
      cleanupOnStart: compaction.cleanup_on_start,
    },
  };
}

/** Each `sending_queue::storage` names a `file_storage` that is in use. `used`: ids of `service::extensions`. */
export function followStorage(
  exporters: readonly ExporterConfig[],
  defined: readonly string[],
  used: readonly string[],
  problems: string[],
): void {
  for (const exporter of exporters) {
    if (!('sendingQueue' in exporter) || exporter.sendingQueue.storage === undefined) continue;
    const { storage } = exporter.sendingQueue;
    const at = `exporters::${exporter.id}::sending_queue::storage`;
    const parsed = parseComponentId(storage);
    if (parsed.kind === 'malformed') problems.push(`${at}: ${parsed.message}`);
    else if (parsed.type !== 'file_storage') problems.push(`${at}: "${storage}" is no storage extension; name a file_storage`);
    else if (!defined.includes(parsed.id)) {
      problems.push(withNearMatch(`${at}: references extension "${storage}" which is not configured`, storage, defined));
    } else if (!used.includes(parsed.id)) {
      problems.push(`${at}: extension "${storage}" is not in service::extensions; add it there`);
    }
  }
}

/** Ids of `service::extensions`, without those that are wrong. `defined`: ids under `extensions:`, those with problems included. */
export function followExtensions(
  references: readonly string[],
  defined: readonly string[],
  problems: string[],
): readonly string[] {
  const found = new Set<string>();
  for (const reference of references) {
    const parsed = parseComponentId(reference);
    if (parsed.kind === 'malformed') {
      problems.push(`service::extensions: ${parsed.message}`);
    } else if (!defined.includes(parsed.id)) {
      const text = `service::extensions: references extension "${parsed.id}" which is not configured`;
      problems.push(withNearMatch(text, parsed.id, defined));
    } else if (found.has(parsed.id)) {
      problems.push(`service::extensions: references extension "${parsed.id}" multiple times`);
    } else {
      found.add(parsed.id);
    }
  }
  return [...found];
}

/** `host:port`, `[::1]:port`, `:port`. */
function resolveListen(endpoint: string, path: string, problems: string[]): ListenAddress {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]@]*):(\d{1,5})$/.exec(endpoint);
  const port = Number(match?.[2] ?? NaN);
  if (match === null || port > 65535) {
    problems.push(`${path}::endpoint: expected host:port or :port, found "${endpoint}"`);
    return { host: undefined, port: 0 };
  }
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host: presence(host), port };
}

/** An empty text is a setting that was not made, as in the Collector. */
function presence(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
