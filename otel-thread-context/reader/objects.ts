// Mappings → the ELF objects that are loaded in a process: which file, at which load bias, which of them is the program itself.
// https://man7.org/linux/man-pages/man3/getauxval.3.html
import { isAddress, readWord, u64, viewOf } from './bytes.ts';
import { DynamicTag, malformed, MAX_DYNAMIC_ENTRIES, type Segment } from './elf.ts';
import { exportedValue } from './elf-tables.ts';
import type { Mapping } from './mappings.ts';
import type { ObservedProcess } from './process.ts';
import type { ImageCache, ImageFile, Libc, TlsImage } from './tls-image.ts';

export interface LoadedObject {
  /** The first mapping of its file. */
  readonly mapping: Mapping;
  /** What to add to an address in the file to have it in memory. */
  readonly bias: number;
  readonly image: TlsImage;
}

export interface LoadedObjects {
  readonly objects: readonly LoadedObject[];
  /** The program, whose thread-local storage comes first: the only object that may reach it without a word to be filled in. */
  readonly main: LoadedObject | undefined;
  readonly libc: Libc | undefined;
  /** Objects that can't be read or aren't ELF files of ours, with the reason. */
  readonly skipped: readonly string[];
}

export interface LinkMapEntry {
  readonly address: number;
  /** Address of the object's dynamic table. */
  readonly dynamic: number;
}

const MAX_OBJECTS = 2048;
const MAX_SKIPPED = 16;
const AT_PHDR = 3;

export function loadedObjects(process: ObservedProcess, mappings: readonly Mapping[], cache: ImageCache): LoadedObjects {
  const programHeaders = auxiliaryValue(process.readAuxiliaryVector(), AT_PHDR);
  const objects: LoadedObject[] = [];
  const skipped: string[] = [];
  for (const group of mappedFiles(mappings, programHeaders)) {
    const [first] = group;
    if (objects.length >= MAX_OBJECTS || !first) break;
    const image = withFile(process, first, (file) => cache.imageOf(file)) ?? malformed('the file behind it cannot be opened');
    const biases = image.kind === 'image' ? biasesOf(image, group) : [];
    if (image.kind === 'malformed' || biases.length === 0) {
      const reason = image.kind === 'malformed' ? image.reason : 'mapped, but not as a loader does it';
      if (skipped.length < MAX_SKIPPED) skipped.push(`${first.name}: ${reason}`);
      continue;
    }
    for (const bias of biases) objects.push({ mapping: first, bias, image });
  }
  return { objects, main: mainOf(process, objects, programHeaders), libc: libcOf(objects), skipped };
}

/** Files are opened for one look and closed again: a process may have mapped more of them than we may have open. */
export function withFile<T>(process: ObservedProcess, mapping: Mapping, look: (file: ImageFile) => T): T | undefined {
  const file = process.openMapped(mapping);
  if (!file) return undefined;
  try {
    return look(file);
  } finally {
    file.close();
  }
}

/** The address in the process of what an object exports. */
export function exportedAddress(
  process: ObservedProcess,
  { mapping, bias, image }: LoadedObject,
  name: string,
): number | undefined {
  const value = withFile(process, mapping, ({ read }) => exportedValue(read, image.elf, name));
  return value === undefined ? undefined : value + bias;
}

/** The mappings of each file of which some part may be executed, or that holds the program's headers. */
function mappedFiles(mappings: readonly Mapping[], programHeaders: number | undefined): Iterable<readonly Mapping[]> {
  const groups = new Map<string, Mapping[]>();
  const wanted = new Set<string>();
  for (const mapping of mappings) {
    if (mapping.inode === 0) continue;
    const key = `${mapping.device} ${mapping.inode} ${mapping.name}`;
    const group = groups.get(key);
    if (group) group.push(mapping);
    else groups.set(key, [mapping]);
    const holdsHeaders = programHeaders !== undefined && programHeaders >= mapping.start && programHeaders < mapping.end;
    if (mapping.isExecutable || holdsHeaders) wanted.add(key);
  }
  for (const key of groups.keys()) if (!wanted.has(key)) groups.delete(key);
  return groups.values();
}

