// What user space tells the kernel about a connection, through shared memory and without a system call: bytes that need not be
// copied, chunks or frames that it may follow itself, a connection it may forget. Layout: struct control in bpf/event.h.
import type { ConnectionId } from '../model/connection.ts';

/** Word offsets (64-bit) in one slot. `received` fields; the `sent` ones follow each by one. */
export interface ControlLayout {
  readonly words: number;
  readonly cookie: number;
  readonly ignore: number;
  readonly until: number;
  readonly parsed: number;
  readonly walk: number;
  /** Which bit of `walk` says that it is no chunk-size line that begins there, but a frame. */
  readonly knownFrameBit: number;
}

/**
 * Slots are shared by connections whose cookies collide; the first that speaks keeps its slot until it ends, others do without:
 * the kernel then copies more than needed, within its bounds.
 */
export class Controls {
  readonly #words: BigUint64Array<ArrayBuffer>;
  readonly #layout: ControlLayout;
  readonly #slots: number;
  /** Slot -> cookie of its holder, 0: free. */
  readonly #holders: Float64Array;
  /** Slots whose holder only waits for the kernel to take notice of `ignore`: they may be taken over. */
  readonly #isParting: Uint8Array;

  constructor(memory: ArrayBuffer, layout: ControlLayout) {
    this.#words = new BigUint64Array(memory);
    this.#layout = layout;
    this.#slots = Math.floor(this.#words.length / layout.words);
    this.#holders = new Float64Array(this.#slots);
    this.#isParting = new Uint8Array(this.#slots);
  }

  /** Bytes of this flow before `position` are of no interest. */
  stepOver(connection: ConnectionId, isSent: boolean, position: number): void {
    this.#write(connection, this.#layout.until + (isSent ? 1 : 0), position);
  }

  /** A chunk-size line begins at `position`: bytes before it are of no interest, and from it on the kernel follows the chunks. */
  stepOverChunks(connection: ConnectionId, isSent: boolean, position: number): void {
    this.#write(connection, this.#layout.walk + (isSent ? 1 : 0), position);
    this.#write(connection, this.#layout.until + (isSent ? 1 : 0), position);
  }

  /** A frame begins at `position`: from it on the kernel follows the frames, if it does not do so already. */
  followFrames(connection: ConnectionId, isSent: boolean, position: number): void {
    this.#write(connection, this.#layout.walk + (isSent ? 1 : 0), BigInt(position) | (1n << BigInt(this.#layout.knownFrameBit)));
  }

  /** The stream has been followed up to `position`: the kernel's copy window opens anew from there. */
  parsed(connection: ConnectionId, isSent: boolean, position: number): void {
    this.#write(connection, this.#layout.parsed + (isSent ? 1 : 0), position);
  }

  /** Nothing of this connection is wanted any more. Returns false if the slot is somebody else's. */
  ignore(connection: ConnectionId): boolean {
    const isWritten = this.#write(connection, this.#layout.ignore, 1);
    if (isWritten) this.#isParting[connection % this.#slots] = 1;
    return isWritten;
  }

  /** The connection is gone. */
  release(connection: ConnectionId): void {
    const slot = connection % this.#slots;
    if (this.#holders[slot] !== connection) return;
    this.#holders[slot] = 0;
    this.#isParting[slot] = 0;
    Atomics.store(this.#words, slot * this.#layout.words + this.#layout.cookie, 0n);
  }

  #write(connection: ConnectionId, word: number, value: number | bigint): boolean {
    const slot = connection % this.#slots;
    const base = slot * this.#layout.words;
    if (this.#holders[slot] !== connection) {
      if (this.#holders[slot] !== 0 && this.#isParting[slot] === 0) return false;
      // The cookie is cleared first and set last: the kernel never reads one connection's wishes as another's.
      Atomics.store(this.#words, base + this.#layout.cookie, 0n);
      for (let i = 0; i < this.#layout.words; i++) Atomics.store(this.#words, base + i, 0n);
      this.#holders[slot] = connection;
      this.#isParting[slot] = 0;
      Atomics.store(this.#words, base + word, BigInt(value));
      Atomics.store(this.#words, base + this.#layout.cookie, BigInt(connection));
      return true;
    }
    Atomics.store(this.#words, base + word, BigInt(value));
    return true;
  }
}
