import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Exporter, UnixTime } from '../../receiver/export/exporter.ts';
import type { FileOptions, FileSystem } from '../../receiver/export/file.ts';
import { openFileExporters } from '../../receiver/export/file.ts';
import { TraceJsonEncoder } from '../../receiver/export/otlp-json.ts';
import { backupPath, expiredBackups } from '../../receiver/export/file-rotation.ts';
import { clock, makeSpan, payloadOf, scope } from './spans.ts';

const root = mkdtempSync(join(tmpdir(), 'usm-file-'));
after(() => rmSync(root, { recursive: true }));
let directories = 0;

function newDirectory(): string {
  const directory = join(root, String(directories++));
  mkdirSync(directory);
  return directory;
}

async function open(changes: Partial<FileOptions>, system: FileSystem = files, time: UnixTime = clock): Promise<Exporter> {
  const options = { id: 'file', path: '', append: false, rotation: undefined, createDirectory: false, ...changes };
  const [exporter] = await openFileExporters(options, ['traces'], time, system);
  return exporter ?? assert.fail();
}

function send(exporter: Exporter, name = 'GET') {
  return exporter.export(payloadOf(new TraceJsonEncoder(scope, clock, '\n'), [makeSpan({ name })]));
}

/** Names of the spans, line by line; every line must be a whole request. */
function names(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  assert.ok(text === '' || text.endsWith('\n'));
  return text.split('\n').slice(0, -1).map(nameOf);
}

function nameOf(line: string): string {
  const request = JSON.parse(line) as { resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[] };
  return request.resourceSpans[0]?.scopeSpans[0]?.spans[0]?.name ?? '';
}

test('each request is one line, in order, acknowledged when it is in the file', async () => {
  const path = join(newDirectory(), 'spans.json');
  const exporter = await open({ path });
  assert.deepEqual(await send(exporter, 'a'), { kind: 'accepted', rejected: 0 });
  assert.deepEqual(names(path), ['a']);
  await Promise.all(['b', 'c', 'd'].map((name) => send(exporter, name)));
  assert.deepEqual(names(path), ['a', 'b', 'c', 'd']);
  await exporter.close();
});

test('two signals share a file, line by line, until both are closed', async () => {
  const path = join(newDirectory(), 'both.json');
  const options = { id: 'file', path, append: false, rotation: undefined, createDirectory: false };
  const [traces, metrics] = await openFileExporters(options, ['traces', 'metrics'], clock, files);
  assert.ok(traces !== undefined && metrics !== undefined);
  assert.deepEqual([traces.signal, metrics.signal], ['traces', 'metrics']);
  const points = { items: 3, body: Buffer.from('{"resourceMetrics":[]}\n') };
  await Promise.all([send(traces, 'a'), metrics.export(points), send(traces, 'b')]);
  await traces.close();
  assert.equal((await send(traces)).kind, 'refused');
  assert.equal((await metrics.export(points)).kind, 'accepted');
  await metrics.close();
  assert.equal((await metrics.export(points)).kind, 'refused');
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  assert.deepEqual(
    lines.map((line) => Object.keys(JSON.parse(line) as object)[0]),
    ['resourceSpans', 'resourceMetrics', 'resourceSpans', 'resourceMetrics'],
  );
});

test('an existing file is truncated at start, or continued with append', async () => {
  const path = join(newDirectory(), 'spans.json');
  for (const [append, expected] of [
    [false, ['x']],
    [true, ['x', 'x']],
    [false, ['x']],
  ] as const) {
    const exporter = await open({ path, append });
    await send(exporter, 'x');
    await exporter.close();
    assert.deepEqual(names(path), expected);
  }
});

test('close waits for what was given to it, and later requests are refused', async () => {
  const path = join(newDirectory(), 'spans.json');
  const exporter = await open({ path });
  const sent = [send(exporter, 'a'), send(exporter, 'b')];
  await exporter.close();
  await exporter.close();
  assert.deepEqual(
    (await Promise.all(sent)).map((result) => result.kind),
    ['accepted', 'accepted'],
  );
  assert.deepEqual(names(path), ['a', 'b']);
  assert.equal((await send(exporter)).kind, 'refused');
});

