// --config and --set values → ReceiverConfig, or one ReceiverError that lists every problem with its path.
import { assert, ReceiverError } from '../errors.ts';
import { checkBlock, withNearMatch } from './check.ts';
import type { ExporterType, ExtensionType } from './components.ts';
import {
  exporterTypes,
  extensionTypes,
  findType,
  formatUnknownType,
  parseComponentId,
  receiverTypes,
  serviceBlock,
} from './components.ts';
import { expandTree } from './expand.ts';
import { resolveDebug, resolveFile, resolveOtlpGrpc, resolveOtlpHttp } from './resolve-exporters.ts';
import {
  followExtensions,
  followStorage,
  resolveFileStorage,
  resolveHealthCheck,
  resolvePprof,
  resolveZpages,
} from './resolve-extensions.ts';
import { resolveLogs, resolvePipelines } from './resolve-service.ts';
import { resolveSelfMetrics } from './resolve-self-metrics.ts';
import { resolveUsm } from './resolve-usm.ts';
import type { ConfigInputs, ConfigWarning } from './sources.ts';
import { readSources } from './sources.ts';
import type { Tree } from './tree.ts';
import { ExpandedValue } from './tree.ts';
import type { ExporterConfig, PipelineConfig, ExtensionConfig, ReceiverConfig, UsmConfig } from './types.ts';

export interface LoadedConfig {
  readonly config: ReceiverConfig;
  readonly warnings: readonly ConfigWarning[];
}

const componentSections = ['receivers', 'processors', 'exporters', 'connectors', 'extensions'] as const;
const sections: readonly string[] = [...componentSections, 'service'];

/** What stands under a section, by component id. */
type Entries = ReadonlyMap<string, { readonly type: string; readonly tree: Tree }>;

export function loadConfig(sources: readonly string[], sets: readonly string[], inputs: ConfigInputs): LoadedConfig {
  const warnings: ConfigWarning[] = [];
  const { tree, problems: expansionProblems } = expandTree(readSources(sources, sets, inputs, warnings), inputs, warnings);
  throwProblems('USM_CONFIG_SOURCE', 'cannot resolve the configuration: ', expansionProblems);
  const problems: string[] = [];
  const config = resolveConfig(tree as ReadonlyMap<string, Tree>, inputs, problems);
  throwProblems('USM_CONFIG_INVALID', 'invalid configuration: ', problems);
  assert(config !== undefined, 'a configuration without problems is complete');
  return { config: deepFreeze(config), warnings };
}

