// What the kernel side tells of the streams of processes, and whether it is what those streams were.
import assert from 'node:assert/strict';
import { Decoder } from '../../receiver/kernel/decode.ts';
import { type KernelSession, loadPrograms } from '../../receiver/kernel/session.ts';
import { type ConnectionInfo, isSession } from '../../receiver/model/connection.ts';
import { INSIDE_HEADER, type IoEvent } from '../../receiver/model/stream-event.ts';
import type { ProcessInstance } from '../../receiver/model/thread-context.ts';
import type { Cleanup } from '../traffic/program.ts';
import type { Anatomy } from './frames.ts';

const HEADER = 9;

export type Told = Pick<
  IoEvent,
  | 'time'
  | 'position'
  | 'size'
  | 'isIoStart'
  | 'isFramed'
  | 'toFrame'
  | 'isInData'
  | 'missing'
  | 'isResumed'
  | 'isUnordered'
  | 'context'
> & { readonly bytes: Buffer };

export interface ToldConnection {
  readonly info: ConnectionInfo;
  readonly sent: Told[];
  readonly received: Told[];
}

export interface Observer {
  readonly session: KernelSession;
  /** All connections so far, by id. A session of TLS has no info of its own. */
  drain(): Map<number, ToldConnection>;
  /** Connections whose bytes were told before they were themselves. */
  readonly strange: ReadonlySet<number>;
  /** Processes that were told of, by pid. */
  readonly instances: ReadonlyMap<number, ProcessInstance>;
  /** Forgets what was told. */
  forget(): void;
}

export async function observe(
  cleanup: Cleanup,
  pids: readonly number[],
  ringBufferSizeBytes = 16 * 1024 * 1024,
): Promise<Observer> {
  const rule = { localPorts: [], remotePorts: [], cidrs: [], pids, executables: [], cgroups: [] };
  const programs = await loadPrograms({ filter: { include: [rule], exclude: [], loopback: true }, ringBufferSizeBytes });
  const session = programs.attach();
  cleanup.after(() => session.close());
  const told = new Map<number, ToldConnection>();
  const instances = new Map<number, ProcessInstance>();
  const strange = new Set<number>();
  const buffer = new Uint8Array(1024 * 1024);
  const of = (id: number): ToldConnection => {
    const known = told.get(id) ?? { info: { id } as ConnectionInfo, sent: [], received: [] };
    told.set(id, known);
    return known;
  };
  const decoder = new Decoder(buffer, 0n, 512, {
    io: (event) => {
      if (!told.has(event.connection) && !isSession(event.connection)) strange.add(event.connection);
      const bytes = Buffer.from(event.bytes.subarray(event.from, event.from + event.captured));
      of(event.connection)[event.isSent ? 'sent' : 'received'].push({ ...event, bytes });
    },
    // Two threads that do the first I/O at once both tell of the connection.
    open: ({ info }) => {
      if (!told.has(info.id)) told.set(info.id, { info, sent: [], received: [] });
    },
    end: () => {},
    walked: () => assert.fail('chunks were followed'),
    secured: () => {},
    resumed: () => {},
    processStarted: (_image, instance) => void instances.set(instance.pid, instance),
    processExited: () => {},
    executed: () => {},
    vitals: () => {},
    dropped: () => {},
    malformed: () => assert.fail('a record could not be read'),
  });
  return {
    session,
    strange,
    instances,
    drain: () => {
      for (let size = session.drain(buffer); size > 0; size = session.drain(buffer)) decoder.decode(size);
      return told;
    },
    forget: () => told.clear(),
  };
}

/** The first header at or behind a position. */
function headerFrom(headers: readonly number[], position: number): number {
  let low = 0;
  let high = headers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((headers[middle] ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is wrong in what was told of [position, position + size), if anything. `isWhole`: nothing of it may be missing. */
export function faultOf(anatomy: Anatomy, told: Told, isWhole = true): string | undefined {
  const { position, size, bytes, toFrame, isInData } = told;
  const { stream, isLeftOut, headers } = anatomy;
  const where = `at ${position} + ${size}`;
  if (position + size > stream.length) return `${where}: behind the end, ${stream.length}`;
  const expected = stream.subarray(position, position + size).filter((_, at) => isLeftOut[position + at] === 0 || !told.isFramed);
  const first = expected.findIndex((byte, at) => bytes[at] !== byte);
  if (isWhole && bytes.length !== expected.length)
    return `${where}: ${bytes.length} bytes, not ${expected.length} (${told.missing})`;
  if (!isWhole && bytes.length > expected.length) return `${where}: ${bytes.length} bytes, more than ${expected.length}`;
  if (first >= 0 && first < bytes.length) return `${where}: byte ${first} is wrong`;
  if (!told.isFramed) return undefined;
  const index = headerFrom(headers, position);
  const under = headers[index - 1];
  const next = headers[index] ?? Infinity;
  if (under !== undefined && under + HEADER > position) {
    // It begins within a header: what is not told of, is behind it.
    const isKnown = position + size >= under + HEADER;
    if (toFrame !== (isKnown ? next - position : INSIDE_HEADER)) return `${where}: ${toFrame} to the next frame, within a header`;
    if (isInData) return `${where}: in DATA, within a header`;
    if (isKnown && stream[under + 3] === 0 && position + size > under + HEADER)
      return `${where}: it goes on with payload of DATA`;
    return undefined;
  }
  if (toFrame !== next - position) return `${where}: ${toFrame} to the next frame, not ${next - position}`;
  const isUnderData = toFrame > 0 && under !== undefined && stream[under + 3] === 0;
  if (isInData !== isUnderData) return `${where}: in DATA ${isInData}`;
  return undefined;
}

/** A direction that was told from its first byte to its last, and followed all along. */
export function assertFollowed(anatomy: Anatomy, told: readonly Told[]): void {
  let position = 0;
  for (const event of told) {
    assert.equal(event.position, position, 'a hole');
    assert.ok(event.isFramed, `at ${position}: not followed`);
    assert.equal(faultOf(anatomy, event), undefined);
    position += event.size;
  }
  assert.equal(position, anatomy.stream.length, 'told up to the end');
}
