// A path → a UNIX socket that listens there: reachable only once it has its mode and group, in the place of one that nobody listens on
// any more, and removed at the end if it is still ours. unix(7).
import { chmodSync, chownSync, lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { messageOf, ReceiverError } from '../../errors.ts';

export interface SocketFile {
  readonly path: string;
  /** Permission bits: who may write to it may connect. */
  readonly mode: number;
  /** Undefined: as the receiver's own. */
  readonly gid: number | undefined;
}

/** Bytes of a path in a socket address. */
const MAX_PATH = 107;
const BACKLOG = 128;

/** Returns what removes the file. Throws a ReceiverError. */
export async function listenOn(server: Server, file: SocketFile): Promise<() => void> {
  await requireFree(file.path);
  let folder: string | undefined;
  try {
    // Nobody else gets into this folder, so nobody connects before the mode is set; the rename puts it in its place in one step.
    folder = mkdtempSync(path.join(path.dirname(file.path), '.'));
    const hidden = path.join(folder, 's');
    if (Math.max(Buffer.byteLength(hidden), Buffer.byteLength(file.path)) > MAX_PATH) {
      throw new Error(`its path, or that of a socket made beside it, has more than ${String(MAX_PATH)} bytes`);
    }
    await listen(server, hidden);
    if (file.gid !== undefined) chownSync(hidden, -1, file.gid);
    chmodSync(hidden, file.mode);
    const { dev, ino } = lstatSync(hidden);
    renameSync(hidden, file.path);
    return () => {
      const found = lstatSync(file.path, { throwIfNoEntry: false });
      if (found?.dev === dev && found.ino === ino) rmSync(file.path, { force: true });
    };
  } catch (error) {
    server.close();
    throw failure(file.path, messageOf(error), error);
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function requireFree(file: string): Promise<void> {
  let found;
  try {
    found = lstatSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw failure(file, messageOf(error), error);
  }
  if (found === undefined) return;
  if (!found.isSocket()) throw failure(file, 'there is something else, which is no socket');
  if (await isListenedOn(file)) throw failure(file, 'another process listens there');
}

function isListenedOn(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // A full backlog (EAGAIN) is somebody's, too.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function listen(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: file, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function failure(file: string, happened: string, cause?: unknown): ReceiverError {
  return new ReceiverError(
    'USM_REGISTRATION_LISTEN',
    { attempted: 'take registrations of thread contexts on', on: file, happened },
    cause,
  );
}
