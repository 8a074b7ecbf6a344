// Payloads, each a line of OTLP/JSON → a file, one request per line, as the Collector's file exporter writes them
// (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/). A payload is acknowledged when the kernel has all of its line.
import type * as promises from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Exporter, ExportResult, Signal, UnixTime } from './exporter.ts';
import type { RotationOptions } from './file-rotation.ts';
import { backupPath, expiredBackups } from './file-rotation.ts';

export interface FileOptions {
  readonly id: string;
  readonly path: string;
  /** False: an existing file is truncated at start. With rotation an existing file is always continued, as in the Collector. */
  readonly append: boolean;
  readonly rotation: RotationOptions | undefined;
  readonly createDirectory: boolean;
}

/** What is used of node:fs/promises. */
export type FileSystem = Pick<typeof promises, 'open' | 'mkdir' | 'readdir' | 'rename' | 'unlink'>;

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const NEWLINE = 0x0a;
const BYTES_PER_MEGABYTE = 1024 * 1024;
/** What no repetition cures: the path itself is wrong or forbidden. */
const FINAL_ERRORS: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ENOTDIR', 'ENOENT', 'ELOOP', 'ENAMETOOLONG'];

/**
 * Opens the file, so that a wrong path is found at start, and gives an exporter for each of the signals, which share it; the last one to
 * be closed closes it.
 * @throws {Error} saying which file could not be opened and why.
 */
export async function openFileExporters(
  options: FileOptions,
  signals: readonly Signal[],
  clock: UnixTime,
  files: FileSystem,
): Promise<readonly Exporter[]> {
  const { id, path } = options;
  const file = new LineFile(options, clock, files);
  await file.open();
  const inUse = new Set(signals);
  return signals.map((signal) => ({
    id,
    signal,
    export: (payload) =>
      inUse.has(signal)
        ? file.append(payload.body)
        : Promise.resolve({ kind: 'refused', message: `${path}: the exporter is closed` }),
    close: () => {
      inUse.delete(signal);
      return inUse.size === 0 ? file.close() : file.written();
    },
  }));
}

/** A file that lines are added to, put aside when it is large enough. */
class LineFile {
  readonly #options: FileOptions;
  readonly #clock: UnixTime;
  readonly #files: FileSystem;
  /** One write at a time, in order: lines of two payloads must not mix. */
  #last: Promise<unknown> = Promise.resolve();
  #file: promises.FileHandle | undefined;
  #size = 0;
  /** False for a pipe or a device, which has no size, no truncation and no rotation. */
  #isRegular = true;
  /** Part of a line is at the end of the file and could not be taken back. */
  #isTorn = false;
  #lastBackupMs = 0;

  constructor(options: FileOptions, clock: UnixTime, files: FileSystem) {
    this.#options = options;
    this.#clock = clock;
    this.#files = files;
  }

  async open(): Promise<void> {
    const { path, append, rotation, createDirectory } = this.#options;
    try {
      if (createDirectory) await this.#files.mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
      await this.#openFile();
      if (!append && rotation === undefined && this.#isRegular) {
        await this.#file?.truncate(0);
        this.#size = 0;
        this.#isTorn = false;
      }
    } catch (cause) {
      await this.#closeFile();
      throw new Error(`exporters::${this.#options.id}: cannot open ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  /** Takes lines in the order of the calls. Does not reject. */
  append(line: Uint8Array): Promise<ExportResult> {
    const result = this.#last.then(() => this.#writeLine(line));
    this.#last = result;
    return result;
  }

  /** When all lines so far have been written, or have failed. */
  async written(): Promise<void> {
    await this.#last;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#closeFile();
  }

  async #writeLine(line: Uint8Array): Promise<ExportResult> {
    try {
      await this.#rotateBefore(line.length);
      const file = this.#file ?? (await this.#openFile());
      if (this.#isTorn) {
        await this.#write(file, Buffer.from('\n'));
        this.#isTorn = false;
      }
      await this.#write(file, line);
      return { kind: 'accepted', rejected: 0 };
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? '';
      const message = `cannot write to ${this.#options.path}: ${(cause as Error).message}`;
      return FINAL_ERRORS.includes(code) ? { kind: 'refused', message } : { kind: 'retryable', message };
    }
  }

  /** All bytes, or an error after which the file is as before (or known to be torn). */
  async #write(file: promises.FileHandle, bytes: Uint8Array): Promise<void> {
    let written = 0;
    try {
      while (written < bytes.length) {
        const { bytesWritten } = await file.write(bytes, written, bytes.length - written);
        written += bytesWritten;
      }
    } catch (error) {
      if (written > 0) {
        try {
          await file.truncate(this.#size);
          written = 0;
        } catch {
          this.#isTorn = true;
        }
      }
      throw error;
    } finally {
      this.#size += written;
    }
  }

  async #rotateBefore(nextBytes: number): Promise<void> {
    const { path, rotation } = this.#options;
    if (rotation === undefined || !this.#isRegular || this.#file === undefined) return;
    if (this.#size === 0 || this.#size + nextBytes <= rotation.maxMegabytes * BYTES_PER_MEGABYTE) return;
    // Never the name of the backup before, which a rename would replace.
    const nowUnixMs = Math.max(Number(this.#clock.toUnixNs(this.#clock.now()) / 1_000_000n), this.#lastBackupMs + 1);
    this.#lastBackupMs = nowUnixMs;
    await this.#closeFile();
    await this.#files.rename(path, backupPath(path, nowUnixMs, rotation.localtime));
    await this.#openFile();
    const names = await this.#files.readdir(dirname(path));
    for (const expired of expiredBackups(path, names, rotation, nowUnixMs)) {
      // Somebody else may have removed it; the next rotation tries again.
      await this.#files.unlink(expired).catch(() => undefined);
    }
  }

  async #openFile(): Promise<promises.FileHandle> {
    const file = await this.#files.open(this.#options.path, 'a', FILE_MODE);
    this.#file = file;
    const status = await file.stat();
    this.#isRegular = status.isFile();
    this.#size = this.#isRegular ? status.size : 0;
    this.#isTorn = this.#size > 0 && (await this.#endsInside());
    return file;
  }

  /** True if the file does not end with a line's end: whoever wrote it before was killed in the middle. */
  async #endsInside(): Promise<boolean> {
    const file = await this.#files.open(this.#options.path, 'r');
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, this.#size - 1);
      return bytesRead === 1 && buffer[0] !== NEWLINE;
    } finally {
      await file.close();
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
