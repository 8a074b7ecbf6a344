// Processes that start: (1) what it takes to find where one has the contexts of its threads, and (2) whether many of them at once delay the capture of others.
// A thousand programs that publish contexts start within ten seconds, each makes a request and lives for two seconds, while a server is asked at a fixed rate;
// beside it the same with a receiver that looks for nothing in processes, and without those programs.
//   --looks N  of each kind, of (1)      --processes N --seconds N --rate N  of (2)      --only A,B  of: locate, starts
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createContextLocator } from '../../receiver/attribution/context-locator.ts';
import { numberOf, startPeers, FIRST } from '../e2e/context-peers.ts';
import { startReceiver } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { buildContextLibrary, buildContextPeer } from '../traffic/build.ts';
import { startProgram, type Cleanup } from '../traffic/program.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { buildLoad, runFixedRate } from './support/load.ts';
import { lostIn } from './support/receiver.ts';
import { median, Report } from './support/report.ts';
import { startServer } from './support/servers.ts';

const { numbers, json, only } = readArguments({ looks: 200, processes: 1000, seconds: 10, rate: 500 });
/** Of a program that starts, in seconds (load/start-many.ts). */
const LIFETIME = 2;
const CONNECTIONS = 16;
/** Seconds; a bound of the receiver's own histogram. Draining comes every 5 ms, and a round of it takes some. */
const LATE = 0.025;
const TICKS_PER_S = 100;
const report = new Report('starts');

const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

/** Field 22, behind a name that may hold anything: nanoseconds since boot, in steps of clock ticks. */
function startTimeOf(pid: number): bigint {
  const stat = readText(`/proc/${pid}/stat`) ?? '';
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return BigInt(ticks) * BigInt(1e9 / TICKS_PER_S);
}

const python = path.join(import.meta.dirname, '../traffic/python');

/** By what they are: a process of each, and what must be found of it. */
const kinds: Readonly<Record<string, { readonly start: (cleanup: Cleanup) => Promise<number>; readonly outcome: string }>> = {
  'a C program': {
    start: async (cleanup) => (await startPeers(cleanup, 'program')).server.pid,
    outcome: 'located',
  },
  'a C program, by DTV': {
    start: async (cleanup) => (await startPeers(cleanup, 'library')).server.pid,
    outcome: 'located',
  },
  'Python with a C library': {
    start: async (cleanup) => {
      const program = startProgram(cleanup, 'python3', [path.join(python, 'context_client.py'), buildContextLibrary(), '']);
      await program.next('ready');
      program.send('publish');
      await program.next('published');
      return program.pid;
    },
    outcome: 'located',
  },
  'Node.js, which publishes nothing': {
    start: async (cleanup) => (await startServer(cleanup, 'node')).pids[0] ?? 0,
    outcome: 'not_published',
  },
};

async function weighLooks(): Promise<void> {
  const known: number[] = [];
  for (const [name, { start, outcome }] of Object.entries(kinds)) {
    await withCleanup(async (cleanup) => {
      const pid = await start(cleanup);
      const instance = { pid, startTime: startTimeOf(pid), execId: 0 };
      const locate = createContextLocator(readText);
      const look = (): number => {
        const begun = performance.now();
        const found = locate(instance)?.outcome.kind;
        if (found !== outcome) throw new Error(`${name}: ${String(found)} instead of ${outcome}`);
        return performance.now() - begun;
      };
      report.figure(`locating ${name}, whose files nobody has seen before`, 'ms', [look()]);
      const samples = Array.from({ length: numbers.looks }, look);
      report.figure(`locating ${name}, whose files are known`, 'ms', samples);
      known.push(median(samples));
    });
  }
  report.figure('locating a process whose files are known, the slowest kind', 'ms', [Math.max(...known)], 'locating');
}

/** Rounds of draining, all and those of which the oldest event was older than LATE. */
interface Rounds {
  readonly all: number;
  readonly late: number;
}

async function pageOf(stderr: string): Promise<string> {
  const url = /"endpoint": "(http:[^"]+\/metrics)"/.exec(stderr)?.[1] ?? '';
  return (await fetch(url)).text();
}

