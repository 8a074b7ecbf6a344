// A checked `service::telemetry::metrics` block → the readers of the receiver's own metrics.
import type { selfMetricsSchema } from './self-metrics-schema.ts';
import type { FromSchema } from './schema.ts';
import type { OtlpMetricReaderConfig, PrometheusReaderConfig, SelfMetricsConfig, SelfMetricsLevel } from './types.ts';

type Block = FromSchema<typeof selfMetricsSchema>;
type ReaderBlock = NonNullable<Block['readers']>[number];
type OtlpBlock = NonNullable<NonNullable<ReaderBlock['periodic']>['exporter']['otlp']>;

const path = 'service::telemetry::metrics';

const defaultReader: PrometheusReaderConfig = {
  kind: 'prometheus',
  listen: { host: 'localhost', port: 8888 },
  isDefault: true,
  withoutUnits: true,
  withoutTypeSuffix: true,
  withoutScopeInfo: true,
};

export function resolveSelfMetrics(block: Block, problems: string[]): SelfMetricsConfig {
  const level = block.level.toLowerCase() as SelfMetricsLevel;
  if (level === 'none') return { level, readers: [] };
  if (block.readers === undefined) return { level, readers: [defaultReader] };
  if (block.readers.length === 0) {
    problems.push(`${path}: collector telemetry metrics reader should exist when metric level is not none`);
  }
  return { level, readers: block.readers.flatMap((reader, at) => resolveReader(reader, `${path}::readers::${at}`, problems)) };
}

function resolveReader(
  { pull, periodic }: ReaderBlock,
  at: string,
  problems: string[],
): readonly (PrometheusReaderConfig | OtlpMetricReaderConfig)[] {
  if (pull !== undefined && periodic !== undefined) {
    problems.push(`${at}: must have one of [pull periodic], found both`);
    return [];
  }
  if (pull !== undefined) {
    const { host, port, ...without } = pull.exporter.prometheus;
    return [
      {
        kind: 'prometheus',
        listen: { host, port },
        isDefault: false,
        withoutUnits: without.without_units,
        withoutTypeSuffix: without.without_type_suffix,
        withoutScopeInfo: without.without_scope_info,
      },
    ];
  }
  if (periodic === undefined) return [];
  const { otlp } = periodic.exporter;
  return [
    {
      kind: 'otlp',
      protocol: otlp.protocol,
      endpoint: resolveEndpoint(otlp, `${at}::periodic::exporter::otlp`, problems),
      caFile: presence(otlp.certificate),
      certFile: presence(otlp.client_certificate),
      keyFile: presence(otlp.client_key),
      headers: resolveHeaders(otlp.headers, `${at}::periodic::exporter::otlp::headers`, problems),
      compression: otlp.compression,
      requestTimeoutMs: otlp.timeout,
      intervalMs: periodic.interval,
      timeoutMs: Math.min(periodic.timeout, periodic.interval),
    },
  ];
}

function resolveEndpoint(otlp: OtlpBlock, at: string, problems: string[]): string {
  const { endpoint, protocol, insecure } = otlp;
  const whole = /^[a-z]+:\/\//i.test(endpoint) ? endpoint : `${insecure ? 'http' : 'https'}://${endpoint}`;
  if (!/^https?:\/\/./i.test(whole) || !URL.canParse(whole)) {
    problems.push(`${at}::endpoint: expected host:port or http(s)://host:port, found "${endpoint}"`);
    return '';
  }
  const url = new URL(whole);
  if (url.username !== '' || url.password !== '') {
    problems.push(`${at}::endpoint: must not hold a user name or password; set headers instead`);
  }
  if ((otlp.client_certificate === undefined) !== (otlp.client_key === undefined)) {
    problems.push(`${at}: client_certificate and client_key go together`);
  }
  if (protocol !== 'grpc' && (url.pathname === '' || url.pathname === '/')) url.pathname = '/v1/metrics';
  return url.href;
}

function resolveHeaders(headers: OtlpBlock['headers'], at: string, problems: string[]): Readonly<Record<string, string>> {
  for (const { name, value } of headers) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) problems.push(`${at}: ${JSON.stringify(name)} is not a valid header name`);
    if (!/^[\t\x20-\x7e]*$/.test(value)) problems.push(`${at}::${name}: the value has characters that a header cannot carry`);
  }
  return Object.fromEntries(headers.map(({ name, value }) => [name, value]));
}

/** An empty text is a setting that was not made, as in the Collector. */
function presence(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
