// What a process goes through while it is looked at: it publishes late, forks, becomes another program, ends; its files vanish or change.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  ImageCache,
  locate,
  type Location,
  type ObservedProcess,
  openProcess,
  readThreadContext,
  threadSymbols,
  variableAddress,
} from '../../../otel-thread-context/reader/index.ts';
import type { Mapping } from '../../../otel-thread-context/reader/mappings.ts';
import { linkMap, type LoadedObject, type LoadedObjects } from '../../../otel-thread-context/reader/objects.ts';
import type { ProcessHandle } from '../../../otel-thread-context/reader/process.ts';
import { objectionTo, threadSlots } from '../../../otel-thread-context/reader/thread-slots.ts';
import { exportedValue, type TlsRelocation } from '../../../otel-thread-context/reader/elf-tables.ts';
import { moduleEntry } from '../../../otel-thread-context/reader/glibc-modules.ts';
import { analyseImage, type ImageFile } from '../../../otel-thread-context/reader/tls-image.ts';
import { readsOf } from '../../../otel-thread-context/reader/bytes.ts';
import { memoryOf, seededRandom, words } from './bytes-of.ts';
import { buildFixtures, fixtures, type Publisher, startPublisher } from './publisher.ts';

const glibc = `${fixtures}glibc/`;
const scratch = mkdtempSync(join(tmpdir(), 'thread-context-'));

before(buildFixtures);
after(() => rmSync(scratch, { recursive: true, force: true }));

function look<T>(pid: number, use: (process: ProcessHandle, location: Location) => T, cache = new ImageCache(threadSymbols)): T {
  const process = openProcess(pid);
  try {
    return use(process, locate(process, cache));
  } finally {
    process.close();
  }
}

const outcomeOf = (pid: number): string => look(pid, (_, { outcome }) => outcome.kind);
const lastStepOf = (pid: number): string => look(pid, (_, { steps }) => `${steps.at(-1)?.name} ${steps.at(-1)?.outcome}`);

/** Every thread that publishes has its variable where the location says. */
function assertFound(
  publisher: Pick<Publisher, 'threads'>,
  process: ObservedProcess,
  { outcome, steps, schema }: Location,
): void {
  assert.ok(outcome.kind === 'located', steps.map(({ detail }) => detail).join('\n'));
  const [slot] = outcome.slots;
  assert.ok(slot);
  for (const { thread, threadPointer, slot: address, traceId } of publisher.threads) {
    if (address === 0) continue;
    assert.deepEqual(variableAddress(process.readMemory, slot.location, threadPointer), { kind: 'address', address }, thread);
    const record = readThreadContext(process.readMemory, slot.location, threadPointer, schema?.keyMap ?? []);
    assert.ok(record.kind === 'context');
    assert.equal(record.traceId, traceId);
    assert.equal(record.attributes.get('thread_name'), thread);
  }
}

test('a process that publishes nothing is left alone', async () => {
  await using publisher = await startPublisher([`${glibc}exported`, '--schema', 'none']);
  assert.equal(outcomeOf(publisher.pid), 'not_published');
  assert.equal(lastStepOf(publisher.pid), 'schema missing');
  assert.equal(outcomeOf(process.pid), 'not_published');
  assert.equal(lastStepOf(process.pid), 'process context missing');
});

test('an SDK that starts late is found when it has published', async () => {
  await using publisher = await startPublisher([`${glibc}exported`, '--schema', 'none']);
  assert.equal(outcomeOf(publisher.pid), 'not_published');
  await publisher.obey('k');
  look(publisher.pid, (process, location) => {
    assertFound(publisher, process, location);
    assert.equal(location.context?.publishedAt, 43n);
    assert.equal(location.context.resource.get('service.name'), 'publisher');
    assert.deepEqual(location.schema?.keyMap, ['thread_name']);
  });
});

test('a schema that is not known, or needs something else, is not walked', async () => {
  for (const [schema, step] of [
    ['tls_v2', 'schema refused'],
    ['go_pprof_labels_v1', 'symbol note'],
  ] as const) {
    await using publisher = await startPublisher([`${glibc}exported`, '--schema', schema]);
    assert.equal(outcomeOf(publisher.pid), 'unsupported');
    assert.equal(lastStepOf(publisher.pid), step);
  }
});

