// What an operator asks a running receiver: its health, its metrics, profiles, and where each transaction is. Opens the extensions and the
// readers of own metrics before capture starts; what they answer is told by the receiver once it runs.
import { randomUUID } from 'node:crypto';
import { product, version } from './cli/version.ts';
import type { ExtensionConfig, OtlpMetricReaderConfig, PrometheusReaderConfig, ReceiverConfig } from './config/types.ts';
import { messageOf, ReceiverError } from './errors.ts';
import { createHealthHandler, type Deliveries, Health, type HealthSources, type Phase } from './extensions/health-check.ts';
import { type HttpHandler, type HttpServer, serveHttp, text } from './extensions/http-server.ts';
import { createPprofHandler } from './extensions/pprof.ts';
import { createZpagesHandler } from './extensions/zpages.ts';
import type { Logger } from './log.ts';
import type { ConnectionFilter } from './model/inspection.ts';
import { type Instrument, instrumentsAt } from './telemetry/self/instruments.ts';
import { formatPrometheus, PROMETHEUS_CONTENT_TYPE, type SelfIdentity } from './telemetry/self/prometheus-text.ts';
import type { Readings } from './telemetry/self/readings.ts';

/** What the receiver tells of itself, once it captures. */
export interface Observed {
  readings(): Readings;
  deliveries(): readonly Deliveries[];
  /** Plain data, bounded by the filter's limit. */
  inspect(filter: ConnectionFilter): object;
  /** Monotonic milliseconds at which events were last taken from the kernel. */
  lastTakenMs(): number;
}

export interface OperationsOptions {
  readonly config: ReceiverConfig;
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
}

export interface Operations {
  /** Ports that extensions and readers listen on. */
  readonly ports: ReadonlySet<number>;
  /** Capture runs. */
  running(observed: Observed): void;
  /** The receiver is on its way out: health checks fail from now on. */
  stopping(): void;
  /** Sends the last metrics, within the time, and stops listening. May be called twice. */
  close(withinMs: number): Promise<void>;
}

/** How often the exporters' counters are looked at. */
const HEALTH_INTERVAL_MS = 1_000;

type Closing = (withinMs: number) => Promise<void>;

/** Throws a ReceiverError when something that was configured cannot start; nothing is left open then. */
export async function startOperations(options: OperationsOptions): Promise<Operations> {
  const operations = new RunningOperations(options);
  try {
    await operations.open();
  } catch (error) {
    await operations.close(0);
    throw error;
  }
  return operations;
}

