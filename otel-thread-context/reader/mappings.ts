// /proc/PID/maps → mappings that have a name. https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html
import { MAX_ADDRESS } from './bytes.ts';

export interface Mapping {
  readonly start: number;
  readonly end: number;
  /** Of `start` in the file. */
  readonly offset: number;
  readonly isExecutable: boolean;
  /** Major and minor number, as printed. */
  readonly device: string;
  /** 0 when no file is mapped. */
  readonly inode: number;
  /** As printed: ` (deleted)` at the end of what has no name any more, `\012` for a newline. */
  readonly name: string;
}

const MAX_MAPPINGS = 65_536;

/** Mappings without a name, shared ones of files, and lines that make no sense, are left out. */
export function parseMappings(bytes: Uint8Array): readonly Mapping[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const mappings: Mapping[] = [];
  for (let from = 0; from < text.length && mappings.length < MAX_MAPPINGS;) {
    const newline = text.indexOf('\n', from);
    // The last line of a listing that was cut off is not a line.
    if (newline === -1) break;
    const mapping = parseLine(text, from, newline);
    if (mapping) mappings.push(mapping);
    from = newline + 1;
  }
  return mappings;
}

/** `start-end rwxp offset major:minor inode    name` */
function parseLine(text: string, from: number, to: number): Mapping | undefined {
  const afterRange = text.indexOf(' ', from);
  const afterMode = text.indexOf(' ', afterRange + 1);
  const afterOffset = text.indexOf(' ', afterMode + 1);
  const afterDevice = text.indexOf(' ', afterOffset + 1);
  const afterInode = text.indexOf(' ', afterDevice + 1);
  if (afterRange === -1 || afterInode === -1 || afterInode >= to) return undefined;
  let nameAt = afterInode;
  while (nameAt < to && text[nameAt] === ' ') nameAt++;
  if (nameAt === to) return undefined;
  // Data that is shared, of which some processes map very much: no loader and no publisher maps like that.
  if (text[afterRange + 4] === 's' && text[nameAt] === '/' && !text.startsWith('/memfd:', nameAt)) return undefined;
  const dash = text.indexOf('-', from);
  const start = parseInt(text.slice(from, dash), 16);
  const end = parseInt(text.slice(dash + 1, afterRange), 16);
  const offset = parseInt(text.slice(afterMode + 1, afterOffset), 16);
  const inode = parseInt(text.slice(afterDevice + 1, afterInode), 10);
  if (!(start < end && end <= MAX_ADDRESS && offset >= 0 && inode >= 0)) return undefined;
  return {
    start,
    end,
    offset,
    isExecutable: text[afterRange + 3] === 'x',
    device: text.slice(afterOffset + 1, afterDevice),
    inode,
    name: text.slice(nameAt, to),
  };
}
