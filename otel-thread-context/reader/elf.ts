// An ELF file → its segments, its dynamic table and its build id. 64-bit little-endian, x86-64 and aarch64. Nothing in the file is
// believed: each offset and count is held against the file's size and against a bound, and what does not fit is a reason, never a throw.
// https://gabi.xinuos.com/elf/
import { type ReadAt, u64, viewOf } from './bytes.ts';

export type Machine = 'x86-64' | 'aarch64';

export interface Segment {
  readonly vaddr: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
  readonly isExecutable: boolean;
}

export interface ElfFile {
  readonly kind: 'elf';
  readonly machine: Machine;
  /** ET_EXEC: addresses in the file are those in memory. */
  readonly isFixed: boolean;
  readonly loads: readonly Segment[];
  readonly tls: Segment | undefined;
  /** Lower-case hex, '' without one. */
  readonly buildId: string;
  readonly programHeaders: { readonly offset: number; readonly count: number };
  readonly sections: { readonly offset: number; readonly count: number };
  /** The dynamic table by tag, as far as DynamicTag names them; undefined in a static executable that is not position-independent. */
  readonly dynamic: ReadonlyMap<number, number> | undefined;
  /** Address of the dynamic table, 0 without one. */
  readonly dynamicAddress: number;
}

/** Why a file can't be used. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly reason: string;
}

export const DynamicTag = {
  needed: 1,
  hash: 4,
  stringTable: 5,
  symbolTable: 6,
  rela: 7,
  relaSize: 8,
  relaEntry: 9,
  stringSize: 10,
  symbolEntry: 11,
  soname: 14,
  pltRelSize: 2,
  pltRel: 20,
  debug: 21,
  jmpRel: 23,
  flags: 30,
  gnuHash: 0x6ffffef5,
  flags1: 0x6ffffffb,
} as const;

export const SYMBOL_SIZE = 24;
export const RELA_SIZE = 24;

const knownTags: ReadonlySet<number> = new Set(Object.values(DynamicTag));

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const SECTION_HEADER_SIZE = 64;
const DYNAMIC_ENTRY_SIZE = 16;
const MAX_PROGRAM_HEADERS = 256;
const MAX_SECTIONS = 65_535;
/** Of the dynamic table. */
export const MAX_DYNAMIC_ENTRIES = 1024;
const MAX_NOTES_SIZE = 4096;
const MAX_ALIGN = 2 ** 32;
/** More than any real object asks for; keeps offset arithmetic far from 2^53. */
const MAX_VADDR = 2 ** 50;

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_NOTE = 4;
const PT_TLS = 7;
const NT_GNU_BUILD_ID = 3;

export function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason };
}

export function readElf(read: ReadAt): ElfFile | Malformed {
  const header = read(0, HEADER_SIZE);
  if (!header) return malformed('shorter than an ELF header');
  const view = viewOf(header);
  if (view.getUint32(0, false) !== 0x7f454c46) return malformed('no ELF magic');
  if (header[4] !== 2 || header[5] !== 1) return malformed('not 64-bit little-endian');
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) return malformed(`neither an executable nor a shared object (type ${type})`);
  const code = view.getUint16(18, true);
  if (code !== EM_X86_64 && code !== EM_AARCH64) return malformed(`machine ${code} is neither x86-64 nor aarch64`);

  const programHeaders = { offset: u64(view, 32), count: view.getUint16(56, true) };
  if (view.getUint16(54, true) !== PROGRAM_HEADER_SIZE) return malformed('program headers of another size');
  const segments = readSegments(read, programHeaders);
  if ('kind' in segments) return segments;

  const dynamic = segments.dynamic && readDynamic(read, segments.dynamic);
  if (dynamic && 'kind' in dynamic) return dynamic;
  const sectionCount = view.getUint16(60, true);
  const hasSections = view.getUint16(58, true) === SECTION_HEADER_SIZE && sectionCount <= MAX_SECTIONS;
  return {
    kind: 'elf',
    machine: code === EM_X86_64 ? 'x86-64' : 'aarch64',
    isFixed: type === ET_EXEC,
    loads: segments.loads,
    tls: segments.tls,
    buildId: buildIdOf(read, segments.notes),
    programHeaders,
    sections: hasSections ? { offset: u64(view, 40), count: sectionCount } : { offset: 0, count: 0 },
    dynamic,
    dynamicAddress: segments.dynamic?.vaddr ?? 0,
  };
}

interface Segments {
  readonly loads: readonly Segment[];
  readonly tls: Segment | undefined;
  readonly dynamic: Segment | undefined;
  readonly notes: readonly Segment[];
}

