// The chunked transfer coding, byte by byte: follows chunk heads, payload and trailers without keeping any of it.
// Hot path. RFC 9112, 7.1.
import { CR, hexValue, LF, SEMICOLON, SPACE, TAB } from '../../bytes/ascii.ts';

/** Where in the coding the next byte stands. */
const State = {
  /** First digit of a chunk-size line. */
  size: 0,
  sizeDigits: 1,
  /** Blanks and extensions, up to the end of the line. */
  extension: 2,
  payload: 3,
  payloadCr: 4,
  payloadLf: 5,
  /** First byte of a trailer line, or of the empty line that ends the message. */
  trailer: 6,
  trailerLine: 7,
  lastLf: 8,
  done: 9,
  /** Behind a walk, which may have stopped within the CR LF of its last chunk: a chunk-size line, or what is left of that CR LF. */
  walked: 10,
} as const;
type State = (typeof State)[keyof typeof State];

/** Size of CR LF. */
const LINE_END_SIZE = 2;

export class ChunkedBody {
  /** Payload bytes passed so far. */
  payloadSize = 0;
  /** Chunks begun so far. */
  chunkCount = 0;
  /** Of the bytes given to the last {@link read} or {@link skip}, those that were payload. */
  payloadRead = 0;
  /** Index behind the last byte that {@link read} took. */
  at = 0;

  readonly #maxLineSize: number;
  #state: State = State.size;
  /** Payload still to come of the present chunk; its size while that is being read. */
  #remaining = 0;
  /** Bytes of the present line of extensions, or of all trailers. */
  #lineSize = 0;
  #hasBareLf = false;

  constructor(maxLineSizeBytes: number) {
    this.#maxLineSize = maxLineSizeBytes;
  }

  reset(): void {
    this.payloadSize = 0;
    this.chunkCount = 0;
    this.#state = State.size;
    this.#remaining = 0;
    this.#lineSize = 0;
    this.#hasBareLf = false;
  }

  /** Payload still to come of the present chunk, 0 between chunks. */
  get remaining(): number {
    return this.#state === State.payload ? this.#remaining : 0;
  }

  /** The next byte begins a chunk-size line. */
  get isAtSizeLine(): boolean {
    return this.#state === State.size || this.#state === State.walked;
  }

  /** Bytes from the end of the present chunk's payload to the next chunk-size line; 0 when the sender's line ends leave that open. */
  get lineEndSize(): number {
    return this.#hasBareLf ? 0 : LINE_END_SIZE;
  }

  /** Takes bytes[from, to) up to the end of the message, to where `at` says. */
  read(bytes: Uint8Array, from: number, to: number): 'more' | 'end' | 'malformed' {
    this.payloadRead = 0;
    let i = from;
    while (i < to) {
      if (this.#state === State.payload) {
        const size = Math.min(this.#remaining, to - i);
        this.#takePayload(size);
        i += size;
        continue;
      }
      if (!this.#step(bytes[i] as number)) {
        this.at = i;
        return 'malformed';
      }
      i++;
      if (this.#state === State.done) {
        this.at = i;
        return 'end';
      }
    }
    this.at = i;
    return 'more';
  }

  /** Steps over up to `size` bytes that are not there; returns how many were payload, or the CR LF that must follow it. */
  skip(size: number): number {
    this.payloadRead = 0;
    let left = size;
    if (this.#state === State.payload) {
      const payload = Math.min(left, this.#remaining);
      this.#takePayload(payload);
      left -= payload;
    }
    // No chunk fits into two bytes: so small a hole behind a walk is the CR LF.
    if (this.#state === State.walked && size <= LINE_END_SIZE) {
      this.#state = State.size;
      return size;
    }
    if (!this.#hasBareLf) {
      if (this.#state === State.payloadCr && left > 0) {
        this.#state = State.payloadLf;
        left--;
      }
      if (this.#state === State.payloadLf && left > 0) {
        this.#state = State.size;
        left--;
      }
    }
    return size - left;
  }

  /** Continues where a walk over whole chunks ended: behind `payloadSize` bytes of payload, with `remaining` of the last chunk to come. */
  walk(payloadSize: number, remaining: number): void {
    this.payloadSize += payloadSize;
    this.chunkCount++;
    this.#remaining = remaining;
    this.#state = remaining > 0 ? State.payload : State.walked;
  }

  #takePayload(size: number): void {
    this.payloadSize += size;
    this.payloadRead += size;
    this.#remaining -= size;
    if (this.#remaining === 0) this.#state = State.payloadCr;
  }

  /** One byte of framing; false when it cannot stand there. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.walked:
        this.#state = byte === CR ? State.payloadLf : State.size;
        return byte === CR || byte === LF || this.#step(byte);
      case State.size: {
        const digit = hexValue(byte);
        if (digit < 0) return false;
        this.#remaining = digit;
        this.#lineSize = 0;
        this.#state = State.sizeDigits;
        return true;
      }
      case State.sizeDigits: {
        const digit = hexValue(byte);
        if (digit >= 0) {
          this.#remaining = this.#remaining * 16 + digit;
          return this.#remaining <= Number.MAX_SAFE_INTEGER && ++this.#lineSize <= this.#maxLineSize;
        }
        if (byte === LF) return this.#endSizeLine(true);
        this.#state = State.extension;
        // A CR here promises a LF; blanks pad sizes in the wild.
        return byte === CR || byte === SEMICOLON || byte === SPACE || byte === TAB;
      }
      case State.extension:
        if (byte === LF) return this.#endSizeLine(false);
        return ++this.#lineSize <= this.#maxLineSize;
      case State.payloadCr:
        this.#state = State.payloadLf;
        if (byte === CR) return true;
        this.#hasBareLf = true;
        this.#state = State.size;
        return byte === LF;
      case State.payloadLf:
        this.#state = State.size;
        return byte === LF;
      case State.trailer:
        if (byte === CR) {
          this.#state = State.lastLf;
          return true;
        }
        this.#state = byte === LF ? State.done : State.trailerLine;
        return ++this.#lineSize <= this.#maxLineSize;
      case State.trailerLine:
        if (byte === LF) this.#state = State.trailer;
        return ++this.#lineSize <= this.#maxLineSize;
      case State.lastLf:
        this.#state = State.done;
        return byte === LF;
      default:
        return false;
    }
  }

  #endSizeLine(isBareLf: boolean): boolean {
    if (isBareLf) this.#hasBareLf = true;
    this.chunkCount++;
    this.#lineSize = 0;
    this.#state = this.#remaining > 0 ? State.payload : State.trailer;
    return true;
  }
}
