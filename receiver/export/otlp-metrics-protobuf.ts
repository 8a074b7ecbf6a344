// Metrics → the bytes of an OTLP ExportMetricsServiceRequest
// (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto).
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
import type { AttributeList, AttributeValue } from '../model/span.ts';
import { EncodedNames } from './encoded-names.ts';
import type { InstrumentationScope, RequestEncoder, UnixTime } from './exporter.ts';
import { encodeKey, encodeResource, RequestEnvelope, writeKeyValue } from './otlp-protobuf-envelope.ts';
import { ProtobufWriter } from './protobuf-writer.ts';
import { ResourceGroups } from './resource-groups.ts';

/** Only the widths of the guesses matter. */
const EXPECTED_METRIC_BYTES = 200_000;
const EXPECTED_POINT_BYTES = 500;
const EXPECTED_SHORT_BYTES = 100;
const FLAG_NO_RECORDED_VALUE = 1;
const TEMPORALITY_DELTA = 1;
const TEMPORALITY_CUMULATIVE = 2;

export class MetricRequestEncoder implements RequestEncoder<ResourceMetric> {
  readonly #clock: UnixTime;
  readonly #envelope: RequestEnvelope;
  readonly #writer = new ProtobufWriter();
  readonly #groups = new ResourceGroups(encodeResource);
  readonly #keys = new EncodedNames(encodeKey);

  constructor(scope: InstrumentationScope, clock: UnixTime) {
    this.#envelope = new RequestEnvelope(scope);
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#writer.position + this.#groups.resourceBytes;
  }

  add({ resource, metric }: ResourceMetric): void {
    const writer = this.#writer;
    const from = writer.position;
    const group = this.#groups.of(resource);
    const start = writer.open(EXPECTED_METRIC_BYTES, 0x12); // metrics
    this.#metric(metric);
    writer.close(start, EXPECTED_METRIC_BYTES);
    group.append(from, writer.position);
  }

  finish(): Uint8Array {
    const request = this.#envelope.wrap(this.#writer.written(), this.#groups);
    this.#writer.clear();
    this.#groups.clear();
    return request;
  }

  release(request: Uint8Array): void {
    this.#envelope.release(request);
  }

