// npm run test:kernels: boots distribution kernels, one after the other, runs tests in each, and tells what works where.
//   node test/kernels/run.ts [--write] [SERIES…] [FILE…]
// Without a series all that Debian offers; without a test file smoke.test.ts, whose results --write puts into docs/kernels.md.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isOlder, oldestRelease } from '../../receiver/kernel/release.ts';
import { checkGenerated, formatTable } from '../docs/generated.ts';
import { buildContextPeer, buildGoPeer, buildIo } from '../traffic/build.ts';
import { serverCertificate } from '../traffic/certificate.ts';
import { type Ended, runInGuest } from './guest.ts';
import { bySeries, cache, fetchKernel, type Kernel, offeredSeries } from './packages.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const smoke = 'test/kernels/smoke.test.ts';
const document = new URL('../../docs/kernels.md', import.meta.url);
/** How much longer than usual everything may take where each instruction is emulated. */
const patience = '10';
const timeoutMs = 3 * 60 * 60 * 1000;

interface Result {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
}

/** The tests of the top level, from Node.js's TAP reporter. */
function parseTap(text: string): Result[] {
  return [...text.matchAll(/^(not )?ok \d+ - (.*?)( # (?:SKIP|TODO).*)?$/gm)].map(([, not, name = '', skip]) => ({
    name,
    outcome: skip !== undefined ? 'skipped' : not === undefined ? 'passed' : 'failed',
  }));
}

async function runTests(kernel: Kernel, files: readonly string[]): Promise<{ ended: Ended; results: readonly Result[] }> {
  const exchange = path.join(cache, kernel.series, 'exchange');
  const reporters = ['spec --test-reporter-destination=stdout', 'tap --test-reporter-destination=/mnt/results'];
  const script = [
    `export PATH='${process.env['PATH'] ?? ''}' HOME=/root USM_TEST_PATIENCE=${patience}`,
    `exec '${process.execPath}' --test --test-concurrency=1 ${reporters.map((one) => `--test-reporter=${one}`).join(' ')} ${files.join(' ')}`,
  ].join('\n');
  const ended = await runInGuest(kernel, { script, cwd: repository, exchange, timeoutMs });
  const file = path.join(exchange, 'results');
  return { ended, results: existsSync(file) ? parseTap(readFileSync(file, 'utf8')) : [] };
}

/** Of smoke.test.ts, what is wanted: everything but the refusal where the kernel has what capture needs, else only that. */
function isAsWanted({ series }: Kernel, { name, outcome }: Result): boolean {
  const isSupported = !isOlder(series, oldestRelease);
  return outcome === (name.startsWith('refusal:') === isSupported ? 'skipped' : 'passed');
}

const marks = { passed: 'yes', failed: '**no**', skipped: '–' } as const;

function rowOf(kernel: Kernel, results: readonly Result[]): Map<string, string> {
  const row = new Map([
    ['Kernel', kernel.series],
    ['Debian package', kernel.version],
  ]);
  for (const { name, outcome } of results) row.set(name.slice(0, name.indexOf(':')), marks[outcome]);
  return row.set('Date', new Date().toISOString().slice(0, 10));
}

/** The rows that are there already, by their series. */
function writtenRows(): Map<string, Map<string, string>> {
  const lines = readFileSync(document, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '));
  const cellsOf = (line: string): string[] => line.slice(2, -2).split(' | ');
  const [head = [], , ...rows] = lines.map(cellsOf);
  return new Map(rows.map((cells) => [cells[0] ?? '', new Map(head.map((name, index) => [name, cells[index] ?? '']))]));
}

function writeTable(rows: Map<string, Map<string, string>>): void {
  const all = new Map([...writtenRows(), ...rows]);
  const sorted = [...all.keys()].sort(bySeries).map((series) => all.get(series) ?? new Map<string, string>());
  const head = [...(sorted.at(-1) ?? new Map<string, string>()).keys()];
  checkGenerated(
    document,
    {
      kernels: formatTable(
        head,
        sorted.map((row) => head.map((name) => row.get(name) ?? '')),
      ),
    },
    true,
  );
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { write: { type: 'boolean', default: false } } });
const files = positionals.filter((one) => one.endsWith('.test.ts'));
const given = positionals.filter((one) => !files.includes(one));
const isSmoke = files.length === 0;
if (isSmoke) files.push(smoke);

// What the tests use is built here: there it would take hours, and there is no network.
buildGoPeer();
buildIo();
buildContextPeer('program');
serverCertificate();

const rows = new Map<string, Map<string, string>>();
const failed: string[] = [];
for (const series of given.length > 0 ? given : offeredSeries()) {
  const kernel = fetchKernel(series);
  console.log(`== Linux ${kernel.release} (${kernel.version})`);
  const { ended, results } = await runTests(kernel, files);
  const took = `${Math.round(ended.tookMs / 1000)} s`;
  if (ended.exitCode === undefined) {
    console.log(`  it did not get as far as the tests within ${took}; the end of its console:\n${ended.console.slice(-3000)}`);
    failed.push(series);
    continue;
  }
  for (const { name, outcome } of results) console.log(`  ${outcome.padEnd(8)}${name}`);
  const isGood = isSmoke ? results.length > 0 && results.every((result) => isAsWanted(kernel, result)) : ended.exitCode === 0;
  if (!isGood) {
    console.log(ended.output.slice(-8000));
    failed.push(series);
  }
  console.log(`  ${isGood ? 'as wanted' : 'NOT as wanted'}, ${took}; all of it is in ${path.join(cache, series, 'exchange')}`);
  if (isSmoke) rows.set(series, rowOf(kernel, results));
}
if (values.write) writeTable(rows);
if (failed.length > 0) {
  console.error(`test:kernels: not as wanted: ${failed.join(', ')}`);
  process.exitCode = 1;
}
