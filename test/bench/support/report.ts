// Figures of a benchmark: a line for people as each is known, and a JSON file for performance-table.ts.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import * as os from 'node:os';
import { isReached, targets, type Target, type TargetId } from './targets.ts';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly target?: TargetId;
}

export interface ReportFile {
  readonly benchmark: string;
  readonly command: string;
  readonly host: Readonly<Record<string, string | number>>;
  readonly figures: readonly Figure[];
  /** What makes the figures doubtful. */
  readonly doubts: readonly string[];
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function format(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  return value.toLocaleString('en-US', { maximumFractionDigits: size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3 });
}

export class Report {
  readonly #benchmark: string;
  readonly #figures: Figure[] = [];
  readonly #doubts: string[] = [];
  /** Before the benchmark itself loads the machine. */
  readonly #load = os.loadavg()[0] ?? 0;

  constructor(benchmark: string) {
    this.#benchmark = benchmark;
    const others = socketPrograms();
    if (others > 0) this.doubt(`${others} BPF programs of others are at the socket hooks`);
    if (this.#load > 0.5) this.doubt(`the machine was not quiet at the start: load average ${this.#load.toFixed(2)}`);
  }

  /** A figure that has a target takes its unit. */
  figure(name: string, unit: string, samples: readonly number[], target?: TargetId): void {
    const figure: Figure = {
      name,
      unit,
      samples,
      median: median(samples),
      min: Math.min(...samples),
      max: Math.max(...samples),
      ...(target === undefined ? {} : { target }),
    };
    this.#figures.push(figure);
    const spread = samples.length > 1 ? ` (${format(figure.min)}–${format(figure.max)}, n=${samples.length})` : '';
    console.log(
      `${this.#benchmark}: ${name}: ${format(figure.median)} ${unit}${spread}${target === undefined ? '' : verdict(target, figure)}`,
    );
  }

  /** The measurement itself is not to be trusted, for this reason. */
  doubt(reason: string): void {
    this.#doubts.push(reason);
    console.error(`${this.#benchmark}: DOUBTFUL: ${reason}`);
  }

  write(path: string | undefined): void {
    if (path === undefined) return;
    const cpus = os.cpus();
    const file: ReportFile = {
      benchmark: this.#benchmark,
      command: process.argv.slice(1).join(' '),
      host: {
        kernel: os.release(),
        machine: os.machine(),
        cpu: cpus[0]?.model ?? 'unknown',
        cpus: cpus.length,
        memory_gb: Math.round(os.totalmem() / 1e9),
        node: process.version,
        load_average: this.#load,
      },
      figures: this.#figures,
      doubts: this.#doubts,
    };
    writeFileSync(path, `${JSON.stringify(file, undefined, 2)}\n`);
  }
}

/** Of a receiver that somebody else runs on this host. */
function socketPrograms(): number {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
  const { stdout } = spawnSync('bpftool', ['prog', 'show'], { encoding: 'utf8', env });
  return stdout.match(/name socket_(sent|received)/g)?.length ?? 0;
}

function verdict(id: TargetId, figure: Figure): string {
  const target: Target = targets[id];
  const reached = isReached(target, figure.median);
  if (reached === undefined) return '';
  const limit = target.most === undefined ? `≥ ${format(target.least ?? NaN)}` : `≤ ${format(target.most)}`;
  return ` – ${limit}: ${reached ? 'reached' : 'NOT REACHED'}`;
}
