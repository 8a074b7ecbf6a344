// How TCP connections fare, as the kernel tells at their end and while they live → the metrics of the services that opened or accepted them.
// Totals come in, differences are counted: what one record would have told, and was lost, is in the next. docs/telemetry.md, Connections.
import type { ConnectionMetricDefinition } from '../../model/connection-metrics.ts';
import type { ConnectionId } from '../../model/connection.ts';
import type { ConnectionVitals } from '../../model/connection-vitals.ts';
import type { ProcessId, ProcessImage } from '../../model/process.ts';
import { ATTR_USM_CONNECTION_ROLE } from '../../model/semconv.ts';
import type { AttributeList, AttributeValue } from '../../model/span.ts';
import type { EnabledMetric, Instrument } from './instruments.ts';
import { type MetricStore, seriesOf } from './metric-store.ts';
import type { CountSeries, DistributionSeries, Series, SumSeries } from './series.ts';
import type { Service } from './services.ts';
import type { Stream } from './stream.ts';

export interface ConnectionMetricsOptions {
  readonly store: MetricStore;
  readonly imageOf: (process: ProcessId) => ProcessImage | undefined;
  /** It has described itself. */
  readonly isKnown: (process: ProcessId) => boolean;
  /** Living ones whose figures are remembered; those beyond are counted at their end. */
  readonly maxConnections: number;
}

/** What connections are told apart by, and what of them is open. */
interface Edge {
  readonly process: ProcessId | undefined;
  readonly values: EdgeValues;
  open: number;
  service: Service | undefined;
  /** Of the service, to which the series belong: they may end. */
  generation: number;
  readonly series: Map<string, SumSeries | DistributionSeries>;
}

type EdgeValues = Readonly<Record<string, string | number>>;

/** What was counted of a living connection. */
interface Counted {
  readonly edge: Edge;
  sent: number;
  received: number;
  retransmits: number;
}

const MICROSECONDS_PER_SECOND = 1e6;
/** By errno, as Linux numbers it on every architecture that we run on. */
const CONNECT_ERRORS: Readonly<Record<number, string>> = {
  0: 'cancelled',
  101: 'network_unreachable',
  104: 'connection_reset',
  110: 'timeout',
  111: 'connection_refused',
  113: 'host_unreachable',
};
const OTHER = '_OTHER';
const NO_VALUES: EdgeValues = {};

export class ConnectionMetrics {
  readonly #options: ConnectionMetricsOptions;
  readonly #sums: Readonly<Record<'io' | 'retransmits' | 'resets' | 'failed_connects', number>>;
  readonly #rtt: number;
  readonly #count: number;
  readonly #isPeerWanted: boolean;
  readonly #counted = new Map<ConnectionId, Counted>();
  /** The latest figures of living connections whose process has not described itself yet. At most as many as are remembered. */
  readonly #waiting = new Map<ConnectionId, ConnectionVitals>();
  /** At most twice as many as connections are remembered: those without any are forgotten. */
  readonly #edges = new Map<string, Edge>();

