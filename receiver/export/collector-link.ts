// Payloads → a Collector's component `usm` on this host: OTLP/gRPC over a UNIX socket that is looked at first, with who we are in the metadata, and an empty
// request when there is nothing to send, by which the component knows that we are alive (receiver/usmreceiver/).
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Exporter, ExportLogger, ExportResult, InstrumentationScope, Payload, Signal } from './exporter.ts';
import { openOtlpGrpcExporter } from './otlp-grpc.ts';
import { MAX_REQUEST_BYTES } from './request-buffers.ts';
import type { Timers, Timer } from './timers.ts';
import { defaultTls } from './tls.ts';

export interface CollectorLinkOptions {
  readonly id: string;
  /** Absolute. */
  readonly socketPath: string;
  /** Of one attempt. */
  readonly timeoutMs: number;
  /** The effective user of this process. */
  readonly ownUid: number;
  /** Unique to this run. */
  readonly instance: string;
}

export interface CollectorLinkDependencies {
  readonly scope: InstrumentationScope;
  readonly timers: Timers;
  readonly logger: ExportLogger;
  /** That of `node:fs/promises`. */
  readonly lstat: (path: string) => Promise<Pick<Stats, 'isSocket' | 'uid'>>;
}

/** Of the metadata and the empty requests; a component that does not know it refuses. */
const PROTOCOL = '1';
/** Without any word for three times as long, the component says that we are gone. */
const HEARTBEAT_MS = 5_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;
/** While the Collector does not answer. */
const KNOCK_MS = 1_000;
/** Different reasons that are logged before the Collector answers again. */
const MAX_REASONS = 8;

/** One for each signal, which share the connection. */
export async function openCollectorExporters(
  options: CollectorLinkOptions,
  signals: readonly Signal[],
  dependencies: CollectorLinkDependencies,
): Promise<readonly Exporter[]> {
  const { scope } = dependencies;
  const open = (signal: Signal, timeoutMs: number): Promise<Exporter> =>
    openOtlpGrpcExporter({ ...grpcOptions(options, scope), timeoutMs }, signal, scope);
  const link = new CollectorLink(options, dependencies, await open('traces', HEARTBEAT_TIMEOUT_MS));
  const senders = await Promise.all(signals.map((signal) => open(signal, options.timeoutMs)));
  link.start();
  return senders.map((sender) => new CollectorExporter(link, sender));
}

/** The same for each, so that the gRPC library makes one connection of them. */
function grpcOptions({ id, socketPath, instance }: CollectorLinkOptions, { version }: InstrumentationScope) {
  return {
    id,
    endpoint: `unix:${socketPath}`,
    tls: { ...defaultTls, insecure: true },
    headers: { 'usm-protocol': PROTOCOL, 'usm-version': version, 'usm-instance': instance },
    compression: 'none',
    keepalive: undefined,
    userAgent: undefined,
  } as const;
}

class CollectorExporter implements Exporter {
  readonly id: string;
  readonly signal: Signal;
  readonly maxPayloadBytes = MAX_REQUEST_BYTES;
  readonly #link: CollectorLink;
  readonly #sender: Exporter;

  constructor(link: CollectorLink, sender: Exporter) {
    this.id = sender.id;
    this.signal = sender.signal;
    this.#link = link;
    this.#sender = sender;
  }

  export(payload: Payload): Promise<ExportResult> {
    return this.#link.send(this.#sender, payload);
  }

  async close(): Promise<void> {
    await Promise.all([this.#sender.close(), this.#link.close()]);
  }
}

/** What is known of the other end. */
class CollectorLink {
  readonly #options: CollectorLinkOptions;
  readonly #dependencies: CollectorLinkDependencies;
  readonly #heart: Exporter;
  #timer: Timer | undefined;
  #isClosed = false;
  #answers = false;
  #lastAnswerMs = -Infinity;
  /** Logged since the Collector last answered. */
  readonly #reasons = new Set<string>();

  constructor(options: CollectorLinkOptions, dependencies: CollectorLinkDependencies, heart: Exporter) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#heart = heart;
  }

  start(): void {
    void this.#beat();
  }

  async send(sender: Exporter, payload: Payload): Promise<ExportResult> {
    const obstacle = await this.#obstacle();
    if (obstacle !== undefined) return { kind: 'retryable', message: obstacle };
    const result = await sender.export(payload);
    // Of the others it is not known whether it is the Collector that says no, or what is behind it.
    if (result.kind === 'accepted') this.#answered();
    return result;
  }

  /** May be called twice. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    return this.#heart.close();
  }

  async #beat(): Promise<void> {
    const result = await this.send(this.#heart, { items: 0, body: new Uint8Array(0) });
    if (this.#isClosed) return;
    if (result.kind !== 'accepted') this.#unanswered(result.message);
    this.#wait(this.#answers ? HEARTBEAT_MS : KNOCK_MS);
  }

  #wait(delayMs: number): void {
    const { timers } = this.#dependencies;
    this.#timer = timers.after(delayMs, () => {
      const quietMs = timers.now() - this.#lastAnswerMs;
      if (quietMs < HEARTBEAT_MS) this.#wait(HEARTBEAT_MS - quietMs);
      else void this.#beat();
    });
  }

  #answered(): void {
    this.#lastAnswerMs = this.#dependencies.timers.now();
    if (this.#answers) return;
    this.#answers = true;
    this.#reasons.clear();
    this.#dependencies.logger.info('Connected to the Collector.', { socket: this.#options.socketPath });
  }

  #unanswered(message: string): void {
    this.#answers = false;
    // Times and counts change from one attempt to the next.
    const reason = message.replace(/\d+/g, '');
    if (this.#reasons.has(reason) || this.#reasons.size >= MAX_REASONS) return;
    this.#reasons.add(reason);
    this.#dependencies.logger.warn('The Collector does not answer. What is seen waits in the queue, and this is tried again.', {
      socket: this.#options.socketPath,
      error: message,
    });
  }

  /** Why nothing should be sent there; undefined: nothing speaks against it. */
  async #obstacle(): Promise<string | undefined> {
    const { socketPath, ownUid } = this.#options;
    const { lstat } = this.#dependencies;
    try {
      const socket = await lstat(socketPath);
      if (!socket.isSocket()) return `${socketPath} is no socket; remove it, or set collector::socket to what the Collector has`;
      if (socket.uid === 0 || socket.uid === ownUid) return undefined;
      // Who owns the folder decides what is in it.
      const { uid: folderUid } = await lstat(dirname(socketPath));
      if (socket.uid === folderUid) return undefined;
      return `${socketPath} belongs to user ${socket.uid}, and not to root, to user ${ownUid}, who runs this, or to user ${folderUid}, who owns its folder; nothing is sent to it`;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? `there is no ${socketPath}; start the Collector, or set collector::socket to what it has`
        : `${socketPath} cannot be looked at: ${(error as Error).message}`;
    }
  }
}
