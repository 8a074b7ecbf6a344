// Payloads → OTLP/gRPC (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc) with the Collector's endpoint forms, TLS rules and retryable codes.
// grpc-js is loaded when the first such exporter is made: it costs 50 ms and 10 MB that a `debug` configuration does not pay.
import type { Client, Metadata, ServiceError, status as Status } from '@grpc/grpc-js';
import { createSecureContext } from 'node:tls';
import type { Exporter, ExportResult, InstrumentationScope, Payload, Signal } from './exporter.ts';
import { readExportResponse, readRpcStatus } from './otlp-response.ts';
import { MAX_REQUEST_BYTES } from './request-buffers.ts';
import type { TlsOptions } from './tls.ts';
import { loadTls } from './tls.ts';

export interface OtlpGrpcOptions {
  readonly id: string;
  readonly endpoint: string;
  readonly tls: TlsOptions;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** Of one attempt; 0: no limit. */
  readonly timeoutMs: number;
  readonly keepalive: { readonly timeMs: number; readonly timeoutMs: number; readonly permitWithoutStream: boolean } | undefined;
  readonly userAgent: string | undefined;
}

const EXPORT_METHODS: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
};
/** grpc-js would wait up to two minutes before it connects again to a backend that came back. */
const MAX_RECONNECT_MS = 5000;

/** @throws {Error} when a TLS file cannot be read or its content is no key or certificate. */
export async function openOtlpGrpcExporter(
  options: OtlpGrpcOptions,
  signal: Signal,
  scope: InstrumentationScope,
): Promise<Exporter> {
  const grpc = await import('@grpc/grpc-js');
  const { target, isHttps } = grpcTarget(options.endpoint);
  const channelOptions = {
    'grpc.default_compression_algorithm':
      options.compression === 'gzip' ? grpc.compressionAlgorithms.gzip : grpc.compressionAlgorithms.identity,
    'grpc.primary_user_agent': options.userAgent ?? `${scope.name}/${scope.version}`,
    'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
    'grpc.service_config': '{"loadBalancingConfig":[{"round_robin":{}}]}',
    'grpc.service_config_disable_resolution': 1,
    // Retrying is ours: it knows the queue and the shutdown.
    'grpc.enable_retries': 0,
    ...(options.keepalive === undefined
      ? {}
      : {
          'grpc.keepalive_time_ms': options.keepalive.timeMs,
          'grpc.keepalive_timeout_ms': options.keepalive.timeoutMs,
          'grpc.keepalive_permit_without_calls': options.keepalive.permitWithoutStream ? 1 : 0,
        }),
    ...(options.tls.serverNameOverride === undefined
      ? {}
      : {
          'grpc.ssl_target_name_override': options.tls.serverNameOverride,
          'grpc.default_authority': options.tls.serverNameOverride,
        }),
  };
  let credentials = grpc.credentials.createInsecure();
  // As in the Collector: only `tls.insecure` turns TLS off, an http:// in the endpoint does not.
  if (isHttps || !options.tls.insecure) {
    const material = await loadTls(options.id, options.tls);
    try {
      credentials = grpc.credentials.createFromSecureContext(createSecureContext(material), {
        rejectUnauthorized: !options.tls.insecureSkipVerify,
      });
    } catch (cause) {
      throw new Error(`exporters::${options.id}::tls: ${(cause as Error).message}`, { cause });
    }
  }
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(options.headers)) {
    try {
      metadata.set(name, name.toLowerCase().endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    } catch (cause) {
      throw new Error(`exporters::${options.id}::headers: ${name}: ${(cause as Error).message}`, { cause });
    }
  }
  const client = new grpc.Client(target, credentials, channelOptions);
  return new OtlpGrpcExporter(options, signal, client, metadata, grpc.status);
}

/** `host:port`, `http(s)://host:port`, and what gRPC itself resolves: `unix:///path`, `dns:///host:port`. */
export function grpcTarget(endpoint: string): { readonly target: string; readonly isHttps: boolean } {
  for (const scheme of ['http://', 'https://']) {
    if (!endpoint.toLowerCase().startsWith(scheme)) continue;
    const host = endpoint.slice(scheme.length);
    return { target: host.endsWith('/') ? host.slice(0, -1) : host, isHttps: scheme === 'https://' };
  }
  return { target: endpoint, isHttps: false };
}

class OtlpGrpcExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal;
  readonly maxPayloadBytes = MAX_REQUEST_BYTES;
  readonly #options: OtlpGrpcOptions;
  readonly #client: Client;
  readonly #metadata: Metadata;
  readonly #retryable: ReadonlySet<Status>;
  readonly #resourceExhausted: Status;
  #isClosed = false;

  constructor(options: OtlpGrpcOptions, signal: Signal, client: Client, metadata: Metadata, status: typeof Status) {
    this.id = options.id;
    this.signal = signal;
    this.#options = options;
    this.#client = client;
    this.#metadata = metadata;
    this.#retryable = new Set([
      status.CANCELLED,
      status.DEADLINE_EXCEEDED,
      status.ABORTED,
      status.OUT_OF_RANGE,
      status.UNAVAILABLE,
      status.DATA_LOSS,
    ]);
    this.#resourceExhausted = status.RESOURCE_EXHAUSTED;
  }

  export(payload: Payload): Promise<ExportResult> {
    if (this.#isClosed) return Promise.resolve({ kind: 'retryable', message: 'the exporter is closed' });
    // grpc-js takes deadlines in wall-clock time only.
    const deadline = this.#options.timeoutMs > 0 ? { deadline: Date.now() + this.#options.timeoutMs } : {};
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest<Uint8Array, Uint8Array>(
        EXPORT_METHODS[this.signal],
        asBuffer,
        asBytes,
        payload.body,
        this.#metadata.clone(),
        deadline,
        (error, response) => {
          resolve(error === null ? readExportResponse(response ?? new Uint8Array(0), payload.items) : this.#failure(error));
        },
      );
    });
  }

  close(): Promise<void> {
    // Running calls end with UNAVAILABLE or CANCELLED, and their promises with them.
    if (!this.#isClosed) this.#client.close();
    this.#isClosed = true;
    return Promise.resolve();
  }

  #failure(error: ServiceError): ExportResult {
    const details = error.metadata.get('grpc-status-details-bin')[0];
    const status = details instanceof Uint8Array ? readRpcStatus(details) : undefined;
    const message = `${this.#options.endpoint}: ${error.message}${this.#hint(error.message)}`;
    const retryDelayMs = status?.retryDelayMs;
    const isRetryable = this.#retryable.has(error.code) || (error.code === this.#resourceExhausted && retryDelayMs !== undefined);
    if (!isRetryable) return { kind: 'refused', message };
    return retryDelayMs === undefined || retryDelayMs === 0
      ? { kind: 'retryable', message }
      : { kind: 'retryable', message, retryAfterMs: retryDelayMs };
  }

  #hint(message: string): string {
    const isTlsToPlain = /wrong version number|packet length too long/i.test(message);
    return isTlsToPlain ? ' (the endpoint does not speak TLS; set tls::insecure to true)' : '';
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function asBytes(bytes: Buffer): Uint8Array {
  return bytes;
}
