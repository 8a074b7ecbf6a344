// The dashboard is what its script makes, and is whole. Whether its queries name what there is: dashboard-pages.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeDashboard } from '../../examples/grafana/make-dashboard.ts';
import { rpcMetrics } from '../../receiver/model/rpc-metrics.ts';
import { instrumentsAt } from '../../receiver/telemetry/self/instruments.ts';
import { formatPrometheus } from '../../receiver/telemetry/self/prometheus-text.ts';
import { readingsAt } from '../telemetry/self/readings.ts';
import { addDurations, addPage, dashboardFile, queriesOf, readDashboard, unknownNames, type Vocabulary } from './dashboard.ts';
import { namesIn, namesInVariable } from './promql.ts';

const dashboard = readDashboard();

test('dashboard.json is what its script makes', () => {
  assert.equal(
    readFileSync(dashboardFile, 'utf8'),
    makeDashboard(),
    'the dashboard is out of date; run node examples/grafana/make-dashboard.ts',
  );
});

test('panels have ids of their own and places of their own', () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x},${y}`), `${title} covers another panel`);
        taken.add(`${x},${y}`);
      }
    }
  }
});

test('every panel has queries, nothing needs a plugin, and every variable in a query is defined', () => {
  const builtIn = ['__rate_interval'];
  const defined = new Set([...dashboard.templating.list.map(({ name }) => name), ...builtIn]);
  for (const { type, title, targets = [] } of dashboard.panels) {
    assert.ok(type === 'timeseries' || type === 'row', title);
    assert.equal(targets.length > 0, type === 'timeseries', title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
  }
  for (const [, name = ''] of readFileSync(dashboardFile, 'utf8').matchAll(/\$\{?(\w+)/g))
    assert.ok(defined.has(name) || name === '__all', name);
});

test('exemplars are asked of histograms, where they are', () => {
  const asking = dashboard.panels.flatMap(({ targets = [] }) => targets.filter(({ exemplar }) => exemplar));
  assert.ok(asking.length > 0);
  for (const { expr } of asking) assert.match(expr, /(?:http|rpc)_\w+_duration_seconds_bucket\{/);
});

test('queries about the receiver name metrics of its default level, by the table of instruments', () => {
  const vocabulary: Vocabulary = new Map();
  const naming = { withoutUnits: true, withoutTypeSuffix: true, withoutScopeInfo: true };
  const identity = { resource: {}, scope: { name: 'usm-receiver', version: '0' } };
  addPage(vocabulary, formatPrometheus(instrumentsAt('normal'), readingsAt(0), naming, identity), ['job', 'instance']);
  const own = queriesOf(dashboard).filter(({ expr }) => expr.includes('otelcol_'));
  assert.ok(own.length > 20);
  assert.deepEqual(unknownNames(own, vocabulary), []);
});

test('queries about calls name the metrics of calls, by their table', () => {
  const vocabulary: Vocabulary = new Map();
  addDurations(vocabulary, rpcMetrics);
  const calls = queriesOf(dashboard).filter(({ expr }) => expr.includes('rpc_') && !expr.includes('http_'));
  assert.ok(calls.length >= 6);
  assert.deepEqual(unknownNames(calls, vocabulary), []);
  const named = new Set(calls.flatMap(({ names }) => names.selectors.map(({ metric }) => metric)));
  for (const name of ['rpc_server_call_duration_seconds_bucket', 'rpc_client_call_duration_seconds_bucket'])
    assert.ok(named.has(name), name);
});

test('names are found in queries wherever they stand, and what is not understood is refused', () => {
  assert.deepEqual(namesIn('topk(3, sum by (a, b) (rate(m{c="x", d!="}"}[5m])) or 0 * n) / o{e=~"$v|"}'), {
    selectors: [
      { metric: 'm', labels: ['c', 'd'] },
      { metric: 'n', labels: [] },
      { metric: 'o', labels: ['e'] },
    ],
    labels: ['a', 'b'],
  });
  assert.deepEqual(namesInVariable('label_values({__name__=~"a|b", c="d"}, job)'), {
    selectors: [{ metric: '', labels: ['c'], pattern: 'a|b' }],
    labels: ['job'],
  });
  assert.throws(() => namesIn('a + b'));
  assert.throws(() => namesIn('a{b}'));
  const vocabulary: Vocabulary = new Map([['m', new Set(['c'])]]);
  const query = (expr: string) => [{ where: 'here', expr, names: namesIn(expr), legend: [] }];
  assert.deepEqual(unknownNames(query('sum by (c) (m{c="1"})'), vocabulary), []);
  assert.deepEqual(unknownNames(query('sum by (d) (m{c="1"})'), vocabulary), ['here: m has no label d']);
  assert.deepEqual(unknownNames(query('m{e="1"} / n'), vocabulary), ['here: m has no label e', 'here: no metric n']);
});
