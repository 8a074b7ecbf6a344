// Readings for tests: every counter has a value of its own, so that none can stand for another.
import type { Readings } from '../../../receiver/telemetry/self/readings.ts';

/** All values are moved by `by`; 0: as after a start, with one of each reason. */
export function readingsAt(by: number): Readings {
  const histogram = (first: number) => ({
    boundaries: [0.1, 1],
    counts: [first + by, 2 + by, 3],
    count: first + 5 + 2 * by,
    sum: 4.5 + by,
  });
  const exporter = (id: string, signal: 'traces' | 'metrics', first: number) => ({
    id,
    signal,
    accepted: first + by,
    rejected: first + 1 + by,
    failed: first + 2 + by,
    queueFull: first + 3 + by,
    storageFailed: first + 6 + by,
    recovered: first + 7 + by,
    queueSize: first + 4 + by,
    queueCapacity: first + 5 + by,
  });
  return {
    receiver: 'usm/a',
    ledger: {
      balanced: true,
      transactions: {
        seen: 101 + by,
        exported: 102 + by,
        pending: 103 + by,
        not_exported: { queue_full: 104 + by, unsampled: 105 + by },
      },
      connections: {
        seen: 106 + by,
        shed: { ring_full: 107 + by },
        not_http: 108 + by,
        unattributed: { role_unknown: 140 + by },
      },
      bytes: { seen: 109 + by, parsed: 110 + by, skipped: 111 + by, lost: { unseen_io: 112 + by } },
      events: { received: 113 + by, dropped: { ring_full: 114 + by } },
      noticed: { resynchronised: 115 + by, invalid_traceparent: 116 + by },
    },
    accepted: { spans: 117 + by, metricPoints: 118 + by },
    exporters: [exporter('otlp/a', 'traces', 200), exporter('otlp/a', 'metrics', 300)],
    kernel: { filtered: 119 + by },
    programs: [{ name: 'socket_sent', recursionMisses: 120 + by, runCount: 135 + by, runTimeNs: (136 + by) * 1e9 }],
    ring: { pendingBytes: 121 + by, capacityBytes: 122 + by },
    overload: { share: 141 + by },
    droppedByCpu: Float64Array.of(123 + by, 124 + by),
    connections: { tracked: 125 + by, openTransactions: 126 + by },
    metrics: { services: 138 + by, series: 139 + by },
    processes: { images: 137 + by },
    correlations: { server_root: 142 + by },
    threadContexts: { looks: 143 + by },
    registrations: { registered: 144 + by },
    tls: { files: { probed: 145 + by }, searches: { processes: 146 + by } },
    lag: { decode: histogram(127), acknowledgement: histogram(128), eventLoop: histogram(129) },
    process: {
      uptimeSeconds: 130 + by,
      cpuSeconds: 131 + by,
      residentBytes: 132 + by,
      heapUsedBytes: 133 + by,
      totalBytes: 134 + by,
    },
  };
}
