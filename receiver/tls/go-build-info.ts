// What the Go linker writes into every executable about itself → the version of Go. Also there in stripped ones.
// https://pkg.go.dev/debug/buildinfo
import { type ElfFile, fileOffsetOf, type ReadAt, u64, viewOf } from '../../otel-thread-context/reader/index.ts';
import type { Section } from './sections.ts';

export interface GoVersion {
  /** As Go says it: 'go1.26.8', 'go1.22.4 X:boringcrypto', 'devel go1.27-…'. */
  readonly text: string;
  /** Of 'go1.minor'; undefined: of no release. */
  readonly minor: number | undefined;
}

const MAGIC = '\xff Go buildinf:';
const HEADER_SIZE = 32;
const FLAGS_AT = 15;
const VERSION_POINTER_AT = 16;
/** The version follows, behind its length. Before 1.18 the header points to it. */
const INLINE = 2;
const MAX_TEXT = 127;

/** `section`: .go.buildinfo. Undefined: there is no version in it. */
export function readGoVersion(read: ReadAt, elf: ElfFile, section: Section): GoVersion | undefined {
  const header = section.size >= HEADER_SIZE ? read(section.offset, HEADER_SIZE) : undefined;
  if (header === undefined || Buffer.from(header.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC) return undefined;
  const text = ((header[FLAGS_AT] ?? 0) & INLINE) !== 0 ? inlineText(read, section) : textAt(read, elf, header);
  if (text === undefined || !/^[\x20-\x7e]+$/.test(text)) return undefined;
  const [, minor] = /^go1\.(\d{1,3})(?:[.\- ]|rc|beta|$)/.exec(text) ?? [];
  return { text, minor: minor === undefined ? undefined : Number(minor) };
}

function inlineText(read: ReadAt, section: Section): string | undefined {
  const from = section.offset + HEADER_SIZE;
  const [size = 0] = read(from, 1) ?? [];
  const bytes = size > 0 && size <= MAX_TEXT ? read(from + 1, size) : undefined;
  return bytes && Buffer.from(bytes).toString('latin1');
}

/** A pointer to a pointer and a length. Of a position-independent executable the file does not have them. */
function textAt(read: ReadAt, elf: ElfFile, header: Uint8Array): string | undefined {
  const string = bytesAt(read, elf, u64(viewOf(header), VERSION_POINTER_AT), 16);
  if (string === undefined) return undefined;
  const size = u64(viewOf(string), 8);
  const bytes = size > 0 && size <= MAX_TEXT ? bytesAt(read, elf, u64(viewOf(string), 0), size) : undefined;
  return bytes && Buffer.from(bytes).toString('latin1');
}

function bytesAt(read: ReadAt, elf: ElfFile, address: number, size: number): Uint8Array | undefined {
  const offset = fileOffsetOf(elf, address, size);
  return offset === undefined ? undefined : read(offset, size);
}
