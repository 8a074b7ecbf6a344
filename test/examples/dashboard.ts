// The queries of examples/grafana/dashboard.json, and what they are held against: metrics with their labels, read from pages for Prometheus.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { defaultAttributes, type MetricDefinition } from '../../receiver/model/metric-definition.ts';
import { type Names, namesIn, namesInVariable } from './promql.ts';

export const dashboardFile = new URL('../../examples/grafana/dashboard.json', import.meta.url);

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly exemplar: boolean;
}

export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly DashboardPanel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(dashboardFile, 'utf8')) as Dashboard;
}

export interface DashboardQuery {
  /** Where it is, for messages. */
  readonly where: string;
  readonly expr: string;
  readonly names: Names;
  /** Labels that the legend shows. */
  readonly legend: readonly string[];
}

export function queriesOf({ panels, templating }: Dashboard): DashboardQuery[] {
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr, legendFormat }) => ({
      where: `${title} ${refId}`,
      expr,
      names: namesIn(expr),
      legend: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
    })),
  );
  const ofVariables = templating.list.flatMap(({ name, definition }) =>
    definition === undefined
      ? []
      : [{ where: `variable ${name}`, expr: definition, names: namesInVariable(definition), legend: [] }],
  );
  return [...ofPanels, ...ofVariables];
}

/** What the Collector says of each series besides its attributes. */
const scrapedWithHonour = ['job', 'instance', 'otel_scope_name', 'otel_scope_version'];

/** Metric (as a query names it: `…_bucket`) → its labels. */
export type Vocabulary = Map<string, Set<string>>;

/** Adds what a page has; `scraped` are labels that the scrape itself gives. */
export function addPage(vocabulary: Vocabulary, page: string, scraped: readonly string[]): void {
  for (const line of page.split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_]\w*)(?:\{(.*?)\})? \S+/.exec(line) ?? [];
    if (name === undefined) continue;
    const known = vocabulary.get(name) ?? new Set(scraped);
    for (const [, label = ''] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label);
    vocabulary.set(name, known);
  }
}

/** Adds histograms in seconds, as the Collector's page names them, with all the attributes that they have by default. */
export function addDurations(vocabulary: Vocabulary, definitions: readonly MetricDefinition[]): void {
  for (const definition of definitions) {
    assert.equal(definition.unit, 's');
    const labels = [...defaultAttributes(definition).map((name) => name.replaceAll('.', '_')), ...scrapedWithHonour];
    for (const suffix of ['bucket', 'count', 'sum'])
      vocabulary.set(
        `${definition.name.replaceAll('.', '_')}_seconds_${suffix}`,
        new Set(suffix === 'bucket' ? [...labels, 'le'] : labels),
      );
  }
}

/** What the queries name and the pages have not. */
export function unknownNames(queries: readonly DashboardQuery[], vocabulary: Vocabulary): string[] {
  const unknown: string[] = [];
  for (const { where, names, legend } of queries) {
    for (const { metric, pattern, labels } of names.selectors) {
      const matching =
        pattern === undefined ? [metric] : [...vocabulary.keys()].filter((name) => new RegExp(`^(?:${pattern})$`).test(name));
      if (matching.length === 0) unknown.push(`${where}: no metric is ${String(pattern)}`);
      for (const name of matching) {
        const known = vocabulary.get(name);
        if (known === undefined) unknown.push(`${where}: no metric ${name}`);
        for (const label of new Set([...labels, ...names.labels, ...legend]))
          if (known?.has(label) === false) unknown.push(`${where}: ${name} has no label ${label}`);
      }
    }
  }
  return unknown;
}

export function assertNamesExist(queries: readonly DashboardQuery[], vocabulary: Vocabulary): void {
  assert.deepEqual(unknownNames(queries, vocabulary), []);
}
