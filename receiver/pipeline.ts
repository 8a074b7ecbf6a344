// The only place where the stages meet. Bytes from the kernel ring come in at one end, spans go out at the other:
//   record -> event -> stream -> message -> transaction -> observation -> span -> batch
// docs/architecture.md draws it.
import { createCorrelation } from './attribution/correlation.ts';
import { createProcesses } from './attribution/processes.ts';
import { createResources, type HostInfo } from './attribution/resources.ts';
import type { Clock } from './clock.ts';
import type { ReceiverConfig } from './config/types.ts';
import { Controls, type ControlLayout } from './connections/controls.ts';
import { ConnectionTable } from './connections/table.ts';
import type { ExportPath } from './export/fan-out.ts';
import { Decoder } from './kernel/decode.ts';
import type { ConnectionId } from './model/connection.ts';
import type { ConnectionFilter, ConnectionsInspection } from './model/inspection.ts';
import type { Span } from './model/span.ts';
import type { Transaction } from './model/transaction.ts';
import { createHttpDescriber } from './protocols/http1/describe.ts';
import { isOtlpExport } from './protocols/http1/otlp-export.ts';
import { createHttp1 } from './protocols/http1/protocol.ts';
import type { Ledger } from './telemetry/ledger.ts';
import type { IdSource } from './telemetry/random-ids.ts';
import { createSpanBuilder } from './telemetry/spans.ts';

/** Processes whose description is kept: the live ones and those that ended lately. */
const MAX_PROCESSES = 32_768;

export interface PipelineOptions {
  readonly config: ReceiverConfig;
  readonly clock: Clock;
  readonly host: HostInfo;
  /** Of the receiver. */
  readonly version: string;
  readonly ids: IdSource;
  readonly ledger: Ledger;
  readonly exportPath: ExportPath<Span>;
  /** The memory that the kernel side reads its wishes from. */
  readonly controls: ArrayBuffer;
  readonly controlLayout: ControlLayout;
  readonly windowSize: number;
  /** Where the ring is drained into. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly cpus: number;
  /** The ring was full: `count` events never came, and their connections were shed. */
  readonly onEventsDropped: (count: number) => void;
}

export interface Pipeline {
  /** Takes the first `size` bytes of the buffer through all stages. */
  take(size: number): void;
  /** Finishes what waited long enough; call after each round of draining with the time before it. */
  tick(now: number): void;
  sweep(live: ReadonlySet<ConnectionId>, time: number): void;
  needsSweep(): boolean;
  /** Transactions that were seen and have not ended. */
  openTransactions(): number;
  trackedConnections(): number;
  /** Where connections stand at the present time, for people. */
  inspectConnections(filter: ConnectionFilter, now: number): ConnectionsInspection;
  /** Pipeline time of the oldest event that the last {@link take} took. */
  oldestTime(): number;
  /** Events that the full ring refused. */
  droppedByCpu(): ArrayLike<number>;
  /** Ends every connection: what is open is counted, nothing comes after. */
  close(): void;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { config, ledger, exportPath } = options;
  const { filter, http, capture, correlation, redaction } = config.usm;
  const processes = createProcesses({ maxProcesses: MAX_PROCESSES });
  const resources = createResources({ host: options.host, version: options.version, maxProcesses: MAX_PROCESSES });
  const spans = createSpanBuilder({
    describe: createHttpDescriber({ knownMethods: http.knownMethods, redactedQueryKeys: redaction.queryKeys }),
    resourceOf: resources.resourceOf,
    correlate: createCorrelation(correlation.sdkDuplicates),
    ids: options.ids,
    count: (event) => {
      ledger.noticed(event);
    },
  });
  const connections = new ConnectionTable({
    protocols: [createHttp1({ maxHeadSize: http.maxHeadSizeBytes })],
    controls: new Controls(options.controls, options.controlLayout),
    books: ledger,
    windowSize: options.windowSize,
    maxConnections: capture.maxConnections,
    onTransaction: observe,
  });
  const decoder = new Decoder(options.buffer, options.clock.originMonotonicNs, options.cpus, {
    io: (event) => {
      connections.io(event);
    },
    open: (event) => {
      connections.open(event);
    },
    end: (event) => {
      connections.end(event);
    },
    walked: (event) => {
      connections.walked(event);
    },
    processStarted: (image) => {
      processes.onImage(image);
    },
    processExited: (process, time) => {
      processes.onExit(process, time);
    },
    dropped: (count) => {
      ledger.eventsDropped('ring_full', count);
      connections.noteLoss();
      options.onEventsDropped(count);
    },
    malformed: () => {
      ledger.eventsDropped('malformed', 1);
    },
  });

  function observe(transaction: Transaction): void {
    if (!filter.otlp && isOtlpExport(transaction)) {
      ledger.notExported('filtered', 1);
      return;
    }
    const built = spans.build(transaction, processes.lookup(transaction.process));
    if (built.kind === 'span') exportPath.push(built.span);
    else ledger.notExported(built.reason, 1);
  }

  return {
    take: (size) => {
      ledger.eventsReceived(decoder.decode(size));
    },
    tick: (now) => {
      connections.tick(now);
    },
    sweep: (live, time) => {
      connections.sweep(live, time);
    },
    needsSweep: () => connections.needsSweep(),
    openTransactions: () => connections.openTransactions,
    trackedConnections: () => connections.size,
    inspectConnections: (filter, now) => connections.inspect(filter, now),
    oldestTime: () => decoder.firstTime,
    droppedByCpu: () => decoder.droppedByCpu,
    close: () => {
      connections.close();
    },
  };
}
