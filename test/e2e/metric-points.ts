// OTLP JSON, one ExportMetricsServiceRequest per line → plain histogram and sum points; lines of other signals are passed over, unread.
import { existsSync, readFileSync } from 'node:fs';
import { flatten, type KeyValue, type Value } from './spans.ts';

export interface ExemplarRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly asDouble: number;
  readonly timeUnixNano: string;
}

export interface PointRecord {
  readonly metric: string;
  readonly unit: string;
  readonly kind: 'sum' | 'histogram' | 'exponentialHistogram';
  /** OTLP AggregationTemporality. */
  readonly temporality: number;
  readonly resource: Readonly<Record<string, Value>>;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly start: bigint;
  readonly time: bigint;
  readonly flags: number;
  /** Of a sum its value. */
  readonly count: number;
  readonly sum: number;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly bucketCounts: readonly number[];
  readonly explicitBounds: readonly number[];
  readonly exemplars: readonly ExemplarRecord[];
}

interface Point {
  attributes?: KeyValue[];
  startTimeUnixNano: string;
  timeUnixNano: string;
  flags?: number;
  asInt?: string;
  count?: string;
  sum?: number;
  min?: number;
  max?: number;
  bucketCounts?: string[];
  explicitBounds?: number[];
  zeroCount?: string;
  positive?: { offset?: number; bucketCounts?: string[] };
  exemplars?: ExemplarRecord[];
}

interface Metric {
  name: string;
  unit: string;
  sum?: Data;
  histogram?: Data;
  exponentialHistogram?: Data;
}

interface Data {
  dataPoints?: Point[];
  aggregationTemporality: number;
}

interface Request {
  resourceMetrics?: { resource?: { attributes?: KeyValue[] }; scopeMetrics?: { metrics?: Metric[] }[] }[];
}

const kinds = ['sum', 'histogram', 'exponentialHistogram'] as const;

/** The points in a file so far, in the order of writing. */
export function readPoints(file: string): PointRecord[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line.startsWith('{"resourceMetrics"')).flatMap((line) => pointsOf(JSON.parse(line) as Request));
}

function pointsOf(request: Request): PointRecord[] {
  const points: PointRecord[] = [];
  for (const { resource, scopeMetrics } of request.resourceMetrics ?? []) {
    const resourceAttributes = flatten(resource?.attributes);
    for (const metric of (scopeMetrics ?? []).flatMap(({ metrics }) => metrics ?? [])) {
      for (const kind of kinds) {
        const data = metric[kind];
        for (const point of data?.dataPoints ?? []) {
          points.push({
            metric: metric.name,
            unit: metric.unit,
            kind,
            temporality: data?.aggregationTemporality ?? 0,
            resource: resourceAttributes,
            attributes: flatten(point.attributes),
            start: BigInt(point.startTimeUnixNano),
            time: BigInt(point.timeUnixNano),
            flags: point.flags ?? 0,
            count: Number(point.asInt ?? point.count ?? 0),
            sum: point.sum ?? 0,
            min: point.min,
            max: point.max,
            bucketCounts: (point.bucketCounts ?? [point.zeroCount ?? '0', ...(point.positive?.bucketCounts ?? [])]).map(Number),
            explicitBounds: point.explicitBounds ?? [],
            exemplars: point.exemplars ?? [],
          });
        }
      }
    }
  }
  return points;
}

/** The last point of each series. */
export function lastPoints(points: readonly PointRecord[]): PointRecord[] {
  const last = new Map<string, PointRecord>();
  for (const point of points) last.set(JSON.stringify([point.metric, point.resource, point.attributes]), point);
  return [...last.values()];
}
