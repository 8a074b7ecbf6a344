// The only place where the stages meet. Bytes from the kernel ring come in at one end, spans go out at the other:
//   record -> event -> stream -> message -> transaction -> observation -> span -> batch
// docs/architecture.md draws it.
import { createCorrelation } from './attribution/correlation.ts';
import { isOwnClient, type OwnServers } from './attribution/own-servers.ts';
import { createProcesses, type ProcessCounters } from './attribution/processes.ts';
import { publishedAttributes } from './attribution/published-resource.ts';
import { createResources, type HostInfo } from './attribution/resources.ts';
import { createServiceResources } from './attribution/service-resources.ts';
import { Serving } from './attribution/serving.ts';
import { ServingThreads } from './attribution/serving-threads.ts';
import { createThreadAttributes } from './attribution/thread-attributes.ts';
import type { ThreadContexts } from './attribution/thread-contexts.ts';
import type { Clock } from './clock.ts';
import type { ReceiverConfig } from './config/types.ts';
import { Controls, type ControlLayout } from './connections/controls.ts';
import { ConnectionTable } from './connections/table.ts';
import type { ExportPath } from './export/fan-out.ts';
import { Decoder } from './kernel/decode.ts';
import { decodeAllVitals } from './kernel/vitals.ts';
import type { ConnectionId } from './model/connection.ts';
import type { ConnectionVitals } from './model/connection-vitals.ts';
import type { ConnectionFilter, ConnectionsInspection } from './model/inspection.ts';
import { metrics as definitions } from './model/metrics.ts';
import type { Span } from './model/span.ts';
import type { IoEvent } from './model/stream-event.ts';
import type { CorrelationRule } from './model/trace.ts';
import type { Transaction } from './model/transaction.ts';
import { createHttpDescriber } from './protocols/http/describe.ts';
import { createHttpDimensions } from './protocols/http/dimensions.ts';
import { isOtlpExport } from './protocols/http/otlp-export.ts';
import { createHttp1 } from './protocols/http1/protocol.ts';
import { createHttp2 } from './protocols/http2/protocol.ts';
import type { Ledger } from './telemetry/ledger.ts';
import { ConnectionMetrics } from './telemetry/metrics/connection-metrics.ts';
import { HttpMetrics } from './telemetry/metrics/http-metrics.ts';
import { MetricStore } from './telemetry/metrics/metric-store.ts';
import type { Take } from './telemetry/metrics/services.ts';
import type { IdSource } from './telemetry/random-ids.ts';
import { createSampler } from './telemetry/sampling.ts';
import { createSpanContexts } from './telemetry/span-contexts.ts';
import { createSpanBuilder } from './telemetry/spans.ts';
import type { TlsTargets, TlsTargetsCounters } from './tls/targets.ts';

/** Processes whose description is kept: the live ones and those that ended lately. */
const MAX_PROCESSES = 32_768;
const NS_PER_MS = 1e6;
/** Requests under way that carry a traceparent. */
const MAX_SERVING = 65_536;
/** Threads that wait for requests. */
const MAX_SERVING_THREADS = 65_536;

export interface PipelineOptions {
  readonly config: ReceiverConfig;
  readonly clock: Clock;
  readonly host: HostInfo;
  /** Of the receiver. */
  readonly version: string;
  readonly ids: IdSource;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly ledger: Ledger;
  readonly exportPath: ExportPath<Span>;
  /** The memory that the kernel side reads its wishes from. */
  readonly controls: ArrayBuffer;
  readonly controlLayout: ControlLayout;
  readonly windowSize: number;
  /** Where the ring is drained into. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly cpus: number;
  /** Where the receiver is a server itself; undefined: nowhere. */
  readonly ownServers?: OwnServers;
  /** What processes publish of themselves and of their threads; undefined: nobody wants to know. */
  readonly threadContexts?: ThreadContexts | undefined;
  /** Who finds the TLS libraries that processes run; undefined: what they encrypt is not seen. */
  readonly tls?: TlsTargets | undefined;
  /** The ring was full: `count` events never came, and their connections were shed. */
  readonly onEventsDropped: (count: number) => void;
}

