// What our BPF programs cost the thread that does the I/O: time in the programs (bpf_stats), and wall time per I/O with and without them,
// in turns of one run. Beside them an empty program at the same hooks, and a bare capture by raw sys_enter and sys_exit.
//   --rounds N      turns of all variants            --exchanges N   per measurement; an exchange is four I/Os of 200 bytes
//   --connections N the most that are tried          --only A,B      of: programs, contexts, wall, calls
import { enableStats } from '../../native/index.ts';
import { readArguments } from './support/arguments.ts';
import { openCapture, type Capture, type CaptureName } from './support/capture.ts';
import { withCleanup } from './support/cleanup.ts';
import { placeOnCpus } from './support/cpus.ts';
import { buildLoad, PingPong } from './support/load.ts';
import { median, Report } from './support/report.ts';

const { numbers, json, only } = readArguments({ rounds: 7, exchanges: 100_000, connections: 10_000 });
const { rounds, exchanges } = numbers;
const MEASUREMENTS = 5;
/** What one connection's first exchanges cost (announcing it, meeting its process) is not the cost of an I/O. */
const WARM_UP_PER_CONNECTION = 2;

buildLoad();
const report = new Report('kernel-cost');
const { measured } = placeOnCpus();

/** Opens connections, has them do I/O until they are as they stay, and hands over. */
async function withConnections<T>(pingPong: PingPong, connections: number, action: () => Promise<T>): Promise<T> {
  await pingPong.open(connections);
  await pingPong.exchange(Math.max(connections * WARM_UP_PER_CONNECTION, 20_000));
  const result = await action();
  await pingPong.close();
  return result;
}

function close(capture: Capture, name: CaptureName): void {
  const lost = capture.close();
  if (lost > 0) report.doubt(`the ring was full for ${lost} records of '${name}', which were cheap for that`);
}

/** Runs and nanoseconds of all programs on socket I/O together. */
function spent(capture: Capture): { runs: number; ns: number } {
  let runs = 0;
  let ns = 0;
  for (const program of capture.programs()) {
    if (!/sent$|received$/.test(program.name)) continue;
    runs += program.runCount;
    ns += program.runTimeNs;
  }
  return { runs, ns };
}

/** Microseconds that a program runs per I/O, by the kernel's own statistics. */
async function measurePrograms(pingPong: PingPong, name: CaptureName, connections: number): Promise<number> {
  const capture = await openCapture(name, pingPong.places);
  try {
    return await withConnections(pingPong, connections, async () => {
      const before = spent(capture);
      await pingPong.exchange(exchanges);
      const after = spent(capture);
      const runs = after.runs - before.runs;
      if (runs > exchanges * 4 * 1.02) report.doubt(`${runs} runs for ${exchanges * 4} I/Os: others on this host do I/O`);
      return (after.ns - before.ns) / runs / 1000;
    });
  } finally {
    close(capture, name);
  }
}

/** Nanoseconds per I/O, several times. */
async function measureWall(pingPong: PingPong, name: CaptureName, connections: number): Promise<number[]> {
  const capture = await openCapture(name);
  try {
    return await withConnections(pingPong, connections, async () => {
      const samples: number[] = [];
      for (let i = 0; i < MEASUREMENTS; i++) samples.push(await pingPong.exchange(exchanges / MEASUREMENTS));
      return samples;
    });
  } finally {
    close(capture, name);
  }
}

/** Runs of our programs per call that has nothing to do with sockets. */
async function measureRunsPerCall(pingPong: PingPong): Promise<number> {
  const capture = await openCapture('captured');
  try {
    const runs = (): number => capture.programs().reduce((sum, program) => sum + program.runCount, 0);
    const before = runs();
    await pingPong.getppid(exchanges * 10);
    return (runs() - before) / (exchanges * 10);
  } finally {
    close(capture, 'captured');
  }
}

async function measureCalls(pingPong: PingPong, name: CaptureName): Promise<number[]> {
  const capture = await openCapture(name);
  try {
    const samples: number[] = [];
    for (let i = 0; i < MEASUREMENTS; i++) samples.push(await pingPong.getppid(exchanges * 2));
    return samples;
  } finally {
    close(capture, name);
  }
}

