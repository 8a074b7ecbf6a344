// Hot path: record. Every HTTP exchange → the metrics of the service that it belongs to, and at each collection those → points
// (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/). One that carries a remote procedure call is measured as that alone
// (https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/). What is counted, and when a series ends: docs/telemetry.md, Metrics.
import type { HttpDimensions, HttpMetricDefinition } from '../../model/http-metrics.ts';
import type { ProcessId, ProcessImage } from '../../model/process.ts';
import type { Present } from '../../model/protocol.ts';
import type { RpcMetricDefinition } from '../../model/rpc-metrics.ts';
import type { Transaction } from '../../model/transaction.ts';
import type { SpanIdentity } from './exemplar-store.ts';
import { attributesOf, keyOf, type OtherAttributes } from './http-entries.ts';
import type { EnabledMetric, Instruments } from './instruments.ts';
import { type MetricStore, seriesOf } from './metric-store.ts';
import type { DistributionSeries } from './series.ts';
import type { Service } from './services.ts';

export interface HttpMetricsOptions {
  readonly store: MetricStore;
  /** Whether measurements carry their spans. */
  readonly exemplars: boolean;
  /** Says what the exchange is told apart by. */
  readonly measure: (transaction: Transaction, out: HttpDimensions) => void;
  readonly imageOf: (process: ProcessId) => ProcessImage | undefined;
  /** Calls back with the state of each connection. */
  readonly present: (visit: (present: Present) => void) => void;
}

const NANOSECONDS_PER_SECOND = 1e9;

