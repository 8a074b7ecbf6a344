// The symbol tables and relocations of an ELF file: the few entries that concern given thread-local symbols, out of possibly
// millions, read block by block. Hot path for large files: an entry that is not ours costs one or two loads.
// https://gabi.xinuos.com/elf/05-symtab.html, https://www.akkadia.org/drepper/tls.pdf
import { cString, isCString, type ReadAt, u64, s64, viewOf } from './bytes.ts';
import { DynamicTag, type ElfFile, fileOffsetOf, type Machine, RELA_SIZE, SYMBOL_SIZE } from './elf.ts';

export interface TlsSymbol {
  readonly name: string;
  readonly table: 'dynsym' | 'symtab';
  /** False when the object only refers to it. */
  readonly isDefined: boolean;
  /** Offset in the object's TLS block. */
  readonly value: number;
  readonly size: number;
}

export type RelocationKind = 'tpoff' | 'tlsdesc' | 'dtpmod';

export interface TlsRelocation {
  readonly kind: RelocationKind;
  /** The address in the file (add the load bias) of the words that the loader fills in. */
  readonly vaddr: number;
  readonly addend: number;
  /** '' when the relocation names no symbol: it is about the object's own TLS block. */
  readonly symbol: string;
}

interface Table {
  readonly offset: number;
  readonly count: number;
}

const BLOCK_ENTRIES = 4096;
/** 72 MiB of table: four times what the largest browsers and virtual machines have. */
const MAX_ENTRIES = 3_000_000;
const STRINGS_WINDOW = 64 * 1024;
const MAX_STRINGS_WINDOWS = 4096;
const MAX_MATCHES = 64;
const MAX_NAME = 256;
const STT_TLS = 6;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const SECTION_HEADER_SIZE = 64;

const relocationKinds: Readonly<Record<Machine, Readonly<Record<number, RelocationKind>>>> = {
  'x86-64': { 18: 'tpoff', 36: 'tlsdesc', 16: 'dtpmod' },
  aarch64: { 1030: 'tpoff', 1031: 'tlsdesc', 1028: 'dtpmod' },
};

/** GLOB_DAT, JUMP_SLOT. */
const slotKinds: Readonly<Record<Machine, readonly number[]>> = { 'x86-64': [6, 7], aarch64: [1025, 1026] };

/** The TLS symbols of .dynsym among `names`, by their index in the table. Every entry is looked at: hash tables leave out references. */
export function dynamicSymbols(read: ReadAt, elf: ElfFile, names: readonly string[]): ReadonlyMap<number, TlsSymbol> {
  const table = dynamicSymbolTable(read, elf);
  const strings = dynamicStrings(read, elf);
  return table && strings ? symbolsIn(read, table, strings, names, 'dynsym') : new Map<number, TlsSymbol>();
}

/** The TLS symbols of .symtab among `names`: all that a static executable has, and where symbols are that nobody exported. */
export function staticSymbols(read: ReadAt, elf: ElfFile, names: readonly string[]): readonly TlsSymbol[] {
  const section = sectionOf(read, elf, SHT_SYMTAB);
  if (!section) return [];
  const strings = sectionStrings(read, elf, section.link);
  return strings ? [...symbolsIn(read, section, strings, names, 'symtab').values()] : [];
}

/** The relocations of thread-local storage that name one of `symbols` (by index in .dynsym) or none at all. */
export function tlsRelocations(read: ReadAt, elf: ElfFile, symbols: ReadonlyMap<number, TlsSymbol>): readonly TlsRelocation[] {
  const kinds = relocationKinds[elf.machine];
  const found: TlsRelocation[] = [];
  for (const table of relocationTables(elf)) {
    forEachBlock(read, table, RELA_SIZE, (view, count) => {
      for (let i = 0, at = 0; i < count && found.length < MAX_MATCHES; i++, at += RELA_SIZE) {
        const kind = kinds[view.getUint32(at + 8, true)];
        if (kind === undefined) continue;
        const index = view.getUint32(at + 12, true);
        const symbol = index === 0 ? '' : symbols.get(index)?.name;
        if (symbol !== undefined) found.push({ kind, vaddr: u64(view, at), addend: s64(view, at + 16), symbol });
      }
    });
  }
  return found;
}

