// What glibc notes of each module with thread-local storage: whose it is, and since which generation. A DTV that is older than that still
// has the block of whoever had the module id before. glibc tells debuggers where its fields are; the table itself never changed.
// https://sourceware.org/git/?p=glibc.git;a=blob;f=nptl_db/structs.def
import { isAddress, readWord, u64, viewOf } from './bytes.ts';
import { exportedAddress, isEntryOf, linkMap, type LoadedObject, type LoadedObjects } from './objects.ts';
import type { ObservedProcess } from './process.ts';

export interface ModuleEntry {
  readonly generation: number;
  /** Address of the dynamic table of the object that has the module id now. */
  readonly dynamic: number;
}

const MAX_LISTS = 64;
const MAX_MODULE_ID = 65_535;
const MAX_FIELD_OFFSET = 65_536;
const LIST_HEADER_SIZE = 16;
const ENTRY_SIZE = 16;

/** The entry of a module id; undefined when this glibc does not tell, or has no such module. */
export function moduleEntry(process: ObservedProcess, loaded: LoadedObjects, moduleId: number): ModuleEntry | undefined {
  const field = fieldOffset(process, loaded, '_thread_db_rtld_global__dl_tls_dtv_slotinfo_list');
  const globals = field === undefined ? undefined : addressIn(process, loaded, '_rtld_global');
  if (field === undefined || globals === undefined) return undefined;
  let list = readWord(process.readMemory, globals + field);
  let index = moduleId;
  for (let i = 0; i < MAX_LISTS && list !== undefined && isAddress(list); i++) {
    // struct dtv_slotinfo_list { size_t len; next; struct dtv_slotinfo { size_t gen; struct link_map *map; } slotinfo[]; }
    const header = process.readMemory(list, LIST_HEADER_SIZE);
    if (!header) return undefined;
    const view = viewOf(header);
    const length = u64(view, 0);
    if (index < length) return entryAt(process, list + LIST_HEADER_SIZE + index * ENTRY_SIZE);
    index -= length;
    list = u64(view, 8);
  }
  return undefined;
}

function entryAt(process: ObservedProcess, address: number): ModuleEntry | undefined {
  const bytes = process.readMemory(address, ENTRY_SIZE);
  if (!bytes) return undefined;
  const view = viewOf(bytes);
  const map = u64(view, 8);
  // struct link_map { l_addr, l_name, l_ld, … }
  const dynamic = isAddress(map) ? readWord(process.readMemory, map + 16) : undefined;
  return dynamic === undefined ? undefined : { generation: u64(view, 0), dynamic };
}

/** The module id of an object, by the loader's list of objects. */
export function moduleIdOf(process: ObservedProcess, loaded: LoadedObjects, object: LoadedObject): number | undefined {
  const field = fieldOffset(process, loaded, '_thread_db_link_map_l_tls_modid');
  const entry = linkMap(process, loaded.objects, loaded.main).find((candidate) => isEntryOf(object, candidate));
  const moduleId = entry && field !== undefined ? readWord(process.readMemory, entry.address + field) : undefined;
  return moduleId !== undefined && moduleId > 0 && moduleId <= MAX_MODULE_ID ? moduleId : undefined;
}

/** What libc.so.6 (libpthread.so.0 before glibc 2.34) tells debuggers of a field: { size in bits, count, offset }, 32 bits each. */
function fieldOffset(process: ObservedProcess, loaded: LoadedObjects, name: string): number | undefined {
  const address = addressIn(process, loaded, name);
  const bytes = address === undefined ? undefined : process.readMemory(address, 12);
  if (!bytes) return undefined;
  const view = viewOf(bytes);
  const offset = view.getUint32(8, true);
  return view.getUint32(0, true) === 64 && offset < MAX_FIELD_OFFSET ? offset : undefined;
}

function addressIn(process: ObservedProcess, loaded: LoadedObjects, name: string): number | undefined {
  for (const object of loaded.objects) {
    if (object.image.libc !== 'glibc' && object.image.soname !== 'libpthread.so.0') continue;
    const address = exportedAddress(process, object, name);
    if (address !== undefined) return address;
  }
  return undefined;
}
