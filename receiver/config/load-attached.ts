// The configuration of a Collector → that of the receiver beside it, which sends it what it sees. Of the file it takes one `usm` receiver, which signals
// the pipelines want of it, and from `service::telemetry` the log and what sends metrics. All else is the Collector's, and not judged.
import { assert } from '../errors.ts';
import { checkBlock } from './check.ts';
import { parseComponentId, receiverTypes, serviceBlock } from './components.ts';
import { expandTree } from './expand.ts';
import { deepFreeze, type LoadedConfig, throwProblems } from './load.ts';
import { resolveSelfMetrics } from './resolve-self-metrics.ts';
import { resolveLogs, type ServiceBlock } from './resolve-service.ts';
import { resolveUsm } from './resolve-usm.ts';
import { type ConfigInputs, type ConfigWarning, readSources } from './sources.ts';
import { ExpandedValue, parseYaml, type Tree } from './tree.ts';
import type { CollectorExporterConfig, PipelineConfig, ReceiverConfig, SelfMetricsConfig } from './types.ts';

/** `receiver`: the id that is meant; undefined: `usm`, or the only one there is. */
export function loadAttached(
  sources: readonly string[],
  sets: readonly string[],
  receiver: string | undefined,
  inputs: ConfigInputs,
): LoadedConfig {
  const warnings: ConfigWarning[] = [];
  // References elsewhere in the file may be of kinds that only the Collector knows.
  const ours = pickOurs(readSources(sources, sets, inputs, warnings));
  const { tree, problems } = expandTree(ours, inputs, warnings);
  throwProblems('USM_CONFIG_SOURCE', 'cannot resolve the configuration: ', problems);
  return resolve(tree, receiver, inputs, warnings);
}

/** `text`: JSON in the shape of a Collector's file, with nothing left to expand. */
export function loadSupervised(text: string, receiver: string | undefined, inputs: ConfigInputs): LoadedConfig {
  const parsed = parseYaml(text);
  if (parsed.kind === 'failed') {
    throwProblems('USM_CONFIG_SOURCE', 'cannot read the configuration on standard input: ', [parsed.message]);
  }
  return resolve(parsed.kind === 'parsed' ? parsed.tree : null, receiver, inputs, []);
}

function resolve(tree: Tree, receiver: string | undefined, inputs: ConfigInputs, warnings: ConfigWarning[]): LoadedConfig {
  const problems: string[] = [];
  const config = resolveConfig(pickOurs(tree), receiver, inputs, problems, warnings);
  throwProblems('USM_CONFIG_INVALID', 'invalid configuration: ', problems);
  assert(config !== undefined, 'a configuration without problems is complete');
  return { config: deepFreeze(config), warnings };
}

/** Undefined only with a problem. */
function resolveConfig(
  root: ReadonlyMap<string, Tree>,
  receiver: string | undefined,
  { env }: ConfigInputs,
  problems: string[],
  warnings: ConfigWarning[],
): ReceiverConfig | undefined {
  const entries = usmEntries(root.get('receivers'));
  const id = chooseReceiver([...entries.keys()], receiver, problems);
  if (id === undefined) return undefined;
  const block = checkBlock(entries.get(id) ?? null, `receivers::${id}`, receiverTypes.usm, problems);
  const { readers, withoutReaders } = splitReaders(root.get('service') ?? null);
  const service = checkBlock(withoutReaders, 'service', serviceBlock, problems);
  if (block === undefined || service === undefined) return undefined;
  const usm = resolveUsm(id, block, env);
  return {
    usm,
    exporters: [collectorAt(usm.collector.socketPath)],
    pipelines: pipelinesOf(id, service, problems),
    logs: resolveLogs(service.telemetry.logs),
    selfMetrics: selfMetricsOf(service.telemetry.metrics.level, readers, warnings),
    extensions: [],
  };
}

function chooseReceiver(ids: readonly string[], wanted: string | undefined, problems: string[]): string | undefined {
  const id = wanted ?? (ids.includes('usm') ? 'usm' : ids[0]);
  if (id === undefined) problems.push('receivers: there is no usm receiver');
  else if (!ids.includes(id)) problems.push(`receivers: there is no usm receiver "${id}"; there are [${ids.join(' ')}]`);
  else if (wanted === undefined && id !== 'usm' && ids.length > 1) {
    problems.push(`receivers: there are several usm receivers, [${ids.join(' ')}]; choose one with --receiver`);
  } else return id;
  return undefined;
}

/** One of each signal that the receiver is asked for: to which pipelines it goes is the Collector's business. */
function pipelinesOf(id: string, { pipelines }: ServiceBlock, problems: string[]): readonly PipelineConfig[] {
  const signals = (['traces', 'metrics'] as const).filter((signal) =>
    Object.entries(pipelines).some(
      ([key, { receivers }]) => typeOf(key) === signal && receivers.some((reference) => idOf(reference) === id),
    ),
  );
  if (signals.length === 0) problems.push(`service::pipelines: no traces and no metrics pipeline has the receiver "${id}"`);
  return signals.map((signal) => ({ id: signal, signal, exporters: ['collector'] }));
}

/**
 * Pages to be asked for are the Collector's: both would listen on the same port. What sends is there twice, each with its own name; a kind that only the
 * Collector has is left to it.
 */
