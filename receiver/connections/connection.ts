// One socket's bytes, put in order and handed to a protocol (hot path). Positions decide, within a direction and between the two: a hole
// is reported with its exact size, and what another thread read or wrote before is handed over before, or known to be missing.
// More than 400 lines: order, role and protocol are decided on the same two flows, and each may end what the others began.
import type { Books } from '../model/books.ts';
import type { ConnectionInfo, Endpoint, Role, RoleEvidence } from '../model/connection.ts';
import type { ConnectionInspection } from '../model/inspection.ts';
import type { Exchange } from '../model/exchange.ts';
import type {
  Conversation,
  ConversationEvent,
  ConversationSink,
  ConversationStart,
  GiveUpReason,
  Handover,
  LossReason,
  NotExportedReason,
  Present,
  Protocol,
  Side,
} from '../model/protocol.ts';
import type { Abort, Nanoseconds, Transaction } from '../model/transaction.ts';
import type { Controls } from './controls.ts';
import type { IoEvent, OpenEvent, WalkEvent } from '../model/stream-event.ts';
import { type Flow, flowAt, holeOf } from './flow.ts';
import { possibleOf, proveRole, recogniseRole, recogniseTurn, type RoleVerdict, startOf } from './recognition.ts';
import { WaitingEvents } from './waiting.ts';

export interface ConnectionContext {
  readonly protocols: readonly Protocol[];
  readonly controls: Controls;
  readonly books: Books;
  /** The kernel copies this much of one direction before it wants to hear that it was followed (WINDOW_SIZE of bpf/config.h). */
  readonly windowSize: number;
  onRequest(exchange: Exchange, connection: Connection): void;
  /** A transaction that has ended, at `connection`. */
  onTransaction(transaction: Transaction, connection: Connection): void;
  /** Nothing more is wanted of this connection. */
  onIgnored(connection: Connection, reason: GiveUpReason): void;
}

function formatEndpoint({ address, port }: Endpoint): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

const NO_BYTES = new Uint8Array();

/** An old connection that shows nothing like HTTP at so many turns is not HTTP. */
const MAX_STRANGE_TURNS = 16;

export class Connection implements ConversationSink {
  /** The other end, where that is observed too and not over. */
  otherEnd: Connection | undefined;
  #info: ConnectionInfo;
  readonly #context: ConnectionContext;
  #start: ConversationStart;
  readonly #lastFlow: OpenEvent['lastFlow'];
  readonly #received: Flow;
  readonly #sent: Flow;
  #conversation: Conversation | undefined;
  /** The request side is what this socket sends (client) or receives (server); undefined until the role is known. */
  #isRequestSent: boolean | undefined;
  #isIgnored = false;
  /** Undefined where nothing has waited lately, as on most connections ever: an idle one shall be small. */
  #waiting: WaitingEvents | undefined;
  /** Older than the receiver, or its first bytes are unknown; and nothing proven yet. */
  #isStrange: boolean;
  /** The protocol that it has proven to be of, though it was not seen to begin with it. */
  #proven: Protocol | undefined;
  #strangeTurns = 0;
  #lastSide: Side | undefined;
  #isLastSent: boolean | undefined;
  #lastTime: Nanoseconds = 0;
  #lostBytes = 0;
  #lastLoss: string | undefined;

  constructor(open: OpenEvent, context: ConnectionContext) {
    this.#info = open.info;
    this.#context = context;
    this.#received = flowAt(open.receivedPosition);
    this.#sent = flowAt(open.sentPosition);
    if (open.info.role !== 'unknown') this.#isRequestSent = open.info.role === 'client';
    this.#lastFlow = open.lastFlow;
    this.#start = startOf(open.info, open.lastFlow);
    this.#isStrange = this.#start !== 'beginning';
  }

  get info(): ConnectionInfo {
    return this.#info;
  }

  get lastTime(): Nanoseconds {
    return this.#lastTime;
  }

