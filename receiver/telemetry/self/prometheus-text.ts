// Metrics about the receiver → the text that Prometheus scrapes, named as the Collector names them.
// https://prometheus.io/docs/instrumenting/exposition_formats/ and https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
import type { HistogramPoint } from './histogram.ts';
import type { Instrument, SelfPoint } from './instruments.ts';
import type { Readings } from './readings.ts';

export interface PrometheusNaming {
  /** No `_seconds`, `_bytes`. */
  readonly withoutUnits: boolean;
  /** No `_total`. */
  readonly withoutTypeSuffix: boolean;
  /** No labels `otel_scope_name`, `otel_scope_version`. */
  readonly withoutScopeInfo: boolean;
}

/** Who speaks: attributes of the resource, and the scope. */
export interface SelfIdentity {
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: { readonly name: string; readonly version: string };
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

export function formatPrometheus(
  instruments: readonly Instrument[],
  readings: Readings,
  naming: PrometheusNaming,
  identity: SelfIdentity,
): string {
  const { scope } = identity;
  const scopeLabels = naming.withoutScopeInfo ? {} : { otel_scope_name: scope.name, otel_scope_version: scope.version };
  const lines: string[] = [];
  for (const instrument of instruments) {
    const points = instrument.read(readings);
    if (points.length === 0) continue;
    const name = metricName(instrument, naming);
    lines.push(`# HELP ${name} ${escapeHelp(instrument.description)}`, `# TYPE ${name} ${instrument.kind}`);
    for (const point of points) pushPoint(lines, name, point, { ...point.attributes, ...scopeLabels });
  }
  lines.push(
    '# HELP target_info Target metadata',
    '# TYPE target_info gauge',
    formatLine('target_info', identity.resource, 1),
    '',
  );
  return lines.join('\n');
}

const unitSuffixes: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

export function metricName({ name, unit, kind }: Instrument, naming: PrometheusNaming): string {
  const suffix = naming.withoutUnits ? undefined : unitSuffixes[unit];
  const withUnit = suffix === undefined || name.endsWith(`_${suffix}`) ? name : `${name}_${suffix}`;
  return kind === 'counter' && !naming.withoutTypeSuffix ? `${withUnit}_total` : withUnit;
}

function pushPoint(lines: string[], name: string, { value }: SelfPoint, labels: Labels): void {
  if (typeof value === 'number') lines.push(formatLine(name, labels, value));
  else pushHistogram(lines, name, value, labels);
}

function pushHistogram(lines: string[], name: string, { boundaries, counts, count, sum }: HistogramPoint, labels: Labels): void {
  let below = 0;
  for (const [at, inBucket] of counts.entries()) {
    below += inBucket;
    const le = at < boundaries.length ? String(boundaries[at]) : '+Inf';
    lines.push(formatLine(`${name}_bucket`, { ...labels, le }, below));
  }
  lines.push(formatLine(`${name}_sum`, labels, sum), formatLine(`${name}_count`, labels, count));
}

function formatLine(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${labelName(key)}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

function labelName(key: string): string {
  return key.replace(/[^a-zA-Z0-9_]/g, '_');
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
}
