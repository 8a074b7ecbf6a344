// Names and ages of rotated files, as the lumberjack writer of the Collector names them: `name-2006-01-02T15-04-05.000.ext` beside `name.ext`.
import { basename, dirname, extname, join } from 'node:path';

export interface RotationOptions {
  readonly maxMegabytes: number;
  /** 0: old files are not removed for their age. */
  readonly maxDays: number;
  /** 0: all old files are kept. */
  readonly maxBackups: number;
  readonly localtime: boolean;
}

const MS_PER_DAY = 86_400_000;
const STAMP = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)-(\d\d)-(\d\d)\.(\d{3})$/;

export function backupPath(path: string, unixMs: number, isLocal: boolean): string {
  const extension = extname(path);
  return join(dirname(path), `${basename(path, extension)}-${stamp(unixMs, isLocal)}${extension}`);
}

/** Which of the files in the folder of `path` are backups that the options no longer keep. */
export function expiredBackups(
  path: string,
  names: readonly string[],
  options: RotationOptions,
  nowUnixMs: number,
): readonly string[] {
  const extension = extname(path);
  const prefix = `${basename(path, extension)}-`;
  const backups: { readonly path: string; readonly unixMs: number }[] = [];
  for (const name of names) {
    if (!name.startsWith(prefix) || !name.endsWith(extension)) continue;
    const unixMs = parseStamp(name.slice(prefix.length, name.length - extension.length), options.localtime);
    if (unixMs !== undefined) backups.push({ path: join(dirname(path), name), unixMs });
  }
  backups.sort((a, b) => b.unixMs - a.unixMs);
  const oldest = options.maxDays > 0 ? nowUnixMs - options.maxDays * MS_PER_DAY : -Infinity;
  const kept = options.maxBackups > 0 ? options.maxBackups : Infinity;
  return backups.filter((backup, index) => index >= kept || backup.unixMs < oldest).map((backup) => backup.path);
}

function stamp(unixMs: number, isLocal: boolean): string {
  // Shifted by the zone's offset, the UTC fields read as local time.
  const shiftMs = isLocal ? new Date(unixMs).getTimezoneOffset() * 60_000 : 0;
  return new Date(unixMs - shiftMs).toISOString().slice(0, -1).replaceAll(':', '-');
}

function parseStamp(text: string, isLocal: boolean): number | undefined {
  const match = STAMP.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second, ms] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return isLocal
    ? new Date(year, month - 1, day, hour, minute, second, ms).getTime()
    : Date.UTC(year, month - 1, day, hour, minute, second, ms);
}
