// What a connection, or an I/O, of HTTP/2 begins with. RFC 9113, 3.4 and 4.1.
import type { Side, Verdict } from '../../model/protocol.ts';
import {
  Flag,
  FRAME_HEADER_SIZE,
  FrameType,
  isPlausible,
  MAX_FIRST_SETTINGS_SIZE,
  PREFACE,
  SETTING_SIZE,
  uint32,
} from './frames.ts';

/** With the preface's first line it is certain. */
const PREFACE_LINE = 16;

/** What the first bytes that one side ever sent, bytes[from, to), are. */
export function recogniseFirst(side: Side, bytes: Uint8Array, from: number, to: number): Verdict {
  return side === 'request' ? recognisePreface(bytes, from, to) : recogniseSettings(bytes, from, to);
}

function recognisePreface(bytes: Uint8Array, from: number, to: number): Verdict {
  const size = Math.min(to - from, PREFACE.length);
  for (let i = 0; i < size; i++) if (bytes[from + i] !== PREFACE[i]) return 'no';
  if (size >= PREFACE_LINE) return 'yes';
  return size > 0 ? 'more' : 'no';
}

/** A server begins with SETTINGS. */
function recogniseSettings(bytes: Uint8Array, from: number, to: number): Verdict {
  const size = Math.min(to - from, FRAME_HEADER_SIZE);
  for (let i = 0; i < size; i++) {
    const byte = bytes[from + i] as number;
    const isPossible = i === 1 ? byte <= MAX_FIRST_SETTINGS_SIZE >>> 8 : i === 2 || byte === (i === 3 ? FrameType.settings : 0);
    if (!isPossible) return 'no';
  }
  if (size < FRAME_HEADER_SIZE) return 'more';
  const length = ((bytes[from + 1] as number) << 8) | (bytes[from + 2] as number);
  return length % SETTING_SIZE === 0 && length <= MAX_FIRST_SETTINGS_SIZE ? 'yes' : 'no';
}

/**
 * Do the bytes [from, to), with which an I/O begins, show that it begins with a frame? They do with two whole frames and nothing behind
 * them that cannot be a third, or with one of HEADERS or DATA that is all.
 */
export function beginsWithFrames(side: Side, bytes: Uint8Array, from: number, to: number): boolean {
  let count = 0;
  let isContinued = 0;
  for (let at = from; at < to;) {
    if (to - at < FRAME_HEADER_SIZE) return count >= 2;
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const stream = uint32(bytes, at + 5);
    if (!isPlausible(side, type, flags, length, stream)) return false;
    if (type === FrameType.continuation ? stream !== isContinued : isContinued !== 0) return false;
    const isBlock = type === FrameType.headers || type === FrameType.pushPromise || type === FrameType.continuation;
    isContinued = isBlock && (flags & Flag.endHeaders) === 0 ? stream : 0;
    at += FRAME_HEADER_SIZE + length;
    if (at > to) return count >= 2;
    count++;
    if (count === 1 && at === to) return type === FrameType.headers || type === FrameType.data;
  }
  return count >= 2;
}
