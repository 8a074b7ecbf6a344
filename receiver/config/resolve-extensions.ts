// Checked extension blocks → extension configurations, and `service::extensions` → those to start, in their order.
import { parseComponentId } from './components.ts';
import { withNearMatch } from './check.ts';
import type { healthCheckSchema, pprofSchema, zpagesSchema } from './extension-schemas.ts';
import type { FromSchema } from './schema.ts';
import type { HealthCheckConfig, ListenAddress, PprofConfig, ZpagesConfig } from './types.ts';
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