/** The name of the symbol whose address the loader puts into the word at `vaddr`, as into those of the procedure linkage table. */
export function symbolOfSlot(read: ReadAt, elf: ElfFile, vaddr: number): string | undefined {
  const symbols = dynamicSymbolTable(read, elf);
  const strings = dynamicTableAt(elf, DynamicTag.stringTable, DynamicTag.stringSize);
  if (!symbols || !strings) return undefined;
  let index = 0;
  for (const table of relocationTables(elf)) {
    forEachBlock(read, table, RELA_SIZE, (view, count) => {
      for (let i = 0, at = 0; i < count; i++, at += RELA_SIZE) {
        const isSlot = slotKinds[elf.machine].includes(view.getUint32(at + 8, true));
        if (isSlot && u64(view, at) === vaddr && s64(view, at + 16) === 0) index = view.getUint32(at + 12, true);
      }
    });
  }
  const symbol = index > 0 && index < symbols.count ? read(symbols.offset + index * SYMBOL_SIZE, SYMBOL_SIZE) : undefined;
  const at = symbol && viewOf(symbol).getUint32(0, true);
  if (at === undefined || at >= strings.size) return undefined;
  const name = read(strings.offset + at, Math.min(MAX_NAME, strings.size - at));
  return name && cString(name, 0, MAX_NAME);
}

/** The object's own name, '' without one. */
export function sonameOf(read: ReadAt, elf: ElfFile): string {
  const at = elf.dynamic?.get(DynamicTag.soname);
  const strings = at === undefined ? undefined : dynamicTableAt(elf, DynamicTag.stringTable, DynamicTag.stringSize);
  if (at === undefined || !strings || !(at < strings.size)) return '';
  const bytes = read(strings.offset + at, Math.min(MAX_NAME, strings.size - at));
  return (bytes && cString(bytes, 0, MAX_NAME)) ?? '';
}

/** The value of an exported symbol of any type, or undefined. */
export function exportedValue(read: ReadAt, elf: ElfFile, name: string): number | undefined {
  const table = dynamicSymbolTable(read, elf);
  const strings = dynamicStrings(read, elf);
  if (!table || !strings) return undefined;
  let value: number | undefined;
  forEachBlock(read, table, SYMBOL_SIZE, (view, count) => {
    for (let i = 0, at = 0; i < count && value === undefined; i++, at += SYMBOL_SIZE) {
      if (view.getUint16(at + 6, true) !== 0 && strings(view.getUint32(at, true), name)) value = u64(view, at + 8);
    }
  });
  return value;
}

/** Where a table of symbols is in the file, and the strings that it names. */
export interface SymbolTable {
  readonly offset: number;
  readonly count: number;
  readonly strings: { readonly offset: number; readonly size: number };
  /** Offset of the table DT_GNU_HASH, by which .dynsym can be searched. */
  readonly gnuHash: number | undefined;
}

/** .dynsym: what the object exports and refers to. */
export function dynamicTable(read: ReadAt, elf: ElfFile): SymbolTable | undefined {
  const table = dynamicSymbolTable(read, elf);
  const strings = dynamicTableAt(elf, DynamicTag.stringTable, DynamicTag.stringSize);
  const hash = elf.dynamic?.get(DynamicTag.gnuHash);
  const gnuHash = hash === undefined ? undefined : fileOffsetOf(elf, hash, 16);
  return table && strings && { offset: table.offset, count: table.count, strings, gnuHash };
}

/** .symtab: everything, where it was not stripped. */
export function staticTable(read: ReadAt, elf: ElfFile): SymbolTable | undefined {
  const section = sectionOf(read, elf, SHT_SYMTAB);
  if (!section || section.link === 0 || section.link >= elf.sections.count) return undefined;
  const bytes = read(elf.sections.offset + section.link * SECTION_HEADER_SIZE, SECTION_HEADER_SIZE);
  if (!bytes) return undefined;
  const view = viewOf(bytes);
  const strings = { offset: u64(view, 24), size: u64(view, 32) };
  return { offset: section.offset, count: section.count, strings, gnuHash: undefined };
}

