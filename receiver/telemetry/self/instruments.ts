// The table of metrics about the receiver itself: from it they are read, and docs/telemetry.md is made. Names and units are the Collector's
// where it has them, so that its dashboards work: https://opentelemetry.io/docs/collector/internal-telemetry/#lists-of-internal-metrics
// More than 400 lines: it is one table.
import type { HistogramPoint } from './histogram.ts';
import type { ExporterReading, Readings } from './readings.ts';

export type MetricLevel = 'basic' | 'normal' | 'detailed';

export interface SelfPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number | HistogramPoint;
}

export interface Instrument {
  readonly name: string;
  /** UCUM, as in OpenTelemetry. */
  readonly unit: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** The lowest `service::telemetry::metrics::level` that has it. */
  readonly level: MetricLevel;
  /** A sentence without a full stop. */
  readonly description: string;
  readonly attributes: readonly string[];
  /** A point for each combination of attributes that there is. */
  readonly read: (readings: Readings) => readonly SelfPoint[];
}

/** What the Collector calls the way in which data reaches a receiver. */
const TRANSPORT = 'bpf';

const single = (value: number | HistogramPoint): readonly SelfPoint[] => [{ attributes: {}, value }];

const ofReceiver = ({ receiver }: Readings, value: number): readonly SelfPoint[] => [
  { attributes: { receiver, transport: TRANSPORT }, value },
];

const byKey = (attribute: string, counts: Readonly<Record<string, number>>): readonly SelfPoint[] =>
  Object.entries(counts).map(([key, value]) => ({ attributes: { [attribute]: key }, value }));

const bySignal = (
  signal: ExporterReading['signal'],
  value: (exporter: ExporterReading) => number,
  { exporters }: Readings,
): readonly SelfPoint[] =>
  exporters
    .filter((exporter) => exporter.signal === signal)
    .map((exporter) => ({ attributes: { exporter: exporter.id }, value: value(exporter) }));

const byExporter = (value: (exporter: ExporterReading) => number, { exporters }: Readings): readonly SelfPoint[] =>
  exporters.map((exporter) => ({ attributes: { exporter: exporter.id, data_type: exporter.signal }, value: value(exporter) }));

const receiver = ['receiver', 'transport'] as const;
const exporter = ['exporter'] as const;
const queue = ['exporter', 'data_type'] as const;