test('each schema asks for its own symbol', async () => {
  await using publisher = await startPublisher([`${glibc}exported`, '--schema', 'nodejs_v1_dev']);
  assert.equal(outcomeOf(publisher.pid), 'unresolved');
  assert.equal(lastStepOf(publisher.pid), 'symbol missing');
});

test('the earlier names of the schema are accepted', async () => {
  for (const schema of ['tlsdesc_v1_dev', 'tlsdesc_v1']) {
    await using publisher = await startPublisher([`${glibc}exported`, '--schema', schema]);
    look(publisher.pid, (process, location) => assertFound(publisher, process, location));
  }
});

test('a forked child has no context until it publishes its own', async () => {
  await using publisher = await startPublisher([`${glibc}exported`]);
  await publisher.obey('f');
  const [child] = publisher.children;
  assert.ok(child);
  assert.equal(outcomeOf(publisher.pid), 'located');
  assert.equal(outcomeOf(child), 'not_published');
});

test('a process that has become another program is not read any more', async () => {
  await using publisher = await startPublisher([`${glibc}exported`]);
  const handle = openProcess(publisher.pid);
  const [thread] = publisher.threads;
  assert.ok(thread);
  assert.notEqual(handle.readMemory(thread.threadPointer, 8), undefined);
  await publisher.obey('x');
  await until(() => readFileSync(`/proc/${publisher.pid}/comm`, 'utf8') === 'cat\n');
  assert.equal(handle.readMemory(thread.threadPointer, 8), undefined);
  assert.equal(outcomeOf(publisher.pid), 'not_published');
  assert.equal(locate(handle, new ImageCache(threadSymbols)).outcome.kind, 'not_published');
  handle.close();
});

test('a process whose first thread has ended is located through another one', async () => {
  await using publisher = await startPublisher([`${glibc}linked-descriptor`]);
  await publisher.obey('q');
  await until(() => readFileSync(`/proc/${publisher.pid}/maps`, 'utf8') === '');
  const threads = publisher.threads.filter(({ thread }) => thread !== 'main');
  look(publisher.pid, (process, location) => assertFound({ threads }, process, location));
});

test('a process that has ended is not published, whatever is asked', async () => {
  const publisher = await startPublisher([`${glibc}exported`]);
  const handle = openProcess(publisher.pid);
  const [thread] = publisher.threads;
  await publisher[Symbol.asyncDispose]();
  assert.equal(handle.readMemory(thread?.threadPointer ?? 0, 8), undefined);
  assert.equal(locate(handle, new ImageCache(threadSymbols)).outcome.kind, 'not_published');
  handle.close();
  handle.close();
  assert.equal(outcomeOf(publisher.pid), 'not_published');
});

test('a library that is deleted, or replaced by another build, is read as it was loaded', async () => {
  const library = join(scratch, 'library.so');
  for (const replacement of [undefined, `${glibc}odd-library.so`]) {
    copyFileSync(`${glibc}big.so`, library);
    await using publisher = await startPublisher([`${glibc}host`, '--library', library]);
    if (replacement === undefined) rmSync(library);
    else {
      copyFileSync(replacement, `${library}.new`);
      renameSync(`${library}.new`, library);
    }
    look(publisher.pid, (process, location) => assertFound(publisher, process, location));
  }
});

test('a library that is loaded anew gives no context to threads that knew the old one', async () => {
  for (const library of ['big', 'descriptor-big', 'unreached']) {
    await using publisher = await startPublisher([`${glibc}host`, '--library', `${glibc}${library}.so`]);
    look(publisher.pid, (process, location) => assertFound(publisher, process, location));
    await publisher.obey('r');
    look(publisher.pid, (process, { outcome }) => {
      assert.ok(outcome.kind === 'located');
      const [slot] = outcome.slots;
      assert.ok(slot);
      for (const { thread, threadPointer, slot: address } of publisher.threads) {
        const found = variableAddress(process.readMemory, slot.location, threadPointer);
        // The main thread loaded it, and published anew.
        if (thread === 'reloaded') assert.deepEqual(found, { kind: 'address', address });
        else if (thread !== 'main') assert.deepEqual(found, { kind: 'none' }, `${library}, ${thread}`);
      }
    });
  }
});

test('a program in another root directory is found', async () => {
  const root = join(scratch, 'root');
  mkdirSync(root);
  copyFileSync(`${glibc}static-pie`, join(root, 'program'));
  execFileSync('chmod', ['+x', join(root, 'program')]);
  await using publisher = await startPublisher(['unshare', '--map-root-user', 'chroot', root, '/program']);
  look(publisher.pid, (process, location) => assertFound(publisher, process, location));
});

