// A file → what of it concerns given thread-local symbols: who defines them, which words its loader fills in for them, which libc it is.
// One file is analysed once, however many processes map it.
import { malformed, type ElfFile, type Malformed, readElf, DynamicTag } from './elf.ts';
import { dynamicSymbols, exportedValue, sonameOf, staticSymbols, tlsRelocations } from './elf-tables.ts';
import type { TlsRelocation, TlsSymbol } from './elf-tables.ts';
import type { ReadAt } from './bytes.ts';

export type Libc = 'glibc' | 'musl';

export interface TlsImage {
  readonly kind: 'image';
  readonly elf: ElfFile;
  readonly soname: string;
  /** Of .dynsym: defined here, or referred to. */
  readonly symbols: readonly TlsSymbol[];
  readonly relocations: readonly TlsRelocation[];
  /** Which libc's library or loader this object is, if it is one. */
  readonly libc: Libc | undefined;
}

/** A file as the cache needs it. */
export interface ImageFile {
  /** Equal only for the same, unchanged file: device, inode, size, times of change. */
  readonly identity: string;
  readonly read: ReadAt;
}

interface Entry {
  readonly image: TlsImage | Malformed;
  /** Of .symtab; looked up only when no .dynsym of the process has the symbol. */
  staticSymbols: readonly TlsSymbol[] | undefined;
}

const NO_SYMBOLS: readonly TlsSymbol[] = [];

/**
 * Analysed files, the least recently used of them forgotten first. The key is the file's identity and not its build id: a build id is
 * whatever its builder wrote, so a forged one would answer for another program's file.
 */
export class ImageCache {
  readonly #names: readonly string[];
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();

  /** `names` are the symbols to look for; `limit` bounds the files that are remembered. */
  constructor(names: readonly string[], limit = 1024) {
    this.#names = names;
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  imageOf(file: ImageFile): TlsImage | Malformed {
    return this.#entry(file).image;
  }

  staticSymbolsOf(file: ImageFile): readonly TlsSymbol[] {
    const entry = this.#entry(file);
    if (entry.image.kind === 'malformed' || !entry.image.elf.tls) return NO_SYMBOLS;
    entry.staticSymbols ??= staticSymbols(file.read, entry.image.elf, this.#names);
    return entry.staticSymbols;
  }

  #entry(file: ImageFile): Entry {
    const known = this.#entries.get(file.identity);
    if (known) {
      this.#entries.delete(file.identity);
      this.#entries.set(file.identity, known);
      return known;
    }
    const entry: Entry = { image: analyseImage(file.read, this.#names), staticSymbols: undefined };
    this.#entries.set(file.identity, entry);
    if (this.#entries.size > this.#limit) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    return entry;
  }
}

/** Bounded in time and memory whatever the file holds. */
export function analyseImage(read: ReadAt, names: readonly string[]): TlsImage | Malformed {
  const elf = readElf(read);
  if (elf.kind === 'malformed') return malformed(elf.reason);
  const symbols = dynamicSymbols(read, elf, names);
  const soname = sonameOf(read, elf);
  return {
    kind: 'image',
    elf,
    soname,
    symbols: [...symbols.values()],
    // An object that neither refers to the symbols nor has thread-local storage of its own has no slot for them.
    relocations: symbols.size > 0 || elf.tls ? tlsRelocations(read, elf, symbols) : [],
    libc: libcOf(read, elf, soname),
  };
}

/** File names say little (`ld-2.31.so`, `libc.so`): the object's own name, or a symbol that only musl's loader has. */
function libcOf(read: ReadAt, elf: ElfFile, soname: string): Libc | undefined {
  if (soname === 'libc.so.6' || soname.startsWith('ld-linux')) return 'glibc';
  if (soname.startsWith('libc.musl-')) return 'musl';
  if (soname !== '' || !elf.dynamic || elf.dynamic.has(DynamicTag.needed)) return undefined;
  return exportedValue(read, elf, '__dls3') === undefined ? undefined : 'musl';
}