function symbolsIn(read: ReadAt, table: Table, strings: Strings, names: readonly string[], kind: TlsSymbol['table']) {
  const found = new Map<number, TlsSymbol>();
  let first = 0;
  forEachBlock(read, table, SYMBOL_SIZE, (view, count) => {
    for (let i = 0, at = 0; i < count; i++, at += SYMBOL_SIZE) {
      if ((view.getUint8(at + 4) & 0xf) !== STT_TLS || found.size >= MAX_MATCHES) continue;
      const name = nameAmong(names, strings, view.getUint32(at, true));
      if (name === undefined) continue;
      const isDefined = view.getUint16(at + 6, true) !== 0;
      found.set(first + i, { name, table: kind, isDefined, value: u64(view, at + 8), size: u64(view, at + 16) });
    }
    first += count;
  });
  return found;
}

function nameAmong(names: readonly string[], strings: Strings, at: number): string | undefined {
  for (const name of names) if (strings(at, name)) return name;
  return undefined;
}

/** Whether the string at an offset of a string table is `name`. */
type Strings = (at: number, name: string) => boolean;

/** Keeps a window of the table: neighbours among symbols mostly have names that are neighbours too. */
function stringsOf(read: ReadAt, table: { readonly offset: number; readonly size: number }): Strings {
  let window: Uint8Array | undefined;
  let start = 0;
  let windows = 0;
  return (at, name) => {
    if (!(at + name.length < table.size)) return false;
    if (!window || at < start || at + name.length >= start + window.length) {
      if (++windows > MAX_STRINGS_WINDOWS) return false;
      start = at;
      window = read(table.offset + at, Math.min(STRINGS_WINDOW, table.size - at));
    }
    return window !== undefined && isCString(window, at - start, name);
  };
}

function forEachBlock(read: ReadAt, table: Table, entrySize: number, visit: (view: DataView, count: number) => void): void {
  const total = Math.min(table.count, MAX_ENTRIES);
  for (let done = 0; done < total; done += BLOCK_ENTRIES) {
    const count = Math.min(BLOCK_ENTRIES, total - done);
    const bytes = read(table.offset + done * entrySize, count * entrySize);
    if (!bytes) return;
    visit(viewOf(bytes), count);
  }
}

function dynamicTableAt(elf: ElfFile, addressTag: number, sizeTag: number): { offset: number; size: number } | undefined {
  const address = elf.dynamic?.get(addressTag);
  const size = elf.dynamic?.get(sizeTag);
  if (address === undefined || size === undefined) return undefined;
  const offset = fileOffsetOf(elf, address, size);
  return offset === undefined ? undefined : { offset, size };
}

function dynamicStrings(read: ReadAt, elf: ElfFile): Strings | undefined {
  const table = dynamicTableAt(elf, DynamicTag.stringTable, DynamicTag.stringSize);
  return table && stringsOf(read, table);
}

function relocationTables(elf: ElfFile): readonly Table[] {
  const dynamic = elf.dynamic;
  if (!dynamic) return [];
  const tables: Table[] = [];
  const rela = dynamicTableAt(elf, DynamicTag.rela, DynamicTag.relaSize);
  const entrySize = dynamic.get(DynamicTag.relaEntry) ?? RELA_SIZE;
  if (rela && entrySize === RELA_SIZE) tables.push({ offset: rela.offset, count: Math.floor(rela.size / RELA_SIZE) });
  const plt = dynamicTableAt(elf, DynamicTag.jmpRel, DynamicTag.pltRelSize);
  if (plt && dynamic.get(DynamicTag.pltRel) === DynamicTag.rela) {
    tables.push({ offset: plt.offset, count: Math.floor(plt.size / RELA_SIZE) });
  }
  return tables;
}

/** .dynsym has no size of its own in the dynamic table: its section header tells it, else the hash tables. */
function dynamicSymbolTable(read: ReadAt, elf: ElfFile): Table | undefined {
  const address = elf.dynamic?.get(DynamicTag.symbolTable);
  if (address === undefined || (elf.dynamic?.get(DynamicTag.symbolEntry) ?? SYMBOL_SIZE) !== SYMBOL_SIZE) return undefined;
  const offset = fileOffsetOf(elf, address, SYMBOL_SIZE);
  if (offset === undefined) return undefined;
  const count =
    sectionOf(read, elf, SHT_DYNSYM, offset)?.count ?? countByHash(read, elf) ?? countByGnuHash(read, elf) ?? countToStrings(elf);
  if (count === undefined) return undefined;
  const load = elf.loads.find(({ vaddr, fileSize }) => address >= vaddr && address < vaddr + fileSize);
  const room = load ? Math.floor((load.vaddr + load.fileSize - address) / SYMBOL_SIZE) : 0;
  return { offset, count: Math.min(count, room) };
}

