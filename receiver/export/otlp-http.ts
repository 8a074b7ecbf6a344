// Payloads → OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp): one POST each over kept-alive connections, answers as the
// specification reads them: 429, 502, 503 and 504 are retryable, with Retry-After; every other error is final.
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Exporter, ExportResult, InstrumentationScope, Payload, Signal, UnixTime } from './exporter.ts';
import { readExportResponse, readExportResponseJson, readRpcStatus, readRpcStatusJson } from './otlp-response.ts';
import { MAX_REQUEST_BYTES } from './request-buffers.ts';
import type { Timers } from './timers.ts';
import type { TlsMaterial, TlsOptions } from './tls.ts';
import { loadTls } from './tls.ts';

export interface OtlpHttpOptions {
  readonly id: string;
  /** Full URL of the signal's resource. */
  readonly url: string;
  readonly encoding: 'proto' | 'json';
  readonly tls: TlsOptions;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** Of one attempt; 0: no limit. */
  readonly timeoutMs: number;
  /** Absent: the scope's name and version. */
  readonly userAgent?: string | undefined;
}

/** Of an answer, as much is read as the Collector's exporter reads. */
const MAX_RESPONSE_BYTES = 64 * 1024;
const CLOSED: ExportResult = { kind: 'retryable', message: 'the exporter is closed' };
const RETRYABLE: readonly number[] = [429, 502, 503, 504];

const compress = promisify(gzip);

/** @throws {Error} when a TLS file cannot be read or its content is no key or certificate. */
export async function openOtlpHttpExporter(
  options: OtlpHttpOptions,
  signal: Signal,
  scope: InstrumentationScope,
  clock: UnixTime,
  timers: Timers,
): Promise<Exporter> {
  const url = new URL(options.url);
  const material = url.protocol === 'https:' ? await loadTls(options.id, options.tls) : undefined;
  return new OtlpHttpExporter(options, signal, url, scope, clock, timers, material);
}

class OtlpHttpExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal;
  readonly maxPayloadBytes = MAX_REQUEST_BYTES;
  readonly #options: OtlpHttpOptions;
  readonly #url: URL;
  readonly #clock: UnixTime;
  readonly #timers: Timers;
  readonly #agent: HttpAgent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #running = new Set<ClientRequest>();
  #isClosed = false;

  constructor(
    options: OtlpHttpOptions,
    signal: Signal,
    url: URL,
    scope: InstrumentationScope,
    clock: UnixTime,
    timers: Timers,
    material: TlsMaterial | undefined,
  ) {
    this.id = options.id;
    this.signal = signal;
    this.#options = options;
    this.#url = url;
    this.#clock = clock;
    this.#timers = timers;
    this.#headers = {
      'content-type': options.encoding === 'json' ? 'application/json' : 'application/x-protobuf',
      'user-agent': options.userAgent ?? `${scope.name}/${scope.version}`,
      ...(options.compression === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
      ...options.headers,
    };
    const servername = options.tls.serverNameOverride;
    this.#agent =
      material === undefined
        ? new HttpAgent({ keepAlive: true })
        : new HttpsAgent({
            keepAlive: true,
            rejectUnauthorized: !options.tls.insecureSkipVerify,
            ...(servername === undefined ? {} : { servername }),
            ...material,
          });
  }

  async export(payload: Payload): Promise<ExportResult> {
    try {
      const body = this.#options.compression === 'gzip' ? await compress(payload.body) : payload.body;
      if (this.#isClosed) return CLOSED;
      return await this.#post(body, payload.items);
    } catch (cause) {
      // A request that could not even be made, such as a header value that HTTP does not allow.
      return { kind: 'refused', message: `${this.#options.url}: ${(cause as Error).message}` };
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const request of this.#running) request.destroy();
    this.#agent.destroy();
    return Promise.resolve();
  }

  #post(body: Uint8Array, items: number): Promise<ExportResult> {
    const { timeoutMs, url } = this.#options;
    const request = (this.#url.protocol === 'https:' ? httpsRequest : httpRequest)(this.#url, {
      method: 'POST',
      agent: this.#agent,
      headers: { ...this.#headers, 'content-length': body.length },
    });
    this.#running.add(request);
    return new Promise<ExportResult>((resolve) => {
      const timer =
        timeoutMs > 0
          ? this.#timers.after(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
          : undefined;
      const settle = (result: ExportResult): void => {
        timer?.cancel();
        this.#running.delete(request);
        resolve(result);
      };
      const fail = (error: Error): void => {
        settle(this.#isClosed ? CLOSED : { kind: 'retryable', message: `${url}: ${describe(error)}` });
      };
      request.on('error', fail);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          if (size < MAX_RESPONSE_BYTES) chunks.push(chunk);
          size += chunk.length;
        });
        response.on('end', () => settle(this.#result(response, Buffer.concat(chunks), items)));
        response.on('error', fail);
      });
      request.end(body);
    });
  }

  #result(response: IncomingMessage, body: Buffer, items: number): ExportResult {
    const status = response.statusCode ?? 0;
    const contentType = response.headers['content-type'] ?? '';
    const isJson = contentType.startsWith('application/json');
    const isProtobuf = contentType.startsWith('application/x-protobuf');
    if (status >= 200 && status < 300) {
      return isJson ? readExportResponseJson(body.toString(), this.signal, items) : readExportResponse(body, items);
    }
    const rpcStatus = isJson ? readRpcStatusJson(body.toString()) : isProtobuf ? readRpcStatus(body) : undefined;
    const said = rpcStatus?.message ?? '';
    const message = `${this.#options.url}: HTTP status ${status}${said === '' ? '' : `: ${said}`}`;
    if (!RETRYABLE.includes(status)) return { kind: 'refused', message };
    const nowUnixMs = Number(this.#clock.toUnixNs(this.#clock.now()) / 1_000_000n);
    const retryAfterMs = readRetryAfter(response.headers['retry-after'], nowUnixMs);
    return retryAfterMs === undefined ? { kind: 'retryable', message } : { kind: 'retryable', message, retryAfterMs };
  }
}

/** RFC 9110, 10.2.3: seconds or a date. */
export function readRetryAfter(value: string | undefined, nowUnixMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowUnixMs);
}

/** An AggregateError (several addresses tried) has no message of its own. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map((each: unknown) => (each as Error).message).join('; ');
  }
  return error.message;
}
