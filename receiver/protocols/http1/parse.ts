// The bytes of one side → its messages: where each head, body and message ends. Knows framing, not pairing.
// A head that lies whole in one chunk is read where it lies; only a split one is copied, up to the head limit.
// Hot path. RFC 9112, 2, 6 and 7.
import { CR, LF } from '../../bytes/ascii.ts';
import { BoundedBuffer } from '../../bytes/bounded-buffer.ts';
import type { Side } from '../../model/protocol.ts';
import type { ProcessId } from '../../model/process.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import { ChunkedBody } from './chunked.ts';
import type { Head } from './head.ts';
import { MALFORMED, scanRequestLine, scanStatus, skipEmptyLines } from './start-line.ts';

/** What the next byte of a side is. */
export type Phase =
  /** The first byte of a message, or an empty line before it. */
  | 'boundary'
  /** Part of a head whose beginning is kept. */
  | 'head'
  /** Body of known length. */
  | 'length'
  | 'chunked'
  /** Body until the side ends. */
  | 'until_end'
  /** Not HTTP any more, or not until the other side has answered an offer to switch protocols. */
  | 'opaque'
  /** Unknown: bytes were lost. */
  | 'lost';

/** Why {@link MessageReader.read} returned. */
export type ReadEvent =
  /** All bytes are taken. */
  | 'more'
  /** A head is whole: say what body follows with {@link MessageReader.startBody}. */
  | 'head'
  /** The body, and so the message, is over. */
  | 'end'
  | 'malformed'
  | 'head_too_large';

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_end' };

/** From this much payload on, in at least two chunks, a chunked body is a stream that the kernel may follow alone. */
const CHUNK_WALK_MIN_BYTES = 64 * 1024;
const CHUNK_WALK_MIN_CHUNKS = 2;

export class MessageReader {
  /** Shared with other readers: what it says holds from 'head' to the next call of any of them. */
  readonly head: Head;
  /** Index behind the last byte taken by {@link read}; at 'malformed' and 'head_too_large', the first byte that was not. */
  at = 0;
  /** Stream position behind everything that was given. */
  position = 0;
  /** Bytes taken as heads and framing, and as payload, since the owner last took the figures. */
  parsed = 0;
  skipped = 0;
  /** Of the present (or last) message: its first byte's position, time and process. */
  startPosition = 0;
  startTime: Nanoseconds = 0;
  /** Where the other side stood when this one's first byte was told of. */
  startOtherPosition = 0;
  startProcess: ProcessId | undefined;

  readonly #side: Side;
  readonly #maxHeadSize: number;
  readonly #pending: BoundedBuffer;
  #phase: Phase = 'boundary';
  #remaining = 0;
  #bodySize = 0;
  #chunked: ChunkedBody | undefined;
  /** How far into an empty line the kept bytes end: 0 inside a line, 1 behind its LF, 2 behind a CR after that. */
  #lineState = 0;
  #isStartLineKnown = false;
  /** The kept bytes are a whole head, and counted. */
  #isHeadCounted = false;
  /** Size of the kept bytes at which their first line is looked at again: doubling keeps that linear. */
  #nextLook = 0;
  /** Stream position up to which stepping over has been asked for. */
  #steppedTo = 0;
  /** Of the present call: position of index 0, position of the other side, time and process. */
  #base = 0;
  #otherPosition = 0;
  #time: Nanoseconds = 0;
  #process: ProcessId | undefined;

