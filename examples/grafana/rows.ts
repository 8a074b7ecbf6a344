// The graphs of the dashboard, row by row, with their queries (PromQL). Metrics of services are named as the Collector's `prometheus` exporter names them,
// those of the receiver as on its own page. It is one table.
interface Query {
  readonly expr: string;
  readonly legend: string;
  /** Show its exemplars. */
  readonly exemplar?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly description: string;
  readonly unit: 'reqps' | 'percentunit' | 's' | 'bytes' | 'Bps' | 'short' | 'cps';
  readonly queries: readonly Query[];
  readonly isStacked?: boolean;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Lines of a graph that has one for each other end. */
const MOST_EDGES = 20;

// The alternative that is empty lets a page without scope labels through, and keeps the same metrics of SDKs out.
const service = 'job=~"$service", otel_scope_name=~"usm-receiver|"';
const receiver = 'instance=~"$receiver"';

const rateOf = (metric: string, matchers: string): string => `rate(${metric}{${matchers}}[$__rate_interval])`;

const sumRate = (labels: string, metric: string, matchers: string): string => `sum by (${labels}) (${rateOf(metric, matchers)})`;

/** 0 where there are requests and no errors. */
function errorShare(labels: string, metric: string): string {
  const all = sumRate(labels, metric, service);
  return `(${sumRate(labels, metric, `${service}, error_type!=""`)} or 0 * ${all}) / ${all}`;
}

const quantile = (share: number, labels: string, metric: string, matchers: string): string =>
  `histogram_quantile(${share}, ${sumRate(labels, `${metric}_bucket`, matchers)})`;

const top = (expr: string): string => `topk(${MOST_EDGES}, ${expr})`;

const total = (labels: string, metric: string): string => `sum by (${labels}) (${metric}{${receiver}})`;

const served = 'http_server_request_duration_seconds';
const asked = 'http_client_request_duration_seconds';
const called = 'rpc_server_call_duration_seconds';
const calling = 'rpc_client_call_duration_seconds';
const edge = 'job, server_address, server_port';
const edgeLegend = '{{job}} → {{server_address}}:{{server_port}}';

// The client's end of each edge, so that none is counted twice.
const client = `${service}, usm_connection_role="client"`;

export const rows: readonly Row[] = [
  {
    title: 'What services answer',
    panels: [
      {
        title: 'Requests',
        description: 'Requests that each service has answered, or left unanswered, each second.',
        unit: 'reqps',
        queries: [{ expr: sumRate('job', `${served}_count`, service), legend: '{{job}}' }],
      },
      {
        title: 'Errors',
        description: 'Share of requests that a server failed: answers of 500 and above, and exchanges that ended early.',
        unit: 'percentunit',
        queries: [{ expr: errorShare('job', `${served}_count`), legend: '{{job}}' }],
      },
      {
        title: 'Duration',
        description:
          'From the first byte of the request to the last of the response, of all chosen services together. Each dot is one request, with its trace.',
        unit: 's',
        queries: [
          { expr: quantile(0.5, 'le', served, service), legend: 'p50' },
          { expr: quantile(0.95, 'le', served, service), legend: 'p95' },
          { expr: quantile(0.99, 'le', served, service), legend: 'p99', exemplar: true },
        ],
      },
      {
        title: 'Duration of each service (p95)',
        description: 'The 95th percentile of each service. Each dot is one request, with its trace.',
        unit: 's',
        queries: [{ expr: quantile(0.95, 'job, le', served, service), legend: '{{job}}', exemplar: true }],
      },
      {
        title: 'Status codes',
        description: 'Requests by the status code that was answered.',
        unit: 'reqps',
        isStacked: true,
        queries: [
          {
            expr: `label_replace(${sumRate('http_response_status_code', `${served}_count`, service)}, "http_response_status_code", "none", "http_response_status_code", "")`,
            legend: '{{http_response_status_code}}',
          },
        ],
      },
      {
        title: 'Kinds of errors',
        description:
          'Failed requests by status code, or by how the exchange ended: connection_reset, connection_closed, process_exited.',
        unit: 'reqps',
        isStacked: true,
        queries: [
          {
            expr: sumRate('job, error_type', `${served}_count`, `${service}, error_type!=""`),
            legend: '{{job}} {{error_type}}',
          },
        ],
      },
    ],
  },
  {
    title: 'What services ask of others',
    panels: [
      {
        title: 'Requests by edge',
        description: `Requests from each service to each address, the ${MOST_EDGES} busiest.`,
        unit: 'reqps',
        queries: [{ expr: top(sumRate(edge, `${asked}_count`, service)), legend: edgeLegend }],
      },
      {
        title: 'Errors by edge',
        description: `Share of requests that failed as the client sees it: answers of 400 and above, and exchanges that ended early. The ${MOST_EDGES} worst.`,
        unit: 'percentunit',
        queries: [{ expr: top(errorShare(edge, `${asked}_count`)), legend: edgeLegend }],
      },
      {
        title: 'Duration by edge (p95)',
        description: `The 95th percentile of each edge, the ${MOST_EDGES} slowest. Each dot is one request, with its trace.`,
        unit: 's',
        queries: [{ expr: top(quantile(0.95, `${edge}, le`, asked, service)), legend: edgeLegend, exemplar: true }],
      },
    ],
  },
  {
    title: 'gRPC calls',
    panels: [
      {
        title: 'Calls by method',
        description: `Calls that each service has answered, or left unanswered, each second: the ${MOST_EDGES} busiest methods.`,
        unit: 'reqps',
        queries: [{ expr: top(sumRate('job, rpc_method', `${called}_count`, service)), legend: '{{job}} {{rpc_method}}' }],
      },
      {
        title: 'Errors by method',
        description: `Share of calls that a server failed: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, and calls that ended without a status, unless they were cancelled. The ${MOST_EDGES} worst.`,
        unit: 'percentunit',
        queries: [{ expr: top(errorShare('job, rpc_method', `${called}_count`)), legend: '{{job}} {{rpc_method}}' }],
      },
      {
        title: 'Duration by method (p95)',
        description: `The 95th percentile of each method, the ${MOST_EDGES} slowest; of streams it is how long they are open. Each dot is one call, with its trace.`,
        unit: 's',
        queries: [
          {
            expr: top(quantile(0.95, 'job, rpc_method, le', called, service)),
            legend: '{{job}} {{rpc_method}}',
            exemplar: true,
          },
        ],
      },
      {
        title: 'Statuses',
        description: 'Calls by the status that was answered; none where there was no status on the wire.',
        unit: 'reqps',
        isStacked: true,
        queries: [
          {
            expr: `label_replace(${sumRate('rpc_status_code', `${called}_count`, service)}, "rpc_status_code", "none", "rpc_status_code", "")`,
            legend: '{{rpc_status_code}}',
          },
        ],
      },
      {
        title: 'Errors by edge, as clients see them',
        description: `Share of calls from each service to each address that did not end with OK. The ${MOST_EDGES} worst.`,
        unit: 'percentunit',
        queries: [{ expr: top(errorShare(edge, `${calling}_count`)), legend: edgeLegend }],
      },
      {
        title: 'Duration by edge (p95), as clients see it',
        description: `The 95th percentile of each edge, the ${MOST_EDGES} slowest. Each dot is one call, with its trace.`,
        unit: 's',
        queries: [{ expr: top(quantile(0.95, `${edge}, le`, calling, service)), legend: edgeLegend, exemplar: true }],
      },
    ],
  },
  {
    title: 'Connections, whatever they carry',
    panels: [
      {
        title: 'Bytes by edge',
        description: `Payload from and to each server, as its client sees it, the ${MOST_EDGES} busiest. Needs metrics::usm.connection.io::enabled: true, as the others here need theirs.`,
        unit: 'Bps',
        queries: [
          {
            expr: top(sumRate(`${edge}, network_io_direction`, 'usm_connection_io_bytes_total', client)),
            legend: `${edgeLegend} {{network_io_direction}}`,
          },
        ],
      },
      {
        title: 'Round-trip time by edge (p95)',
        description: `The 95th percentile of the connections of each edge while they send, the ${MOST_EDGES} slowest.`,
        unit: 's',
        queries: [{ expr: top(quantile(0.95, `${edge}, le`, 'usm_connection_rtt_seconds', client)), legend: edgeLegend }],
      },
      {
        title: 'Retransmits',
        description: `TCP segments that were sent again, by the end that sent them, the ${MOST_EDGES} most.`,
        unit: 'cps',
        queries: [
          {
            expr: top(sumRate(`${edge}, usm_connection_role`, 'usm_connection_retransmits_total', service)),
            legend: `${edgeLegend} {{usm_connection_role}}`,
          },
        ],
      },
      {
        title: 'Resets',
        description: 'Connections that ended in a reset, by whether this end sent it.',
        unit: 'cps',
        queries: [
          {
            expr: top(sumRate(`${edge}, usm_connection_role, network_io_direction`, 'usm_connection_resets_total', service)),
            legend: `${edgeLegend} {{usm_connection_role}} {{network_io_direction}}`,
          },
        ],
      },
      {
        title: 'Failed connects',
        description: 'Attempts to open a connection that failed, by the reason.',
        unit: 'cps',
        queries: [
          {
            expr: top(sumRate(`${edge}, error_type`, 'usm_connection_failed_connects_total', service)),
            legend: `${edgeLegend} {{error_type}}`,
          },
        ],
      },
      {
        title: 'Open connections',
        description: `TCP connections that each client has open to each server, the ${MOST_EDGES} most.`,
        unit: 'short',
        queries: [{ expr: top(`sum by (${edge}) (usm_connection_count{${client}})`), legend: edgeLegend }],
      },
    ],
  },
  {
    title: 'Saturation',
    panels: [
      {
        title: 'Active requests',
        description:
          'Requests that a server was working on at the moment of a collection. Needs metrics::http.server.active_requests::enabled: true.',
        unit: 'short',
        queries: [{ expr: `sum by (job) (http_server_active_requests{${service}})`, legend: '{{job}}' }],
      },
      {
        title: 'Open connections of clients',
        description: 'Connections by whether an answer is under way. Needs metrics::http.client.open_connections::enabled: true.',
        unit: 'short',
        queries: [
          {
            expr: `sum by (job, http_connection_state) (http_client_open_connections{${service}})`,
            legend: '{{job}} {{http_connection_state}}',
          },
        ],
      },
      {
        title: 'Ring buffer and overload',
        description:
          'How full the memory between kernel and receiver is, and the share of connections that is left out because the receiver does not keep up. While that is not 0, what services answer and ask is of the other connections only.',
        unit: 'percentunit',
        queries: [
          {
            expr: `otelcol_receiver_usm_ring_size{${receiver}} / otelcol_receiver_usm_ring_capacity{${receiver}}`,
            legend: '{{instance}} full',
          },
          { expr: `otelcol_receiver_usm_overload_share{${receiver}}`, legend: '{{instance}} left out' },
        ],
      },
      {
        title: 'Sending queues',
        description: 'How full the queue of each exporter is. What a full one does not take is dropped.',
        unit: 'percentunit',
        queries: [
          {
            expr: `otelcol_exporter_queue_size{${receiver}} / otelcol_exporter_queue_capacity{${receiver}}`,
            legend: '{{instance}} {{exporter}} {{data_type}}',
          },
        ],
      },
      {
        title: 'CPU of the receiver',
        description: 'Share of one CPU. What the BPF programs take counts for the observed processes.',
        unit: 'percentunit',
        queries: [{ expr: rateOf('otelcol_process_cpu_seconds', receiver), legend: '{{instance}}' }],
      },
      {
        title: 'Memory of the receiver',
        description: 'Resident memory, and of it what is in use on the heap of V8.',
        unit: 'bytes',
        queries: [
          { expr: `otelcol_process_memory_rss{${receiver}}`, legend: '{{instance}} resident' },
          { expr: `otelcol_process_runtime_heap_alloc_bytes{${receiver}}`, legend: '{{instance}} heap' },
        ],
      },
    ],
  },
  {
    title: 'Health of the receiver',
    panels: [
      {
        title: 'Spans',
        description:
          'Spans made, acknowledged by each destination, refused or given up there, and not taken by a full queue, each second.',
        unit: 'cps',
        queries: [
          { expr: sumRate('instance', 'otelcol_receiver_accepted_spans', receiver), legend: '{{instance}} made' },
          {
            expr: sumRate('instance, exporter', 'otelcol_exporter_sent_spans', receiver),
            legend: '{{instance}} {{exporter}} sent',
          },
          {
            expr: sumRate('instance, exporter', 'otelcol_exporter_send_failed_spans', receiver),
            legend: '{{instance}} {{exporter}} failed',
          },
          { expr: sumRate('instance', 'otelcol_receiver_refused_spans', receiver), legend: '{{instance}} refused' },
        ],
      },
      {
        title: 'Transactions without a delivered span',
        description:
          'By reason, each second. Some are as they should be (unsampled, sdk_duplicate, filtered); others are losses.',
        unit: 'cps',
        isStacked: true,
        queries: [
          {
            expr: sumRate('reason', 'otelcol_receiver_usm_transactions_not_exported', receiver),
            legend: '{{reason}}',
          },
        ],
      },
      {
        title: 'Metric points',
        description: 'Data points collected, acknowledged by each destination, and refused or given up there, each second.',
        unit: 'cps',
        queries: [
          { expr: sumRate('instance', 'otelcol_receiver_accepted_metric_points', receiver), legend: '{{instance}} collected' },
          {
            expr: sumRate('instance, exporter', 'otelcol_exporter_sent_metric_points', receiver),
            legend: '{{instance}} {{exporter}} sent',
          },
          {
            expr: sumRate('instance, exporter', 'otelcol_exporter_send_failed_metric_points', receiver),
            legend: '{{instance}} {{exporter}} failed',
          },
        ],
      },
      // Totals: a series with a reason begins with the first of its kind, which a rate would not show.
      {
        title: 'Connections shed since the start',
        description:
          'Connections that were given up, or not followed for a while, because there was too much to do. Empty: none.',
        unit: 'short',
        queries: [
          { expr: total('instance, reason', 'otelcol_receiver_usm_connections_shed'), legend: '{{instance}} {{reason}}' },
        ],
      },
      {
        title: 'Bytes lost since the start',
        description: 'Bytes that were needed and not there, or could not be placed. Empty: none.',
        unit: 'bytes',
        queries: [{ expr: total('instance, reason', 'otelcol_receiver_usm_bytes_lost'), legend: '{{instance}} {{reason}}' }],
      },
      {
        title: 'Events dropped since the start',
        description: 'Events of the kernel that never came, or were not what they must be. Empty: none.',
        unit: 'short',
        queries: [{ expr: total('instance, reason', 'otelcol_receiver_usm_events_dropped'), legend: '{{instance}} {{reason}}' }],
      },
      {
        title: 'Lag (p99)',
        description:
          'Age of events when they are taken from the kernel; delay of the event loop; time from the end of a transaction to the acknowledgement of its span.',
        unit: 's',
        queries: [
          { expr: quantile(0.99, 'instance, le', 'otelcol_receiver_usm_decode_lag', receiver), legend: '{{instance}} taken' },
          {
            expr: quantile(0.99, 'instance, le', 'otelcol_receiver_usm_event_loop_delay', receiver),
            legend: '{{instance}} event loop',
          },
          {
            expr: quantile(0.99, 'instance, le', 'otelcol_receiver_usm_acknowledgement_lag', receiver),
            legend: '{{instance}} acknowledged',
          },
        ],
      },
      {
        title: 'Connections and transactions',
        description: 'What is being followed now.',
        unit: 'short',
        queries: [
          { expr: `otelcol_receiver_usm_connections_tracked{${receiver}}`, legend: '{{instance}} connections' },
          { expr: `otelcol_receiver_usm_transactions_open{${receiver}}`, legend: '{{instance}} open transactions' },
        ],
      },
      {
        title: 'Series of metrics',
        description: 'Series that are kept for all services of the host (at most 200,000), and the number of services.',
        unit: 'short',
        queries: [
          { expr: `otelcol_receiver_usm_metric_series{${receiver}}`, legend: '{{instance}} series' },
          { expr: `otelcol_receiver_usm_metric_services{${receiver}}`, legend: '{{instance}} services' },
        ],
      },
    ],
  },
];
