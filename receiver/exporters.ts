// Configuration -> exporters with their queues: where the configuration's names meet the export stage.
import * as fs from 'node:fs/promises';
import type { Clock } from './clock.ts';
import type { ExporterConfig } from './config/types.ts';
import { ReceiverError, messageOf } from './errors.ts';
import { createDebugExporter, type Write } from './export/debug.ts';
import { type DecoratedExporter, directDelivery } from './export/export-lane.ts';
import type { InstrumentationScope } from './export/exporter.ts';
import { openFileExporter } from './export/file.ts';
import { openOtlpGrpcExporter } from './export/otlp-grpc.ts';
import { openOtlpHttpExporter } from './export/otlp-http.ts';
import type { Timers } from './export/timers.ts';

/** `debug` shows a transaction at once: it is for people. */
const DEBUG_FLUSH_MS = 100;

export interface ExporterDependencies {
  readonly scope: InstrumentationScope;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Standard output. */
  readonly write: Write;
}

/** Opens what can be opened without a network; a backend that is not there yet is no error. */
export async function openExporters(
  configs: readonly ExporterConfig[],
  dependencies: ExporterDependencies,
): Promise<readonly DecoratedExporter[]> {
  const opened: DecoratedExporter[] = [];
  for (const config of configs) {
    try {
      opened.push(await openExporter(config, dependencies));
    } catch (error) {
      await Promise.all(opened.map(({ exporter }) => exporter.close()));
      throw new ReceiverError(
        'USM_EXPORTER_START',
        { attempted: 'start the exporter', on: `'${config.id}'`, happened: messageOf(error) },
        error,
      );
    }
  }
  return opened;
}

async function openExporter(config: ExporterConfig, dependencies: ExporterDependencies): Promise<DecoratedExporter> {
  const { scope, clock, timers, write } = dependencies;
  switch (config.kind) {
    case 'debug':
      return directDelivery(createDebugExporter(config, 'traces', scope, clock, write), DEBUG_FLUSH_MS);
    case 'file':
      return directDelivery(await openFileExporter(config, 'traces', scope, clock, fs), config.flushIntervalMs);
    case 'otlp_grpc': {
      const { sendingQueue, retryOnFailure } = config;
      return { exporter: await openOtlpGrpcExporter(config, 'traces', scope, clock), sendingQueue, retryOnFailure };
    }
    case 'otlp_http': {
      const { sendingQueue, retryOnFailure } = config;
      return {
        exporter: await openOtlpHttpExporter(
          { userAgent: undefined, ...config, url: config.tracesEndpoint },
          'traces',
          scope,
          clock,
          timers,
        ),
        sendingQueue,
        retryOnFailure,
      };
    }
  }
}
