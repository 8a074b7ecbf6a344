// An ELF file's sections by name. Nothing in the file is believed: what does not fit is left out.
// https://gabi.xinuos.com/elf/03-sheader.html
import { cString, type ElfFile, type ReadAt, u64, viewOf } from '../../otel-thread-context/reader/index.ts';

export interface Section {
  /** Where it is in memory, less the load bias. */
  readonly address: number;
  /** In the file. */
  readonly offset: number;
  readonly size: number;
}

const HEADER_SIZE = 64;
const MAX_SECTIONS = 1024;
const MAX_NAMES_SIZE = 64 * 1024;
const MAX_NAME = 128;
const SHT_NOBITS = 8;
/** ELF header: index of the section with the names. */
const NAMES_INDEX_AT = 62;

/** Those that have bytes in the file. Empty when the file has no section headers, or they cannot be read. */
export function sectionsOf(read: ReadAt, elf: ElfFile): ReadonlyMap<string, Section> {
  const found = new Map<string, Section>();
  const count = Math.min(elf.sections.count, MAX_SECTIONS);
  const headers = count === 0 ? undefined : read(elf.sections.offset, count * HEADER_SIZE);
  const index = read(NAMES_INDEX_AT, 2);
  if (headers === undefined || index === undefined) return found;
  const view = viewOf(headers);
  const namesAt = viewOf(index).getUint16(0, true) * HEADER_SIZE;
  if (namesAt >= headers.length) return found;
  const names = read(u64(view, namesAt + 24), Math.min(u64(view, namesAt + 32), MAX_NAMES_SIZE));
  if (names === undefined) return found;
  for (let at = 0; at < headers.length; at += HEADER_SIZE) {
    const nameAt = view.getUint32(at, true);
    const name = nameAt < names.length ? cString(names, nameAt, MAX_NAME) : undefined;
    const section = { address: u64(view, at + 16), offset: u64(view, at + 24), size: u64(view, at + 32) };
    const isThere = view.getUint32(at + 4, true) !== SHT_NOBITS && Number.isSafeInteger(section.offset + section.size);
    if (name !== undefined && isThere && Number.isSafeInteger(section.address) && !found.has(name)) found.set(name, section);
  }
  return found;
}
