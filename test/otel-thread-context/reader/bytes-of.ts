// Bytes as a writer lays them out: records, process contexts and their payloads, memory made of a few pieces.
import type { ReadAt } from '../../../otel-thread-context/reader/index.ts';

export interface RecordFields {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly valid?: number;
  readonly flags?: number;
  /** Key index and value. */
  readonly attributes?: readonly (readonly [number, string | Uint8Array])[];
  /** What attrs-data-size says, when it is not the truth. */
  readonly size?: number;
}

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
export const SPAN_ID = 'b7ad6b7169203331';

export function recordBytes(fields: RecordFields = {}): Buffer {
  const entries = (fields.attributes ?? []).map(([key, value]) => {
    const bytes = Buffer.from(value as Uint8Array);
    return Buffer.concat([Uint8Array.of(key, bytes.length), bytes]);
  });
  const attributes = Buffer.concat(entries);
  const tail = Buffer.alloc(4);
  tail[0] = fields.valid ?? 1;
  tail[1] = fields.flags ?? 1;
  tail.writeUInt16LE(fields.size ?? attributes.length, 2);
  const ids = Buffer.from((fields.traceId ?? TRACE_ID) + (fields.spanId ?? SPAN_ID), 'hex');
  return Buffer.concat([ids, tail, attributes]);
}

export function varint(value: bigint | number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function field(number: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

export const anyString = (text: string): Buffer => field(1, text);
export const anyInteger = (value: bigint): Buffer => Buffer.concat([varint(3 * 8), varint(value)]);
export const anyArray = (values: readonly Uint8Array[]): Buffer =>
  field(5, Buffer.concat(values.map((value) => field(1, value))));
export const keyValue = (key: string, value: Uint8Array): Buffer => Buffer.concat([field(1, key), field(2, value)]);

/** A ProcessContext message; values are AnyValue messages. */
export function payloadBytes(
  resource: Readonly<Record<string, Uint8Array>>,
  attributes: Readonly<Record<string, Uint8Array>>,
): Buffer {
  const inner = Object.entries(resource).map(([key, value]) => field(1, keyValue(key, value)));
  const outer = Object.entries(attributes).map(([key, value]) => field(2, keyValue(key, value)));
  return Buffer.concat([field(1, Buffer.concat(inner)), ...outer]);
}

export interface HeaderFields {
  readonly signature?: string;
  readonly version?: number;
  readonly payloadSize: number;
  readonly publishedAt?: bigint;
  readonly payload: number | bigint;
}

export function headerBytes({
  signature = 'OTEL_CTX',
  version = 2,
  payloadSize,
  publishedAt = 7n,
  payload,
}: HeaderFields): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.write(signature, 0, 'latin1');
  bytes.writeUInt32LE(version, 8);
  bytes.writeUInt32LE(payloadSize, 12);
  bytes.writeBigUInt64LE(publishedAt, 16);
  bytes.writeBigUInt64LE(BigInt(payload), 24);
  return bytes;
}

/** Memory that consists of these pieces, by address. */
export function memoryOf(pieces: Readonly<Record<number, Uint8Array>>): ReadAt {
  return (address, size) => {
    for (const [base, bytes] of Object.entries(pieces)) {
      const from = address - Number(base);
      if (from >= 0 && size >= 0 && from + size <= bytes.length) return Uint8Array.from(bytes.subarray(from, from + size));
    }
    return undefined;
  };
}

/** Little-endian 64-bit words. */
export function words(...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), i * 8));
  return bytes;
}

/** A generator of numbers in [0, below) that always gives the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below;
  };
}
