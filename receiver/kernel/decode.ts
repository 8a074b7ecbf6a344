// Record -> Event (hot path): the bytes that the ring gave become calls of one handler. Layout: bpf/event.h, through layout.ts.
// More than 400 lines: one method for each kind of record, and all read the same buffer.
import { RECORD_HEADER_SIZE } from '../../native/index.ts';
import type { ConnectionId, ConnectionInfo, Endpoint, Role, RoleEvidence, TlsLibrary } from '../model/connection.ts';
import type { ProcessId, ProcessImage } from '../model/process.ts';
import type { LossReason } from '../model/protocol.ts';
import type { ProcessInstance } from '../model/thread-context.ts';
import type { ConnectionVitals } from '../model/connection-vitals.ts';
import type { EndEvent, IoEvent, OpenEvent, SecuredEvent, WalkEvent } from '../model/stream-event.ts';
import { IoContexts } from './io-contexts.ts';
import { formatAddress, isMappedIpv4 } from './ipv6.ts';
import { tcpPair, unixPair } from './pair.ts';
import {
  connectionEvent,
  contextEvent,
  endCause,
  endEvent,
  execEvent,
  framingFlag,
  eventHeader,
  eventKind,
  ioEvent,
  ioFlag,
  labelsEvent,
  openFlag,
  processEvent,
  processExitEvent,
  secureEvent,
  secureFlag,
  threadContext,
  vitalsEvent,
  walkEvent,
} from './layout.ts';
import { decodeVitals } from './vitals.ts';

/** Who is told of each record. The IoEvent is one object, reused: it holds only during the call. */
export interface EventHandler {
  io(event: IoEvent): void;
  open(event: OpenEvent): void;
  end(event: EndEvent): void;
  walked(event: WalkEvent): void;
  secured(event: SecuredEvent): void;
  /** Told before an end or a walk: records of this connection before it were refused. An IoEvent says so itself. */
  resumed(connection: ConnectionId): void;
  processStarted(image: ProcessImage, instance: ProcessInstance): void;
  /** A process runs another program now. */
  executed(instance: ProcessInstance): void;
  processExited(process: ProcessId, time: number): void;
  /** The last of a connection. */
  vitals(vitals: ConnectionVitals): void;
  /** `count` records never arrived. */
  dropped(count: number): void;
  /** A record was not what its kind must be. */
  malformed(): void;
}

/** Missing reasons by their number in bpf/event.h (enum missing_reason). */
const LOSS_REASONS: readonly (LossReason | undefined)[] = [
  undefined,
  'capture_window',
  'not_in_user_memory',
  'unreadable_memory',
  'compat_task',
  'too_many_vectors',
];
const ROLES: readonly Role[] = ['unknown', 'client', 'server'];
const EVIDENCE: readonly RoleEvidence[] = ['none', 'tcp_state', 'listener', 'unix_address', 'connect'];
const LAST_FLOWS = ['unknown', 'sent', 'received'] as const;
const TLS_LIBRARIES: readonly (TlsLibrary | undefined)[] = [undefined, 'openssl', 'go', 'gnutls'];
const TLS_EVIDENCE = ['contradiction', 'nested_io', 'ciphertext', 'descriptor', 'ignored', 'unfollowed'] as const;
const END_CAUSES = ['closed', 'eof', 'shutdown', 'closed', 'error'] as const;
/** Size of a record of each kind without what may follow; 0: a kind that is not ours. */
const SMALLEST = Uint16Array.of(
  0,
  ioEvent.sizeOf,
  connectionEvent.sizeOf,
  endEvent.sizeOf,
  walkEvent.sizeOf,
  processEvent.sizeOf,
  processExitEvent.sizeOf,
  contextEvent.sizeOf,
  secureEvent.sizeOf,
  vitalsEvent.sizeOf,
  execEvent.sizeOf,
  labelsEvent.sizeOf,
);
const UNIX_PATH_SIZE = connectionEvent.peerPath - connectionEvent.localPath;
const AF_UNIX = 1;
const AF_INET6 = 10;
/** Process identities kept, so that one object serves all events of a process. */
const MAX_PROCESSES = 65536;
const MAX_ADDRESSES = 4096;
const TWO_32 = 0x1_0000_0000;