test('a directory is created when that is asked for, else a missing one is an error at start', async () => {
  const path = join(newDirectory(), 'a', 'b', 'spans.json');
  await assert.rejects(open({ path }), /exporters::file: cannot open .*spans\.json: ENOENT/);
  const exporter = await open({ path, createDirectory: true });
  await send(exporter);
  await exporter.close();
  assert.equal(names(path).length, 1);
  await assert.rejects(open({ path: newDirectory() }), /EISDIR/);
});

test('a file that would grow beyond its size is put aside under a dated name, and old ones are removed', async () => {
  const directory = newDirectory();
  const path = join(directory, 'spans.json');
  writeFileSync(join(directory, 'spans-notes.json'), 'not ours');
  let nowMs = Date.UTC(2026, 10, 20, 12, 0, 0, 5);
  const time: UnixTime = { now: () => 0, toUnixNs: () => BigInt(nowMs) * 1_000_000n };
  const rotation = { maxMegabytes: 1, maxDays: 0, maxBackups: 2, localtime: false };
  const exporter = await open({ path, rotation }, files, time);
  const long = 'n'.repeat(600 * 1024);
  for (let i = 0; i < 5; i++) {
    assert.equal((await send(exporter, `${i}${long}`)).kind, 'accepted');
    nowMs += 1000;
  }
  await exporter.close();
  assert.deepEqual(readdirSync(directory).sort(), [
    'spans-2026-11-20T12-00-03.005.json',
    'spans-2026-11-20T12-00-04.005.json',
    'spans-notes.json',
    'spans.json',
  ]);
  assert.ok(names(path)[0]?.startsWith('4'));
  assert.ok(names(join(directory, 'spans-2026-11-20T12-00-04.005.json'))[0]?.startsWith('3'));
  for (const name of readdirSync(directory)) assert.ok(statSync(join(directory, name)).size <= 1024 * 1024);
});

test('with rotation an existing file is continued', async () => {
  const path = join(newDirectory(), 'spans.json');
  for (let i = 0; i < 2; i++) {
    const exporter = await open({ path, rotation: { maxMegabytes: 1, maxDays: 0, maxBackups: 0, localtime: false } });
    await send(exporter, 'x');
    await exporter.close();
  }
  assert.deepEqual(names(path), ['x', 'x']);
});

test('two rotations in one millisecond lose no file', async () => {
  const directory = newDirectory();
  const path = join(directory, 'spans.json');
  const exporter = await open({ path, rotation: { maxMegabytes: 1, maxDays: 0, maxBackups: 0, localtime: false } });
  const long = 'n'.repeat(1024 * 1024);
  for (let i = 0; i < 4; i++) await send(exporter, long);
  await exporter.close();
  assert.equal(readdirSync(directory).length, 4);
});

test('backups expire by age and by number, and only what is named like one', () => {
  const now = Date.UTC(2026, 10, 20);
  const options = { maxMegabytes: 1, maxDays: 3, maxBackups: 0, localtime: false };
  const day = (days: number): string => backupPath('/var/log/a.b.json', now - days * 86_400_000, false).slice('/var/log/'.length);
  assert.equal(day(0), 'a.b-2026-11-20T00-00-00.000.json');
  const all = [
    day(5),
    day(1),
    day(2),
    day(4),
    'a.b.json',
    'a.b-x.json',
    'a.b-2026-11-20T00-00-00.000.json.gz',
    'a.c-2020-11-20T00-00-00.000.json',
  ];
  assert.deepEqual(expiredBackups('/var/log/a.b.json', all, options, now), [`/var/log/${day(4)}`, `/var/log/${day(5)}`]);
  assert.deepEqual(expiredBackups('/var/log/a.b.json', all, { ...options, maxDays: 0, maxBackups: 1 }, now), [
    `/var/log/${day(2)}`,
    `/var/log/${day(4)}`,
    `/var/log/${day(5)}`,
  ]);
  assert.deepEqual(expiredBackups('/var/log/a.b.json', all, { ...options, maxDays: 0 }, now), []);
});

