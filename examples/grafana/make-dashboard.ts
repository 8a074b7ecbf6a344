// Makes dashboard.json, for Grafana 11 and newer (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/):
//   node examples/grafana/make-dashboard.ts
// test/examples/dashboard.test.ts fails where the file differs from what this makes.
import { writeFileSync } from 'node:fs';
import { type Panel, rows } from './rows.ts';

const WIDTH = 8;
const HEIGHT = 8;
const COLUMNS = 24;
const datasource = { type: 'prometheus', uid: '${datasource}' };

function panelOf(panel: Panel, id: number, x: number, y: number): object {
  return {
    id,
    type: 'timeseries',
    title: panel.title,
    description: panel.description,
    gridPos: { x, y, w: WIDTH, h: HEIGHT },
    datasource,
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        min: 0,
        custom: {
          fillOpacity: panel.isStacked === true ? 40 : 5,
          showPoints: 'never',
          stacking: { mode: panel.isStacked === true ? 'normal' : 'none' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: panel.queries.map(({ expr, legend, exemplar = false }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource,
      editorMode: 'code',
      range: true,
      expr,
      legendFormat: legend,
      exemplar,
    })),
  };
}

function layOut(): object[] {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: ofRow } of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y++;
    for (const [at, panel] of ofRow.entries()) {
      panels.push(panelOf(panel, panels.length + 1, (at * WIDTH) % COLUMNS, y + Math.floor((at * WIDTH) / COLUMNS) * HEIGHT));
    }
    y += Math.ceil((ofRow.length * WIDTH) / COLUMNS) * HEIGHT;
  }
  return panels;
}

function labelVariable(name: string, label: string, query: string, allValue?: string): object {
  return {
    type: 'query',
    name,
    label,
    datasource,
    hide: 0,
    options: [],
    regex: '',
    definition: query,
    query: { qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // Without it, all values that there are, joined.
    ...(allValue === undefined ? {} : { allValue }),
    current: { selected: true, text: ['All'], value: ['$__all'] },
  };
}

/** The text of dashboard.json. */
export function makeDashboard(): string {
  const dashboard = {
    uid: 'usm-receiver',
    title: 'HTTP and gRPC services, as usm-receiver sees them',
    description:
      'Rate, errors and duration of every HTTP and gRPC service of the observed hosts, and the health of usm-receiver itself.',
    tags: ['opentelemetry', 'http', 'grpc', 'ebpf'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    time: { from: 'now-1h', to: 'now' },
    refresh: '30s',
    templating: {
      list: [
        {
          type: 'datasource',
          name: 'datasource',
          label: 'Data source',
          hide: 0,
          options: [],
          regex: '',
          query: 'prometheus',
          refresh: 1,
          current: {},
        },
        labelVariable(
          'service',
          'Service',
          'label_values({__name__=~"(http_(server|client)_request|rpc_(server|client)_call)_duration_seconds_count", otel_scope_name=~"usm-receiver|"}, job)',
          '.+',
        ),
        labelVariable('receiver', 'Receiver', 'label_values(otelcol_receiver_usm_transactions_seen, instance)'),
      ],
    },
    annotations: { list: [] },
    links: [],
    panels: layOut(),
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}

if (import.meta.main) writeFileSync(new URL('dashboard.json', import.meta.url), makeDashboard());