class RunningOperations implements Operations {
  readonly #options: OperationsOptions;
  readonly #startMs: number;
  readonly #identity: SelfIdentity;
  readonly #closings: Closing[] = [];
  readonly ports = new Set<number>();
  #phase: Phase = 'starting';
  #observed: Observed | undefined;
  #upSinceMs: number | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#startMs = options.wallMs();
    this.#identity = {
      resource: { 'service.name': product, 'service.version': version, 'service.instance.id': randomUUID() },
      scope: { name: product, version },
    };
  }

  async open(): Promise<void> {
    const { extensions, selfMetrics } = this.#options.config;
    for (const extension of extensions) await this.#openExtension(extension);
    if (selfMetrics.level === 'none') return;
    const instruments = instrumentsAt(selfMetrics.level);
    for (const reader of selfMetrics.readers) {
      if (reader.kind === 'prometheus') await this.#openPrometheus(reader, instruments);
      else await this.#openOtlp(reader, instruments);
    }
  }

  running(observed: Observed): void {
    this.#observed = observed;
    this.#phase = 'running';
    this.#upSinceMs = this.#options.wallMs();
  }

  stopping(): void {
    this.#phase = 'stopping';
  }

  close(withinMs: number): Promise<void> {
    this.#closed ??= Promise.all(this.#closings.map((close) => close(withinMs))).then(() => undefined);
    return this.#closed;
  }

  async #openExtension(extension: ExtensionConfig): Promise<void> {
    switch (extension.kind) {
      case 'health_check': {
        const sources = this.#healthSources();
        const health = new Health(sources, extension);
        const timer = setInterval(() => {
          health.look();
        }, HEALTH_INTERVAL_MS);
        this.#closings.push(() => {
          clearInterval(timer);
          return Promise.resolve();
        });
        await this.#serve(extension, createHealthHandler(health, sources, extension));
        return;
      }
      case 'pprof':
        await this.#serve(extension, createPprofHandler(after));
        return;
      case 'zpages':
        await this.#serve(
          extension,
          createZpagesHandler((filter) => this.#inspect(filter)),
        );
        return;
      case 'file_storage':
        // Belongs to the exporters, which open it.
        return;
    }
  }

  async #serve(extension: Exclude<ExtensionConfig, { readonly kind: 'file_storage' }>, handler: HttpHandler): Promise<void> {
    const server = await serveHttp(`extension "${extension.id}"`, extension.listen, handler);
    this.#own(server);
    this.#options.logger.info('Extension started.', { extension: extension.id, endpoint: server.address });
  }

  #own(server: HttpServer): void {
    this.ports.add(server.port);
    this.#closings.push(() => server.close());
  }

  async #openPrometheus(reader: PrometheusReaderConfig, instruments: readonly Instrument[]): Promise<void> {
    const { logger } = this.#options;
    const handler: HttpHandler = ({ path }) => {
      if (path !== '/metrics') return text(404, 'metrics are at /metrics\n');
      const observed = this.#observed;
      if (observed === undefined) return text(503, 'not running yet\n');
      const body = formatPrometheus(instruments, observed.readings(), reader, this.#identity);
      return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, body };
    };
    try {
      const server = await serveHttp('the metrics about usm-receiver', reader.listen, handler);
      this.#own(server);
      logger.info('Serving metrics about usm-receiver.', { endpoint: `http://${server.address}/metrics` });
    } catch (error) {
      if (!reader.isDefault) throw error;
      logger.warn(
        'The default port for metrics about usm-receiver is taken; there are none. Set service::telemetry::metrics::readers to serve them elsewhere, or level: none.',
        { error: messageOf(error) },
      );
    }
  }

  async #openOtlp(config: OtlpMetricReaderConfig, instruments: readonly Instrument[]): Promise<void> {
    const { logger, wallMs } = this.#options;
    const { openOtlpReader } = await import('./telemetry/self/otlp-reader.ts');
    try {
      const reader = await openOtlpReader(config, {
        instruments,
        identity: this.#identity,
        read: () => this.#observed?.readings(),
        startMs: this.#startMs,
        nowMs: wallMs,
        onFailure: (message) => {
          logger.warnLimited('self_metrics', 'Metrics about usm-receiver could not be sent.', {
            endpoint: config.endpoint,
            error: message,
          });
        },
      });
      this.#closings.push((withinMs) => reader.close(withinMs));
    } catch (error) {
      throw new ReceiverError(
        'USM_METRICS_START',
        { attempted: 'send metrics about usm-receiver to', on: config.endpoint, happened: messageOf(error) },
        error,
      );
    }
  }

  #healthSources(): HealthSources {
    const { nowMs } = this.#options;
    return {
      phase: () => this.#phase,
      nowMs,
      lastTakenMs: () => this.#observed?.lastTakenMs() ?? nowMs(),
      deliveries: () => this.#observed?.deliveries() ?? [],
      upSinceMs: () => this.#upSinceMs,
    };
  }

  #inspect(filter: ConnectionFilter): object {
    const uptimeSeconds = (this.#options.wallMs() - this.#startMs) / 1000;
    return {
      receiver: { version, phase: this.#phase, uptime_seconds: Math.round(uptimeSeconds) },
      ...this.#observed?.inspect(filter),
    };
  }
}

function after(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
