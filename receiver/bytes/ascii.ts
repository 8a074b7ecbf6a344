// Questions that parsers of text protocols ask about bytes, answered in place: a string is made only for what is kept.
// Hot path. Character classes follow RFC 9110, 5.6.2 (tokens).

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** Bit `c & 31` of word `c >> 5` is set when byte `c` is a tchar. */
const TOKEN_MASKS: readonly number[] = [0, 0x03ff6cfa, 0xc7fffffe | 0, 0x57ffffff, 0, 0, 0, 0];

/** True for bytes that may stand in a token (a method, a field name). */
export function isTokenByte(byte: number): boolean {
  return (((TOKEN_MASKS[byte >>> 5] as number) >>> (byte & 31)) & 1) === 1;
}

/** Value of a hexadecimal digit, -1 for any other byte. */
export function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** True when bytes[from, to) is `name` in any case. `name` is lower-case letters and hyphens, and the bytes hold no control characters. */
export function equalsIgnoringCase(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    if (((bytes[from + i] as number) | 0x20) !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** True when bytes[from, to) is exactly the ASCII text `text`: lets a caller keep the string it already has. */
export function equalsText(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    const byte = bytes[from + i] as number;
    if (byte !== text.charCodeAt(i) || byte > 0x7f) return false;
  }
  return true;
}

/** A string from bytes[from, to): UTF-8, with U+FFFD for what is not. */
export function decodeText(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
}

/** The decimal number bytes[from, to), or -1 when that is not 1*DIGIT or not exact as a number. */
export function parseDecimal(bytes: Uint8Array, from: number, to: number): number {
  if (from >= to) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return value;
}

/** First index in [from, to) that is neither space nor tab. */
export function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
  return i;
}

/** End of bytes[from, to) without the spaces and tabs it ends in. */
export function trimBlanks(bytes: Uint8Array, from: number, to: number): number {
  let i = to;
  while (i > from && (bytes[i - 1] === SPACE || bytes[i - 1] === TAB)) i--;
  return i;
}

/** True when the comma-separated list bytes[from, to) has `item` in any case. */
export function hasListItem(bytes: Uint8Array, from: number, to: number, item: string): boolean {
  let begin = from;
  for (let i = from; i <= to; i++) {
    if (i < to && bytes[i] !== COMMA) continue;
    const start = skipBlanks(bytes, begin, i);
    if (equalsIgnoringCase(bytes, start, trimBlanks(bytes, start, i), item)) return true;
    begin = i + 1;
  }
  return false;
}
