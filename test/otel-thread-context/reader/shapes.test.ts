// Every way in which a program can have the variable, run as a process and located from outside: the reader must name the very address
// that each thread of the program prints, and read the context that the thread published there. With UPDATE_DOCS=1 it writes
// the table in docs/thread-context.md.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  ImageCache,
  locate,
  type Location,
  openProcess,
  type DecodedRecord,
  type ObservedProcess,
  readThreadContext,
  threadSymbols,
  variableAddress,
  type VariableAddress,
} from '../../../otel-thread-context/reader/index.ts';
import { checkGenerated, formatTable } from '../../docs/generated.ts';
import { EmulatedProcess, emulator } from './emulated.ts';
import { buildFixtures, fixtures, type Publisher, startPublisher } from './publisher.ts';

type Target = 'glibc' | 'musl' | 'aarch64';

interface Shape {
  readonly name: string;
  /** Words of the command; a path is that of a fixture of the target. */
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What must be found: how each slot was, or why there is none. One text for all targets, or one for each. */
  readonly found: string | Readonly<Record<Target, string>>;
}

const LOCAL_EXEC = 'local-exec: static';
const DESCRIPTOR_STATIC = 'tlsdesc: static';
const DESCRIPTOR_DYNAMIC = 'tlsdesc: dynamic';
const NO_SYMBOL = 'not found: the symbol is in no table';
/** The libc itself refuses. */
const NOT_LOADABLE = 'cannot be loaded';

/** glibc keeps some static space for libraries that come later; musl keeps none. */
const inSurplus = { glibc: DESCRIPTOR_STATIC, musl: DESCRIPTOR_DYNAMIC, aarch64: DESCRIPTOR_STATIC };
/** A block that wants more alignment than glibc gave its first threads on aarch64 does not fit there. */
const alignedInSurplus = { ...inSurplus, aarch64: DESCRIPTOR_DYNAMIC };
const inSurplusOnly = { glibc: 'initial-exec: static', musl: NOT_LOADABLE, aarch64: 'initial-exec: static' };
/** There the compiler makes general-dynamic of it. */
const localDynamic = { glibc: 'local-dynamic: dynamic', musl: 'local-dynamic: dynamic', aarch64: 'general-dynamic: dynamic' };
const byLinkMap = { glibc: 'link-map: dynamic', musl: 'not resolved: not_accessed', aarch64: 'link-map: dynamic' };

const program = (name: string, file: string, found: Shape['found'] = LOCAL_EXEC): Shape => ({
  name,
  command: [`./${file}`],
  found,
});
const linked = (name: string, library: string, found: Shape['found']): Shape =>
  program(`linked library, ${name}`, `linked-${library}`, found);
const loaded = (name: string, library: string, found: Shape['found'], host = 'host'): Shape => ({
  name: `dlopen, ${name}`,
  command: [`./${host}`, '--library', `./${library}.so`],
  found,
});

