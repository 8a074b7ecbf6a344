// The two sides of one HTTP/2 connection → transactions, and an account of every byte. Each frame is for one stream, or for the connection; what
// a conforming endpoint would end the connection for ends our reading. Where bytes were lost, a side is found again at a frame, and what may
// have ended in them is in doubt.
// More than 400 lines: what a frame means depends on the streams, on both tables and on what was lost of either side, and only here are all of them. Hot path. RFC 9113.
import type { ConnectionInfo } from '../../model/connection.ts';
import type { ConversationInspection, SideInspection } from '../../model/inspection.ts';
import type { Exchange } from '../../model/exchange.ts';
import type { ProcessId } from '../../model/process.ts';
import type {
  Conversation,
  ConversationSink,
  ConversationStart,
  GiveUpReason,
  Handover,
  LossReason,
  NotExportedReason,
  Present,
  Side,
} from '../../model/protocol.ts';
import type { IoContext } from '../../model/thread-context.ts';
import type { Abort, Nanoseconds } from '../../model/transaction.ts';
import {
  continueExchange,
  Doubt,
  judgeRequest,
  markLossy,
  noteLastData,
  noteLastFields,
  noteResponseLength,
  noteResponseType,
  openExchange,
  type StreamExchange,
  UNKNOWN_SIZE,
} from './exchange.ts';
import { Field } from './fields.ts';
import {
  errorName,
  Flag,
  FrameType,
  INITIAL_MAX_FRAME_SIZE,
  LARGEST_FRAME_SIZE,
  SETTING_SIZE,
  SETTINGS_MAX_FRAME_SIZE,
  uint32,
} from './frames.ts';
import { FrameReader, UNKNOWN_PADDING } from './frame-reader.ts';
import type { HeaderList } from './header-list.ts';
import { HeaderTable } from './header-table.ts';
import type { BlockDecoder } from './hpack.ts';
import { beginsWithFrames } from './start.ts';
import { StreamContexts } from './stream-contexts.ts';
import { Streams } from './streams.ts';

export interface Http2Options {
  /** Size of a list of fields that is followed (RFC 9113, 6.5.2). */
  readonly maxHeadSize: number;
  /** Streams that may be open on one connection. */
  readonly maxStreams: number;
  /** A DATA frame is stepped over when this much of it is still to come. */
  readonly stepOverThreshold: number;
}

/** What all conversations share: what a block says is used before the next one is read. */
export interface Shared {
  readonly decoder: BlockDecoder;
  readonly list: HeaderList;
}

/** Answers to requests that have not been seen yet, because another thread's call returned first; more are not remembered. */
const MAX_EARLY = 1000;

export class Http2Conversation implements Conversation {
  readonly #connection: ConnectionInfo;
  readonly #sink: ConversationSink;
  readonly #options: Http2Options;
  readonly #shared: Shared;
  readonly #request = new FrameReader('request');
  readonly #response = new FrameReader('response');
  readonly #requestTable = new HeaderTable();
  readonly #responseTable = new HeaderTable();
  readonly #streams: Streams;
  /** It is HTTP/2: it began with the preface, or a request was read. */
  #isProven: boolean;
  #isOver = false;
  /** Streams above it will not be answered; of the server's GOAWAY. */
  #lastAccepted = Infinity;
  /** Streams above {@link Streams.highest} that the server has spoken of already. */
  #early: Set<number> | undefined;
  #contexts: StreamContexts | undefined;
  #responseEnd: Nanoseconds | undefined;
  #time: Nanoseconds = 0;

