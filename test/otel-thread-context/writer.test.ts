// Runs the tests of the C library in each way to build and link it. Their titles and reasons are in otel-thread-context/test/.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { built, isInstalled, make, run } from './writer.ts';

interface Program {
  readonly name: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** How many titles it has: a program that ends early is not one that passed. */
  readonly titles: number;
}

const isX64 = process.arch === 'x64';
const threads: readonly Program[] = [
  { name: 'record_test', titles: 13 },
  { name: 'thread_test', titles: 8 },
];
const everywhere: readonly Program[] = [...threads, { name: 'process_test', titles: 13 }, { name: 'register_test', titles: 6 }];
const sandbox: Program = { name: 'sandbox_test', titles: 2 };
const failures: Program = { name: 'failure_test', titles: 4 };
const scopes: Program = { name: 'scope_test', titles: 5 };

/** Samples by a timer, and single steps. */
function observed(samples: number, steps: number): Program {
  return { name: 'observed_test', arguments: [`${samples}`, `${steps}`], titles: isX64 ? 3 : 1 };
}

function loaded(variant: string, environment: Readonly<Record<string, string>>): Program {
  return { name: 'dlopen_test', arguments: [built(variant, 'libotel-thread-context.so')], environment, titles: 2 };
}

const variants: readonly (readonly [name: string, programs: readonly Program[], compiler: string, runner?: string])[] = [
  [
    'shared',
    [
      ...everywhere,
      sandbox,
      scopes,
      observed(50_000, 1_000_000),
      loaded('shared', {}),
      loaded('shared', { GLIBC_TUNABLES: 'glibc.rtld.optional_static_tls=0' }),
    ],
    'gcc',
  ],
  ['static', [...everywhere, sandbox, scopes, failures, observed(5_000, 50_000)], 'gcc'],
  ['static-pie', [...everywhere, sandbox, observed(5_000, 50_000)], 'ld.lld'],
  ['static-glibc', [...everywhere, sandbox, observed(5_000, 50_000)], 'gcc'],
  ['lto', [...everywhere, sandbox, observed(5_000, 200_000)], 'gcc'],
  ['sanitized', [...everywhere, sandbox, scopes, failures, observed(5_000, 50_000)], 'gcc'],
  ['clang', [...everywhere, observed(5_000, 50_000), loaded('clang', {})], 'clang'],
  ['musl', [...everywhere, observed(5_000, 50_000)], 'musl-gcc'],
  ['musl-static', [...everywhere, observed(5_000, 50_000)], 'musl-gcc'],
  ['aarch64', [...threads, { ...observed(5_000, 0), titles: 1 }], 'aarch64-linux-gnu-gcc', 'qemu-aarch64'],
];

for (const [variant, programs, compiler, runner] of variants) {
  const missing = [compiler, runner].filter((command) => command !== undefined && !isInstalled(command));
  describe(`the C library, ${variant}`, { skip: missing.length > 0 && `${missing.join(', ')} is not installed` }, () => {
    make(`build-${variant}`);
    for (const program of programs) {
      describe(`${program.name}${program.environment === undefined ? '' : ` ${JSON.stringify(program.environment)}`}`, () => {
        const path = built(variant, `test/${program.name}`);
        const command = [...(runner === undefined ? [] : [runner]), path, ...(program.arguments ?? [])];
        const { status, output, outcomes } = run(command, program.environment);
        for (const { title, passed, comments } of outcomes) {
          test(title, () => assert.ok(passed, comments.join('\n')));
        }
        test('ends well, having said all', () => {
          assert.equal(outcomes.length, program.titles, output);
          assert.equal(status, 0, output);
        });
      });
    }
  });
}

test('the headers compile as C99, C11, C17 and C++, without a warning, with gcc and clang', () => {
  make('includes');
});
