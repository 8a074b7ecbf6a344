// The running receiver: opens the kernel side, the pipeline and the exporters, drains the ring in time, and closes the books at the end.
// More than 400 lines: what is opened together is closed together, in one order.
import { randomFillSync } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import * as os from 'node:os';
import { capabilities, limitAllocator } from '../native/index.ts';
import { createThreadContexts } from './attribution/context-locator.ts';
import { readHost } from './attribution/host.ts';
import { parseNetworkNamespace } from './attribution/own-servers.ts';
import { openRegistration, type Registration } from './attribution/registration/registration.ts';
import type { ThreadContexts } from './attribution/thread-contexts.ts';
import { version } from './cli/version.ts';
import type { Clock } from './clock.ts';
import type { ExporterConfig, PipelineConfig, ReceiverConfig } from './config/types.ts';
import { createExportPath, type ExportPath } from './export/fan-out.ts';
import { createTimers } from './export/timers.ts';
import { openExporters, type OpenExporters } from './exporters.ts';
import { OverloadGuard } from './kernel/overload.ts';
import {
  checkPlatform,
  controlLayout,
  type KernelCounters,
  type KernelSession,
  type LoadedPrograms,
  loadPrograms,
  unixPeerOf,
  maxTlsTargets,
  windowSize,
} from './kernel/session.ts';
import { foreignNamespaces, missingPrivileges } from './kernel/privileges.ts';
import { openProcessSizes, type ProcessSizes, type VisitProcess } from './kernel/threads.ts';
import type { Logger } from './log.ts';
import type { ResourceMetric } from './model/metric.ts';
import type { Span } from './model/span.ts';
import { type Operations, startOperations } from './operations.ts';
import { createPipeline, type Pipeline, wantsVitals } from './pipeline.ts';
import { createObserved, type KernelReading } from './self-observation.ts';
import { Ledger, type LedgerReport } from './telemetry/ledger.ts';
import { createRandomIds } from './telemetry/random-ids.ts';
import { createTlsTargets } from './tls/open.ts';
import type { TlsTargets } from './tls/targets.ts';
import { Lags } from './telemetry/self/lags.ts';
import type { ProcessReading } from './telemetry/self/readings.ts';
import { SCOPE_NAME } from './telemetry/spans.ts';

export interface ReceiverOptions {
  readonly config: ReceiverConfig;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Standard output. */
  readonly write: (text: string) => void;
  /** What the process uses. */
  readonly processReading: () => ProcessReading;
  /** Collects garbage, if that is worth while. */
  readonly collectGarbage: () => void;
  /** The effective user of this process. */
  readonly ownUid: number;
}

export interface Receiver {
  /** Logs the books as they stand. */
  logLedger(): void;
  /** Takes what is in the ring, finishes what is complete, flushes, tells the books. May be called twice. */
  stop(): Promise<void>;
}

/** The semantic conventions that the spans follow. */
const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0';
/**
 * Blocks that come and go would double what is resident if the allocator kept them: some 100 KiB of a request each, and 32 KiB at a time
 * for V8's compiler.
 */
const ALLOCATOR_LIMITS = { mmapThreshold: 32 * 1024, trimThreshold: 128 * 1024, arenas: 2 };
/** What one round of draining takes at most; more is left for the next turn of the event loop. */
const BUFFER_SIZE = 1024 * 1024;
const MAX_ROUNDS = 8;
/** Without traffic the ring is looked at less often: the kernel wakes us when it fills. */
const IDLE_INTERVAL_MS = 25;
const ROUNDS_UNTIL_IDLE = 20;
/** Some two seconds: connections have let go of what they remember of their last exchange. */
const ROUNDS_UNTIL_QUIET = 100;
const SWEEP_INTERVAL_MS = 5_000;
const CLOCK_RESYNC_MS = 10_000;
/** The word that everything is ready waits so long for the TLS libraries that run already: a tenth of a second, unless nobody gives us time. */
const MAX_TLS_START_MS = 10_000;
/** Of shutdown_timeout: kept for closing what is open. */
const CLOSING_SHARE = 0.1;
/** Of that: for the last metrics about ourselves. */
const LAST_METRICS_SHARE = 0.5;
const NS_PER_MS = 1e6;

