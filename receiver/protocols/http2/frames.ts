// Frames and what is lawful of them: types, flags, sizes, streams, names of error codes. RFC 9113, 4, 6 and 7.

import type { Side } from '../../model/protocol.ts';

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const FRAME_HEADER_SIZE = 9;
export const SETTING_SIZE = 6;
/** Of a SETTINGS frame that begins a connection. */
export const MAX_FIRST_SETTINGS_SIZE = 1024;
export const INITIAL_MAX_FRAME_SIZE = 16_384;
export const LARGEST_FRAME_SIZE = 0xff_ffff;
export const SETTINGS_MAX_FRAME_SIZE = 5;

/** With what a client begins. */
export const PREFACE: Uint8Array = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const ERRORS: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

export function errorName(code: number): string {
  return ERRORS[code] ?? String(code);
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

/** False: whoever receives a frame of this header ends the connection for it. Frames of unknown types are ignored by all. */
export function isLawful(type: number, flags: number, length: number, stream: number): boolean {
  switch (type) {
    case FrameType.data:
    case FrameType.headers:
      return stream !== 0 && ((flags & Flag.padded) === 0 || length > 0);
    case FrameType.priority:
    case FrameType.continuation:
      return stream !== 0;
    case FrameType.pushPromise:
      return stream !== 0 && length >= ((flags & Flag.padded) === 0 ? 4 : 5);
    case FrameType.rstStream:
      return stream !== 0 && length === 4;
    case FrameType.settings:
      return stream === 0 && length % SETTING_SIZE === 0 && ((flags & Flag.ack) === 0 || length === 0);
    case FrameType.ping:
      return stream === 0 && length === 8;
    case FrameType.goaway:
      return stream === 0 && length >= 8;
    case FrameType.windowUpdate:
      return length === 4;
    default:
      return true;
  }
}

/** By type: the flags that it may have. */
const FLAGS: readonly number[] = [
  Flag.endStream | Flag.padded,
  Flag.endStream | Flag.endHeaders | Flag.padded | Flag.priority,
  0,
  0,
  Flag.ack,
  Flag.endHeaders | Flag.padded,
  Flag.ack,
  0,
  0,
  Flag.endHeaders,
];

/** Is this what the header of a frame looks like? Stricter than the law: bytes that are none shall not pass. `stream`: with the reserved bit. */
export function isPlausible(side: Side, type: number, flags: number, length: number, stream: number): boolean {
  if (type > FrameType.continuation || length > INITIAL_MAX_FRAME_SIZE) return false;
  if ((flags & ~(FLAGS[type] as number)) !== 0 || stream >= 2 ** 31) return false;
  if (type === FrameType.priority && length !== 5) return false;
  if (side === 'request') {
    if (type === FrameType.pushPromise) return false;
    if ((type === FrameType.headers || type === FrameType.data) && stream % 2 === 0) return false;
  }
  return isLawful(type, flags, length, stream);
}
