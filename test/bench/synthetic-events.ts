// A stream of ring records as the kernel side writes them: many keep-alive connections, request after request, from a server's view.
import { connectionEvent, eventHeader, eventKind, ioEvent, ioFlag, processEvent } from '../../receiver/kernel/layout.ts';
import { RECORD_HEADER_SIZE } from '../../native/index.ts';

export interface SyntheticTraffic {
  readonly connections: number;
  readonly request: Uint8Array;
  readonly response: Uint8Array;
}

const PID = 4242;
const START_TIME = 123_456_789;

export class RecordWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;
  #sequence = 0;
  #time: bigint;

  constructor(bytes: Uint8Array<ArrayBuffer>, originNs: bigint) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#time = originNs;
  }

  get size(): number {
    return this.#at;
  }

  rewind(): void {
    this.#at = 0;
  }

  process(executable: string): void {
    const path = new TextEncoder().encode(executable);
    const at = this.#begin(eventKind.process, 0, processEvent.sizeOf + path.length);
    this.#u64(at + processEvent.startTime, START_TIME);
    this.#view.setUint32(at + processEvent.tgid, PID, true);
    this.#view.setUint32(at + processEvent.executableSize, path.length, true);
    this.bytes.set(path, at + processEvent.sizeOf);
  }

  connection(cookie: number): void {
    const at = this.#begin(eventKind.connection, 0, connectionEvent.sizeOf);
    this.#u64(at + connectionEvent.cookie, cookie);
    this.#u64(at + connectionEvent.startTime, START_TIME);
    this.#view.setUint32(at + connectionEvent.tgid, PID, true);
    this.#view.setUint16(at + connectionEvent.family, 2, true);
    this.#view.setUint16(at + connectionEvent.localPort, 8080, true);
    this.#view.setUint16(at + connectionEvent.peerPort, 40_000, true);
    this.bytes[at + connectionEvent.role] = 2;
    this.bytes[at + connectionEvent.evidence] = 1;
    this.bytes[at + connectionEvent.fromStart] = 1;
    for (const address of [connectionEvent.localAddress, connectionEvent.peerAddress]) {
      this.bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], at + address);
    }
  }

  io(cookie: number, isSent: boolean, position: number, otherPosition: number, payload: Uint8Array): void {
    const at = this.#begin(eventKind.io, ioFlag.start | (isSent ? ioFlag.sent : 0), ioEvent.sizeOf + payload.length);
    this.#u64(at + ioEvent.cookie, cookie);
    this.#u64(at + ioEvent.position, position);
    this.#u64(at + ioEvent.otherPosition, otherPosition);
    this.#u64(at + ioEvent.startTime, START_TIME);
    this.#view.setUint32(at + ioEvent.tgid, PID, true);
    this.#view.setUint32(at + ioEvent.tid, PID, true);
    this.#view.setUint32(at + ioEvent.size, payload.length, true);
    this.#view.setUint32(at + ioEvent.captured, payload.length, true);
    this.bytes.set(payload, at + ioEvent.sizeOf);
  }

  #begin(kind: number, flags: number, length: number): number {
    const at = this.#at + RECORD_HEADER_SIZE;
    this.#at = at + ((length + 7) & ~7);
    this.bytes.fill(0, at - RECORD_HEADER_SIZE, at + Math.min(length, 512));
    this.#view.setUint32(at - RECORD_HEADER_SIZE, length, true);
    this.#time += 1000n;
    this.#view.setBigUint64(at + eventHeader.time, this.#time, true);
    this.#view.setUint32(at + eventHeader.sequence, this.#sequence++, true);
    this.bytes[at + eventHeader.kind] = kind;
    this.bytes[at + eventHeader.flags] = flags;
    return at;
  }

  #u64(at: number, value: number): void {
    this.#view.setUint32(at, value % 0x1_0000_0000, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
  }
}
