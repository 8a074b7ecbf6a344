// Objects whose files are real and whose memory is made by hand: what running programs seldom show, and hostile ones may.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { readsOf } from '../../../otel-thread-context/reader/bytes.ts';
import { exportedValue, type TlsRelocation } from '../../../otel-thread-context/reader/elf-tables.ts';
import { moduleEntry } from '../../../otel-thread-context/reader/glibc-modules.ts';
import { type ObservedProcess, threadSymbols } from '../../../otel-thread-context/reader/index.ts';
import { linkMap, type LoadedObject, type LoadedObjects } from '../../../otel-thread-context/reader/objects.ts';
import { objectionTo, threadSlots } from '../../../otel-thread-context/reader/thread-slots.ts';
import { analyseImage } from '../../../otel-thread-context/reader/tls-image.ts';
import { memoryOf, words } from './bytes-of.ts';
import { buildFixtures, fixtures } from './publisher.ts';

const glibc = `${fixtures}glibc/`;

before(buildFixtures);

const fileOf = (path: string) => ({ identity: path, read: readsOf(readFileSync(path)), close: () => undefined });

function loadedObject(file: string, bias: number): LoadedObject {
  const image = analyseImage(readsOf(readFileSync(file)), threadSymbols);
  assert.ok(image.kind === 'image');
  const mapping = { start: bias, end: bias + 4096, offset: 0, isExecutable: true, device: '', inode: 1, name: file };
  return { mapping, bias, image };
}

/** A process in which nothing can be read but these pieces of memory. */
function memoryOnly(pieces: Readonly<Record<number, Uint8Array>>, files: readonly LoadedObject[] = []): ObservedProcess {
  return {
    readMemory: memoryOf(pieces),
    readMaps: () => undefined,
    readAuxiliaryVector: () => undefined,
    openMapped: ({ name }) => (files.some(({ mapping }) => mapping.name === name) ? fileOf(name) : undefined),
  };
}

const LIBC = '/lib/x86_64-linux-gnu/libc.so.6';
const LOADER = '/lib64/ld-linux-x86-64.so.2';

/** glibc's table of modules in two parts, of three and of two modules; each entry's generation is ten times its module id. */
function moduleTable(library: LoadedObject) {
  const libc = loadedObject(LIBC, 0x7f00_0000_0000);
  const loader = loadedObject(LOADER, 0x7f10_0000_0000);
  const objects = [libc, loader, library];
  const exported = (object: LoadedObject, name: string): number => {
    const value = exportedValue(readsOf(readFileSync(object.mapping.name)), object.image.elf, name);
    assert.ok(value !== undefined);
    return value + object.bias;
  };
  const maps = [0, 0x100_1000, 0x100_2000, 0x100_3000, 0x100_4000];
  const dynamic = (module: number): number => (module === 4 ? library.bias + library.image.elf.dynamicAddress : 0xd000 + module);
  const pieces: Record<number, Uint8Array> = {
    [exported(libc, '_thread_db_rtld_global__dl_tls_dtv_slotinfo_list')]: u32s(64, 1, 4000),
    [exported(loader, '_rtld_global') + 4000]: words(0x200_0000),
    [0x200_0000]: words(3, 0x300_0000, 0, 0, 10, maps[1] ?? 0, 20, maps[2] ?? 0),
    [0x300_0000]: words(2, 0, 30, maps[3] ?? 0, 40, maps[4] ?? 0),
  };
  for (let module = 1; module <= 4; module++) pieces[maps[module] ?? 0] = words(0, 0, dynamic(module), 0, 0);
  const loaded: LoadedObjects = { objects, main: undefined, libc: 'glibc', skipped: [] };
  return { pieces, loaded, process: memoryOnly(pieces, objects), dynamic };
}

