// Payload of a process context (a ProcessContext message) → its attributes.
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
import { type Field, type FieldBudget, readFields, WireType } from './protobuf.ts';

/** Integers are bigint, absent values undefined. */
export type AttributeValue =
  string | boolean | bigint | number | Uint8Array | undefined | readonly AttributeValue[] | ReadonlyMap<string, AttributeValue>;

export interface Payload {
  /** Attributes of the Resource that the process describes itself as. */
  readonly resource: ReadonlyMap<string, AttributeValue>;
  /** Attributes beside it: `threadlocal.*` and what else is meant for readers. */
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

const MAX_DEPTH = 8;
const MAX_FIELDS = 32_768;

/** undefined when the bytes are no such message, or hold more than 32,768 fields or values deeper than 8. Unknown fields are skipped. */
export function decodePayload(bytes: Uint8Array): Payload | undefined {
  // A small message can hold very many empty fields.
  const budget: FieldBudget = { fields: MAX_FIELDS };
  const resource = new Map<string, AttributeValue>();
  const attributes = new Map<string, AttributeValue>();
  const isDecoded = readFields(bytes, budget, (field) => {
    if (field.wireType !== WireType.bytes) return true;
    if (field.number === 2) return readKeyValue(field.bytes, attributes, 0, budget);
    if (field.number !== 1) return true;
    return readFields(field.bytes, budget, (inner) => !isBytes(inner, 1) || readKeyValue(inner.bytes, resource, 0, budget));
  });
  return isDecoded ? { resource, attributes } : undefined;
}

function isBytes(field: Field, number: number): boolean {
  return field.number === number && field.wireType === WireType.bytes;
}

/** KeyValue { string key = 1; AnyValue value = 2; }. The last of equal keys counts. */
function readKeyValue(bytes: Uint8Array, into: Map<string, AttributeValue>, depth: number, budget: FieldBudget): boolean {
  let key = '';
  let value: AttributeValue;
  const isRead = readFields(bytes, budget, (field) => {
    if (isBytes(field, 1)) key = textOf(field.bytes);
    if (!isBytes(field, 2)) return true;
    const read = readValue(field.bytes, depth, budget);
    value = read?.value;
    return read !== undefined;
  });
  if (isRead && key !== '') into.set(key, value);
  return isRead;
}

/** AnyValue: string 1, bool 2, int 3, double 4, array 5, kvlist 6, bytes 7. */
function readValue(bytes: Uint8Array, depth: number, budget: FieldBudget): { readonly value: AttributeValue } | undefined {
  if (depth >= MAX_DEPTH) return undefined;
  let value: AttributeValue;
  const isRead = readFields(bytes, budget, (field) => {
    if (isBytes(field, 1)) value = textOf(field.bytes);
    if (field.number === 2 && field.wireType === WireType.varint) value = field.value !== 0n;
    if (field.number === 3 && field.wireType === WireType.varint) value = BigInt.asIntN(64, field.value);
    if (field.number === 4 && field.wireType === WireType.fixed64) value = doubleOf(field.value);
    if (isBytes(field, 7)) value = Uint8Array.from(field.bytes);
    if (isBytes(field, 5)) {
      const items: AttributeValue[] = [];
      value = items;
      return readFields(field.bytes, budget, (inner) => {
        if (!isBytes(inner, 1)) return true;
        const item = readValue(inner.bytes, depth + 1, budget);
        if (item) items.push(item.value);
        return item !== undefined;
      });
    }
    if (isBytes(field, 6)) {
      const members = new Map<string, AttributeValue>();
      value = members;
      return readFields(
        field.bytes,
        budget,
        (inner) => !isBytes(inner, 1) || readKeyValue(inner.bytes, members, depth + 1, budget),
      );
    }
    return true;
  });
  return isRead ? { value } : undefined;
}

function doubleOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

/** U+FFFD stands for what is not UTF-8. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
