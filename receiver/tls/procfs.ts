// What the search for TLS libraries asks of procfs and of the host's folders. All of it may fail at any time: processes end.
// https://man7.org/linux/man-pages/man5/proc.5.html
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { type Mapping, readStream } from '../../otel-thread-context/reader/index.ts';
import { openTarget, type TargetFile } from './target-file.ts';

export interface Procfs {
  pids(): readonly number[];
  isAlive(pid: number): boolean;
  /** The text of /proc/PID/maps, cut off at a bound. */
  readMaps(pid: number): Uint8Array | undefined;
  /** By what name the process maps its program. */
  programOf(pid: number): string | undefined;
  /** A path by which its program can be opened, whatever its name means here. */
  programPath(pid: number): string;
  open(path: string): TargetFile | undefined;
  openMapped(pid: number, mapping: Mapping): TargetFile | undefined;
  /** The device and inode of a file as /proc/PID/maps would print them. */
  keyOf(path: string): string | undefined;
  /** Libraries for TLS where loaders of the host find them. */
  hostLibraries(): readonly string[];
}

const MAX_MAPS_SIZE = 16 * 1024 * 1024;
const LIBRARY_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib', '/usr/local/lib64'];
const MULTIARCH = ['x86_64-linux-gnu', 'aarch64-linux-gnu'];
const LIBRARY = /^lib(ssl|crypto|gnutls)\.so(\.|$)/;

/** The host's files are also those of the first process: the receiver may run in a container. */
export function createProcfs(proc = '/proc', roots: readonly string[] = ['', `${proc}/1/root`]): Procfs {
  const of = (pid: number): string => `${proc}/${String(pid)}`;
  const open = (path: string): TargetFile | undefined => openTarget(path, `${proc}/self`);
  return {
    open,
    pids: () => names(proc).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : [])),
    isAlive: (pid) => statSync(of(pid), { throwIfNoEntry: false }) !== undefined,
    readMaps: (pid) => readStream(`${of(pid)}/maps`, MAX_MAPS_SIZE),
    programOf: (pid) => {
      try {
        return readlinkSync(`${of(pid)}/exe`);
      } catch {
        return undefined;
      }
    },
    programPath: (pid) => `${of(pid)}/exe`,
    openMapped: (pid, { start, end, inode, name }) => {
      const paths = [
        `${of(pid)}/map_files/${start.toString(16)}-${end.toString(16)}`,
        // Without the privilege for map_files the path must do; the inode tells whether it is still the same file.
        `${of(pid)}/root${name}`,
      ];
      for (const path of paths) {
        const file = open(path);
        if (file === undefined || file.inode === BigInt(inode)) {
          if (file !== undefined) return file;
          continue;
        }
        file.close();
      }
      return undefined;
    },
    keyOf: fileKey,
    hostLibraries: () => hostLibraries(roots),
  };
}

function hostLibraries(roots: readonly string[]): readonly string[] {
  const found = new Map<string, string>();
  const folders = LIBRARY_FOLDERS.flatMap((folder) => [folder, ...MULTIARCH.map((name) => `${folder}/${name}`)]);
  for (const folder of roots.flatMap((root) => folders.map((name) => `${root}${name}`))) {
    for (const name of names(folder)) {
      if (!LIBRARY.test(name)) continue;
      const path = `${folder}/${name}`;
      const key = fileKey(path);
      if (key !== undefined && !found.has(key)) found.set(key, path);
    }
  }
  return [...found.values()];
}

/** The device and inode as /proc/PID/maps would print them; undefined: it is no file. */
function fileKey(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFile() ? `${deviceName(stat.dev)} ${String(stat.ino)}` : undefined;
  } catch {
    return undefined;
  }
}

/** Major and minor number as the kernel prints them, from glibc's packed form. */
function deviceName(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}`;
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
