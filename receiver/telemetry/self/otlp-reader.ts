// Metrics about the receiver → OTLP, by OpenTelemetry's own SDK and exporters. They take time and 5 MB to load, so that this file is
// imported only when a reader asks for it. The SDK keeps no state of ours: what it sends is read from the counters when it collects.
// https://opentelemetry.io/docs/specs/otel/metrics/sdk/#metricproducer
import { readFile } from 'node:fs/promises';
import { ValueType } from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  AggregationType,
  type DataPoint,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import type { HistogramPoint } from './histogram.ts';
import type { Instrument, SelfPoint } from './instruments.ts';
import type { SelfIdentity } from './prometheus-text.ts';
import type { Readings } from './readings.ts';

export interface OtlpReaderOptions {
  readonly protocol: 'grpc' | 'http/protobuf' | 'http/json';
  /** With the path for HTTP. */
  readonly endpoint: string;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
  readonly requestTimeoutMs: number;
  readonly intervalMs: number;
  /** Of one collection and its export; at most intervalMs. */
  readonly timeoutMs: number;
}

export interface OtlpReaderDependencies {
  readonly instruments: readonly Instrument[];
  readonly identity: SelfIdentity;
  /** Undefined: nothing to tell yet. */
  readonly read: () => Readings | undefined;
  /** Unix time in milliseconds at which the counters began. */
  readonly startMs: number;
  /** Unix time in milliseconds. */
  readonly nowMs: () => number;
  /** An export failed; called for each. */
  readonly onFailure: (message: string) => void;
}

export interface OtlpReader {
  /** Sends the last values, within the time. */
  close(withinMs: number): Promise<void>;
}

/** @throws {Error} when a certificate cannot be read. */
export async function openOtlpReader(options: OtlpReaderOptions, dependencies: OtlpReaderDependencies): Promise<OtlpReader> {
  const exporter = await openExporter(options);
  const resource = resourceFromAttributes({ ...dependencies.identity.resource });
  const reader = new PeriodicExportingMetricReader({
    exporter: reportFailures(exporter, dependencies.onFailure),
    exportIntervalMillis: options.intervalMs,
    exportTimeoutMillis: options.timeoutMs,
    metricProducers: [createProducer(resource, dependencies)],
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  return {
    close: async (withinMs) => {
      // A backend that does not answer within the time does not get the last values; it was told of as a failure.
      await provider.shutdown({ timeoutMillis: withinMs }).catch(() => undefined);
    },
  };
}

function createProducer(
  resource: Resource,
  { instruments, identity, read, startMs, nowMs }: OtlpReaderDependencies,
): MetricProducer {
  return {
    collect: () => {
      const readings = read();
      const scopeMetrics = readings === undefined ? [] : [{ scope: identity.scope, metrics: collect(readings) }];
      return Promise.resolve({ resourceMetrics: { resource, scopeMetrics }, errors: [] });
    },
  };
  function collect(readings: Readings): MetricData[] {
    const times = { startTime: toHrTime(startMs), endTime: toHrTime(nowMs()) };
    const metrics: MetricData[] = [];
    for (const instrument of instruments) {
      const points = instrument.read(readings);
      if (points.length > 0) metrics.push(toMetricData(instrument, points, times));
    }
    return metrics;
  }
}

type Times = Pick<DataPoint<unknown>, 'startTime' | 'endTime'>;

function toMetricData(instrument: Instrument, points: readonly SelfPoint[], times: Times): MetricData {
  const { name, unit, description, kind } = instrument;
  const common = {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  switch (kind) {
    case 'counter':
      return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers(points, times) };
    case 'gauge':
      return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: numbers(points, times) };
    case 'histogram':
      return {
        ...common,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points.flatMap(({ attributes, value }) =>
          typeof value === 'number' ? [] : [{ ...times, attributes: { ...attributes }, value: toBuckets(value) }],
        ),
      };
  }
}

function numbers(points: readonly SelfPoint[], times: Times): DataPoint<number>[] {
  return points.flatMap(({ attributes, value }) =>
    typeof value === 'number' ? [{ ...times, attributes: { ...attributes }, value }] : [],
  );
}

function toBuckets({ boundaries, counts, count, sum }: HistogramPoint) {
  return { buckets: { boundaries: [...boundaries], counts: [...counts] }, count, sum };
}

function toHrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

async function openExporter(options: OtlpReaderOptions): Promise<PushMetricExporter> {
  const [ca, cert, key] = await Promise.all([options.caFile, options.certFile, options.keyFile].map(readPem));
  const { endpoint: url, headers, compression, requestTimeoutMs: timeoutMillis, protocol } = options;
  if (protocol === 'grpc') {
    const [{ OTLPMetricExporter }, { credentials, Metadata }] = await Promise.all([
      import('@opentelemetry/exporter-metrics-otlp-grpc'),
      import('@grpc/grpc-js'),
    ]);
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const channel = url.startsWith('https:')
      ? credentials.createSsl(ca ?? null, key ?? null, cert ?? null)
      : credentials.createInsecure();
    // The type of `compression` is an enum of a package that is not ours to name.
    const config: object = { url, metadata, credentials: channel, compression, timeoutMillis };
    return new OTLPMetricExporter(config);
  }
  const { OTLPMetricExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-metrics-otlp-http')
      : await import('@opentelemetry/exporter-metrics-otlp-proto');
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  const agent = url.startsWith('https:') ? { httpAgentOptions: { keepAlive: true, ...tls } } : {};
  const config: object = { url, headers: { ...headers }, compression, timeoutMillis, ...agent };
  return new OTLPMetricExporter(config);
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  return path === undefined ? undefined : readFile(path);
}

/** The SDK tells of failures nowhere but in a log of its own. */
function reportFailures(inner: PushMetricExporter, onFailure: (message: string) => void): PushMetricExporter {
  return {
    export: (metrics, done) => {
      inner.export(metrics, (result) => {
        if (result.error !== undefined) onFailure(result.error.message);
        done(result);
      });
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
    selectAggregation: (type) => inner.selectAggregation?.(type) ?? { type: AggregationType.DEFAULT },
    selectAggregationTemporality: (type) => inner.selectAggregationTemporality?.(type) ?? AggregationTemporality.CUMULATIVE,
  };
}
