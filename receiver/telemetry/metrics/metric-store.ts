// What is measured, of all services: the instruments that are switched on × the services that there are, and at each collection those → points.
// When a series begins and ends: docs/telemetry.md, Metrics.
import { assert } from '../../errors.ts';
import type { ProcessImage } from '../../model/process.ts';
import type { Resource } from '../../model/resource.ts';
import type { AttributeList } from '../../model/span.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import type { Random } from './exemplars.ts';
import { type Aggregation, createInstruments, type EnabledMetric, type Instruments } from './instruments.ts';
import type { Series } from './series.ts';
import { type Service, Services, type Take } from './services.ts';
import type { Stream } from './stream.ts';

export interface MetricStoreOptions {
  readonly metrics: readonly EnabledMetric[];
  readonly aggregation: Aggregation & {
    readonly cardinalityLimit: number;
    readonly seriesExpiry: Nanoseconds;
  };
  readonly resourceOf: (image: ProcessImage | undefined) => Resource;
  readonly isAlive: (image: ProcessImage) => boolean;
  readonly clock: { now(): Nanoseconds; toUnixNs(time: Nanoseconds): bigint };
  readonly random: Random;
  readonly maxServices?: number;
  readonly maxSeries?: number;
}

export interface MetricCounters {
  /** Points handed over in collections. */
  readonly points: number;
  readonly services: number;
  readonly series: number;
}

/** Beyond this many, services share one resource. */
const MAX_SERVICES = 8_192;
/** Of all services together; about 1 kB each. */
const MAX_SERIES = 200_000;
/** Some milliseconds of encoding: the ring goes on filling meanwhile. */
const POINTS_PER_TURN = 512;

export class MetricStore {
  readonly instruments: Instruments;
  readonly #options: MetricStoreOptions;
  readonly #services: Services;
  #points = 0;

  constructor(options: MetricStoreOptions) {
    const { metrics, aggregation, random, resourceOf, isAlive, clock } = options;
    this.#options = options;
    this.instruments = createInstruments(metrics, aggregation, random);
    const servicesOptions = {
      instruments: this.instruments,
      resourceOf,
      isAlive,
      cardinalityLimit: aggregation.cardinalityLimit,
      maxServices: options.maxServices ?? MAX_SERVICES,
      maxSeries: options.maxSeries ?? MAX_SERIES,
    };
    this.#services = new Services(servicesOptions, clock.toUnixNs(clock.now()));
  }

  /** Hot path. Undefined image: nothing is known of the process. */
  serviceOf(image: ProcessImage | undefined): Service {
    return this.#services.of(image);
  }

  /** A series begins with what is measured first, at `time`, but never before one of the same name ended. */
  startOf({ collectedUnixNs }: Service, time: Nanoseconds): bigint {
    const startUnixNs = this.#options.clock.toUnixNs(time);
    return startUnixNs > collectedUnixNs ? startUnixNs : collectedUnixNs;
  }

  /** Begins a collection. `count` counts what there is at this moment, if there is anything to count. */
  beginCollection(count: () => void): void {
    if (this.instruments.counts.length > 0) {
      this.#services.resetCounts();
      count();
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
    return { points: this.#points, services: this.#services.size, series: this.#services.series };
  }
}

/** The series with this key, made if it is not there. `index`: of the instrument, in its list and in that of the service's streams. */
export function seriesOf<S extends Series>(
  streams: readonly Stream<S>[],
  index: number,
  key: string,
  attributesOf: () => AttributeList,
  startOf: () => bigint,
): S {
  const stream = streams[index];
  assert(stream !== undefined, 'an instrument has a stream in each service');
  return stream.find(key) ?? stream.add(key, attributesOf(), startOf());
}
