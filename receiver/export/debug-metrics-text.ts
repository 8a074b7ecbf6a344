// Metrics → the text of the `debug` exporter: a line for each series for people (basic), or the Collector's own normal and detailed layouts.
// Points are views that last for one call, so that the text is made as they come.
import type {
  DistributionPoint,
  ExponentialHistogramPoint,
  HistogramPoint,
  Metric,
  NumberPoint,
  Point,
  ResourceMetric,
} from '../model/metric.ts';
import type { Resource } from '../model/resource.ts';
import type { AttributeList, AttributeValue } from '../model/span.ts';
import type { Verbosity } from './debug.ts';
import { attributesBlock, attributesLine, escapeControls, utcTime } from './debug-text.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';

const SERVICE_COLUMNS = 24;
const NAME_COLUMNS = 30;

export class DebugMetricEncoder implements RequestEncoder<ResourceMetric> {
  readonly #verbosity: Verbosity;
  readonly #scope: InstrumentationScope;
  readonly #clock: UnixTime;
  #text = '';
  #resources = 0;
  #metrics = 0;
  #lastResource: Resource | undefined;

  constructor(verbosity: Verbosity, scope: InstrumentationScope, clock: UnixTime) {
    this.#verbosity = verbosity;
    this.#scope = scope;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#text.length;
  }

  add({ resource, metric }: ResourceMetric): void {
    if (this.#verbosity === 'basic') {
      for (const point of metric.data.points) this.#text += basicLine(resource, metric, point);
      return;
    }
    if (resource !== this.#lastResource) {
      this.#text += this.#verbosity === 'normal' ? this.#normalHead(resource) : this.#detailedHead(resource);
      this.#lastResource = resource;
      this.#resources++;
      this.#metrics = 0;
    }
    if (this.#verbosity === 'normal') {
      for (const point of metric.data.points) this.#text += normalLine(metric, point);
      return;
    }
    this.#text += this.#detailedMetric(metric);
  }

  finish(): Uint8Array {
    const text = this.#text;
    this.#text = '';
    this.#resources = 0;
    this.#lastResource = undefined;
    return Buffer.from(text);
  }

  #normalHead({ attributes }: Resource): string {
    const { name, version, schemaUrl } = this.#scope;
    const schema = schemaUrl === '' ? '' : ` [${schemaUrl}]`;
    return (
      `ResourceMetrics #${this.#resources}${schema}${attributesLine(attributes)}\n` +
      `ScopeMetrics #0 ${name}${version === '' ? '' : `@${version}`}${schema}\n`
    );
  }

  #detailedHead({ attributes }: Resource): string {
    const { name, version, schemaUrl } = this.#scope;
    return (
      `ResourceMetrics #${this.#resources}\nResource SchemaURL: ${schemaUrl}\n${attributesBlock('Resource attributes', attributes)}` +
      `ScopeMetrics #0\nScopeMetrics SchemaURL: ${schemaUrl}\nInstrumentationScope ${name} ${version}\n`
    );
  }

  #detailedMetric({ name, description, unit, data }: Metric): string {
    let text = `Metric #${this.#metrics++}\nDescriptor:\n`;
    text += `     -> Name: ${name}\n     -> Description: ${description}\n     -> Unit: ${unit}\n`;
    switch (data.kind) {
      case 'sum':
        text += `     -> DataType: Sum\n     -> IsMonotonic: ${String(data.isMonotonic)}\n`;
        text += `     -> AggregationTemporality: ${capitalised(data.temporality)}\n`;
        for (const [index, point] of data.points.entries()) {
          text += `NumberDataPoints #${index}\n${pointHead(point)}${point.hasNoValue ? '' : `Value: ${point.value}\n`}`;
        }
        return text;
      case 'histogram':
        text += `     -> DataType: Histogram\n     -> AggregationTemporality: ${capitalised(data.temporality)}\n`;
        for (const [index, point] of data.points.entries()) {
          text += `HistogramDataPoints #${index}\n${pointHead(point)}${point.hasNoValue ? '' : this.#histogram(point)}`;
        }
        return text;
      case 'exponential_histogram':
        text += `     -> DataType: ExponentialHistogram\n     -> AggregationTemporality: ${capitalised(data.temporality)}\n`;
        for (const [index, point] of data.points.entries()) {
          text += `ExponentialHistogramDataPoints #${index}\n${pointHead(point)}${point.hasNoValue ? '' : this.#exponential(point)}`;
        }
        return text;
    }
  }

  #histogram(point: HistogramPoint): string {
    let text = distributionText(point);
    for (const [index, bound] of point.bounds.entries()) text += `ExplicitBounds #${index}: ${bound}\n`;
    for (const [index, count] of point.counts.entries()) text += `Buckets #${index}, Count: ${count}\n`;
    return text + this.#exemplars(point);
  }

  #exponential(point: ExponentialHistogramPoint): string {
    let text = distributionText(point);
    if (point.zeroCount > 0) text += `Bucket [0, 0], Count: ${point.zeroCount}\n`;
    const base = 2 ** (2 ** -point.scale);
    for (const [index, count] of point.counts.entries()) {
      if (count === 0) continue;
      const low = base ** (point.offset + index);
      text += `Bucket (${low}, ${low * base}], Count: ${count}\n`;
    }
    return text + this.#exemplars(point);
  }

  #exemplars({ exemplars }: DistributionPoint): string {
    let text = exemplars.length === 0 ? '' : 'Exemplars:\n';
    for (const [index, { value, time, traceId, spanId }] of exemplars.entries()) {
      text += `Exemplar #${index}\n     -> Trace ID: ${traceId}\n     -> Span ID: ${spanId}\n`;
      text += `     -> Timestamp: ${utcTime(this.#clock.toUnixNs(time))}\n     -> Value: ${value}\n`;
    }
    return text;
  }
}