/** procfs as one sees it who may not use map_files; its root directory can be another one. */
function poorProc(pid: number, root = `/proc/${pid}/root`): string {
  const directory = mkdtempSync(join(scratch, 'proc-'));
  mkdirSync(join(directory, `${pid}`));
  for (const name of ['maps', 'mem', 'auxv']) symlinkSync(`/proc/${pid}/${name}`, join(directory, `${pid}`, name));
  symlinkSync(root, join(directory, `${pid}`, 'root'));
  return directory;
}

test('without the privilege for map_files, files are found by their paths', async () => {
  await using publisher = await startPublisher([`${glibc}linked-descriptor`]);
  const handle = openProcess(publisher.pid, poorProc(publisher.pid));
  assertFound(publisher, handle, locate(handle, new ImageCache(threadSymbols)));
  handle.close();
});

test('a path that leads to another file, or to no file, is not followed', async () => {
  const library = `${glibc}descriptor.so`;
  await using publisher = await startPublisher([`${glibc}host`, '--library', library]);
  for (const make of [
    (path: string) => copyFileSync(library, path),
    (path: string) => execFileSync('mkfifo', [path]),
    (path: string) => mkdirSync(path),
  ]) {
    const root = mkdtempSync(join(scratch, 'root-'));
    mkdirSync(join(root, glibc), { recursive: true });
    make(join(root, library));
    const handle = openProcess(publisher.pid, poorProc(publisher.pid, root));
    const { outcome, steps } = locate(handle, new ImageCache(threadSymbols));
    handle.close();
    assert.equal(outcome.kind, 'unresolved');
    assert.ok(steps.some(({ detail }) => detail === `skipped ${library}: the file behind it cannot be opened`));
  }
});

/** A process with more in its list of mappings than it has, and a count of what is read of its files. */
class AlteredProcess implements ObservedProcess {
  readonly #handle: ProcessHandle;
  readonly #lines: string;
  readonly #files: ReadonlyMap<string, string>;
  fileReads = 0;

  constructor(pid: number, lines = '', files: ReadonlyMap<string, string> = new Map()) {
    this.#handle = openProcess(pid);
    this.#lines = lines;
    this.#files = files;
  }

  readonly readMemory: ObservedProcess['readMemory'] = (address, size) => this.#handle.readMemory(address, size);