function selfMetricsOf(level: string, readers: Tree, warnings: ConfigWarning[]): SelfMetricsConfig {
  const list = readers instanceof ExpandedValue ? readers.value : readers;
  const resolved: SelfMetricsConfig['readers'][number][] = [];
  for (const [at, reader] of (Array.isArray(list) ? (list as readonly Tree[]) : []).entries()) {
    if (mapOf(reader)?.has('periodic') !== true) continue;
    const problems: string[] = [];
    const metrics = new Map<string, Tree>([
      ['level', level],
      ['readers', [reader]],
    ]);
    const service = checkBlock(new Map([['telemetry', new Map([['metrics', metrics]])]]), 'service', serviceBlock, problems);
    const readersOfOne = service && resolveSelfMetrics(service.telemetry.metrics, problems).readers;
    if (problems.length === 0) resolved.push(...(readersOfOne ?? []));
    else
      warnings.push({
        message: 'A reader of service::telemetry::metrics is left to the Collector.',
        fields: { reader: at, reason: problems[0] },
      });
  }
  return resolved.length === 0
    ? { level: 'none', readers: [] }
    : { level: level.toLowerCase() as SelfMetricsConfig['level'], readers: resolved };
}

/** What the Collector does not take now waits here, for as long as there is room; it is on this host, and soon back. */
function collectorAt(socketPath: string): CollectorExporterConfig {
  return {
    kind: 'collector',
    id: 'collector',
    socketPath,
    timeoutMs: 30_000,
    sendingQueue: {
      enabled: true,
      numConsumers: 4,
      queueSize: 64 * 1024 * 1024,
      sizer: 'bytes',
      blockOnOverflow: false,
      storage: undefined,
      batch: { flushTimeoutMs: 200, sizer: 'items', minSize: 512, maxSize: 4_096 },
    },
    retryOnFailure: {
      enabled: true,
      initialIntervalMs: 500,
      multiplier: 1.5,
      randomizationFactor: 0.5,
      maxIntervalMs: 5_000,
      maxElapsedTimeMs: 0,
    },
  };
}

/** References are kept as they are: done again once they are expanded, this takes what they stand for. */
function pickOurs(root: Tree): ReadonlyMap<string, Tree> {
  const sections = mapOf(root) ?? new Map<string, Tree>();
  const service = keepKeys(sections.get('service') ?? null, ['pipelines', 'telemetry']);
  return new Map([
    ['receivers', keep(sections.get('receivers') ?? null, (key) => typeOf(key) === 'usm')],
    ['service', change(change(service, 'pipelines', pickPipelines), 'telemetry', pickTelemetry)],
  ]);
}

function pickPipelines(pipelines: Tree): Tree {
  const map = mapOf(keep(pipelines, (key) => typeOf(key) === 'traces' || typeOf(key) === 'metrics'));
  return map === undefined ? pipelines : new Map([...map].map(([key, pipeline]) => [key, keepKeys(pipeline, ['receivers'])]));
}

function pickTelemetry(telemetry: Tree): Tree {
  const keys = ['level', 'encoding', 'output_paths', 'error_output_paths', 'initial_fields'];
  const withLogs = change(keepKeys(telemetry, ['logs', 'metrics']), 'logs', (logs) => keepKeys(logs, keys));
  return change(withLogs, 'metrics', (metrics) => keepKeys(metrics, ['level', 'readers']));
}

/** The readers are looked at one by one. */
function splitReaders(service: Tree): { readonly readers: Tree; readonly withoutReaders: Tree } {
  const metrics = mapOf(mapOf(service)?.get('telemetry') ?? null)?.get('metrics') ?? null;
  const withoutReaders = change(service, 'telemetry', (telemetry) =>
    change(telemetry, 'metrics', () => keepKeys(metrics, ['level'])),
  );
  return { readers: mapOf(metrics)?.get('readers') ?? null, withoutReaders };
}

function usmEntries(receivers: Tree | undefined): ReadonlyMap<string, Tree> {
  return new Map([...(mapOf(receivers ?? null) ?? [])].map(([key, block]) => [idOf(key) ?? key, block]));
}

function keep(tree: Tree, isKept: (key: string) => boolean): Tree {
  const map = mapOf(tree);
  return map === undefined ? tree : new Map([...map].filter(([key]) => isKept(key)));
}

function keepKeys(tree: Tree, keys: readonly string[]): Tree {
  return keep(tree, (key) => keys.includes(key));
}

/** With another value for a key that is there. */
function change(tree: Tree, key: string, changed: (value: Tree) => Tree): Tree {
  const map = mapOf(tree);
  const value = map?.get(key);
  return map === undefined || value === undefined ? tree : new Map(map).set(key, changed(value));
}

function mapOf(tree: Tree): ReadonlyMap<string, Tree> | undefined {
  const value = tree instanceof ExpandedValue ? tree.value : tree;
  return value instanceof Map ? (value as ReadonlyMap<string, Tree>) : undefined;
}

function typeOf(key: string): string | undefined {
  const parsed = parseComponentId(key);
  return parsed.kind === 'id' ? parsed.type : undefined;
}

function idOf(key: string): string | undefined {
  const parsed = parseComponentId(key);
  return parsed.kind === 'id' ? parsed.id : undefined;
}
