// Starts a real Collector and a real Jaeger on free ports of 127.0.0.1, waits until they serve, stops them.
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../traffic/listener.ts';
import type { Cleanup } from '../traffic/program.ts';

type PeerName = 'collector' | 'jaeger';

/** Path of the binary; builds it the first time, which takes minutes. */
export function buildPeer(name: PeerName): string {
  return execFileSync(path.join(import.meta.dirname, 'build.sh'), [name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

export interface Peer {
  readonly pid: number;
  /** Both are OpenTelemetry Collectors inside, and log like one. */
  log(): string;
  /** SIGTERM, flushes and waits. */
  stop(): Promise<void>;
}

async function startPeer(cleanup: Cleanup, name: PeerName, config: object, folder: string): Promise<Peer> {
  const file = path.join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify(config, undefined, 2)); // JSON is YAML
  const child = spawn(buildPeer(name), ['--config', file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const exited = once(child, 'close');
  exited.catch(() => {});
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    // Jaeger waits for its query clients' idle connections, and has nothing that would be lost.
    const timer = setTimeout(() => child.kill('SIGKILL'), name === 'jaeger' ? 500 : 10_000);
    await exited.catch(() => {});
    clearTimeout(timer);
  };
  cleanup.after(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`${name} ${what}: ${log.slice(-4000)}`));
    const timer = setTimeout(() => fail('was not ready within 30 s'), 30_000);
    const take = (text: string): void => {
      log += text;
      if (!log.includes('Everything is ready')) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('close', () => {
      clearTimeout(timer);
      fail('ended');
    });
    child.on('error', (error) => fail(String(error)));
  });
  return { pid: child.pid!, log: () => log, stop };
}

const listenAddress = (port: number): string => `127.0.0.1:${port}`;

export interface Collector extends Peer {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** OTLP JSON, a request per line, of all spans that came in. */
  readonly file: string;
  /** The same of all metrics. */
  readonly metricsFile: string;
  /** A page for Prometheus with all metrics. */
  readonly metricsPage: string;
}

/** otlp receiver → `file`, `debug` and the given exporters. */
export async function startCollector(
  cleanup: Cleanup,
  options: {
    readonly exporters?: Readonly<Record<string, object>>;
    /** False: what comes in is only counted, in its log. */
    readonly hasFile?: boolean;
    /** Those of one that was stopped, to take its place. */
    readonly ports?: { readonly grpcPort: number; readonly httpPort: number };
    /** Path of a UNIX socket on which it takes OTLP/gRPC too. */
    readonly socket?: string;
  } = {},
): Promise<Collector> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-collector-'));
  const { grpcPort, httpPort } = options.ports ?? { grpcPort: await freePort(), httpPort: await freePort() };
  const file = path.join(folder, 'spans.json');
  const toFile = options.hasFile === false ? {} : { file: { path: file, flush_interval: '100ms' } };
  const metricsFile = path.join(folder, 'metrics.json');
  const metricsToFile = { 'file/metrics': { path: metricsFile, flush_interval: '100ms' } };
  const page = listenAddress(await freePort());
  const metricsToPage = { prometheus: { endpoint: page, enable_open_metrics: true } };
  // Its own logger leaves nothing out, unlike the Collector's.
  const exporters = { ...toFile, debug: { use_internal_logger: options.hasFile !== false }, ...options.exporters };
  const bySocket: Readonly<Record<string, object>> =
    options.socket === undefined
      ? {}
      : { 'otlp/socket': { protocols: { grpc: { transport: 'unix', endpoint: options.socket } } } };
  const receivers = ['otlp', ...Object.keys(bySocket)];
  const config = {
    receivers: {
      otlp: { protocols: { grpc: { endpoint: listenAddress(grpcPort) }, http: { endpoint: listenAddress(httpPort) } } },
      ...bySocket,
    },
    processors: { batch: { timeout: '100ms' } },
    exporters: { ...exporters, ...metricsToFile, ...metricsToPage },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        traces: { receivers, processors: ['batch'], exporters: Object.keys(exporters) },
        metrics: { receivers, exporters: Object.keys({ ...metricsToFile, ...metricsToPage }) },
      },
    },
  };
  const peer = await startPeer(cleanup, 'collector', config, folder);
  return { ...peer, grpcPort, httpPort, file, metricsFile, metricsPage: `http://${page}/metrics` };
}

export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly processID: string;
  readonly references: readonly { readonly refType: string; readonly spanID: string }[];
  readonly tags: readonly { readonly key: string; readonly value: string | number | boolean }[];
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<
    Record<string, { readonly serviceName: string; readonly tags: readonly { readonly key: string; readonly value: unknown }[] }>
  >;
}

export interface Jaeger extends Peer {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly queryPort: number;
  services(): Promise<readonly string[]>;
  /** The newest traces that have a span of this service. */
  traces(service: string, limit?: number): Promise<readonly JaegerTrace[]>;
}

/** All in one: OTLP in, memory storage, query API. */
export async function startJaeger(cleanup: Cleanup): Promise<Jaeger> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-jaeger-'));
  const [grpcPort, httpPort, queryPort, queryGrpcPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const config = {
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 100_000 } } } },
      jaeger_query: {
        storage: { traces: 'memory' },
        http: { endpoint: listenAddress(queryPort) },
        grpc: { endpoint: listenAddress(queryGrpcPort) },
      },
    },
    receivers: {
      otlp: { protocols: { grpc: { endpoint: listenAddress(grpcPort) }, http: { endpoint: listenAddress(httpPort) } } },
    },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
    },
  };
  const peer = await startPeer(cleanup, 'jaeger', config, folder);
  const ask = async <T>(request: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${queryPort}${request}`);
    const { data } = (await response.json()) as { data: T };
    return data;
  };
  return {
    ...peer,
    grpcPort,
    httpPort,
    queryPort,
    services: async () => (await ask<string[] | null>('/api/services')) ?? [],
    traces: async (service, limit = 1000) =>
      (await ask<JaegerTrace[] | null>(`/api/traces?service=${encodeURIComponent(service)}&limit=${limit}`)) ?? [],
  };
}