/** `service metric {attributes} count mean max`. */
function basicLine(resource: Resource, { name, unit, data }: Metric, point: Point): string {
  const service = escapeControls(resource.serviceName).padEnd(SERVICE_COLUMNS);
  const head = `${service}  ${name.padEnd(NAME_COLUMNS)}  {${attributesLine(pairs(point.attributes)).trimStart()}}`;
  if (point.hasNoValue) return `${head}  ended\n`;
  if (data.kind === 'sum') return `${head}  ${(point as NumberPoint).value}\n`;
  const { count, sum, max } = point as DistributionPoint;
  return `${head}  ${count} × ${valueText(count === 0 ? 0 : sum / count, unit)}, max ${valueText(max, unit)}\n`;
}

function normalLine({ name, data }: Metric, point: Point): string {
  const head = `${name}{${attributesLine(pairs(point.attributes)).trimStart().replaceAll(' ', ',')}}`;
  if (point.hasNoValue) return `${head} NoRecordedValue\n`;
  if (data.kind === 'sum') return `${head} ${(point as NumberPoint).value}\n`;
  const { count, sum, min, max } = point as DistributionPoint;
  let text = `${head} count=${count} sum=${sum}${count === 0 ? '' : ` min=${min} max=${max}`}`;
  if (data.kind === 'histogram') {
    const { bounds, counts } = point as HistogramPoint;
    for (const [index, count] of counts.entries()) {
      const bound = bounds[index];
      text += bound === undefined ? ` ${count}` : ` le${bound}=${count}`;
    }
  }
  return `${text}\n`;
}

function pointHead(point: Point): string {
  return (
    attributesBlock('Data point attributes', pairs(point.attributes)) +
    `StartTimestamp: ${utcTime(point.startUnixNs)}\nTimestamp: ${utcTime(point.timeUnixNs)}\n` +
    (point.hasNoValue ? 'Flags: NoRecordedValue\n' : '')
  );
}

function distributionText({ count, sum, min, max }: DistributionPoint): string {
  const range = count === 0 ? '' : `Min: ${min}\nMax: ${max}\n`;
  return `Count: ${count}\nSum: ${sum}\n${range}`;
}

function* pairs(attributes: AttributeList): Iterable<readonly [string, AttributeValue]> {
  for (let i = 0; i + 1 < attributes.length; i += 2) yield [attributes[i] as string, attributes[i + 1] as AttributeValue];
}

function valueText(value: number, unit: string): string {
  if (unit === 's') return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 2 : 1)} ms` : `${value.toFixed(2)} s`;
  return `${Math.round(value)} ${unit === 'By' ? 'B' : unit}`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
