import { test } from 'node:test';
import { type ConnectionMetricDefinition, connectionMetrics } from '../../../receiver/model/connection-metrics.ts';
import { type HttpMetricDefinition, httpMetrics } from '../../../receiver/model/http-metrics.ts';
import { type RpcMetricDefinition, rpcMetrics } from '../../../receiver/model/rpc-metrics.ts';
import { checkGenerated, formatTable } from '../../docs/generated.ts';

type Definition = HttpMetricDefinition | RpcMetricDefinition | ConnectionMetricDefinition;

const kinds: Readonly<Record<Definition['measures'], string>> = {
  duration: 'histogram',
  call_duration: 'histogram',
  request_body_size: 'histogram',
  response_body_size: 'histogram',
  active_requests: 'sum, up and down',
  open_connections: 'sum, up and down',
  io: 'counter',
  retransmits: 'counter',
  rtt: 'histogram',
  resets: 'counter',
  failed_connects: 'counter',
  connections: 'sum, up and down',
};

function tableOf(metrics: readonly Definition[]): string {
  const rows = metrics.map((metric) => [
    `\`${metric.name}\``,
    kinds[metric.measures],
    `\`${metric.unit}\``,
    metric.isEnabledByDefault ? 'on' : 'off',
    metric.attributes.map(({ name, level }) => (level === 'opt_in' ? `*\`${name}\`*` : `\`${name}\``)).join(', '),
    `${metric.description}${'stability' in metric && metric.stability === 'development' ? ' In development in the conventions.' : ''}`,
  ]);
  return formatTable(['Name', 'Kind', 'Unit', 'Default', 'Attributes', 'What it is'], rows);
}

test('docs/telemetry.md has every metric of the tables', () => {
  checkGenerated(
    new URL('../../../docs/telemetry.md', import.meta.url),
    { metrics: tableOf([...httpMetrics, ...rpcMetrics]), 'connection-metrics': tableOf(connectionMetrics) },
    process.env['UPDATE_DOCS'] === '1',
    true,
  );
});
