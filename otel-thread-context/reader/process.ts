// A process as this folder sees it: its memory, its mappings, the files they come from. Opened through /proc; read only, nothing stops.
// https://man7.org/linux/man-pages/man5/proc.5.html
import { closeSync, fstatSync, readdirSync } from 'node:fs';
import { isAddress, type ReadAt } from './bytes.ts';
import { readFully, readStream, tryOpen } from './files.ts';
import type { Mapping } from './mappings.ts';
import type { ImageFile } from './tls-image.ts';

export interface MappedFile extends ImageFile {
  close(): void;
}

/** What the reader asks of a process; all of it may fail at any time, because the process may end at any time. */
export interface ObservedProcess {
  readonly readMemory: ReadAt;
  /** The text of /proc/PID/maps, cut off at a bound. */
  readMaps(): Uint8Array | undefined;
  /** The auxiliary vector that the kernel gave it. */
  readAuxiliaryVector(): Uint8Array | undefined;
  /** The very file that is mapped there, also when it was deleted or replaced since, or has another path in its mount namespace. */
  openMapped(mapping: Mapping): MappedFile | undefined;
}

const MAX_MAPS_SIZE = 16 * 1024 * 1024;
const MAX_AUXV_SIZE = 4096;
const MAX_THREADS = 64;

/** The process with this id under `proc` (the id is the one that `proc`, a mount of procfs, knows). Needs what ptrace(2) would need. */
export function openProcess(pid: number, proc = '/proc'): ProcessHandle {
  const directory = `${proc}/${pid}`;
  return new ProcessHandle(directory, hasMemory(directory) ? directory : (livingThread(directory) ?? directory));
}

/** When the first thread has ended and others have not, they alone show what they all share. */
function livingThread(directory: string): string | undefined {
  try {
    const threads = readdirSync(`${directory}/task`).slice(0, MAX_THREADS);
    return threads.map((thread) => `${directory}/task/${thread}`).find(hasMemory);
  } catch {
    return undefined;
  }
}

function hasMemory(directory: string): boolean {
  return (readStream(`${directory}/auxv`, MAX_AUXV_SIZE)?.length ?? 0) > 0;
}

/**
 * The same process, of whose files no more is opened once `limitBytes` of them have been read: what a process maps costs it nothing, and
 * must not cost much here.
 */
export function withinBudget(
  process: ObservedProcess,
  limitBytes: number,
): ObservedProcess & { readonly isUsedUp: () => boolean } {
  let left = limitBytes;
  return {
    readMemory: process.readMemory,
    readMaps: () => process.readMaps(),
    readAuxiliaryVector: () => process.readAuxiliaryVector(),
    isUsedUp: () => left <= 0,
    openMapped: (mapping) => {
      const file = left > 0 ? process.openMapped(mapping) : undefined;
      if (!file) return undefined;
      const read: ReadAt = (offset, size) => {
        const bytes = file.read(offset, size);
        left -= bytes?.length ?? 0;
        return bytes;
      };
      return { identity: file.identity, read, close: () => file.close() };
    },
  };
}

export class ProcessHandle implements ObservedProcess {
  readonly #directory: string;
  readonly #thread: string;
  /** Stays with the program that runs now: after an exec every read fails. */
  readonly #memory: number | undefined;
  #isClosed = false;

  /** `directory` is that of the process, `thread` that of the process or of one of its threads. */
  constructor(directory: string, thread: string) {
    this.#directory = directory;
    this.#thread = thread;
    this.#memory = tryOpen(`${thread}/mem`);
  }

  readonly readMemory: ReadAt = (address, size) => {
    if (this.#memory === undefined || this.#isClosed || !isAddress(address)) return undefined;
    return readFully(this.#memory, address, size);
  };

  readMaps(): Uint8Array | undefined {
    return readStream(`${this.#thread}/maps`, MAX_MAPS_SIZE);
  }

  readAuxiliaryVector(): Uint8Array | undefined {
    return readStream(`${this.#thread}/auxv`, MAX_AUXV_SIZE);
  }

  openMapped(mapping: Mapping): MappedFile | undefined {
    const range = `${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
    return (
      openRegular(`${this.#directory}/map_files/${range}`, mapping.inode) ??
      // Without the privilege for map_files the path must do; the inode tells whether it is still the same file.
      openRegular(`${this.#thread}/root${mapping.name.replaceAll('\\012', '\n')}`, mapping.inode)
    );
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#memory !== undefined) closeSync(this.#memory);
  }
}

function openRegular(path: string, inode: number): MappedFile | undefined {
  const fd = tryOpen(path);
  if (fd === undefined) return undefined;
  const stat = fstatSync(fd, { bigint: true });
  if (!stat.isFile() || stat.ino !== BigInt(inode)) {
    closeSync(fd);
    return undefined;
  }
  let isClosed = false;
  return {
    identity: `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`,
    read: (offset, size) => (isClosed ? undefined : readFully(fd, offset, size)),
    close: () => {
      if (!isClosed) closeSync(fd);
      isClosed = true;
    },
  };
}