export const instruments: readonly Instrument[] = [
  {
    name: 'otelcol_receiver_accepted_spans',
    unit: '{spans}',
    kind: 'counter',
    level: 'basic',
    description: 'Spans that were made and handed to the exporters',
    attributes: receiver,
    read: (readings) => ofReceiver(readings, readings.accepted.spans),
  },
  {
    name: 'otelcol_receiver_refused_spans',
    unit: '{spans}',
    kind: 'counter',
    level: 'basic',
    description: 'Of the accepted spans, those that a full sending queue did not take: observed traffic cannot be pushed back',
    attributes: receiver,
    read: (readings) => ofReceiver(readings, readings.ledger.transactions.not_exported['queue_full'] ?? 0),
  },
  {
    name: 'otelcol_receiver_accepted_metric_points',
    unit: '{datapoints}',
    kind: 'counter',
    level: 'basic',
    description: 'Data points that were collected and handed to the exporters',
    attributes: receiver,
    read: (readings) => ofReceiver(readings, readings.accepted.metricPoints),
  },
  {
    name: 'otelcol_exporter_sent_spans',
    unit: '{spans}',
    kind: 'counter',
    level: 'basic',
    description: 'Spans that the destination has acknowledged',
    attributes: exporter,
    read: (readings) => bySignal('traces', ({ accepted }) => accepted, readings),
  },
  {
    name: 'otelcol_exporter_send_failed_spans',
    unit: '{spans}',
    kind: 'counter',
    level: 'basic',
    description: 'Spans that the destination refused, or that were given up',
    attributes: exporter,
    read: (readings) => bySignal('traces', ({ rejected, failed }) => rejected + failed, readings),
  },
  {
    name: 'otelcol_exporter_enqueue_failed_spans',
    unit: '{spans}',
    kind: 'counter',
    level: 'basic',
    description: 'Spans that the full sending queue did not take',
    attributes: exporter,
    read: (readings) => bySignal('traces', ({ queueFull }) => queueFull, readings),
  },
  {
    name: 'otelcol_exporter_sent_metric_points',
    unit: '{datapoints}',
    kind: 'counter',
    level: 'basic',
    description: 'Data points that the destination has acknowledged',
    attributes: exporter,
    read: (readings) => bySignal('metrics', ({ accepted }) => accepted, readings),
  },
  {
    name: 'otelcol_exporter_send_failed_metric_points',
    unit: '{datapoints}',
    kind: 'counter',
    level: 'basic',
    description: 'Data points that the destination refused, or that were given up',
    attributes: exporter,
    read: (readings) => bySignal('metrics', ({ rejected, failed }) => rejected + failed, readings),
  },
  {
    name: 'otelcol_exporter_enqueue_failed_metric_points',
    unit: '{datapoints}',
    kind: 'counter',
    level: 'basic',
    description: 'Data points that the full sending queue did not take',
    attributes: exporter,
    read: (readings) => bySignal('metrics', ({ queueFull }) => queueFull, readings),
  },
  {
    name: 'otelcol_exporter_queue_size',
    unit: '1',
    kind: 'gauge',
    level: 'basic',
    description: 'What the sending queue holds, in units of its sizer; what is being sent counts',
    attributes: queue,
    read: (readings) => byExporter(({ queueSize }) => queueSize, readings),
  },
  {
    name: 'otelcol_exporter_queue_capacity',
    unit: '1',
    kind: 'gauge',
    level: 'basic',
    description: 'What the sending queue can hold, in units of its sizer',
    attributes: queue,
    read: (readings) => byExporter(({ queueCapacity }) => queueCapacity, readings),
  },
  {
    name: 'otelcol_exporter_usm_recovered_items',
    unit: '{items}',
    kind: 'counter',
    level: 'normal',
    description: 'Spans or data points of an earlier run that were found in the storage of the sending queue',
    attributes: queue,
    read: (readings) => byExporter(({ recovered }) => recovered, readings),
  },
  {
    name: 'otelcol_exporter_usm_storage_failed_items',
    unit: '{items}',
    kind: 'counter',
    level: 'basic',
    description: 'Spans or data points that could not be written to the storage of the sending queue, or read back',
    attributes: queue,
    read: (readings) => byExporter(({ storageFailed }) => storageFailed, readings),
  },
  {
    name: 'otelcol_process_uptime',
    unit: 's',
    kind: 'counter',
    level: 'basic',
    description: 'Uptime of the process',
    attributes: [],
    read: ({ process }) => single(process.uptimeSeconds),
  },
  {
    name: 'otelcol_process_cpu_seconds',
    unit: 's',
    kind: 'counter',
    level: 'basic',
    description: 'User and system time of the process; what the BPF programs take counts for the observed processes',
    attributes: [],
    read: ({ process }) => single(process.cpuSeconds),
  },
  {
    name: 'otelcol_process_memory_rss',
    unit: 'By',
    kind: 'gauge',
    level: 'basic',
    description: 'Physical memory of the process (resident set size)',
    attributes: [],
    read: ({ process }) => single(process.residentBytes),
  },
  {
    name: 'otelcol_process_runtime_heap_alloc_bytes',
    unit: 'By',
    kind: 'gauge',
    level: 'basic',
    description: 'Bytes in use on the heap of V8',
    attributes: [],
    read: ({ process }) => single(process.heapUsedBytes),
  },
  {
    name: 'otelcol_process_runtime_total_sys_memory_bytes',
    unit: 'By',
    kind: 'gauge',
    level: 'basic',
    description: 'Bytes that V8 has from the system: its heap, and the buffers outside of it',
    attributes: [],
    read: ({ process }) => single(process.totalBytes),
  },
  {
    name: 'otelcol_receiver_usm_transactions_seen',
    unit: '{transactions}',
    kind: 'counter',
    level: 'basic',
    description: 'HTTP transactions whose request head was read',
    attributes: [],
    read: ({ ledger }) => single(ledger.transactions.seen),
  },
  {
    name: 'otelcol_receiver_usm_transactions_exported',
    unit: '{transactions}',
    kind: 'counter',
    level: 'basic',
    description: 'Transactions whose span all exporters have delivered',
    attributes: [],
    read: ({ ledger }) => single(ledger.transactions.exported),
  },
  {
    name: 'otelcol_receiver_usm_transactions_not_exported',
    unit: '{transactions}',
    kind: 'counter',
    level: 'basic',
    description: 'Transactions that made no span or whose span was not delivered, by the reason in the ledger',
    attributes: ['reason'],
    read: ({ ledger }) => byKey('reason', ledger.transactions.not_exported),
  },
  {
    name: 'otelcol_receiver_usm_transactions_open',
    unit: '{transactions}',
    kind: 'gauge',
    level: 'normal',
    description: 'Transactions that were seen and have not ended',
    attributes: [],
    read: ({ connections }) => single(connections.openTransactions),
  },
  {
    name: 'otelcol_receiver_usm_transactions_pending',
    unit: '{transactions}',
    kind: 'gauge',
    level: 'normal',
    description: 'Transactions that were seen and are neither exported nor counted out: open, in a queue, or being sent',
    attributes: [],
    read: ({ ledger }) => single(ledger.transactions.pending ?? 0),
  },
  {
    name: 'otelcol_receiver_usm_connections_tracked',
    unit: '{connections}',
    kind: 'gauge',
    level: 'normal',
    description: 'Connections that are being followed',
    attributes: [],
    read: ({ connections }) => single(connections.tracked),
  },
  {
    name: 'otelcol_receiver_usm_connections_seen',
    unit: '{connections}',
    kind: 'counter',
    level: 'normal',
    description: 'Connections that were seen',
    attributes: [],
    read: ({ ledger }) => single(ledger.connections.seen),
  },
  {
    name: 'otelcol_receiver_usm_connections_shed',
    unit: '{connections}',
    kind: 'counter',
    level: 'basic',
    description: 'Connections that were given up, or not followed for a while, because there was too much to do',
    attributes: ['reason'],
    read: ({ ledger }) => byKey('reason', ledger.connections.shed),
  },
  {
    name: 'otelcol_receiver_usm_overload_share',
    unit: '1',
    kind: 'gauge',
    level: 'basic',
    description: 'Share of the connections that are left out at present, because the receiver does not keep up',
    attributes: [],
    read: ({ overload }) => single(overload.share),
  },
  {
    name: 'otelcol_receiver_usm_connections_not_http',
    unit: '{connections}',
    kind: 'counter',
    level: 'normal',
    description: 'Connections that turned out not to carry HTTP',
    attributes: [],
    read: ({ ledger }) => single(ledger.connections.not_http),
  },
  {
    name: 'otelcol_receiver_usm_connections_unattributed',
    unit: '{connections}',
    kind: 'counter',
    level: 'normal',
    description: 'Connections of which it never became known who asks, by the reason',
    attributes: ['reason'],
    read: ({ ledger }) => byKey('reason', ledger.connections.unattributed),
  },
  {
    name: 'otelcol_receiver_usm_bytes_seen',
    unit: 'By',
    kind: 'counter',
    level: 'normal',
    description: 'Bytes that moved on observed connections',
    attributes: [],
    read: ({ ledger }) => single(ledger.bytes.seen),
  },
  {
    name: 'otelcol_receiver_usm_bytes_parsed',
    unit: 'By',
    kind: 'counter',
    level: 'normal',
    description: 'Bytes that were read as message heads and framing',
    attributes: [],
    read: ({ ledger }) => single(ledger.bytes.parsed),
  },
  {
    name: 'otelcol_receiver_usm_bytes_skipped',
    unit: 'By',
    kind: 'counter',
    level: 'normal',
    description: 'Bytes that nobody needs: bodies, and what is not HTTP',
    attributes: [],
    read: ({ ledger }) => single(ledger.bytes.skipped),
  },
  {
    name: 'otelcol_receiver_usm_bytes_lost',
    unit: 'By',
    kind: 'counter',
    level: 'basic',
    description: 'Bytes that were needed and not there, or could not be placed',
    attributes: ['reason'],
    read: ({ ledger }) => byKey('reason', ledger.bytes.lost),
  },
  {
    name: 'otelcol_receiver_usm_events_received',
    unit: '{events}',
    kind: 'counter',
    level: 'normal',
    description: 'Events that were taken from the kernel',
    attributes: [],
    read: ({ ledger }) => single(ledger.events.received),
  },
  {
    name: 'otelcol_receiver_usm_events_dropped',
    unit: '{events}',
    kind: 'counter',
    level: 'basic',
    description: 'Events that never came, or were not what they must be',
    attributes: ['reason'],
    read: ({ ledger }) => byKey('reason', ledger.events.dropped),
  },
  {
    name: 'otelcol_receiver_usm_cpu_events_dropped',
    unit: '{events}',
    kind: 'counter',
    level: 'detailed',
    description: 'Events that the full ring refused, by the CPU that made them',
    attributes: ['cpu'],
    read: ({ droppedByCpu }) => Array.from(droppedByCpu, (value, cpu) => ({ attributes: { cpu: String(cpu) }, value })),
  },
  {
    name: 'otelcol_receiver_usm_streams_resynchronised',
    unit: '{streams}',
    kind: 'counter',
    level: 'normal',
    description: 'Connections on which the next message was found again after a loss, or found at first after the middle',
    attributes: [],
    read: ({ ledger }) => single(ledger.noticed['resynchronised'] ?? 0),
  },
  {
    name: 'otelcol_receiver_usm_messages_noticed',
    unit: '{messages}',
    kind: 'counter',
    level: 'normal',
    description:
      'Noteworthy messages: malformed trace headers, contradictory framing, responses without a request, heads too large',
    attributes: ['event'],
    read: ({ ledger }) => byKey('event', ledger.noticed).filter(({ attributes }) => attributes['event'] !== 'resynchronised'),
  },
  {
    name: 'otelcol_receiver_usm_correlations',
    unit: '{transactions}',
    kind: 'counter',
    level: 'normal',
    description: 'Transactions by the rule that decided which trace they belong to',
    attributes: ['rule'],
    read: ({ correlations }) => byKey('rule', correlations),
  },
  {
    name: 'otelcol_receiver_usm_thread_contexts',
    unit: '{processes}',
    kind: 'counter',
    level: 'normal',
    description:
      'Processes searched for contexts of their threads: looks, places found, not proven ones, and processes forgotten to make room',
    attributes: ['event'],
    read: ({ threadContexts }) => byKey('event', threadContexts),
  },
  {
    name: 'otelcol_receiver_usm_registrations',
    unit: '{registrations}',
    kind: 'counter',
    level: 'normal',
    description:
      'Registrations of thread contexts, by outcome: registered, refused and why, out of time, or abandoned by the program',
    attributes: ['outcome'],
    read: ({ registrations }) => byKey('outcome', registrations),
  },
  {
    name: 'otelcol_receiver_usm_tls_files',
    unit: '{files}',
    kind: 'gauge',
    level: 'normal',
    description: 'Executables and libraries that do TLS: probed, or the library and why it is not read',
    attributes: ['state'],
    read: ({ tls }) => byKey('state', tls.files),
  },
  {
    name: 'otelcol_receiver_usm_tls_searches',
    unit: '{searches}',
    kind: 'counter',
    level: 'normal',
    description: 'Searches for TLS libraries: processes whose mappings were read, and files that were examined',
    attributes: ['of'],
    read: ({ tls }) => byKey('of', tls.searches),
  },
  {
    name: 'otelcol_receiver_usm_processes',
    unit: '{processes}',
    kind: 'counter',
    level: 'normal',
    description: 'Observed processes: described, ended, forgotten to make room, and asked for in vain',
    attributes: ['event'],
    read: ({ processes }) => byKey('event', processes),
  },
  {
    name: 'otelcol_receiver_usm_metric_services',
    unit: '{services}',
    kind: 'gauge',
    level: 'normal',
    description: 'Services that metrics are kept for',
    attributes: [],
    read: ({ metrics }) => single(metrics.services),
  },
  {
    name: 'otelcol_receiver_usm_metric_series',
    unit: '{series}',
    kind: 'gauge',
    level: 'normal',
    description: 'Series of the metrics of all services',
    attributes: [],
    read: ({ metrics }) => single(metrics.series),
  },
  {
    name: 'otelcol_receiver_usm_ring_size',
    unit: 'By',
    kind: 'gauge',
    level: 'normal',
    description: 'Bytes in the ring buffer that are not taken yet',
    attributes: [],
    read: ({ ring }) => single(ring.pendingBytes),
  },
  {
    name: 'otelcol_receiver_usm_ring_capacity',
    unit: 'By',
    kind: 'gauge',
    level: 'normal',
    description: 'Size of the ring buffer',
    attributes: [],
    read: ({ ring }) => single(ring.capacityBytes),
  },
  {
    name: 'otelcol_receiver_usm_decode_lag',
    unit: 's',
    kind: 'histogram',
    level: 'normal',
    description: 'Age of the oldest event of each round in which events were taken from the kernel',
    attributes: [],
    read: ({ lag }) => single(lag.decode),
  },
  {
    name: 'otelcol_receiver_usm_acknowledgement_lag',
    unit: 's',
    kind: 'histogram',
    level: 'normal',
    description:
      'From the end of a transaction to the acknowledgement of its span by all exporters, of one transaction at a time',
    attributes: [],
    read: ({ lag }) => single(lag.acknowledgement),
  },
  {
    name: 'otelcol_receiver_usm_event_loop_delay',
    unit: 's',
    kind: 'histogram',
    level: 'normal',
    description: 'How much later than asked for the event loop came to take events',
    attributes: [],
    read: ({ lag }) => single(lag.eventLoop),
  },
  {
    name: 'otelcol_receiver_usm_kernel_counter',
    unit: '1',
    kind: 'counter',
    level: 'detailed',
    description: 'Counters of the BPF programs, as in `bpf/event.h`',
    attributes: ['counter'],
    read: ({ kernel }) => byKey('counter', kernel),
  },
  {
    name: 'otelcol_receiver_usm_program_runs',
    unit: '{runs}',
    kind: 'counter',
    level: 'detailed',
    description: 'Runs of a BPF program, while kernel.bpf_stats_enabled is 1',
    attributes: ['program'],
    read: ({ programs }) => programs.map(({ name, runCount }) => ({ attributes: { program: name }, value: runCount })),
  },
  {
    name: 'otelcol_receiver_usm_program_time',
    unit: 's',
    kind: 'counter',
    level: 'detailed',
    description: 'Time in a BPF program, while kernel.bpf_stats_enabled is 1; it is part of the time of the observed processes',
    attributes: ['program'],
    read: ({ programs }) => programs.map(({ name, runTimeNs }) => ({ attributes: { program: name }, value: runTimeNs / 1e9 })),
  },
  {
    name: 'otelcol_receiver_usm_recursion_misses',
    unit: '{runs}',
    kind: 'counter',
    level: 'detailed',
    description: 'Runs of a BPF program that the kernel skipped because one was running on that CPU already',
    attributes: ['program'],
    read: ({ programs }) =>
      programs.map(({ name, recursionMisses }) => ({ attributes: { program: name }, value: recursionMisses })),
  },
];

const levels: Readonly<Record<MetricLevel, number>> = { basic: 0, normal: 1, detailed: 2 };

export function instrumentsAt(level: MetricLevel): readonly Instrument[] {
  return instruments.filter((instrument) => levels[instrument.level] <= levels[level]);
}
