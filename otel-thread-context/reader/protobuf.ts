// Protobuf wire format → fields, one by one. Every length is held against what is left, so a lying one ends the message.
// https://protobuf.dev/programming-guides/encoding/
import { viewOf } from './bytes.ts';

export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field of a message; `bytes` is set for length-delimited ones, `value` for the others. */
export interface Field {
  readonly number: number;
  readonly wireType: number;
  readonly value: bigint;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);
const MAX_VARINT_SIZE = 10;

/** Calls `visit` for each field. False when the bytes are no message, or when `visit` returned false. */
export function readFields(message: Uint8Array, visit: (field: Field) => boolean): boolean {
  const view = viewOf(message);
  let at = 0;

  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_SIZE && at < message.length; i++) {
      const byte = message[at++] as number;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return undefined;
  };

  while (at < message.length) {
    const tag = varint();
    if (tag === undefined || tag > 0xffffffffn || tag >> 3n === 0n) return false;
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    let value = 0n;
    let bytes: Uint8Array = NO_BYTES;
    if (wireType === WireType.varint) {
      const read = varint();
      if (read === undefined) return false;
      value = read;
    } else if (wireType === WireType.bytes) {
      const size = varint();
      if (size === undefined || size > BigInt(message.length - at)) return false;
      bytes = message.subarray(at, at + Number(size));
      at += bytes.length;
    } else if (wireType === WireType.fixed64 || wireType === WireType.fixed32) {
      const size = wireType === WireType.fixed64 ? 8 : 4;
      if (at + size > message.length) return false;
      value = size === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
      at += size;
    } else {
      return false;
    }
    if (!visit({ number, wireType, value, bytes })) return false;
  }
  return true;
}
