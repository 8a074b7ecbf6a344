// The metrics of exchanges and of connections with everything real but time, and its collections as plain data: points outlive their call only here.
import { createProcesses } from '../../../receiver/attribution/processes.ts';
import { createResources } from '../../../receiver/attribution/resources.ts';
import { createServiceResources } from '../../../receiver/attribution/service-resources.ts';
import { defaultAttributes } from '../../../receiver/model/metric-definition.ts';
import type { DistributionPoint, Exemplar, HistogramPoint, NumberPoint, Point } from '../../../receiver/model/metric.ts';
import { metrics as definitions } from '../../../receiver/model/metrics.ts';
import type { ProcessImage } from '../../../receiver/model/process.ts';
import type { Present } from '../../../receiver/model/protocol.ts';
import type { AttributeValue } from '../../../receiver/model/span.ts';
import { createHttpDimensions } from '../../../receiver/protocols/http/dimensions.ts';
import { ConnectionMetrics } from '../../../receiver/telemetry/metrics/connection-metrics.ts';
import { HttpMetrics } from '../../../receiver/telemetry/metrics/http-metrics.ts';
import { MetricStore, type MetricStoreOptions } from '../../../receiver/telemetry/metrics/metric-store.ts';

export const WALL_NS = 1_795_178_096_000_000_000n;
export const SECOND = 1e9;
export const host = { id: 'host-id', name: 'host-name', arch: 'amd64' };

export interface PlainPoint {
  readonly service: string;
  readonly instance: string;
  readonly metric: string;
  readonly unit: string;
  readonly kind: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Relative to the beginning. */
  readonly start: number;
  readonly time: number;
  readonly hasNoValue: boolean;
  /** Of a sum its value. */
  readonly count: number;
  readonly sum: number;
  readonly counts: readonly number[];
  readonly exemplars: readonly Exemplar[];
}

type Aggregation = Partial<MetricStoreOptions['aggregation'] & { readonly exemplars: boolean }>;

export interface BenchOptions {
  readonly aggregation?: Aggregation;
  /** Names; those that the conventions have on by default otherwise. */
  readonly metrics?: readonly string[];
  readonly attributes?: readonly string[];
  readonly maxServices?: number;
  readonly maxSeries?: number;
  readonly maxConnections?: number;
}

export class MetricsBench {
  now = 0;
  /** Of the connections that there are. */
  present: Present[] = [];
  /** What the wall clock is corrected by. */
  skewNs = 0n;
  readonly store: MetricStore;
  readonly metrics: HttpMetrics;
  readonly connections: ConnectionMetrics;
  readonly processes = createProcesses({ maxProcesses: 1_000, retentionNs: 0 });
  /** Of every call: how many points it had. */
  readonly pieces: number[] = [];

  constructor({ aggregation, metrics, attributes, maxConnections = 1_000, ...limits }: BenchOptions = {}) {
    const resources = createResources({ host, version: '1.2.3', maxProcesses: 1_000 });
    const isWanted = (name: string, isDefault: boolean): boolean => metrics?.includes(name) ?? isDefault;
    const { exemplars = true, ...rest } = aggregation ?? {};
    this.store = new MetricStore({
      metrics: definitions
        .filter(({ name, isEnabledByDefault }) => isWanted(name, isEnabledByDefault))
        .map((definition) => ({ definition, attributes: attributes ?? defaultAttributes(definition) })),
      aggregation: {
        temporality: 'cumulative',
        histogram: 'explicit',
        maxSize: 160,
        cardinalityLimit: 2_000,
        seriesExpiry: 300 * SECOND,
        ...rest,
      },
      resourceOf: createServiceResources({ host, resourceOf: resources.resourceOf }),
      isAlive: this.processes.isAlive,
      clock: {
        now: () => this.now,
        toUnixNs: (time) => WALL_NS + this.skewNs + BigInt(Math.round(time)),
      },
      random: Math.random,
      ...limits,
    });
    this.metrics = new HttpMetrics({
      store: this.store,
      exemplars,
      measure: createHttpDimensions({ knownMethods: ['GET', 'POST'], isServerAddressed: attributes !== undefined }),
      imageOf: this.processes.lookup,
      present: (visit) => {
        for (const present of this.present) visit(present);
      },
    });
    const { lookup: imageOf, isKnown } = this.processes;
    this.connections = new ConnectionMetrics({ store: this.store, imageOf, isKnown, maxConnections });
  }

  start(image: ProcessImage): ProcessImage {
    this.processes.onImage(image);
    return image;
  }

  end(image: ProcessImage): void {
    this.processes.onExit(image, this.now);
  }

  /** Lets `seconds` pass before. */
  collect(seconds = 60): PlainPoint[] {
    this.now += seconds * SECOND;
    const points: PlainPoint[] = [];
    this.store.beginCollection(() => {
      this.metrics.countPresent();
      this.connections.countPresent();
    });
    this.store.collect(({ resource, metric }, count) => {
      this.pieces.push(count);
      for (const point of metric.data.points) {
        const { startUnixNs, timeUnixNs, attributes, hasNoValue } = point as Point;
        const pairs: [string, AttributeValue][] = [];
        for (let i = 0; i + 1 < attributes.length; i += 2) {
          pairs.push([attributes[i] as string, attributes[i + 1] as AttributeValue]);
        }
        const distribution = point as DistributionPoint;
        points.push({
          service: resource.serviceName,
          instance: String(resource.attributes.get('service.instance.id')),
          metric: metric.name,
          unit: metric.unit,
          kind: metric.data.kind,
          attributes: Object.fromEntries(pairs),
          start: Number(startUnixNs - WALL_NS),
          time: Number(timeUnixNs - WALL_NS),
          hasNoValue,
          count: metric.data.kind === 'sum' ? (point as NumberPoint).value : distribution.count,
          sum: distribution.sum,
          counts: metric.data.kind === 'sum' ? [] : [...(point as HistogramPoint).counts],
          exemplars: metric.data.kind === 'sum' ? [] : [...distribution.exemplars],
        });
      }
    }, Infinity);
    return points;
  }
}