  constructor(options: ConnectionMetricsOptions) {
    const { sums, distributions, counts } = options.store.instruments;
    this.#options = options;
    this.#sums = {
      io: indexOf(sums, 'io'),
      retransmits: indexOf(sums, 'retransmits'),
      resets: indexOf(sums, 'resets'),
      failed_connects: indexOf(sums, 'failed_connects'),
    };
    this.#rtt = indexOf(distributions, 'rtt');
    this.#count = indexOf(counts, 'connections');
    this.#isPeerWanted = [...sums, ...distributions, ...counts].some(
      ({ definition, attributes }) => definition.role === 'either' && attributes.includes('network.peer.address'),
    );
  }

  /** Living connections whose figures are remembered. */
  get connections(): number {
    return this.#counted.size;
  }

  take(vitals: ConnectionVitals): void {
    const { connection, sent, received, retransmits, rttUs, outcome } = vitals;
    const known = this.#counted.get(connection);
    const isLiving = outcome === undefined;
    if (this.#waiting.size > 0) this.#waiting.delete(connection);
    if (isLiving && known === undefined && !this.#canRemember(vitals)) return;
    const edge = known?.edge ?? this.#edgeOf(vitals);
    const service = this.#serviceOf(edge);
    this.#add(service, edge, 'retransmits', NO_VALUES, retransmits - (known?.retransmits ?? 0));
    if (outcome === 'failed') {
      const error = vitals.isUnsent ? OTHER : (CONNECT_ERRORS[vitals.error] ?? OTHER);
      this.#add(service, edge, 'failed_connects', { 'error.type': error }, 1);
      return;
    }
    this.#add(service, edge, 'io', TRANSMIT, sent - (known?.sent ?? 0));
    this.#add(service, edge, 'io', RECEIVE, received - (known?.received ?? 0));
    // A round trip is measured by what was acknowledged since the last look, or by the SYN.
    if (rttUs > 0 && (known === undefined || sent > known.sent)) this.#measureRtt(service, edge, rttUs);
    if (isLiving) {
      this.#remember(vitals, edge, known);
      return;
    }
    if (outcome !== 'closed') this.#add(service, edge, 'resets', RESETS[outcome], 1);
    if (known === undefined) return;
    this.#counted.delete(connection);
    edge.open--;
  }

  /** Counts what had to wait for its process. Call when events have been taken. */
  settle(): void {
    for (const vitals of this.#waiting.values()) {
      if (vitals.process !== undefined && this.#options.isKnown(vitals.process)) this.take(vitals);
    }
  }

  /** Forgets what is not among the living: its end was lost, and what it moved since the last look with it. */
  sweep(live: ReadonlySet<ConnectionId>): void {
    for (const [connection, { edge }] of this.#counted) {
      if (live.has(connection)) continue;
      this.#counted.delete(connection);
      edge.open--;
    }
    for (const connection of this.#waiting.keys()) if (!live.has(connection)) this.#waiting.delete(connection);
  }

  /** Counts what is open at this moment. */
  countPresent(): void {
    const instrument = this.#options.store.instruments.counts[this.#count];
    for (const edge of this.#edges.values()) {
      if (instrument === undefined || edge.open === 0) continue;
      const service = this.#serviceOf(edge);
      seriesFor<CountSeries>(service, service.counts, this.#count, instrument, edge.values, NO_VALUES).add(edge.open);
    }
  }

  /** The figures may be there before what their process has said of itself is taken from the ring. */
  #canRemember(vitals: ConnectionVitals): boolean {
    const { isKnown, maxConnections } = this.#options;
    if (this.#counted.size + this.#waiting.size >= maxConnections) return false;
    if (vitals.process === undefined || isKnown(vitals.process)) return true;
    this.#waiting.set(vitals.connection, vitals);
    return false;
  }

  #remember({ connection, sent, received, retransmits }: ConnectionVitals, edge: Edge, known: Counted | undefined): void {
    if (known === undefined) {
      this.#counted.set(connection, { edge, sent, received, retransmits });
      edge.open++;
      return;
    }
    // They only grow: a reading that falls behind an earlier one changes nothing.
    known.sent = Math.max(known.sent, sent);
    known.received = Math.max(known.received, received);
    known.retransmits = Math.max(known.retransmits, retransmits);
  }

  #add(
    service: Service,
    edge: Edge,
    measures: 'io' | 'retransmits' | 'resets' | 'failed_connects',
    others: EdgeValues,
    amount: number,
  ): void {
    const index = this.#sums[measures];
    const instrument = this.#options.store.instruments.sums[index];
    if (instrument === undefined) return;
    const name = cacheName(measures, others);
    let series = edge.series.get(name) as SumSeries | undefined;
    if (series === undefined) {
      series = seriesFor(service, service.sums, index, instrument, edge.values, others);
      edge.series.set(name, series);
    }
    series.add(Math.max(0, amount));
  }

  #measureRtt(service: Service, edge: Edge, rttUs: number): void {
    const instrument = this.#options.store.instruments.distributions[this.#rtt];
    if (instrument === undefined) return;
    let series = edge.series.get('rtt') as DistributionSeries | undefined;
    if (series === undefined) {
      series = seriesFor(service, service.distributions, this.#rtt, instrument, edge.values, NO_VALUES);
      edge.series.set('rtt', series);
    }
    series.record(rttUs / MICROSECONDS_PER_SECOND, 0, undefined);
  }

  #serviceOf(edge: Edge): Service {
    const { store, imageOf } = this.#options;
    const service = store.serviceOf(edge.process === undefined ? undefined : imageOf(edge.process));
    if (edge.service !== service || edge.generation !== service.generation) {
      edge.series.clear();
      edge.service = service;
      edge.generation = service.generation;
    }
    return service;
  }

  #edgeOf(vitals: ConnectionVitals): Edge {
    const { process, role, ipVersion, local, peer } = vitals;
    const server = role === 'client' ? peer : role === 'server' ? local : undefined;
    const key =
      `${process?.pid ?? 0} ${process?.startTime ?? 0} ${role} ${ipVersion} ${server?.port ?? 0} ${server?.address ?? ''}` +
      (this.#isPeerWanted ? ` ${peer.address}` : '');
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    if (this.#edges.size >= 2 * this.#options.maxConnections) this.#forgetIdleEdges();
    const values = {
      [ATTR_USM_CONNECTION_ROLE]: role,
      'server.address': server?.address ?? '',
      'server.port': server?.port ?? 0,
      'network.transport': 'tcp',
      'network.type': ipVersion === 4 ? 'ipv4' : 'ipv6',
      'network.peer.address': peer.address,
    };
    const edge: Edge = { process, values, open: 0, service: undefined, generation: 0, series: new Map() };
    this.#edges.set(key, edge);
    return edge;
  }

  #forgetIdleEdges(): void {
    for (const [key, { open }] of this.#edges) if (open === 0) this.#edges.delete(key);
  }
}

const TRANSMIT: EdgeValues = { 'network.io.direction': 'transmit' };
const RECEIVE: EdgeValues = { 'network.io.direction': 'receive' };
const RESETS = { reset_sent: TRANSMIT, reset_received: RECEIVE, reset: NO_VALUES } as const;

/** -1: switched off. */
function indexOf(metrics: readonly EnabledMetric[], measures: ConnectionMetricDefinition['measures']): number {
  return metrics.findIndex(({ definition }) => definition.measures === measures);
}

/** Different for the series that an edge has of one instrument. */
function cacheName(measures: string, others: EdgeValues): string {
  return `${measures} ${others['network.io.direction'] ?? others['error.type'] ?? ''}`;
}

function seriesFor<S extends Series>(
  service: Service,
  streams: readonly Stream<S>[],
  index: number,
  { attributes: names }: Instrument<S>,
  values: EdgeValues,
  others: EdgeValues,
): S {
  const key = names.map((name) => others[name] ?? values[name] ?? '').join('\0');
  return seriesOf(
    streams,
    index,
    key,
    () => attributesOf(names, values, others),
    () => service.collectedUnixNs,
  );
}

function attributesOf(names: readonly string[], values: EdgeValues, others: EdgeValues): AttributeList {
  const attributes: (string | AttributeValue)[] = [];
  for (const name of names) {
    const value = others[name] ?? values[name] ?? '';
    if (value !== '' && value !== 0) attributes.push(name, value);
  }
  return attributes.slice();
}