  /** Time of the first event that waits. */
  get waitingSince(): Nanoseconds | undefined {
    return this.#waiting?.since;
  }

  /** The exchange whose request this end sent or received from `position` on, if it is one of the latest. */
  exchangeAt(position: number): Exchange | undefined {
    return this.#conversation?.exchangeAt(position);
  }

  /** Position up to which this end's requests have been followed; undefined while nobody knows which of its directions they take. */
  get requestPosition(): number | undefined {
    if (this.#isRequestSent === undefined) return undefined;
    return (this.#isRequestSent ? this.#sent : this.#received).position;
  }

  get openTransactions(): number {
    return this.#conversation?.openTransactions() ?? 0;
  }

  io(event: IoEvent): void {
    this.#lastTime = event.time;
    if (event.isResumed) this.resumed();
    if (this.#isRequestSent === undefined && !this.#resolveRole(event)) return;
    if ((this.#waiting?.isEmpty ?? true) && !this.#isBlocked(event) && !this.#isUndecided(event)) {
      this.#deliver(event);
      return;
    }
    if (!(this.#waiting ??= new WaitingEvents()).add(event)) {
      this.release();
      this.#handOver(event);
      return;
    }
    this.#releaseReady();
  }

  /** Events were lost before the next one, for want of room. */
  resumed(): void {
    this.#received.isResumed = this.#sent.isResumed = true;
  }

  walked(event: WalkEvent): void {
    this.#lastTime = event.time;
    const flow = event.isSent ? this.#sent : this.#received;
    if (this.#isRequestSent === undefined) this.#passOverWaiting();
    else if (this.#waiting?.first(event.isSent) !== undefined) this.release();
    else {
      const waiting = this.#waiting;
      // What stood before this walk when it was made will not be told of by it.
      for (let other = waiting?.first(!event.isSent); other !== undefined; other = waiting?.first(!event.isSent)) {
        if (other.otherPosition > event.position) break;
        this.#handOver(waiting?.take(!event.isSent) as IoEvent);
      }
    }
    this.#walk(event, flow);
    if (this.#waiting?.isEmpty === false) this.#releaseReady();
  }

  /** One direction ends at `position`: nothing more is received, or sent. */
  end(isSent: boolean, time: Nanoseconds, position: number): void {
    this.#lastTime = time;
    if (this.#waiting?.isEmpty ?? true) this.#end(isSent, time, position);
    else this.#waiting?.addEnd({ isSent, time, position });
  }

  /** The connection is over; the kernel's final positions account for what moved unseen. */
  close(cause: Abort, time: Nanoseconds, receivedPosition: number, sentPosition: number): void {
    this.#releaseAll();
    if (this.#isIgnored) return;
    this.#noteUnattributed();
    this.#reach(this.#received, false, receivedPosition, time);
    this.#reach(this.#sent, true, sentPosition, time);
    this.#conversation?.close(cause, time);
    this.#conversation = undefined;
    this.#isIgnored = true;
  }

  /** Undefined while it is not known to be of any protocol, or of none that we follow. */
  present(now: Nanoseconds): Present | undefined {
    return this.#isIgnored ? undefined : this.#conversation?.present(now);
  }

  /** Where it stands, for people. */
  inspect(now: Nanoseconds): Omit<ConnectionInspection, 'closing' | 'executable'> {
    const { id, transport, local, peer, role, roleEvidence, openedBy, networkNamespace } = this.#info;
    const since = this.waitingSince;
    const conversation = this.#conversation?.inspect(now);
    const undecided = this.#isRequestSent === undefined ? 'undecided: the role is unknown' : 'undecided';
    return {
      connection: id,
      transport,
      local: formatEndpoint(local),
      peer: formatEndpoint(peer),
      role,
      role_evidence: roleEvidence,
      pid: openedBy.pid,
      network_namespace: networkNamespace,
      joined: this.#start,
      protocol: this.#isIgnored ? 'given up' : (conversation?.protocol ?? undecided),
      idle_ms: Math.round((now - this.#lastTime) / 1e6),
      received: { position: this.#received.position, stepped_to: this.#received.steppedTo },
      sent: { position: this.#sent.position, stepped_to: this.#sent.steppedTo },
      waiting_ms: since === undefined ? undefined : Math.round((now - since) / 1e6),
      waiting_bytes: this.#waiting?.bytes ?? 0,
      lost_bytes: this.#lostBytes,
      last_loss: this.#lastLoss,
      conversation,
    };
  }

  /** Gives the conversation the time: what it holds in doubt may be settled by silence. */
  settle(now: Nanoseconds): void {
    if (!this.#isIgnored) this.#conversation?.settle?.(now);
    if (this.#waiting?.isUnused === true) this.#waiting = undefined;
  }

  /** Hands over what waits, ready or not. What waits for the role or the protocol goes on waiting: nobody knows yet whose it is. */
  release(): void {
    if (this.#isRequestSent === undefined) return;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#releaseReady();
    if (!this.#decideWaiting(waiting)) return;
    // What they wait for counts as missing from now on. One direction at most is left.
    for (const isSent of [true, false]) {
      for (let event = waiting.take(isSent); event !== undefined; event = waiting.take(isSent)) this.#handOver(event);
    }
    this.#releaseEnds();
  }

  /** The receiver stops, or the end of the connection was lost: what is open is counted and not reported. */
  abandon(reason: 'open_at_exit' | 'bytes_lost' = 'open_at_exit'): void {
    this.#releaseAll();
    this.#noteUnattributed();
    this.#conversation?.abandon(reason);
    this.#conversation = undefined;
    this.#isIgnored = true;
  }

  // ConversationSink

  transaction(transaction: Transaction): void {
    this.#context.onTransaction(transaction, this);
  }

  requested(exchange: Exchange): void {
    this.#context.onRequest(exchange, this);
  }

  seen(): void {
    this.#context.books.transactionSeen();
  }

  dropped(reason: NotExportedReason): void {
    this.#context.books.notExported(reason, 1);
  }

  parsed(count: number): void {
    this.#context.books.bytesParsed(count);
  }

  skipped(count: number): void {
    this.#context.books.bytesSkipped(count);
  }

  lost(reason: LossReason | 'resynchronising' | 'malformed_message' | 'head_too_large', count: number): void {
    this.#lostBytes += count;
    this.#lastLoss = reason;
    this.#context.books.bytesLost(reason, count);
  }

  count(event: ConversationEvent): void {
    if (event === 'resynchronised') this.#isStrange = false;
    this.#context.books.noticed(event);
  }

  stepOver(side: Side, position: number): void {
    const isSent = this.#isSent(side);
    (isSent ? this.#sent : this.#received).steppedTo = position;
    this.#context.controls.stepOver(this.#info.id, isSent, position);
  }

  stepOverChunks(side: Side, position: number): void {
    const isSent = this.#isSent(side);
    (isSent ? this.#sent : this.#received).steppedTo = position;
    this.#context.controls.stepOverChunks(this.#info.id, isSent, position);
  }

  followFrames(side: Side, position: number): void {
    this.#context.controls.followFrames(this.#info.id, this.#isSent(side), position);
  }

  handOver(token: string, handover: Handover): Conversation | undefined {
    for (const { upgrade } of this.#context.protocols) {
      if (upgrade?.token === token) return (this.#conversation = upgrade.open(this.#info, handover, this));
    }
    return undefined;
  }

  giveUp(reason: GiveUpReason): void {
    if (this.#isIgnored) return;
    this.#isIgnored = true;
    if (reason === 'not_http') this.#context.books.connectionNotHttp();
    this.#context.onIgnored(this, reason);
  }

  // Order

  #deliver(event: IoEvent): void {
    const flow = event.isSent ? this.#sent : this.#received;
    const side = this.#sideOf(event.isSent);
    const end = event.position + event.size;
    if (event.position < flow.position || event.isUnordered) {
      if (!this.#isIgnored) this.#conversation?.unordered(side);
      // Whose bytes came first is not known. What is new of this range moved, but nobody can say in which order.
      if (end > flow.position) this.#reach(flow, event.isSent, end, event.time, 'unordered_io');
      return;
    }
    if (event.position > flow.position) {
      this.#reach(flow, event.isSent, event.position, event.time);
    }
    flow.isResumed = false;
    this.#context.books.bytesSeen(event.size);
    flow.position = end;
    if (event.isSent !== this.#isLastSent) flow.windowStart = event.position;
    this.#isLastSent = event.isSent;
    if (this.#isStrange && !this.#isIgnored) {
      this.#countStrangeTurn(event, side);
      this.#reconsider(event, side);
    }
    const conversation = this.#isIgnored ? undefined : this.#conversationOf(event, side);
    if (conversation === undefined) {
      this.#context.books.bytesSkipped(event.size);
      return;
    }
    if (event.isFramed) this.#deliverFrames(event, side, conversation);
    else this.#deliverBytes(event, side, conversation);
    if (event.captured > 0 && end - flow.windowStart > this.#context.windowSize / 4) {
      flow.windowStart = end;
      this.#context.controls.parsed(this.#info.id, event.isSent, end);
    }
  }

  #deliverBytes(event: IoEvent, side: Side, conversation: Conversation): void {
    const dataEnd = event.position + event.captured;
    const end = event.position + event.size;
    if (event.captured > 0) {
      const { bytes, from, otherPosition } = event;
      const to = from + event.captured;
      if (event.context !== undefined) conversation.threadContext(side, event.context);
      conversation.data(side, bytes, from, to, event.position, event.isIoStart, otherPosition, event.time, event.process);
    }
    if (end <= dataEnd) return;
    // Those bytes may have handed the connection over.
    const next = this.#conversation ?? conversation;
    next.missing(side, dataEnd, end, event.missing ?? 'unseen_io', event.time, event.process);
  }

  #deliverFrames(event: IoEvent, side: Side, conversation: Conversation): void {
    const { bytes, from, position, otherPosition, toFrame, isInData, isIoStart, time, process } = event;
    const to = from + event.captured;
    const end = position + event.size;
    const reason = event.missing ?? 'unseen_io';
    if (event.context !== undefined) conversation.threadContext(side, event.context);
    conversation.framed(side, bytes, from, to, position, end, toFrame, isInData, isIoStart, otherPosition, reason, time, process);
  }

  #walk(event: WalkEvent, flow: Flow): void {
    if (this.#isIgnored || event.end <= flow.position) return;
    const { books } = this.#context;
    const conversation = this.#conversation;
    books.bytesSeen(event.end - flow.position);
    if (conversation === undefined) {
      books.bytesSkipped(event.end - flow.position);
    } else {
      const side = this.#sideOf(event.isSent);
      if (event.position > flow.position) {
        this.#missing(flow, side, event.position, holeOf(flow), event.time);
      }
      if (event.position === flow.position) {
        const remaining = Math.max(0, event.next - 2 - event.end);
        conversation.chunksWalked(side, event.position, event.end, event.body - remaining, remaining, event.time);
      } else {
        this.#missing(flow, side, event.end, 'unordered_io', event.time);
      }
    }
    flow.isResumed = false;
    flow.position = event.end;
  }

  #end(isSent: boolean, time: Nanoseconds, position: number): void {
    // While the role is unknown nothing has been handed over, so nothing is missed yet.
    if (this.#isRequestSent === undefined || this.#isIgnored) return;
    this.#reach(isSent ? this.#sent : this.#received, isSent, position, time);
    this.#conversation?.end(this.#sideOf(isSent), time);
  }

  /** Bytes up to `position` moved without an event. */
  #reach(flow: Flow, isSent: boolean, position: number, time: Nanoseconds, reason: LossReason = holeOf(flow)): void {
    if (position <= flow.position) return;
    this.#context.books.bytesSeen(position - flow.position);
    if (this.#isIgnored || this.#isRequestSent === undefined) {
      this.#context.books.bytesSkipped(position - flow.position);
      flow.position = position;
      return;
    }
    // What was missed may have been the first request.
    this.#conversation ??= this.#openInMiddle();
    this.#missing(flow, this.#sideOf(isSent), position, reason, time);
  }

  #missing(flow: Flow, side: Side, position: number, reason: LossReason, time: Nanoseconds): void {
    this.#conversation?.missing(side, flow.position, position, reason, time, this.#info.openedBy);
    flow.position = position;
  }

  /**
   * Two threads that share a socket may be told of in any order: each event is made when its own call returns. What is received is not
   * known to the program before, so that `otherPosition` of a received event is exact: all sent bytes before it were sent by a program
   * that did not have these bytes, all behind it by one that could. Of a sent event it says only which bytes had been received by then.
   * A server's events wait for both; a client's request does not, because part of its own answer may be among those bytes.
   */
  #isBlocked(event: IoEvent): boolean {
    const other = event.isSent ? this.#received : this.#sent;
    if (event.otherPosition <= other.position || this.#isIgnored) return false;
    // Bytes before `steppedTo` are not told of; the I/O that reaches it is.
    return event.otherPosition >= other.steppedTo && !(event.isSent && this.#isRequestSent === true);
  }

  /** Hands over what waits for nothing any more. */
  #releaseReady(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    for (;;) {
      const sent = waiting.first(true);
      const received = waiting.first(false);
      if (sent === undefined && received === undefined) break;
      if (!this.#decideWaiting(waiting)) return;
      if (sent !== undefined && received !== undefined) {
        // The first of both directions are here: what is before them has come, or is missing.
        const isSentFirst = received.otherPosition > sent.position;
        // Another thread's call that moved bytes earlier returned later.
        if (isSentFirst) sent.time = Math.min(sent.time, received.time);
        waiting.take(isSentFirst);
        if (isSentFirst && this.#isRequestSent === true) this.#deliver(sent);
        else this.#handOver(isSentFirst ? sent : received, isSentFirst ? received.position : sent.position);
        continue;
      }
      const next = (sent ?? received) as IoEvent;
      if (this.#isBlocked(next)) return;
      waiting.take(next.isSent);
      this.#deliver(next);
    }
    this.#releaseEnds();
  }

  /** Hands over an event behind all that its direction's opposite had moved by then, at most up to `limit`. */
  #handOver(event: IoEvent, limit = Infinity): void {
    const other = event.isSent ? this.#received : this.#sent;
    const reached = Math.min(event.otherPosition, limit);
    if (reached > other.position && reached >= other.steppedTo) {
      this.#reach(other, !event.isSent, reached, event.time, event.isResumed ? 'ring_full' : holeOf(other));
    }
    this.#deliver(event);
  }

  /** It ends, and nobody knows which end would have asked. */
  #noteUnattributed(): void {
    if (this.#isRequestSent === undefined && !this.#isIgnored) this.#context.books.connectionUnattributed('role_unknown');
  }

  #releaseAll(): void {
    this.release();
    this.#passOverWaiting();
  }

  #releaseEnds(): void {
    for (let end = this.#waiting?.takeEnd(); end !== undefined; end = this.#waiting?.takeEnd())
      this.#end(end.isSent, end.time, end.position);
  }

  // Protocol and role

  #conversationOf(event: IoEvent, side: Side): Conversation | undefined {
    return event.isFramed && this.#isStrange ? this.#meetFrames(event) : (this.#conversation ?? this.#decide(event, side));
  }

  /** Nothing was proven so far, but now the kernel has. */
  #meetFrames(event: IoEvent): Conversation | undefined {
    this.#isStrange = false;
    if (this.#proven?.hasFrames === true) return this.#conversation;
    this.#conversation?.abandon('bytes_lost');
    this.#conversation = undefined;
    const protocol = this.#context.protocols.find(({ hasFrames }) => hasFrames === true);
    if (protocol === undefined) {
      this.giveUp('not_http');
      return undefined;
    }
    // The plaintext of a session may be complete although that was not known.
    const isFirst = event.position === 0 && (event.isSent ? this.#received : this.#sent).position === 0;
    this.#start = isFirst ? 'beginning' : 'middle';
    return (this.#conversation = protocol.open(this.#info, this.#start, this));
  }

  /** The first bytes are those of several protocols, as far as they go: more have to tell. */
  #isUndecided(event: IoEvent): boolean {
    if (this.#conversation !== undefined || this.#start !== 'beginning' || this.#isIgnored || event.isFramed) return false;
    const { bytes, from, captured, size, position, isSent } = event;
    if (position !== 0 || captured === 0 || captured < size) return false;
    const side = this.#sideOf(isSent);
    return possibleOf(this.#context.protocols, side, bytes.subarray(from, from + captured)).length > 1;
  }

  /** Chooses the protocol of what waits undecided, at the latest where both sides have spoken. False: more has to come. */
  #decideWaiting(waiting: WaitingEvents): boolean {
    const sent = waiting.first(true);
    const received = waiting.first(false);
    const isUndecided = [sent, received].some((event) => event !== undefined && this.#isUndecided(event));
    if (!isUndecided) return true;
    let possible = this.#context.protocols;
    for (const isSent of [true, false]) possible = possibleOf(possible, this.#sideOf(isSent), waiting.bytesOf(isSent));
    const [protocol] = possible;
    if (possible.length > 1 && (sent === undefined || received === undefined)) return false;
    if (protocol !== undefined) this.#conversation = protocol.open(this.#info, this.#start, this);
    return true;
  }

  /** Chooses a protocol at the first bytes. Undefined: none, the connection is not ours to read. */
  #decide(event: IoEvent, side: Side): Conversation | undefined {
    if (this.#start !== 'beginning' || event.captured === 0) return (this.#conversation = this.#openInMiddle());
    for (const protocol of this.#context.protocols) {
      // Where the kernel follows frames it has decided already; the first bytes may be too few to do it again.
      const { bytes, from, captured, isFramed } = event;
      const isIt = isFramed ? protocol.hasFrames === true : protocol.recognise(side, bytes, from, from + captured) !== 'no';
      if (!isIt) continue;
      this.#conversation = protocol.open(this.#info, this.#start, this);
      return this.#conversation;
    }
    this.giveUp('not_http');
    return undefined;
  }

  /** What was opened unasked may prove by its bytes to be of another protocol. */
  #reconsider(event: IoEvent, side: Side): void {
    const { bytes, from, captured, isIoStart, isFramed } = event;
    if (this.#isIgnored || !isIoStart || isFramed || captured === 0) return;
    for (const protocol of this.#context.protocols) {
      if (protocol === this.#proven || protocol.proves?.(side, bytes, from, from + captured) !== true) continue;
      this.#proven = protocol;
      this.#conversation?.abandon('bytes_lost');
      this.#conversation = protocol.open(this.#info, 'middle', this);
      return;
    }
  }

  /** The first bytes are unknown. */
  #openInMiddle(): Conversation | undefined {
    if (this.#start === 'beginning') this.#start = 'middle';
    this.#isStrange = true;
    // Anything may come first: one finds its way by itself.
    return this.#context.protocols.find((protocol) => protocol.proves === undefined)?.open(this.#info, this.#start, this);
  }

  /** A turn of an old connection that does not begin like a request: after some of them it is not HTTP. */
  #countStrangeTurn(event: IoEvent, side: Side): void {
    const isTurn = side === 'request' && this.#lastSide === 'response' && event.isIoStart && event.captured > 0;
    this.#lastSide = side;
    if (!isTurn) return;
    for (const protocol of this.#context.protocols) {
      if (protocol.recognise('request', event.bytes, event.from, event.from + event.captured) !== 'no') return;
    }
    if (++this.#strangeTurns <= MAX_STRANGE_TURNS) return;
    this.#conversation?.abandon();
    this.giveUp('not_http');
  }

  /** For sockets whose role the kernel could not tell: the side that speaks HTTP requests is the client's. False: wait for more. */
  #resolveRole(event: IoEvent): boolean {
    const waiting = (this.#waiting ??= new WaitingEvents());
    const role = this.#start === 'beginning' ? this.#roleByBeginning(event, waiting) : this.#roleByTurn(event, waiting);
    if (role === 'client' || role === 'server') return this.#adoptRole(role);
    if (role === 'undecided' && waiting.add(event)) return false;
    // Neither: it stays unknown which end asks, but also that anything is asked.
    if (event.isSent !== this.#isLastSent) this.#strangeTurns++;
    if (this.#start === 'beginning' || this.#strangeTurns > MAX_STRANGE_TURNS) this.giveUp('not_http');
    this.#passOverWaiting();
    this.#passOver(event);
    return false;
  }

  #roleByBeginning(event: IoEvent, waiting: WaitingEvents): RoleVerdict {
    if (event.captured === 0) return 'undecided';
    return recogniseRole(this.#context.protocols, event.isSent, waiting.bytesBefore(event));
  }

  #roleByTurn(event: IoEvent, waiting: WaitingEvents): RoleVerdict {
    const { protocols } = this.#context;
    const { isSent } = event;
    const isStart = event.isIoStart && event.captured > 0;
    if (isStart) {
      const own = event.bytes.subarray(event.from, event.from + event.captured);
      const proven = proveRole(protocols, isSent, own);
      if (proven !== undefined) return proven;
    }
    const asker = waiting.firstSpeaker;
    if (asker !== undefined && (isStart || waiting.first(isSent) !== undefined)) {
      const bytes = waiting.bytesBefore(event);
      const isAnswering = asker !== isSent;
      const verdict = isAnswering
        ? recogniseTurn(protocols, waiting.bytesOf(asker), bytes)
        : recogniseTurn(protocols, bytes, waiting.bytesOf(!asker));
      if (verdict === 'yes') return asker ? 'client' : 'server';
      if (verdict === 'more') return 'undecided';
    }
    // What waits was no request; this may be one.
    this.#passOverWaiting();
    return isStart && recogniseTurn(protocols, waiting.bytesBefore(event), NO_BYTES) === 'more' ? 'undecided' : 'neither';
  }

  #adoptRole(role: Role): boolean {
    const roleEvidence: RoleEvidence = 'grammar';
    this.#info = { ...this.#info, role, roleEvidence };
    this.#isRequestSent = role === 'client';
    // Where the last bytes went before we came tells nothing behind what was passed over since.
    this.#start = startOf(this.#info, this.#isLastSent === undefined ? this.#lastFlow : 'unknown');
    this.#releaseReady();
    return true;
  }

  #passOverWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    for (const isSent of [true, false]) {
      for (let event = waiting.take(isSent); event !== undefined; event = waiting.take(isSent)) this.#passOver(event);
    }
    while (waiting.takeEnd() !== undefined);
  }

  #passOver(event: IoEvent): void {
    const flow = event.isSent ? this.#sent : this.#received;
    const end = event.position + event.size;
    this.#isLastSent = event.isSent;
    if (end <= flow.position) return;
    this.#context.books.bytesSeen(end - flow.position);
    this.#context.books.bytesSkipped(end - flow.position);
    flow.position = end;
  }

  #sideOf(isSent: boolean): Side {
    return isSent === this.#isRequestSent ? 'request' : 'response';
  }

  #isSent(side: Side): boolean {
    return (side === 'request') === this.#isRequestSent;
  }
}