export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  checkPlatform();
  limitAllocator(ALLOCATOR_LIMITS);
  const { config, clock } = options;
  // The slowest part of the start, and beside the rest of it.
  const loading = loadPrograms({
    filter: config.usm.filter,
    ringBufferSizeBytes: config.usm.capture.ringBufferSizeBytes,
    hasContextAttributes: config.usm.threadContext.attributes.length > 0,
    hasVitals: wantsVitals(config),
    tellsExecs: config.usm.tls.isEnabled,
    hasRegistration: config.usm.threadContext.registration !== undefined,
  });
  loading.catch(() => undefined); // until it is waited for
  let operations: Operations | undefined;
  try {
    operations = await startOperations({
      ...options,
      nowMs: () => clock.now() / NS_PER_MS,
      wallMs: () => Number(clock.toUnixNs(clock.now())) / NS_PER_MS,
    });
    return await startCapture(options, operations, loading);
  } catch (error) {
    await operations?.close(0);
    await loading.then(
      (programs) => {
        programs.close();
      },
      () => undefined,
    );
    throw error;
  }
}

async function startCapture(
  options: ReceiverOptions,
  operations: Operations,
  loading: Promise<LoadedPrograms>,
): Promise<Receiver> {
  const { config, logger, clock } = options;
  const ledger = new Ledger();
  const lags = new Lags();
  const scope = { name: SCOPE_NAME, version, schemaUrl: SCHEMA_URL };
  const timers = createTimers();
  const exporters = await openExporters(
    { traces: exportersOf(config, 'traces'), metrics: exportersOf(config, 'metrics') },
    {
      scope,
      clock,
      timers,
      logger,
      extensions: config.extensions,
      ownUid: options.ownUid,
      write: (bytes) => {
        options.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
      },
    },
  );
  const exportPath = createExportPath(
    exporters.traces,
    (spans, outcome) => {
      if (outcome === 'exported') ledger.exported(spans);
      else ledger.notExported(outcome, spans);
      lags.ended(spans, outcome === 'exported', clock.now());
    },
    { timers, random: Math.random, logger, recovery: ledger },
  );
  const metricsPath = createExportPath(exporters.metrics, () => undefined, { timers, random: Math.random, logger });
  let kernel: KernelSession;
  let registration: Registration | undefined;
  const tls = config.usm.tls.isEnabled ? createTls(() => kernel, clock) : undefined;
  tls?.prepare();
  try {
    kernel = (await loading).attach();
    registration = await openConfiguredRegistration(options, kernel);
  } catch (error) {
    tls?.close();
    await Promise.all([exportPath.close(0), metricsPath.close(0)]);
    await exporters.close();
    throw error;
  }
  warnOfBlindness(config, logger);
  const buffer = new Uint8Array(BUFFER_SIZE);
  const overload = createOverloadGuard(config, kernel, logger);
  const processSizes = openProcessSizes();
  const pipeline = createPipeline({
    config,
    clock,
    version,
    host: readHost({ readText, hostName: os.hostname(), arch: os.arch() }),
    ids: createRandomIds(randomFillSync),
    random: Math.random,
    ledger,
    exportPath,
    controls: kernel.controls,
    controlLayout,
    windowSize,
    buffer,
    cpus: capabilities().possibleCpus,
    ownServers: { ports: operations.ports, networkNamespace: parseNetworkNamespace(readLink('/proc/self/ns/net')) },
    threadContexts: createContexts(config, kernel, clock, processSizes),
    tls,
    onEventsDropped: (count) => {
      logger.warnLimited(
        'ring_full',
        'The ring was full. Connections are shed until it drains; a larger capture::ring_buffer_size rides out longer bursts.',
        {
          dropped_events: count,
        },
      );
    },
  });
  const running = new RunningReceiver({
    ...options,
    operations,
    kernel,
    processSizes,
    pipeline,
    exporters,
    exportPath,
    metricsPath,
    ledger,
    lags,
    overload,
    registration,
    buffer,
  });
  running.start();
  if (tls !== undefined && !(await startTls(tls))) {
    logger.warn(
      'The TLS libraries of running programs are still being searched for; what they encrypt is seen as they are found.',
      {
        waited: `${MAX_TLS_START_MS / 1000}s`,
      },
    );
  }
  logger.info('Everything is ready. Begin running and processing data.');
  return running;
}

