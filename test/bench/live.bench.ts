// The real receiver under load: nothing lost, its CPU per transaction, its memory over time; then what idle connections cost, and how
// long it takes to be ready.
//   --rate N, --seconds N, --connections N  of the load      --idle N  idle connections      --starts N      --only A,B  of: load, idle, start
import { setTimeout } from 'node:timers/promises';
import { waitFor } from '../e2e/wait.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { buildLoad, cpuNs, PingPong, runFixedRate } from './support/load.ts';
import { memoryBytes } from './support/processes.ts';
import { lostIn, onlyPorts, startReceiver, startSink, type Sink } from './support/receiver.ts';
import { median, Report } from './support/report.ts';
import { startServer } from './support/servers.ts';

const { numbers, json, only } = readArguments({ rate: 20_000, seconds: 60, connections: 64, idle: 10_000, starts: 10 });
const SAMPLE_INTERVAL_MS = 500;
/** The first quarter fills caches and the heap's young generation. */
const QUARTERS = 4;

buildLoad();
const report = new Report('live');

function megabytes(bytes: number): number {
  return bytes / 1e6;
}

async function underLoad(sink: Sink): Promise<void> {
  await withCleanup(async (cleanup) => {
    const { rate, seconds, connections } = numbers;
    const server = await startServer(cleanup, 'nginx');
    const receiver = await startReceiver(cleanup, sink, onlyPorts([server.port]));
    const memory: number[] = [];
    const timer = setInterval(() => memory.push(megabytes(memoryBytes(receiver.pid, 'VmRSS'))), SAMPLE_INTERVAL_MS);
    const before = cpuNs([receiver.pid]);
    const {
      answered,
      late,
      seconds: took,
    } = await runFixedRate(server, { connections, rate, seconds }).finally(() => {
      clearInterval(timer);
    });
    const used = cpuNs([receiver.pid]) - before;
    const peak = megabytes(memoryBytes(receiver.pid, 'VmHWM'));
    const ledger = await receiver.stop();
    const { seen, exported } = ledger.transactions;

    if (answered < rate * seconds * 0.99) report.doubt(`the load was ${Math.round(answered / took)}/s instead of ${rate}/s`);
    if (!ledger.balanced) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
    report.figure('requests answered', '', [answered]);
    report.figure('times that no connection was idle when a request was due', '', [late]);
    report.figure('lost, by the ledger', '', [lostIn(ledger)], 'lost');
    report.figure('seen less 2 × answered', '', [Math.abs(seen - 2 * answered)], 'unseen');
    report.figure('exported and acknowledged', '', [exported]);
    report.figure("receiver's CPU per transaction", 'µs', [used / seen / 1000], 'ownCpu');
    report.figure("receiver's CPU", '% of one', [used / took / 1e7]);
    report.figure('resident memory, peak', 'MB', [peak], 'memory');
    const quarter = (number: number): number[] =>
      memory.slice(Math.floor((memory.length * number) / QUARTERS), Math.floor((memory.length * (number + 1)) / QUARTERS));
    const medians = Array.from({ length: QUARTERS }, (_, number) => median(quarter(number)));
    for (const [number, value] of medians.entries()) report.figure(`resident memory, quarter ${number + 1}`, 'MB', [value]);
    report.figure('resident memory, last quarter less second', 'MB', [medians[3]! - medians[1]!], 'memoryDrift');
    if (lostIn(ledger) > 0) report.doubt(`lost: ${JSON.stringify(ledger)}`);
  });
}

/** Resident memory once it has stopped moving. */
async function settledMemory(pid: number): Promise<number> {
  let last = 0;
  let steady = 0;
  return waitFor(
    'resident memory to settle',
    () => {
      const now = memoryBytes(pid, 'VmRSS');
      steady = Math.abs(now - last) < 100_000 ? steady + 1 : 0;
      last = now;
      return steady > 100 && megabytes(now);
    },
    60_000,
  );
}

/** About 20,000 exchanges a second: what a burst leaves in the heap is not what connections cost. */
async function exchangeSlowly(pingPong: PingPong, count: number): Promise<void> {
  for (let done = 0; done < count; done += 100) {
    await pingPong.exchange(100);
    await setTimeout(5);
  }
}

/** Both sides have had as many transactions; only one has them on connections that stay. */
async function idleConnections(sink: Sink): Promise<void> {
  await withCleanup(async (cleanup) => {
    const pingPong = await PingPong.start(cleanup);
    const receiver = await startReceiver(cleanup, sink, onlyPorts(pingPong.ports));
    await pingPong.open(10);
    await exchangeSlowly(pingPong, numbers.idle * 3);
    const before = await settledMemory(receiver.pid);
    await pingPong.close();
    await pingPong.open(numbers.idle);
    await exchangeSlowly(pingPong, numbers.idle);
    const after = await settledMemory(receiver.pid);
    const ledger = await receiver.stop();
    const { seen = 0 } = ledger.connections ?? {};
    if (seen !== 2 * (numbers.idle + 10)) report.doubt(`${seen} connections in the books: ${JSON.stringify(ledger)}`);
    report.figure('resident memory with 10 connections', 'MB', [before]);
    report.figure(`resident memory with ${numbers.idle} idle connections, both ends observed`, 'MB', [after]);
    report.figure('difference', 'MB', [after - before], 'idle');
  });
}

async function starts(sink: Sink): Promise<void> {
  const seconds: number[] = [];
  for (let i = 0; i < numbers.starts; i++) {
    await withCleanup(async (cleanup) => {
      const receiver = await startReceiver(cleanup, sink, {});
      seconds.push(receiver.readyAfterMs / 1000);
      await receiver.stop();
    });
  }
  report.figure('from start to the ready message', 's', seconds, 'startUp');
}

await withCleanup(async (cleanup) => {
  const sink = await startSink(cleanup);
  if (only?.has('load') !== false) await underLoad(sink);
  if (only?.has('idle') !== false) await idleConnections(sink);
  if (only?.has('start') !== false) await starts(sink);
});
report.write(json);
