// Metrics → an OTLP/JSON ExportMetricsServiceRequest, key for key as the Collector's own marshaller writes it: 64-bit numbers as strings,
// enums as numbers (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
import type {
  DistributionPoint,
  Exemplar,
  ExponentialHistogramPoint,
  HistogramPoint,
  Metric,
  NumberPoint,
  Point,
  ResourceMetric,
} from '../model/metric.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';
import { JsonRequest } from './otlp-json-request.ts';

const TEMPORALITY_DELTA = 1;
const TEMPORALITY_CUMULATIVE = 2;
const FLAG_NO_RECORDED_VALUE = 1;

export class MetricJsonEncoder implements RequestEncoder<ResourceMetric> {
  readonly #clock: UnixTime;
  readonly #request: JsonRequest;

  /** `end`: ends a request; a newline where requests are lines. */
  constructor(scope: InstrumentationScope, clock: UnixTime, end = '') {
    this.#clock = clock;
    this.#request = new JsonRequest({ resource: 'resourceMetrics', scope: 'scopeMetrics', items: 'metrics' }, scope, end);
  }

  get bytes(): number {
    return this.#request.bytes;
  }

  add({ resource, metric }: ResourceMetric): void {
    this.#request.add(resource, this.#metric(metric));
  }

  finish(): Uint8Array {
    return this.#request.finish();
  }

  #metric({ name, description, unit, data }: Metric): string {
    const head = `{"name":${JSON.stringify(name)},"description":${JSON.stringify(description)},"unit":${JSON.stringify(unit)}`;
    switch (data.kind) {
      case 'sum': {
        const points = data.points.map((point) => this.#numberPoint(point)).join(',');
        const monotonic = data.isMonotonic ? ',"isMonotonic":true' : '';
        return `${head},"sum":{"dataPoints":[${points}],"aggregationTemporality":${temporalityOf(data)}${monotonic}}}`;
      }
      case 'histogram': {
        const points = data.points.map((point) => this.#histogramPoint(point)).join(',');
        return `${head},"histogram":{"dataPoints":[${points}],"aggregationTemporality":${temporalityOf(data)}}}`;
      }
      case 'exponential_histogram': {
        const points = data.points.map((point) => this.#exponentialPoint(point)).join(',');
        return `${head},"exponentialHistogram":{"dataPoints":[${points}],"aggregationTemporality":${temporalityOf(data)}}}`;
      }
    }
  }

  #numberPoint(point: NumberPoint): string {
    const value = point.hasNoValue ? noValue() : `,"asInt":"${point.value}"`;
    return `{${this.#head(point)}${value}}`;
  }

  #histogramPoint(point: HistogramPoint): string {
    if (point.hasNoValue) return `{${this.#head(point)}${noValue()}}`;
    const counts = point.counts.map((count) => `"${count}"`).join(',');
    return (
      `{${this.#head(point)},"count":"${point.count}","sum":${point.sum},"bucketCounts":[${counts}]` +
      `,"explicitBounds":[${point.bounds.join(',')}]${this.#exemplars(point)}${range(point)}}`
    );
  }

  #exponentialPoint(point: ExponentialHistogramPoint): string {
    if (point.hasNoValue) return `{${this.#head(point)}${noValue()}}`;
    const counts = point.counts.map((count) => `"${count}"`).join(',');
    const positive = counts === '' ? '' : `,"positive":{"offset":${point.offset},"bucketCounts":[${counts}]}`;
    return (
      `{${this.#head(point)},"count":"${point.count}","sum":${point.sum},"scale":${point.scale}` +
      `,"zeroCount":"${point.zeroCount}"${positive}${this.#exemplars(point)}${range(point)}}`
    );
  }

  #head({ attributes, startUnixNs, timeUnixNs }: Point): string {
    const list = attributes.length === 0 ? '' : `"attributes":${this.#request.attributes(attributes)},`;
    return `${list}"startTimeUnixNano":"${startUnixNs}","timeUnixNano":"${timeUnixNs}"`;
  }

  #exemplars({ exemplars }: DistributionPoint): string {
    if (exemplars.length === 0) return '';
    return `,"exemplars":[${exemplars.map((exemplar) => this.#exemplar(exemplar)).join(',')}]`;
  }

  #exemplar({ value, time, traceId, spanId }: Exemplar): string {
    return `{"timeUnixNano":"${this.#clock.toUnixNs(time)}","asDouble":${value},"traceId":"${traceId}","spanId":"${spanId}"}`;
  }
}

function temporalityOf(data: Metric['data']): number {
  return data.temporality === 'delta' ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE;
}

function range({ count, min, max }: DistributionPoint): string {
  return count === 0 ? '' : `,"min":${min},"max":${max}`;
}

function noValue(): string {
  return `,"flags":${FLAG_NO_RECORDED_VALUE}`;
}