  readMaps(): Uint8Array {
    return Buffer.concat([Buffer.from(this.#lines), this.#handle.readMaps() ?? Buffer.alloc(0)]);
  }

  readAuxiliaryVector(): Uint8Array | undefined {
    return this.#handle.readAuxiliaryVector();
  }

  openMapped(mapping: Mapping): ReturnType<ObservedProcess['openMapped']> {
    const instead = this.#files.get(mapping.name);
    const file = instead === undefined ? this.#handle.openMapped(mapping) : fileOf(instead);
    return (
      file && {
        identity: file.identity,
        read: (offset, size) => {
          this.fileReads++;
          return file.read(offset, size);
        },
        close: () => file.close(),
      }
    );
  }

  close(): void {
    this.#handle.close();
  }
}

const fileOf = (path: string) => ({ identity: path, read: readsOf(readFileSync(path)), close: () => undefined });

test('a library that is only mapped, not loaded, is no definition', async () => {
  await using publisher = await startPublisher([`${glibc}exported`]);
  const name = `${glibc}descriptor.so`;
  // Mapped whole, for reading, for executing; and by a process that wants to be believed.
  const listings = [
    `10000000-10010000 r--p 00000000 fe:00 77 ${name}\n`,
    `10000000-10010000 r-xp 00000000 fe:00 77 ${name}\n`,
    `10000000-10001000 r-xp 00001000 fe:00 77 ${name}\n10001000-10002000 r--p 00000000 fe:00 77 ${name}\n`,
  ];
  for (const lines of listings) {
    const altered = new AlteredProcess(publisher.pid, lines, new Map([[name, name]]));
    const location = locate(altered, new ImageCache(threadSymbols));
    assertFound(publisher, altered, location);
    assert.equal(location.steps.filter((step) => step.name === 'symbol').length, 1);
    altered.close();
  }
});

test('a file whose name would write to a terminal does not', async () => {
  const library = join(scratch, 'a\x1b[2J\x07.so');
  copyFileSync(`${glibc}descriptor.so`, library);
  await using publisher = await startPublisher([`${glibc}host`, '--library', library]);
  look(publisher.pid, (process, location) => {
    assertFound(publisher, process, location);
    assert.ok(location.steps.some(({ detail }) => detail.includes('a?[2J?.so')));
    assert.ok(location.steps.every(({ detail }) => !detail.includes('\x1b')));
  });
});

test('what is mapped and no ELF file of ours is said, and does no harm', async () => {
  await using publisher = await startPublisher([`${glibc}exported`]);
  const junk = join(scratch, 'junk.bin');
  writeFileSync(junk, 'not an object');
  const lines = `10000000-10010000 r-xp 00000000 fe:00 77 ${junk}\n`;
  const altered = new AlteredProcess(publisher.pid, lines, new Map([[junk, junk]]));
  const location = locate(altered, new ImageCache(threadSymbols));
  assertFound(publisher, altered, location);
  assert.ok(location.steps.some(({ detail }) => detail === `skipped ${junk}: shorter than an ELF header`));
  altered.close();
});

test('a file is read once, however often its processes are located', async () => {
  await using publisher = await startPublisher([`${glibc}linked-initial-exec`]);
  await using other = await startPublisher([`${glibc}linked-initial-exec`]);
  const cache = new ImageCache(threadSymbols);
  const [first, again, another] = [publisher, publisher, other].map(({ pid }) => {
    const altered = new AlteredProcess(pid);
    assert.equal(locate(altered, cache).outcome.kind, 'located');
    altered.close();
    return altered.fileReads;
  });
  assert.ok((first ?? 0) > 10);
  assert.deepEqual([again, another], [0, 0]);
});

test('files are not read without end: beyond the bound they are left out, and that is said', async () => {
  await using publisher = await startPublisher([`${glibc}exported`]);
  // Files that cost their owner nothing: a header, a dynamic table, and a symbol table as large as the holes behind them.
  const endless = sparseElf(0x6000_0000);
  const lines: string[] = [];
  const names: string[] = [];
  for (let i = 0; i < 200; i++) {
    names.push(`/endless/${i}`);
    const start = 0x1000_0000_0000 + i * 0x1_0000_0000;
    lines.push(`${start.toString(16)}-${(start + 0x6000_0000).toString(16)} r-xp 00000000 fe:00 ${i + 1} /endless/${i}\n`);
  }
  let bytesRead = 0;
  const handle = openProcess(publisher.pid);
  const altered: ObservedProcess = {
    readMemory: handle.readMemory,
    readMaps: () => Buffer.concat([Buffer.from(lines.join('')), handle.readMaps() ?? Buffer.alloc(0)]),
    readAuxiliaryVector: () => handle.readAuxiliaryVector(),
    openMapped: (mapping) => {
      if (!names.includes(mapping.name)) return handle.openMapped(mapping);
      const read = (offset: number, size: number): Uint8Array => {
        bytesRead += size;
        const bytes = new Uint8Array(size);
        bytes.set(endless.subarray(offset, offset + size));
        return bytes;
      };
      return { identity: mapping.name, read, close: () => undefined };
    },
  };
  const start = performance.now();
  const { steps } = locate(altered, new ImageCache(threadSymbols));
  handle.close();
  assert.ok(bytesRead > 256 * 1024 * 1024 && bytesRead < 512 * 1024 * 1024, `${bytesRead} bytes`);
  assert.ok(performance.now() - start < 5000);
  assert.ok(steps.some(({ detail }) => detail === 'of its files no more than 268435456 bytes were read'));
  assert.ok(steps.length < 40);
});

/** An object of one segment of that size, whose hash table tells of two thousand million symbols. */
function sparseElf(size: number): Buffer {
  const dynamic = words(6, 0x1000, 5, 0x800, 10, 16, 4, 0x900, 7, 0x1000, 8, size / 2, 9, 24, 0, 0);
  const bytes = Buffer.alloc(0x1000);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(3, 56);
  const segments = [
    [(5n << 32n) | 1n, 0, 0, 0, size, size, 4096],
    [(4n << 32n) | 2n, 0x400, 0x400, 0x400, dynamic.length, dynamic.length, 8],
    [(4n << 32n) | 7n, 0x400, 0x400, 0x400, 8, 8, 8],
  ] as const;
  segments.forEach((segment, i) => bytes.set(words(...segment), 64 + i * 56));
  bytes.set(dynamic, 0x400);
  bytes.writeUInt32LE(0x7fff_ffff, 0x904);
  return bytes;
}

test('whatever its memory, its mappings and its files say, a process is located or not, in bounded time', async () => {
  const random = seededRandom(11);
  const cache = new ImageCache(threadSymbols);
  const outcomes = new Map<string, number>();
  for (const library of ['descriptor', 'big', 'hidden', 'unreached']) {
    await using publisher = await startPublisher([`${glibc}host`, '--library', `${glibc}${library}.so`]);
    const handle = openProcess(publisher.pid);
    const corrupt = (bytes: Uint8Array | undefined, oneIn: number): Uint8Array | undefined => {
      if (!bytes || random(oneIn) >= 1) return bytes;
      if (random(8) < 1) return undefined;
      const changed = Uint8Array.from(bytes);
      for (let i = 1 + random(3); i > 0; i--) changed[Math.floor(random(changed.length))] = random(2) < 1 ? random(256) : 0xff;
      return changed;
    };
    const liar: ObservedProcess = {
      readMemory: (address, size) => corrupt(handle.readMemory(address, size), 6),
      readMaps: () => corrupt(handle.readMaps(), 4),
      readAuxiliaryVector: () => corrupt(handle.readAuxiliaryVector(), 4),
      openMapped: (mapping) => (random(40) < 1 ? undefined : handle.openMapped(mapping)),
    };
    for (let i = 0; i < 400; i++) {
      const { outcome, steps } = locate(liar, cache);
      outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1);
      assert.ok(steps.length > 0 && steps.length < 40);
      if (outcome.kind !== 'located') continue;
      for (const { location } of outcome.slots) {
        assert.notEqual(location.model, 'unresolved');
        if (location.model === 'static')
          assert.ok(location.offset < 0 && location.offset > -(2 ** 31) && location.offset % 8 === 0);
        if (location.model === 'dynamic') assert.ok(location.moduleId > 0 && location.moduleId < 65_536 && location.offset >= 0);
      }
    }
    handle.close();
  }
  for (const kind of ['located', 'not_published', 'unresolved'])
    assert.ok((outcomes.get(kind) ?? 0) > 50, `${kind}: ${outcomes.get(kind)}`);
});

test('a process whose files are known is located within five milliseconds', async () => {
  await using publisher = await startPublisher([`${glibc}linked-general-dynamic`]);
  const cache = new ImageCache(threadSymbols);
  let best = Infinity;
  for (let i = 0; i < 30; i++) {
    const start = performance.now();
    assert.equal(
      look(publisher.pid, (_, { outcome }) => outcome.kind, cache),
      'located',
    );
    best = Math.min(best, performance.now() - start);
  }
  assert.ok(best < 5, `${best} ms`);
});

test('the cache forgets what was not used for longest', () => {
  const cache = new ImageCache(threadSymbols, 3);
  const reads: string[] = [];
  const fileNamed = (identity: string): ImageFile => ({
    identity,
    read: () => {
      reads.push(identity);
      return undefined;
    },
  });
  for (const identity of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) cache.imageOf(fileNamed(identity));
  assert.deepEqual(reads, ['a', 'b', 'c', 'd', 'b']);
  assert.equal(cache.size, 3);
});

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

test('of two variables with that name in one program neither is believed', async () => {
  await using publisher = await startPublisher([`${glibc}ambiguous`]);
  look(publisher.pid, (_, { outcome, steps }) => {
    assert.equal(outcome.kind, 'unresolved');
    assert.ok(steps.some(({ name, detail }) => name === 'symbol' && detail.endsWith(': it is there more than once')));
  });
});

test('the structure of Node.js is located as the pointer of others is', async () => {
  await using publisher = await startPublisher([`${glibc}nodejs`, '--schema', 'nodejs_v1_dev']);
  look(publisher.pid, (process, { outcome }) => {
    assert.ok(outcome.kind === 'located');
    const [slot] = outcome.slots;
    assert.ok(slot);
    assert.equal(slot.symbol, 'otel_thread_ctx_nodejs_v1');
    for (const { thread, threadPointer, slot: address } of publisher.threads) {
      if (thread === 'silent') continue;
      assert.deepEqual(variableAddress(process.readMemory, slot.location, threadPointer), { kind: 'address', address });
    }
  });
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

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'it did not happen in ten seconds');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