/** One bias for each time that the file is loaded (dlmopen(3) can load it again). A file that is only mapped for reading has none. */
function biasesOf(image: TlsImage, group: readonly Mapping[]): number[] {
  const { loads, isFixed } = image.elf;
  const [lowest] = loads;
  const biases: number[] = [];
  for (const mapping of group) {
    if (!lowest || mapping.offset > lowest.offset || lowest.offset - mapping.offset >= mapping.end - mapping.start) continue;
    const bias = mapping.start - mapping.offset + lowest.offset - lowest.vaddr;
    if (bias < 0 || (isFixed && bias !== 0) || biases.includes(bias)) continue;
    if (loads.every((load) => load.fileSize === 0 || isLoadedAt(load, bias, group))) biases.push(bias);
  }
  return biases;
}

function isLoadedAt(load: Segment, bias: number, group: readonly Mapping[]): boolean {
  const address = load.vaddr + bias;
  const mapping = group.find(({ start, end }) => address >= start && address < end);
  // Code may have been moved to huge pages, which belong to no file.
  if (!mapping) return load.isExecutable;
  return mapping.offset + address - mapping.start === load.offset && (mapping.isExecutable || !load.isExecutable);
}

function libcOf(objects: readonly LoadedObject[]): Libc | undefined {
  for (const { image } of objects) if (image.libc) return image.libc;
  return undefined;
}

/** Where the kernel says that the program headers are; in a program that was started through its loader (`ld.so program`), what the loader says. */
function mainOf(
  process: ObservedProcess,
  objects: readonly LoadedObject[],
  programHeaders: number | undefined,
): LoadedObject | undefined {
  const started =
    programHeaders === undefined
      ? undefined
      : objects.find(({ image, bias }) => {
          const { offset } = image.elf.programHeaders;
          return image.elf.loads.some(
            (load) =>
              offset >= load.offset &&
              offset < load.offset + load.fileSize &&
              offset - load.offset + load.vaddr + bias === programHeaders,
          );
        });
  if (!started?.image.libc) return started;
  const [first] = linkMap(process, objects, started);
  return first && objects.find((object) => isEntryOf(object, first));
}

export function isEntryOf({ image, bias }: LoadedObject, entry: { readonly dynamic: number }): boolean {
  return image.elf.dynamicAddress !== 0 && image.elf.dynamicAddress + bias === entry.dynamic;
}

/** The dynamic linker's list of objects, the program first; bounded, so a list that bites its tail ends. */
export function linkMap(
  process: ObservedProcess,
  objects: readonly LoadedObject[],
  main: LoadedObject | undefined,
): readonly LinkMapEntry[] {
  const { readMemory } = process;
  const head = debugAddress(process, objects, main);
  const entries: LinkMapEntry[] = [];
  // struct r_debug { int r_version; struct link_map *r_map; … }
  let address = head === undefined ? undefined : readWord(readMemory, head + 8);
  while (address !== undefined && isAddress(address) && entries.length < MAX_OBJECTS) {
    // struct link_map { l_addr, l_name, l_ld, l_next, l_prev, … }
    const bytes = readMemory(address, 40);
    if (!bytes) break;
    const view = viewOf(bytes);
    entries.push({ address, dynamic: u64(view, 16) });
    address = u64(view, 24);
  }
  return entries;
}

function debugAddress(
  process: ObservedProcess,
  objects: readonly LoadedObject[],
  main: LoadedObject | undefined,
): number | undefined {
  const { readMemory } = process;
  for (let i = 0; main?.image.elf.dynamic && i < MAX_DYNAMIC_ENTRIES; i++) {
    const bytes = readMemory(main.image.elf.dynamicAddress + main.bias + i * 16, 16);
    if (!bytes) break;
    const view = viewOf(bytes);
    const value = u64(view, 8);
    const tag = u64(view, 0);
    if (tag === DynamicTag.debug && isAddress(value)) return value;
    if (tag === 0) break;
  }
  for (const object of objects) {
    if (!object.image.libc) continue;
    const glibc = exportedAddress(process, object, '_r_debug');
    if (glibc !== undefined) return glibc;
    const musl = exportedAddress(process, object, '_dl_debug_addr');
    if (musl !== undefined) return readWord(readMemory, musl);
  }
  return undefined;
}

function auxiliaryValue(vector: Uint8Array | undefined, type: number): number | undefined {
  if (!vector) return undefined;
  const view = viewOf(vector);
  for (let at = 0; at + 16 <= vector.length; at += 16) if (u64(view, at) === type) return u64(view, at + 8);
  return undefined;
}