export interface Pipeline {
  /** Takes the first `size` bytes of the buffer through all stages. */
  take(size: number): void;
  /** Finishes what waited long enough; call after draining, with the time before it if nothing is left in the ring. */
  tick(now?: number): void;
  /** How living TCP connections fare, as the kernel session tells it. */
  takeVitals(bytes: Uint8Array): void;
  sweep(live: ReadonlySet<ConnectionId>, time: number): void;
  needsSweep(): boolean;
  /** Of metrics, if a pipeline wants any. */
  beginCollection(): void;
  /** Hands over the next part of them, or `minPoints`; each item is valid during its call. True when that was the last. */
  collectMetrics(take: Take, minPoints?: number): boolean;
  /** Points handed over so far. */
  metricPoints(): number;
  /** Of the metrics that are measured now. */
  metricTables(): { readonly services: number; readonly series: number };
  /** Transactions that were seen and have not ended. */
  openTransactions(): number;
  trackedConnections(): number;
  processCounters(): ProcessCounters;
  /** Transactions by the rule that decided on their trace. */
  correlations(): Readonly<Record<string, number>>;
  threadContextCounters(): Readonly<Record<string, number>>;
  tlsCounters(): TlsTargetsCounters | undefined;
  /** Where connections stand at the present time, for people. */
  inspectConnections(filter: ConnectionFilter, now: number): ConnectionsInspection;
  /** Pipeline time of the oldest event that the last {@link take} took. */
  oldestTime(): number;
  /** Events that the full ring refused. */
  droppedByCpu(): ArrayLike<number>;
  /** Ends every connection: what is open is counted, nothing comes after. */
  close(): void;
}

