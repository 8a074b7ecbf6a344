// Our own log: records in the Collector's console encoding (time, level, message and fields, tab-separated) or as one JSON object per line.
// Payload bytes have no business here; control characters of whatever a record quotes are escaped, so a record is one line.
import { closeSync, openSync, writeSync } from 'node:fs';
import { messageOf, ReceiverError } from './errors.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** For what can happen a thousand times a second: at most one record per `key` and 10 s; the next one says how many were `suppressed`. */
  warnLimited(key: string, message: string, fields?: LogFields): void;
  /** A logger whose records carry `fields` first. It shares the limits of {@link warnLimited}. */
  with(fields: LogFields): Logger;
}

type Level = 'debug' | 'info' | 'warn' | 'error';

const severity = { debug: 0, info: 1, warn: 2, error: 3 } as const;
const limitIntervalMs = 10_000;
const maxLimitKeys = 256;
const maxFieldDepth = 8;

export interface LoggerOptions {
  readonly level: Level;
  readonly encoding: 'console' | 'json';
  readonly initialFields: LogFields;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Takes one line, its end included. */
  readonly write: (line: string) => void;
}

interface Limit {
  since: number;
  suppressed: number;
}

export function createLogger(options: LoggerOptions): Logger {
  return createChild(options, options.initialFields, new Map());
}

function createChild(options: LoggerOptions, inherited: LogFields, limits: Map<string, Limit>): Logger {
  const log = (level: Level, message: string, fields: LogFields | undefined): void => {
    if (severity[level] < severity[options.level]) return;
    const all = fields === undefined ? inherited : { ...inherited, ...fields };
    const format = options.encoding === 'json' ? formatJsonRecord : formatConsoleRecord;
    options.write(format(new Date(options.now()).toISOString(), level, message, all));
  };
  return {
    debug: (message, fields) => {
      log('debug', message, fields);
    },
    info: (message, fields) => {
      log('info', message, fields);
    },
    warn: (message, fields) => {
      log('warn', message, fields);
    },
    error: (message, fields) => {
      log('error', message, fields);
    },
    warnLimited: (key, message, fields) => {
      const suppressed = takeTurn(limits, key, options.now());
      if (suppressed === undefined) return;
      log('warn', message, suppressed === 0 ? fields : { ...fields, suppressed });
    },
    with: (fields) => createChild(options, { ...inherited, ...fields }, limits),
  };
}

/** How many were suppressed since the last record of `key`, or `undefined` when this one is to be suppressed too. */
function takeTurn(limits: Map<string, Limit>, key: string, now: number): number | undefined {
  const limit = limits.get(key);
  // A wall clock set back must not silence a key for longer than the interval.
  if (limit !== undefined && now >= limit.since && now - limit.since < limitIntervalMs) {
    limit.suppressed++;
    return undefined;
  }
  if (limit === undefined && limits.size >= maxLimitKeys) {
    for (const oldest of limits.keys()) {
      limits.delete(oldest);
      break;
    }
  }
  limits.delete(key);
  limits.set(key, { since: now, suppressed: 0 });
  return limit?.suppressed ?? 0;
}

function formatConsoleRecord(time: string, level: Level, message: string, fields: LogFields): string {
  const tail = Object.keys(fields).length === 0 ? '' : `\t${stringify(fields)}`;
  return `${time}\t${level}\t${escapeControls(message)}${tail}\n`;
}

function formatJsonRecord(time: string, level: Level, message: string, fields: LogFields): string {
  return `${JSON.stringify(toJson({ level, ts: time, msg: message, ...fields }, 0))}\n`;
}

/** JSON with a space after `:` and `,`, as the Collector's console encoding has it. */
function stringify(fields: LogFields): string {
  return withSpaces(toJson(fields, 0));
}

function withSpaces(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(withSpaces).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}: ${withSpaces(item)}`)
      .join(', ')}}`;
  }
  return JSON.stringify(value);
}

/** Any value as what JSON can say: errors by their message, bigints as decimal strings, nothing deeper than the bound (so no cycles). */
function toJson(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'object':
      break;
    default:
      return String(value);
  }
  if (value === null) return null;
  if (value instanceof Error) return value.message;
  if (depth >= maxFieldDepth) return '…';
  if (Array.isArray(value)) return value.map((item) => toJson(item, depth + 1));
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const result: [string, unknown][] = [];
  for (const [key, item] of entries) if (item !== undefined) result.push([String(key), toJson(item, depth + 1)]);
  return Object.fromEntries(result);
}

const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escapeControls(text: string): string {
  return text.replace(controlCharacter, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export interface LogOutput {
  write(line: string): void;
  /** Closes what was opened; the standard streams stay open. */
  close(): void;
}

/** Writes to all `paths`: `stdout`, `stderr` or files, which are appended to. A file that fails later is reported once and left out. */
export function openLogOutput(
  paths: readonly string[],
  standard: { readonly stdout: (text: string) => void; readonly stderr: (text: string) => void },
  reportFailure: (message: string) => void,
): LogOutput {
  const writers: ((line: string) => void)[] = [];
  const files: number[] = [];
  const close = (): void => {
    for (const file of files.splice(0)) closeSync(file);
    writers.length = 0;
  };
  for (const path of paths) {
    if (path === 'stdout' || path === 'stderr') {
      writers.push(standard[path]);
      continue;
    }
    let file: number;
    try {
      file = openSync(path, 'a', 0o640);
    } catch (error) {
      close();
      throw new ReceiverError('USM_LOG_OUTPUT', { attempted: 'open the log file', on: path, happened: messageOf(error) }, error);
    }
    files.push(file);
    let isFailed = false;
    writers.push((line) => {
      if (isFailed) return;
      try {
        writeSync(file, line);
      } catch (error) {
        isFailed = true;
        reportFailure(`cannot write to the log file ${path}: ${messageOf(error)}; nothing more is written to it\n`);
      }
    });
  }
  return {
    write: (line) => {
      for (const writer of writers) writer(line);
    },
    close,
  };
}