test('local time names a backup and is read back from its name', () => {
  const now = Date.UTC(2026, 6, 1, 12);
  const name = backupPath('/x/a', now, true).slice('/x/'.length);
  const local = new Date(now);
  assert.ok(name.startsWith(`a-2026-`) && name.includes(`T${String(local.getHours()).padStart(2, '0')}-00-00.000`));
  const options = { maxMegabytes: 1, maxDays: 1, maxBackups: 0, localtime: true };
  assert.deepEqual(expiredBackups('/x/a', [name], options, now + 86_400_000), []);
  assert.deepEqual(expiredBackups('/x/a', [name], options, now + 86_400_001), [`/x/${name}`]);
});

test('a full disk is retryable, and says so', async () => {
  const exporter = await open({ path: '/dev/full' });
  const result = await send(exporter);
  assert.equal(result.kind, 'retryable');
  assert.match(result.message, /^cannot write to \/dev\/full: ENOSPC/);
  await exporter.close();
});

/** The real file system, with writes that stop after some bytes, and a truncation that may fail. */
function faulty(faults: { room: number; canTruncate: boolean }): FileSystem {
  return {
    ...files,
    async open(path, flags, mode) {
      const handle = await files.open(path, flags, mode);
      return new Proxy(handle, {
        get(target, property: keyof FileHandle) {
          if (property === 'truncate' && !faults.canTruncate) return () => Promise.reject(new Error('EIO: cannot truncate'));
          if (property === 'write') {
            return async (bytes: Uint8Array, offset: number, length: number) => {
              if (faults.room === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
              const written = await target.write(bytes, offset, Math.min(length, faults.room));
              faults.room -= written.bytesWritten;
              return written;
            };
          }
          const value: unknown = Reflect.get(target, property);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    },
  };
}

test('a line that was torn by a full disk is taken back', async () => {
  const path = join(newDirectory(), 'spans.json');
  const faults = { room: Infinity, canTruncate: true };
  const exporter = await open({ path }, faulty(faults));
  await send(exporter, 'a');
  faults.room = 100;
  assert.equal((await send(exporter, 'b')).kind, 'retryable');
  assert.deepEqual(names(path), ['a']);
  faults.room = Infinity;
  assert.equal((await send(exporter, 'b')).kind, 'accepted');
  await exporter.close();
  assert.deepEqual(names(path), ['a', 'b']);
});

test('a torn line that cannot be taken back is ended before the next one', async () => {
  const path = join(newDirectory(), 'spans.json');
  const faults = { room: Infinity, canTruncate: false };
  const exporter = await open({ path, append: true }, faulty(faults));
  await send(exporter, 'a');
  faults.room = 100;
  assert.equal((await send(exporter, 'b')).kind, 'retryable');
  faults.room = Infinity;
  assert.equal((await send(exporter, 'c')).kind, 'accepted');
  await exporter.close();
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines.length, 4);
  assert.equal(lines[1]?.length, 100);
  assert.equal(nameOf(lines[0] ?? ''), 'a');
  assert.equal(nameOf(lines[2] ?? ''), 'c');
});

test('a file that somebody left in the middle of a line is continued on a new one', async () => {
  const path = join(newDirectory(), 'spans.json');
  writeFileSync(path, '{"resourceSp');
  const exporter = await open({ path, append: true });
  await send(exporter, 'a');
  await exporter.close();
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines[0], '{"resourceSp');
  assert.equal(nameOf(lines[1] ?? ''), 'a');
});

test('a rotation that the file system forbids is refused, and the file is found again', async () => {
  const path = join(newDirectory(), 'spans.json');
  let isForbidden = true;
  const system: FileSystem = {
    ...files,
    rename: (from, to) =>
      isForbidden
        ? Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }))
        : files.rename(from, to),
  };
  const exporter = await open({ path, rotation: { maxMegabytes: 1, maxDays: 0, maxBackups: 0, localtime: false } }, system);
  await send(exporter, 'n'.repeat(1024 * 1024));
  assert.deepEqual(await send(exporter, 'b'), { kind: 'refused', message: `cannot write to ${path}: EACCES: permission denied` });
  isForbidden = false;
  assert.equal((await send(exporter, 'c')).kind, 'accepted');
  await exporter.close();
  assert.equal(names(path).at(-1), 'c');
});
