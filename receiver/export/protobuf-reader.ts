// Protobuf wire format, read field by field: bytes → fields, bounds-checked, never throws. Enough for the small messages that backends answer.

export interface ProtobufField {
  readonly number: number;
  /** A varint or a fixed number; exact below 2^53. 0 for bytes. */
  readonly value: number;
  /** Content of a length-delimited field; empty for numbers. */
  readonly bytes: Uint8Array;
}

/** A backend's answer that has more fields than this is not one of the messages that we know. */
const MAX_FIELDS = 256;
const EMPTY = new Uint8Array(0);

/** The fields up to the end or the first malformed one; `undefined` if anything is malformed. */
export function readProtobuf(bytes: Uint8Array): readonly ProtobufField[] | undefined {
  const fields: ProtobufField[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 0;
  while (position < bytes.length) {
    const tag = readVarint(bytes, position);
    if (tag === undefined || fields.length === MAX_FIELDS) return undefined;
    position = tag.next;
    const number = Math.floor(tag.value / 8);
    const left = bytes.length - position;
    switch (tag.value % 8) {
      case 0: {
        const varint = readVarint(bytes, position);
        if (varint === undefined) return undefined;
        fields.push({ number, value: varint.value, bytes: EMPTY });
        position = varint.next;
        break;
      }
      case 1:
        if (left < 8) return undefined;
        fields.push({ number, value: Number(view.getBigUint64(position, true)), bytes: EMPTY });
        position += 8;
        break;
      case 2: {
        const length = readVarint(bytes, position);
        if (length === undefined || length.value < 0 || length.value > bytes.length - length.next) return undefined;
        position = length.next + length.value;
        fields.push({ number, value: 0, bytes: bytes.subarray(length.next, position) });
        break;
      }
      case 5:
        if (left < 4) return undefined;
        fields.push({ number, value: view.getUint32(position, true), bytes: EMPTY });
        position += 4;
        break;
      default:
        return undefined;
    }
  }
  return fields;
}

/** int64 in at most ten bytes: negative numbers come out negative. */
function readVarint(bytes: Uint8Array, from: number): { readonly value: number; readonly next: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[from + i];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) return { value: Number(BigInt.asIntN(64, value)), next: from + i + 1 };
  }
  return undefined;
}