export function throwProblems(
  code: 'USM_CONFIG_SOURCE' | 'USM_CONFIG_INVALID',
  prefix: string,
  problems: readonly string[],
): void {
  const [first] = problems;
  if (first === undefined) return;
  const text =
    problems.length === 1 ? first : `${problems.length} problems:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  throw new ReceiverError(code, prefix + text);
}

/** Undefined only with a problem. */
function resolveConfig(root: ReadonlyMap<string, Tree>, inputs: ConfigInputs, problems: string[]): ReceiverConfig | undefined {
  reportUnknownSections(root, problems);
  if (!componentSections.some((section) => (root.get(section) ?? null) !== null)) {
    problems.push('empty configuration file');
    return undefined;
  }
  const receivers = readEntries(root.get('receivers'), 'receivers', problems);
  const exporters = readEntries(root.get('exporters'), 'exporters', problems);
  refuseEntries(root, 'processors', problems);
  refuseEntries(root, 'connectors', problems);
  const extensions = readEntries(root.get('extensions'), 'extensions', problems);
  if (receivers.size === 0) problems.push('no receiver configuration specified in config');
  if (exporters.size === 0) problems.push('no exporter configuration specified in config');
  const usmConfigs = resolveReceivers(receivers, inputs, problems);
  const exporterConfigs = resolveExporters(exporters, problems);
  const extensionConfigs = resolveExtensions(extensions, problems);
  const service = checkBlock(root.get('service') ?? null, 'service', serviceBlock, problems);
  if (service === undefined) return undefined;
  const used = resolvePipelines(service, { receivers: [...receivers.keys()], exporters: [...exporters.keys()] }, problems);
  const usedExtensions = followExtensions(service.extensions, [...extensions.keys()], problems);
  followStorage([...exporterConfigs.values()], [...extensions.keys()], usedExtensions, problems);
  checkEndpoints(used.pipelines, exporterConfigs, problems);
  const selfMetrics = resolveSelfMetrics(service.telemetry.metrics, problems);
  const usm = usmConfigs.get(used.receivers[0] ?? '');
  if (usm === undefined) return undefined;
  return {
    usm,
    exporters: used.exporters.flatMap((id) => exporterConfigs.get(id) ?? []),
    pipelines: used.pipelines,
    logs: resolveLogs(service.telemetry.logs),
    selfMetrics,
    extensions: usedExtensions.flatMap((id) => extensionConfigs.get(id) ?? []),
  };
}

function reportUnknownSections(root: ReadonlyMap<string, Tree>, problems: string[]): void {
  const unknown = [...root.keys()].filter((key) => !sections.includes(key)).sort();
  if (unknown.length === 0) return;
  const shown = unknown.map((key) => withNearMatch(key, key, sections));
  problems.push(`'' has invalid keys: ${shown.join(', ')}; valid keys are [${sections.join(' ')}]`);
}

function readEntries(written: Tree | undefined, section: string, problems: string[]): Entries {
  const tree = written instanceof ExpandedValue ? written.value : written;
  const entries = new Map<string, { type: string; tree: Tree }>();
  if (tree === undefined || tree === null) return entries;
  if (!(tree instanceof Map)) {
    problems.push(`'${section}' expected type 'map', got unconvertible type '${Array.isArray(tree) ? 'list' : typeof tree}'`);
    return entries;
  }
  for (const [key, value] of tree as ReadonlyMap<string, Tree>) {
    const parsed = parseComponentId(key);
    if (parsed.kind === 'malformed') problems.push(`${section}: ${parsed.message}`);
    else if (entries.has(parsed.id)) problems.push(`${section}: duplicate name "${parsed.id}" after trimming spaces`);
    else entries.set(parsed.id, { type: parsed.type, tree: value });
  }
  return entries;
}

const absences = {
  processors: "usm-receiver has no processors yet; batches are set by the exporter's sending_queue::batch",
  connectors: 'usm-receiver has no connectors; send to a Collector that has',
} as const;

function refuseEntries(root: ReadonlyMap<string, Tree>, section: keyof typeof absences, problems: string[]): void {
  for (const [id, { type }] of readEntries(root.get(section), section, problems)) {
    problems.push(`${section}: ${formatUnknownType(type, id, [])}; ${absences[section]}`);
  }
}

function resolveReceivers(entries: Entries, inputs: ConfigInputs, problems: string[]): ReadonlyMap<string, UsmConfig> {
  const configs = new Map<string, UsmConfig>();
  for (const [id, { type, tree }] of entries) {
    if (findType(receiverTypes, type) === undefined) {
      problems.push(`receivers: ${formatUnknownType(type, id, Object.keys(receiverTypes))}`);
      continue;
    }
    const block = checkBlock(tree, `receivers::${id}`, receiverTypes.usm, problems);
    if (block !== undefined) configs.set(id, resolveUsm(id, block, inputs.env));
  }
  return configs;
}

function resolveExporters(entries: Entries, problems: string[]): ReadonlyMap<string, ExporterConfig> {
  const configs = new Map<string, ExporterConfig>();
  for (const [id, { type, tree }] of entries) {
    const name = findType(exporterTypes, type);
    if (name === undefined) {
      problems.push(`exporters: ${formatUnknownType(type, id, Object.keys(exporterTypes))}`);
      continue;
    }
    const config = resolveExporter(name, id, tree, problems);
    if (config !== undefined) configs.set(id, config);
  }
  return configs;
}

function resolveExporter(type: ExporterType, id: string, tree: Tree, problems: string[]): ExporterConfig | undefined {
  const path = `exporters::${id}`;
  switch (type) {
    case 'otlp_grpc': {
      const block = checkBlock(tree, path, exporterTypes.otlp_grpc, problems);
      return block && resolveOtlpGrpc(id, path, block, problems);
    }
    case 'otlp_http': {
      const block = checkBlock(tree, path, exporterTypes.otlp_http, problems);
      return block && resolveOtlpHttp(id, path, block, problems);
    }
    case 'debug': {
      const block = checkBlock(tree, path, exporterTypes.debug, problems);
      return block && resolveDebug(id, block);
    }
    case 'file': {
      const block = checkBlock(tree, path, exporterTypes.file, problems);
      return block && resolveFile(id, path, block, problems);
    }
  }
}

function resolveExtensions(entries: Entries, problems: string[]): ReadonlyMap<string, ExtensionConfig> {
  const configs = new Map<string, ExtensionConfig>();
  for (const [id, { type, tree }] of entries) {
    const name = findType(extensionTypes, type);
    if (name === undefined) {
      problems.push(`extensions: ${formatUnknownType(type, id, Object.keys(extensionTypes))}`);
      continue;
    }
    const config = resolveExtension(name, id, tree, problems);
    if (config !== undefined) configs.set(id, config);
  }
  return configs;
}

function resolveExtension(type: ExtensionType, id: string, tree: Tree, problems: string[]): ExtensionConfig | undefined {
  const path = `extensions::${id}`;
  switch (type) {
    case 'file_storage': {
      const block = checkBlock(tree, path, extensionTypes.file_storage, problems);
      return block && resolveFileStorage(id, path, block, problems);
    }
    case 'health_check': {
      const block = checkBlock(tree, path, extensionTypes.health_check, problems);
      return block && resolveHealthCheck(id, path, block, problems);
    }
    case 'pprof': {
      const block = checkBlock(tree, path, extensionTypes.pprof, problems);
      return block && resolvePprof(id, path, block, problems);
    }
    case 'zpages': {
      const block = checkBlock(tree, path, extensionTypes.zpages, problems);
      return block && resolveZpages(id, path, block, problems);
    }
  }
}

/** An otlp_http exporter may have an endpoint for one signal only. */
function checkEndpoints(
  pipelines: readonly PipelineConfig[],
  exporters: ReadonlyMap<string, ExporterConfig>,
  problems: string[],
): void {
  for (const { id, signal, exporters: ids } of pipelines) {
    for (const exporter of ids.flatMap((one) => exporters.get(one) ?? [])) {
      if (exporter.kind !== 'otlp_http') continue;
      if ((signal === 'traces' ? exporter.tracesEndpoint : exporter.metricsEndpoint) !== undefined) continue;
      problems.push(
        `service::pipelines::${id}: exporter "${exporter.id}" has no endpoint for ${signal}; set its endpoint or ${signal}_endpoint`,
      );
    }
  }
}

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) deepFreeze(item);
  return value;
}
