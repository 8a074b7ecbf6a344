// How the receiver is → 200, or 503 with the reasons: capture runs, events are taken in time, and no exporter has been failing for long.
// Answers are those of the Collector's extension: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/extension/healthcheckextension
import { type HttpHandler, json, text } from './http-server.ts';

export type Phase = 'starting' | 'running' | 'stopping';

/** Of one exporter and signal, since the start. */
export interface Deliveries {
  readonly id: string;
  readonly signal: string;
  readonly accepted: number;
  readonly rejected: number;
  readonly failed: number;
  readonly queueFull: number;
  readonly queueSize: number;
}

export interface HealthSources {
  phase(): Phase;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** When events were last taken from the kernel, by the same clock. */
  lastTakenMs(): number;
  deliveries(): readonly Deliveries[];
  /** Unix milliseconds at which capture began; undefined before. */
  upSinceMs(): number | undefined;
}

export interface HealthOptions {
  readonly path: string;
  readonly healthyBody: string | undefined;
  readonly unhealthyBody: string | undefined;
  readonly stallTimeoutMs: number;
  /** 0: exporters are not looked at. */
  readonly exporterFailureTimeoutMs: number;
}

export interface HealthProblem {
  /** `capture`, or the exporter's id and signal. */
  readonly component: string;
  readonly problem: string;
}

interface LastSeen {
  counts: Deliveries;
  /** Since when it has delivered nothing although it had something; undefined: it delivers, or has nothing to deliver. */
  failingSinceMs: number | undefined;
}

/** Watches the exporters' counters: {@link look} has to be called about every second. */
export class Health {
  readonly #sources: HealthSources;
  readonly #options: HealthOptions;
  readonly #exporters = new Map<string, LastSeen>();

  constructor(sources: HealthSources, options: HealthOptions) {
    this.#sources = sources;
    this.#options = options;
  }

  look(): void {
    const now = this.#sources.nowMs();
    for (const counts of this.#sources.deliveries()) {
      const key = `${counts.id} ${counts.signal}`;
      const last = this.#exporters.get(key);
      if (last === undefined) {
        this.#exporters.set(key, { counts, failingSinceMs: undefined });
        continue;
      }
      if (counts.accepted > last.counts.accepted) last.failingSinceMs = undefined;
      else if (isFailing(last.counts, counts)) last.failingSinceMs ??= now;
      last.counts = counts;
    }
  }

  problems(): readonly HealthProblem[] {
    const phase = this.#sources.phase();
    if (phase !== 'running')
      return [{ component: 'capture', problem: phase === 'starting' ? 'not running yet' : 'shutting down' }];
    this.look();
    const now = this.#sources.nowMs();
    const problems: HealthProblem[] = [];
    const { stallTimeoutMs, exporterFailureTimeoutMs } = this.#options;
    const stalledMs = now - this.#sources.lastTakenMs();
    if (stalledMs > stallTimeoutMs) {
      problems.push({ component: 'capture', problem: `no events were taken from the kernel for ${seconds(stalledMs)} s` });
    }
    if (exporterFailureTimeoutMs === 0) return problems;
    for (const { counts, failingSinceMs } of this.#exporters.values()) {
      if (failingSinceMs === undefined || now - failingSinceMs <= exporterFailureTimeoutMs) continue;
      problems.push({
        component: `${counts.id} (${counts.signal})`,
        problem: `has delivered nothing for ${seconds(now - failingSinceMs)} s: ${counts.queueSize} in the queue, ${counts.failed} given up, ${counts.rejected} refused`,
      });
    }
    return problems;
  }
}

/** Nothing was delivered in between: had it something to deliver? What was given up or refused is gone, but not delivered. */
function isFailing(before: Deliveries, now: Deliveries): boolean {
  return now.queueSize > 0 || now.failed > before.failed || now.rejected > before.rejected || now.queueFull > before.queueFull;
}

export function createHealthHandler(health: Health, sources: HealthSources, options: HealthOptions): HttpHandler {
  return ({ path }) => {
    if (path !== options.path) return text(404, `the health check is at ${options.path}\n`);
    const problems = health.problems();
    if (problems.length > 0) {
      if (options.unhealthyBody !== undefined) return text(503, options.unhealthyBody);
      return json(503, { status: 'Server not available', problems });
    }
    if (options.healthyBody !== undefined) return text(200, options.healthyBody);
    const upSinceMs = sources.upSinceMs();
    return json(200, {
      status: 'Server available',
      ...(upSinceMs === undefined ? {} : { upSince: new Date(upSinceMs).toISOString() }),
    });
  };
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