/** What the receiver starts without, although somebody may wait for it. */
function warnOfBlindness({ usm }: ReceiverConfig, logger: Logger): void {
  if (!usm.tls.isEnabled && !usm.threadContext.isEnabled && !usm.processContext.isEnabled) return;
  for (const { capability, loss } of missingPrivileges(capabilities().effective)) {
    if (loss !== undefined) logger.warn(`Without ${capability}, ${loss}.`);
  }
  for (const kind of foreignNamespaces(readLink)) {
    logger.warn(
      `Outside of the ${kind} namespace of the host, TLS libraries and thread contexts are not found in most processes.`,
    );
  }
}

/** `kernel`: is there once the targets are started. */
function createTls(kernel: () => KernelSession, clock: Clock): TlsTargets {
  return createTlsTargets({
    kernel: {
      attachProbes: (program, file, sites) => kernel().attachProbes(program, file, sites),
      activateTarget: (index, known) => {
        kernel().activateTarget(index, known, () => clock.originMonotonicNs + BigInt(clock.now()));
      },
      clearTarget: (index) => {
        kernel().clearTarget(index);
      },
    },
    maxTargets: maxTlsTargets,
    now: () => clock.now(),
  });
}

/** Plaintext is captured meanwhile. False: not all is found in time, and the rest is in the background. */
function startTls(tls: TlsTargets): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(false);
    }, MAX_TLS_START_MS);
    tls.start(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

interface Parts extends ReceiverOptions {
  readonly operations: Operations;
  readonly kernel: KernelSession;
  /** Undefined: the kernel does not tell. */
  readonly processSizes: ProcessSizes | undefined;
  readonly pipeline: Pipeline;
  readonly exporters: OpenExporters;
  readonly exportPath: ExportPath<Span>;
  readonly metricsPath: ExportPath<ResourceMetric>;
  readonly ledger: Ledger;
  readonly lags: Lags;
  /** Undefined: switched off. */
  readonly overload: OverloadGuard | undefined;
  /** Undefined: not configured. */
  readonly registration: Registration | undefined;
  readonly buffer: Uint8Array<ArrayBuffer>;
}

class RunningReceiver implements Receiver {
  readonly #parts: Parts;
  #drainTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  #resyncTimer: NodeJS.Timeout | undefined;
  #collectionTimer: NodeJS.Timeout | undefined;
  #isCollecting = false;
  #idleRounds = 0;
  /** The last draining left nothing in the ring. */
  #isEmptied = true;
  /** Pipeline time at which the drain timer was to come. */
  #drainDue: number | undefined;
  #lastTaken = 0;
  /** The kernel's counters, once it is closed. */
  #lastKernel: KernelReading | undefined;
  #stopping: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    const { kernel, clock, operations } = this.#parts;
    kernel.onReadable(() => {
      if (this.#stopping === undefined) this.#drain();
    });
    this.#sweepTimer = setInterval(() => {
      this.#sweep();
    }, SWEEP_INTERVAL_MS);
    this.#resyncTimer = setInterval(() => {
      clock.resync();
    }, CLOCK_RESYNC_MS);
    this.#collectionTimer = setInterval(() => {
      this.#beginCollection();
    }, this.#parts.config.usm.collectionIntervalMs);
    this.#drain();
    operations.running(
      createObserved({
        ...this.#parts,
        receiver: this.#parts.config.usm.id,
        ringCapacityBytes: this.#parts.config.usm.capture.ringBufferSizeBytes,
        overloadShare: () => this.#parts.overload?.share ?? 0,
        registrations: () => ({ ...this.#parts.registration?.counters() }),
        kernel: () => this.#readKernel(),
        process: this.#parts.processReading,
        now: () => clock.now(),
        lastTakenMs: () => this.#lastTaken / NS_PER_MS,
      }),
    );
  }

  logLedger(): void {
    const { pipeline, exportPath, ledger } = this.#parts;
    if (this.#stopping !== undefined) return;
    this.#takeRounds(MAX_ROUNDS);
    this.#log(ledger.report(pipeline.openTransactions() + exportPath.outstanding()), this.#parts.kernel.counters());
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #drain(): void {
    clearTimeout(this.#drainTimer);
    this.#drainDue = undefined;
    const taken = this.#takeRounds(MAX_ROUNDS);
    this.#idleRounds = taken > 0 ? 0 : this.#idleRounds + 1;
    const { drainIntervalMs } = this.#parts.config.usm.capture;
    const isIdle = this.#idleRounds > ROUNDS_UNTIL_IDLE;
    if (this.#idleRounds === ROUNDS_UNTIL_QUIET) this.#parts.collectGarbage();
    // A full last round means that more is waiting: come back as soon as others had their turn.
    const delay = taken === MAX_ROUNDS ? 0 : isIdle ? Math.max(IDLE_INTERVAL_MS, drainIntervalMs) : drainIntervalMs;
    const { clock, lags } = this.#parts;
    this.#drainDue = clock.now() + delay * NS_PER_MS;
    this.#drainTimer = setTimeout(() => {
      if (this.#drainDue !== undefined) lags.delayed((clock.now() - this.#drainDue) / NS_PER_MS);
      this.#drain();
    }, delay);
  }

  /** Returns how many rounds had something in them. */
  #takeRounds(limit: number): number {
    const { kernel, pipeline, exportPath, lags, overload, buffer, clock, logger } = this.#parts;
    const before = clock.now();
    let oldest = before;
    let rounds = 0;
    this.#isEmptied = false;
    while (rounds < limit) {
      // block_on_overflow: what does not fit stays in the kernel, which sheds connections when its ring is full.
      if (this.#stopping === undefined && exportPath.isFull()) {
        logger.warnLimited(
          'queue_blocks',
          'A sending queue is full and blocks. Nothing is taken from the kernel until it has room.',
        );
        return rounds;
      }
      overload?.look(rounds === 0 ? before : clock.now());
      const size = kernel.drain(buffer);
      this.#lastTaken = before;
      if (size === 0) break;
      pipeline.take(size);
      if (rounds++ === 0) oldest = pipeline.oldestTime();
    }
    // Only when the ring is empty has everything up to `before` been handed in, else what was told before the last I/O.
    this.#isEmptied = rounds < limit;
    pipeline.tick(this.#isEmptied ? before : undefined);
    if (rounds > 0) lags.drained(oldest, before, exportPath.outstanding());
    return rounds;
  }

  /** Connections whose end nobody told us: UNIX sockets have no states, and an end may be among lost events. */
  #sweep(): void {
    const { kernel, pipeline, clock } = this.#parts;
    this.#readVitals();
    // The ends of connections may be among what is still in the ring.
    if (!this.#isEmptied || !pipeline.needsSweep()) return;
    const time = clock.now();
    pipeline.sweep(kernel.liveConnections(), time);
  }

  #readVitals(): void {
    const { kernel, pipeline, config } = this.#parts;
    if (wantsVitals(config)) pipeline.takeVitals(kernel.vitals());
  }

  #beginCollection(): void {
    // Nothing is lost by waiting: the next collection has it all.
    if (this.#isCollecting || this.#parts.metricsPath.isFull()) return;
    this.#readVitals();
    this.#parts.pipeline.beginCollection();
    this.#collectMetrics();
  }

  /** Part by part, so that the ring is drained between. */
  #collectMetrics(): void {
    if (this.#stopping !== undefined) return;
    this.#isCollecting = !this.#parts.pipeline.collectMetrics(this.#takeMetric);
    if (this.#isCollecting) setImmediate(() => this.#collectMetrics());
  }

  readonly #takeMetric = (item: ResourceMetric, points: number): void => {
    this.#parts.metricsPath.push(item, points);
  };

  async #stop(): Promise<void> {
    const { operations, kernel, registration, pipeline, exporters, exportPath, metricsPath, ledger, config } = this.#parts;
    const deadlineMs = config.usm.shutdownTimeoutMs;
    operations.stopping();
    registration?.close();
    clearTimeout(this.#drainTimer);
    clearInterval(this.#sweepTimer);
    clearInterval(this.#resyncTimer);
    clearInterval(this.#collectionTimer);
    while (this.#takeRounds(MAX_ROUNDS) === MAX_ROUNDS);
    pipeline.close();
    this.#readVitals();
    pipeline.beginCollection();
    pipeline.collectMetrics(this.#takeMetric, Infinity);
    const last = this.#readKernel();
    this.#lastKernel = { ...last, isClosed: true };
    const { shed, shedOverload } = last.counters;
    ledger.kernelCounted({ ringFull: shed, overload: shedOverload }, kernel.recursionMisses());
    kernel.close();
    this.#parts.processSizes?.close();
    const closingMs = deadlineMs * (1 - CLOSING_SHARE);
    await Promise.all([exportPath.close(closingMs), metricsPath.close(closingMs)]);
    await operations.close(deadlineMs * CLOSING_SHARE * LAST_METRICS_SHARE);
    this.#log(ledger.report(), last.counters);
    // Last, because a disk that hangs holds up the end of the storage thread.
    await exporters.close();
  }

  #readKernel(): KernelReading {
    if (this.#lastKernel !== undefined) return this.#lastKernel;
    const { kernel } = this.#parts;
    return { counters: kernel.counters(), programs: kernel.programs(), pendingBytes: kernel.pendingBytes, isClosed: false };
  }

  #log(report: LedgerReport, counters: KernelCounters): void {
    const { logger, exportPath, metricsPath } = this.#parts;
    const exporters = [...exportPath.counters(), ...metricsPath.counters()];
    logger.info('Ledger', { ...report, exporters, kernel: nonZero(counters) });
  }
}

function createContexts(
  { usm }: ReceiverConfig,
  kernel: KernelSession,
  clock: Clock,
  sizes: ProcessSizes | undefined,
): ThreadContexts | undefined {
  if (!usm.threadContext.isEnabled && !usm.processContext.isEnabled) return undefined;
  const places = usm.threadContext.isEnabled ? kernel.contextPlaces : undefined;
  const visitSizes = sizes && ((visit: VisitProcess) => sizes.visit(visit));
  return createThreadContexts(places, readText, os.arch(), clock, visitSizes, usm.threadContext.hasGoLabels);
}

function openConfiguredRegistration(
  { config, logger, clock }: ReceiverOptions,
  kernel: KernelSession,
): Promise<Registration> | undefined {
  const file = config.usm.threadContext.registration;
  if (file === undefined) return undefined;
  return openRegistration({
    file,
    claims: kernel.claims,
    peerOf: unixPeerOf,
    machine: os.arch() === 'arm64' ? 'aarch64' : 'x86-64',
    fillRandom: randomFillSync,
    nowMs: () => clock.now() / NS_PER_MS,
    onOutcome: ({ pid, uid }, outcome) => {
      if (outcome.kind === 'registered') {
        logger.debug('A process has registered where its threads have their contexts.', { 'process.pid': outcome.pid, uid });
      } else if (outcome.kind === 'refused') {
        const { code, words } = outcome;
        logger.warnLimited('registration', 'A process could not register its thread context.', {
          'process.pid': pid,
          uid,
          code,
          words,
        });
      }
    },
  });
}

function createOverloadGuard(config: ReceiverConfig, kernel: KernelSession, logger: Logger): OverloadGuard | undefined {
  const { overload, capture } = config.usm;
  if (!overload.enabled) return undefined;
  return new OverloadGuard({
    kernel,
    ringSizeBytes: capture.ringBufferSizeBytes,
    maxShare: overload.maxShare,
    onBegin: () => {
      logger.warnLimited(
        'overload',
        'There is more traffic than can be followed. A share of the connections is left out, and counted, until there is less; filters, or more CPU time for the receiver, keep the others in.',
      );
    },
    // It takes seconds to end, so this is rare enough.
    onEnd: (highest, duration) => {
      logger.info('All connections are followed again.', { highest_share: highest, seconds: duration / 1e9 });
    },
  });
}

/** Those that a pipeline of the signal has. */
function exportersOf(config: ReceiverConfig, signal: PipelineConfig['signal']): readonly ExporterConfig[] {
  const ids = new Set(config.pipelines.flatMap((pipeline) => (pipeline.signal === signal ? pipeline.exporters : [])));
  return config.exporters.filter(({ id }) => ids.has(id));
}

function nonZero(counters: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0));
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
