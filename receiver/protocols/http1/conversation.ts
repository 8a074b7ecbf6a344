// The two sides of one HTTP/1.x connection → transactions, and an account of every byte. Holds what is known of both sides together:
// whether this is HTTP at all, whether each side's framing is known, and what has to be found again after bytes were lost.
// More than 400 lines: what one side does depends on the state of the other, and that state makes sense only in one place. Hot path.
// RFC 9112.
import type { ConnectionInfo } from '../../model/connection.ts';
import type { ConversationInspection, SideInspection } from '../../model/inspection.ts';
import type { Exchange } from '../../model/exchange.ts';
import type { ProcessId } from '../../model/process.ts';
import type {
  Conversation,
  ConversationSink,
  ConversationStart,
  GiveUpReason,
  LossReason,
  Present,
  Side,
} from '../../model/protocol.ts';
import type { IoContext } from '../../model/thread-context.ts';
import type { Abort, HttpRequest, Nanoseconds } from '../../model/transaction.ts';
import { type HttpExchange, openExchange, requestBody, responseBody } from './exchange.ts';
import { NO_LENGTH } from './head.ts';
import { MessageContexts } from './message-contexts.ts';
import { Matcher } from './match.ts';
import type { MessageReader } from './parse.ts';
import type { Readers } from './readers.ts';
import { recogniseStart } from './start-line.ts';
import { UnpairedResponses } from './unpaired.ts';

export interface Http1Options {
  /** Bytes of a head that are followed, its first line and its empty line included. */
  readonly maxHeadSize: number;
  /** Requests that may wait for their answers on one connection. */
  readonly maxPipelined: number;
  /** Bodies are stepped over when this much is still to come. */
  readonly stepOverThreshold: number;
}

type Pairing =
  /** At the beginning: HTTP once both sides have spoken it. */
  | 'opening'
  /** Responses answer the waiting requests in order. */
  | 'firm'
  /** Which request the next response answers is unknown: responses are lost until the client has its turn again. */
  | 'none'
  /** A request came at the client's turn; a response must answer it at the beginning of an I/O. */
  | 'candidate';

/** What one protocol's conversations share. */
export interface Shared {
  readonly request: Readers;
  readonly response: Readers;
  /** Of any of them. Hosts and agents are the same on many connections, and always on both ends of one: they are kept once. */
  lastRequest: HttpRequest | undefined;
}

const STATUS_SWITCHING = 101;

function inspectSide({ phase, bufferedBytes, bodySize }: MessageReader): SideInspection {
  return { phase, buffered_bytes: bufferedBytes, body_bytes: bodySize };
}

export class Http1Conversation implements Conversation {
  readonly #connection: ConnectionInfo;
  readonly #sink: ConversationSink;
  readonly #options: Http1Options;
  readonly #shared: Shared;
  /** Lent for as long as the side is in a message; else one that stands for none. */
  #request: MessageReader;
  #response: MessageReader;
  readonly #matcher: Matcher;
  #pairing: Pairing = 'opening';
  /** The request side was followed from a proven place: its figures stand, whatever becomes of the pairing. */
  #isRequestInSync = true;
  /** A response was seen before any request: half of the proof that an opening needs. */
  #isResponseProven = false;
  /** The response side's first I/O is still to be seen, or is being seen. */
  #isResponseBeginning: boolean;
  /** The request side cannot be followed any more: give up when what is waiting has been answered. */
  #isDraining = false;
  /** Request-side bytes passed while the answer to an offer to switch protocols was awaited. */
  #hasUnreadOffer = false;
  /** A response came before the request head under way was whole: that request is answered already. */
  #isAnsweredEarly = false;
  #isOver = false;
  /** The exchange whose request body is under way. */
  #receiving: HttpExchange | undefined;
  /** The exchange whose final response is under way. */
  #answering: HttpExchange | undefined;
  #lastRequest: HttpRequest | undefined;
  /** Who spoke last. While the request side is lost: 'response' only when that was a final one, which gives the client the turn. */
  #lastSide: Side | undefined;
  #unpaired: UnpairedResponses | undefined;
  #contexts: MessageContexts | undefined;
  #responseEnd: Nanoseconds | undefined;

