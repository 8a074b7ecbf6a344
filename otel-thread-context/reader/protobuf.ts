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
const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** How many fields may still be read, of all messages inside one. */
export interface FieldBudget {
  fields: number;
}

/** Calls `visit` for each field. False when the bytes are no message, hold too many fields, or when `visit` returned false. */
export function readFields(message: Uint8Array, budget: FieldBudget, visit: (field: Field) => boolean): boolean {
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
  // Of tags and lengths, which fit five bytes. -1 when there is none.
  const shortVarint = (): number => {
    let value = 0;
    for (let i = 0, scale = 1; i < 5 && at < message.length; i++, scale *= 128) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return -1;
  };

  while (at < message.length) {
    if (--budget.fields < 0) return false;
    const tag = shortVarint();
    const number = Math.floor(tag / 8);
    const wireType = tag & 7;
    if (tag < 0 || number === 0 || number > MAX_FIELD_NUMBER) return false;
    let value = 0n;
    let bytes: Uint8Array = NO_BYTES;
    if (wireType === WireType.varint) {
      const read = varint();
      if (read === undefined) return false;
      value = read;
    } else if (wireType === WireType.bytes) {
      const size = shortVarint();
      if (size < 0 || size > message.length - at) return false;
      bytes = message.subarray(at, at + size);
      at += size;
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
