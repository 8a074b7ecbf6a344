// Words of a loader, right and wrong, to a place or a reason; and the DTVs of both libcs. What running programs show is in shapes.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadAt } from '../../../otel-thread-context/reader/bytes.ts';
import type { Machine, Segment } from '../../../otel-thread-context/reader/elf.ts';
import type { TlsRelocation } from '../../../otel-thread-context/reader/elf-tables.ts';
import { dtvLayout, tlsBlock } from '../../../otel-thread-context/reader/libc.ts';
import {
  localExecLocation,
  locationOf,
  type SymbolFacts,
  type TlsLocation,
} from '../../../otel-thread-context/reader/tls-location.ts';
import { memoryOf, words } from './bytes-of.ts';

const GOT = 0x7000;
const BIAS = 0x5500_0000_0000;
const RESOLVER = 0x7f00_0000_0000;
const INDEX = 0x5600_0000_1000;

const code = {
  x86Static: '488b4008c3',
  x86StaticWithLandingPad: 'f30f1efa488b4008c3',
  x86Undefined: '488b400864482b042500000000c3',
  x86Dynamic: '50488b40084883ec08',
  armStatic: '000440f9c0035fd6',
  armStaticWithLandingPad: '5f2403d5000440f9c0035fd6',
  armUndefined: '5f2403d5e10f1ff8000440f941d03bd5000001cbe10741f8c0035fd6',
  armDynamic: '5f2403d5e10f1ff8020000f9',
} as const;

const facts = (machine: Machine, libc: SymbolFacts['libc'] = 'glibc'): SymbolFacts => ({
  machine,
  libc,
  offsets: [0x50],
  ownOffset: undefined,
});

interface Loaded {
  readonly kind: TlsRelocation['kind'];
  readonly addend?: number;
  readonly words: Uint8Array;
  readonly code?: string;
  readonly index?: Uint8Array;
}

function located({ kind, addend = 0, words: got, code: resolver = '', index }: Loaded, symbol: SymbolFacts): TlsLocation {
  const memory: ReadAt = memoryOf({
    [BIAS + GOT]: got,
    [RESOLVER]: Buffer.concat([Buffer.from(resolver, 'hex'), Buffer.alloc(32, 0xcc)]),
    ...(index ? { [INDEX]: index } : {}),
  });
  return locationOf(memory, { kind, vaddr: GOT, addend, symbol: symbol.ownOffset === undefined ? 's' : '' }, BIAS, symbol);
}

function outcomeOf(location: TlsLocation): string {
  if (location.model === 'unresolved') return location.reason;
  return location.model === 'static' ? `static ${location.offset}` : `module ${location.moduleId} + ${location.offset}`;
}

const outcome = (loaded: Loaded, symbol: SymbolFacts): string => outcomeOf(located(loaded, symbol));

test('an initial-exec word is the offset: below the thread pointer on x86-64, above it on aarch64', () => {
  const of = (machine: Machine, value: number | bigint) => outcome({ kind: 'tpoff', words: words(value, 0) }, facts(machine));
  assert.equal(of('x86-64', -8), 'static -8');
  assert.equal(of('aarch64', 16), 'static 16');
  assert.equal(of('x86-64', 0), 'not_relocated');
  assert.equal(of('aarch64', 0), 'not_relocated');
  assert.equal(of('x86-64', 8), 'implausible');
  assert.equal(of('aarch64', -8), 'implausible');
  assert.equal(of('x86-64', -7), 'implausible');
  assert.equal(of('x86-64', -(2n ** 31n)), 'implausible');
  assert.equal(of('x86-64', -(2n ** 62n)), 'implausible');
});

