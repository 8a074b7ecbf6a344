// ELF files as compilers make them, held against what readelf says of them; and as an attacker would.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { type ReadAt, readsOf } from '../../../otel-thread-context/reader/bytes.ts';
import { readElf } from '../../../otel-thread-context/reader/elf.ts';
import { staticSymbols } from '../../../otel-thread-context/reader/elf-tables.ts';
import { analyseImage, type TlsImage } from '../../../otel-thread-context/reader/tls-image.ts';
import { seededRandom } from './bytes-of.ts';
import { buildFixtures, fixtures } from './publisher.ts';

const SYMBOL = 'otel_thread_ctx_v1';

before(buildFixtures);

function imageOf(file: string): TlsImage {
  const image = analyseImage(readsOf(readFileSync(file)), [SYMBOL]);
  assert.ok(image.kind === 'image', `${file}: ${image.kind === 'malformed' ? image.reason : ''}`);
  return image;
}

function readelf(file: string, option: string): string[] {
  const environment = { ...process.env, LC_ALL: 'C' };
  return execFileSync('readelf', ['-W', option, file], {
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).split('\n');
}

/** The lines of the symbol table of that name which are about the symbol, as { value, size, isDefined }. */
function symbolsByReadelf(file: string, table: string) {
  const lines = readelf(file, '-s');
  const start = lines.findIndex((line) => line.startsWith(`Symbol table '${table}'`));
  const rest = start === -1 ? [] : lines.slice(start + 1);
  const end = rest.findIndex((line) => line.startsWith('Symbol table'));
  return (end === -1 ? rest : rest.slice(0, end))
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === 'TLS' && words[7] === SYMBOL)
    .map((words) => ({ value: parseInt(words[1] ?? '', 16), size: Number(words[2]), isDefined: words[6] !== 'UND' }));
}

/** Relocations of thread-local storage that name the symbol or none: `kind address name addend`. */
function relocationsByReadelf(file: string): string[] {
  const kinds: Readonly<Record<string, string>> = {
    R_X86_64_TPOFF64: 'tpoff',
    R_X86_64_TLSDESC: 'tlsdesc',
    R_X86_64_DTPMOD64: 'dtpmod',
    R_AARCH64_TLS_TPREL: 'tpoff',
    R_AARCH64_TLSDESC: 'tlsdesc',
    R_AARCH64_TLS_DTPMOD: 'dtpmod',
  };
  const found: string[] = [];
  for (const line of readelf(file, '-r')) {
    const [address = '', info = '', type = '', ...rest] = line.trim().split(/\s+/);
    const kind = kinds[type.replace(/64$/, type.startsWith('R_AARCH64') ? '' : '64')];
    if (kind === undefined) continue;
    const hasSymbol = parseInt(info.slice(0, 8), 16) !== 0;
    if (hasSymbol && rest[1] !== SYMBOL) continue;
    found.push(`${kind} ${parseInt(address, 16)} ${hasSymbol ? SYMBOL : ''} ${parseInt(rest.at(-1) ?? '', 16)}`);
  }
  return found.sort();
}

const files = () => globSync(['*/*'], { cwd: fixtures, withFileTypes: false }).map((name) => `${fixtures}${name}`);

test('symbols are those that readelf finds, in every fixture of both architectures', () => {
  const counts = { dynsym: 0, symtab: 0 };
  for (const file of files()) {
    if (file.includes('sectionless')) continue;
    const image = imageOf(file);
    const bytes = readsOf(readFileSync(file));
    const found = {
      dynsym: image.symbols,
      symtab: staticSymbols(bytes, image.elf, [SYMBOL]),
    };
    for (const table of ['dynsym', 'symtab'] as const) {
      const expected = symbolsByReadelf(file, `.${table}`);
      assert.deepEqual(
        found[table].map(({ value, size, isDefined }) => ({ value, size, isDefined })),
        expected,
        `.${table} of ${file}`,
      );
      counts[table] += expected.length;
    }
  }
  assert.ok(counts.dynsym > 50 && counts.symtab > 60, JSON.stringify(counts));
});

test('relocations are those that readelf finds, in every fixture of both architectures', () => {
  const kinds = new Map<string, number>();
  for (const file of files()) {
    if (file.includes('sectionless')) continue;
    const image = imageOf(file);
    const found = image.relocations.map(({ kind, vaddr, symbol, addend }) => `${kind} ${vaddr} ${symbol} ${addend}`);
    // An object without thread-local storage that doesn't know the symbol isn't asked.
    if (image.symbols.length > 0 || image.elf.tls) assert.deepEqual(found.sort(), relocationsByReadelf(file), file);
    for (const { kind } of image.relocations)
      kinds.set(`${image.elf.machine} ${kind}`, (kinds.get(`${image.elf.machine} ${kind}`) ?? 0) + 1);
  }
  const expected = ['aarch64 dtpmod', 'aarch64 tlsdesc', 'aarch64 tpoff', 'x86-64 dtpmod', 'x86-64 tlsdesc', 'x86-64 tpoff'];
  assert.deepEqual([...kinds.keys()].sort(), expected);
});

