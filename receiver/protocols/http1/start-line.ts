// The first line of a message: how much of it bytes can be. One grammar for recognising a connection and for reading it.
// RFC 9112, 3 (request-line) and 4 (status-line). Hot path.
import { CR, isTokenByte, LF, SPACE } from '../../bytes/ascii.ts';
import type { Side, Verdict } from '../../model/protocol.ts';

/** Scan results below zero; any other result is the index behind the line. */
export const MORE = -1;
export const MALFORMED = -2;

/** The longest registered method has 17 characters; a longer "method" than this is some other text. */
const MAX_METHOD_SIZE = 256;
const DELETE = 0x7f;

/** Length of `HTTP/1.1`. */
export const VERSION_SIZE = 8;
/** Length of `HTTP/1.1 200`. */
const STATUS_SIZE = 12;

/** Index behind the request line that begins at `from`, {@link MORE} or {@link MALFORMED}. */
export function scanRequestLine(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  for (; ; i++) {
    if (i >= to) return i - from > MAX_METHOD_SIZE ? MALFORMED : MORE;
    const byte = bytes[i] as number;
    if (byte === SPACE) break;
    if (!isTokenByte(byte)) return MALFORMED;
  }
  if (i === from || i - from > MAX_METHOD_SIZE) return MALFORMED;
  const target = ++i;
  for (; ; i++) {
    if (i >= to) return MORE;
    const byte = bytes[i] as number;
    if (byte === SPACE) break;
    // Bytes above ASCII are tolerated, as servers do: they frame nothing.
    if (byte < SPACE || byte === DELETE) return MALFORMED;
  }
  if (i === target) return MALFORMED;
  i = scanVersion(bytes, i + 1, to);
  if (i < 0) return i;
  if (i >= to) return MORE;
  if (bytes[i] === LF) return i + 1;
  if (bytes[i] !== CR) return MALFORMED;
  if (i + 1 >= to) return MORE;
  return bytes[i + 1] === LF ? i + 2 : MALFORMED;
}

/** Index behind `HTTP/1.x SP 3DIGIT` at `from`, {@link MORE} or {@link MALFORMED}; what follows it is checked as far as it is there. */
export function scanStatus(bytes: Uint8Array, from: number, to: number): number {
  const i = scanVersion(bytes, from, to);
  if (i < 0) return i;
  if (i >= to) return MORE;
  if (bytes[i] !== SPACE) return MALFORMED;
  const end = from + STATUS_SIZE;
  for (let k = i + 1; k < end; k++) {
    if (k >= to) return MORE;
    const digit = (bytes[k] as number) - 0x30;
    if (digit < (k === i + 1 ? 1 : 0) || digit > 9) return MALFORMED;
  }
  if (end < to && bytes[end] !== SPACE && bytes[end] !== CR && bytes[end] !== LF) return MALFORMED;
  return end;
}

/** What {@link MORE} and the others say about bytes[from, to) that open one side, empty lines before them tolerated (RFC 9112, 2.2). */
export function recogniseStart(side: Side, bytes: Uint8Array, from: number, to: number, maxHeadSize: number): Verdict {
  const first = skipEmptyLines(bytes, from, to);
  if (first >= to) return to - from > maxHeadSize ? 'no' : 'more';
  const end = side === 'request' ? scanRequestLine(bytes, first, to) : scanStatus(bytes, first, to);
  if (end >= 0) return 'yes';
  return end === MORE && to - from <= maxHeadSize ? 'more' : 'no';
}

/** Index of the first byte that is not part of an empty line. */
export function skipEmptyLines(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && (bytes[i] === CR || bytes[i] === LF)) i++;
  return i;
}

function scanVersion(bytes: Uint8Array, from: number, to: number): number {
  const end = from + VERSION_SIZE;
  if (end <= to) {
    const isVersion =
      bytes[from] === 0x48 &&
      bytes[from + 1] === 0x54 &&
      bytes[from + 2] === 0x54 &&
      bytes[from + 3] === 0x50 &&
      bytes[from + 4] === 0x2f &&
      bytes[from + 5] === 0x31 &&
      bytes[from + 6] === 0x2e &&
      (bytes[from + 7] === 0x30 || bytes[from + 7] === 0x31);
    return isVersion ? end : MALFORMED;
  }
  for (let i = from; i < to; i++) {
    // The last character, which may be 0 or 1, is never reached here.
    if (bytes[i] !== 'HTTP/1.'.charCodeAt(i - from)) return MALFORMED;
  }
  return MORE;
}
