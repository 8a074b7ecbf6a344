// HTTP/2 as bytes for tests of the kernel side: frames are written, and streams taken apart, independently of all other code.
export const frameType = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const HEADER = 9;

export function frame(type: number, stream: number, payload: Uint8Array, flags = 0): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Bytes that are all different from their neighbours, so that nothing shifted looks right. */
export function filler(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = ((at * 31 + seed * 17) ^ (at >> 8)) & 0xff;
  return bytes;
}

/** What every byte of a stream is. */
export interface Anatomy {
  readonly stream: Buffer;
  /** 1 for payload of DATA. */
  readonly isLeftOut: Uint8Array;
  /** Positions of frame headers, in order, up to and with one behind the end. */
  readonly headers: readonly number[];
}

export function takeApart(stream: Buffer): Anatomy {
  const isLeftOut = new Uint8Array(stream.length);
  const headers: number[] = [];
  let at = stream.subarray(0, preface.length).equals(preface) ? preface.length : 0;
  headers.push(at);
  while (at + HEADER <= stream.length) {
    const next = at + HEADER + stream.readUIntBE(at, 3);
    if (stream[at + 3] === frameType.data) isLeftOut.fill(1, at + HEADER, Math.min(next, stream.length));
    headers.push(next);
    at = next;
  }
  return { stream, isLeftOut, headers };
}