/** Whether any metric is made of how TCP connections fare. */
export function wantsVitals({ pipelines, usm }: ReceiverConfig): boolean {
  return (
    pipelines.some(({ signal }) => signal === 'metrics') && usm.metrics.some(({ name }) => name.startsWith('usm.connection.'))
  );
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { config, ledger, exportPath, ownServers, threadContexts, tls } = options;
  const { filter, http, capture, correlation, redaction } = config.usm;
  const processes = createProcesses({ maxProcesses: MAX_PROCESSES });
  const resources = createResources({ host: options.host, version: options.version, maxProcesses: MAX_PROCESSES });
  const serving = new Serving(MAX_SERVING);
  const sampler = createSampler(config.usm.sampling);
  const correlate = createCorrelation(correlation.sdkDuplicates);
  const rules = new Map<CorrelationRule, number>();
  const spanContextOf = createSpanContexts({
    correlate: (role, evidence) => {
      const decision = correlate(role, evidence);
      rules.set(decision.rule, (rules.get(decision.rule) ?? 0) + 1);
      return decision;
    },
    ids: options.ids,
    sampler,
    isKnown: (process) => processes.lookup(process) !== undefined,
    count: (event) => {
      ledger.noticed(event);
    },
  });
  const spans = createSpanBuilder({
    describe: createHttpDescriber({ knownMethods: http.knownMethods, redactedQueryKeys: redaction.queryKeys }),
    resourceOf: resources.resourceOf,
    sampler,
    addThreadAttributes:
      threadContexts === undefined || config.usm.threadContext.attributes.length === 0
        ? undefined
        : createThreadAttributes({
            names: config.usm.threadContext.attributes,
            keyMapOf: (process) => threadContexts.keyMapOf(process),
            onUnknownKey: (process) => {
              threadContexts.lookAgain(process);
            },
          }),
  });
  const isTraced = config.pipelines.some(({ signal }) => signal === 'traces');
  const store = createStore();
  const metrics = store === undefined ? undefined : createMetrics(store);
  const edges =
    store === undefined || !wantsVitals(config)
      ? undefined
      : new ConnectionMetrics({
          store,
          imageOf: processes.lookup,
          isKnown: processes.isKnown,
          maxConnections: capture.maxConnections,
        });
  const connections = new ConnectionTable({
    protocols: [createHttp1({ maxHeadSize: http.maxHeadSizeBytes }), createHttp2({ maxHeadSize: http.maxHeadSizeBytes })],
    controls: new Controls(options.controls, options.controlLayout),
    books: ledger,
    windowSize: options.windowSize,
    maxConnections: capture.maxConnections,
    onRequest: (exchange) => {
      serving.requested(exchange);
      if (lastIo !== undefined) servingThreads.requested(exchange, lastIo);
    },
    onTransaction: observe,
  });
  const servingThreads = new ServingThreads({
    maxThreads: MAX_SERVING_THREADS,
    roleOf: (connection) => connections.roleOf(connection),
    isPublishing: (process) => threadContexts?.isPublishing(process) ?? false,
  });
  let lastIo: IoEvent | undefined;
  threadContexts?.listen((process, resource) => {
    if (config.usm.processContext.isEnabled) processes.onPublished(process, publishedAttributes(resource));
  });
  let areEndsMissing = false;
  const decoder = new Decoder(options.buffer, options.clock.originMonotonicNs, options.cpus, {
    io: (event) => {
      lastIo = event;
      servingThreads.io(event);
      connections.io(event);
    },
    open: (event) => {
      connections.open(event);
      if (event.isSecure) tls?.encrypts(event.info.openedBy);
    },
    end: (event) => {
      connections.end(event);
    },
    secured: (event) => {
      connections.secured(event);
      tls?.isRead(event.process);
    },
    walked: (event) => {
      connections.walked(event);
    },
    resumed: (connection) => {
      connections.resumed(connection);
    },
    processStarted: (image, instance) => {
      processes.onImage(image);
      threadContexts?.started(instance);
    },
    processExited: (process, time) => {
      processes.onExit(process, time);
      threadContexts?.exited(process);
      tls?.exited(process);
    },
    executed: ({ pid }) => {
      tls?.executed(pid);
    },
    vitals: takeVitals,
    dropped: (count) => {
      areEndsMissing = true;
      ledger.eventsDropped('ring_full', count);
      connections.noteLoss();
      options.onEventsDropped(count);
    },
    malformed: () => {
      ledger.eventsDropped('malformed', 1);
    },
  });

  function createStore(): MetricStore | undefined {
    if (!config.pipelines.some(({ signal }) => signal === 'metrics')) return undefined;
    const { aggregation } = config.usm;
    return new MetricStore({
      metrics: definitions.flatMap((definition) => {
        const chosen = config.usm.metrics.find(({ name }) => name === definition.name);
        return chosen === undefined ? [] : [{ definition, attributes: chosen.attributes }];
      }),
      aggregation: { ...aggregation, seriesExpiry: aggregation.seriesExpiryMs * NS_PER_MS },
      resourceOf: createServiceResources({ host: options.host, resourceOf: resources.resourceOf }),
      isAlive: processes.isAlive,
      clock: options.clock,
      random: options.random,
    });
  }

  function createMetrics(store: MetricStore): HttpMetrics {
    return new HttpMetrics({
      store,
      exemplars: config.usm.aggregation.exemplars,
      measure: createHttpDimensions({
        knownMethods: http.knownMethods,
        isServerAddressed: config.usm.metrics.some(
          ({ name, attributes }) =>
            /^(?:http|rpc)\.server\./.test(name) && attributes.some((attribute) => attribute.startsWith('server.')),
        ),
      }),
      imageOf: processes.lookup,
      present: (visit) => {
        const isWanted = (transaction: Transaction): boolean => filter.otlp || !isOtlpExport(transaction);
        connections.present(options.clock.now(), ({ open, last }) => {
          visit({ open: open.filter(isWanted), last: last !== undefined && isWanted(last) ? last : undefined });
        });
      },
    });
  }

  function takeVitals(vitals: ConnectionVitals): void {
    if (ownServers === undefined || !isOwnClient(vitals, ownServers)) edges?.take(vitals);
  }

  function observe(transaction: Transaction): void {
    serving.ended(transaction.exchange);
    const isOurs = ownServers !== undefined && isOwnClient(transaction.connection, ownServers);
    if (isOurs || (!filter.otlp && isOtlpExport(transaction))) {
      ledger.notExported('filtered', 1);
      return;
    }
    const image = processes.lookup(transaction.process);
    const spanContext = spanContextOf(transaction.exchange);
    const built = isTraced ? spans.build(transaction, image, spanContext) : spans.pass(spanContext);
    metrics?.record(transaction, image, built.kind === 'span' ? built.span : built.exemplar);
    if (built.kind === 'span') exportPath.push(built.span);
    else ledger.notExported(built.reason, 1);
  }

  return {
    take: (size) => {
      ledger.eventsReceived(decoder.decode(size));
    },
    tick: (now) => {
      connections.tick(now);
      threadContexts?.tick();
      tls?.tick();
    },
    takeVitals: (bytes) => {
      decodeAllVitals(bytes, takeVitals);
      edges?.settle();
    },
    sweep: (live, time) => {
      connections.sweep(live, time);
      edges?.sweep(live);
      areEndsMissing = false;
    },
    needsSweep: () => connections.needsSweep() || (edges !== undefined && areEndsMissing),
    beginCollection: () => {
      store?.beginCollection(() => {
        metrics?.countPresent();
        edges?.countPresent();
      });
    },
    collectMetrics: (take, minPoints) => store?.collect(take, minPoints) ?? true,
    metricPoints: () => store?.counters().points ?? 0,
    metricTables: () => store?.counters() ?? { services: 0, series: 0 },
    openTransactions: () => connections.openTransactions,
    trackedConnections: () => connections.size,
    processCounters: () => processes.counters(),
    correlations: () => Object.fromEntries(rules),
    threadContextCounters: () => ({ ...threadContexts?.counters() }),
    tlsCounters: () => tls?.counters(),
    inspectConnections: (filter, now) => connections.inspect(filter, now, (id) => processes.lookup(id)?.executablePath),
    oldestTime: () => decoder.firstTime,
    droppedByCpu: () => decoder.droppedByCpu,
    close: () => {
      threadContexts?.close();
      tls?.close();
      connections.close();
    },
  };
}
