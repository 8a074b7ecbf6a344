// Payloads of one exporter and signal in one SQLite file: written, read back, deleted. Synchronous: runs in the storage thread.
// Why SQLite, and why with a rollback journal: docs/decisions/0006-queues-on-disk.md. https://www.sqlite.org/pragma.html
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';

/** How the bytes of a payload are to be read; a file may hold some of another encoding after a change of the configuration. */
export type PayloadEncoding = 'proto' | 'json';

export interface DatabaseOptions {
  readonly path: string;
  readonly encoding: PayloadEncoding;
  /** How long to wait for a file that another process has open. */
  readonly timeoutMs: number;
  readonly fsync: boolean;
  /** True: a file that cannot be read is renamed aside. */
  readonly recreate: boolean;
  readonly compaction: {
    readonly onStart: boolean;
    readonly directory: string;
    readonly cleanupOnStart: boolean;
  };
}

export interface StoredPayload {
  /** Grows in the order of writing. */
  readonly id: number;
  readonly items: number;
  readonly bytes: number;
}

export type ReadResult =
  | { readonly kind: 'payload'; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'unreadable'; readonly message: string };

/** What is used of node:sqlite. It is handed in because it is loaded only where a storage is configured. */
export interface Sqlite {
  readonly DatabaseSync: typeof DatabaseSync;
}

/** 'usmq', in the file's header: whose database it is. */
const APPLICATION_ID = 0x75736d71;
const FORMAT_VERSION = 1;
/** Measured with payloads of 300 KB: smaller pages take more calls, larger ones more copying. */
const PAGE_BYTES = 16 * 1024;
const CACHE_KIB = 512;
/** A deletion changes fewer pages than this, whatever is deleted. */
const JOURNAL_PAGES = 16;
/** One on each page, and different each time: SQLite does not write what is the same. */
const FILLER_BYTES = PAGE_BYTES * 0.75;
const MAX_ITEMS = 1_000_000_000;
const COMPACTED_PREFIX = 'tempdb';

/** Primary result codes. https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** The file is damaged, or is none of ours. */
export class UnreadableDatabase extends Error {
  override readonly name = 'UnreadableDatabase';
}

export class PayloadDatabase {
  readonly #sqlite: Sqlite;
  readonly #options: DatabaseOptions;
  readonly #onNotice: (notice: string) => void;
  #database: DatabaseSync | undefined;
  #insert: StatementSync | undefined;
  #select: StatementSync | undefined;
  #delete: StatementSync | undefined;
  /** Their deletion failed, and is tried again with whatever comes next. */
  readonly #undeleted = new Set<number>();

  /**
   * Opens or creates the file. `onNotice` hears what was done about a damaged one.
   * @throws {Error} when it cannot be opened; {UnreadableDatabase} when it cannot be read and `recreate` is off.
   */
  constructor(sqlite: Sqlite, options: DatabaseOptions, onNotice: (notice: string) => void) {
    this.#sqlite = sqlite;
    this.#options = options;
    this.#onNotice = onNotice;
    if (options.compaction.cleanupOnStart) removeLeftovers(options.compaction.directory);
    this.#openOrRecreate();
    if (options.compaction.onStart) this.compact();
  }

  /** What is in it, oldest first. */
  list(): readonly StoredPayload[] {
    try {
      return this.#listReadable();
    } catch (error) {
      this.#recreateAfter(error);
      return [];
    }
  }

  /** On disk when it returns. @throws {Error} when it could not be written, with the file as it was before. */
  put(id: number, items: number, body: Uint8Array): void {
    if (this.#undeleted.size > 0) this.#deletePending();
    const checksum = this.#checksum(id, items, body);
    const { encoding } = this.#options;
    try {
      this.#insertion().run(id, items, encoding, checksum, body);
    } catch (error) {
      this.#recreateAfter(error);
      this.#insertion().run(id, items, encoding, checksum, body);
    }
  }

  read(id: number): ReadResult {
    try {
      const row = this.#selection().get(id);
      if (row === undefined) return unreadable('it is not in the storage any more');
      const { items, encoding, checksum, body } = row;
      if (!(body instanceof Uint8Array) || this.#checksum(id, Number(items), body) !== checksum) {
        return unreadable('its checksum is wrong');
      }
      if (encoding !== this.#options.encoding)
        return unreadable(`it is encoded as ${String(encoding)}, and the exporter sends ${this.#options.encoding}`);
      return { kind: 'payload', body: body };
    } catch (error) {
      // The other payloads may be readable all the same: the file stays.
      return unreadable((error as Error).message);
    }
  }

  /** Does not throw: what cannot be deleted now is deleted later, and at worst sent again after a restart. */
  delete(id: number): void {
    this.#undeleted.add(id);
    this.#deletePending();
  }

  /** Size of the file, and what of it is in use. */
  size(): { readonly fileBytes: number; readonly usedBytes: number } {
    const pages = this.#pragma('page_count');
    return { fileBytes: pages * PAGE_BYTES, usedBytes: (pages - this.#pragma('freelist_count')) * PAGE_BYTES };
  }

  /** Gives unused room back: a copy without it takes the place of the file. Where that fails, the file stays as it is. */
  compact(): void {
    const { path, compaction } = this.#options;
    const copy = join(compaction.directory, `${COMPACTED_PREFIX}-${basename(path)}`);
    try {
      rmSync(copy, { force: true });
      this.#open().prepare('VACUUM INTO ?').run(copy);
      this.close();
      moveFile(copy, path);
    } catch (error) {
      rmSync(copy, { force: true });
      this.#onNotice(`cannot compact ${path}: ${(error as Error).message}`);
    }
    this.#openOrRecreate();
  }

  /** May be called twice. */
  close(): void {
    const database = this.#database;
    this.#database = undefined;
    this.#insert = undefined;
    this.#select = undefined;
    this.#delete = undefined;
    database?.close();
  }

  #deletePending(): void {
    for (const each of this.#undeleted) {
      try {
        this.#deletion().run(each);
      } catch {
        return;
      }
      this.#undeleted.delete(each);
    }
  }

  #openOrRecreate(): void {
    try {
      this.#open();
    } catch (error) {
      if (!isUnreadable(error)) {
        if (codeOf(error) === SQLITE_BUSY) throw new Error('another process has it open', { cause: error });
        throw error;
      }
      this.#recreateAfter(error);
    }
  }

  #open(): DatabaseSync {
    if (this.#database !== undefined) return this.#database;
    const database = new this.#sqlite.DatabaseSync(this.#options.path);
    this.#database = database;
    try {
      this.#setUp(database);
    } catch (error) {
      this.close();
      throw error;
    }
    return database;
  }

  #setUp(database: DatabaseSync): void {
    const { timeoutMs, fsync } = this.#options;
    database.exec(
      `PRAGMA busy_timeout = ${Math.trunc(timeoutMs)}; PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;
       PRAGMA page_size = ${PAGE_BYTES}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY;
       PRAGMA journal_mode = PERSIST; PRAGMA synchronous = ${fsync ? 'FULL' : 'OFF'};`,
    );
    database.exec('BEGIN EXCLUSIVE; COMMIT');
    this.#createTables(database);
    reserveJournal(database);
  }

  #createTables(database: DatabaseSync): void {
    const owner = this.#pragma('application_id');
    const version = this.#pragma('user_version');
    if (owner === APPLICATION_ID && version === FORMAT_VERSION) return;
    const isEmpty = this.#pragma('page_count') <= 1 && owner === 0;
    if (!isEmpty) {
      throw new UnreadableDatabase(owner === APPLICATION_ID ? `it has format ${version}` : 'it is a database of another program');
    }
    database.exec(
      `BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT_VERSION};
       CREATE TABLE payloads (id INTEGER PRIMARY KEY, items INTEGER, encoding TEXT, checksum INTEGER, body BLOB) STRICT;
       CREATE TABLE journal_room (id INTEGER PRIMARY KEY, filler BLOB) STRICT; COMMIT`,
    );
  }

