// pipeline.bench.ts (recorded events replayed through the pipeline) several times, each in a process of its own, for the spread.
//   --runs N
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { readArguments } from './support/arguments.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ runs: 5 }, { needsRoot: false });
const report = new Report('replay');
const micros: number[] = [];
const rates: number[] = [];
for (let run = 0; run < numbers.runs; run++) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(import.meta.dirname, 'pipeline.bench.ts')], {
    encoding: 'utf8',
  });
  const cpu = /([\d.]+) µs CPU per transaction/.exec(stdout);
  const rate = /(\d+) transactions\/s/.exec(stdout);
  if (status !== 0 || cpu === null || rate === null) throw new Error(`pipeline.bench.ts went wrong:\n${stdout}\n${stderr}`);
  micros.push(Number(cpu[1]));
  rates.push(Number(rate[1]));
}
report.figure('CPU per transaction, from records to encoded OTLP', 'µs', micros, 'recordToOtlp');
report.figure('transactions on one core, nothing lost', '/s', rates, 'pipelineRate');
report.write(json);
