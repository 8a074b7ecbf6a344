// Texts of the configuration → values: Go durations → milliseconds, sizes → bytes, port ranges, CIDR prefixes, paths, modes.
// Each returns undefined when the text is not of its form. Durations: https://pkg.go.dev/time#ParseDuration
import { isIPv4, isIPv6 } from 'node:net';
import type { Cidr, PortRange } from './types.ts';

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const durationPart = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** `200ms`, `1m30s`, `1.5h`, `0`. Negative durations have no use here. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  let total = 0;
  let position = 0;
  while (position < text.length) {
    durationPart.lastIndex = position;
    const match = durationPart.exec(text);
    if (match === null) return undefined;
    total += Number(match[1]) * (unitMs[match[2] ?? ''] ?? NaN);
    position = durationPart.lastIndex;
  }
  // An int64 of nanoseconds ends at 292 years.
  return text === '' || total > 9.2e15 / 1e3 ? undefined : total;
}

const sizeForm = /^(\d{1,15})(B|KiB|MiB|GiB)?$/;
const unitBytes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `32768`, `32KiB`, `8MiB`. */
export function parseSizeBytes(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  const match = sizeForm.exec(value);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (unitBytes[match[2] ?? 'B'] ?? NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest unit that says it exactly. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const size = unitBytes[unit] ?? NaN;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}

/** `8080` or `8000-8999`. */
export function parsePortRange(value: string | number): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && first <= last && last <= 65535 ? { first, last } : undefined;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. An IPv4-mapped prefix is given as IPv4, as the addresses it is compared with are. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  const address = match?.[1];
  if (match === null || address === undefined) return undefined;
  const isVersion4 = isIPv4(address);
  if (!isVersion4 && !(isIPv6(address) && !address.includes('%'))) return undefined;
  const width = isVersion4 ? 32 : 128;
  const prefixLength = match[2] === undefined ? width : Number(match[2]);
  if (prefixLength > width) return undefined;
  const bytes = maskBytes(isVersion4 ? address.split('.').map(Number) : parseIPv6(address), prefixLength);
  if (isVersion4) return { ipVersion: 4, bytes, prefixLength };
  const isMapped = prefixLength >= 96 && bytes.every((byte, at) => at >= 12 || byte === (at < 10 ? 0 : 255));
  return isMapped
    ? { ipVersion: 4, bytes: bytes.slice(12), prefixLength: prefixLength - 96 }
    : { ipVersion: 6, bytes, prefixLength };
}

/** The 16 bytes of a text that `isIPv6` accepts. */
function parseIPv6(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = parseGroups(head);
  const after = tail === undefined ? [] : parseGroups(tail);
  return [...before, ...new Array<number>(16 - before.length - after.length).fill(0), ...after];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const number = parseInt(group, 16);
    return [number >> 8, number & 0xff];
  });
}

function maskBytes(bytes: readonly number[], prefixLength: number): number[] {
  return bytes.map((byte, at) => {
    const kept = Math.min(8, Math.max(0, prefixLength - at * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

/** `/usr/sbin/nginx`: not `/`, no empty part, no `.` and no `..`. */
export function parseAbsolutePath(path: string): string | undefined {
  return path.startsWith('/') && !hasOddPart(path.slice(1)) ? path : undefined;
}

/** With one slash in front and none behind; the mount point is not part of it. */
export function parseCgroup(path: string): string | undefined {
  const inner = path.replace(/^\//, '').replace(/\/$/, '');
  return inner === '' || hasOddPart(inner) || inner.startsWith('sys/fs/cgroup') ? undefined : `/${inner}`;
}

function hasOddPart(path: string): boolean {
  return path.includes('\0') || path.split('/').some((part) => part === '' || part === '.' || part === '..');
}

/** `0660`, `660`: permission bits. */
export function parseMode(text: string): number | undefined {
  return /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
