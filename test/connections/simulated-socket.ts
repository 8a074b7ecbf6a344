// One socket of a client or a server over which random HTTP goes, as the kernel side tells of it: bytes move, then the hook of the call
// looks at both directions, then its record takes its place in the ring, and other threads may come between any two of these. What the
// application does is caused: an answer needs the returned read of its request, the next request that of the answer before.
import { controlLayout } from '../../receiver/kernel/session.ts';
import type { IoEvent } from '../../receiver/model/stream-event.ts';
import type { Random } from '../support/random.ts';
import { type Bench, controlWord, opener } from './socket.ts';
import type { Message, Script } from './random-script.ts';

/** How far from the ideal things are: of a thousand I/Os, how many. */
export interface Weather {
  /** The ring refuses their event. */
  readonly lost: number;
  /** The kernel moves bytes without any call that is hooked. */
  readonly unseen: number;
  /** Only a part is copied. */
  readonly cut: number;
  /** Their thread is stopped between the move and the hook. */
  readonly stalled: number;
  /** Their thread is stopped between the hook and the ring. */
  readonly swapped: number;
  /** I/Os that may be under way at once: of the socket, of each direction, two of each direction. */
  readonly threads: 'one' | 'one_each' | 'two_each';
}

interface Flow {
  readonly bytes: Uint8Array;
  /** Where the kernel stands. */
  moved: number;
  /** The kernel's number as the hook saw it last, and the position that it made of it (equal, except of UNIX sockets). */
  sequence: number;
  position: number;
  /** What its I/Os under way begin with: before it, calls have returned. */
  readonly underWay: Io[];
}

interface Io {
  readonly isSent: boolean;
  readonly start: number;
  readonly size: number;
  /** What the hook made of it, once it has run. */
  event: IoEvent | 'nothing' | undefined;
}

const reasons = ['not_in_user_memory', 'unreadable_memory', 'capture_window'] as const;

export class SimulatedSocket {
  readonly #bench: Bench;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #script: Script;
  readonly #id: number;
  readonly #isUnix: boolean;
  readonly #sent: Flow;
  readonly #received: Flow;
  #isTold = false;
  #isShed = false;
  #lastFlow: 'sent' | 'received' | 'unknown' = 'unknown';
  #attached: { readonly sent: number; readonly received: number; readonly lastFlow: 'sent' | 'received' | 'unknown' } | undefined;
  time: number;

  constructor(bench: Bench, random: Random, weather: Weather, script: Script, id: number, time: number) {
    this.#bench = bench;
    this.#random = random;
    this.#weather = weather;
    this.#script = script;
    this.#id = id;
    this.#isUnix = script.isUnix;
    this.time = time;
    const flow = (bytes: Uint8Array): Flow => ({ bytes, moved: 0, sequence: 0, position: 0, underWay: [] });
    this.#sent = flow(script.isServer ? script.responseBytes : script.requestBytes);
    this.#received = flow(script.isServer ? script.requestBytes : script.responseBytes);
  }

