// Bytes that must outlive the call that brought them, up to a limit: the beginning of a head whose end is still to come.

const FIRST_CAPACITY = 1024;
const NO_BYTES = new Uint8Array(0);

export class BoundedBuffer {
  readonly #limit: number;
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** The storage; only [0, length) means anything. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies bytes[from, to) to the end. False, and nothing is copied, when that would pass the limit. */
  append(bytes: Uint8Array, from: number, to: number): boolean {
    const length = this.#length + to - from;
    if (length > this.#limit) return false;
    if (length > this.#bytes.length) this.#grow(length);
    this.#bytes.set(bytes.subarray(from, to), this.#length);
    this.#length = length;
    return true;
  }

  /** Empties it. Storage beyond the first step is given back, so that an idle owner is small. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > FIRST_CAPACITY) this.#bytes = NO_BYTES;
  }

  #grow(length: number): void {
    let capacity = Math.max(this.#bytes.length, FIRST_CAPACITY);
    while (capacity < length) capacity *= 2;
    const grown = new Uint8Array(Math.min(capacity, Math.max(this.#limit, length)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
