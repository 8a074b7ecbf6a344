// The table of functions that every Go program carries for its own stack traces (.gopclntab), also when it is stripped → where given functions are.
// Gone through in steps: a large program has a hundred thousand of them. Nothing in the file is believed.
// https://pkg.go.dev/debug/gosym, src/runtime/symtab.go, src/cmd/link/internal/ld/pcln.go
import { type ReadAt, u64, viewOf } from '../../otel-thread-context/reader/index.ts';
import type { Section } from './sections.ts';

export interface GoFunction {
  /** From the start of Go's own code on. */
  readonly offset: number;
  readonly size: number;
}

export interface GoFunctions {
  /** Address of the start of Go's own code; undefined: the table does not tell. */
  readonly text: number | undefined;
  /** By name. A name may stand for several: one for each way to be called. */
  readonly byName: ReadonlyMap<string, readonly GoFunction[]>;
}

interface Table {
  readonly base: number;
  readonly size: number;
  readonly count: number;
  readonly text: number | undefined;
  readonly names: number;
  readonly namesEnd: number;
  readonly functions: number;
  /** Bytes of a number in the index. */
  readonly width: 4 | 8;
}

/** Go 1.20 and later, 1.18, 1.16. */
const MAGIC_120 = 0xfffffff1;
const MAGIC_118 = 0xfffffff0;
const MAGIC_116 = 0xfffffffa;
/** The beginning of its header, with instructions of one byte or of four. */
const patterns = [MAGIC_120, MAGIC_118, MAGIC_116].flatMap((magic) =>
  [1, 4].map((quantum) => Buffer.from([magic & 0xff, 0xff, 0xff, 0xff, 0, 0, quantum, 8])),
);
const TABLE_ALIGNMENT = 16;
const HEADER_SIZE = 72;
const MAX_TABLE = 1 << 30;
const MAX_FUNCTIONS = 4_000_000;
const WINDOW = 1 << 20;
const BLOCK = 16_384;

/** Each `yield` is a place where something else may run. `section`: .gopclntab. Undefined: it is no such table, or a damaged one. */
export function* findGoFunctions(
  read: ReadAt,
  section: Section,
  names: readonly string[],
): Generator<void, GoFunctions | undefined> {
  const table = readTable(read, section);
  if (table === undefined) return undefined;
  const wanted = yield* findNames(read, table, names);
  const byName = new Map<string, GoFunction[]>();
  if (wanted.size === 0) return { text: table.text, byName };

  const entrySize = 2 * table.width;
  let window: Uint8Array | undefined;
  let windowAt = 0;
  let left = Math.ceil(table.size / WINDOW) * 2 + 16;
  for (let first = 0; first < table.count; first += BLOCK) {
    const count = Math.min(BLOCK, table.count - first);
    const index = read(table.base + table.functions + first * entrySize, count * entrySize + table.width);
    if (index === undefined) return undefined;
    const view = viewOf(index);
    for (let i = 0, at = 0; i < count; i++, at += entrySize) {
      // Of the function's own record only the name is of interest, its second field.
      const recordAt = table.functions + numberAt(view, at + table.width, table.width) + table.width;
      if (!(recordAt + 4 <= table.size)) return undefined;
      if (window === undefined || recordAt < windowAt || recordAt + 4 > windowAt + window.length) {
        yield;
        if (left-- === 0) return undefined;
        windowAt = recordAt;
        window = read(table.base + recordAt, Math.min(WINDOW, table.size - recordAt));
        if (window === undefined) return undefined;
      }
      const name = wanted.get(viewOf(window).getUint32(recordAt - windowAt, true));
      if (name === undefined) continue;
      const offset = numberAt(view, at, table.width);
      const size = numberAt(view, at + entrySize, table.width) - offset;
      if (!(size > 0)) return undefined;
      const same = byName.get(name);
      if (same === undefined) byName.set(name, [{ offset, size }]);
      else same.push({ offset, size });
    }
  }
  return { text: table.text, byName };
}

/** The table within a section that holds other things too: C linkers put it there in position-independent executables. */
export function* searchTable(read: ReadAt, section: Section): Generator<void, Section | undefined> {
  const end = Math.min(section.size, MAX_TABLE);
  for (let at = 0; at + HEADER_SIZE < end; at += WINDOW) {
    const bytes = read(section.offset + at, Math.min(WINDOW, end - at));
    if (bytes === undefined) return undefined;
    const window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const pattern of patterns) {
      for (let place = window.indexOf(pattern); place !== -1; place = window.indexOf(pattern, place + 1)) {
        const skipped = at + place;
        const table = { address: section.address + skipped, offset: section.offset + skipped, size: section.size - skipped };
        if (skipped % TABLE_ALIGNMENT === 0 && readTable(read, table) !== undefined) return table;
      }
    }
    yield;
  }
  return undefined;
}

function readTable(read: ReadAt, section: Section): Table | undefined {
  const header = section.size > HEADER_SIZE && section.size <= MAX_TABLE ? read(section.offset, HEADER_SIZE) : undefined;
  if (header === undefined) return undefined;
  const view = viewOf(header);
  const magic = view.getUint32(0, true);
  const isNew = magic === MAGIC_120 || magic === MAGIC_118;
  // Two zeros, the smallest instruction (1 or 4 bytes), the size of a pointer.
  if ((!isNew && magic !== MAGIC_116) || view.getUint16(4, true) !== 0 || header[7] !== 8) return undefined;
  const word = (index: number): number => u64(view, 8 + 8 * index);
  const names = word(isNew ? 3 : 2);
  const table: Table = {
    base: section.offset,
    size: section.size,
    count: word(0),
    // Before 1.18 the entries are addresses. Since 1.26, and where a loader would fill it in, this is zero.
    text: isNew ? word(2) || undefined : 0,
    names,
    namesEnd: word(isNew ? 4 : 3),
    functions: word(isNew ? 7 : 6),
    width: isNew ? 4 : 8,
  };
  const { count, functions, width, namesEnd, size } = table;
  const isPlausible =
    count <= MAX_FUNCTIONS && names < namesEnd && namesEnd <= size && functions + count * 2 * width + width <= size;
  return isPlausible ? table : undefined;
}

/** Their places in the table of names. */
function* findNames(read: ReadAt, table: Table, names: readonly string[]): Generator<void, ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  const patterns = names.map((name) => ({ name, bytes: Buffer.from(`\0${name}\0`, 'latin1') }));
  const overlap = Math.max(...patterns.map(({ bytes }) => bytes.length));
  for (let at = table.names; at < table.namesEnd; at += WINDOW) {
    const bytes = read(table.base + at, Math.min(WINDOW + overlap, table.namesEnd - at));
    if (bytes === undefined) break;
    const window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const { name, bytes: pattern } of patterns) {
      const place = window.indexOf(pattern);
      if (place !== -1) found.set(at - table.names + place + 1, name);
    }
    yield;
  }
  return found;
}

function numberAt(view: DataView, at: number, width: 4 | 8): number {
  return width === 4 ? view.getUint32(at, true) : u64(view, at);
}