  /** Renames a damaged file aside and begins anew. @throws what it is given, unless that says that the file is damaged. */
  #recreateAfter(error: unknown): void {
    if (!isUnreadable(error)) throw error;
    const { path, recreate } = this.#options;
    this.close();
    const reason = (error as Error).message;
    if (!recreate)
      throw new UnreadableDatabase(`it is damaged (${reason}); set recreate: true to rename it aside and begin anew`);
    const backup = `${path}.backup`;
    renameSync(path, backup);
    // A journal without its database would be taken for that of the new one.
    if (existsSync(`${path}-journal`)) renameSync(`${path}-journal`, `${backup}-journal`);
    this.#onNotice(`${path} cannot be read (${reason}); renamed to ${backup}, and begun anew`);
    this.#open();
  }

  #listReadable(): readonly StoredPayload[] {
    const rows = this.#open().prepare('SELECT id, items, length(body) AS bytes FROM payloads ORDER BY id').all();
    return rows.map(({ id, items, bytes }) => ({
      id: Number(id),
      items: Math.min(Math.max(Number(items), 0), MAX_ITEMS),
      bytes: Number(bytes ?? 0),
    }));
  }

  #checksum(id: number, items: number, body: Uint8Array): number {
    return crc32(body, crc32(`${id} ${items}`));
  }

  #pragma(name: string): number {
    return Number(this.#open().prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  }

  #insertion(): StatementSync {
    this.#insert ??= this.#open().prepare('INSERT INTO payloads (id, items, encoding, checksum, body) VALUES (?, ?, ?, ?, ?)');
    return this.#insert;
  }

  #selection(): StatementSync {
    this.#select ??= this.#open().prepare('SELECT items, encoding, checksum, body FROM payloads WHERE id = ?');
    return this.#select;
  }

  #deletion(): StatementSync {
    this.#delete ??= this.#open().prepare('DELETE FROM payloads WHERE id = ?');
    return this.#delete;
  }
}

/** Makes the journal so long that a deletion needs no room on the disk: a full disk must not keep what is delivered. */
function reserveJournal(database: DatabaseSync): void {
  try {
    database.exec(
      `BEGIN; INSERT OR REPLACE INTO journal_room
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${JOURNAL_PAGES})
         SELECT i, randomblob(${FILLER_BYTES}) FROM n; COMMIT;
       UPDATE journal_room SET filler = randomblob(${FILLER_BYTES})`,
    );
  } catch (error) {
    if (isUnreadable(error)) throw error;
    // No room for that either: it is tried at the next start.
    rollBack(database);
  }
}

function rollBack(database: DatabaseSync): void {
  try {
    database.exec('ROLLBACK');
  } catch {
    // SQLite has done so already.
  }
}

function removeLeftovers(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(COMPACTED_PREFIX)) rmSync(join(directory, name), { force: true });
  }
}

/** Also from one file system to another, and never with half a file in the place of the old one. */
function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const beside = join(dirname(to), basename(from));
    try {
      copyFileSync(from, beside);
      renameSync(beside, to);
    } finally {
      rmSync(beside, { force: true });
      rmSync(from, { force: true });
    }
  }
}

function unreadable(message: string): ReadResult {
  return { kind: 'unreadable', message };
}

function isUnreadable(error: unknown): boolean {
  const code = codeOf(error);
  return error instanceof UnreadableDatabase || code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** The primary result code of an error of node:sqlite. */
function codeOf(error: unknown): number | undefined {
  const code = (error as { readonly errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}