/** Runs the variants in turns, and gives the results of each. */
async function inTurns<T>(
  names: readonly CaptureName[],
  action: (name: CaptureName) => Promise<T>,
): Promise<Map<CaptureName, T[]>> {
  const results = new Map<CaptureName, T[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that none always comes first.
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]!;
      results.get(name)!.push(await action(name));
    }
  }
  return results;
}

/** `with` less `none`, round by round: each round's median, since a round's two measurements were made one after the other. */
function reportDifference(of: string, name: CaptureName, results: Map<CaptureName, number[][]>): void {
  const base = results.get('none')!;
  const values = results.get(name)!;
  const differences = values.map((samples, round) => median(samples) - median(base[round]!));
  const minima = Math.min(...values.flat()) - Math.min(...base.flat());
  report.figure(`${of}, ${name}: added`, 'ns', differences);
  report.figure(`${of}, ${name}: added to the fastest`, 'ns', [minima]);
}

await withCleanup(async (cleanup) => {
  const pingPong = await PingPong.start(cleanup, measured);
  const counts = [10, 1_000, 10_000].filter((count) => count <= numbers.connections);

  if (only?.has('programs') !== false) {
    const stats = enableStats();
    let floor: number[] = [];
    let first: number[] = [];
    let growth: number[] | undefined;
    for (const connections of counts) {
      const names: CaptureName[] = connections === 10 ? ['empty', 'captured', 'ignored'] : ['captured', 'ignored'];
      const results = await inTurns(names, (name) => measurePrograms(pingPong, name, connections));
      for (const [name, samples] of results) {
        const target = name === 'empty' || connections > 10 ? undefined : (name as 'captured' | 'ignored');
        report.figure(`program time per I/O, ${connections} connections, ${name}`, 'µs', samples, target);
        if (connections === 10 && name === 'empty') floor = samples;
        const net = samples.map((value, round) => value - floor[round]!);
        const netTarget = name === 'captured' ? 'capturedNet' : 'ignoredNet';
        if (target !== undefined) report.figure(`the same, ${name}, less the empty program's`, 'µs', net, netTarget);
      }
      if (connections === 10) first = results.get('captured')!;
      if (connections === 10_000) growth = results.get('captured')!.map((value, round) => value / first[round]!);
    }
    if (growth !== undefined) report.figure('program time per captured I/O, most connections ÷ 10', '×', growth, 'growth');
    const perCall: number[] = [];
    for (let round = 0; round < rounds; round++) perCall.push(await measureRunsPerCall(pingPong));
    report.figure('runs of our programs per getppid', '', perCall, 'otherCalls');
    stats.close();
  }

  if (only?.has('contexts') !== false) {
    const stats = enableStats();
    const results = await inTurns(['captured', 'context', 'context by DTV'], (name) => measurePrograms(pingPong, name, 10));
    const base = results.get('captured')!;
    report.figure('program time per I/O, all of them together', 'µs', base);
    for (const [name, target] of [
      ['context', 'context'],
      ['context by DTV', 'contextByDtv'],
    ] as const) {
      // Of the four I/Os of an exchange, the two writes are looked at.
      const added = results.get(name)!.map((value, round) => (value - base[round]!) * 1000 * 2);
      report.figure(`program time added by a thread's ${name}`, 'ns', added, target);
      const fastest = (Math.min(...results.get(name)!) - Math.min(...base)) * 1000 * 2;
      report.figure('the same, fastest less fastest', 'ns', [fastest]);
    }
    stats.close();
  }

  if (only?.has('wall') !== false) {
    for (const connections of counts) {
      const names: CaptureName[] = connections === 10 ? ['none', 'empty', 'captured', 'ignored', 'raw'] : ['none', 'captured'];
      const results = await inTurns(names, (name) => measureWall(pingPong, name, connections));
      report.figure(`I/O, ${connections} connections, none`, 'ns', results.get('none')!.flat());
      for (const name of names.slice(1)) reportDifference(`I/O, ${connections} connections`, name, results);
    }
  }

  if (only?.has('calls') !== false) {
    const results = await inTurns(['none', 'captured', 'raw'], (name) => measureCalls(pingPong, name));
    report.figure('getppid, none', 'ns', results.get('none')!.flat());
    for (const name of ['captured', 'raw'] as const) reportDifference('getppid', name, results);
  }
});
report.write(json);
