// Command line of a benchmark: `--json FILE`, and numbers with defaults. A benchmark that needs root and has none says so and ends.
import { parseArgs } from 'node:util';

export interface Arguments<Name extends string> {
  /** Where the figures go, as JSON. */
  readonly json: string | undefined;
  readonly numbers: Readonly<Record<Name, number>>;
  /** Of `--only a,b`: parts to run; undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** Ends the process when it cannot do anything useful. */
export function readArguments<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
  { needsRoot = true } = {},
): Arguments<Name> {
  const names = Object.keys(defaults) as Name[];
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string' },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    },
  });
  const given = values as Readonly<Record<string, string | undefined>>;
  const numbers = Object.fromEntries(
    names.map((name) => {
      const number = Number(given[name] ?? defaults[name]);
      if (!(number >= 0)) throw new Error(`--${name} takes a number, got '${given[name] ?? ''}'`);
      return [name, number];
    }),
  ) as Record<Name, number>;
  if (needsRoot && process.getuid?.() !== 0) {
    console.error('BENCHMARK SKIPPED: loading BPF programs needs root');
    process.exit(0);
  }
  return { json: given['json'], numbers, only: given['only'] === undefined ? undefined : new Set(given['only'].split(',')) };
}