function readSegments(read: ReadAt, table: { offset: number; count: number }): Segments | Malformed {
  if (table.count === 0 || table.count > MAX_PROGRAM_HEADERS) return malformed(`${table.count} program headers`);
  const bytes = read(table.offset, table.count * PROGRAM_HEADER_SIZE);
  if (!bytes) return malformed('program headers beyond the end of the file');
  const view = viewOf(bytes);
  const loads: Segment[] = [];
  const notes: Segment[] = [];
  let tls: Segment | undefined;
  let dynamic: Segment | undefined;
  for (let at = 0; at < bytes.length; at += PROGRAM_HEADER_SIZE) {
    const type = view.getUint32(at, true);
    if (type !== PT_LOAD && type !== PT_DYNAMIC && type !== PT_NOTE && type !== PT_TLS) continue;
    const segment: Segment = {
      vaddr: u64(view, at + 16),
      offset: u64(view, at + 8),
      fileSize: u64(view, at + 32),
      memorySize: u64(view, at + 40),
      align: Math.max(u64(view, at + 48), 1),
      isExecutable: (view.getUint32(at + 4, true) & 1) !== 0,
    };
    if (!isPlausible(segment)) return malformed(`program header ${at / PROGRAM_HEADER_SIZE} has impossible numbers`);
    if (type === PT_LOAD) loads.push(segment);
    if (type === PT_NOTE) notes.push(segment);
    if (type === PT_TLS) tls ??= segment;
    if (type === PT_DYNAMIC) dynamic ??= segment;
  }
  if (loads.length === 0) return malformed('nothing to load');
  for (let i = 1; i < loads.length; i++) {
    const before = loads[i - 1] as Segment;
    if ((loads[i] as Segment).vaddr < before.vaddr + before.memorySize) return malformed('segments overlap or are not in order');
  }
  return { loads, tls, dynamic, notes };
}

function isPlausible({ vaddr, offset, fileSize, memorySize, align }: Segment): boolean {
  return (
    vaddr <= MAX_VADDR &&
    offset <= MAX_VADDR &&
    fileSize <= MAX_VADDR &&
    memorySize <= MAX_VADDR &&
    fileSize <= memorySize &&
    align <= MAX_ALIGN &&
    Number.isInteger(Math.log2(align))
  );
}

function readDynamic(read: ReadAt, segment: Segment): ReadonlyMap<number, number> | Malformed {
  const count = Math.min(Math.floor(segment.fileSize / DYNAMIC_ENTRY_SIZE), MAX_DYNAMIC_ENTRIES);
  const bytes = read(segment.offset, count * DYNAMIC_ENTRY_SIZE);
  if (!bytes) return malformed('dynamic table beyond the end of the file');
  const view = viewOf(bytes);
  const entries = new Map<number, number>();
  for (let at = 0; at < bytes.length; at += DYNAMIC_ENTRY_SIZE) {
    const tag = u64(view, at);
    if (tag === 0) break;
    if (knownTags.has(tag) && !entries.has(tag)) entries.set(tag, u64(view, at + 8));
  }
  return entries;
}

function buildIdOf(read: ReadAt, notes: readonly Segment[]): string {
  for (const note of notes.slice(0, 4)) {
    const bytes = read(note.offset, Math.min(note.fileSize, MAX_NOTES_SIZE));
    if (!bytes) continue;
    const view = viewOf(bytes);
    const pad = note.align === 8 ? 8 : 4;
    for (let at = 0; at + 12 <= bytes.length;) {
      const nameSize = view.getUint32(at, true);
      const size = view.getUint32(at + 4, true);
      const from = at + 12 + roundUp(nameSize, pad);
      if (from + size > bytes.length) break;
      const isGnu = nameSize === 4 && view.getUint32(at + 12, false) === 0x474e5500;
      if (isGnu && view.getUint32(at + 8, true) === NT_GNU_BUILD_ID && size >= 4 && size <= 64) {
        return Buffer.from(bytes.subarray(from, from + size)).toString('hex');
      }
      at = from + roundUp(size, pad);
    }
  }
  return '';
}

export function roundUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** The offset in the file of what is loaded at `vaddr`, or undefined when no segment's file part holds `size` bytes there. */
export function fileOffsetOf(elf: ElfFile, vaddr: number, size: number): number | undefined {
  for (const load of elf.loads) {
    if (vaddr >= load.vaddr && vaddr + size <= load.vaddr + load.fileSize) return vaddr - load.vaddr + load.offset;
  }
  return undefined;
}
