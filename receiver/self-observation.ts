// The counters of all stages at one moment → what the metrics about the receiver are made from, and what `GET /debug/usm` answers.
import type { ExporterCounters } from './export/export-lane.ts';
import type { ExportPath } from './export/fan-out.ts';
import type { KernelCounters } from './kernel/session.ts';
import type { ConnectionFilter } from './model/inspection.ts';
import type { ResourceMetric } from './model/metric.ts';
import type { Span } from './model/span.ts';
import type { Observed } from './operations.ts';
import type { Pipeline } from './pipeline.ts';
import type { Ledger, LedgerReport } from './telemetry/ledger.ts';
import type { Lags } from './telemetry/self/lags.ts';
import type { ProcessReading, ProgramReading, Readings } from './telemetry/self/readings.ts';

/** The kernel's side, live, or as it was when it was closed. */
export interface KernelReading {
  readonly counters: KernelCounters;
  readonly programs: readonly ProgramReading[];
  readonly pendingBytes: number;
  /** The ledger has its counters already. */
  readonly isClosed: boolean;
}

export interface ObservedParts {
  /** Id of the usm receiver in the configuration. */
  readonly receiver: string;
  readonly ringCapacityBytes: number;
  readonly pipeline: Pipeline;
  readonly exportPath: ExportPath<Span>;
  readonly metricsPath: ExportPath<ResourceMetric>;
  readonly ledger: Ledger;
  readonly lags: Lags;
  /** Share of the connections that are left out. */
  readonly overloadShare: () => number;
  /** Registrations of thread contexts by their outcome. */
  readonly registrations: () => Readonly<Record<string, number>>;
  readonly kernel: () => KernelReading;
  readonly process: () => ProcessReading;
  /** Pipeline time. */
  readonly now: () => number;
  readonly lastTakenMs: () => number;
}

export function createObserved(parts: ObservedParts): Observed {
  const { pipeline, exportPath, metricsPath, ledger, lags } = parts;
  const exporters = (): readonly ExporterCounters[] => [...exportPath.counters(), ...metricsPath.counters()];
  const books = (kernel: KernelReading, openTransactions: number): LedgerReport => {
    const report = ledger.report(openTransactions + exportPath.outstanding());
    return kernel.isClosed ? report : withKernelCounts(report, kernel);
  };
  return {
    deliveries: exporters,
    lastTakenMs: parts.lastTakenMs,
    readings: (): Readings => {
      const kernel = parts.kernel();
      // It asks every connection.
      const openTransactions = pipeline.openTransactions();
      return {
        receiver: parts.receiver,
        ledger: books(kernel, openTransactions),
        accepted: { spans: lags.endedSpans + exportPath.outstanding(), metricPoints: pipeline.metricPoints() },
        exporters: exporters(),
        kernel: counts(kernel.counters),
        programs: kernel.programs,
        ring: { pendingBytes: kernel.pendingBytes, capacityBytes: parts.ringCapacityBytes },
        overload: { share: parts.overloadShare() },
        droppedByCpu: pipeline.droppedByCpu(),
        connections: { tracked: pipeline.trackedConnections(), openTransactions },
        metrics: pipeline.metricTables(),
        processes: { ...pipeline.processCounters() },
        correlations: pipeline.correlations(),
        threadContexts: pipeline.threadContextCounters(),
        tls: tlsReading(pipeline),
        registrations: parts.registrations(),
        lag: lags.points(),
        process: parts.process(),
      };
    },
    inspect: (filter: ConnectionFilter) => {
      const kernel = parts.kernel();
      return {
        connections: pipeline.inspectConnections(filter, parts.now()),
        exporters: exporters(),
        ring: { pending_bytes: kernel.pendingBytes, capacity_bytes: parts.ringCapacityBytes },
        ledger: books(kernel, pipeline.openTransactions()),
        kernel: Object.fromEntries(Object.entries(counts(kernel.counters)).filter(([, count]) => count !== 0)),
      };
    },
  };
}

function tlsReading(pipeline: Pipeline): Readings['tls'] {
  const counters = pipeline.tlsCounters();
  if (counters === undefined) return { files: {}, searches: {} };
  return {
    files: { probed: counters.probed, ...counters.refused },
    searches: { processes: counters.looks, files: counters.examined },
  };
}

/** Without the one that only says how many there are. */
function counts(counters: KernelCounters): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counters).filter(([name]) => name !== 'count'));
}

/** The books with what only the kernel has counted so far, as {@link Ledger.kernelCounted} adds it at the end. */
function withKernelCounts(report: LedgerReport, { counters, programs }: KernelReading): LedgerReport {
  const misses = programs.reduce((sum, program) => sum + program.recursionMisses, 0);
  return {
    ...report,
    connections: {
      ...report.connections,
      shed: plus(plus(report.connections.shed, 'ring_full', counters.shed), 'overload', counters.shedOverload),
    },
    events: { ...report.events, dropped: plus(report.events.dropped, 'recursion', misses) },
  };
}

function plus(counts: Readonly<Record<string, number>>, name: string, count: number): Readonly<Record<string, number>> {
  return count === 0 ? counts : { ...counts, [name]: (counts[name] ?? 0) + count };
}
