// pipeline.bench.ts (recorded events replayed through the pipeline) several times, each in a process of its own, for the spread.
//   --runs N
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { readArguments } from './support/arguments.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ runs: 5 }, { needsRoot: false });
const report = new Report('replay');

/** Of each run: µs of CPU per transaction, and transactions per second. */
function replay(protocol: 'http1' | 'http2'): { readonly micros: readonly number[]; readonly rates: readonly number[] } {
  const micros: number[] = [];
  const rates: number[] = [];
  for (let run = 0; run < numbers.runs; run++) {
    const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(import.meta.dirname, 'pipeline.bench.ts')], {
      encoding: 'utf8',
      env: { ...process.env, BENCH_PROTOCOL: protocol },
    });
    const cpu = /([\d.]+) µs CPU per transaction/.exec(stdout);
    const rate = /(\d+) transactions\/s/.exec(stdout);
    if (status !== 0 || cpu === null || rate === null) throw new Error(`pipeline.bench.ts went wrong:\n${stdout}\n${stderr}`);
    micros.push(Number(cpu[1]));
    rates.push(Number(rate[1]));
  }
  return { micros, rates };
}

const http1 = replay('http1');
report.figure('CPU per transaction, from records to encoded OTLP', 'µs', http1.micros, 'recordToOtlp');
report.figure('transactions on one core, nothing lost', '/s', http1.rates, 'pipelineRate');
const http2 = replay('http2');
report.figure('CPU per transaction of HTTP/2, from records to encoded OTLP', 'µs', http2.micros);
report.figure('transactions of HTTP/2 on one core, nothing lost', '/s', http2.rates);
report.write(json);
