// Configuration -> exporters with their queues and encoders: where the configuration's names meet the export stage.
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import type { Clock } from './clock.ts';
import type { ExporterConfig, ExtensionConfig } from './config/types.ts';
import { assert, ReceiverError, messageOf } from './errors.ts';
import { openCollectorExporters } from './export/collector-link.ts';
import { DebugMetricEncoder } from './export/debug-metrics-text.ts';
import { createDebugExporter, DebugTraceEncoder, type Write } from './export/debug.ts';
import { type DecoratedExporter, directDelivery } from './export/export-lane.ts';
import type { Exporter, ExportLogger, InstrumentationScope, RequestEncoder, Signal } from './export/exporter.ts';
import { openFileExporters } from './export/file.ts';
import { openOtlpGrpcExporter } from './export/otlp-grpc.ts';
import { TraceJsonEncoder } from './export/otlp-json.ts';
import { MetricJsonEncoder } from './export/otlp-metrics-json.ts';
import { MetricRequestEncoder } from './export/otlp-metrics-protobuf.ts';
import { TraceRequestEncoder } from './export/otlp-protobuf.ts';
import type { PayloadStore, StorageThread } from './export/storage/file-storage.ts';
import type { Timers } from './export/timers.ts';
import type { ResourceMetric } from './model/metric.ts';
import type { Span } from './model/span.ts';

/** `debug` shows a transaction at once: it is for people. */
const DEBUG_FLUSH_MS = 100;

export interface ExporterDependencies {
  readonly scope: InstrumentationScope;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: ExportLogger;
  /** Among them the storages that sending queues name. */
  readonly extensions: readonly ExtensionConfig[];
  /** Standard output. */
  readonly write: Write;
  /** Of this process. */
  readonly ownUid: number;
}

/** What each pipeline exports to. */
export interface OpenExporters {
  readonly traces: readonly DecoratedExporter<Span>[];
  readonly metrics: readonly DecoratedExporter<ResourceMetric>[];
  /** Ends what all of them share, after they are closed. May be called twice. */
  close(): Promise<void>;
}

/** Opens what can be opened without a network; a backend that is not there yet is no error. */
export async function openExporters(
  pipelines: { readonly traces: readonly ExporterConfig[]; readonly metrics: readonly ExporterConfig[] },
  dependencies: ExporterDependencies,
): Promise<OpenExporters> {
  const opened: Exporter[] = [];
  const storage = new Storage(dependencies);
  const traces: DecoratedExporter<Span>[] = [];
  const metrics: DecoratedExporter<ResourceMetric>[] = [];
  for (const config of new Set([...pipelines.traces, ...pipelines.metrics])) {
    const signals = (['traces', 'metrics'] as const).filter((signal) => pipelines[signal].includes(config));
    try {
      for (const exporter of await openSenders(config, signals, dependencies)) {
        opened.push(exporter);
        const store = await storage.open(config, exporter.signal);
        if (exporter.signal === 'traces') {
          traces.push({ exporter, encoder: traceEncoder(config, dependencies), ...deliveryOf(config), store });
        } else {
          metrics.push({ exporter, encoder: metricEncoder(config, dependencies), ...deliveryOf(config), store });
        }
      }
    } catch (error) {
      await Promise.all([...opened.map((exporter) => exporter.close()), storage.close()]);
      throw new ReceiverError(
        'USM_EXPORTER_START',
        { attempted: 'start the exporter', on: `'${config.id}'`, happened: messageOf(error) },
        error,
      );
    }
  }
  return { traces, metrics, close: () => storage.close() };
}

/** The storage thread, started when the first queue asks for it. */
class Storage {
  readonly #dependencies: ExporterDependencies;
  #thread: StorageThread | undefined;

  constructor(dependencies: ExporterDependencies) {
    this.#dependencies = dependencies;
  }

  /** Undefined: the queue is in memory. */
  async open(config: ExporterConfig, signal: Signal): Promise<PayloadStore | undefined> {
    const id = 'sendingQueue' in config ? config.sendingQueue.storage : undefined;
    const { extensions, logger } = this.#dependencies;
    const options = extensions.find((extension) => extension.id === id);
    if (options?.kind !== 'file_storage') return undefined;
    if (this.#thread === undefined) {
      const { StorageThread } = await import('./export/storage/file-storage.ts');
      this.#thread = new StorageThread(logger);
    }
    const encoding = config.kind === 'otlp_http' ? config.encoding : 'proto';
    return this.#thread.open(options, config.id, signal, encoding);
  }

  async close(): Promise<void> {
    await this.#thread?.close();
  }
}

/** One for each signal. */
async function openSenders(
  config: ExporterConfig,
  signals: readonly Signal[],
  { scope, clock, timers, logger, write, ownUid }: ExporterDependencies,
): Promise<readonly Exporter[]> {
  switch (config.kind) {
    case 'collector':
      return openCollectorExporters({ ...config, ownUid, instance: randomUUID() }, signals, {
        scope,
        timers,
        logger,
        lstat: fs.lstat,
      });
    case 'debug':
      return signals.map((signal) => createDebugExporter(config.id, signal, write));
    case 'file':
      return openFileExporters(config, signals, clock, fs);
    case 'otlp_grpc':
      return Promise.all(signals.map((signal) => openOtlpGrpcExporter(config, signal, scope)));
    case 'otlp_http': {
      const { openOtlpHttpExporter } = await import('./export/otlp-http.ts');
      return Promise.all(
        signals.map((signal) => {
          const url = signal === 'traces' ? config.tracesEndpoint : config.metricsEndpoint;
          assert(url !== undefined, 'the configuration was checked for endpoints');
          return openOtlpHttpExporter({ ...config, url }, signal, scope, clock, timers);
        }),
      );
    }
  }
}

function traceEncoder(config: ExporterConfig, { scope, clock }: ExporterDependencies): RequestEncoder<Span> {
  switch (config.kind) {
    case 'debug':
      return new DebugTraceEncoder(config.verbosity, scope, clock);
    case 'file':
      return new TraceJsonEncoder(scope, clock, '\n');
    case 'collector':
    case 'otlp_grpc':
      return new TraceRequestEncoder(scope, clock);
    case 'otlp_http':
      return config.encoding === 'json' ? new TraceJsonEncoder(scope, clock) : new TraceRequestEncoder(scope, clock);
  }
}

function metricEncoder(config: ExporterConfig, { scope, clock }: ExporterDependencies): RequestEncoder<ResourceMetric> {
  switch (config.kind) {
    case 'debug':
      return new DebugMetricEncoder(config.verbosity, scope, clock);
    case 'file':
      return new MetricJsonEncoder(scope, clock, '\n');
    case 'collector':
    case 'otlp_grpc':
      return new MetricRequestEncoder(scope, clock);
    case 'otlp_http':
      return config.encoding === 'json' ? new MetricJsonEncoder(scope, clock) : new MetricRequestEncoder(scope, clock);
  }
}

function deliveryOf(config: ExporterConfig): Pick<DecoratedExporter<unknown>, 'sendingQueue' | 'retryOnFailure'> {
  switch (config.kind) {
    case 'debug':
      return directDelivery(DEBUG_FLUSH_MS);
    case 'file':
      return directDelivery(config.flushIntervalMs);
    case 'collector':
    case 'otlp_grpc':
    case 'otlp_http':
      return { sendingQueue: config.sendingQueue, retryOnFailure: config.retryOnFailure };
  }
}