  constructor(side: Side, head: Head, maxHeadSizeBytes: number) {
    this.#side = side;
    this.#maxHeadSize = maxHeadSizeBytes;
    this.head = head;
    this.#pending = new BoundedBuffer(maxHeadSizeBytes);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Between messages, with all figures taken. */
  get isIdle(): boolean {
    return this.#phase === 'boundary' && this.parsed === 0 && this.skipped === 0;
  }

  /** Before it serves another connection: what it knew of this one. */
  forget(): void {
    this.position = 0;
    this.startProcess = undefined;
    this.#steppedTo = 0;
    this.#bodySize = 0;
  }

  /** Stream position behind the last byte taken by {@link read} or {@link skip}. */
  get takenTo(): number {
    return this.#base + this.at;
  }

  /** Kept of a head that is not whole yet. */
  get bufferedBytes(): number {
    return this.#pending.length;
  }

  /** Payload bytes of the present message so far. */
  get bodySize(): number {
    return this.#bodySize;
  }

  /** The first line of the present head was seen and is one of HTTP/1.x. */
  get isStartLineKnown(): boolean {
    return this.#isStartLineKnown;
  }

  /** Where the offsets of {@link head} point: the kept bytes of a split head, else `bytes`. */
  headBytes(bytes: Uint8Array): Uint8Array {
    return this.#pending.length > 0 ? this.#pending.bytes : bytes;
  }

  /** Announces bytes whose index `from` has stream position `position`. */
  arrive(
    position: number,
    from: number,
    size: number,
    otherPosition: number,
    time: Nanoseconds,
    process: ProcessId | undefined,
  ): void {
    this.#base = position - from;
    this.position = position + size;
    this.#otherPosition = otherPosition;
    this.#time = time;
    this.#process = process;
  }

  read(bytes: Uint8Array, from: number, to: number): ReadEvent {
    switch (this.#phase) {
      case 'boundary':
        return this.#readBoundary(bytes, from, to);
      case 'head':
        return this.#readSplitHead(bytes, from, to);
      case 'length': {
        const size = Math.min(this.#remaining, to - from);
        this.#takeBody(size);
        this.at = from + size;
        return this.#remaining > 0 ? 'more' : 'end';
      }
      case 'chunked':
        return this.#readChunked(bytes, from, to);
      case 'until_end':
        this.#bodySize += to - from;
        break;
      case 'opaque':
      case 'lost':
        break;
    }
    this.skipped += to - from;
    this.at = to;
    return 'more';
  }

  /** Steps over up to `size` bytes that were not copied, as far as no framing was in them; returns how many. */
  skip(size: number): number {
    switch (this.#phase) {
      case 'length': {
        const taken = Math.min(size, this.#remaining);
        this.#takeBody(taken);
        this.at = taken;
        return taken;
      }
      case 'chunked': {
        const chunked = this.#chunked as ChunkedBody;
        const taken = chunked.skip(size);
        this.skipped += taken;
        this.#bodySize = chunked.payloadSize;
        return taken;
      }
      case 'until_end':
        this.#bodySize += size;
        this.skipped += size;
        return size;
      case 'opaque':
        this.skipped += size;
        return size;
      case 'boundary':
      case 'head':
      case 'lost':
        return 0;
    }
  }

  /** After 'head': what follows it. True when that is nothing, so that the message is over. */
  startBody(body: Body): boolean {
    this.#pending.clear();
    this.#isHeadCounted = false;
    this.#isStartLineKnown = false;
    this.#bodySize = 0;
    switch (body.kind) {
      case 'none':
        this.#phase = 'boundary';
        return true;
      case 'length':
        this.#remaining = body.length;
        this.#phase = body.length === 0 ? 'boundary' : 'length';
        return body.length === 0;
      case 'chunked':
        this.#chunked ??= new ChunkedBody(this.#maxHeadSize);
        this.#chunked.reset();
        this.#phase = 'chunked';
        return false;
      case 'until_end':
        this.#phase = 'until_end';
        return false;
    }
  }

  /** Leaves the present message, whatever its state, and returns the kept bytes that no figure has. */
  enter(phase: 'boundary' | 'opaque' | 'lost'): number {
    const size = this.#isHeadCounted ? 0 : this.#pending.length;
    this.#isHeadCounted = false;
    this.#pending.clear();
    this.#isStartLineKnown = false;
    this.#phase = phase;
    return size;
  }

  /** Takes a walk over chunks that began where the next byte was expected; false when it cannot be. */
  takeChunkWalk(position: number, end: number, bodyBytes: number, remaining: number): boolean {
    const chunked = this.#chunked;
    if (this.#phase !== 'chunked' || chunked === undefined || !chunked.isAtSizeLine || position !== this.position) return false;
    if (!(bodyBytes >= 0 && bodyBytes <= end - position && remaining >= 0)) return false;
    chunked.walk(bodyBytes, remaining);
    this.#bodySize = chunked.payloadSize;
    this.skipped += bodyBytes;
    this.parsed += end - position - bodyBytes;
    this.position = end;
    return true;
  }

  /** Position before which nothing is of interest, when that is more than `threshold` away and news; else 0. */
  takeStepOver(threshold: number): number {
    const size = this.#stepOverSize();
    const end = Math.min(this.position + size, Number.MAX_SAFE_INTEGER);
    if (size <= threshold || end <= this.#steppedTo) return 0;
    this.#steppedTo = end;
    return end;
  }

  /** Position of the next chunk-size line, when this is a long chunked stream in the middle of a chunk; else 0. */
  takeChunkStepOver(): number {
    const chunked = this.#chunked;
    if (this.#phase !== 'chunked' || chunked === undefined || chunked.remaining === 0 || chunked.lineEndSize === 0) return 0;
    if (chunked.chunkCount < CHUNK_WALK_MIN_CHUNKS || chunked.payloadSize <= CHUNK_WALK_MIN_BYTES) return 0;
    const position = this.position + chunked.remaining + chunked.lineEndSize;
    if (position <= this.#steppedTo) return 0;
    this.#steppedTo = position;
    return position;
  }

  #stepOverSize(): number {
    switch (this.#phase) {
      case 'length':
        return this.#remaining;
      case 'chunked':
        return (this.#chunked as ChunkedBody).remaining;
      case 'until_end':
        return Number.MAX_SAFE_INTEGER;
      case 'boundary':
      case 'head':
      case 'opaque':
      case 'lost':
        return 0;
    }
  }

  #readBoundary(bytes: Uint8Array, from: number, to: number): ReadEvent {
    const start = skipEmptyLines(bytes, from, to);
    this.parsed += start - from;
    this.at = start;
    if (start >= to) return 'more';
    this.startPosition = this.#base + start;
    this.startTime = this.#time;
    this.startOtherPosition = this.#otherPosition;
    this.startProcess = this.#process;
    const verdict = this.head.read(bytes, start, to);
    if (verdict === 'yes') {
      const end = this.head.end;
      this.#isStartLineKnown = true;
      if (end - start > this.#maxHeadSize) return 'head_too_large';
      this.parsed += end - start;
      this.at = end;
      return 'head';
    }
    if (verdict === 'no') {
      this.#isStartLineKnown = this.#scanStartLine(bytes, start, to) >= 0;
      return 'malformed';
    }
    this.#nextLook = 0;
    this.#lineState = 0;
    if (!this.#keep(bytes, start, to)) {
      this.#isStartLineKnown = this.#scanStartLine(bytes, start, to) >= 0;
      return 'head_too_large';
    }
    this.#findHeadEnd(bytes, start, to);
    this.#lookAtStartLine();
    return 'more';
  }

  #readSplitHead(bytes: Uint8Array, from: number, to: number): ReadEvent {
    this.at = from;
    const end = this.#findHeadEnd(bytes, from, to);
    const stop = end < 0 ? to : end;
    const room = this.#maxHeadSize - this.#pending.length;
    const isTooLarge = stop - from > room;
    this.#keep(bytes, from, isTooLarge ? from + room : stop);
    if (isTooLarge) this.#nextLook = 0;
    if (!this.#lookAtStartLine()) return 'malformed';
    if (isTooLarge) return 'head_too_large';
    if (end < 0) return 'more';
    if (this.head.read(this.#pending.bytes, 0, this.#pending.length) !== 'yes') return 'malformed';
    this.#isStartLineKnown = true;
    this.#isHeadCounted = true;
    this.parsed += this.#pending.length;
    return 'head';
  }

  #readChunked(bytes: Uint8Array, from: number, to: number): ReadEvent {
    const chunked = this.#chunked as ChunkedBody;
    const event = chunked.read(bytes, from, to);
    this.at = chunked.at;
    this.skipped += chunked.payloadRead;
    this.parsed += chunked.at - from - chunked.payloadRead;
    this.#bodySize = chunked.payloadSize;
    if (event === 'end') this.#phase = 'boundary';
    return event;
  }

  #takeBody(size: number): void {
    this.#remaining -= size;
    this.#bodySize += size;
    this.skipped += size;
    if (this.#remaining === 0) this.#phase = 'boundary';
  }

  /** Copies a part of a head; false when the head is too large for that. */
  #keep(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#pending.append(bytes, from, to)) return false;
    this.#phase = 'head';
    this.at = to;
    return true;
  }

  /** Index behind the empty line that ends the present head, or -1; remembers how the bytes before ended. */
  #findHeadEnd(bytes: Uint8Array, from: number, to: number): number {
    let state = this.#lineState;
    for (let i = from; i < to; i++) {
      const byte = bytes[i];
      if (byte === LF) {
        if (state !== 0) return i + 1;
        state = 1;
      } else {
        state = state === 1 && byte === CR ? 2 : 0;
      }
    }
    this.#lineState = state;
    return -1;
  }

  /** False when the kept bytes do not begin as a message does. */
  #lookAtStartLine(): boolean {
    const length = this.#pending.length;
    if (this.#isStartLineKnown || length < this.#nextLook) return true;
    this.#nextLook = length < 64 ? 0 : length * 2;
    const line = this.#scanStartLine(this.#pending.bytes, 0, length);
    this.#isStartLineKnown = line >= 0;
    return line !== MALFORMED;
  }

  #scanStartLine(bytes: Uint8Array, from: number, to: number): number {
    return this.#side === 'request' ? scanRequestLine(bytes, from, to) : scanStatus(bytes, from, to);
  }
}
