import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instruments, instrumentsAt } from '../../../receiver/telemetry/self/instruments.ts';
import { checkGenerated, formatTable } from '../../docs/generated.ts';
import { readingsAt } from './readings.ts';

test('every metric moves with what it counts, and no two say the same', () => {
  const seen = new Map<string, string>();
  for (const instrument of instruments) {
    const before = instrument.read(readingsAt(0));
    const after = instrument.read(readingsAt(1000));
    assert.ok(before.length > 0, `${instrument.name} has a point`);
    assert.equal(after.length, before.length, instrument.name);
    for (const [at, point] of after.entries()) assert.notDeepEqual(point.value, before[at]?.value, instrument.name);
    // What a full queue does not take is told by the receiver and by each exporter, of different counters.
    const said = JSON.stringify(before.map(({ value }) => value));
    assert.equal(seen.get(said), undefined, `${instrument.name} reads what ${String(seen.get(said))} reads`);
    seen.set(said, instrument.name);
  }
});

test('attributes are those that the table says, and points of one metric differ in them', () => {
  for (const { name, attributes, read } of instruments) {
    const points = read(readingsAt(0));
    for (const point of points) assert.deepEqual(Object.keys(point.attributes), [...attributes], name);
    assert.equal(new Set(points.map((point) => JSON.stringify(point.attributes))).size, points.length, name);
  }
});

test('names are unique and those of a Collector, histograms have buckets, descriptions are sentences without their full stop', () => {
  const names = instruments.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, kind, description, read } of instruments) {
    assert.match(name, /^otelcol_(?:receiver|exporter|process)_[a-z_]+$/);
    assert.match(description, /^[A-Z][^\n]*[^.]$/, name);
    for (const { value } of read(readingsAt(0))) assert.equal(typeof value, kind === 'histogram' ? 'object' : 'number', name);
  }
});

test('a level has what the levels below it have', () => {
  const [basic, normal, detailed] = [instrumentsAt('basic'), instrumentsAt('normal'), instrumentsAt('detailed')];
  assert.ok(basic.length > 0 && basic.length < normal.length && normal.length < detailed.length);
  assert.equal(detailed.length, instruments.length);
  for (const instrument of basic) assert.ok(normal.includes(instrument), instrument.name);
  for (const instrument of normal) assert.ok(detailed.includes(instrument), instrument.name);
});

test('docs/telemetry.md has every metric of the table', () => {
  const rows = instruments.map(({ name, kind, unit, level, attributes, description }) => [
    `\`${name}\``,
    kind,
    `\`${unit}\``,
    level,
    attributes.map((attribute) => `\`${attribute}\``).join(', '),
    description,
  ]);
  const table = formatTable(['Name', 'Kind', 'Unit', 'Level', 'Attributes', 'What it counts'], rows);
  checkGenerated(
    new URL('../../../docs/telemetry.md', import.meta.url),
    { 'own-metrics': table },
    process.env['UPDATE_DOCS'] === '1',
    true,
  );
});
