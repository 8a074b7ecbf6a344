// Process image → the service that it is a worker of, and the streams of each service. All workers of a service on this host are measured
// together, so that each stream has one writer (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#single-writer).
import type { ResourceMetric } from '../../model/metric.ts';
import type { ProcessImage } from '../../model/process.ts';
import type { Resource } from '../../model/resource.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import { HttpEntries } from './http-entries.ts';
import type { Instrument, Instruments } from './instruments.ts';
import type { CountSeries, DistributionSeries, Series, SumSeries } from './series.ts';
import { type Collection, type SeriesBudget, Stream } from './stream.ts';

/** Takes points of one metric; what they are views of is reset when this returns. */
export type Take = (item: ResourceMetric, points: number) => void;

export interface ServicesOptions {
  readonly instruments: Instruments;
  /** Resource of the service that a process belongs to; of all that have no place of their own for undefined. */
  readonly resourceOf: (image: ProcessImage | undefined) => Resource;
  readonly isAlive: (image: ProcessImage) => boolean;
  /** Series of one metric of one service. */
  readonly cardinalityLimit: number;
  readonly maxServices: number;
  /** Of all services; overflow series come on top. */
  readonly maxSeries: number;
}

const MAX_IMAGES = 32_768;
/** Points that are handed over at once. They go into one request, and a request has a limit. */
const MAX_POINTS = 256;

export class Service {
  readonly resource: Resource;
  /** By instrument. */
  readonly distributions: readonly Stream<DistributionSeries>[];
  readonly counts: readonly Stream<CountSeries>[];
  readonly sums: readonly Stream<SumSeries>[];
  readonly entries = new HttpEntries();
  /** Of its last collection, or of one before it was there. */
  collectedUnixNs: bigint;
  /** Changes when a series may have ended that somebody has at hand. */
  generation = 0;
  /** Living processes that were measured. */
  processes = 0;

  constructor(
    resource: Resource,
    nowUnixNs: bigint,
    { distributions, counts, sums }: Instruments,
    limit: number,
    budget: SeriesBudget,
  ) {
    this.resource = resource;
    this.collectedUnixNs = nowUnixNs;
    this.distributions = distributions.map((instrument) => new Stream(instrument, limit, budget));
    this.counts = counts.map((instrument) => new Stream(instrument, limit, budget));
    this.sums = sums.map((instrument) => new Stream(instrument, limit, budget));
  }

  get isEmpty(): boolean {
    const isEmpty = (stream: { readonly isEmpty: boolean }): boolean => stream.isEmpty;
    return this.distributions.every(isEmpty) && this.counts.every(isEmpty) && this.sums.every(isEmpty);
  }
}

export class Services {
  readonly #options: ServicesOptions;
  readonly #budget: SeriesBudget;
  readonly #byImage = new Map<ProcessImage, Service>();
  readonly #byResource = new Map<string, Service>();
  #others: Service | undefined;
  #lastImage: ProcessImage | undefined;
  #lastService: Service | undefined;
  /** What the collection under way has still to come to, with the keys of services that may be forgotten. */
  #uncollected: [key: string | undefined, service: Service][] = [];
  #latestUnixNs: bigint;

  /** `startUnixNs`: nothing begins before. */
  constructor(options: ServicesOptions, startUnixNs: bigint) {
    this.#options = options;
    this.#latestUnixNs = startUnixNs;
    this.#budget = { used: 0, limit: options.maxSeries };
  }