  constructor(
    connection: ConnectionInfo,
    start: ConversationStart,
    sink: ConversationSink,
    options: Http1Options,
    shared: Shared,
  ) {
    this.#connection = connection;
    this.#sink = sink;
    this.#options = options;
    this.#shared = shared;
    this.#request = shared.request.none;
    this.#response = shared.response.none;
    this.#matcher = new Matcher(sink, options.maxPipelined);
    this.#isResponseBeginning = start === 'beginning';
    if (start === 'beginning') return;
    this.#pairing = 'none';
    this.#isRequestInSync = false;
    this.#requestReader().enter('lost');
    this.#responseReader().enter('lost');
    this.#matcher.doubt();
    if (start === 'boundary') this.#lastSide = 'response';
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
    if (side === 'request') {
      this.#requestReader().arrive(position, from, to - from, otherPosition, time, process);
      this.#requestData(bytes, from, to, isIoStart);
      this.#lastSide = side;
    } else {
      this.#responseReader().arrive(position, from, to - from, otherPosition, time, process);
      if (this.#pairing === 'none') {
        this.#responseUnpaired(bytes, from, to, isIoStart);
      } else {
        this.#lastSide = side;
        this.#isResponseBeginning = false;
        const successor = this.#responseData(bytes, from, to, isIoStart, time);
        if (successor !== undefined) {
          const { at } = this.#response;
          successor.data(side, bytes, at, to, position + at - from, false, otherPosition, time, process);
        }
      }
    }
    this.#giveReadersBack();
  }

  /** The kernel follows no frames where HTTP/1 was chosen. */
  framed(
    side: Side,
    _bytes: Uint8Array,
    _from: number,
    _to: number,
    position: number,
    end: number,
    _toFrame: number,
    _isInData: boolean,
    _isIoStart: boolean,
    _otherPosition: number,
    reason: LossReason,
    time: Nanoseconds,
    process: ProcessId,
  ): void {
    this.missing(side, position, end, reason, time, process);
  }