/** Words of a record: 32-bit, little-endian, at byte offset `at` (a multiple of 4) of the drained bytes. */
export class Decoder {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #handler: EventHandler;
  readonly #originHigh: number;
  readonly #originLow: number;
  readonly #sequences: Uint32Array;
  readonly #isCpuKnown: Uint8Array;
  /** Holes in the sequences of this batch. */
  #holes = 0;
  /** Records that never arrived, by the CPU that made them. */
  readonly droppedByCpu: Float64Array;
  readonly #processes = new Map<number, ProcessId>();
  /** Of IPv4, by the number that they are: the text of one is kept once for many connections. */
  readonly #addresses = new Map<number, string>();
  readonly #io: IoEvent;
  readonly #contexts: IoContexts;

  /** `bytes`: the buffer that is drained into. `originMonotonicNs`: CLOCK_MONOTONIC at pipeline time 0. */
  constructor(bytes: Uint8Array<ArrayBuffer>, originMonotonicNs: bigint, cpus: number, handler: EventHandler) {
    this.#bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
    this.#handler = handler;
    this.#originHigh = Number(originMonotonicNs >> 32n);
    this.#originLow = Number(originMonotonicNs & 0xffff_ffffn);
    this.#sequences = new Uint32Array(cpus);
    this.#isCpuKnown = new Uint8Array(cpus);
    this.droppedByCpu = new Float64Array(cpus);
    this.#contexts = new IoContexts(bytes, cpus);
    this.#io = {
      connection: 0,
      time: 0,
      process: { pid: 0, startTime: 0 },
      isSent: false,
      isIoStart: false,
      tid: 0,
      isBlocking: false,
      isUnordered: false,
      isResumed: false,
      position: 0,
      otherPosition: 0,
      size: 0,
      captured: 0,
      missing: undefined,
      isFramed: false,
      toFrame: 0,
      isInData: false,
      bytes,
      from: 0,
      context: undefined,
    };
  }

  /** Decodes the records in the first `size` bytes of the buffer; returns how many there were. */
  decode(size: number): number {
    let at = 0;
    let count = 0;
    while (at < size) {
      const length = this.#words[at >> 2] ?? 0;
      if (length > size - at - RECORD_HEADER_SIZE) {
        this.#handler.malformed();
        break;
      }
      this.#record(at + RECORD_HEADER_SIZE, length);
      at += (RECORD_HEADER_SIZE + length + 7) & ~7;
      count++;
    }
    if (this.#holes > 0) {
      this.#handler.dropped(this.#holes);
      this.#holes = 0;
    }
    return count;
  }

  /** Time of the first record in the buffer, while what was decoded last is still in it. */
  get firstTime(): number {
    return this.#time(RECORD_HEADER_SIZE);
  }

  #record(at: number, length: number): void {
    if (length < eventHeader.sizeOf) {
      this.#handler.malformed();
      return;
    }
    this.#followSequence(at);
    const kind = this.#bytes[at + eventHeader.kind] ?? 0;
    if (length < (SMALLEST[kind] ?? 0)) {
      this.#handler.malformed();
      return;
    }
    switch (kind) {
      case eventKind.io:
        this.#decodeIo(at, length);
        return;
      case eventKind.connection:
        this.#handler.open(this.#decodeOpen(at));
        return;
      case eventKind.end:
        this.#tellResumed(at);
        if (!this.#isEmptyWrite(at)) this.#handler.end(this.#decodeEnd(at));
        return;
      case eventKind.walk:
        this.#tellResumed(at);
        this.#handler.walked(this.#decodeWalk(at));
        return;
      case eventKind.process:
        this.#handler.processStarted(this.#decodeProcess(at, at + length), {
          pid: this.#u32(at + processEvent.tgid),
          startTime: this.#exact(at + processEvent.startTime),
          execId: this.#u32(at + processEvent.execId),
        });
        return;
      case eventKind.context:
        this.#contexts.take(at, length);
        return;
      case eventKind.labels:
        this.#contexts.takeLabels(at);
        return;
      case eventKind.secure:
        this.#handler.secured(this.#decodeSecured(at));
        return;
      case eventKind.vitals:
        this.#handler.vitals(decodeVitals(this.#bytes, at));
        return;
      case eventKind.exec:
        this.#handler.executed({
          pid: this.#u32(at + execEvent.tgid),
          startTime: this.#exact(at + execEvent.startTime),
          execId: this.#u32(at + execEvent.execId),
        });
        return;
      case eventKind.processExit:
        this.#handler.processExited(
          this.#process(this.#u32(at + processExitEvent.tgid), this.#u64(at + processExitEvent.startTime)),
          this.#time(at),
        );
        return;
    }
  }

  /** Of a walk_event or an end_event: both begin with header and cookie. */
  #tellResumed(at: number): void {
    if (((this.#bytes[at + eventHeader.flags] ?? 0) & ioFlag.resumed) !== 0) {
      this.#handler.resumed(this.#u64(at + endEvent.cookie));
    }
  }

  #followSequence(at: number): void {
    const cpu = this.#u16(at + eventHeader.cpu);
    const sequence = this.#u32(at + eventHeader.sequence);
    const ahead = (sequence - (this.#sequences[cpu] ?? 0)) | 0;
    if (this.#isCpuKnown[cpu] === 1 && ahead !== 0) {
      if (ahead < 0) {
        // A program that was interrupted between taking its number and its place in the ring, by another: it was no hole.
        if (this.#holes > 0) {
          this.#holes--;
          this.droppedByCpu[cpu] = Math.max(0, (this.droppedByCpu[cpu] ?? 0) - 1);
        }
        return;
      }
      this.#holes += ahead;
      this.droppedByCpu[cpu] = (this.droppedByCpu[cpu] ?? 0) + ahead;
    }
    this.#isCpuKnown[cpu] = 1;
    this.#sequences[cpu] = sequence + 1;
  }

  #decodeIo(at: number, length: number): void {
    const io = this.#io;
    const flags = this.#bytes[at + eventHeader.flags] ?? 0;
    io.connection = this.#u64(at + ioEvent.cookie);
    io.time = this.#time(at);
    io.process = this.#process(this.#u32(at + ioEvent.tgid), this.#u64(at + ioEvent.startTime));
    io.tid = this.#u32(at + ioEvent.tid);
    io.isSent = (flags & ioFlag.sent) !== 0;
    io.isIoStart = (flags & ioFlag.start) !== 0;
    io.isBlocking = (flags & ioFlag.blocking) !== 0;
    io.isUnordered = (flags & ioFlag.unordered) !== 0;
    io.isResumed = (flags & ioFlag.resumed) !== 0;
    io.position = this.#u64(at + ioEvent.position);
    io.otherPosition = this.#u64(at + ioEvent.otherPosition);
    io.size = this.#u32(at + ioEvent.size);
    io.captured = this.#u32(at + ioEvent.captured);
    io.missing = LOSS_REASONS[flags >> ioFlag.missingShift];
    const framing = this.#u16(at + ioEvent.framing);
    io.isFramed = (framing & framingFlag.frames) !== 0;
    io.isInData = (framing & framingFlag.inData) !== 0;
    io.toFrame = this.#u32(at + ioEvent.toFrame);
    io.from = at + ioEvent.sizeOf;
    const hasContext = this.#u16(at + ioEvent.hasContext) !== 0;
    const end = at + length - (hasContext ? threadContext.sizeOf : 0);
    if (io.captured > end - io.from || io.captured > io.size) {
      this.#handler.malformed();
      return;
    }
    io.context = hasContext ? this.#contexts.within(end, io) : this.#contexts.of(io, this.#u16(at + eventHeader.cpu));
    this.#handler.io(io);
  }

  #decodeOpen(at: number): OpenEvent {
    const family = this.#u16(at + connectionEvent.family);
    const isUnix = family === AF_UNIX;
    const local = at + connectionEvent.localAddress;
    const peer = at + connectionEvent.peerAddress;
    const info: ConnectionInfo = {
      id: this.#u64(at + connectionEvent.cookie),
      transport: isUnix ? 'unix' : 'tcp',
      ipVersion: isUnix ? undefined : family === AF_INET6 && !this.#isMapped(local) ? 6 : 4,
      role: ROLES[this.#bytes[at + connectionEvent.role] ?? 0] ?? 'unknown',
      roleEvidence: EVIDENCE[this.#bytes[at + connectionEvent.evidence] ?? 0] ?? 'none',
      local: isUnix
        ? this.#unixEndpoint(at + connectionEvent.localPath, this.#bytes[at + connectionEvent.localPathSize] ?? 0)
        : { address: this.#address(local), port: this.#u16(at + connectionEvent.localPort) },
      peer: isUnix
        ? this.#unixEndpoint(at + connectionEvent.peerPath, this.#bytes[at + connectionEvent.peerPathSize] ?? 0)
        : { address: this.#address(peer), port: this.#u16(at + connectionEvent.peerPort) },
      networkNamespace: this.#u32(at + connectionEvent.netns),
      pair: this.#pair(at, isUnix),
      // A UNIX socket has no kernel positions: ours begin where we began.
      isFromStart: (this.#bytes[at + connectionEvent.fromStart] ?? 0) !== 0,
      openedBy: this.#process(this.#u32(at + connectionEvent.tgid), this.#u64(at + connectionEvent.startTime)),
    };
    return {
      info,
      sentPosition: this.#u64(at + connectionEvent.sentPosition),
      receivedPosition: this.#u64(at + connectionEvent.receivedPosition),
      lastFlow: LAST_FLOWS[this.#bytes[at + connectionEvent.last] ?? 0] ?? 'unknown',
      isSecure: ((this.#bytes[at + eventHeader.flags] ?? 0) & openFlag.secure) !== 0,
      time: this.#time(at),
    };
  }

  #decodeSecured(at: number): SecuredEvent {
    return {
      session: this.#u64(at + secureEvent.session),
      carrier: this.#u64(at + secureEvent.cookie),
      process: this.#process(this.#u32(at + secureEvent.tgid), this.#u64(at + secureEvent.startTime)),
      library: TLS_LIBRARIES[this.#bytes[at + secureEvent.library] ?? 0] ?? 'openssl',
      evidence: TLS_EVIDENCE[this.#bytes[at + secureEvent.evidence] ?? 0] ?? 'contradiction',
      since: this.#u64(at + secureEvent.since) === 0 ? undefined : this.#timeAt(at + secureEvent.since),
      isFirst: ((this.#bytes[at + eventHeader.flags] ?? 0) & secureFlag.again) === 0,
      time: this.#time(at),
    };
  }

  /** A write of no bytes returns 0 too, and ends nothing. */
  #isEmptyWrite(at: number): boolean {
    return this.#bytes[at + endEvent.cause] === endCause.eof && ((this.#bytes[at + eventHeader.flags] ?? 0) & ioFlag.sent) !== 0;
  }

  #decodeEnd(at: number): EndEvent {
    return {
      connection: this.#u64(at + endEvent.cookie),
      time: this.#time(at),
      cause: END_CAUSES[this.#bytes[at + endEvent.cause] ?? 0] ?? 'closed',
      sentPosition: this.#u64(at + endEvent.sentPosition),
      receivedPosition: this.#u64(at + endEvent.receivedPosition),
      error: this.#u32(at + endEvent.error),
      isExiting: (this.#bytes[at + endEvent.exiting] ?? 0) !== 0,
    };
  }

  #decodeWalk(at: number): WalkEvent {
    return {
      connection: this.#u64(at + walkEvent.cookie),
      time: this.#time(at),
      isSent: ((this.#bytes[at + eventHeader.flags] ?? 0) & ioFlag.sent) !== 0,
      position: this.#u64(at + walkEvent.position),
      end: this.#u64(at + walkEvent.end),
      next: this.#u64(at + walkEvent.next),
      body: this.#u64(at + walkEvent.body),
    };
  }

  #decodeProcess(at: number, end: number): ProcessImage {
    const executable = at + processEvent.sizeOf;
    const cgroup = Math.min(end, executable + this.#u32(at + processEvent.executableSize));
    const args = Math.min(end, cgroup + this.#u32(at + processEvent.cgroupSize));
    const environment = Math.min(end, args + this.#u32(at + processEvent.argsSize));
    const environmentEnd = Math.min(end, environment + this.#u32(at + processEvent.environmentSize));
    const { pid, startTime } = this.#process(this.#u32(at + processEvent.tgid), this.#u64(at + processEvent.startTime));
    return {
      pid,
      startTime,
      comm: this.#text(at + processEvent.comm, at + processEvent.comm + 16),
      executablePath: this.#text(executable, cgroup),
      cgroupPath: this.#text(cgroup, args),
      args: this.#strings(args, environment),
      environment: this.#openTelemetryVariables(environment, environmentEnd),
    };
  }

  #process(pid: number, startTime: number): ProcessId {
    const known = this.#processes.get(pid);
    if (known?.startTime === startTime) return known;
    const process = { pid, startTime };
    if (this.#processes.size >= MAX_PROCESSES) this.#processes.clear();
    this.#processes.set(pid, process);
    return process;
  }

  /** Nanoseconds since the pipeline's origin: exact, because the difference is taken on both halves. */
  #time(at: number): number {
    return this.#timeAt(at + eventHeader.time);
  }

  #timeAt(at: number): number {
    const word = at >> 2;
    return ((this.#words[word + 1] ?? 0) - this.#originHigh) * TWO_32 + ((this.#words[word] ?? 0) - this.#originLow);
  }

  #u16(at: number): number {
    return (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
  }

  #u32(at: number): number {
    return this.#words[at >> 2] ?? 0;
  }

  /** Exact below 2^53: positions, cookies and start times are. */
  #u64(at: number): number {
    return (this.#words[(at >> 2) + 1] ?? 0) * TWO_32 + (this.#words[at >> 2] ?? 0);
  }

  #exact(at: number): bigint {
    return (BigInt(this.#u32(at + 4)) << 32n) | BigInt(this.#u32(at));
  }

  #isMapped(at: number): boolean {
    return isMappedIpv4(this.#bytes.subarray(at, at + 16));
  }

  #address(at: number): string {
    const bytes = this.#bytes.subarray(at, at + 16);
    if (!this.#isMapped(at)) return formatAddress(bytes);
    const word = this.#u32(at + 12);
    const known = this.#addresses.get(word);
    if (known !== undefined) return known;
    const address = formatAddress(bytes);
    if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.clear();
    this.#addresses.set(word, address);
    return address;
  }

  #pair(at: number, isUnix: boolean): string {
    if (!isUnix) return tcpPair(this.#u32(at + connectionEvent.localIsn), this.#u32(at + connectionEvent.peerIsn));
    // Positions of a UNIX stream are counted from where each end began to be observed: only from the start do they agree.
    const isFromStart = (this.#bytes[at + connectionEvent.fromStart] ?? 0) !== 0;
    const role = ROLES[this.#bytes[at + connectionEvent.role] ?? 0] ?? 'unknown';
    return isFromStart ? unixPair(role, this.#u64(at + connectionEvent.cookie), this.#u64(at + connectionEvent.peerCookie)) : '';
  }

  #unixEndpoint(at: number, pathSize: number): Endpoint {
    const size = Math.min(pathSize, UNIX_PATH_SIZE);
    if (size === 0) return { address: '', port: 0 };
    if (this.#bytes[at] === 0) return { address: `@${this.#latin1(at + 1, at + size)}`, port: 0 };
    return { address: this.#text(at, at + size), port: 0 };
  }

  #latin1(from: number, to: number): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, to - from).toString('latin1');
  }

  /** UTF-8 up to the first 0. */
  #text(from: number, to: number): string {
    const zero = this.#bytes.indexOf(0, from);
    const end = zero < 0 || zero > to ? to : zero;
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, end - from).toString('utf8');
  }

  #strings(from: number, to: number): string[] {
    const strings: string[] = [];
    for (let at = from; at < to;) {
      const zero = this.#bytes.indexOf(0, at);
      const end = zero < 0 || zero > to ? to : zero;
      strings.push(this.#text(at, end));
      at = end + 1;
    }
    return strings;
  }

  /** Only OTEL_*: the rest of an environment is nobody's business. */
  #openTelemetryVariables(from: number, to: number): ReadonlyMap<string, string> {
    const variables = new Map<string, string>();
    for (let at = from; at < to;) {
      const zero = this.#bytes.indexOf(0, at);
      const end = zero < 0 || zero > to ? to : zero;
      // 'O', 'T' and a text of reasonable length: no string is made of anything else.
      if (this.#bytes[at] === 0x4f && this.#bytes[at + 1] === 0x54) {
        const text = this.#text(at, end);
        const equals = text.indexOf('=');
        if (text.startsWith('OTEL_') && equals > 0) variables.set(text.slice(0, equals), text.slice(equals + 1));
      }
      at = end + 1;
    }
    return variables;
  }
}