  /** Hot path. Undefined image: nothing is known of the process. */
  of(image: ProcessImage | undefined): Service {
    if (image === this.#lastImage && this.#lastService !== undefined) return this.#lastService;
    const service = image === undefined ? this.#catchAll() : (this.#byImage.get(image) ?? this.#add(image));
    this.#lastImage = image;
    this.#lastService = service;
    return service;
  }

  get size(): number {
    return this.#byResource.size + (this.#others === undefined ? 0 : 1);
  }

  get series(): number {
    return this.#budget.used;
  }

  /** Counts are about to be made anew. */
  resetCounts(): void {
    for (const service of this.#byResource.values()) for (const stream of service.counts) stream.reset();
    for (const stream of this.#others?.counts ?? []) stream.reset();
  }

  /** Begins to collect from all services there are; what was not collected in the last round has its turn now. */
  beginRound(): void {
    this.#forgetDeadProcesses();
    this.#uncollected = [...this.#byResource];
    if (this.#others !== undefined) this.#uncollected.push([undefined, this.#others]);
    this.#uncollected.reverse();
  }

  /**
   * Hands over the points of some services, at least `minPoints` if there are so many, and forgets services of which nothing is left. True
   * when the round is over. `wallNs`: the present time.
   */
  collect(now: Nanoseconds, wallNs: bigint, idleSince: Nanoseconds, minPoints: number, take: Take): boolean {
    // A wall clock that was set back does not make intervals that end before they begin.
    const nowUnixNs = wallNs > this.#latestUnixNs ? wallNs : this.#latestUnixNs + 1n;
    this.#latestUnixNs = nowUnixNs;
    let taken = 0;
    const count: Take = (item, points) => {
      taken += points;
      take(item, points);
    };
    while (taken < minPoints) {
      const next = this.#uncollected.pop();
      if (next === undefined) break;
      const [key, service] = next;
      this.#collectService(service, { now, nowUnixNs, lastUnixNs: service.collectedUnixNs, idleSince }, count);
      service.collectedUnixNs = nowUnixNs;
      if (key !== undefined && service.processes === 0 && service.isEmpty) this.#byResource.delete(key);
    }
    this.#lastImage = this.#lastService = undefined;
    return this.#uncollected.length === 0;
  }

  #collectService(service: Service, collection: Collection, take: Take): void {
    const { distributions, counts, sums } = this.#options.instruments;
    const isAlive = service.processes > 0;
    let hasEnded = false;
    for (const [index, stream] of service.distributions.entries()) {
      const series: DistributionSeries[] = [];
      if (stream.collect(collection, isAlive, series)) hasEnded = true;
      takeAll(service, distributions[index], series, take);
    }
    for (const [index, stream] of service.counts.entries()) {
      const series: CountSeries[] = [];
      stream.collect(collection, isAlive, series);
      takeAll(service, counts[index], series, take);
    }
    for (const [index, stream] of service.sums.entries()) {
      const series: SumSeries[] = [];
      if (stream.collect(collection, isAlive, series)) hasEnded = true;
      takeAll(service, sums[index], series, take);
    }
    if (!hasEnded) return;
    service.entries.clear();
    service.generation++;
  }

  #add(image: ProcessImage): Service {
    if (this.#byImage.size >= MAX_IMAGES) this.#forgetDeadProcesses();
    if (this.#byImage.size >= MAX_IMAGES) return this.#catchAll();
    const resource = this.#options.resourceOf(image);
    const key = JSON.stringify([...resource.attributes].sort(([a], [b]) => (a < b ? -1 : 1)));
    let service = this.#byResource.get(key);
    if (service === undefined) {
      const isFull = this.#byResource.size >= this.#options.maxServices;
      service = isFull ? this.#catchAll() : this.#make(resource);
      if (!isFull) this.#byResource.set(key, service);
    }
    service.processes++;
    this.#byImage.set(image, service);
    return service;
  }

  /** For what would be one service too many: nothing is left uncounted. */
  #catchAll(): Service {
    return (this.#others ??= this.#make(this.#options.resourceOf(undefined)));
  }

  #forgetDeadProcesses(): void {
    for (const [image, service] of this.#byImage) {
      if (this.#options.isAlive(image)) continue;
      this.#byImage.delete(image);
      service.processes--;
    }
  }

  #make(resource: Resource): Service {
    const { instruments, cardinalityLimit } = this.#options;
    return new Service(resource, this.#latestUnixNs, instruments, cardinalityLimit, this.#budget);
  }
}

function takeAll<S extends Series>(
  service: Service,
  instrument: Instrument<S> | undefined,
  series: readonly S[],
  take: Take,
): void {
  if (instrument === undefined) return;
  const handOver = (points: readonly S[]): void => {
    take({ resource: service.resource, metric: instrument.describe(points) }, points.length);
  };
  const hasEnded = series.some(({ hasNoValue }) => hasNoValue);
  const going = hasEnded ? series.filter(({ hasNoValue }) => !hasNoValue) : series;
  for (let from = 0; from < going.length; from += MAX_POINTS) {
    handOver(going.length <= MAX_POINTS ? going : going.slice(from, from + MAX_POINTS));
  }
  // One by one: the Collector's prometheus exporter passes over whatever stands behind such a point (accumulator.go, NoRecordedValue).
  if (hasEnded) for (const one of series) if (one.hasNoValue) handOver([one]);
  const isDelta = instrument.temporality === 'delta';
  for (const one of series) one.reset(isDelta);
}
