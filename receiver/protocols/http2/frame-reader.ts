// Bytes of one direction → frames, one after the other, and an account of every byte. Of DATA frames only the size is kept; header blocks are
// joined, in place where they are whole. Their payload may be left out of the bytes altogether: then positions tell where it ends. Hot path.
import { BoundedBuffer } from '../../bytes/bounded-buffer.ts';
import type { Side } from '../../model/protocol.ts';
import type { ProcessId } from '../../model/process.ts';
import type { Nanoseconds } from '../../model/transaction.ts';
import { Flag, FRAME_HEADER_SIZE, FrameType, INITIAL_MAX_FRAME_SIZE, isLawful, isPlausible, PREFACE, uint32 } from './frames.ts';

/** What {@link FrameReader.read} came to. */
export type FrameEvent =
  /** All is read that was there. */
  | 'more'
  /** A header block, of HEADERS or PUSH_PROMISE, is whole. */
  | 'block'
  /** A DATA frame is over. */
  | 'data'
  /** RST_STREAM, SETTINGS or GOAWAY: its payload is whole. */
  | 'control'
  /** No conforming endpoint goes on after this. */
  | 'malformed'
  /** The client's preface is none. */
  | 'strange';

export type FramePhase = 'preface' | 'boundary' | 'payload' | 'lost';

/** A header block, or another frame that has to be kept, of more than this is not followed. */
const MAX_KEPT = 1024 * 1024;
/** A block in more frames is an attack. */
const MAX_CONTINUATIONS = 1024;
/** Padding of a DATA frame that was not seen. */
export const UNKNOWN_PADDING = -1;

const KEPT =
  (1 << FrameType.headers) |
  (1 << FrameType.rstStream) |
  (1 << FrameType.settings) |
  (1 << FrameType.pushPromise) |
  (1 << FrameType.goaway) |
  (1 << FrameType.continuation);

export class FrameReader {
  phase: FramePhase;
  /** Nothing was lost so far. */
  isWhole = true;
  /** The place was found by what frames look like, and nothing that it led to has shown yet that it was right. */
  isGuess = false;
  /** Position of the next byte to be read. */
  position = 0;
  /** Index behind the last byte taken by {@link read}. */
  at = 0;
  /** Where the bytes under way end. */
  end = 0;
  /** Bytes accounted for since this was last set to 0. */
  parsed = 0;
  skipped = 0;
  /** Frames may be as long as this. */
  maxFrameSize = INITIAL_MAX_FRAME_SIZE;

  /** Of the frame under way, or the header block's first. */
  type = 0;
  flags = 0;
  stream = 0;
  length = 0;
  /** Of a DATA frame: bytes that are padding, or {@link UNKNOWN_PADDING}. */
  padding = 0;
  /** Its first byte. */
  startPosition = 0;
  startTime: Nanoseconds = 0;
  startProcess: ProcessId | undefined;
  /** Where the opposite direction stood at it. */
  startOtherPosition = 0;
  /** Block or payload: source[sourceFrom, sourceTo). */
  source: Uint8Array = PREFACE;
  sourceFrom = 0;
  sourceTo = 0;

  readonly #side: Side;
  /** Payload of DATA frames is not in the bytes. */
  #isElided = false;
  #time: Nanoseconds = 0;
  #process: ProcessId | undefined;
  #otherPosition = 0;
  /** The first frame has to be SETTINGS. */
  #isFirst = true;
  /** Stream of a header block that is to be continued; 0: none is. */
  #continued = 0;
  #continuations = 0;
  /** Of the frame under way, also a CONTINUATION. */
  #frameType = 0;
  #frameFlags = 0;
  #frameLength = 0;
  #remaining = 0;
  #prefaceRead = 0;
  /** The beginning of what the bytes so far have cut: a frame header, or the payload of a frame that is kept. */
  #cut: BoundedBuffer | undefined;
  #block: BoundedBuffer | undefined;

  constructor(side: Side) {
    this.#side = side;
    this.phase = side === 'request' ? 'preface' : 'boundary';
  }

