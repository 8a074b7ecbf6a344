// Little-endian numbers out of byte blocks, and the one way in which this folder reads anything: so many bytes at an address.

/**
 * Exactly `size` bytes at `address` (of a process's memory, or an offset of a file), or undefined when not all of them can be read,
 * or the numbers make no sense (Infinity and NaN included). Nothing changes the bytes afterwards.
 */
export type ReadAt = (address: number, size: number) => Uint8Array | undefined;

/** User-space addresses of both architectures fit 2^48, 2^52 with the largest page tables: exact as numbers. */
export const MAX_ADDRESS = 2 ** 52;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The unsigned 64-bit number at `at`; Infinity when it is not exact as a number, so that it fails every check of a bound. */
export function u64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high > 0x1fffff ? Infinity : high * 0x1_0000_0000 + view.getUint32(at, true);
}

/** The signed 64-bit number at `at`; Infinity or -Infinity when it is not exact as a number. */
export function s64(view: DataView, at: number): number {
  const high = view.getInt32(at + 4, true);
  if (high > 0x1fffff) return Infinity;
  if (high < -0x200000) return -Infinity;
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}

/** The 64-bit word at an address, or undefined when it can't be read. */
export function readWord(read: ReadAt, address: number): number | undefined {
  const bytes = isAddress(address) ? read(address, 8) : undefined;
  return bytes && u64(viewOf(bytes), 0);
}

export function isAddress(value: number): boolean {
  return value > 0 && value < MAX_ADDRESS;
}

/** What `bytes` holds at offsets [base, base + length). */
export function readsOf(bytes: Uint8Array, base = 0): ReadAt {
  return (address, size) => {
    const from = address - base;
    return from >= 0 && size >= 0 && from + size <= bytes.length ? bytes.subarray(from, from + size) : undefined;
  };
}

/** The text from `from` to the first NUL, or undefined when there is none before `limit` bytes. */
export function cString(bytes: Uint8Array, from: number, limit: number): string | undefined {
  const end = bytes.indexOf(0, from);
  if (end === -1 || end - from > limit) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1');
}

/** True when bytes[at, …) begins with the ASCII text and a NUL. */
export function isCString(bytes: Uint8Array, at: number, text: string): boolean {
  if (at < 0 || at + text.length >= bytes.length || bytes[at + text.length] !== 0) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

export function hexAddress(value: number): string {
  return `0x${value.toString(16)}`;
}

export function signedHex(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