test('segments, build id and name are those that readelf finds', () => {
  for (const file of files()) {
    const { elf, soname } = imageOf(file);
    const headers = readelf(file, '-l').map((line) => line.trim().split(/\s+/));
    const tls = headers.find(([type]) => type === 'TLS');
    const segment = elf.tls && [elf.tls.vaddr, elf.tls.fileSize, elf.tls.memorySize, elf.tls.align];
    assert.deepEqual(segment, tls && [tls[2], tls[4], tls[5], tls.at(-1)].map(Number), file);
    assert.equal(elf.loads.length, headers.filter(([type]) => type === 'LOAD').length, file);
    if (file.includes('sectionless')) continue;
    const buildId = readelf(file, '-n').find((line) => line.includes('Build ID:'));
    assert.equal(elf.buildId, buildId?.replace(/.*Build ID: /, '') ?? '', file);
    const name = readelf(file, '-d').find((line) => line.includes('(SONAME)'));
    assert.equal(soname, name ? (/\[(.*)\]/.exec(name)?.[1] ?? '') : '', file);
  }
});

test('without section headers the same is found', () => {
  for (const target of ['glibc', 'musl', 'aarch64']) {
    for (const name of ['exported', 'sysv-hash', 'importer', 'descriptor.so']) {
      const [a, b] = [imageOf(`${fixtures}${target}/sectionless-${name}`), imageOf(`${fixtures}${target}/${name}`)];
      assert.equal(b.symbols.length, 1);
      assert.deepEqual([a.symbols, a.relocations, a.soname], [b.symbols, b.relocations, b.soname], `${target} ${name}`);
      assert.deepEqual(
        staticSymbols(() => undefined, a.elf, [SYMBOL]),
        [],
      );
    }
  }
});

test('libcs are told by what they say of themselves', () => {
  assert.equal(imageOf('/lib64/ld-linux-x86-64.so.2').libc, 'glibc');
  assert.equal(imageOf('/lib/x86_64-linux-gnu/libc.so.6').libc, 'glibc');
  assert.equal(imageOf('/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1').libc, 'glibc');
  assert.equal(imageOf('/lib/ld-musl-x86_64.so.1').libc, 'musl');
  assert.equal(imageOf(`${fixtures}glibc/descriptor.so`).libc, undefined);
});

test('what is no ELF file of ours is refused with the reason', () => {
  const good = readFileSync(`${fixtures}glibc/descriptor.so`);
  const changed = (change: (bytes: Buffer) => void): string => {
    const bytes = Buffer.from(good);
    change(bytes);
    const elf = readElf(readsOf(bytes));
    return elf.kind === 'malformed' ? elf.reason : 'accepted';
  };
  const header = (field: number) => good.readBigUInt64LE(32) + BigInt(field);
  const at = Number(header(0));
  assert.equal(
    changed(() => undefined),
    'accepted',
  );
  assert.equal(
    changed((bytes) => bytes.fill(0, 0, 4)),
    'no ELF magic',
  );
  assert.equal(
    changed((bytes) => (bytes[4] = 1)),
    'not 64-bit little-endian',
  );
  assert.equal(
    changed((bytes) => (bytes[5] = 2)),
    'not 64-bit little-endian',
  );
  assert.equal(
    changed((bytes) => bytes.writeUInt16LE(4, 16)),
    'neither an executable nor a shared object (type 4)',
  );
  assert.equal(
    changed((bytes) => bytes.writeUInt16LE(243, 18)),
    'machine 243 is neither x86-64 nor aarch64',
  );
  assert.equal(
    changed((bytes) => bytes.writeUInt16LE(32, 54)),
    'program headers of another size',
  );
  assert.equal(
    changed((bytes) => bytes.writeUInt16LE(0, 56)),
    '0 program headers',
  );
  assert.equal(
    changed((bytes) => bytes.writeUInt16LE(65_535, 56)),
    '65535 program headers',
  );
  assert.equal(
    changed((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 32)),
    'program headers beyond the end of the file',
  );
  assert.equal(
    changed((bytes) => bytes.writeBigUInt64LE(2n ** 60n, at + 16)),
    'program header 0 has impossible numbers',
  );
  assert.equal(
    changed((bytes) => bytes.writeBigUInt64LE(3n, at + 48)),
    'program header 0 has impossible numbers',
  );
  assert.equal(
    changed((bytes) => bytes.writeBigUInt64LE(2n ** 40n, at + 40)),
    'segments overlap or are not in order',
  );
  assert.equal(readElf(readsOf(good.subarray(0, 63))).kind, 'malformed');
});

/** Counts what an analysis reads; the bound stands for time and memory. */
function counted(read: ReadAt): { read: ReadAt; total: () => number } {
  let total = 0;
  const countingRead: ReadAt = (address, size) => {
    const bytes = read(address, size);
    total += 1 + (bytes?.length ?? 0);
    return bytes;
  };
  return { read: countingRead, total: () => total };
}

