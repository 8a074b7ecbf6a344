// Hot path: record. Every HTTP exchange → the metrics of the service that it belongs to, and at each collection those → points
// (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/). What is counted, and when a series ends: docs/telemetry.md, Metrics.
import { assert } from '../../errors.ts';
import type { HttpDimensions } from '../../model/http-metrics.ts';
import type { ProcessId, ProcessImage } from '../../model/process.ts';
import type { Present } from '../../model/protocol.ts';
import type { Resource } from '../../model/resource.ts';
import type { Nanoseconds, Transaction } from '../../model/transaction.ts';
import type { SpanIdentity } from './exemplar-store.ts';
import type { Random } from './exemplars.ts';
import { attributesOf, keyOf, type OtherAttributes } from './http-entries.ts';
import { type Aggregation, createInstruments, type EnabledMetric, type Instruments } from './instruments.ts';
import type { DistributionSeries } from './series.ts';
import { type Service, Services, type Take } from './services.ts';

export interface HttpMetricsOptions {
  readonly metrics: readonly EnabledMetric[];
  readonly aggregation: Aggregation & {
    readonly cardinalityLimit: number;
    readonly exemplars: boolean;
    readonly seriesExpiry: Nanoseconds;
  };
  /** Says what the exchange is told apart by. */
  readonly measure: (transaction: Transaction, out: HttpDimensions) => void;
  readonly resourceOf: (image: ProcessImage | undefined) => Resource;
  readonly isAlive: (image: ProcessImage) => boolean;
  readonly imageOf: (process: ProcessId) => ProcessImage | undefined;
  /** Calls back with the state of each connection. */
  readonly present: (visit: (present: Present) => void) => void;
  readonly clock: { now(): Nanoseconds; toUnixNs(time: Nanoseconds): bigint };
  readonly random: Random;
  readonly maxServices?: number;
  readonly maxSeries?: number;
}

export interface MetricCounters {
  /** Exchanges. */
  readonly recorded: number;
  /** Points handed over in collections. */
  readonly points: number;
  readonly services: number;
  readonly series: number;
}

/** Beyond this many, services share one resource. */
const MAX_SERVICES = 8_192;
/** Of all services together; about 1 kB each. */
const MAX_SERIES = 200_000;
const NANOSECONDS_PER_SECOND = 1e9;
/** Some milliseconds of encoding: the ring goes on filling meanwhile. */
const POINTS_PER_TURN = 512;

export class HttpMetrics {
  readonly #options: HttpMetricsOptions;
  readonly #instruments: Instruments;
  readonly #services: Services;
  readonly #server: RoleInstruments;
  readonly #client: RoleInstruments;
  /** Indexes of the counts; -1: switched off. */
  readonly #activeRequests: number;
  readonly #openConnections: number;
  readonly #takesExemplars: boolean;
  readonly #dimensions: HttpDimensions = {
    method: '',
    scheme: '',
    protocolVersion: '',
    statusCode: 0,
    errorType: '',
    serverAddress: '',
    serverPort: 0,
  };
  #recorded = 0;
  #points = 0;

  constructor(options: HttpMetricsOptions) {
    const { metrics, aggregation, random, resourceOf, isAlive, clock } = options;
    this.#options = options;
    this.#instruments = createInstruments(metrics, aggregation, random);
    const servicesOptions = {
      instruments: this.#instruments,
      resourceOf,
      isAlive,
      cardinalityLimit: aggregation.cardinalityLimit,
      maxServices: options.maxServices ?? MAX_SERVICES,
      maxSeries: options.maxSeries ?? MAX_SERIES,
    };
    this.#services = new Services(servicesOptions, clock.toUnixNs(clock.now()));
    this.#server = roleInstruments(this.#instruments, 'server');
    this.#client = roleInstruments(this.#instruments, 'client');
    const countOf = (measures: string): number =>
      this.#instruments.counts.findIndex(({ definition }) => definition.measures === measures);
    this.#activeRequests = countOf('active_requests');
    this.#openConnections = countOf('open_connections');
    this.#takesExemplars = aggregation.exemplars;
  }

  /** `image`: the process, undefined when nothing is known of it. `span`: one that is exported, by us or by the process itself. */
  record(transaction: Transaction, image: ProcessImage | undefined, span: SpanIdentity | undefined): void {
    this.#recorded++;
    const isServer = transaction.role === 'server';
    const instruments = isServer ? this.#server : this.#client;
    const dimensions = this.#dimensions;
    this.#options.measure(transaction, dimensions);
    const service = this.#services.of(image);
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

  /** Begins a collection, and counts what there is at this moment. */
  beginCollection(): void {
    if (this.#instruments.counts.length > 0) {
      this.#services.resetCounts();
      this.#options.present((present) => {
        this.#count(present);
      });
    }
    this.#services.beginRound();
  }

  /**
   * Hands over the next part of what was measured so far, about as many points as fit into a turn of the event loop or `minPoints`. Points are
   * valid during the call that they are handed over with. True when the collection is complete.
   */
  collect(take: Take, minPoints = POINTS_PER_TURN): boolean {
    const { clock, aggregation } = this.#options;
    const now = clock.now();
    return this.#services.collect(now, clock.toUnixNs(now), now - aggregation.seriesExpiry, minPoints, (item, points) => {
      this.#points += points;
      take(item, points);
    });
  }

  counters(): MetricCounters {
    return {
      recorded: this.#recorded,
      points: this.#points,
      services: this.#services.size,
      series: this.#services.series,
    };
  }

  #count({ open, last }: Present): void {
    for (const transaction of open) {
      if (transaction.role === 'server') this.#countOne(this.#activeRequests, transaction);
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
    const instrument = this.#instruments.counts[index];
    if (instrument === undefined) return;
    this.#options.measure(transaction, this.#dimensions);
    const service = this.#services.of(this.#options.imageOf(transaction.process));
    const stream = service.counts[index];
    assert(stream !== undefined, 'an instrument has a stream in each service');
    const key = keyOf(this.#dimensions, instrument.attributes, others);
    const known = stream.find(key);
    const series =
      known ?? stream.add(key, attributesOf(this.#dimensions, instrument.attributes, others), service.collectedUnixNs);
    series.add();
  }

  /** Of the present dimensions. */
  #seriesOf(service: Service, index: number, transaction: Transaction): DistributionSeries {
    const instrument = this.#instruments.distributions[index];
    const stream = service.distributions[index];
    assert(instrument !== undefined && stream !== undefined, 'an instrument has a stream in each service');
    const key = keyOf(this.#dimensions, instrument.attributes);
    const known = stream.find(key);
    if (known !== undefined) return known;
    return stream.add(key, attributesOf(this.#dimensions, instrument.attributes), this.#startOf(service, transaction));
  }

  /** A series begins with its first exchange, but never before one of the same name ended. */
  #startOf({ collectedUnixNs }: Service, transaction: Transaction): bigint {
    const startUnixNs = this.#options.clock.toUnixNs(transaction.start);
    return startUnixNs > collectedUnixNs ? startUnixNs : collectedUnixNs;
  }
}

/** Indexes of one role's instruments; -1: switched off. */
interface RoleInstruments {
  readonly duration: number;
  readonly requestBodySize: number;
  readonly responseBodySize: number;
}

function roleInstruments({ distributions }: Instruments, role: 'server' | 'client'): RoleInstruments {
  const indexOf = (measures: string): number =>
    distributions.findIndex(({ definition }) => definition.role === role && definition.measures === measures);
  return {
    duration: indexOf('duration'),
    requestBodySize: indexOf('request_body_size'),
    responseBodySize: indexOf('response_body_size'),
  };
}
