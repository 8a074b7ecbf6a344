import { test } from 'node:test';
import { type HttpMetricDefinition, httpMetrics } from '../../../receiver/model/http-metrics.ts';
import { checkGenerated, formatTable } from '../../docs/generated.ts';

test('docs/telemetry.md has every metric of the table', () => {
  const rows = httpMetrics.map((metric: HttpMetricDefinition) => [
    `\`${metric.name}\``,
    metric.measures === 'active_requests' || metric.measures === 'open_connections' ? 'sum, up and down' : 'histogram',
    `\`${metric.unit}\``,
    metric.isEnabledByDefault ? 'on' : 'off',
    metric.attributes.map(({ name, level }) => (level === 'opt_in' ? `*\`${name}\`*` : `\`${name}\``)).join(', '),
    `${metric.description}${metric.stability === 'development' ? ' In development in the conventions.' : ''}`,
  ]);
  const table = formatTable(['Name', 'Kind', 'Unit', 'Default', 'Attributes', 'What it is'], rows);
  checkGenerated(
    new URL('../../../docs/telemetry.md', import.meta.url),
    { metrics: table },
    process.env['UPDATE_DOCS'] === '1',
    true,
  );
});
