// Time in our BPF program (bpf_stats) per write of HTTP/2, whose frames it follows; beside it plain bytes of the same size. Reads are the same code, but
// those of the plans would be counted, too.
//   --rounds N  turns of all kinds of I/O      --bytes N  copied of each kind in a round, below what has the receiver woken early
import path from 'node:path';
import { enableStats } from '../../native/index.ts';
import { loadPrograms } from '../../receiver/kernel/session.ts';
import { filler, frame, frameType, preface } from '../kernel/frames.ts';
import { startProgram } from '../traffic/program.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ rounds: 7, bytes: 12_000 });
const script = path.join(import.meta.dirname, '../kernel/stream_pairs.py');
/** Connections of each kind in a round. */
const CONNECTIONS = 8;
const LONG = 10_000;
const WHOLE = [1 << 20];

interface Kind {
  readonly name: string;
  /** What the connection begins with. */
  readonly first: Buffer;
  /** One I/O. */
  readonly io: Buffer;
  readonly vectors?: number;
}

const settings = frame(frameType.settings, 0, Buffer.alloc(18));
const http2 = Buffer.concat([preface, settings]);
const http1 = Buffer.from('GET / HTTP/1.1\r\n\r\n');
const headers = frame(frameType.headers, 1, filler(91, 1));
const both = Buffer.concat([headers, frame(frameType.data, 1, filler(100, 1))]);
const small = Buffer.concat([frame(frameType.headers, 1, filler(41, 1)), frame(frameType.data, 1, filler(11, 1))]);
const long = Buffer.concat(Array.from({ length: 4 }, () => frame(frameType.data, 1, filler(16_384, 1))));
const endless = Buffer.concat([http2, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]);
const kinds: readonly Kind[] = [
  { name: 'plain, 100 bytes', first: http1, io: filler(100, 1) },
  { name: 'plain, 209 bytes', first: http1, io: filler(209, 1) },
  { name: 'HEADERS, 100 bytes', first: http2, io: headers },
  { name: 'HEADERS and DATA, 209 bytes', first: http2, io: both },
  { name: 'HEADERS and DATA, 209 bytes in two vectors', first: http2, io: both, vectors: 2 },
  { name: 'ten times HEADERS and DATA, 700 bytes', first: http2, io: Buffer.concat(Array.from({ length: 10 }, () => small)) },
  { name: 'DATA, 64 KiB in four frames', first: http2, io: long },
  { name: 'within DATA, 100 bytes', first: endless, io: filler(100, 1) },
];

const report = new Report('frames-cost');

await withCleanup(async (cleanup) => {
  const program = startProgram(cleanup, 'python3', [script]);
  await program.next('ready');
  const rule = { localPorts: [], remotePorts: [], cidrs: [], pids: [program.pid], executables: [], cgroups: [] };
  const programs = await loadPrograms({
    filter: { include: [rule], exclude: [], loopback: true },
    ringBufferSizeBytes: 16 * 1024 * 1024,
  });
  const session = programs.attach();
  const stats = enableStats();
  cleanup.after(() => {
    session.close();
    stats.close();
  });
  const buffer = new Uint8Array(1024 * 1024);
  const drain = (): void => {
    while (session.drain(buffer) > 0);
  };
  const spent = (): { runs: number; ns: number } => {
    const { runCount = 0, runTimeNs = 0 } = session.programs().find(({ name }) => name === 'socket_sent') ?? {};
    return { runs: runCount, ns: runTimeNs };
  };
  const order = async (plan: Readonly<Record<string, unknown>>): Promise<void> => {
    program.send(JSON.stringify(plan));
    await program.next('done');
  };
  const move = (bytes: Buffer, pieces: readonly number[], vectors = 1): Promise<void> =>
    order({ do: 'move', by: 'client', base64: bytes.toString('base64'), pieces, vectors, reads: WHOLE });

  /** Nanoseconds per I/O. */
  const measure = async ({ first, io, vectors }: Kind): Promise<number> => {
    const count = io.length > LONG ? 20 : Math.floor(numbers.bytes / io.length);
    let runs = 0;
    let ns = 0;
    for (let i = 0; i < CONNECTIONS; i++) {
      await order({ do: 'open', family: 'tcp' });
      await move(first, WHOLE);
      drain();
      const before = spent();
      await move(Buffer.concat(Array.from({ length: count }, () => io)), [io.length], vectors);
      const after = spent();
      drain();
      runs += after.runs - before.runs;
      ns += after.ns - before.ns;
    }
    return ns / runs;
  };
  const samples = kinds.map((): number[] => []);
  for (let round = 0; round < numbers.rounds; round++) {
    for (const [index, kind] of kinds.entries()) samples[index]!.push(await measure(kind));
  }
  for (const [index, { name }] of kinds.entries()) report.figure(`program time per write: ${name}`, 'ns', samples[index]!);
});
report.write(json);
