// What a queue on disk costs the receiver's event loop: payloads of 512 spans are handed to the storage thread, come back, and are deleted;
// and what the thread itself takes.
//   --payloads N   --bytes N  of one payload   --fsync 1
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { StorageThread } from '../../receiver/export/storage/file-storage.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { median, Report } from './support/report.ts';

/** 512 spans, encoded: see otlp-encode.bench.ts. */
const PAYLOAD_BYTES = 512 * 565;
const ROUNDS = 5;

const { numbers, json } = readArguments({ payloads: 500, bytes: PAYLOAD_BYTES, fsync: 0 }, { needsRoot: false });
const report = new Report('storage');

await withCleanup(async (cleanup) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'usm-storage-'));
  cleanup.after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const rssBefore = process.memoryUsage.rss();
  const thread = new StorageThread({ info: console.log, warn: console.log, error: console.error });
  cleanup.after(() => thread.close());
  const compaction = {
    onStart: false,
    onRebound: false,
    directory,
    reboundNeededBytes: 0,
    reboundTriggerBytes: 0,
    checkIntervalMs: 5000,
    cleanupOnStart: false,
  };
  const options = {
    id: 'file_storage',
    directory,
    createDirectory: false,
    directoryPermissions: 0o700,
    timeoutMs: 1000,
    fsync: numbers.fsync > 0,
    recreate: true,
    compaction,
  };
  const store = await thread.open(options, 'otlp', 'traces', 'proto');
  report.figure('resident memory of the thread', 'MB', [(process.memoryUsage.rss() - rssBefore) / 1e6]);
  let body: Uint8Array = new Uint8Array(numbers.bytes).map((_, at) => (at * 131) & 0xff);
  const loopUs: number[] = [];
  const allUs: number[] = [];
  const takenMs: number[] = [];
  let id = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const loopBefore = process.threadCpuUsage();
    const times: number[] = [];
    for (let at = 0; at < numbers.payloads; at++) {
      id++;
      const started = performance.now();
      const result = await store.put(id, 512, body);
      times.push(performance.now() - started);
      if (result.kind !== 'stored') throw new Error(result.message);
      body = result.body;
      store.delete(id);
    }
    const loop = process.threadCpuUsage(loopBefore);
    const all = process.cpuUsage(before);
    loopUs.push((loop.user + loop.system) / numbers.payloads);
    allUs.push((all.user + all.system) / numbers.payloads);
    takenMs.push(median(times));
  }
  report.figure("the event loop's CPU per payload", 'µs', loopUs);
  report.figure('CPU of both threads per payload', 'µs', allUs);
  report.figure('from handing over to being on disk', 'ms', takenMs);
});
report.write(json);
