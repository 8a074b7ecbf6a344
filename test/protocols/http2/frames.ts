// Frames and header blocks for tests, made byte by byte; and a walk over frames that shares no code with the one that is tested.

export const TYPES = {
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

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 0x20;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type: number, flags: number, stream: number, payload: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const parts = Object.entries(values).map(([id, value]) => {
    const part = Buffer.alloc(6);
    part.writeUInt16BE(Number(id), 0);
    part.writeUInt32BE(value, 2);
    return part;
  });
  return frame(TYPES.settings, 0, 0, Buffer.concat(parts));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function integer(value: number, bits: number, first: number): Buffer {
  const mask = (1 << bits) - 1;
  if (value < mask) return Buffer.from([first | value]);
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** A field that is spelled out and goes into no table. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** A field that is spelled out and goes into the table. */
export function inserted(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

/** A value that goes into the table under the name of another entry. */
export function insertedAs(index: number, value: string): Buffer {
  return Buffer.concat([integer(index, 6, 0x40), text(value)]);
}

export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80);
}

export function resized(max: number): Buffer {
  return integer(max, 5, 0x20);
}

export function literals(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)));
}

export const GET = { ':method': 'GET', ':scheme': 'http', ':authority': 'a.example', ':path': '/' } as const;

export function request(stream: number, fields: Readonly<Record<string, string>> = {}, flags = END_HEADERS | END_STREAM): Buffer {
  return frame(TYPES.headers, flags, stream, literals({ ...GET, ...fields }));
}

export function response(stream: number, fields: Readonly<Record<string, string>> = {}, flags = END_HEADERS): Buffer {
  return frame(TYPES.headers, flags, stream, literals({ ':status': '200', ...fields }));
}

export function data(stream: number, size: number, flags = END_STREAM): Buffer {
  return frame(TYPES.data, flags, stream, Buffer.alloc(size, 0x64));
}

/** What the kernel tells of a part of a direction. */
export interface FramedPart {
  readonly size: number;
  /** Of these bytes, those that are no payload of DATA frames. */
  readonly bytes: Buffer;
  readonly toFrame: number;
  readonly isInData: boolean;
}

interface Frame {
  readonly start: number;
  readonly next: number;
  readonly isData: boolean;
}

/** One whole direction → what the kernel tells of any part of it. */
export class Framing {
  readonly #bytes: Buffer;
  readonly #frames: Frame[] = [];

  /** `first`: where the first frame begins. */
  constructor(bytes: Buffer, first: number) {
    this.#bytes = bytes;
    if (first > 0) this.#frames.push({ start: 0, next: first, isData: false });
    for (let at = first; at < bytes.length;) {
      const isWhole = at + 9 <= bytes.length;
      const next = isWhole ? at + 9 + bytes.readUIntBE(at, 3) : bytes.length;
      this.#frames.push({ start: at, next, isData: isWhole && bytes[at + 3] === TYPES.data });
      at = next;
    }
  }

  /** [from, to) as records: of one that begins within the header of a DATA frame, the payload is told in a record of its own. */
  parts(from: number, to: number): FramedPart[] {
    const frames = this.#frames.filter(({ start, next }) => next > from && start < to);
    const first = frames[0];
    if (first === undefined) return [{ size: to - from, bytes: Buffer.alloc(0), toFrame: 0, isInData: false }];
    const headerEnd = first.start + 9;
    if (first.isData && from > first.start && from < headerEnd && headerEnd < to) {
      return [...this.parts(from, headerEnd), ...this.parts(headerEnd, to)];
    }
    const kept = frames.map(({ start, next, isData }) =>
      this.#bytes.subarray(Math.max(start, from), Math.min(isData ? start + 9 : next, to)),
    );
    const isInside = from > first.start;
    const isInData = isInside && first.isData && from >= headerEnd;
    const toFrame = !isInside ? 0 : to < headerEnd && from < headerEnd ? 0xffff_ffff : first.next - from;
    return [{ size: to - from, bytes: Buffer.concat(kept), toFrame, isInData }];
  }
}
