// Attribute names → their encoded form, once for each. Hot path.

/** Names come from a fixed vocabulary; one that is beyond it is encoded each time. */
const MAX_NAMES = 1024;

export class EncodedNames<Encoded> {
  readonly #encode: (name: string) => Encoded;
  readonly #encoded = new Map<string, Encoded>();

  constructor(encode: (name: string) => Encoded) {
    this.#encode = encode;
  }

  of(name: string): Encoded {
    const known = this.#encoded.get(name);
    if (known !== undefined) return known;
    const encoded = this.#encode(name);
    if (this.#encoded.size < MAX_NAMES) this.#encoded.set(name, encoded);
    return encoded;
  }
}