export class HttpMetrics {
  readonly #options: HttpMetricsOptions;
  readonly #store: MetricStore;
  readonly #server: RoleInstruments;
  readonly #client: RoleInstruments;
  readonly #callServer: RoleInstruments;
  readonly #callClient: RoleInstruments;
  /** Indexes of the counts; -1: switched off. */
  readonly #activeRequests: number;
  readonly #openConnections: number;
  readonly #takesExemplars: boolean;
  readonly #dimensions: HttpDimensions = {
    method: '',
    rpcMethod: '',
    rpcStatusCode: '',
    scheme: '',
    protocolVersion: '',
    statusCode: 0,
    errorType: '',
    serverAddress: '',
    serverPort: 0,
  };
  #recorded = 0;

  constructor(options: HttpMetricsOptions) {
    const { instruments } = options.store;
    this.#options = options;
    this.#store = options.store;
    this.#server = roleInstruments(instruments, 'server');
    this.#client = roleInstruments(instruments, 'client');
    this.#callServer = callInstruments(instruments, 'server');
    this.#callClient = callInstruments(instruments, 'client');
    this.#activeRequests = indexOf(instruments.counts, 'server', 'active_requests');
    this.#openConnections = indexOf(instruments.counts, 'client', 'open_connections');
    this.#takesExemplars = options.exemplars;
  }

  /** Exchanges. */
  get recorded(): number {
    return this.#recorded;
  }

  /** `image`: the process, undefined when nothing is known of it. `span`: one that is exported, by us or by the process itself. */
  record(transaction: Transaction, image: ProcessImage | undefined, span: SpanIdentity | undefined): void {
    this.#recorded++;
    const isServer = transaction.role === 'server';
    const instruments = this.#instrumentsOf(isServer, transaction.rpc !== undefined);
    const dimensions = this.#dimensions;
    this.#options.measure(transaction, dimensions);
    const service = this.#store.serviceOf(image);
    const entry = service.entries.of(isServer, dimensions);
    const { end } = transaction;
    const exemplar = this.#takesExemplars ? span : undefined;
    if (instruments.duration >= 0) {
      const series = (entry.duration ??= this.#seriesOf(service, instruments.duration, transaction));
      series.record(Math.max(0, end - transaction.start) / NANOSECONDS_PER_SECOND, end, exemplar);
    }
    const requestSize = transaction.request.bodySize;
    if (instruments.requestBodySize >= 0 && requestSize !== undefined) {
      const series = (entry.requestBodySize ??= this.#seriesOf(service, instruments.requestBodySize, transaction));
      series.record(requestSize, end, exemplar);
    }
    const responseSize = transaction.response?.bodySize;
    if (instruments.responseBodySize >= 0 && responseSize !== undefined) {
      const series = (entry.responseBodySize ??= this.#seriesOf(service, instruments.responseBodySize, transaction));
      series.record(responseSize, end, exemplar);
    }
  }

  #instrumentsOf(isServer: boolean, isCall: boolean): RoleInstruments {
    if (isCall) return isServer ? this.#callServer : this.#callClient;
    return isServer ? this.#server : this.#client;
  }

  /** Counts what there is at this moment. */
  countPresent(): void {
    if (this.#activeRequests < 0 && this.#openConnections < 0) return;
    this.#options.present((present) => {
      this.#count(present);
    });
  }

  #count({ open, last }: Present): void {
    for (const transaction of open) {
      if (transaction.role === 'server' && this.#activeRequests >= 0)
        this.#countOne(this.#activeRequests, asRequest(transaction));
    }
    // Of a connection all exchanges are with the same server; before the first nobody knows which.
    const any = open[0] ?? last;
    if (any?.role !== 'client') return;
    this.#countOne(this.#openConnections, any, {
      'http.connection.state': open.length > 0 ? 'active' : 'idle',
      'network.peer.address': any.connection.peer.address,
    });
  }

  #countOne(index: number, transaction: Transaction, others?: OtherAttributes): void {
    const instrument = this.#store.instruments.counts[index];
    if (instrument === undefined) return;
    const dimensions = this.#dimensions;
    const { attributes } = instrument;
    this.#options.measure(transaction, dimensions);
    const service = this.#store.serviceOf(this.#options.imageOf(transaction.process));
    seriesOf(
      service.counts,
      index,
      keyOf(dimensions, attributes, others),
      () => attributesOf(dimensions, attributes, others),
      () => service.collectedUnixNs,
    ).add();
  }

  /** Of the present dimensions. */
  #seriesOf(service: Service, index: number, transaction: Transaction): DistributionSeries {
    const dimensions = this.#dimensions;
    const attributes = this.#store.instruments.distributions[index]?.attributes ?? [];
    return seriesOf(
      service.distributions,
      index,
      keyOf(dimensions, attributes),
      () => attributesOf(dimensions, attributes),
      () => this.#store.startOf(service, transaction.start),
    );
  }
}

/** The request that carries a call: of calls the conventions have no count of the present. */
function asRequest(transaction: Transaction): Transaction {
  return transaction.rpc === undefined ? transaction : { ...transaction, rpc: undefined };
}

/** Indexes of one role's instruments; -1: switched off. */
interface RoleInstruments {
  readonly duration: number;
  readonly requestBodySize: number;
  readonly responseBodySize: number;
}

function roleInstruments({ distributions }: Instruments, role: 'server' | 'client'): RoleInstruments {
  return {
    duration: indexOf(distributions, role, 'duration'),
    requestBodySize: indexOf(distributions, role, 'request_body_size'),
    responseBodySize: indexOf(distributions, role, 'response_body_size'),
  };
}

/** Of calls of remote procedures only the duration is measured. */
function callInstruments({ distributions }: Instruments, role: 'server' | 'client'): RoleInstruments {
  return { duration: indexOf(distributions, role, 'call_duration'), requestBodySize: -1, responseBodySize: -1 };
}

/** -1: switched off. */
function indexOf(
  metrics: readonly EnabledMetric[],
  role: 'server' | 'client',
  measures: (HttpMetricDefinition | RpcMetricDefinition)['measures'],
): number {
  return metrics.findIndex(({ definition }) => definition.role === role && definition.measures === measures);
}
