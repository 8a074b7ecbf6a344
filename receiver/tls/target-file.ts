// An executable or library, opened for as long as it is examined and probed: what is read and what is probed is the same file, whatever happens to its name.
import { type BigIntStats, closeSync, fstatSync, statfsSync } from 'node:fs';
import { type ReadAt, readFully, tryOpen } from '../../otel-thread-context/reader/index.ts';

export interface TargetFile {
  /** Changes when the file's contents do; the same in all containers that have the file from one layer, where the kernel also takes it for one. */
  readonly identity: string;
  readonly inode: bigint;
  readonly read: ReadAt;
  /** A path by which the kernel finds this very file while it is open. */
  readonly kernelPath: string;
  close(): void;
}

/** linux/magic.h */
const OVERLAYFS_MAGIC = 0x794c7630;

/** `self`: the folder of this process in procfs. Undefined: not there, not a regular file, not readable. */
export function openTarget(path: string, self = '/proc/self'): TargetFile | undefined {
  const fd = tryOpen(path);
  if (fd === undefined) return undefined;
  const stat = fstatSync(fd, { bigint: true });
  if (!stat.isFile()) {
    closeSync(fd);
    return undefined;
  }
  const kernelPath = `${self}/fd/${String(fd)}`;
  let isClosed = false;
  return {
    identity: identityOf(stat, kernelPath),
    inode: stat.ino,
    read: (offset, size) => (isClosed ? undefined : readFully(fd, offset, size)),
    kernelPath,
    close: () => {
      if (!isClosed) closeSync(fd);
      isClosed = true;
    },
  };
}

/** Each mount of overlayfs has a device of its own, and the inode numbers of its layers. */
function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats, path: string): string {
  return `${isOverlay(path) ? 'overlay' : String(dev)}:${String(ino)}:${String(size)}:${String(mtimeNs)}:${String(ctimeNs)}`;
}

function isOverlay(path: string): boolean {
  try {
    return statfsSync(path).type === OVERLAYFS_MAGIC;
  } catch {
    return false;
  }
}