  /** Bytes that are kept until there are more. */
  get bufferedBytes(): number {
    return (this.#cut?.length ?? 0) + (this.#block?.length ?? 0);
  }

  /** A header block has begun, or may have, and is not whole. */
  get isInBlock(): boolean {
    if (this.#continued !== 0) return true;
    if (this.phase === 'boundary') return !this.isAtBoundary;
    return this.phase === 'payload' && (this.#frameType === FrameType.headers || this.#frameType === FrameType.pushPromise);
  }

  /** Bytes of a DATA frame's payload that are still to come. */
  get remainingData(): number {
    return this.phase === 'payload' && this.#frameType === FrameType.data ? this.#remaining : 0;
  }

  /** A frame begins at {@link position}. */
  get isAtBoundary(): boolean {
    return this.phase === 'boundary' && (this.#cut === undefined || this.#cut.length === 0);
  }

  /** Bytes [position, end) of the stream are next; `isElided`: without the payload of DATA frames. */
  arrive(
    position: number,
    end: number,
    isElided: boolean,
    otherPosition: number,
    time: Nanoseconds,
    process: ProcessId | undefined,
  ): void {
    this.position = position;
    this.end = end;
    this.#isElided = isElided;
    this.#otherPosition = otherPosition;
    this.#time = time;
    this.#process = process;
  }

  /** Where the next frame begins is not known any more. */
  lose(): void {
    this.phase = 'lost';
    this.isWhole = false;
    this.#isFirst = false;
    this.#continued = 0;
    this.#cut = this.#block = undefined;
  }

  /** A frame begins at `position`, behind bytes that were lost. */
  resume(position: number, isGuess: boolean): void {
    this.phase = 'boundary';
    this.position = position;
    this.isGuess = isGuess;
  }

  /** What {@link source} was is not needed any more. */
  forgetSource(): void {
    this.source = PREFACE;
  }

  read(bytes: Uint8Array, from: number, to: number): FrameEvent {
    this.at = from;
    for (;;) {
      // More bytes than moved there are none.
      const limit = Math.min(to, this.at + this.end - this.position);
      if (this.phase === 'payload') {
        const event = this.#frameType === FrameType.data ? this.#readData(bytes, limit) : this.#readPayload(bytes, limit);
        if (event !== undefined) return event;
      } else if (this.at >= limit) {
        return 'more';
      } else if (this.phase === 'preface') {
        if (!this.#readPreface(bytes, limit)) return 'strange';
      } else {
        const event = this.#readHeader(bytes, limit);
        if (event !== undefined) return event;
      }
    }
  }

  /** Of the bytes under way none is there: passes those that are not needed. 'data': with them a DATA frame is over. */
  pass(): FrameEvent {
    if (this.phase !== 'payload' || this.#isKept()) return 'more';
    if (this.#frameType === FrameType.data && this.#isPaddingDue()) this.padding = UNKNOWN_PADDING;
    this.#skip(Math.min(this.#remaining, this.end - this.position));
    if (this.#remaining > 0) return 'more';
    this.phase = 'boundary';
    return this.#frameType === FrameType.data ? 'data' : 'more';
  }

  #readPreface(bytes: Uint8Array, to: number): boolean {
    while (this.at < to && this.#prefaceRead < PREFACE.length) {
      if (bytes[this.at] !== PREFACE[this.#prefaceRead]) return false;
      this.#prefaceRead++;
      this.#take(1);
    }
    if (this.#prefaceRead === PREFACE.length) this.phase = 'boundary';
    return true;
  }

  #readHeader(bytes: Uint8Array, to: number): FrameEvent | undefined {
    const held = this.#cut?.length ?? 0;
    if (held === 0 && this.#continued === 0) {
      this.startPosition = this.position;
      this.startTime = this.#time;
      this.startProcess = this.#process;
      this.startOtherPosition = this.#otherPosition;
    }
    if (held === 0 && to - this.at >= FRAME_HEADER_SIZE) {
      const from = this.at;
      this.#take(FRAME_HEADER_SIZE);
      return this.#begin(bytes, from);
    }
    const size = Math.min(to - this.at, FRAME_HEADER_SIZE - held);
    const cut = (this.#cut ??= new BoundedBuffer(MAX_KEPT));
    cut.append(bytes, this.at, this.at + size);
    this.#take(size);
    if (cut.length < FRAME_HEADER_SIZE) return 'more';
    this.#cut = undefined;
    return this.#begin(cut.bytes, 0);
  }

  /** A frame whose header is at `at`. */
  #begin(bytes: Uint8Array, at: number): FrameEvent | undefined {
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const word = uint32(bytes, at + 5);
    const stream = word & 0x7fffffff;
    if (this.isGuess && !isPlausible(this.#side, type, flags, length, word)) return 'malformed';
    if (length > this.maxFrameSize || !isLawful(type, flags, length, stream)) return 'malformed';
    if (this.#isFirst) {
      if (type !== FrameType.settings || (flags & Flag.ack) !== 0) return 'malformed';
      this.#isFirst = false;
    }
    // Nothing comes between the frames of a header block, and only they are continued.
    if (type === FrameType.continuation ? stream !== this.#continued : this.#continued !== 0) return 'malformed';
    if (type === FrameType.pushPromise && this.#side === 'request') return 'malformed';
    this.#frameType = type;
    this.#frameFlags = flags;
    this.#frameLength = this.#remaining = length;
    this.phase = 'payload';
    if (type !== FrameType.continuation) {
      this.type = type;
      this.flags = flags;
      this.stream = stream;
      this.length = length;
      this.padding = 0;
    } else if (++this.#continuations > MAX_CONTINUATIONS) {
      return 'malformed';
    }
    return this.#isKept() && length > MAX_KEPT ? 'malformed' : undefined;
  }

  #isKept(): boolean {
    return this.#frameType <= FrameType.continuation && (KEPT & (1 << this.#frameType)) !== 0;
  }

  /** The length of its padding is the next byte of this DATA frame. */
  #isPaddingDue(): boolean {
    return (this.#frameFlags & Flag.padded) !== 0 && this.#remaining === this.#frameLength && this.#frameLength > 0;
  }

  #readData(bytes: Uint8Array, to: number): FrameEvent | undefined {
    if (this.#isElided) {
      if (this.#isPaddingDue()) this.padding = UNKNOWN_PADDING;
      this.#skip(Math.min(this.#remaining, this.end - this.position));
    } else {
      const size = Math.min(this.#remaining, to - this.at);
      if (size > 0 && this.#isPaddingDue()) {
        this.padding = 1 + (bytes[this.at] as number);
        if (this.padding > this.#frameLength) return 'malformed';
      }
      this.#skip(size);
      this.at += size;
    }
    if (this.#remaining > 0) return 'more';
    this.phase = 'boundary';
    return 'data';
  }

  /** Undefined: it is over, and means nothing by itself. */
  #readPayload(bytes: Uint8Array, to: number): FrameEvent | undefined {
    const size = Math.min(this.#remaining, to - this.at);
    const from = this.at;
    if (!this.#isKept()) {
      this.#skip(size);
      this.at += size;
      if (this.#remaining > 0) return 'more';
      this.phase = 'boundary';
      return undefined;
    }
    this.#take(size);
    this.#remaining -= size;
    if (size < this.#frameLength) {
      if (size > 0) (this.#cut ??= new BoundedBuffer(MAX_KEPT)).append(bytes, from, from + size);
      if (this.#remaining > 0) return 'more';
    }
    this.phase = 'boundary';
    const cut = this.#cut;
    this.#cut = undefined;
    if (cut === undefined) return this.#finish(bytes, from, from + size);
    return this.#finish(cut.bytes, 0, cut.length);
  }

  /** The payload of a frame that is kept is bytes[from, to). */
  #finish(bytes: Uint8Array, from: number, to: number): FrameEvent | undefined {
    const type = this.#frameType;
    let begin = from;
    let end = to;
    if (type === FrameType.headers || type === FrameType.pushPromise) {
      if ((this.#frameFlags & Flag.padded) !== 0) end -= bytes[begin++] as number;
      if (type === FrameType.headers && (this.#frameFlags & Flag.priority) !== 0) begin += 5;
      if (type === FrameType.pushPromise) begin += 4;
      if (begin > end) return 'malformed';
      this.#continuations = 0;
    } else if (type !== FrameType.continuation) {
      return this.#hand(bytes, begin, end, 'control');
    }
    const isWhole = (this.#frameFlags & Flag.endHeaders) !== 0;
    if (isWhole && this.#block === undefined) {
      this.#continued = 0;
      return this.#hand(bytes, begin, end, 'block');
    }
    const block = (this.#block ??= new BoundedBuffer(MAX_KEPT));
    if (!block.append(bytes, begin, end)) return 'malformed';
    this.#continued = this.stream;
    if (!isWhole) return undefined;
    this.#continued = 0;
    this.#block = undefined;
    return this.#hand(block.bytes, 0, block.length, 'block');
  }

  #hand(bytes: Uint8Array, from: number, to: number, event: 'block' | 'control'): FrameEvent {
    this.source = bytes;
    this.sourceFrom = from;
    this.sourceTo = to;
    return event;
  }

  #take(size: number): void {
    this.at += size;
    this.position += size;
    this.parsed += size;
  }

  #skip(size: number): void {
    this.position += size;
    this.#remaining -= size;
    this.skipped += size;
  }
}