  constructor(
    connection: ConnectionInfo,
    start: ConversationStart,
    sink: ConversationSink,
    options: Http2Options,
    shared: Shared,
  ) {
    this.#connection = connection;
    this.#sink = sink;
    this.#options = options;
    this.#shared = shared;
    this.#streams = new Streams(connection, sink, options.maxStreams);
    this.#isProven = start === 'beginning';
    if (this.#isProven) return;
    this.#loseReader('request');
    this.#loseReader('response');
  }

  /**
   * Where HTTP/1.1 has ended, before anything else. Of what the client's settings say only the size of frames is of interest: that of the
   * header table is repeated by the server before it uses it (RFC 7541, 4.2).
   */
  takeOver({ exchange, settings, isRequestSideLost, time }: Handover): void {
    this.#time = time;
    this.#streams.adopt(continueExchange(exchange));
    // What is wrong with them is the server's to say, and it has agreed.
    if (settings !== undefined) this.#applySettings('request', Buffer.from(settings, 'base64url'));
    if (isRequestSideLost) this.#lose('request');
  }

  data(
    side: Side,
    bytes: Uint8Array,
    from: number,
    to: number,
    position: number,
    isIoStart: boolean,
    otherPosition: number,
    time: Nanoseconds,
    process: ProcessId,
  ): void {
    if (from >= to) return;
    if (this.#isOver) {
      this.#sink.skipped(to - from);
      return;
    }
    const reader = this.#readerOf(side);
    const end = position + to - from;
    this.#time = time;
    reader.arrive(position, end, false, otherPosition, time, process);
    if (reader.phase === 'lost') {
      if (!isIoStart || !beginsWithFrames(side, bytes, from, to)) {
        this.#loseRest(side, reader, 'resynchronising');
        return;
      }
      this.#resume(reader, position, true);
    }
    this.#read(side, reader, bytes, from, to);
    this.#report(reader);
    this.#settleContexts(side, reader, end);
    const rest = reader.remainingData;
    // Only where nothing was lost: the kernel would keep to a wrong place for as long as the connection lives.
    if (reader.isWhole && (rest > 0 || reader.isAtBoundary)) this.#sink.followFrames(side, end + rest);
    // Told once of each frame, and not where it is only guessed that it is one.
    if (rest < this.#options.stepOverThreshold || reader.isGuess || reader.startPosition < position) return;
    this.#sink.stepOver(side, end + rest);
  }

  framed(
    side: Side,
    bytes: Uint8Array,
    from: number,
    to: number,
    position: number,
    end: number,
    toFrame: number,
    isInData: boolean,
    _isIoStart: boolean,
    otherPosition: number,
    reason: LossReason,
    time: Nanoseconds,
    process: ProcessId,
  ): void {
    if (position >= end) return;
    if (this.#isOver) {
      this.#sink.skipped(end - position);
      return;
    }
    const reader = this.#readerOf(side);
    this.#time = time;
    reader.arrive(position, end, true, otherPosition, time, process);
    // It has seen the preface.
    this.#isProven = true;
    if (this.#isContradicted(reader, toFrame)) this.#lose(side);
    let at = from;
    if (reader.phase === 'lost') {
      if (!isInData) at += toFrame;
      if (position + toFrame > end || at > to) {
        this.#loseRest(side, reader, 'resynchronising');
        return;
      }
      if (toFrame > 0) this.#sink.lost('resynchronising', toFrame);
      this.#resume(reader, position + toFrame, false);
    }
    this.#read(side, reader, bytes, at, to);
    if (!this.#isOverNow() && reader.phase !== 'lost' && reader.position < end) {
      this.#lose(side);
      this.#loseRest(side, reader, reason);
    }
    this.#report(reader);
    this.#settleContexts(side, reader, end);
  }

  threadContext(side: Side, context: IoContext): void {
    if (this.#isOver) return;
    this.#contexts ??= new StreamContexts();
    this.#contexts.arrive(side, context, this.#readerOf(side).isInBlock);
    if (this.#contexts.isUnsettled) this.#streams.isHolding = true;
  }

  missing(side: Side, position: number, end: number, reason: LossReason, time: Nanoseconds, process: ProcessId): void {
    if (position >= end) return;
    if (this.#isOver) {
      this.#sink.skipped(end - position);
      return;
    }
    const reader = this.#readerOf(side);
    this.#time = time;
    reader.arrive(position, end, false, 0, time, process);
    if (reader.phase !== 'lost') {
      if (reader.pass() === 'data') this.#dataFrame(side, reader);
      if (!this.#isOverNow() && reader.position < end) this.#lose(side);
    }
    if (this.#isOverNow()) this.#countSkipped(end - reader.position);
    else this.#loseRest(side, reader, reason);
    this.#report(reader);
    this.#settleContexts(side, reader, end);
  }

  /** What was told of this side may have been somewhere else. */
  unordered(side: Side): void {
    if (this.#isOver) return;
    this.#lose(side);
  }

  /** The kernel walks no chunks here. */
  chunksWalked(side: Side, position: number, end: number, _bodyBytes: number, _remaining: number, time: Nanoseconds): void {
    this.missing(side, position, end, 'capture_window', time, this.#connection.openedBy);
  }

  end(side: Side, time: Nanoseconds): void {
    // What this leaves unanswered waits for close(), which knows the cause; it ends here.
    if (!this.#isOver && side === 'response') this.#responseEnd ??= time;
  }

  close(cause: Abort, time: Nanoseconds): void {
    if (this.#isOver) return;
    this.#streams.release();
    this.#streams.abortAll(cause, time, this.#responseEnd);
    this.#finish();
  }

  exchangeAt(position: number): Exchange | undefined {
    return this.#streams.at(position);
  }

  openTransactions(): number {
    return this.#streams.openCount;
  }

  present(now: Nanoseconds): Present {
    return this.#streams.present(now);
  }

  inspect(now: Nanoseconds): ConversationInspection {
    return {
      protocol: 'http/2',
      request: inspectSide(this.#request),
      response: inspectSide(this.#response),
      pairing: this.#isProven ? 'by stream' : 'unproven',
      ...this.#streams.inspect(now),
    };
  }

  settle(now: Nanoseconds): void {
    this.#streams.settle(now);
  }

  abandon(reason: 'open_at_exit' | 'bytes_lost' = 'open_at_exit'): void {
    if (this.#isOver) return;
    this.#streams.release();
    // What the end of the response side has ended is over, though close() has not come.
    if (this.#responseEnd !== undefined && reason === 'open_at_exit') {
      this.#streams.abortAll('connection_closed', undefined, this.#responseEnd);
    }
    this.#streams.dropAll(reason);
    this.#finish();
  }

  // Frames

  /** Reads what arrived, of which bytes[from, to) are there. */
  #read(side: Side, reader: FrameReader, bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; ; at = reader.at) {
      switch (reader.read(bytes, at, to)) {
        case 'more':
          return;
        case 'data':
          this.#dataFrame(side, reader);
          break;
        case 'block':
          this.#block(side, reader);
          break;
        case 'control':
          this.#control(side, reader);
          break;
        case 'malformed':
          this.#malformed(side);
          break;
        case 'strange':
          this.#giveUp(this.#streams.highest === 0 ? 'not_http' : 'malformed');
          break;
      }
      reader.forgetSource();
      if (this.#isOver) {
        this.#countSkipped(reader.end - reader.position);
        return;
      }
      if (reader.phase === 'lost') {
        this.#loseRest(side, reader, 'resynchronising');
        return;
      }
    }
  }

  #dataFrame(side: Side, reader: FrameReader): void {
    const { stream, padding } = reader;
    const size = padding === UNKNOWN_PADDING ? UNKNOWN_SIZE : reader.length - padding;
    const exchange = this.#streams.get(stream);
    if (exchange === undefined) {
      if (this.#isIdle(side, stream)) this.#malformed(side);
      return;
    }
    const isLast = (reader.flags & Flag.endStream) !== 0;
    this.#touch(side, exchange);
    if (side === 'request') {
      if (exchange.isRequestOver) return;
      exchange.requestSize = sumOf(exchange.requestSize, size);
      if (isLast) this.#requestOver(exchange);
      return;
    }
    if (exchange.statusCode === 0 && !exchange.isStatusUnknown) {
      this.#streams.drop(exchange, exchange.isResponseLossy ? 'bytes_lost' : 'malformed_message');
      return;
    }
    if (exchange.isResponseOver) return;
    exchange.responseSize = sumOf(exchange.responseSize, size);
    if (exchange.responseSize === exchange.responseLength) exchange.wholeAt ??= this.#time;
    if (!isLast) return;
    noteLastData(exchange);
    this.#responseOver(exchange);
  }

  #block(side: Side, reader: FrameReader): void {
    const { list, decoder } = this.#shared;
    const table = side === 'request' ? this.#requestTable : this.#responseTable;
    if (!decoder.decode(reader.source, reader.sourceFrom, reader.sourceTo, table, list)) {
      this.#malformed(side);
      return;
    }
    if (list.isTooLarge) this.#sink.count('head_too_large');
    if (reader.type === FrameType.pushPromise) {
      this.#sink.count('pushed_response');
      return;
    }
    if (side === 'request') this.#requestBlock(reader, list);
    else this.#responseBlock(reader, list);
  }

  #requestBlock(reader: FrameReader, list: HeaderList): void {
    const { stream } = reader;
    const streams = this.#streams;
    const isLast = (reader.flags & Flag.endStream) !== 0;
    if (stream % 2 === 0) {
      this.#malformed('request');
      return;
    }
    if (stream > streams.highest) {
      this.#open(reader, list, isLast);
      return;
    }
    this.#contexts?.headers('request', stream, reader.startPosition, undefined);
    const exchange = streams.get(stream);
    if (exchange === undefined) {
      // Fields behind the body of a stream that is over for us; a request would be another one of its id.
      if (list.has(Field.method)) this.#malformed('request');
      return;
    }
    this.#touch('request', exchange);
    if (isLast && !exchange.isRequestOver) this.#requestOver(exchange);
  }

  /** A stream that was not there before. */
  #open(reader: FrameReader, list: HeaderList, isLast: boolean): void {
    const { stream } = reader;
    const streams = this.#streams;
    streams.highest = stream;
    const verdict = judgeRequest(list);
    if (verdict === 'good') this.#prove(reader);
    if (!this.#isProven) return;
    const isEarly = this.#takeEarly(stream);
    const refusal: NotExportedReason | undefined =
      verdict !== 'good' ? verdict : isEarly ? 'bytes_lost' : streams.isFull ? 'too_many_pipelined' : undefined;
    if (refusal !== undefined) {
      this.#contexts?.headers('request', stream, reader.startPosition, undefined);
      // Behind lost bytes it may be the end of a request that began in them.
      if (verdict !== 'malformed_message' || reader.isWhole) streams.refuse(refusal);
      return;
    }
    const exchange = openExchange(
      list,
      this.#connection,
      stream,
      reader.startPosition,
      reader.startTime,
      reader.startProcess ?? this.#connection.openedBy,
    );
    this.#contexts?.headers('request', stream, reader.startPosition, exchange);
    if (isLast) {
      exchange.isRequestOver = true;
      exchange.request.bodySize = 0;
    }
    streams.open(exchange);
    // Its answer may be among what cannot be read.
    if (this.#response.phase === 'lost') markLossy(exchange, 'response', this.#time);
    if (stream > this.#lastAccepted) streams.finish(exchange, this.#time, undefined, 'REFUSED_STREAM');
  }

  #responseBlock(reader: FrameReader, list: HeaderList): void {
    const { stream } = reader;
    const exchange = this.#streams.get(stream);
    if (exchange === undefined) {
      this.#contexts?.headers('response', stream, reader.startPosition, undefined);
      this.#noteUnpaired(stream);
      return;
    }
    this.#touch('response', exchange);
    const isLast = (reader.flags & Flag.endStream) !== 0;
    const isHead = this.#responseHead(reader, list, exchange, isLast);
    this.#contexts?.headers('response', stream, reader.startPosition, isHead ? exchange : undefined);
    if (exchange.isOver || exchange.isResponseOver || !isLast) return;
    noteLastFields(exchange, list, isHead);
    this.#responseOver(exchange);
  }

  /** True: it is, as far as is known, the head of the final response. */
  #responseHead(reader: FrameReader, list: HeaderList, exchange: StreamExchange, isLast: boolean): boolean {
    const status = list.get(Field.status);
    if (list.isTooLarge || list.isMalformed) {
      this.#streams.drop(exchange, list.isTooLarge ? 'head_too_large' : 'malformed_message');
      return false;
    }
    if (exchange.statusCode !== 0) {
      if (status !== undefined) this.#streams.drop(exchange, 'malformed_message');
      return false;
    }
    if (status === undefined) {
      if (list.hasUnknown) {
        // A head, unless it follows one that was not known either.
        exchange.isStatusUnknown = true;
        exchange.answeredBy ??= reader.startProcess;
        noteResponseType(exchange, list);
        return true;
      }
      if (!exchange.isStatusUnknown) {
        this.#streams.drop(exchange, exchange.isResponseLossy ? 'bytes_lost' : 'malformed_message');
      }
      return false;
    }
    const code = /^[1-9]\d\d$/.test(status) ? Number(status) : 0;
    if (code === 0 || (code < 200 && isLast)) {
      this.#streams.drop(exchange, 'malformed_message');
      return false;
    }
    // A head before it was an interim one.
    exchange.isStatusUnknown = false;
    if (code < 200) return false;
    reader.isGuess = false;
    exchange.statusCode = code;
    exchange.answeredBy = reader.startProcess;
    noteResponseType(exchange, list);
    noteResponseLength(exchange, list);
    return true;
  }

  #control(side: Side, reader: FrameReader): void {
    const { source, sourceFrom } = reader;
    if (reader.type === FrameType.rstStream) {
      this.#reset(side, reader.stream, uint32(source, sourceFrom));
    } else if (reader.type === FrameType.settings) {
      if (!this.#applySettings(side, source.subarray(sourceFrom, reader.sourceTo))) this.#malformed(side);
    } else if (reader.type === FrameType.goaway && side === 'response') {
      this.#lastAccepted = Math.min(this.#lastAccepted, uint32(source, sourceFrom) & 0x7fffffff);
      this.#streams.refuseAbove(this.#lastAccepted, this.#time);
    }
  }

  #reset(side: Side, stream: number, code: number): void {
    const exchange = this.#streams.get(stream);
    if (exchange === undefined) {
      if (this.#isIdle(side, stream)) this.#malformed(side);
      return;
    }
    if (side === 'request') exchange.doubt &= ~Doubt.request;
    // What both ends have said is over, unless the end of a tunnel is an error.
    const isComplete = exchange.isResponseOver && code === 0;
    if (side === 'request' && this.#streams.finishWhole(exchange)) return;
    this.#streams.finish(exchange, this.#time, undefined, isComplete ? undefined : errorName(code));
  }

  /** Frames that the other side sends may become longer. */
  #applySettings(side: Side, settings: Uint8Array): boolean {
    for (let at = 0; at + SETTING_SIZE <= settings.length; at += SETTING_SIZE) {
      if ((((settings[at] as number) << 8) | (settings[at + 1] as number)) !== SETTINGS_MAX_FRAME_SIZE) continue;
      const size = uint32(settings, at + 2);
      if (size < INITIAL_MAX_FRAME_SIZE || size > LARGEST_FRAME_SIZE) return false;
      const other = this.#readerOf(side === 'request' ? 'response' : 'request');
      other.maxFrameSize = Math.max(other.maxFrameSize, size);
    }
    return true;
  }

  // Streams

  #requestOver(exchange: StreamExchange): void {
    exchange.isRequestOver = true;
    if (exchange.requestSize !== UNKNOWN_SIZE) exchange.request.bodySize = exchange.requestSize;
    if (exchange.isResponseOver) this.#streams.finish(exchange, this.#time, undefined, undefined);
  }

  #responseOver(exchange: StreamExchange): void {
    exchange.isResponseOver = true;
    // A tunnel is over when both its directions are.
    const isTunnel = exchange.isConnect && exchange.statusCode < 300;
    if (!isTunnel || exchange.isRequestOver) this.#streams.finish(exchange, this.#time, undefined, undefined);
  }

  /** It had not ended on this side in what was lost. */
  #touch(side: Side, exchange: StreamExchange): void {
    if (exchange.doubt === 0) return;
    exchange.doubt &= side === 'request' ? ~Doubt.request : ~Doubt.response;
    exchange.doubtSince = this.#time;
  }

  /** Nobody has opened this stream, so that a frame of it is an error; false where that is not known. */
  #isIdle(side: Side, stream: number): boolean {
    if (stream % 2 === 0) return false;
    if (side === 'response') {
      this.#noteUnpaired(stream);
      return false;
    }
    return stream > this.#streams.highest && this.#request.isWhole && !this.#request.isGuess;
  }

  /** The server speaks of a stream that is not open. */
  #noteUnpaired(stream: number): void {
    if (stream % 2 === 0 || stream <= this.#streams.highest || !this.#isProven) return;
    this.#early ??= new Set();
    if (this.#early.size >= MAX_EARLY || this.#early.has(stream)) return;
    this.#early.add(stream);
    this.#sink.count('response_without_request');
  }

  /** Was this stream answered before it was opened? Those below it never will be. */
  #takeEarly(stream: number): boolean {
    const early = this.#early;
    if (early === undefined) return false;
    const isEarly = early.has(stream);
    for (const id of early) if (id <= stream) early.delete(id);
    if (early.size === 0) this.#early = undefined;
    return isEarly;
  }

  // Proof and loss

  /** A request was read where it was only hoped for. */
  #prove(reader: FrameReader): void {
    reader.isGuess = false;
    if (this.#isProven) return;
    this.#isProven = true;
    this.#sink.count('resynchronised');
  }

  #readerOf(side: Side): FrameReader {
    return side === 'request' ? this.#request : this.#response;
  }

  /** A frame begins at `position`. */
  #resume(reader: FrameReader, position: number, isGuess: boolean): void {
    reader.resume(position, isGuess);
    // Where that is all the proof there is, it is too little.
    if (this.#isProven) this.#sink.count('resynchronised');
  }

  /** The kernel sees a frame begin where this is not one. */
  #isContradicted(reader: FrameReader, toFrame: number): boolean {
    if (reader.isAtBoundary) return toFrame !== 0;
    const rest = reader.remainingData;
    return rest > 0 && toFrame !== rest;
  }

  /** Bytes of this side were lost. */
  #lose(side: Side): void {
    this.#loseReader(side);
    this.#contexts?.spoil(side);
    this.#streams.doubt(side, this.#time);
  }

  #loseReader(side: Side): void {
    const isRequest = side === 'request';
    (isRequest ? this.#request : this.#response).lose();
    (isRequest ? this.#requestTable : this.#responseTable).forget();
    // What this side has allowed may have been among it.
    (isRequest ? this.#response : this.#request).maxFrameSize = LARGEST_FRAME_SIZE;
  }

  /** What arrived and was not read is lost. */
  #loseRest(side: Side, reader: FrameReader, reason: LossReason | 'resynchronising'): void {
    const rest = reader.end - reader.position;
    if (rest <= 0) return;
    this.#contexts?.spoil(side);
    reader.position = reader.end;
    this.#sink.lost(reason, rest);
  }

  #malformed(side: Side): void {
    const reader = this.#readerOf(side);
    // It was no frame that began there.
    if (reader.isGuess) {
      this.#lose(side);
      return;
    }
    const rest = reader.end - reader.position;
    reader.position = reader.end;
    if (rest > 0) this.#sink.lost('malformed_message', rest);
    this.#giveUp('malformed');
  }

  // Endings and accounts

  #settleContexts(side: Side, reader: FrameReader, position: number): void {
    if (this.#contexts === undefined) return;
    this.#contexts.reach(side, position, reader.isInBlock);
    if (!this.#contexts.isUnsettled) this.#streams.release();
  }

  #giveUp(reason: GiveUpReason): void {
    this.#streams.dropAll('malformed_message');
    this.#finish();
    this.#sink.giveUp(reason);
  }

  #finish(): void {
    this.#isOver = true;
    this.#report(this.#request);
    this.#report(this.#response);
    this.#request.lose();
    this.#response.lose();
    this.#early = undefined;
    this.#contexts = undefined;
  }

  /** {@link #isOver}, after calls that may have set it. */
  #isOverNow(): boolean {
    return this.#isOver;
  }

  #report(reader: FrameReader): void {
    if (reader.parsed > 0) this.#sink.parsed(reader.parsed);
    this.#countSkipped(reader.skipped);
    reader.parsed = reader.skipped = 0;
  }

  #countSkipped(size: number): void {
    if (size > 0) this.#sink.skipped(size);
  }
}

function sumOf(sum: number, size: number): number {
  return sum === UNKNOWN_SIZE || size === UNKNOWN_SIZE ? UNKNOWN_SIZE : sum + size;
}

function inspectSide({ phase, bufferedBytes, remainingData }: FrameReader): SideInspection {
  return { phase, buffered_bytes: bufferedBytes, body_bytes: remainingData };
}
