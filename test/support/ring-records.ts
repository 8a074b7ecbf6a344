// Ring records as the kernel side writes them (bpf/event.h), each behind its length as the ring hands it over.
import { RECORD_HEADER_SIZE } from '../../native/index.ts';
import {
  bound,
  connectionEvent,
  connOutcome,
  connRole,
  contextEvent,
  endEvent,
  eventHeader,
  eventKind,
  ioEvent,
  execEvent,
  ioFlag,
  processEvent,
  processExitEvent,
  secureEvent,
  secureFlag,
  openFlag,
  threadContext,
  vitalsEvent,
  walkEvent,
} from '../../receiver/kernel/layout.ts';

interface Common {
  /** CLOCK_MONOTONIC; without it, a microsecond after the record before. */
  readonly monotonicNs?: bigint;
  readonly cpu?: number;
  /** Without it, the next one of this CPU. */
  readonly sequence?: number;
}

interface ByProcess extends Common {
  readonly pid?: number;
  readonly startTime?: number;
}

export interface IoRecord extends ByProcess {
  readonly cookie: number;
  readonly isSent: boolean;
  readonly position: number;
  readonly otherPosition?: number;
  readonly payload?: Uint8Array;
  /** Bytes that moved: the payload, unless more is told. */
  readonly size?: number;
  readonly captured?: number;
  /** io_flag, besides IO_SENT; IO_START without it. */
  readonly flags?: number;
  /** enum missing_reason */
  readonly missing?: number;
  /** framing_flag */
  readonly framing?: number;
  readonly toFrame?: number;
  /** Bytes of earlier records behind the payload. */
  readonly residue?: number;
  /** In the record itself. */
  readonly context?: { readonly traceId: string; readonly spanId: string; readonly flags?: number };
}

export interface ConnectionRecord extends ByProcess {
  readonly cookie: number;
  readonly family?: number;
  /** enum conn_role; the server's without it. */
  readonly role?: number;
  readonly evidence?: number;
  readonly isFromStart?: boolean;
  readonly isSecure?: boolean;
  /** enum last_flow */
  readonly last?: number;
  readonly sentPosition?: number;
  readonly receivedPosition?: number;
  readonly netns?: number;
  readonly localIsn?: number;
  readonly peerIsn?: number;
  readonly peerCookie?: number;
  readonly local?: Uint8Array;
  readonly peer?: Uint8Array;
  readonly localPort?: number;
  readonly peerPort?: number;
  readonly localPath?: string;
  readonly peerPath?: string;
}

export interface SecureRecord extends ByProcess {
  readonly session: number;
  readonly cookie: number;
  /** enum tls_library */
  readonly library: number;
  /** enum tls_evidence */
  readonly evidence: number;
  /** CLOCK_MONOTONIC; without it, 0. */
  readonly sinceNs?: number;
  readonly isAgain?: boolean;
}

export interface EndRecord extends ByProcess {
  readonly cookie: number;
  /** enum end_cause */
  readonly cause: number;
  readonly flags?: number;
  readonly sentPosition?: number;
  readonly receivedPosition?: number;
  readonly error?: number;
  readonly isExiting?: boolean;
}

export interface WalkRecord extends Common {
  readonly cookie: number;
  readonly isSent: boolean;
  readonly position: number;
  readonly end: number;
  readonly next: number;
  readonly body: number;
}

export interface ProcessRecord extends ByProcess {
  readonly executable?: string;
  readonly cgroup?: string;
  readonly args?: readonly string[];
  readonly environment?: readonly string[];
  readonly comm?: string;
}

export interface ContextRecord extends Common {
  readonly cookie: number;
  readonly isSent: boolean;
  readonly position: number;
  readonly size: number;
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly flags?: number;
  readonly attributes?: Uint8Array;
  /** Only their size is told. */
  readonly hasNoAttributes?: boolean;
}

export const PID = 4242;
export const START_TIME = 123_456_789;
const AF_INET = 2;
export const loopback = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1);
const encoder = new TextEncoder();