test('a static descriptor is told by its resolver, with and without a landing pad', () => {
  for (const resolver of [code.x86Static, code.x86StaticWithLandingPad]) {
    assert.equal(outcome({ kind: 'tlsdesc', words: words(RESOLVER, -152), code: resolver }, facts('x86-64')), 'static -152');
    assert.equal(outcome({ kind: 'tlsdesc', words: words(RESOLVER, 152), code: resolver }, facts('x86-64')), 'implausible');
    assert.equal(outcome({ kind: 'tlsdesc', words: words(RESOLVER, 0), code: resolver }, facts('x86-64')), 'zero_offset');
  }
  for (const resolver of [code.armStatic, code.armStaticWithLandingPad]) {
    assert.equal(
      outcome({ kind: 'tlsdesc', words: words(RESOLVER, 0x2_0000), code: resolver }, facts('aarch64')),
      'static 131072',
    );
    assert.equal(outcome({ kind: 'tlsdesc', words: words(RESOLVER, 0), code: resolver }, facts('aarch64')), 'zero_offset');
  }
});

test('a dynamic descriptor leads to a module, an offset and, in glibc, a generation', () => {
  for (const [machine, resolver] of [
    ['x86-64', code.x86Dynamic],
    ['aarch64', code.armDynamic],
  ] as const) {
    const loaded = { kind: 'tlsdesc', words: words(RESOLVER, INDEX), code: resolver, index: words(3, 0x50, 7) } as const;
    assert.deepEqual(located(loaded, facts(machine)), {
      model: 'dynamic',
      moduleId: 3,
      offset: 0x50,
      generation: 7,
      dtv: dtvLayout('glibc', machine),
    });
    assert.deepEqual(located(loaded, facts(machine, 'musl')), {
      model: 'dynamic',
      moduleId: 3,
      offset: 0x50,
      generation: 0,
      dtv: dtvLayout('musl', machine),
    });
    assert.equal(outcome(loaded, { ...facts(machine), libc: undefined }), 'unknown_libc');
  }
});

test('a descriptor that is not filled in, or can not be followed, is unresolved', () => {
  const of = (got: Uint8Array, index?: Uint8Array) =>
    outcome({ kind: 'tlsdesc', words: got, code: code.x86Dynamic, ...(index ? { index } : {}) }, facts('x86-64'));
  assert.equal(of(words(0, 0)), 'not_relocated');
  assert.equal(of(words(0x1234, INDEX)), 'unreadable');
  assert.equal(of(words(-1, INDEX)), 'unreadable');
  assert.equal(of(words(RESOLVER, INDEX)), 'unknown_resolver');
  assert.equal(of(words(RESOLVER, -8)), 'unknown_resolver');
  assert.equal(of(words(RESOLVER, 0)), 'unknown_resolver');
  assert.equal(of(words(RESOLVER, INDEX), words(0, 0x50, 1)), 'not_relocated');
  assert.equal(of(words(RESOLVER, INDEX), words(65_536, 0x50, 1)), 'implausible');
  assert.equal(of(words(RESOLVER, INDEX), words(1, 0x50, -1)), 'implausible');
  assert.equal(of(words(RESOLVER)), 'unreadable');
});

test('a relocation entry, which is what an unresolved lazy descriptor points to, is no module', () => {
  const relocation = words(0x4010, (5n << 32n) | 36n, 0);
  assert.equal(
    outcome({ kind: 'tlsdesc', words: words(RESOLVER, INDEX), code: code.x86Dynamic, index: relocation }, facts('x86-64')),
    'contradiction',
  );
});

test('a weak symbol that nothing defines has no place', () => {
  assert.equal(
    outcome({ kind: 'tlsdesc', words: words(RESOLVER, 8), code: code.x86Undefined }, facts('x86-64')),
    'undefined_symbol',
  );
  assert.equal(
    outcome({ kind: 'tlsdesc', words: words(RESOLVER, 8), code: code.armUndefined }, facts('aarch64')),
    'undefined_symbol',
  );
});

test('general-dynamic words are a module and an offset that must be that of a definition', () => {
  const of = (module: number, offset: number) => outcome({ kind: 'dtpmod', words: words(module, offset) }, facts('x86-64'));
  assert.equal(of(2, 0x50), 'module 2 + 80');
  assert.equal(of(2, 0x58), 'contradiction');
  assert.equal(of(0, 0x50), 'not_relocated');
  assert.equal(of(65_536, 0x50), 'implausible');
  assert.equal(of(-1, 0x50), 'implausible');
});