const shapes: readonly Shape[] = [
  program('program, exported', 'exported'),
  program('program, at a fixed address', 'no-pie'),
  program('program, not exported (in .symtab only)', 'unexported'),
  program('program, not exported, stripped', 'stripped', NO_SYMBOL),
  program('program, static', 'static'),
  program('program, static, stripped', 'static-stripped', NO_SYMBOL),
  program('program, static-PIE', 'static-pie'),
  program('program, block size no multiple of its alignment', 'odd'),
  program('program, the same at a fixed address', 'odd-no-pie'),
  program('program, compiled for descriptors', 'descriptor'),
  program('program, System V hash table', 'sysv-hash'),
  program('program, without section headers', 'sectionless-exported'),
  program('program, the same with a System V hash table', 'sectionless-sysv-hash'),
  program('program that reaches the variable of a library', 'importer', 'initial-exec: static'),
  program('program that does so, without section headers', 'sectionless-importer', 'initial-exec: static'),
  program('program that pre-empts the variable of a library', 'preempting'),
  linked('general-dynamic', 'general-dynamic', 'general-dynamic: dynamic'),
  linked('general-dynamic, 64 KiB block', 'big', 'general-dynamic: dynamic'),
  linked('initial-exec', 'initial-exec', 'initial-exec: static'),
  linked('local-dynamic', 'local-dynamic', localDynamic),
  linked('hidden', 'hidden', 'local-dynamic: dynamic'),
  linked('descriptor', 'descriptor', DESCRIPTOR_STATIC),
  linked('descriptor, hidden', 'descriptor-hidden', DESCRIPTOR_STATIC),
  linked('descriptor, 64 KiB block', 'descriptor-big', DESCRIPTOR_STATIC),
  linked('descriptor, odd block size', 'odd-library', DESCRIPTOR_STATIC),
  linked('descriptor, -Bsymbolic', 'symbolic', DESCRIPTOR_STATIC),
  linked('descriptor, lazy binding', 'lazy', DESCRIPTOR_STATIC),
  loaded('general-dynamic', 'general-dynamic', 'general-dynamic: dynamic'),
  loaded('general-dynamic, 64 KiB block', 'big', 'general-dynamic: dynamic'),
  loaded('initial-exec', 'initial-exec', inSurplusOnly),
  loaded('local-dynamic', 'local-dynamic', localDynamic),
  loaded('hidden', 'hidden', 'local-dynamic: dynamic'),
  loaded('descriptor', 'descriptor', inSurplus),
  loaded('descriptor, hidden', 'descriptor-hidden', alignedInSurplus),
  loaded('descriptor, odd block size', 'odd-library', alignedInSurplus),
  loaded('descriptor, lazy binding', 'lazy', inSurplus),
  loaded('descriptor, without section headers', 'sectionless-descriptor', inSurplus),
  {
    ...loaded('descriptor, no static space left to libraries', 'descriptor', DESCRIPTOR_DYNAMIC),
    environment: { GLIBC_TUNABLES: 'glibc.rtld.optional_static_tls=0' },
  },
  loaded('descriptor, 64 KiB block', 'descriptor-big', DESCRIPTOR_DYNAMIC),
  loaded('descriptor, 64 KiB block, by a program at a fixed address', 'descriptor-big', DESCRIPTOR_DYNAMIC, 'host-no-pie'),
  loaded('reached by dlsym alone', 'unreached', byLinkMap),
  {
    name: 'dlopen of two libraries, each with its own variable',
    command: ['./host', '--library', './descriptor-big.so', '--second', './big.so'],
    found: 'general-dynamic: dynamic + tlsdesc: dynamic',
  },
  {
    name: 'dlopen of two libraries, each with a hidden one',
    command: ['./host', '--library', './descriptor-hidden.so', '--second', './hidden.so'],
    found: {
      glibc: 'local-dynamic: dynamic + tlsdesc: static',
      musl: 'local-dynamic: dynamic + tlsdesc: dynamic',
      aarch64: 'local-dynamic: dynamic + tlsdesc: dynamic',
    },
  },
];

/** Only where the tool is the target's. */
const shapesOfGlibc: readonly Shape[] = [
  program('program, linked by gold', 'gold'),
  program('program, linked by lld', 'lld'),
  program('program, compiled by clang', 'clang'),
];

const loaders = { glibc: '/lib64/ld-linux-x86-64.so.2', musl: '/lib/ld-musl-x86_64.so.1' };
const throughLoader = 'program, started through its loader';

const columns: Readonly<Record<Target, string>> = {
  glibc: 'x86-64, glibc',
  musl: 'x86-64, musl',
  aarch64: 'aarch64, glibc',
};

/** What was found, by shape and target. */
const findings = new Map<string, Map<Target, string>>();

before(buildFixtures);

