// The storage thread: stores of several exporters in one directory, what comes back, and what happens when it ends.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type FileStorageOptions, StorageThread } from '../../../receiver/export/storage/file-storage.ts';
import { waitFor } from '../../e2e/wait.ts';

interface Started {
  readonly thread: StorageThread;
  readonly records: string[];
}

function start(t: TestContext): Started {
  const records: string[] = [];
  const log =
    (level: string) =>
    (message: string, fields: object = {}): void =>
      void records.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const thread = new StorageThread({ info: log('info'), warn: log('warn'), error: log('error') });
  t.after(() => thread.close());
  return { thread, records };
}

function optionsOf(t: TestContext, changes: Partial<FileStorageOptions> = {}): FileStorageOptions {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-storage-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    id: 'file_storage',
    directory: folder,
    createDirectory: false,
    directoryPermissions: 0o750,
    timeoutMs: 100,
    fsync: false,
    recreate: true,
    compaction: {
      onStart: false,
      onRebound: false,
      directory: folder,
      reboundNeededBytes: 1024 * 1024,
      reboundTriggerBytes: 512 * 1024,
      checkIntervalMs: 20,
      cleanupOnStart: false,
    },
    ...changes,
  };
}

const bodyOf = (size: number, value = 7): Uint8Array<ArrayBuffer> => new Uint8Array(size).fill(value);

test('a body is handed over, written, and handed back; what shares its buffer is copied', async (t) => {
  const { thread } = start(t);
  const store = await thread.open(optionsOf(t), 'otlp', 'traces', 'proto');
  const body = bodyOf(1000);
  assert.deepEqual(await store.put(1, 5, body), { kind: 'stored', body: bodyOf(1000) });
  assert.equal(body.length, 0, 'it was handed over');
  const shared = bodyOf(2000).subarray(500, 1500);
  assert.deepEqual(await store.put(2, 5, shared), { kind: 'stored', body: bodyOf(1000) });
  assert.equal(shared.length, 1000);
  const pooled = Buffer.from('x'.repeat(100));
  assert.equal((await store.put(3, 1, pooled)).kind, 'stored');
  assert.equal(pooled.length, 100);
  const roomy = bodyOf(1500).subarray(0, 1000);
  const returned = await store.put(4, 1, roomy);
  assert.deepEqual([roomy.length, returned.body?.length, returned.body?.buffer.byteLength], [0, 1000, 1500]);
  assert.deepEqual(await store.read(2), { kind: 'payload', body: bodyOf(1000) });
  store.delete(2);
  assert.equal((await store.read(2)).kind, 'unreadable');
});

test('each exporter and signal has a file of its own, named as the Collector names them', async (t) => {
  const { thread } = start(t);
  const options = optionsOf(t, { fsync: true });
  const stores = [
    await thread.open(options, 'otlp', 'traces', 'proto'),
    await thread.open(options, 'otlp/back end', 'traces', 'proto'),
    await thread.open(options, 'otlp/back end', 'metrics', 'proto'),
  ];
  for (const [at, store] of stores.entries()) await store.put(1, at, bodyOf(10, at));
  for (const store of stores) await store.close();
  assert.deepEqual(
    readdirSync(options.directory).filter((name) => name.endsWith('.sqlite')),
    ['exporter_otlp__traces.sqlite', 'exporter_otlp_back~0020end_metrics.sqlite', 'exporter_otlp_back~0020end_traces.sqlite'],
  );
  const again = await thread.open(options, 'otlp/back end', 'metrics', 'proto');
  assert.deepEqual(again.recovered, [{ id: 1, items: 2, bytes: 10 }]);
  assert.deepEqual(await again.read(1), { kind: 'payload', body: bodyOf(10, 2) });
});

test('a directory that is not there is created when asked for, with its permissions', async (t) => {
  const { thread } = start(t);
  const options = optionsOf(t);
  const directory = path.join(options.directory, 'a/b');
  await assert.rejects(
    thread.open({ ...options, directory }, 'otlp', 'traces', 'proto'),
    /^Error: extensions::file_storage: .*\/a\/b does not exist; create it or set create_directory: true$/,
  );
  await thread.open({ ...options, directory, createDirectory: true, directoryPermissions: 0o700 }, 'otlp', 'traces', 'proto');
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const file = path.join(directory, 'exporter_otlp__traces.sqlite');
  await assert.rejects(
    thread.open({ ...options, directory: path.join(file, 'c'), createDirectory: true }, 'otlp', 'traces', 'proto'),
    /^Error: extensions::file_storage: cannot create .*\/c: ENOTDIR/,
  );
  await assert.rejects(
    thread.open({ ...options, directory: file }, 'otlp', 'traces', 'proto'),
    /^Error: extensions::file_storage: cannot open .*: unable to open database file$/,
  );
});

test('a file that had grown is compacted when it is nearly empty', async (t) => {
  const { thread } = start(t);
  const options = optionsOf(t);
  const store = await thread.open(
    { ...options, compaction: { ...options.compaction, onRebound: true } },
    'otlp',
    'traces',
    'proto',
  );
  const file = path.join(options.directory, 'exporter_otlp__traces.sqlite');
  for (let id = 1; id <= 40; id++) await store.put(id, 1, bodyOf(100_000));
  assert.ok(statSync(file).size > 4_000_000);
  for (let id = 1; id < 40; id++) store.delete(id);
  await waitFor('the file to be small', () => statSync(file).size < 700_000);
  assert.deepEqual(await store.read(40), { kind: 'payload', body: bodyOf(100_000) });
});

test('when the thread ends, nobody waits for it, bodies come back, and it is logged once', async (t) => {
  const { thread, records } = start(t);
  const store = await thread.open(optionsOf(t), 'otlp', 'traces', 'proto');
  const waiting = store.put(1, 1, bodyOf(10));
  await thread.close();
  await waiting;
  assert.deepEqual(await store.put(2, 1, bodyOf(10)), { kind: 'failed', body: bodyOf(10), message: 'the storage is closed' });
  assert.deepEqual(await store.read(1), { kind: 'unreadable', message: 'the storage is closed' });
  store.delete(1);
  await store.close();
  await thread.close();
  assert.deepEqual(records, []);
});
