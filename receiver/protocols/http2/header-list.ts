// What one header block says, of the fields that we keep. One is used for all blocks, each before the next one is read. Hot path.
import { Field, FIELD_COUNT, isPseudo } from './fields.ts';

/** Fields of which there is one; of others, several lines are one list. */
const SINGLE =
  (1 << Field.host) |
  (1 << Field.userAgent) |
  (1 << Field.contentType) |
  (1 << Field.grpcStatus) |
  (1 << Field.contentLength) |
  (1 << Field.connectVersion);

export class HeaderList {
  /** Some fields are not known, because their entries were lost: any that is absent may be there. */
  hasUnknown = false;
  /** One of these reads like a traceparent. */
  hasUnknownTraceparent = false;
  /** There is a field before a pseudo-header, a pseudo-header twice, or one that does not exist (RFC 9113, 8.3). */
  isMalformed = false;
  isTooLarge = false;
  readonly #limit: number;
  readonly #values = new Array<string | undefined>(FIELD_COUNT).fill(undefined);
  /** Bit n: field n is there. */
  #present = 0;
  #size = 0;
  #hasRegular = false;

  /** `limit`: size of a list (RFC 9113, 6.5.2) beyond which nothing is kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  clear(): void {
    this.hasUnknown = false;
    this.hasUnknownTraceparent = false;
    this.isMalformed = false;
    this.isTooLarge = false;
    this.#present = 0;
    this.#size = 0;
    this.#hasRegular = false;
  }

  has(field: Field): boolean {
    return (this.#present & (1 << field)) !== 0;
  }

  get(field: Field): string | undefined {
    return (this.#present & (1 << field)) !== 0 ? this.#values[field] : undefined;
  }

  /** `size`: of name, value and overhead. */
  add(field: Field, value: string | undefined, size: number): void {
    this.#size += size;
    if (this.#size > this.#limit) {
      this.isTooLarge = true;
      return;
    }
    if (field >= Field.unknown) {
      this.hasUnknown = true;
      if (field === Field.unknownTraceparent) this.hasUnknownTraceparent = true;
      return;
    }
    if (isPseudo(field)) {
      if (this.#hasRegular || field === Field.otherPseudo || this.has(field)) this.isMalformed = true;
    } else {
      this.#hasRegular = true;
      if (field === Field.other) return;
      if (this.has(field)) {
        this.#repeat(field, value);
        return;
      }
    }
    this.#present |= 1 << field;
    this.#values[field] = value;
  }

  #repeat(field: Field, value: string | undefined): void {
    if ((SINGLE & (1 << field)) === 0) this.#values[field] = `${this.#values[field] ?? ''},${value ?? ''}`;
  }
}