function countByHash(read: ReadAt, elf: ElfFile): number | undefined {
  const address = elf.dynamic?.get(DynamicTag.hash);
  const offset = address === undefined ? undefined : fileOffsetOf(elf, address, 8);
  const bytes = offset === undefined ? undefined : read(offset, 8);
  return bytes && viewOf(bytes).getUint32(4, true);
}

/** The highest index in the buckets, and from there on to the end of its chain. */
function countByGnuHash(read: ReadAt, elf: ElfFile): number | undefined {
  const address = elf.dynamic?.get(DynamicTag.gnuHash);
  const offset = address === undefined ? undefined : fileOffsetOf(elf, address, 16);
  const header = offset === undefined ? undefined : read(offset, 16);
  if (offset === undefined || !header) return undefined;
  const head = viewOf(header);
  const bucketCount = head.getUint32(0, true);
  const firstSymbol = head.getUint32(4, true);
  const buckets = offset + 16 + head.getUint32(8, true) * 8;
  let last = 0;
  forEachBlock(read, { offset: buckets, count: bucketCount }, 4, (view, count) => {
    for (let i = 0; i < count; i++) last = Math.max(last, view.getUint32(i * 4, true));
  });
  // An empty table: nothing is exported, and how many references there are it does not say.
  if (last < firstSymbol) return undefined;
  const chains = buckets + bucketCount * 4;
  for (let steps = 0; last < MAX_ENTRIES && steps < MAX_ENTRIES; steps += BLOCK_ENTRIES) {
    // The end of the file may be nearer than a block.
    const size = BLOCK_ENTRIES * 4;
    const at = chains + (last - firstSymbol) * 4;
    const bytes = read(at, size) ?? read(at, 256) ?? read(at, 4);
    if (!bytes) return undefined;
    const view = viewOf(bytes);
    for (let i = 0; i + 4 <= bytes.length; i += 4, last++) if ((view.getUint32(i, true) & 1) === 1) return last + 1;
  }
  return undefined;
}

/** Linkers put the strings behind the symbols. What lies between them and is no symbol has no name that anyone looks for. */
function countToStrings(elf: ElfFile): number | undefined {
  const symbols = elf.dynamic?.get(DynamicTag.symbolTable) ?? Infinity;
  const strings = elf.dynamic?.get(DynamicTag.stringTable) ?? 0;
  return strings > symbols ? Math.floor((strings - symbols) / SYMBOL_SIZE) : undefined;
}

interface Section extends Table {
  readonly link: number;
}

/** The first section of a type (at an offset, when one is given) whose entries are symbols. */
function sectionOf(read: ReadAt, elf: ElfFile, type: number, atOffset?: number): Section | undefined {
  const bytes = read(elf.sections.offset, elf.sections.count * SECTION_HEADER_SIZE);
  if (!bytes) return undefined;
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; at += SECTION_HEADER_SIZE) {
    if (view.getUint32(at + 4, true) !== type) continue;
    const offset = u64(view, at + 24);
    if (atOffset !== undefined && offset !== atOffset) continue;
    const size = u64(view, at + 32);
    if (u64(view, at + 56) !== SYMBOL_SIZE || !(size <= MAX_ENTRIES * SYMBOL_SIZE)) continue;
    return { offset, count: Math.floor(size / SYMBOL_SIZE), link: view.getUint32(at + 40, true) };
  }
  return undefined;
}

function sectionStrings(read: ReadAt, elf: ElfFile, index: number): Strings | undefined {
  if (index === 0 || index >= elf.sections.count) return undefined;
  const bytes = read(elf.sections.offset + index * SECTION_HEADER_SIZE, SECTION_HEADER_SIZE);
  if (!bytes) return undefined;
  const view = viewOf(bytes);
  return stringsOf(read, { offset: u64(view, 24), size: u64(view, 32) });
}