  /** The whole life of the connection. */
  run(): void {
    const random = this.#random;
    const { isOld, isServer, requestBytes } = this.#script;
    const requests = isServer ? this.#received : this.#sent;
    const attachAt = isOld ? random.below(requestBytes.length) : 0;
    const lastStep = random.below(10) === 0 ? random.below(100) : Infinity;
    for (let step = 0; step < lastStep; step++) {
      if (this.#attached === undefined && requests.moved >= attachAt) this.#attach();
      if (random.below(3) === 0 && this.#proceed()) continue;
      if (!this.#begin() && !this.#proceed()) break;
      if (random.below(40) === 0) this.#passTime(random.oneOf([1e6, 60e6, 700e6, 2e9]));
    }
    while (this.#proceed());
    this.#end();
  }

  /** Every byte of it, and of its answer, has moved since the receiver was there. */
  isComplete(message: Message): boolean {
    if (this.#attached === undefined) return false;
    const { isServer } = this.#script;
    const requests = isServer ? this.#received : this.#sent;
    const responses = isServer ? this.#sent : this.#received;
    const from = isServer ? this.#attached.received : this.#attached.sent;
    return message.requestFrom >= from && message.requestTo <= requests.moved && message.responseTo <= responses.moved;
  }

  #happens(perMille: number): boolean {
    return perMille > 0 && this.#random.below(1000) < perMille;
  }

  #attach(): void {
    const lastFlow = this.#script.isLastFlowKnown ? this.#lastFlow : 'unknown';
    for (const flow of [this.#sent, this.#received]) flow.sequence = flow.position = flow.moved;
    this.#attached = { sent: this.#sent.moved, received: this.#received.moved, lastFlow };
  }

  #passTime(amount: number): void {
    this.time += amount;
    this.#bench.table.tick(this.time);
  }

  /** Positions up to which calls have returned. */
  #returned(flow: Flow): number {
    let position = flow.moved;
    for (const io of flow.underWay) position = Math.min(position, io.start);
    return position;
  }

  /** Begins an I/O; false when nobody has anything to say, or all threads are busy. */
  #begin(): boolean {
    const random = this.#random;
    const { threads } = this.#weather;
    const isSent = random.below(2) === 0;
    for (const direction of [isSent, !isSent]) {
      const flow = direction ? this.#sent : this.#received;
      const busy = threads === 'one' ? this.#sent.underWay.length + this.#received.underWay.length : flow.underWay.length;
      if (busy >= (threads === 'two_each' && !this.#isUnix ? 2 : 1)) continue;
      // Our end has heard what its reads returned, the other end what was moved.
      const { isServer } = this.#script;
      const asked = isServer ? this.#returned(this.#received) : this.#sent.moved;
      const answered = isServer ? this.#sent.moved : this.#returned(this.#received);
      const isRequest = direction !== isServer;
      const ready = isRequest ? this.#script.mayAsk(answered) : this.#script.mayAnswer(asked);
      if (ready <= flow.moved) continue;
      const whole = direction ? this.#script.partEnd(isRequest, flow.moved, ready) : ready;
      const size = random.below(3) === 0 ? random.below(whole - flow.moved) + 1 : whole - flow.moved;
      this.#move(direction, flow, size);
      return true;
    }
    return false;
  }

  #move(isSent: boolean, flow: Flow, size: number): void {
    const io: Io = { isSent, start: flow.moved, size, event: undefined };
    flow.moved += size;
    this.time += this.#random.below(1000) + 1;
    this.#lastFlow = isSent ? 'sent' : 'received';
    if (!this.#isUnix && this.#happens(this.#weather.unseen)) return;
    flow.underWay.push(io);
    if (this.#happens(this.#weather.stalled)) return;
    this.#hook(io);
    if (!this.#happens(this.#weather.swapped)) this.#return(io);
  }

  /** One step of one call that is under way. */
  #proceed(): boolean {
    const all = [...this.#sent.underWay, ...this.#received.underWay];
    if (all.length === 0) return false;
    const io = this.#random.oneOf(all);
    if (io.event === undefined) this.#hook(io);
    else this.#return(io);
    return true;
  }

  /** As io_done() of bpf/io.bpf.c. */
  #hook(io: Io): void {
    const random = this.#random;
    const flow = io.isSent ? this.#sent : this.#received;
    const other = io.isSent ? this.#received : this.#sent;
    this.time += this.#random.below(1000) + 1;
    io.event = 'nothing';
    if (this.#attached === undefined) return;
    this.#announce(this.#attached);
    let start = flow.moved - io.size;
    let isUnordered = false;
    let otherPosition = other.moved;
    if (this.#isUnix) {
      start = flow.position;
      flow.position += io.size;
      otherPosition = other.position;
    } else {
      const delta = flow.moved - flow.sequence;
      isUnordered = delta < io.size || (io.isSent && delta > io.size);
      flow.sequence = flow.position = flow.moved;
    }
    if (this.#wish(controlLayout.ignore) !== 0) return;
    if (this.#isShed && random.below(2) === 0) return;
    const from = Math.max(start, this.#wish(controlLayout.until + (io.isSent ? 1 : 0)));
    const size = start + io.size - from;
    if (size < 0) return;
    const captured = this.#happens(this.#weather.cut) ? random.below(size + 1) : size;
    const at = io.start + from - start;
    io.event = {
      connection: this.#id,
      time: this.time,
      process: opener,
      isSent: io.isSent,
      isIoStart: from === start,
      tid: 1,
      isBlocking: false,
      isUnordered,
      isResumed: this.#isShed,
      position: from,
      otherPosition,
      size,
      captured,
      missing: captured < size ? random.oneOf(reasons) : undefined,
      isFramed: false,
      toFrame: 0,
      isInData: false,
      bytes: flow.bytes.slice(at, at + captured),
      from: 0,
      context: undefined,
    };
    this.#isShed = false;
  }

  #wish(word: number): number {
    return controlWord(this.#bench, this.#id, controlLayout.cookie) === this.#id ? controlWord(this.#bench, this.#id, word) : 0;
  }

  /** The record reaches the ring, or not, and the call returns. */
  #return(io: Io): void {
    const flow = io.isSent ? this.#sent : this.#received;
    flow.underWay.splice(flow.underWay.indexOf(io), 1);
    const { event } = io;
    if (event === undefined || event === 'nothing') return;
    if (this.#happens(this.#weather.lost)) {
      this.#isShed = true;
      return;
    }
    this.#bench.table.io(event);
    // The bytes are the ring's, and the next record's soon.
    event.bytes.fill(0x21);
  }

  #end(): void {
    if (!this.#isTold) return;
    const random = this.#random;
    const cause = random.oneOf(['eof', 'shutdown', 'closed', 'error'] as const);
    for (const one of cause === 'closed' ? [cause] : ([cause, 'closed'] as const)) {
      this.#bench.table.end({
        connection: this.#id,
        time: this.time,
        cause: one,
        sentPosition: this.#isUnix ? this.#sent.position : this.#sent.moved,
        receivedPosition: this.#isUnix ? this.#received.position : this.#received.moved,
        error: one === 'error' ? 104 : 0,
        isExiting: random.below(8) === 0,
      });
    }
    this.#passTime(60e6);
  }

  #announce({ sent, received, lastFlow }: { sent: number; received: number; lastFlow: 'sent' | 'received' | 'unknown' }): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { isServer, isUnix, isRoleKnown } = this.#script;
    const role = isServer ? 'server' : 'client';
    this.#bench.table.open({
      info: {
        id: this.#id,
        transport: isUnix ? 'unix' : 'tcp',
        ipVersion: isUnix ? undefined : 4,
        role: isRoleKnown ? role : 'unknown',
        roleEvidence: isRoleKnown ? 'tcp_state' : 'none',
        local: { address: '127.0.0.1', port: 80 },
        peer: { address: '127.0.0.1', port: 50_000 },
        networkNamespace: 1,
        pair: '',
        isFromStart: sent === 0 && received === 0,
        openedBy: opener,
      },
      sentPosition: sent,
      receivedPosition: received,
      lastFlow,
      isSecure: false,
      time: 0,
    });
  }
}
