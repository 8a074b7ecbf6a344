// An ELF file and names of functions → where those functions are. Exported ones by the file's own hash table, a few reads; others by going
// through .symtab, in steps, because there may be a million of them. Nothing in the file is believed.
// https://flapenguin.me/elf-dt-gnu-hash
import {
  dynamicTable,
  type ElfFile,
  type ReadAt,
  staticTable,
  type SymbolTable,
  u64,
  viewOf,
} from '../../otel-thread-context/reader/index.ts';

export interface FunctionSymbol {
  readonly address: number;
  readonly size: number;
}

export type Functions = ReadonlyMap<string, FunctionSymbol>;

const SYMBOL_SIZE = 24;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const BLOCK = 4096;
const MAX_SYMBOLS = 3_000_000;
const MAX_STRINGS = 512 * 1024 * 1024;
const STRING_BLOCK = 1024 * 1024;
const MAX_CHAIN = 4096;
const MAX_NAME = 256;
const NONE: Functions = new Map();

/** Those of `names` that the file exports. */
export function exportedFunctions(read: ReadAt, elf: ElfFile, names: readonly string[]): Functions {
  const table = dynamicTable(read, elf);
  if (table === undefined) return NONE;
  if (table.gnuHash === undefined) return drain(functionsIn(read, table, new Set(names)));
  const found = new Map<string, FunctionSymbol>();
  for (const name of names) {
    const symbol = lookUp(read, table, table.gnuHash, name);
    if (symbol !== undefined) found.set(name, symbol);
  }
  return found;
}

/** Those of `names` that .symtab has; each step looks at some thousand symbols. */
export function* localFunctions(read: ReadAt, elf: ElfFile, names: ReadonlySet<string>): Generator<void, Functions> {
  const table = staticTable(read, elf);
  return table === undefined ? NONE : yield* functionsIn(read, table, names);
}

function lookUp(read: ReadAt, table: SymbolTable, at: number, name: string): FunctionSymbol | undefined {
  const header = read(at, 16);
  if (header === undefined) return undefined;
  const head = viewOf(header);
  const buckets = head.getUint32(0, true);
  const first = head.getUint32(4, true);
  const words = head.getUint32(8, true);
  const shift = head.getUint32(12, true);
  if (buckets === 0 || words === 0 || shift > 31) return undefined;
  const hash = gnuHash(name);
  const bloom = read(at + 16 + (Math.floor(hash / 64) % words) * 8, 8);
  if (bloom === undefined) return undefined;
  const word = viewOf(bloom).getBigUint64(0, true);
  const bits = (1n << BigInt(hash % 64)) | (1n << BigInt((hash >>> shift) % 64));
  if ((word & bits) !== bits) return undefined;
  const bucketsAt = at + 16 + words * 8;
  const bucket = read(bucketsAt + (hash % buckets) * 4, 4);
  if (bucket === undefined) return undefined;
  let index = viewOf(bucket).getUint32(0, true);
  const chainsAt = bucketsAt + buckets * 4;
  for (let steps = 0; index >= first && index < table.count && steps < MAX_CHAIN; steps++, index++) {
    const link = read(chainsAt + (index - first) * 4, 4);
    if (link === undefined) return undefined;
    const value = viewOf(link).getUint32(0, true);
    if ((value ^ hash) >>> 1 === 0) {
      const symbol = symbolAt(read, table, index, name);
      if (symbol !== undefined) return symbol;
    }
    if ((value & 1) === 1) return undefined;
  }
  return undefined;
}

function symbolAt(read: ReadAt, table: SymbolTable, index: number, name: string): FunctionSymbol | undefined {
  const bytes = read(table.offset + index * SYMBOL_SIZE, SYMBOL_SIZE);
  if (bytes === undefined) return undefined;
  const view = viewOf(bytes);
  const text = read(table.strings.offset + view.getUint32(0, true), name.length + 1);
  if (text?.at(-1) !== 0 || Buffer.from(text.buffer, text.byteOffset, name.length).toString('latin1') !== name) return undefined;
  return functionAt(view, 0);
}

/** Undefined: another kind of symbol, or one that the file only refers to. */
function functionAt(view: DataView, at: number): FunctionSymbol | undefined {
  const type = view.getUint8(at + 4) & 0xf;
  if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || view.getUint16(at + 6, true) === 0) return undefined;
  const address = u64(view, at + 8);
  const size = u64(view, at + 16);
  return address > 0 && address < Infinity && size < Infinity && type === STT_FUNC ? { address, size } : undefined;
}

/** Hot path: a symbol that is not looked for costs some loads. */
function* functionsIn(read: ReadAt, table: SymbolTable, names: ReadonlySet<string>): Generator<void, Functions> {
  const found = new Map<string, FunctionSymbol>();
  if (!(table.strings.size <= MAX_STRINGS)) return found;
  const initials = new Set([...names].map((name) => name.charCodeAt(0)));
  const total = Math.min(table.count, MAX_SYMBOLS);
  let window: Uint8Array | undefined;
  let windowAt = 0;
  for (let done = 0; done < total && found.size < names.size; done += BLOCK) {
    const count = Math.min(BLOCK, total - done);
    const bytes = read(table.offset + done * SYMBOL_SIZE, count * SYMBOL_SIZE);
    if (bytes === undefined) return found;
    const view = viewOf(bytes);
    for (let at = 0; at < bytes.length; at += SYMBOL_SIZE) {
      if ((bytes[at + 4] ?? 0) % 16 !== STT_FUNC) continue;
      const nameAt = view.getUint32(at, true);
      if (nameAt >= table.strings.size) continue;
      if (window === undefined || nameAt < windowAt || nameAt + MAX_NAME > windowAt + window.length) {
        // Names of neighbours are mostly neighbours.
        windowAt = Math.max(0, nameAt - STRING_BLOCK / 2);
        window = read(table.strings.offset + windowAt, Math.min(STRING_BLOCK, table.strings.size - windowAt));
        if (window === undefined) return found;
        yield;
      }
      const from = nameAt - windowAt;
      if (!initials.has(window[from] ?? 0)) continue;
      const end = window.indexOf(0, from);
      if (end < 0 || end - from > MAX_NAME) continue;
      const name = Buffer.from(window.buffer, window.byteOffset + from, end - from).toString('latin1');
      if (!names.has(name) || found.has(name)) continue;
      const symbol = functionAt(view, at);
      if (symbol !== undefined) found.set(name, symbol);
    }
    yield;
  }
  return found;
}

function drain<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

function gnuHash(name: string): number {
  let hash = 5381;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 33) + name.charCodeAt(i)) >>> 0;
  return hash;
}