test('words without a symbol are about the block: the variable lies at its own offset from there', () => {
  const own: SymbolFacts = { ...facts('x86-64'), ownOffset: 0x50 };
  assert.equal(outcome({ kind: 'dtpmod', words: words(2, 0) }, own), 'module 2 + 80');
  assert.equal(outcome({ kind: 'tpoff', addend: 0x10, words: words(-0x80, 0) }, own), 'static -64');
  assert.equal(outcome({ kind: 'tlsdesc', words: words(RESOLVER, -0x80), code: code.x86Static }, own), 'static -48');
  assert.equal(
    outcome(
      { kind: 'tlsdesc', addend: 0x48, words: words(RESOLVER, INDEX), code: code.x86Dynamic, index: words(2, 0x48, 1) },
      own,
    ),
    'module 2 + 80',
  );
});

test('words that are not mapped are unreadable', () => {
  const relocation = { kind: 'tpoff', vaddr: Infinity, addend: 0, symbol: 's' } as const;
  assert.equal(outcomeOf(locationOf(memoryOf({}), relocation, BIAS, facts('x86-64'))), 'unreadable');
});

test('the block of the program is next to the thread pointer, rounded as its alignment asks', () => {
  const of = (machine: Machine, vaddr: number, memorySize: number, align: number, value: number) => {
    const tls: Segment = { vaddr, offset: 0, fileSize: 0, memorySize, align, isExecutable: false };
    return outcomeOf(localExecLocation(machine, tls, value));
  };
  assert.equal(of('x86-64', 0x3dd0, 8, 8, 0), 'static -8');
  assert.equal(of('x86-64', 0x3d80, 88, 64, 80), 'static -48');
  assert.equal(of('x86-64', 0x3d90, 88, 64, 80), 'static -32');
  assert.equal(of('aarch64', 0x3dd0, 8, 8, 0), 'static 16');
  assert.equal(of('aarch64', 0x3d80, 88, 64, 80), 'static 144');
  assert.equal(of('aarch64', 0x3d90, 88, 64, 80), 'static 96');
  assert.equal(of('x86-64', 0, 8, 8, 8), 'zero_offset');
});

const THREAD = 0x7000_0000;
const DTV = 0x6000_0000;

test('a DTV entry is a block only when there is one in this thread', () => {
  const layout = dtvLayout('glibc', 'x86-64');
  // dtv[-1] = { 2 entries }, dtv[0] = { generation 5 }, then the entries
  const block = (entry: number | bigint, moduleId = 1, generation = 5) =>
    tlsBlock(
      memoryOf({ [THREAD + 8]: words(DTV), [DTV - 16]: words(2, 0, 5, 0, entry, 0, 0x9000, 0) }),
      layout,
      THREAD,
      moduleId,
      generation,
    );
  assert.deepEqual(block(0x8000), { kind: 'block', address: 0x8000 });
  assert.deepEqual(block(0x8000, 2), { kind: 'block', address: 0x9000 });
  assert.deepEqual(block(0x8000, 1, 0), { kind: 'block', address: 0x8000 });
  assert.deepEqual(block(0x8000, 1, 6), { kind: 'none' });
  assert.deepEqual(block(0), { kind: 'none' });
  assert.deepEqual(block(-1), { kind: 'none' });
  assert.deepEqual(block(0x8000, 3), { kind: 'none' });
  assert.equal(tlsBlock(memoryOf({}), layout, THREAD, 1, 0).kind, 'unreadable');
});

test('in musl the first word counts the entries, and the thread pointer of aarch64 has the DTV before it', () => {
  for (const [machine, at] of [
    ['x86-64', THREAD + 8],
    ['aarch64', THREAD - 8],
  ] as const) {
    const memory = memoryOf({ [at]: words(DTV), [DTV]: words(2, 0x8000, 0x9000, 0xbad) });
    const layout = dtvLayout('musl', machine);
    assert.deepEqual(tlsBlock(memory, layout, THREAD, 2, 0), { kind: 'block', address: 0x9000 });
    assert.deepEqual(tlsBlock(memory, layout, THREAD, 3, 0), { kind: 'none' });
  }
});