export interface VitalsRecord extends ByProcess {
  readonly cookie: number;
  readonly sent?: number;
  readonly received?: number;
  readonly retransmits?: number;
  readonly rttUs?: number;
  readonly error?: number;
  readonly netns?: number;
  readonly localPort?: number;
  readonly peerPort?: number;
  /** conn_role, a client without it. */
  readonly role?: number;
  /** conn_outcome */
  readonly outcome?: number;
  readonly isUnsent?: boolean;
  /** 16 bytes each; 127.0.0.1 without them. */
  readonly localAddress?: Uint8Array;
  readonly peerAddress?: Uint8Array;
}

export class RecordWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #sequences = new Map<number, number>();
  #at = 0;
  #time: bigint;

  constructor(bytes: Uint8Array<ArrayBuffer>, originNs: bigint) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#time = originNs;
  }

  get size(): number {
    return this.#at;
  }

  rewind(): void {
    this.#at = 0;
  }

  io(record: IoRecord): void {
    const payload = record.payload ?? new Uint8Array();
    const flags =
      (record.flags ?? ioFlag.start) | (record.isSent ? ioFlag.sent : 0) | ((record.missing ?? 0) << ioFlag.missingShift);
    const { context } = record;
    const end = ioEvent.sizeOf + payload.length + (record.residue ?? 0);
    const at = this.#begin(eventKind.io, flags, end + (context === undefined ? 0 : threadContext.sizeOf), record);
    this.#u64(at + ioEvent.cookie, record.cookie);
    this.#u64(at + ioEvent.position, record.position);
    this.#u64(at + ioEvent.otherPosition, record.otherPosition ?? 0);
    this.#process(at + ioEvent.tgid, at + ioEvent.startTime, record);
    this.#view.setUint32(at + ioEvent.tid, record.pid ?? PID, true);
    this.#view.setUint32(at + ioEvent.size, record.size ?? payload.length, true);
    this.#view.setUint32(at + ioEvent.captured, record.captured ?? payload.length, true);
    this.#view.setUint32(at + ioEvent.toFrame, record.toFrame ?? 0, true);
    this.#view.setUint16(at + ioEvent.framing, record.framing ?? 0, true);
    this.#view.setUint16(at + ioEvent.hasContext, context === undefined ? 0 : 1, true);
    this.bytes.set(payload, at + ioEvent.sizeOf);
    if (context !== undefined) this.#threadContext(at + end, context, 0);
  }

  connection(record: ConnectionRecord): void {
    const at = this.#begin(eventKind.connection, record.isSecure === true ? openFlag.secure : 0, connectionEvent.sizeOf, record);
    this.#u64(at + connectionEvent.cookie, record.cookie);
    this.#u64(at + connectionEvent.sentPosition, record.sentPosition ?? 0);
    this.#u64(at + connectionEvent.receivedPosition, record.receivedPosition ?? 0);
    this.#process(at + connectionEvent.tgid, at + connectionEvent.startTime, record);
    this.#view.setUint32(at + connectionEvent.netns, record.netns ?? 0, true);
    this.#view.setUint32(at + connectionEvent.localIsn, record.localIsn ?? 0, true);
    this.#view.setUint32(at + connectionEvent.peerIsn, record.peerIsn ?? 0, true);
    this.#u64(at + connectionEvent.peerCookie, record.peerCookie ?? 0);
    this.#view.setUint16(at + connectionEvent.family, record.family ?? AF_INET, true);
    this.#view.setUint16(at + connectionEvent.localPort, record.localPort ?? 8080, true);
    this.#view.setUint16(at + connectionEvent.peerPort, record.peerPort ?? 40_000, true);
    this.bytes[at + connectionEvent.role] = record.role ?? 2;
    this.bytes[at + connectionEvent.evidence] = record.evidence ?? 1;
    this.bytes[at + connectionEvent.fromStart] = (record.isFromStart ?? true) ? 1 : 0;
    this.bytes[at + connectionEvent.last] = record.last ?? 0;
    this.bytes.set(record.local ?? loopback, at + connectionEvent.localAddress);
    this.bytes.set(record.peer ?? loopback, at + connectionEvent.peerAddress);
    const localPath = encoder.encode(record.localPath ?? '');
    const peerPath = encoder.encode(record.peerPath ?? '');
    this.bytes[at + connectionEvent.localPathSize] = localPath.length;
    this.bytes[at + connectionEvent.peerPathSize] = peerPath.length;
    this.bytes.set(localPath, at + connectionEvent.localPath);
    this.bytes.set(peerPath, at + connectionEvent.peerPath);
  }

  secure(record: SecureRecord): void {
    const at = this.#begin(eventKind.secure, record.isAgain === true ? secureFlag.again : 0, secureEvent.sizeOf, record);
    this.#u64(at + secureEvent.session, record.session);
    this.#u64(at + secureEvent.cookie, record.cookie);
    this.#process(at + secureEvent.tgid, at + secureEvent.startTime, record);
    this.#u64(at + secureEvent.since, record.sinceNs ?? 0);
    this.bytes[at + secureEvent.library] = record.library;
    this.bytes[at + secureEvent.evidence] = record.evidence;
  }

  end(record: EndRecord): void {
    const at = this.#begin(eventKind.end, record.flags ?? 0, endEvent.sizeOf, record);
    this.#u64(at + endEvent.cookie, record.cookie);
    this.#u64(at + endEvent.sentPosition, record.sentPosition ?? 0);
    this.#u64(at + endEvent.receivedPosition, record.receivedPosition ?? 0);
    this.#process(at + endEvent.tgid, at + endEvent.startTime, record);
    this.#view.setUint32(at + endEvent.error, record.error ?? 0, true);
    this.bytes[at + endEvent.cause] = record.cause;
    this.bytes[at + endEvent.exiting] = record.isExiting === true ? 1 : 0;
  }

  walk(record: WalkRecord): void {
    const at = this.#begin(eventKind.walk, record.isSent ? ioFlag.sent : 0, walkEvent.sizeOf, record);
    this.#u64(at + walkEvent.cookie, record.cookie);
    this.#u64(at + walkEvent.position, record.position);
    this.#u64(at + walkEvent.end, record.end);
    this.#u64(at + walkEvent.next, record.next);
    this.#u64(at + walkEvent.body, record.body);
  }

  process(record: ProcessRecord): void {
    const parts = [
      encoder.encode(record.executable ?? ''),
      encoder.encode(record.cgroup ?? ''),
      encoder.encode((record.args ?? []).map((text) => `${text}\0`).join('')),
      encoder.encode((record.environment ?? []).map((text) => `${text}\0`).join('')),
    ];
    const size = parts.reduce<number>((sum, part) => sum + part.length, processEvent.sizeOf);
    const at = this.#begin(eventKind.process, 0, size, record);
    this.#process(at + processEvent.tgid, at + processEvent.startTime, record);
    let to = at + processEvent.sizeOf;
    for (const [index, part] of parts.entries()) {
      this.#view.setUint32(at + processEvent.executableSize + 4 * index, part.length, true);
      this.bytes.set(part, to);
      to += part.length;
    }
    this.bytes.set(encoder.encode(record.comm ?? '').subarray(0, 16), at + processEvent.comm);
  }

  processExit(record: ByProcess): void {
    const at = this.#begin(eventKind.processExit, 0, processExitEvent.sizeOf, record);
    this.#process(at + processExitEvent.tgid, at + processExitEvent.startTime, record);
  }

  exec(record: { readonly pid: number; readonly startTime: bigint; readonly execId: number }): void {
    const at = this.#begin(eventKind.exec, 0, execEvent.sizeOf, {});
    this.#view.setUint32(at + execEvent.tgid, record.pid, true);
    this.#view.setBigUint64(at + execEvent.startTime, record.startTime, true);
    this.#view.setUint32(at + execEvent.execId, record.execId, true);
  }

  context(record: ContextRecord): void {
    const attributes = record.attributes ?? new Uint8Array();
    const hasRoom = attributes.length > 0 && record.hasNoAttributes !== true;
    const at = this.#begin(
      eventKind.context,
      record.isSent ? ioFlag.sent : 0,
      contextEvent.sizeOf + (hasRoom ? bound.contextAttributes - 4 : 0),
      record,
    );
    this.#u64(at + contextEvent.cookie, record.cookie);
    this.#u64(at + contextEvent.position, record.position);
    this.#view.setUint32(at + contextEvent.size, record.size, true);
    this.#threadContext(at + contextEvent.context, record, attributes.length);
    if (hasRoom) this.bytes.set(attributes, at + contextEvent.context + threadContext.attributes);
  }

  vitals(record: VitalsRecord): void {
    const at = this.#begin(eventKind.vitals, 0, vitalsEvent.sizeOf, record);
    this.#u64(at + vitalsEvent.cookie, record.cookie);
    this.#u64(at + vitalsEvent.sent, record.sent ?? 0);
    this.#u64(at + vitalsEvent.received, record.received ?? 0);
    this.#process(at + vitalsEvent.tgid, at + vitalsEvent.startTime, record);
    for (const [field, value] of [
      [vitalsEvent.retransmits, record.retransmits ?? 0],
      [vitalsEvent.rtt, record.rttUs ?? 0],
      [vitalsEvent.error, record.error ?? 0],
      [vitalsEvent.netns, record.netns ?? 0],
    ] as const) {
      this.#view.setUint32(at + field, value, true);
    }
    this.#view.setUint16(at + vitalsEvent.family, 2, true);
    this.#view.setUint16(at + vitalsEvent.localPort, record.localPort ?? 0, true);
    this.#view.setUint16(at + vitalsEvent.peerPort, record.peerPort ?? 0, true);
    this.bytes[at + vitalsEvent.role] = record.role ?? connRole.client;
    this.bytes[at + vitalsEvent.outcome] = record.outcome ?? connOutcome.none;
    this.bytes[at + vitalsEvent.unsent] = record.isUnsent === true ? 1 : 0;
    this.bytes.set(record.localAddress ?? loopback, at + vitalsEvent.localAddress);
    this.bytes.set(record.peerAddress ?? loopback, at + vitalsEvent.peerAddress);
  }

  /** A record of any kind and any bytes behind its header. */
  other(kind: number, flags: number, rest: Uint8Array): void {
    const at = this.#begin(kind, flags, eventHeader.sizeOf + rest.length, {});
    this.bytes.set(rest, at + eventHeader.sizeOf);
  }

  #threadContext(at: number, context: NonNullable<IoRecord['context']>, attributesSize: number): void {
    this.bytes.set(Buffer.from(context.traceId + context.spanId, 'hex'), at + threadContext.traceId);
    this.bytes[at + threadContext.valid] = 1;
    this.bytes[at + threadContext.traceFlags] = context.flags ?? 0;
    this.#view.setUint16(at + threadContext.attributesSize, attributesSize, true);
  }

  #begin(kind: number, flags: number, length: number, common: Common): number {
    const at = this.#at + RECORD_HEADER_SIZE;
    this.#at = at + ((length + 7) & ~7);
    this.bytes.fill(0, at - RECORD_HEADER_SIZE, this.#at);
    this.#view.setUint32(at - RECORD_HEADER_SIZE, length, true);
    this.#time = common.monotonicNs ?? this.#time + 1000n;
    this.#view.setBigUint64(at + eventHeader.time, this.#time, true);
    const cpu = common.cpu ?? 0;
    const sequence = common.sequence ?? this.#sequences.get(cpu) ?? 0;
    this.#sequences.set(cpu, (sequence + 1) >>> 0);
    this.#view.setUint32(at + eventHeader.sequence, sequence, true);
    this.#view.setUint16(at + eventHeader.cpu, cpu, true);
    this.bytes[at + eventHeader.kind] = kind;
    this.bytes[at + eventHeader.flags] = flags;
    return at;
  }

  #process(pidAt: number, startTimeAt: number, record: ByProcess): void {
    this.#view.setUint32(pidAt, record.pid ?? PID, true);
    this.#u64(startTimeAt, record.startTime ?? START_TIME);
  }

  #u64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }
}
