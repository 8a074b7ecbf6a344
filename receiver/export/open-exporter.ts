// One exporter of the configuration → the exporter, ready to be fed.
import type { DebugOptions, Write } from './debug.ts';
import { createDebugExporter } from './debug.ts';
import type { DecoratedExporter } from './export-lane.ts';
import { directDelivery } from './export-lane.ts';
import type { InstrumentationScope, UnixTime } from './exporter.ts';
import type { FileOptions, FileSystem } from './file.ts';
import { openFileExporter } from './file.ts';
import type { OtlpGrpcOptions } from './otlp-grpc.ts';
import { openOtlpGrpcExporter } from './otlp-grpc.ts';
import type { OtlpHttpOptions } from './otlp-http.ts';
import { openOtlpHttpExporter } from './otlp-http.ts';
import type { Timers } from './timers.ts';

type Delivery = Pick<DecoratedExporter, 'sendingQueue' | 'retryOnFailure'>;

export type ExporterOptions =
  | ({ readonly kind: 'otlp_grpc' } & OtlpGrpcOptions & Delivery)
  | ({ readonly kind: 'otlp_http' } & OtlpHttpOptions & Delivery)
  | ({ readonly kind: 'debug' } & DebugOptions)
  | ({ readonly kind: 'file' } & FileOptions & { readonly flushIntervalMs: number });

export interface ExporterDependencies {
  readonly scope: InstrumentationScope;
  readonly clock: UnixTime;
  readonly timers: Timers;
  readonly files: FileSystem;
  /** Output of `debug` exporters. */
  readonly write: Write;
}

/** Soon enough for someone who watches, and still one write for many lines under load. */
const DEBUG_FLUSH_MS = 50;

/** @throws {Error} with the key or the path that is wrong: a TLS file, a header, the path of a file exporter. */
export async function openExporter(options: ExporterOptions, dependencies: ExporterDependencies): Promise<DecoratedExporter> {
  const { scope, clock, timers, files, write } = dependencies;
  switch (options.kind) {
    case 'otlp_grpc': {
      const exporter = await openOtlpGrpcExporter(options, scope, clock);
      return { exporter, sendingQueue: options.sendingQueue, retryOnFailure: options.retryOnFailure };
    }
    case 'otlp_http': {
      const exporter = await openOtlpHttpExporter(options, scope, clock, timers);
      return { exporter, sendingQueue: options.sendingQueue, retryOnFailure: options.retryOnFailure };
    }
    case 'debug':
      return directDelivery(createDebugExporter(options, scope, clock, write), DEBUG_FLUSH_MS);
    case 'file':
      // The flush interval is how long lines may wait; they are acknowledged when they are written.
      return directDelivery(await openFileExporter(options, scope, clock, files), options.flushIntervalMs);
  }
}
