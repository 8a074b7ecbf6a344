// A checked `service` block and the ids that are defined → the pipelines, with every reference followed; and our own log's settings.
// Wording follows service/pipelines/config.go and otelcol/config.go of the Collector.
import { parseComponentId } from './components.ts';
import { withNearMatch } from './check.ts';
import type { FromSchema } from './schema.ts';
import type { serviceSchema } from './service-schema.ts';
import type { LogLevel, LogsConfig, PipelineConfig } from './types.ts';

export type ServiceBlock = FromSchema<typeof serviceSchema>;

/** Ids under `receivers:` and `exporters:`, those with problems of their own included. */
export interface DefinedIds {
  readonly receivers: readonly string[];
  readonly exporters: readonly string[];
}

export interface ResolvedPipelines {
  readonly pipelines: readonly PipelineConfig[];
  /** Ids in use, in the order of their first use. */
  readonly receivers: readonly string[];
  readonly exporters: readonly string[];
}

const futureSignals: Readonly<Record<string, string>> = {
  logs: 'logs pipelines are not implemented; usm-receiver makes traces and metrics',
  profiles: 'profiles pipelines are not implemented; usm-receiver makes traces and metrics',
};

export function resolvePipelines(block: ServiceBlock, defined: DefinedIds, problems: string[]): ResolvedPipelines {
  const pipelines: PipelineConfig[] = [];
  const usedReceivers = new Set<string>();
  const usedExporters = new Set<string>();
  const written = Object.entries(block.pipelines);
  if (written.length === 0) problems.push('service::pipelines: service must have at least one pipeline');
  for (const [key, pipeline] of written) {
    const checked = checkPipelineId(key, problems);
    if (checked === undefined) continue;
    const { id, signal } = checked;
    const path = `service::pipelines::${id}`;
    const receivers = followReferences(pipeline.receivers, 'receiver', defined.receivers, path, problems);
    const exporters = followReferences(pipeline.exporters, 'exporter', defined.exporters, path, problems);
    for (const processor of pipeline.processors) {
      problems.push(
        `${path}: references processor "${processor}", but usm-receiver has no processors yet; remove it (batches are set by the exporter's sending_queue::batch)`,
      );
    }
    for (const receiver of receivers) usedReceivers.add(receiver);
    for (const exporter of exporters) usedExporters.add(exporter);
    pipelines.push({ id, signal, exporters });
  }
  if (usedReceivers.size > 1) {
    const names = [...usedReceivers].map((name) => `"${name}"`).join(' and ');
    problems.push(
      `service::pipelines: pipelines use receivers ${names}; one usm receiver observes the whole host: use the same one in every pipeline`,
    );
  }
  return { pipelines, receivers: [...usedReceivers], exporters: [...usedExporters] };
}

function checkPipelineId(key: string, problems: string[]): Pick<PipelineConfig, 'id' | 'signal'> | undefined {
  const parsed = parseComponentId(key);
  if (parsed.kind === 'malformed') {
    problems.push(`service::pipelines: ${parsed.message}`);
    return undefined;
  }
  if (parsed.type === 'traces' || parsed.type === 'metrics') return { id: parsed.id, signal: parsed.type };
  const refusal = Object.hasOwn(futureSignals, parsed.type) ? futureSignals[parsed.type] : undefined;
  const unknown = `unknown pipeline signal: "${parsed.type}" for id: "${parsed.id}" (valid values: [metrics traces])`;
  problems.push(
    refusal === undefined
      ? `service::pipelines: ${withNearMatch(unknown, parsed.type, ['metrics', 'traces'])}`
      : `service::pipelines::${parsed.id}: ${refusal}`,
  );
  return undefined;
}

function followReferences(
  references: readonly string[],
  kind: 'receiver' | 'exporter',
  defined: readonly string[],
  path: string,
  problems: string[],
): readonly string[] {
  if (references.length === 0) problems.push(`${path}: must have at least one ${kind}`);
  const found = new Set<string>();
  for (const reference of references) {
    const parsed = parseComponentId(reference);
    if (parsed.kind === 'malformed') {
      problems.push(`${path}::${kind}s: ${parsed.message}`);
    } else if (!defined.includes(parsed.id)) {
      problems.push(withNearMatch(`${path}: references ${kind} "${parsed.id}" which is not configured`, parsed.id, defined));
    } else if (found.has(parsed.id)) {
      problems.push(`${path}: references ${kind} "${parsed.id}" multiple times`);
    } else {
      found.add(parsed.id);
    }
  }
  return [...found];
}

export function resolveLogs(block: ServiceBlock['telemetry']['logs']): LogsConfig {
  return {
    level: block.level.toLowerCase() as LogLevel,
    encoding: block.encoding,
    outputPaths: block.output_paths,
    errorOutputPaths: block.error_output_paths,
    initialFields: block.initial_fields,
  };
}
