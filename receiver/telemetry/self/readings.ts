// What the metrics about the receiver are made from: one look at the counters of every stage, taken when somebody asks for the metrics.
// Shapes only: who takes the look is receiver/operations.ts.
import type { LedgerReport } from '../ledger.ts';
import type { HistogramPoint } from './histogram.ts';

export interface Readings {
  /** Id of the usm receiver in the configuration. */
  readonly receiver: string;
  readonly ledger: LedgerReport;
  /** Handed to the exporters. */
  readonly accepted: { readonly spans: number; readonly metricPoints: number };
  /** One for each exporter and signal. */
  readonly exporters: readonly ExporterReading[];
  /** Counters of the BPF programs, by name. */
  readonly kernel: Readonly<Record<string, number>>;
  readonly programs: readonly ProgramReading[];
  readonly ring: { readonly pendingBytes: number; readonly capacityBytes: number };
  /** Share of the connections that are left out, 0 to 1. */
  readonly overload: { readonly share: number };
  /** Records that never came, by CPU. */
  readonly droppedByCpu: ArrayLike<number>;
  readonly connections: { readonly tracked: number; readonly openTransactions: number };
  /** What metrics of observed transactions are kept for. */
  readonly metrics: { readonly services: number; readonly series: number };
  /** What became of observed processes, by name. */
  readonly processes: Readonly<Record<string, number>>;
  /** Transactions by the rule that decided on their trace. */
  readonly correlations: Readonly<Record<string, number>>;
  /** What came of looking for contexts of threads, by name; empty where nobody does. */
  readonly threadContexts: Readonly<Record<string, number>>;
  readonly tls: {
    /** Executables and libraries with a TLS library in them: `probed`, or why not. */
    readonly files: Readonly<Record<string, number>>;
    /** What was looked at to find them. */
    readonly searches: Readonly<Record<string, number>>;
  };
  /** Registrations of thread contexts, by their outcome; empty where nobody can. */
  readonly registrations: Readonly<Record<string, number>>;
  readonly lag: {
    readonly decode: HistogramPoint;
    readonly acknowledgement: HistogramPoint;
    readonly eventLoop: HistogramPoint;
  };
  readonly process: ProcessReading;
}

export interface ExporterReading {
  readonly id: string;
  readonly signal: 'traces' | 'metrics';
  /** Items delivered, refused by the backend, given up, and not taken by the full queue. */
  readonly accepted: number;
  readonly rejected: number;
  readonly failed: number;
  readonly queueFull: number;
  /** Items that could not be written to the storage, or read back. */
  readonly storageFailed: number;
  /** Items found in the storage at start. */
  readonly recovered: number;
  readonly queueSize: number;
  readonly queueCapacity: number;
}

export interface ProgramReading {
  readonly name: string;
  /** Runs that the kernel skipped because a program was running on that CPU already. */
  readonly recursionMisses: number;
  /** Both only move while the kernel keeps statistics of BPF programs (kernel.bpf_stats_enabled). */
  readonly runCount: number;
  readonly runTimeNs: number;
}

export interface ProcessReading {
  readonly uptimeSeconds: number;
  /** User and system time. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Heap as V8 has it from the system, and memory outside of it. */
  readonly totalBytes: number;
}