  threadContext(side: Side, context: IoContext): void {
    (this.#contexts ??= new MessageContexts()).arrive(side, context);
  }

  missing(side: Side, position: number, end: number, reason: LossReason, time: Nanoseconds, process: ProcessId): void {
    const size = end - position;
    if (size <= 0) return;
    if (this.#isOver) {
      this.#sink.skipped(size);
      return;
    }
    this.#missing(side, position, size, reason, time, process);
    this.#giveReadersBack();
  }

  #missing(side: Side, position: number, size: number, reason: LossReason, time: Nanoseconds, process: ProcessId): void {
    // Unseen response bytes may be an interim response, behind which the client has no turn: see #responseUnpaired.
    if (side === 'request' || this.#request.phase !== 'lost') this.#lastSide = side;
    if (side === 'response') {
      this.#isResponseBeginning = false;
      this.#unpaired?.reset();
    }
    const reader = side === 'request' ? this.#requestReader() : this.#responseReader();
    reader.arrive(position, 0, size, 0, time, process);
    if (reader.phase === 'lost') {
      this.#sink.lost(reason, size);
      return;
    }
    if (reader.phase === 'opaque') this.#hasUnreadOffer = true;
    const harmless = reader.skip(size);
    if (harmless > 0 && reader.phase === 'boundary') {
      if (side === 'request') this.#requestEnd(reader.bodySize);
      else this.#responseComplete(time, reader.bodySize);
    }
    if (this.#isOver) {
      this.#countSkipped(size - harmless);
      return;
    }
    if (harmless < size) {
      this.#countLost(reason, size - harmless);
      if (side === 'request') this.#loseAll();
      else this.#loseResponses(reason === 'unseen_io' || reason === 'unordered_io');
      return;
    }
    this.#report(side, reader);
  }

  unordered(): void {
    if (this.#isOver) return;
    this.#matcher.forgetTurns();
    if (this.#matcher.isInDoubt) this.#loseAll();
  }

  chunksWalked(side: Side, position: number, end: number, bodyBytes: number, remaining: number, time: Nanoseconds): void {
    const reader = side === 'request' ? this.#request : this.#response;
    if (this.#isOver || !reader.takeChunkWalk(position, end, bodyBytes, remaining)) {
      this.missing(side, position, end, 'capture_window', time, reader.startProcess ?? this.#connection.openedBy);
      return;
    }
    this.#lastSide = side;
    // The kernel is following already: no wishes.
    this.#reportFigures(side, reader);
  }

  end(side: Side, time: Nanoseconds): void {
    if (this.#isOver || side === 'request' || this.#responseEnd !== undefined) return;
    // Other exchanges that this leaves unanswered wait for close(), which knows the cause; they end here.
    this.#responseEnd = time;
    if (this.#response.phase === 'until_end') this.#endUntilEnd(time);
  }

  close(cause: Abort, time: Nanoseconds): void {
    if (this.#isOver) return;
    // A reset, or a client that leaves without having seen the end, says nothing of the body being whole.
    const isCut = cause === 'connection_reset' || (cause === 'process_exited' && this.#connection.role === 'client');
    if (this.#response.phase === 'until_end' && !isCut) this.#endUntilEnd(time);
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the end of a message may have been the end of it all
    if (this.#isOver) return;
    // No answer is no contradiction: a whole request head was HTTP enough. A place found again, though, needs its proof.
    if (this.#pairing === 'opening') this.#matcher.confirm();
    this.#abort(cause, time);
    this.#finish(true);
  }

  exchangeAt(position: number): Exchange | undefined {
    return this.#matcher.at(position);
  }

  openTransactions(): number {
    return this.#matcher.openCount;
  }

  present(now: Nanoseconds): Present {
    return this.#matcher.present(now, this.#connection);
  }

  inspect(now: Nanoseconds): ConversationInspection {
    return {
      protocol: 'http/1.x',
      request: inspectSide(this.#request),
      response: inspectSide(this.#response),
      pairing: this.#matcher.isInDoubt ? `${this.#pairing}, in doubt` : this.#pairing,
      ...this.#matcher.inspect(now),
    };
  }

  settle(now: Nanoseconds): void {
    this.#matcher.settleAfterSilence(now);
  }

  abandon(reason: 'open_at_exit' | 'bytes_lost' = 'open_at_exit'): void {
    if (this.#isOver) return;
    // What the end of the response side has ended is over, though close() has not come.
    if (this.#responseEnd !== undefined && reason === 'open_at_exit') this.#abort('connection_closed', undefined);
    this.#matcher.settle();
    this.#matcher.dropAll(reason);
    this.#finish(true);
  }

  // Readers

  #requestReader(): MessageReader {
    const { request } = this.#shared;
    return this.#request === request.none ? (this.#request = request.lend()) : this.#request;
  }

  #responseReader(): MessageReader {
    const { response } = this.#shared;
    return this.#response === response.none ? (this.#response = response.lend()) : this.#response;
  }

  /** Where responses are awaited it counts how far their side is known. */
  #giveReadersBack(): void {
    const { request, response } = this.#shared;
    if (this.#request !== request.none && this.#request.isIdle) {
      request.takeBack(this.#request);
      this.#request = request.none;
    }
    if (this.#response !== response.none && this.#response.isIdle && this.#matcher.waitingCount === 0) {
      response.takeBack(this.#response);
      this.#response = response.none;
    }
  }

  // The request side

  #requestData(bytes: Uint8Array, from: number, to: number, isIoStart: boolean): void {
    const reader = this.#request;
    const isTurn = this.#lastSide === 'response';
    if (isTurn) this.#matcher.noteTurn();
    if (this.#isStrayResponseOpen()) this.#loseResponses();
    if (this.#pairing === 'none') {
      const isCandidate = isTurn && !this.#matcher.isPipelined;
      if (reader.phase === 'lost') {
        if (!isCandidate || !isIoStart || recogniseStart('request', bytes, from, to, this.#options.maxHeadSize) === 'no') {
          this.#sink.lost('resynchronising', to - from);
          return;
        }
        reader.enter('boundary');
        this.#beginCandidate();
      } else if (isCandidate && reader.phase === 'boundary') {
        this.#beginCandidate();
      }
    }
    if (
      this.#pairing === 'candidate' &&
      isIoStart &&
      reader.phase === 'head' &&
      !reader.isStartLineKnown &&
      !this.#isRequestInSync
    ) {
      // The end of a body that looked like the beginning of a method.
      this.#loseAll();
      this.#countLost('resynchronising', to - from);
      return;
    }
    let at = from;
    while (at < to) {
      if (reader.phase === 'opaque') this.#hasUnreadOffer = true;
      const event = reader.read(bytes, at, to);
      at = reader.at;
      if (event === 'more') break;
      if (event === 'head') this.#requestHead(bytes);
      else if (event === 'end') this.#requestEnd(reader.bodySize);
      else if (event === 'malformed') this.#requestMalformed(to - at);
      else this.#requestTooLarge(to - at);
      // Whoever ended the conversation, or lost it, has counted what was read; the rest of this chunk is left, unless it was malformed.
      if (this.#isOver || reader.phase === 'lost') {
        if (event === 'head' || event === 'end') this.#countRest(to - at);
        return;
      }
      if (event === 'malformed') break;
    }
    this.#report('request', reader);
  }

  #requestHead(bytes: Uint8Array): void {
    const reader = this.#request;
    const head = reader.head;
    const source = reader.headBytes(bytes);
    const isTracked = this.#pairing !== 'none' && !this.#isAnsweredEarly;
    if (this.#pairing === 'none') this.#matcher.notePipelining();
    const exchange = openExchange(
      head,
      source,
      this.#lastRequest ?? this.#shared.lastRequest,
      this.#connection,
      reader.startPosition,
      reader.startOtherPosition,
      reader.startTime,
      reader.startProcess ?? this.#connection.openedBy,
    );
    this.#contexts?.requestBegins(exchange, reader.startPosition);
    this.#isAnsweredEarly = false;
    this.#lastRequest = this.#shared.lastRequest = exchange.request;
    if (isTracked) {
      if (this.#matcher.isFull) {
        this.#giveUp('too_many_pipelined');
        return;
      }
      const isWaited = this.#matcher.waitingCount === 0;
      this.#matcher.open(exchange, this.#response.position);
      if (this.#matcher.isInDoubt && !isWaited) {
        this.#loseAll();
        return;
      }
      if (this.#pairing === 'opening' && this.#isResponseProven) this.#confirm();
    } else if (exchange.maySwitch) {
      // Its answer will not be recognised, so what follows may be another protocol.
      this.#giveUp(exchange.isConnect ? 'tunnel' : 'upgraded');
      return;
    }
    const body = requestBody(head);
    if (body === undefined || (head.transferCoding !== 'none' && head.contentLength !== NO_LENGTH)) {
      this.#sink.count('conflicting_framing');
    }
    if (body === undefined) {
      this.#stopReading();
      return;
    }
    this.#receiving = exchange;
    if (reader.startBody(body)) this.#requestEnd(0);
  }

  #requestEnd(bodySize: number): void {
    const exchange = this.#receiving;
    this.#receiving = undefined;
    if (exchange === undefined) return;
    this.#contexts?.requestEnds(exchange, this.#request.takenTo);
    exchange.request.bodySize = bodySize;
    if (exchange.maySwitch && exchange.statusCode === 0) {
      this.#hasUnreadOffer = false;
      this.#request.enter('opaque');
    }
  }

  /** What cannot be a message ends the reading of this side. What is waiting is answered still, and then the connection is given up. */
  #requestMalformed(rest: number): void {
    if (this.#matcher.waitingCount === 0 && this.#pairing === 'opening') {
      this.#countSkipped(rest);
      this.#giveUp(this.#isResponseProven ? 'malformed' : 'not_http');
      return;
    }
    if (!this.#isRequestInSync) {
      this.#loseAll();
      this.#countRest(rest);
      return;
    }
    this.#countLost('malformed_message', rest);
    this.#stopReading();
  }

  #requestTooLarge(rest: number): void {
    if (!this.#request.isStartLineKnown && this.#pairing === 'opening' && this.#matcher.waitingCount === 0) {
      this.#requestMalformed(rest);
      return;
    }
    this.#sink.count('head_too_large');
    this.#sink.lost('head_too_large', rest + this.#request.enter('boundary'));
    this.#loseAll();
  }

  /** From here on the request side's bytes mean nothing. */
  #stopReading(): void {
    const pending = this.#request.enter('opaque');
    this.#countLost('malformed_message', pending);
    this.#receiving = undefined;
    this.#isDraining = true;
    if (this.#matcher.waitingCount === 0) this.#giveUp('malformed');
  }

  // The response side

  /** A response that no request is known for: its end is unknown too, until the client has a turn. */
  #responseUnpaired(bytes: Uint8Array, from: number, to: number, isIoStart: boolean): void {
    const status = (this.#unpaired ??= new UnpairedResponses()).look(bytes, from, to, isIoStart);
    if (status < 0 && this.#isResponseBeginning) {
      this.#sink.skipped(to - from);
      this.#giveUp('not_http');
      return;
    }
    if (status !== 0) this.#isResponseBeginning = false;
    this.#noteUnpaired(status);
    this.#sink.lost('resynchronising', to - from);
    if (status === STATUS_SWITCHING) this.#giveUp('upgraded', 'bytes_lost');
  }

  /** What is or may be an interim response gives the client no turn: more of the same request may follow, and look like another. */
  #noteUnpaired(status: number): void {
    if (this.#request.phase !== 'lost') this.#lastSide = 'response';
    else if (status >= 200) this.#lastSide = 'response';
    else if (status >= 100) this.#lastSide = undefined;
  }

  /** A response that answers nothing was taken to have a body, and the client speaks before that is over: it may have had none. */
  #isStrayResponseOpen(): boolean {
    const phase = this.#response.phase;
    return this.#answering === undefined && (phase === 'length' || phase === 'chunked');
  }

  /** Returns the conversation that the rest of these bytes is for, if another protocol begins in them. */
  #responseData(bytes: Uint8Array, from: number, to: number, isIoStart: boolean, time: Nanoseconds): Conversation | undefined {
    const reader = this.#response;
    if (this.#pairing === 'candidate' && reader.phase === 'boundary' && (!isIoStart || this.#matcher.waitingCount === 0)) {
      this.#contradict();
      this.#countRest(to - from);
      return undefined;
    }
    let at = from;
    while (at < to) {
      const event = reader.read(bytes, at, to);
      at = reader.at;
      if (event === 'more') break;
      if (event === 'head') {
        const successor = this.#responseHead(bytes, time);
        if (successor !== undefined) return successor;
      } else if (event === 'end') this.#responseComplete(time, reader.bodySize);
      else if (event === 'malformed') this.#responseMalformed(to - at);
      else this.#responseTooLarge(to - at);
      if (this.#isOver || reader.phase === 'lost') {
        if (event === 'head' || event === 'end') this.#countRest(to - at);
        return undefined;
      }
    }
    if (reader.phase === 'head') {
      if (reader.isStartLineKnown) this.#proveResponse();
      // More answers than requests: the ones before were paired one off.
      if (this.#matcher.isInDoubt && this.#matcher.waitingCount === 0) {
        this.#matcher.notePipelining();
        this.#loseAll();
        return undefined;
      }
    }
    this.#report('response', reader);
    return undefined;
  }

  /** Returns who goes on, if that is somebody else. */
  #responseHead(bytes: Uint8Array, time: Nanoseconds): Conversation | undefined {
    const reader = this.#response;
    const head = reader.head;
    const status = head.statusCode;
    this.#proveResponse();
    const exchange = this.#matcher.oldest;
    const isInterim = status < 200 && status !== STATUS_SWITCHING;
    if (exchange !== undefined && !this.#mayAnswer(exchange)) {
      this.#loseResponses();
      this.#noteUnpaired(status);
      return undefined;
    }
    if (exchange !== undefined && status === STATUS_SWITCHING) {
      const successor = this.#handOver(exchange, head.upgradeText(reader.headBytes(bytes)), time);
      if (successor !== undefined) return successor;
    }
    if (exchange === undefined) {
      if (this.#matcher.isInDoubt || (!isInterim && this.#isAnswerAheadPossible())) {
        this.#matcher.notePipelining();
        this.#loseAll();
        this.#noteUnpaired(status);
        return undefined;
      }
      this.#sink.count('response_without_request');
      if (!isInterim && this.#request.phase === 'head') this.#isAnsweredEarly = true;
    }
    if (exchange !== undefined && !isInterim) {
      exchange.statusCode = status;
      exchange.answeredBy = reader.startProcess;
      this.#contexts?.responseBegins(exchange, reader.startPosition);
      this.#answering = exchange;
    }
    const body = responseBody(head, exchange);
    if (body === undefined || (body.kind !== 'none' && head.transferCoding !== 'none' && head.contentLength !== NO_LENGTH)) {
      this.#sink.count('conflicting_framing');
    }
    if (body === undefined) {
      this.#giveUp('malformed');
      return undefined;
    }
    const isWhole = reader.startBody(body);
    if (isInterim) return undefined;
    if (status === STATUS_SWITCHING || (exchange?.isConnect === true && status < 300)) {
      this.#matcher.finish(time, 0, undefined);
      this.#matcher.settle();
      this.#giveUp(status === STATUS_SWITCHING ? 'upgraded' : 'tunnel');
      return undefined;
    }
    if (exchange?.maySwitch === true && this.#request.phase === 'opaque' && !this.#isDraining) this.#refuseSwitch();
    if (isWhole) this.#responseComplete(time, 0);
    return undefined;
  }

  /**
   * The server goes on in another protocol, in which it answers `exchange`: whoever reads that goes on, too. Undefined: nobody does, or the
   * rest of the request would come in this protocol still.
   */
  #handOver(exchange: HttpExchange, token: string, time: Nanoseconds): Conversation | undefined {
    const isOffered = exchange.maySwitch && !exchange.isConnect && exchange === this.#matcher.newest;
    if (!isOffered || exchange === this.#receiving || this.#isDraining) return undefined;
    const { settings } = exchange;
    const successor = this.#sink.handOver(token, { exchange, settings, isRequestSideLost: this.#hasUnreadOffer, time });
    if (successor === undefined) return undefined;
    const context = this.#contexts?.ofResponseAt(this.#response.takenTo);
    if (context !== undefined) successor.threadContext('response', context);
    this.#matcher.handOver();
    this.#finish(true);
    return successor;
  }

  /** The request's first byte had moved when the response's was told of, and the answer of a server comes behind what it read. */
  #mayAnswer(exchange: HttpExchange): boolean {
    const { startPosition, startOtherPosition } = this.#response;
    if (startOtherPosition <= exchange.position) return false;
    return this.#connection.role === 'client' || startPosition >= exchange.otherPosition;
  }

  /**
   * Positions of UNIX sockets are counted where calls return, so that they do not show that a request is on its way whose answer another
   * thread has read already. An answer to nothing may be that.
   */
  #isAnswerAheadPossible(): boolean {
    return this.#connection.transport === 'unix' && this.#connection.role === 'client';
  }

  /** HTTP goes on after an offer to switch. If the client has not waited for this answer, its bytes cannot be told apart any more. */
  #refuseSwitch(): void {
    if (this.#hasUnreadOffer) this.#isDraining = true;
    else this.#request.enter('boundary');
  }

  #responseComplete(time: Nanoseconds, bodySize: number): void {
    if (this.#answering === undefined) return;
    this.#contexts?.responseEnds(this.#answering, this.#response.takenTo);
    if (this.#answering === this.#receiving) this.#receiving = undefined;
    this.#answering = undefined;
    this.#matcher.finish(time, bodySize, undefined);
    if (this.#isDraining && this.#matcher.waitingCount === 0) {
      this.#matcher.settle();
      this.#giveUp('malformed');
    }
  }

  #responseMalformed(rest: number): void {
    if (this.#response.isStartLineKnown) this.#proveResponse();
    if (this.#pairing === 'candidate') {
      this.#contradict();
      this.#countRest(rest);
      return;
    }
    if (this.#pairing === 'opening' && !this.#isResponseProven) {
      this.#countSkipped(rest);
      this.#giveUp('not_http');
      return;
    }
    this.#countLost('malformed_message', rest);
    this.#giveUp('malformed');
  }

  #responseTooLarge(rest: number): void {
    if (!this.#response.isStartLineKnown) {
      this.#responseMalformed(rest);
      return;
    }
    this.#proveResponse();
    this.#sink.count('head_too_large');
    this.#sink.lost('head_too_large', rest + this.#response.enter('boundary'));
    const newest = this.#matcher.newest;
    this.#matcher.dropOldest('head_too_large');
    if (newest?.maySwitch === true) this.#giveUp(newest.isConnect ? 'tunnel' : 'upgraded', 'bytes_lost');
    else this.#loseResponses();
  }

  #endUntilEnd(time: Nanoseconds): void {
    const bodySize = this.#response.bodySize;
    this.#response.enter('boundary');
    this.#responseComplete(time, bodySize);
  }

  // Proof and loss

  #proveResponse(): void {
    this.#isResponseProven = true;
    if (this.#pairing !== 'firm' && this.#matcher.waitingCount > 0) this.#confirm();
  }

  #confirm(): void {
    if (this.#pairing === 'candidate') this.#sink.count('resynchronised');
    this.#pairing = 'firm';
    this.#isRequestInSync = true;
    this.#matcher.confirm();
    this.#report('request', this.#request);
  }

  #beginCandidate(): void {
    this.#pairing = 'candidate';
    this.#response.enter('boundary');
    this.#isAnsweredEarly = false;
  }

  /** The candidate was none. */
  #contradict(): void {
    if (this.#isRequestInSync) this.#loseResponses();
    else this.#loseAll();
    this.#lastSide = 'response';
  }

  /** Bytes of the response side were lost, or cannot be paired: responses wait for the client's next turn. */
  #loseResponses(isDoubtful = true): void {
    if (!this.#isRequestInSync) {
      this.#loseAll();
      return;
    }
    if (this.#mustGiveUpLost()) return;
    if (isDoubtful || !this.#matcher.isKnownToWait || this.#connection.transport === 'unix') this.#matcher.doubt();
    this.#matcher.dropAll('bytes_lost');
    this.#receiving = undefined;
    this.#answering = undefined;
    this.#pairing = 'none';
    this.#report('request', this.#request);
    this.#loseReader('response', this.#responseReader());
  }

  /** Bytes of the request side were lost: both sides have to be found again. */
  #loseAll(): void {
    if (this.#mustGiveUpLost()) return;
    this.#matcher.doubt();
    this.#matcher.dropAll('bytes_lost');
    this.#receiving = undefined;
    this.#answering = undefined;
    this.#pairing = 'none';
    this.#loseReader('request', this.#requestReader());
    this.#loseReader('response', this.#responseReader());
    this.#isRequestInSync = false;
    this.#isAnsweredEarly = false;
    this.#lastSide = undefined;
  }

  /** With the answer to an offer to switch lost, or the request side unreadable for good, there is nothing to be found again. */
  #mustGiveUpLost(): boolean {
    if (this.#isDraining) {
      this.#giveUp('malformed', 'bytes_lost');
      return true;
    }
    const newest = this.#matcher.newest;
    if (newest?.maySwitch !== true || newest.statusCode !== 0) return false;
    this.#giveUp(newest.isConnect ? 'tunnel' : 'upgraded', 'bytes_lost');
    return true;
  }

  #loseReader(side: Side, reader: MessageReader): void {
    const pending = reader.enter('lost');
    this.#countLost('resynchronising', pending);
    this.#reportFigures(side, reader);
    const guessed = reader.parsed + reader.skipped;
    reader.parsed = 0;
    reader.skipped = 0;
    this.#countLost('resynchronising', guessed);
  }

  // Endings and accounts

  #giveUp(reason: GiveUpReason, dropReason: 'malformed_message' | 'bytes_lost' = 'malformed_message'): void {
    this.#matcher.dropAll(reason === 'too_many_pipelined' ? 'too_many_pipelined' : dropReason);
    this.#finish(false);
    this.#sink.giveUp(reason);
  }

  /** Ends what is waiting, at the end of the response side if that came first. In doubt, what was not all answered stays unsaid. */
  #abort(cause: Abort, time: Nanoseconds | undefined): void {
    const matcher = this.#matcher;
    if (matcher.openCount === 0 || (matcher.isInDoubt && matcher.waitingCount > 0)) {
      matcher.dropAll('bytes_lost');
      return;
    }
    const oldest = matcher.oldest;
    if (oldest !== undefined && oldest.answeredBy === undefined && this.#response.phase === 'head') {
      oldest.answeredBy = this.#response.startProcess;
    }
    for (let next = matcher.oldest; next !== undefined; next = matcher.oldest) {
      const isEnded = this.#responseEnd !== undefined && next.start <= this.#responseEnd;
      const end = isEnded ? this.#responseEnd : time;
      if (end === undefined) return;
      matcher.finish(end, undefined, cause);
    }
    matcher.settle();
  }

  /** No byte means anything any more; everything that was kept is counted: as read, or as passed over. */
  #finish(isRead: boolean): void {
    this.#isOver = true;
    this.#receiving = undefined;
    this.#answering = undefined;
    this.#lastRequest = undefined;
    const { request, response } = this.#shared;
    let pending = this.#request === request.none ? 0 : this.#request.enter('opaque');
    if (this.#response !== response.none) pending += this.#response.enter('opaque');
    const parsed = this.#request.parsed + this.#response.parsed + (isRead ? pending : 0);
    const skipped = this.#request.skipped + this.#response.skipped + (isRead ? 0 : pending);
    this.#request.parsed = this.#response.parsed = 0;
    this.#request.skipped = this.#response.skipped = 0;
    if (parsed > 0) this.#sink.parsed(parsed);
    this.#countSkipped(skipped);
  }

  /** Bytes of a chunk behind the point at which the conversation was lost or over. */
  #countRest(size: number): void {
    if (this.#isOver) this.#countSkipped(size);
    else this.#countLost('resynchronising', size);
  }

  #countSkipped(size: number): void {
    if (size > 0) this.#sink.skipped(size);
  }

  #countLost(reason: Parameters<ConversationSink['lost']>[0], size: number): void {
    if (size > 0) this.#sink.lost(reason, size);
  }

  /** Hands figures and wishes over. */
  #report(side: Side, reader: MessageReader): void {
    this.#reportFigures(side, reader);
    const phase = reader.phase;
    if (phase !== 'length' && phase !== 'chunked' && phase !== 'until_end') return;
    const chunkLine = phase === 'chunked' ? reader.takeChunkStepOver() : 0;
    if (chunkLine > 0) {
      this.#sink.stepOverChunks(side, chunkLine);
      return;
    }
    const position = reader.takeStepOver(this.#options.stepOverThreshold);
    if (position > 0) this.#sink.stepOver(side, position);
  }

  /** The request side's figures wait for proof where it was only hoped for. */
  #reportFigures(side: Side, reader: MessageReader): void {
    if (side === 'request' && !this.#isRequestInSync) return;
    if (reader.parsed > 0) this.#sink.parsed(reader.parsed);
    this.#countSkipped(reader.skipped);
    reader.parsed = 0;
    reader.skipped = 0;
  }
}