  #metric({ name, unit, description, data }: Metric): void {
    const writer = this.#writer;
    writer.textField(0x0a, name); // name
    writer.textField(0x12, description); // description
    writer.textField(0x1a, unit); // unit
    switch (data.kind) {
      case 'sum': {
        const start = writer.open(EXPECTED_METRIC_BYTES, 0x3a); // sum
        for (const point of data.points) this.#numberPoint(point);
        this.#temporality(data);
        if (data.isMonotonic) {
          writer.byte(0x18); // is_monotonic
          writer.byte(1);
        }
        writer.close(start, EXPECTED_METRIC_BYTES);
        return;
      }
      case 'histogram': {
        const start = writer.open(EXPECTED_METRIC_BYTES, 0x4a); // histogram
        for (const point of data.points) this.#histogramPoint(point);
        this.#temporality(data);
        writer.close(start, EXPECTED_METRIC_BYTES);
        return;
      }
      case 'exponential_histogram': {
        const start = writer.open(EXPECTED_METRIC_BYTES, 0x52); // exponential_histogram
        for (const point of data.points) this.#exponentialPoint(point);
        this.#temporality(data);
        writer.close(start, EXPECTED_METRIC_BYTES);
        return;
      }
    }
  }

  #temporality({ temporality }: Metric['data']): void {
    this.#writer.byte(0x10); // aggregation_temporality
    this.#writer.byte(temporality === 'delta' ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE);
  }

  #numberPoint(point: NumberPoint): void {
    const writer = this.#writer;
    const start = writer.open(EXPECTED_POINT_BYTES, 0x0a); // data_points
    this.#times(point);
    if (!point.hasNoValue) {
      writer.byte(0x31); // as_int
      writer.fixed64(BigInt(point.value));
    }
    this.#attributes(0x3a, point.attributes);
    if (point.hasNoValue) this.#noRecordedValue(0x40);
    writer.close(start, EXPECTED_POINT_BYTES);
  }

  #histogramPoint(point: HistogramPoint): void {
    const writer = this.#writer;
    const start = writer.open(EXPECTED_POINT_BYTES, 0x0a); // data_points
    this.#times(point);
    if (!point.hasNoValue) {
      writer.byte(0x21); // count
      writer.fixed64(BigInt(point.count));
      this.#doubleField(0x29, point.sum);
      writer.lengthField(0x32, point.counts.length * 8); // bucket_counts
      for (const count of point.counts) writer.fixed64(BigInt(count));
      writer.lengthField(0x3a, point.bounds.length * 8); // explicit_bounds
      for (const bound of point.bounds) writer.double(bound);
      this.#exemplars(0x42, point);
    }
    this.#attributes(0x4a, point.attributes);
    if (point.hasNoValue) this.#noRecordedValue(0x50);
    else this.#range(0x59, 0x61, point);
    writer.close(start, EXPECTED_POINT_BYTES);
  }

  #exponentialPoint(point: ExponentialHistogramPoint): void {
    const writer = this.#writer;
    const start = writer.open(EXPECTED_POINT_BYTES, 0x0a); // data_points
    this.#attributes(0x0a, point.attributes);
    this.#times(point);
    if (point.hasNoValue) {
      this.#noRecordedValue(0x50);
    } else {
      writer.byte(0x21); // count
      writer.fixed64(BigInt(point.count));
      this.#doubleField(0x29, point.sum);
      writer.byte(0x30); // scale
      writer.varint(zigzag(point.scale));
      writer.byte(0x39); // zero_count
      writer.fixed64(BigInt(point.zeroCount));
      if (point.counts.length > 0) this.#buckets(point);
      this.#exemplars(0x5a, point);
      this.#range(0x61, 0x69, point);
    }
    writer.close(start, EXPECTED_POINT_BYTES);
  }

  #buckets({ offset, counts }: ExponentialHistogramPoint): void {
    const writer = this.#writer;
    const start = writer.open(EXPECTED_SHORT_BYTES, 0x42); // positive
    writer.byte(0x08); // offset
    writer.varint(zigzag(offset));
    const list = writer.open(EXPECTED_SHORT_BYTES, 0x12); // bucket_counts
    for (const count of counts) writer.varint(count);
    writer.close(list, EXPECTED_SHORT_BYTES);
    writer.close(start, EXPECTED_SHORT_BYTES);
  }

  #exemplars(tag: number, { exemplars }: DistributionPoint): void {
    for (const exemplar of exemplars) this.#exemplar(tag, exemplar);
  }

  #exemplar(tag: number, { value, time, traceId, spanId }: Exemplar): void {
    const writer = this.#writer;
    const start = writer.open(EXPECTED_SHORT_BYTES, tag);
    writer.byte(0x11); // time_unix_nano
    writer.fixed64(this.#clock.toUnixNs(time));
    this.#doubleField(0x19, value); // as_double
    writer.hexField(0x22, spanId); // span_id
    writer.hexField(0x2a, traceId); // trace_id
    writer.close(start, EXPECTED_SHORT_BYTES);
  }

  #range(minTag: number, maxTag: number, { count, min, max }: DistributionPoint): void {
    if (count === 0) return;
    this.#doubleField(minTag, min);
    this.#doubleField(maxTag, max);
  }

  /** start_time_unix_nano and time_unix_nano, which have the same numbers in all points. */
  #times({ startUnixNs, timeUnixNs }: Point): void {
    const writer = this.#writer;
    writer.byte(0x11);
    writer.fixed64(startUnixNs);
    writer.byte(0x19);
    writer.fixed64(timeUnixNs);
  }

  #doubleField(tag: number, value: number): void {
    this.#writer.byte(tag);
    this.#writer.double(value);
  }

  #noRecordedValue(tag: number): void {
    this.#writer.byte(tag); // flags
    this.#writer.byte(FLAG_NO_RECORDED_VALUE);
  }

  #attributes(tag: number, attributes: AttributeList): void {
    for (let i = 0; i + 1 < attributes.length; i += 2) {
      writeKeyValue(this.#writer, tag, this.#keys.of(attributes[i] as string), attributes[i + 1] as AttributeValue);
    }
  }
}

/** sint32. */
function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}