test('a file that was cut off anywhere is refused or analysed, and nothing is read twice without end', () => {
  for (const name of ['glibc/descriptor.so', 'glibc/sectionless-descriptor.so', 'musl/sysv-hash', 'aarch64/descriptor.so']) {
    const whole = readFileSync(`${fixtures}${name}`);
    let refused = 0;
    for (let size = 0; size < whole.length; size += size < 8192 ? 1 : 61) {
      const { read, total } = counted(readsOf(whole.subarray(0, size)));
      const image = analyseImage(read, [SYMBOL]);
      if (image.kind === 'malformed') refused++;
      else staticSymbols(read, image.elf, [SYMBOL]);
      assert.ok(total() < 16 * whole.length, `${name} cut at ${size}`);
    }
    assert.ok(refused > 800, `${name}: ${refused}`);
  }
});

test('tables of impossible counts cost no more than their bound', () => {
  const file = readFileSync(`${fixtures}glibc/sectionless-descriptor.so`);
  const { elf } = imageOf(`${fixtures}glibc/sectionless-descriptor.so`);
  const hash = elf.dynamic?.get(0x6ffffef5) ?? 0;
  // A file that repeats itself as far as anyone reads, with hash chains that have no end.
  const endless: ReadAt = (address, size) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size && address + i < file.length; i++) bytes[i] = file[address + i] ?? 0;
    return bytes;
  };
  for (const [offset, value] of [
    [0, 0xffff_ffff],
    [4, 0xffff_ffff],
    [8, 0xffff_ffff],
    [16 + 8, 0x7fff_ffff],
  ] as const) {
    const before = file.readUInt32LE(hash + offset);
    file.writeUInt32LE(value, hash + offset);
    const { read, total } = counted(endless);
    const start = performance.now();
    analyseImage(read, [SYMBOL]);
    assert.ok(total() < 200 * 1024 * 1024, `${total()} bytes read`);
    assert.ok(performance.now() - start < 5000);
    file.writeUInt32LE(before, hash + offset);
  }
});

test('a million mutated files are refused or analysed, within bounds', () => {
  const random = seededRandom(1);
  const names = ['glibc/descriptor.so', 'glibc/sectionless-descriptor.so', 'glibc/general-dynamic.so', 'aarch64/hidden.so'];
  const corpus = names.map((name) => {
    const original = readFileSync(`${fixtures}${name}`);
    const bytes = Buffer.from(original);
    const elf = readElf(readsOf(bytes));
    assert.ok(elf.kind === 'elf');
    // Where bytes matter: headers, the dynamic table, and the tables it names.
    const tables = [
      0,
      elf.programHeaders.offset,
      elf.dynamicAddress - (elf.loads.at(-1)?.vaddr ?? 0) + (elf.loads.at(-1)?.offset ?? 0),
    ];
    for (const tag of [5, 6, 7, 23, 0x6ffffef5]) tables.push(elf.dynamic?.get(tag) ?? 0);
    if (elf.sections.count > 0) tables.push(elf.sections.offset);
    return { original, bytes, tables };
  });
  const interesting = [0, 1, 0x7f, 0x80, 0xff];
  const counts = { analysed: 0, refused: 0 };
  let mostRead = 0;
  for (let i = 0; i < 1_000_000; i++) {
    const { original, bytes, tables } = corpus[i % corpus.length] as (typeof corpus)[number];
    const places: number[] = [];
    for (let changes = 1 + Math.floor(random(4)); changes > 0; changes--) {
      const table = tables[Math.floor(random(tables.length))] ?? 0;
      const at = Math.min(bytes.length - 8, table + Math.floor(random(random(2) < 1 ? 64 : 600)));
      places.push(at);
      if (random(3) < 1) bytes.writeBigUInt64LE(2n ** BigInt(Math.floor(random(64))) - BigInt(Math.floor(random(2))), at);
      else bytes[at] = random(2) < 1 ? (interesting[Math.floor(random(interesting.length))] ?? 0) : random(256);
    }
    let total = 0;
    const read: ReadAt = (address, size) => {
      const from = address;
      if (!(from >= 0 && size >= 0 && from + size <= bytes.length)) return undefined;
      total += 1 + size;
      return bytes.subarray(from, from + size);
    };
    const image = analyseImage(read, [SYMBOL]);
    if (image.kind === 'malformed') counts.refused++;
    else {
      counts.analysed++;
      staticSymbols(read, image.elf, [SYMBOL]);
      assert.ok(image.symbols.length <= 64 && image.relocations.length <= 64);
    }
    mostRead = Math.max(mostRead, total);
    for (const at of places) original.copy(bytes, at, at, at + 8);
  }
  assert.ok(counts.analysed > 100_000 && counts.refused > 50_000, JSON.stringify(counts));
  assert.ok(mostRead < 4 * 1024 * 1024, `${mostRead} bytes read for one file`);
});