function roundsIn(page: string): Rounds {
  const bucket = (bound: string): number =>
    Number(new RegExp(`^otelcol_receiver_usm_decode_lag_bucket\\{le="${bound}"\\} (\\d+)$`, 'm').exec(page)?.[1]);
  return { all: bucket('\\+Inf'), late: bucket('\\+Inf') - bucket(String(LATE)) };
}

function eventsIn(page: string, event: string): number {
  return Number(new RegExp(`^otelcol_receiver_usm_thread_contexts\\{event="${event}"\\} (\\d+)$`, 'm').exec(page)?.[1] ?? 0);
}

/** Evenly; resolves when the last one has ended. */
async function startMany(cleanup: Cleanup, port: number): Promise<void> {
  const { processes, seconds } = numbers;
  const command = [buildContextPeer('program'), 'call', port];
  const args = [path.join(import.meta.dirname, 'load/start-many.ts'), processes, seconds, FIRST, ...command].map(String);
  const starter = startProgram(cleanup, process.execPath, args);
  const tookSeconds = Number((await starter.next('done', 120_000))['tookSeconds']);
  report.figure('programs started', '/s', [processes / tookSeconds]);
  if (tookSeconds > seconds * 1.1) report.doubt(`the machine took ${tookSeconds.toFixed(1)} s to start the programs`);
}

async function weighStarts(what: string, isLooking: boolean, areStarting: boolean): Promise<number> {
  return withCleanup(async (cleanup) => {
    const { processes, seconds, rate } = numbers;
    const server = await startServer(cleanup, 'nginx');
    const peer = startProgram(cleanup, buildContextPeer('program'), ['serve']);
    const port = Number((await peer.next('ready'))['port']);
    const readers = [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: 0 } } } }];
    const receiver = await startReceiver(cleanup, {
      usm: {
        thread_context: { enabled: isLooking },
        process_context: { enabled: isLooking },
        tls: { enabled: isLooking },
        filter: { include: [{ local_ports: [server.port, port] }, { remote_ports: [server.port, port] }] },
      },
      args: ['--config', `yaml:service::telemetry::metrics: ${JSON.stringify({ level: 'detailed', readers })}`],
    });
    await runFixedRate(server, { connections: CONNECTIONS, rate, seconds: 3 });
    const before = roundsIn(await pageOf(receiver.stderr()));
    const load = runFixedRate(server, { connections: CONNECTIONS, rate, seconds: seconds + LIFETIME });
    if (areStarting) await startMany(cleanup, port);
    await load;
    const page = await pageOf(receiver.stderr());
    const after = roundsIn(page);
    const late = ((after.late - before.late) / (after.all - before.all)) * 100;
    report.figure(`${what}: rounds of draining with an event older than ${LATE * 1000} ms`, '% of them', [late]);
    if (isLooking && areStarting) {
      await waitFor(
        'all to have been looked at',
        async () => eventsIn(await pageOf(receiver.stderr()), 'looks') >= processes,
        30_000,
      ).catch(() => undefined);
      report.figure(`${what}: processes looked at`, '', [eventsIn(page, 'looks')]);
      report.figure(`${what}: places found`, '', [eventsIn(page, 'located')]);
    }
    const { ledger, spans } = await receiver.stop();
    if (ledger === undefined) throw new Error('no ledger');
    const seen = new Set(spans.filter(({ kind }) => kind === 'CLIENT').map(numberOf));
    if (areStarting)
      report.figure(`${what}: requests of the programs that were not seen`, '', [
        processes - seen.size + (seen.has(undefined) ? 1 : 0),
      ]);
    report.figure(`${what}: lost, by the ledger`, '', [lostIn(ledger)]);
    return late;
  });
}

if (only?.has('locate') !== false) await weighLooks();
if (only?.has('starts') !== false) {
  buildLoad();
  await weighStarts('nothing starts', true, false);
  const without = await weighStarts('they start, nothing is looked for', false, true);
  const looked = await weighStarts('they start', true, true);
  report.figure('late rounds while they start, less the same where nothing is looked for', '% of the rounds', [looked - without]);
}
report.write(json);
