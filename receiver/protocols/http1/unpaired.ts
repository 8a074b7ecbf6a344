// Response bytes whose place in their side's framing is unknown → the status codes that can be told all the same: at the beginning of an
// I/O, and behind each interim response found there. Knows nothing of bodies: a final response ends what can be followed.
import { CR, LF, parseDecimal } from '../../bytes/ascii.ts';
import { BoundedBuffer } from '../../bytes/bounded-buffer.ts';
import { MORE, scanStatus } from './start-line.ts';

/** Length of `HTTP/1.1 200`. */
const STATUS_SIZE = 12;

export class UnpairedResponses {
  readonly #start = new BoundedBuffer(STATUS_SIZE);
  #phase: 'nowhere' | 'status' | 'interim' = 'nowhere';
  /** As in MessageReader: how far into an empty line the bytes end. */
  #lineState = 0;

  /** Bytes were lost, or the next ones begin something else. */
  reset(): void {
    this.#phase = 'nowhere';
    this.#start.clear();
  }

  /** The status code that bytes[from, to) lead to: a final one, or an interim one that nothing follows yet; 0: open yet; -1: none. */
  look(bytes: Uint8Array, from: number, to: number, isIoStart: boolean): number {
    const isContinued = this.#phase !== 'nowhere';
    if (!isContinued && !isIoStart) return -1;
    const status = this.#follow(bytes, from, to);
    if (status >= 0 || !isContinued || !isIoStart) return status;
    return this.#follow(bytes, from, to);
  }

  #follow(bytes: Uint8Array, from: number, to: number): number {
    const start = this.#start;
    let at = from;
    for (;;) {
      if (this.#phase === 'interim') {
        at = this.#findHeadEnd(bytes, at, to);
        if (at < 0) return 100;
        this.#phase = 'status';
        if (at === to) return 100;
      }
      this.#phase = 'status';
      const stop = Math.min(to, at + STATUS_SIZE - start.length);
      start.append(bytes, at, stop);
      const end = scanStatus(start.bytes, 0, start.length);
      if (end === MORE) return 0;
      const status = end < 0 ? -1 : parseDecimal(start.bytes, STATUS_SIZE - 3, STATUS_SIZE);
      this.reset();
      if (status < 100 || status >= 200 || status === 101) return status;
      at = stop;
      this.#phase = 'interim';
      this.#lineState = 0;
    }
  }

  #findHeadEnd(bytes: Uint8Array, from: number, to: number): number {
    let state = this.#lineState;
    for (let i = from; i < to; i++) {
      const byte = bytes[i];
      if (byte !== LF) state = state === 1 && byte === CR ? 2 : 0;
      else if (state === 0) state = 1;
      else return i + 1;
    }
    this.#lineState = state;
    return -1;
  }
}
