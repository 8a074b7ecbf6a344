// The program → which Go made it, and where that version has the labels of the goroutine that runs. Versions that were not tried are not read.
// https://pkg.go.dev/debug/buildinfo
import type { ReadAt } from './bytes.ts';
import type { ElfFile } from './elf.ts';

export interface GoRuntime {
  /** As the program names it: `go1.26.8`. */
  readonly version: string;
  /** Of the current goroutine, in the thread that runs it (runtime.m). */
  readonly current: number;
  /** Of the labels, in the goroutine (runtime.g). */
  readonly labels: number;
}

export type GoRuntimeResult =
  | ({ readonly kind: 'runtime' } & GoRuntime)
  | { readonly kind: 'not_go' }
  /** Older ones have their labels in a map; newer ones are not known. */
  | { readonly kind: 'unknown_version'; readonly version: string };

/** By the minor version. */
const offsets: ReadonlyMap<number, { readonly current: number; readonly labels: number }> = new Map([
  [24, { current: 192, labels: 352 }],
  [25, { current: 184, labels: 344 }],
  [26, { current: 184, labels: 352 }],
  [27, { current: 184, labels: 352 }],
]);

const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const ALIGNMENT = 16;
/** Bit of the flags behind the magic: the version follows as text. All since Go 1.18 have it. */
const IS_INLINE = 2;
const VERSION_AT = 32;
const MAX_VERSION = 64;
const BLOCK_SIZE = 64 * 1024;
/** Of each segment; the linker puts it near the beginning of the data. */
const MAX_SCANNED = 4 * 1024 * 1024;

export function goRuntime(read: ReadAt, elf: ElfFile): GoRuntimeResult {
  const version = versionOf(read, elf);
  if (version === undefined) return { kind: 'not_go' };
  const minor = /^go1\.(\d{1,3})(?!\d)/.exec(version)?.[1];
  const known = minor === undefined ? undefined : offsets.get(Number(minor));
  return known === undefined ? { kind: 'unknown_version', version } : { kind: 'runtime', version, ...known };
}

function versionOf(read: ReadAt, elf: ElfFile): string | undefined {
  // Data comes last.
  for (const { offset, fileSize, isExecutable } of elf.loads.toReversed()) {
    if (isExecutable) continue;
    const end = offset + Math.min(fileSize, MAX_SCANNED);
    for (let from = offset; from + VERSION_AT < end; from += BLOCK_SIZE) {
      const block = read(from, Math.min(BLOCK_SIZE, end - from));
      if (block === undefined) break;
      const at = magicIn(Buffer.from(block.buffer, block.byteOffset, block.byteLength));
      if (at !== -1) return versionAt(read, from + at);
    }
  }
  return undefined;
}

function magicIn(block: Buffer): number {
  let at = block.indexOf(MAGIC);
  while (at !== -1 && at % ALIGNMENT !== 0) at = block.indexOf(MAGIC, at + 1);
  return at;
}

/** Behind the magic: size of a pointer, flags; at 32 the size of the version (one byte is enough for it), and the version. */
function versionAt(read: ReadAt, at: number): string | undefined {
  const bytes = read(at, VERSION_AT + 1);
  const size = bytes?.[VERSION_AT] ?? 0;
  if (((bytes?.[MAGIC.length + 1] ?? 0) & IS_INLINE) === 0 || size === 0 || size > MAX_VERSION) return undefined;
  const text = read(at + VERSION_AT + 1, size);
  return text && Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1');
}