function u32s(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

test('the table of modules is followed over all of its parts', () => {
  const { loaded, process, dynamic } = moduleTable(loadedObject(`${glibc}general-dynamic.so`, 0x5500_0000_0000));
  for (let module = 1; module <= 4; module++) {
    assert.deepEqual(moduleEntry(process, loaded, module), { generation: module * 10, dynamic: dynamic(module) });
  }
  assert.equal(moduleEntry(process, loaded, 5), undefined);
  assert.equal(moduleEntry(process, loaded, 65_535), undefined);
});

test('a module id that the loader gave to another object is a contradiction', () => {
  const library = loadedObject(`${glibc}general-dynamic.so`, 0x5500_0000_0000);
  const [relocation] = library.image.relocations;
  const [symbol] = library.image.symbols;
  assert.ok(relocation && symbol);
  for (const [module, expected] of [
    [4, 'module 4, generation 40'],
    [3, 'contradiction'],
  ] as const) {
    const { pieces, loaded } = moduleTable(library);
    const process = memoryOnly({ ...pieces, [library.bias + relocation.vaddr]: words(module, symbol.value) }, loaded.objects);
    const [slot] = threadSlots(process, loaded, [{ object: library, symbol, isAmbiguous: false }]);
    assert.ok(slot);
    const { location } = slot;
    const found = location.model === 'dynamic' ? `module ${location.moduleId}, generation ${location.generation}` : '';
    assert.equal(location.model === 'unresolved' ? location.reason : found, expected);
  }
});

test('of words without a symbol those nearest below the variable are taken, of the surest kind', () => {
  const library = loadedObject(`${glibc}hidden.so`, 0x5500_0000_0000);
  const relocations: readonly TlsRelocation[] = [
    { kind: 'dtpmod', vaddr: 0x3000, addend: 0, symbol: '' },
    { kind: 'tpoff', vaddr: 0x3010, addend: 0x10, symbol: '' },
    { kind: 'tpoff', vaddr: 0x3020, addend: 0x40, symbol: '' },
    { kind: 'tpoff', vaddr: 0x3030, addend: 0x20, symbol: '' },
    { kind: 'tpoff', vaddr: 0x3040, addend: 0x60, symbol: '' },
  ];
  const object: LoadedObject = { ...library, image: { ...library.image, relocations } };
  const symbol = { name: 'otel_thread_ctx_v1', table: 'symtab', isDefined: true, value: 0x50, size: 8 } as const;
  const process = memoryOnly({ [library.bias + 0x3020]: words(-0x100, 0) });
  const loaded: LoadedObjects = { objects: [object], main: undefined, libc: 'glibc', skipped: [] };
  const [slot] = threadSlots(process, loaded, [{ object, symbol, isAmbiguous: false }]);
  assert.deepEqual(slot?.location, { model: 'static', offset: -0xf0 });
});

test('a list of objects that bites its tail ends', () => {
  const bias = 0x5500_0000_0000;
  const object = loadedObject(`${glibc}exported`, bias);
  const [debug, first, second] = [0x1000, 0x2000, 0x3000];
  const dynamic = bias + object.image.elf.dynamicAddress;
  const memory = {
    [dynamic]: words(21, debug),
    [debug]: words(1, first),
    [first]: words(0, 0, 0x111, second, 0),
    [second]: words(0, 0, 0x222, first, 0),
  };
  const entries = linkMap(memoryOnly(memory), [object], object);
  assert.equal(entries.length, 2048);
  assert.deepEqual(
    entries.slice(0, 2).map((entry) => entry.dynamic),
    [0x111, 0x222],
  );
});

test('a symbol of another size, or outside of its block, is not the variable', () => {
  const object = loadedObject(`${glibc}descriptor.so`, 0);
  const [symbol] = object.image.symbols;
  assert.ok(symbol);
  const definition = { object, symbol, isAmbiguous: false };
  assert.equal(objectionTo(definition, 8), undefined);
  assert.equal(objectionTo({ ...definition, symbol: { ...symbol, size: 4 } }, 8), 'its size is 4 bytes, not 8');
  const outside = 'it lies outside the thread-local storage of its object';
  assert.equal(objectionTo({ ...definition, symbol: { ...symbol, value: 1 } }, 8), outside);
  assert.equal(objectionTo({ ...definition, symbol: { ...symbol, value: Infinity } }, 8), outside);
});
