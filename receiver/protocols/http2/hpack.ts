// A header block → its fields, and what it does to the dynamic table of its direction. Every string is decoded, because sizes count; a text
// is made only of those that are kept. One decoder serves all connections. Hot path. RFC 7541.
import { decodeText, equalsText } from '../../bytes/ascii.ts';
import {
  ENTRY_OVERHEAD,
  Field,
  FIELD_COUNT,
  fieldOf,
  isKept,
  STATIC_COUNT,
  STATIC_FIELDS,
  STATIC_NAME_LENGTHS,
  STATIC_VALUES,
} from './fields.ts';
import type { HeaderList } from './header-list.ts';
import { type HeaderTable, LARGEST_MAX } from './header-table.ts';
import { decodedBound, decodeHuffman } from './huffman.ts';

/** Lengths and indices have at most so many bytes after the first: 28 bits. */
const MAX_INTEGER_BYTES = 4;
const BAD = -1;
const DASH = 0x2d;
const TRACEPARENT_SIZE = 55;
const TRACEPARENT_DASHES = [2, 35, 52] as const;
const FIRST_SCRATCH = 4096;

export class BlockDecoder {
  /** Index behind the integer or string just read. */
  #at = 0;
  /** Text of the string just read: text[from, to). */
  #text: Uint8Array;
  #textFrom = 0;
  #textTo = 0;
  #scratch: Uint8Array = new Uint8Array(FIRST_SCRATCH);
  /** The last value of each field: the next is often the same, and is then the same string. */
  readonly #last = new Array<string | undefined>(FIELD_COUNT).fill(undefined);
  /** Name of the field under way. */
  #field: Field = Field.other;
  #nameLength = 0;

  constructor() {
    this.#text = this.#scratch;
  }

  /** Reads the block bytes[from, to) into `list`. False: it is none, and the table is no longer known. */
  decode(bytes: Uint8Array, from: number, to: number, table: HeaderTable, list: HeaderList): boolean {
    list.clear();
    let mayResize = true;
    this.#at = from;
    while (this.#at < to) {
      const first = bytes[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        const max = this.#integer(bytes, to, 0x1f);
        if (!mayResize || max < 0 || max > LARGEST_MAX) return false;
        table.resize(max);
        continue;
      }
      mayResize = false;
      if ((first & 0x80) !== 0) {
        if (!this.#indexed(bytes, to, table, list)) return false;
      } else if (!this.#literal(bytes, to, (first & 0x40) !== 0, table, list)) {
        return false;
      }
    }
    return true;
  }

  #indexed(bytes: Uint8Array, to: number, table: HeaderTable, list: HeaderList): boolean {
    const index = this.#integer(bytes, to, 0x7f) - 1;
    if (index < 0) return false;
    if (index < STATIC_COUNT) {
      const value = STATIC_VALUES[index] as string;
      const size = (STATIC_NAME_LENGTHS[index] as number) + value.length + ENTRY_OVERHEAD;
      list.add(STATIC_FIELDS[index] as Field, value, size);
      return true;
    }
    const dynamic = index - STATIC_COUNT;
    if (dynamic < table.count) {
      const slot = table.slotOf(dynamic);
      list.add(table.fieldAt(slot), table.valueAt(slot), table.sizeAt(slot));
      return true;
    }
    list.add(Field.unknown, undefined, ENTRY_OVERHEAD);
    return !table.isComplete;
  }

  #literal(bytes: Uint8Array, to: number, isInserted: boolean, table: HeaderTable, list: HeaderList): boolean {
    const index = this.#integer(bytes, to, isInserted ? 0x3f : 0x0f) - 1;
    if (index < BAD || !this.#name(index, bytes, to, table)) return false;
    let field = this.#field;
    const nameLength = this.#nameLength;
    if (!this.#string(bytes, to)) return false;
    if (field >= Field.unknown) field = this.#isTraceparent() ? Field.unknownTraceparent : Field.unknown;
    const valueLength = this.#textTo - this.#textFrom;
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    // A list too large keeps nothing more, but what is inserted may be meant later.
    const isWanted = isKept(field) && (isInserted ? size <= LARGEST_MAX : !list.isTooLarge);
    const value = isWanted ? this.#value(field) : undefined;
    list.add(field, value, size);
    if (isInserted) table.insert(field, nameLength, valueLength, value);
    return true;
  }

  /** Sets the field and the length of its name, by its index or by the string that follows. */
  #name(index: number, bytes: Uint8Array, to: number, table: HeaderTable): boolean {
    if (index < 0) {
      if (!this.#string(bytes, to)) return false;
      this.#field = fieldOf(this.#text, this.#textFrom, this.#textTo);
      this.#nameLength = this.#textTo - this.#textFrom;
      return true;
    }
    if (index < STATIC_COUNT) {
      this.#field = STATIC_FIELDS[index] as Field;
      this.#nameLength = STATIC_NAME_LENGTHS[index] as number;
      return true;
    }
    const dynamic = index - STATIC_COUNT;
    if (dynamic < table.count) {
      const slot = table.slotOf(dynamic);
      this.#field = table.fieldAt(slot);
      this.#nameLength = table.nameLengthAt(slot);
      return true;
    }
    this.#field = Field.unknown;
    this.#nameLength = 0;
    return !table.isComplete;
  }

  #value(field: Field): string {
    const last = this.#last[field];
    if (last !== undefined && equalsText(this.#text, this.#textFrom, this.#textTo, last)) return last;
    const value = decodeText(this.#text, this.#textFrom, this.#textTo);
    this.#last[field] = value;
    return value;
  }

  /** Does the string just read have the shape of one? https://www.w3.org/TR/trace-context-2/#traceparent-header */
  #isTraceparent(): boolean {
    const from = this.#textFrom;
    if (this.#textTo - from < TRACEPARENT_SIZE) return false;
    return TRACEPARENT_DASHES.every((at) => this.#text[from + at] === DASH);
  }

  /** Reads a string literal; false: it is none. */
  #string(bytes: Uint8Array, to: number): boolean {
    if (this.#at >= to) return false;
    const isCoded = ((bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(bytes, to, 0x7f);
    const from = this.#at;
    if (length < 0 || length > to - from) return false;
    this.#at = from + length;
    if (!isCoded) {
      this.#text = bytes;
      this.#textFrom = from;
      this.#textTo = from + length;
      return true;
    }
    const bound = decodedBound(length);
    if (bound > this.#scratch.length) this.#scratch = new Uint8Array(bound);
    const decoded = decodeHuffman(bytes, from, from + length, this.#scratch);
    if (decoded < 0) return false;
    this.#text = this.#scratch;
    this.#textFrom = 0;
    this.#textTo = decoded;
    return true;
  }

  /** Reads an integer whose first byte has the bits of `mask` (RFC 7541, 5.1); {@link BAD}: it is none, or too large. */
  #integer(bytes: Uint8Array, to: number, mask: number): number {
    let i = this.#at;
    let value = (bytes[i++] as number) & mask;
    if (value === mask) {
      for (let shift = 0; ; shift += 7) {
        if (i >= to || shift >= MAX_INTEGER_BYTES * 7) return BAD;
        const byte = bytes[i++] as number;
        value += (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
    this.#at = i;
    return value;
  }
}
