// Hot path. Protobuf wire format into one growing buffer (https://protobuf.dev/programming-guides/encoding/).
// Lengths are written minimally: a length that is not known beforehand gets a guessed width, and the body moves only when the guess was wrong.

const INITIAL_BYTES = 64 * 1024;
/** A buffer that one unusual batch made larger than this is not kept for the next. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024;
/** Up to this many characters a loop is cheaper than a call into Node's UTF-8 writer. */
const SHORT_TEXT = 12;
/** Up to this many bytes a loop is cheaper than a call of TypedArray.prototype.set. */
const SHORT_COPY = 8;

export class ProtobufWriter {
  #bytes: Buffer<ArrayBuffer>;
  #view: DataView;
  #position = 0;

  /** `buffer`: where to begin writing, a whole ArrayBuffer or the beginning of one. It is left for a larger one when it is full. */
  constructor(buffer: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(INITIAL_BYTES)) {
    this.#bytes = buffer;
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Offset of the next byte from the beginning. */
  get position(): number {
    return this.#position;
  }

  /** What was written, in place: the next write may change it after {@link clear}. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#position);
  }

  /** A fresh start. */
  clear(): void {
    this.#position = 0;
    if (this.#bytes.length > MAX_KEPT_BYTES) this.#use(Buffer.allocUnsafeSlow(INITIAL_BYTES));
  }

  /** A copy of what was written, and a fresh start. */
  take(): Uint8Array {
    const taken = Buffer.allocUnsafeSlow(this.#position);
    this.#bytes.copy(taken, 0, 0, this.#position);
    this.clear();
    return taken;
  }

  byte(value: number): void {
    if (this.#position + 1 > this.#bytes.length) this.#grow(1);
    this.#bytes[this.#position++] = value;
  }

  /** Any integer of JavaScript from 0 to 2^53 - 1. */
  varint(value: number): void {
    if (this.#position + 10 > this.#bytes.length) this.#grow(10);
    const bytes = this.#bytes;
    let position = this.#position;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      bytes[position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      bytes[position++] = (rest & 127) | 0x80;
      rest >>>= 7;
    }
    bytes[position++] = rest;
    this.#position = position;
  }

  /** int64: negative numbers take ten bytes in two's complement. */
  int64(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    if (this.#position + 10 > this.#bytes.length) this.#grow(10);
    const low = (value % 0x1_0000_0000) >>> 0;
    const high = Math.floor(value / 0x1_0000_0000) >>> 0;
    const bytes = this.#bytes;
    const position = this.#position;
    bytes[position] = (low & 127) | 0x80;
    bytes[position + 1] = ((low >>> 7) & 127) | 0x80;
    bytes[position + 2] = ((low >>> 14) & 127) | 0x80;
    bytes[position + 3] = ((low >>> 21) & 127) | 0x80;
    bytes[position + 4] = (((low >>> 28) | (high << 4)) & 127) | 0x80;
    bytes[position + 5] = ((high >>> 3) & 127) | 0x80;
    bytes[position + 6] = ((high >>> 10) & 127) | 0x80;
    bytes[position + 7] = ((high >>> 17) & 127) | 0x80;
    bytes[position + 8] = ((high >>> 24) & 127) | 0x80;
    bytes[position + 9] = high >>> 31;
    this.#position = position + 10;
  }

  fixed32(value: number): void {
    if (this.#position + 4 > this.#bytes.length) this.#grow(4);
    this.#view.setUint32(this.#position, value, true);
    this.#position += 4;
  }

  fixed64(value: bigint): void {
    if (this.#position + 8 > this.#bytes.length) this.#grow(8);
    this.#view.setBigUint64(this.#position, value, true);
    this.#position += 8;
  }

  /** A field of fixed64, as two halves. */
  fixed64Field(tag: number, high: number, low: number): void {
    const position = this.#position;
    if (position + 9 > this.#bytes.length) this.#grow(9);
    this.#bytes[position] = tag;
    this.#view.setUint32(position + 1, low, true);
    this.#view.setUint32(position + 5, high, true);
    this.#position = position + 9;
  }

  double(value: number): void {
    if (this.#position + 8 > this.#bytes.length) this.#grow(8);
    this.#view.setFloat64(this.#position, value, true);
    this.#position += 8;
  }

  copy(source: Uint8Array): void {
    const length = source.length;
    if (this.#position + length > this.#bytes.length) this.#grow(length);
    if (length > SHORT_COPY) {
      this.#bytes.set(source, this.#position);
    } else {
      for (let i = 0; i < length; i++) this.#bytes[this.#position + i] = source[i] as number;
    }
    this.#position += length;
  }

  /** Repeats what was written at [from, to). */
  repeat(from: number, to: number): void {
    const length = to - from;
    if (this.#position + length > this.#bytes.length) this.#grow(length);
    this.#bytes.copyWithin(this.#position, from, to);
    this.#position += length;
  }

  /** A bytes field from lower-case hex digits (at most 254); ids are checked where they are made. */
  hexField(tag: number, digits: string): void {
    const count = digits.length;
    const length = count >>> 1;
    if (this.#position + length + 2 > this.#bytes.length) this.#grow(length + 2);
    const bytes = this.#bytes;
    let position = this.#position;
    bytes[position++] = tag;
    bytes[position++] = length;
    for (let i = 0; i + 1 < count; i += 2) {
      const high = digits.charCodeAt(i);
      const low = digits.charCodeAt(i + 1);
      bytes[position++] = (((high & 15) + (high >>> 6) * 9) << 4) | ((low & 15) + (low >>> 6) * 9);
    }
    this.#position = position;
  }

  /** A string field; what is no valid UTF-16 becomes U+FFFD. */
  textField(tag: number, value: string): void {
    const start = this.#position;
    this.byte(tag);
    this.varint(value.length);
    if (this.#ascii(value)) return;
    this.#position = start + 1;
    this.varint(Buffer.byteLength(value));
    this.#utf8(value);
  }

  /** A field of KeyValue with a string_value; `key` is the encoded field 1. */
  keyTextField(tag: number, key: Uint8Array, value: string): void {
    const start = this.#position;
    this.#keyTextHead(tag, key, value.length);
    if (this.#ascii(value)) return;
    this.#position = start;
    this.#keyTextHead(tag, key, Buffer.byteLength(value));
    this.#utf8(value);
  }

  /** A field of KeyValue with an int_value. */
  keyIntField(tag: number, key: Uint8Array, value: number): void {
    const start = this.open(1, tag);
    this.copy(key);
    if (this.#position + 13 > this.#bytes.length) this.#grow(13);
    const anyValue = this.#position;
    this.#bytes[anyValue] = 0x12; // value
    this.#bytes[anyValue + 2] = 0x18; // int_value
    this.#position += 3;
    this.int64(value);
    this.#bytes[anyValue + 1] = this.#position - anyValue - 2;
    this.close(start, 1);
  }

  /** Begins a field whose length is known. */
  lengthField(tag: number, length: number): void {
    if (this.#position + 1 + varintWidth(length) > this.#bytes.length) this.#grow(1 + varintWidth(length));
    this.#bytes[this.#position++] = tag;
    let rest = length;
    while (rest > 127) {
      this.#bytes[this.#position++] = (rest & 127) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#position++] = rest;
  }

  /** Begins a field whose length will be about `expected`, and returns what {@link close} needs. */
  open(expected: number, tag: number): number {
    const width = varintWidth(expected);
    if (this.#position + width + 1 > this.#bytes.length) this.#grow(width + 1);
    this.#bytes[this.#position] = tag;
    this.#position += width + 1;
    return this.#position;
  }

  /** Fills the length in. True if the bytes since `start` had to move. */
  close(start: number, expected: number): boolean {
    const reserved = varintWidth(expected);
    const length = this.#position - start;
    const needed = varintWidth(length);
    if (needed !== reserved) {
      if (needed > reserved && this.#position + needed - reserved > this.#bytes.length) this.#grow(needed - reserved);
      this.#bytes.copyWithin(start + needed - reserved, start, this.#position);
    }
    this.#position = start - reserved;
    this.varint(length);
    this.#position += length;
    return needed !== reserved;
  }

  #keyTextHead(tag: number, key: Uint8Array, textLength: number): void {
    const keyLength = key.length;
    const anyLength = 1 + varintWidth(textLength) + textLength;
    const length = keyLength + 1 + varintWidth(anyLength) + anyLength;
    if (length < 128) {
      // The usual case: every length takes one byte.
      if (this.#position + length + 2 > this.#bytes.length) this.#grow(length + 2);
      const bytes = this.#bytes;
      let position = this.#position;
      bytes[position] = tag;
      bytes[position + 1] = length;
      bytes.set(key, position + 2);
      position += keyLength + 2;
      bytes[position] = 0x12; // value
      bytes[position + 1] = anyLength;
      bytes[position + 2] = 0x0a; // string_value
      bytes[position + 3] = textLength;
      this.#position = position + 4;
      return;
    }
    this.byte(tag);
    this.varint(length);
    this.copy(key);
    this.byte(0x12);
    this.varint(anyLength);
    this.byte(0x0a);
    this.varint(textLength);
  }

  /** The bytes of a text without its length, if it is all ASCII; else nothing. */
  #ascii(value: string): boolean {
    const length = value.length;
    // UTF-8 takes at most three bytes for each UTF-16 unit.
    if (this.#position + length * 3 > this.#bytes.length) this.#grow(length * 3);
    if (length > SHORT_TEXT) {
      if (this.#bytes.write(value, this.#position) !== length) return false;
    } else {
      const bytes = this.#bytes;
      const position = this.#position;
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 127) return false;
        bytes[position + i] = code;
      }
    }
    this.#position += length;
    return true;
  }

  #utf8(value: string): void {
    if (this.#position + value.length * 3 > this.#bytes.length) this.#grow(value.length * 3);
    this.#position += this.#bytes.write(value, this.#position);
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#position + needed));
    this.#bytes.copy(grown, 0, 0, this.#position);
    this.#use(grown);
  }

  #use(bytes: Buffer<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Of a length-delimited field whose tag takes one byte. */
export function fieldSize(length: number): number {
  return 1 + varintWidth(length) + length;
}

/** Bytes that a length takes; a buffer never reaches 2^35. */
export function varintWidth(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  if (value < 2_097_152) return 3;
  if (value < 268_435_456) return 4;
  return 5;
}
