import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as sqlite from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { PayloadDatabase, type DatabaseOptions } from '../../../receiver/export/storage/payload-database.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-storage-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

interface Opened {
  readonly database: PayloadDatabase;
  readonly notices: string[];
  readonly file: string;
}

function open(t: TestContext, folder: string, changes: Partial<DatabaseOptions> = {}): Opened {
  const file = path.join(folder, 'queue.sqlite');
  const notices: string[] = [];
  const compaction = { onStart: false, directory: folder, cleanupOnStart: false };
  const options: DatabaseOptions = {
    path: file,
    encoding: 'proto',
    timeoutMs: 0,
    fsync: false,
    recreate: true,
    compaction,
    ...changes,
  };
  const database = new PayloadDatabase(sqlite, options, (notice) => notices.push(notice));
  t.after(() => {
    database.close();
  });
  return { database, notices, file };
}

/** Bytes that can be told apart by their id. */
function bodyOf(id: number, size = 100_000): Uint8Array {
  return new Uint8Array(size).map((_, at) => (at * 31 + id) & 0xff);
}

function assertHolds(database: PayloadDatabase, ids: readonly number[], size?: number): void {
  assert.deepEqual(
    database.list(),
    ids.map((id) => ({ id, items: id * 10, bytes: bodyOf(id, size).length })),
  );
  for (const id of ids) assert.deepEqual(database.read(id), { kind: 'payload', body: bodyOf(id, size) });
}

function fill(database: PayloadDatabase, ids: readonly number[], size?: number): void {
  for (const id of ids) database.put(id, id * 10, bodyOf(id, size));
}

test('what is put is there after the file was closed and opened, and what is deleted is not', (t) => {
  const folder = folderOf(t);
  const first = open(t, folder).database;
  fill(first, [3, 5, 9]);
  first.delete(5);
  assertHolds(first, [3, 9]);
  first.close();
  first.close();
  const { database, notices } = open(t, folder);
  assertHolds(database, [3, 9]);
  assert.deepEqual(database.read(5), { kind: 'unreadable', message: 'it is not in the storage any more' });
  assert.deepEqual(notices, []);
});

test('the journal has room for a deletion from the start, so that a full disk does not keep what is delivered', (t) => {
  const folder = folderOf(t);
  for (let round = 0; round < 2; round++) {
    const { database, file } = open(t, folder);
    assert.ok(statSync(`${file}-journal`).size >= 16 * 16 * 1024, `${statSync(`${file}-journal`).size} bytes`);
    database.close();
  }
});

test('room is used again, and given back by compacting', (t) => {
  const { database, file } = open(t, folderOf(t));
  const many = Array.from({ length: 50 }, (_, at) => at + 1);
  fill(database, many);
  const full = database.size().fileBytes;
  for (const id of many.slice(0, 48)) database.delete(id);
  assert.equal(database.size().fileBytes, full);
  fill(
    database,
    many.slice(0, 10).map((id) => id + 100),
  );
  assert.equal(database.size().fileBytes, full, 'free pages are taken first');
  database.compact();
  assertHolds(database, [49, 50, ...many.slice(0, 10).map((id) => id + 100)]);
  assert.equal(statSync(file).size, database.size().fileBytes);
  assert.ok(database.size().fileBytes < full / 2, `${database.size().fileBytes} of ${full}`);
});

test('compacting that fails leaves everything as it is', (t) => {
  const folder = folderOf(t);
  const compaction = { onStart: true, directory: path.join(folder, 'absent'), cleanupOnStart: true };
  const { database, notices } = open(t, folder, { compaction });
  assert.match(notices.join(), /^cannot compact .*queue\.sqlite: /);
  fill(database, [1]);
  assertHolds(database, [1]);
});

test('copies of a run that was killed while compacting are removed when asked for', (t) => {
  const folder = folderOf(t);
  writeFileSync(path.join(folder, 'tempdb-queue.sqlite'), 'half a copy');
  open(t, folder).database.close();
  assert.ok(existsSync(path.join(folder, 'tempdb-queue.sqlite')));
  open(t, folder, { compaction: { onStart: false, directory: folder, cleanupOnStart: true } });
  assert.ok(!existsSync(path.join(folder, 'tempdb-queue.sqlite')));
});

test('a payload that was changed on disk is found out, and the others are read', (t) => {
  const folder = folderOf(t);
  const first = open(t, folder);
  fill(first.database, [1, 2, 3]);
  first.database.close();
  const raw = new sqlite.DatabaseSync(first.file);
  raw.exec('UPDATE payloads SET body = zeroblob(100000) WHERE id = 2; UPDATE payloads SET items = 31 WHERE id = 3');
  raw.close();
  const { database } = open(t, folder);
  assert.deepEqual(database.read(1), { kind: 'payload', body: bodyOf(1) });
  for (const id of [2, 3]) assert.deepEqual(database.read(id), { kind: 'unreadable', message: 'its checksum is wrong' });
});

test('a payload in another encoding is not sent as if it were in this one', (t) => {
  const folder = folderOf(t);
  const first = open(t, folder, { encoding: 'json' }).database;
  fill(first, [1]);
  first.close();
  assert.deepEqual(open(t, folder).database.read(1), {
    kind: 'unreadable',
    message: 'it is encoded as json, and the exporter sends proto',
  });
});