for (const target of ['glibc', 'musl', 'aarch64'] as const) {
  describe(`on ${columns[target]}, the reader finds the variable of a`, () => {
    for (const shape of target === 'glibc' ? [...shapes, ...shapesOfGlibc] : shapes) {
      test(shape.name, async () => {
        const expected = typeof shape.found === 'string' ? shape.found : shape.found[target];
        const words = shape.command.map((word) => word.replace(/^\.\//, `${fixtures}${target}/`));
        const command = target === 'aarch64' ? [...emulator, ...words] : words;
        await check(shape.name, target, command, shape.environment, expected);
      });
    }
    if (target !== 'aarch64') {
      test(throughLoader, async () => {
        await check(throughLoader, target, [loaders[target], `${fixtures}${target}/exported`], {}, LOCAL_EXEC);
      });
    }
  });
}

async function check(
  name: string,
  target: Target,
  command: readonly string[],
  environment: Readonly<Record<string, string>> | undefined,
  expected: string,
): Promise<void> {
  const row = findings.get(name) ?? new Map<Target, string>();
  findings.set(name, row.set(target, NOT_LOADABLE));
  if (expected === NOT_LOADABLE) {
    await assert.rejects(startPublisher(command, environment, 'ignore'), /before it was ready/);
    return;
  }
  await using publisher = await startPublisher(command, environment);
  const process = target === 'aarch64' ? new EmulatedProcess(publisher) : openProcess(publisher.pid);
  try {
    const location = locate(process, new ImageCache(threadSymbols));
    row.set(target, describeFinding(location));
    assert.equal(describeFinding(location), expected, location.steps.map(({ detail }) => detail).join('\n'));
    if (location.outcome.kind === 'located') compare(publisher, process, location);
  } finally {
    process.close();
  }
}

function describeFinding({ outcome, steps }: Location): string {
  if (outcome.kind === 'located')
    return outcome.slots
      .map(({ access, location }) => `${access}: ${location.model}`)
      .sort()
      .join(' + ');
  const last = steps.at(-1);
  if (last?.name === 'symbol') return NO_SYMBOL;
  return `not resolved: ${/\((\w+)\)$/.exec(last?.detail ?? '')?.[1] ?? 'unknown'}`;
}

/** Each thread's variable is at exactly one of the slots, and its context is found there and nowhere else. */
function compare(publisher: Publisher, process: ObservedProcess, { outcome, schema }: Location): void {
  assert.equal(outcome.kind, 'located');
  const names = publisher.threads.map(({ thread }) => thread).sort();
  assert.deepEqual(
    names.filter((name) => name !== 'second'),
    ['early', 'later', 'main', 'silent'],
  );
  for (const { thread, threadPointer, slot, traceId } of publisher.threads) {
    const addresses: readonly VariableAddress[] = outcome.slots.map(({ location }) =>
      variableAddress(process.readMemory, location, threadPointer),
    );
    const records: readonly DecodedRecord[] = outcome.slots.map(({ location }) =>
      readThreadContext(process.readMemory, location, threadPointer, schema?.keyMap ?? []),
    );
    const contexts = records.filter((record) => record.kind === 'context');
    assert.ok(
      records.every(({ kind }) => kind !== 'refused'),
      `${thread}: ${JSON.stringify(records)}`,
    );
    if (thread === 'silent') {
      assert.equal(contexts.length, 0);
      continue;
    }
    const hits = addresses.filter((address) => address.kind === 'address' && address.address === slot);
    assert.equal(hits.length, 1, `${thread} has its variable at ${slot}, not at ${JSON.stringify(addresses)}`);
    assert.deepEqual(
      contexts,
      [
        {
          kind: 'context',
          traceId,
          spanId: Buffer.from(thread.slice(0, 3).padEnd(8, '\0')).toString('hex'),
          flags: 3,
          attributes: new Map([['thread_name', thread]]),
          unknownKeys: [],
          isTruncated: false,
        },
      ],
      thread,
    );
  }
}

test('docs/thread-context.md has the table of what is found', () => {
  const targets = Object.keys(columns) as Target[];
  const rows = [...findings].map(([name, row]) => [name, ...targets.map((target) => row.get(target) ?? '–')]);
  const table = formatTable(['Shape', ...targets.map((target) => columns[target])], rows);
  const file = new URL('../../../docs/thread-context.md', import.meta.url);
  checkGenerated(file, { shapes: table }, process.env['UPDATE_DOCS'] === '1');
});
