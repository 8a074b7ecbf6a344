// Files of other processes, and what procfs says of them: read only, bounded, and never waited for. What fails is undefined.
import { closeSync, constants, openSync, readSync } from 'node:fs';

const MAX_READ = 16 * 1024 * 1024;
const FIRST_CAPACITY = 64 * 1024;

/** A file descriptor for reading. */
export function tryOpen(path: string): number | undefined {
  try {
    // NONBLOCK: what an observed process calls a library may be a pipe.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** All of [position, position + size), or undefined: not there, not readable, or more than 16 MiB. */
export function readFully(fd: number, position: number, size: number): Uint8Array | undefined {
  if (!(size >= 0 && size <= MAX_READ && position >= 0 && position + size <= Number.MAX_SAFE_INTEGER)) return undefined;
  const bytes = new Uint8Array(size);
  try {
    for (let done = 0; done < size;) {
      const count = readSync(fd, bytes, done, size - done, position + done);
      if (count === 0) return undefined;
      done += count;
    }
  } catch {
    return undefined;
  }
  return bytes;
}

/** A file of procfs from its beginning, at most `limit` bytes of it. */
export function readStream(path: string, limit: number): Uint8Array | undefined {
  const fd = tryOpen(path);
  if (fd === undefined) return undefined;
  let bytes = new Uint8Array(FIRST_CAPACITY);
  let size = 0;
  try {
    while (size < limit) {
      if (size === bytes.length) {
        const larger = new Uint8Array(Math.min(size * 4, limit));
        larger.set(bytes);
        bytes = larger;
      }
      const count = readSync(fd, bytes, size, bytes.length - size, null);
      if (count === 0) break;
      size += count;
    }
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
  return bytes.subarray(0, size);
}
