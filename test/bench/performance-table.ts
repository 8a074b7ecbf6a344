// Files that benchmarks wrote with --json -> the table of targets and the tables of figures for docs/performance.md, as Markdown.
//   node test/bench/performance-table.ts FILE…
import { readFileSync } from 'node:fs';
import { format, type Figure, type ReportFile } from './support/report.ts';
import { isReached, targets, type Target, type TargetId } from './support/targets.ts';

const files = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as ReportFile);

function measured(figure: Figure): string {
  const range = figure.samples.length > 1 ? ` (${format(figure.min)}–${format(figure.max)}, ${figure.samples.length})` : '';
  return `${format(figure.median)}${range}`;
}

function limit(target: Target): string {
  if (target.most !== undefined) return `≤ ${format(target.most)}`;
  return target.least === undefined ? 'as it is' : `≥ ${format(target.least)}`;
}

const figures = files.flatMap((file) => file.figures.map((figure) => ({ figure, benchmark: file.benchmark })));

console.log('| What | Unit | Target | Measured: median (min–max, samples) | Reached | By |\n|---|---|---|---|---|---|');
for (const [id, target] of Object.entries(targets) as [TargetId, Target][]) {
  const found = figures.find(({ figure }) => figure.target === id);
  const cells = [target.text, target.unit, limit(target)];
  if (found === undefined) cells.push('not in these files', '', '');
  else {
    const reached = isReached(target, found.figure.median);
    cells.push(measured(found.figure), reached === undefined ? '' : reached ? 'yes' : '**no**', found.benchmark);
  }
  console.log(`| ${cells.join(' | ')} |`);
}
for (const file of files) {
  console.log(`\n### ${file.benchmark}\n\n| Figure | Median (min–max, samples) | Unit |\n|---|---|---|`);
  for (const figure of file.figures) console.log(`| ${figure.name} | ${measured(figure)} | ${figure.unit} |`);
  for (const doubt of file.doubts) console.log(`\nDoubtful: ${doubt}`);
}
