import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ReceiverError } from '../receiver/errors.ts';
import type { Logger, LoggerOptions } from '../receiver/log.ts';
import { createLogger, openLogOutput } from '../receiver/log.ts';

function createRecorder(options: Partial<LoggerOptions> = {}): {
  readonly logger: Logger;
  readonly lines: string[];
  readonly clock: { now: number };
} {
  const lines: string[] = [];
  const clock = { now: Date.UTC(2026, 10, 21, 7, 21, 0, 5) };
  const logger = createLogger({
    level: 'debug',
    encoding: 'console',
    initialFields: {},
    now: () => clock.now,
    write: (line) => lines.push(line),
    ...options,
  });
  return { logger, lines, clock };
}

const neverFails = (line: string): void => {
  throw new Error(`unexpected failure: ${line}`);
};

test('console records are time, level, message and fields, separated by tabs', () => {
  const { logger, lines } = createRecorder();
  logger.info('Everything is ready. Begin running and processing data.');
  logger.warn('Exporting failed', {
    exporter: 'otlp',
    attempts: 3,
    reasons: { queue_full: 1 },
    list: ['a', 2],
    ok: false,
    none: null,
  });
  assert.deepEqual(lines, [
    '2026-11-21T07:21:00.005Z\tinfo\tEverything is ready. Begin running and processing data.\n',
    '2026-11-21T07:21:00.005Z\twarn\tExporting failed\t{"exporter": "otlp", "attempts": 3, "reasons": {"queue_full": 1}, "list": ["a", 2], "ok": false, "none": null}\n',
  ]);
});

test('JSON records are one object per line', () => {
  const { logger, lines } = createRecorder({ encoding: 'json', initialFields: { host: 'a' } });
  logger.error('Ledger', { balanced: true });
  assert.deepEqual(lines, ['{"level":"error","ts":"2026-11-21T07:21:00.005Z","msg":"Ledger","host":"a","balanced":true}\n']);
});

test('records below the level are not written', () => {
  const { logger, lines } = createRecorder({ level: 'warn' });
  logger.debug('d');
  logger.info('i');
  logger.warn('w');
  logger.error('e');
  assert.deepEqual(
    lines.map((line) => line.split('\t')[1]),
    ['warn', 'error'],
  );
});

test('a child logger adds its fields, and later ones win', () => {
  const { logger, lines } = createRecorder({ initialFields: { a: 1, b: 1 } });
  logger.with({ b: 2, c: 2 }).with({ d: 3 }).info('m', { c: 4 });
  assert.match(lines[0] ?? '', /\{"a": 1, "b": 2, "c": 4, "d": 3\}\n$/);
});

test('a record is one line whatever it quotes', () => {
  for (const encoding of ['console', 'json'] as const) {
    const { logger, lines } = createRecorder({ encoding });
    logger.info('a\nb\tc\u001b[31m\u2028d\u007f', { 'k\n': 'v\r\n\u001b' });
    assert.equal(lines.length, 1);
    assert.equal(/[\u0000-\u0008\u000b-\u001f]/.test(lines[0] ?? ''), false);
    assert.equal((lines[0] ?? '').indexOf('\n'), (lines[0] ?? '').length - 1);
  }
  const { logger, lines } = createRecorder();
  logger.info('a\nb\tc\u001b');
  assert.ok(lines[0]?.endsWith('\ta\\nb\\tc\\u001b\n'));
});

test('fields that JSON cannot say are written as text, and depth is bounded', () => {
  const { logger, lines } = createRecorder({ encoding: 'json' });
  const cycle: Record<string, unknown> = { name: 'c' };
  cycle['self'] = cycle;
  logger.info('m', { big: 2n ** 64n, nan: NaN, error: new Error('broken'), map: new Map([['k', 1]]), gone: undefined, cycle });
  const { big, nan, error, map, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual({ big, nan, error, map }, { big: '18446744073709551616', nan: 'NaN', error: 'broken', map: { k: 1 } });
  assert.equal('gone' in rest, false);
  assert.match(lines[0] ?? '', /"self":"…"/);
});

test('a repeating warning is written once in 10 s and says how many were suppressed', () => {
  const { logger, lines, clock } = createRecorder();
  const child = logger.with({ c: 1 });
  for (let time = 0; time < 5; time++) (time % 2 === 0 ? logger : child).warnLimited('k', 'm');
  logger.warnLimited('other', 'o');
  clock.now += 9_999;
  logger.warnLimited('k', 'm');
  clock.now += 1;
  logger.warnLimited('k', 'm', { n: 1 });
  clock.now += 10_000;
  logger.warnLimited('k', 'm');
  assert.deepEqual(
    lines.map((line) => line.split('\t').slice(2).join(' ').trim()),
    ['m', 'o', 'm {"n": 1, "suppressed": 5}', 'm'],
  );
});

test('a clock set back does not silence a warning', () => {
  const { logger, lines, clock } = createRecorder();
  logger.warnLimited('k', 'm');
  clock.now -= 3_600_000;
  logger.warnLimited('k', 'm');
  assert.equal(lines.length, 2);
});

test('the keys of repeating warnings are bounded: the oldest is forgotten', () => {
  const { logger, lines } = createRecorder();
  for (let key = 0; key < 257; key++) logger.warnLimited(`k${key}`, 'm');
  logger.warnLimited('k0', 'again');
  logger.warnLimited('k256', 'again');
  assert.equal(lines.length, 258);
});

test('records go to every output; files are appended to', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'usm-log-'));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'a.log');
  const written: string[] = [];
  const standard = {
    stdout: (text: string) => void written.push(`out ${text}`),
    stderr: (text: string) => void written.push(`err ${text}`),
  };
  const first = openLogOutput(['stdout', path, 'stderr'], standard, neverFails);
  first.write('1\n');
  first.close();
  first.close();
  first.write('lost after close\n');
  const second = openLogOutput([path], standard, neverFails);
  second.write('2\n');
  second.close();
  assert.deepEqual(written, ['out 1\n', 'err 1\n']);
  assert.equal(readFileSync(path, 'utf8'), '1\n2\n');
});

test('a log file that cannot be opened is an error that names it', () => {
  assert.throws(
    () => openLogOutput(['/nowhere/a.log'], { stdout: neverFails, stderr: neverFails }, neverFails),
    (error: unknown) =>
      error instanceof ReceiverError &&
      error.code === 'USM_LOG_OUTPUT' &&
      error.message.startsWith('cannot open the log file /nowhere/a.log: ENOENT: no such file or directory'),
  );
});

test('a log file that fails later is reported once', () => {
  const failures: string[] = [];
  const output = openLogOutput(['/dev/full'], { stdout: neverFails, stderr: neverFails }, (message) => failures.push(message));
  output.write('a\n');
  output.write('b\n');
  output.close();
  assert.equal(failures.length, 1);
  assert.match(failures[0] ?? '', /^cannot write to the log file \/dev\/full: ENOSPC.*; nothing more is written to it\n$/);
});