test('a file that is no database is renamed aside, or refused', (t) => {
  for (const content of ['not a database, but long enough to be looked at'.repeat(100), '\0'.repeat(20_000)]) {
    const folder = folderOf(t);
    const file = path.join(folder, 'queue.sqlite');
    writeFileSync(file, content);
    assert.throws(() => open(t, folder, { recreate: false }), /it is damaged \(.*\); set recreate: true/);
    assert.equal(readFileSync(file, 'utf8'), content);
    const { database, notices } = open(t, folder);
    assert.match(notices.join(), /queue\.sqlite cannot be read \(.*\); renamed to .*queue\.sqlite\.backup, and begun anew$/);
    assert.equal(readFileSync(`${file}.backup`, 'utf8'), content);
    fill(database, [1, 2]);
    assertHolds(database, [1, 2]);
  }
});

test('a database of another program is not touched, only moved', (t) => {
  const folder = folderOf(t);
  const file = path.join(folder, 'queue.sqlite');
  const other = new sqlite.DatabaseSync(file);
  other.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (42)');
  other.close();
  const { notices } = open(t, folder);
  assert.match(notices.join(), /database of another program/);
  const moved = new sqlite.DatabaseSync(`${file}.backup`, { readOnly: true });
  assert.deepEqual(Object.values(moved.prepare('SELECT x FROM theirs').get() ?? {}), [42]);
  moved.close();
});

test('a file that another process has open is not shared', (t) => {
  const folder = folderOf(t);
  open(t, folder);
  assert.throws(() => open(t, folder), /another process has it open/);
});

test('wherever the file is damaged, nothing wrong is read, and it can be written again', (t) => {
  const folder = folderOf(t);
  const ids = Array.from({ length: 12 }, (_, at) => at + 1);
  const sound = open(t, folder);
  fill(sound.database, ids);
  for (const id of [4, 5]) sound.database.delete(id);
  sound.database.close();
  const bytes = readFileSync(sound.file);
  let read = 0;
  let skipped = 0;
  let recreated = 0;
  for (let at = 0; at < bytes.length; at += 31_337) {
    const broken = Buffer.from(bytes);
    broken.fill(0xa5, at, at + 512);
    writeFileSync(sound.file, broken);
    rmSync(`${sound.file}-journal`, { force: true });
    const { database, notices } = open(t, folder);
    for (const { id } of database.list()) {
      const result = database.read(id);
      if (result.kind === 'unreadable') skipped++;
      else {
        read++;
        assert.deepEqual(result.body, bodyOf(id));
      }
      database.delete(id);
    }
    fill(database, [101, 102]);
    assert.deepEqual(database.read(101), { kind: 'payload', body: bodyOf(101) });
    assert.deepEqual(database.read(102), { kind: 'payload', body: bodyOf(102) });
    recreated += notices.length;
    database.close();
  }
  assert.ok(read > 0 && skipped > 0 && recreated > 0, `${read} read, ${skipped} skipped, ${recreated} begun anew`);
});

test('a truncated file loses what is not there, and is written again', (t) => {
  const folder = folderOf(t);
  const sound = open(t, folder);
  fill(sound.database, [1, 2, 3]);
  sound.database.close();
  const bytes = readFileSync(sound.file);
  for (let size = 0; size < bytes.length; size += 90_001) {
    writeFileSync(sound.file, bytes.subarray(0, size));
    rmSync(`${sound.file}-journal`, { force: true });
    const { database } = open(t, folder);
    for (const { id } of database.list()) {
      const result = database.read(id);
      if (result.kind === 'payload') assert.deepEqual(result.body, bodyOf(id));
    }
    fill(database, [101]);
    assert.deepEqual(database.read(101), { kind: 'payload', body: bodyOf(101) });
    database.close();
  }
});

test('killed while it writes, everything that was put is there, and at most one more', async (t) => {
  const folder = folderOf(t);
  const script = path.join(import.meta.dirname, 'write-payloads.ts');
  for (let round = 0; round < 5; round++) {
    for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
    const child = spawn(process.execPath, [script, path.join(folder, 'queue.sqlite')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.split('\n').length > 20 + round * 7) child.kill('SIGKILL');
    });
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.equal(signal, 'SIGKILL');
    const lines = said.slice(0, said.lastIndexOf('\n')).split('\n');
    const puts = lines.filter((line) => line.startsWith('put ')).map((line) => Number(line.slice(4)));
    const deleted = new Set(lines.filter((line) => line.startsWith('delete ')).map((line) => Number(line.slice(7))));
    const expected = puts.filter((id) => !deleted.has(id));
    const { database, notices } = open(t, folder);
    assert.deepEqual(notices, []);
    const found = database.list().map(({ id }) => id);
    // What it was about to say is done or not.
    const missing = expected.filter((id) => !found.includes(id));
    const extra = found.filter((id) => !expected.includes(id));
    assert.ok(missing.length <= 1 && missing.every((id) => id === Math.min(...expected)), `missing: ${missing.join()}`);
    assert.ok(extra.length <= 1 && extra.every((id) => id === Math.max(...puts) + 1), `extra: ${extra.join()}`);
    for (const id of found) assert.deepEqual(database.read(id), { kind: 'payload', body: bodyOf(id, 50_000) });
    database.close();
  }
});
