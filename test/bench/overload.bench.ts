// Three times more traffic than the receiver has CPU time for: what is left out, whether every span is right, resident memory over time, the
// books, and how long after the load everything is followed again.
//   --rate N, --seconds N, --connections N  of the load      --times N  traffic per CPU time that there is for it
import { setTimeout } from 'node:timers/promises';
import { booksOf, startReceiver } from '../e2e/harness.ts';
import { throttle } from '../e2e/throttle.ts';
import { waitFor } from '../e2e/wait.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { buildLoad, cpuNs, runFixedRate } from './support/load.ts';
import { memoryBytes } from './support/processes.ts';
import { onlyPorts, startCheckingSink } from './support/receiver.ts';
import { median, Report } from './support/report.ts';
import { startServer } from './support/servers.ts';

const { numbers, json } = readArguments({ rate: 10_000, seconds: 300, connections: 128, times: 3 });
/** Before its CPU is measured: its code is compiled as it runs. */
const WARM_SECONDS = 10;
const FREE_SECONDS = 5;
const SAMPLE_INTERVAL_MS = 500;
const RECOVERY_LIMIT_MS = 30_000;
const QUARTERS = 4;

buildLoad();
const report = new Report('overload');

await withCleanup(async (cleanup) => {
  const { rate, seconds, connections, times } = numbers;
  const sink = await startCheckingSink(cleanup, Math.ceil(rate * (WARM_SECONDS + seconds + 2 * FREE_SECONDS)));
  const server = await startServer(cleanup, 'nginx', [], { isNumbered: true });
  const readers = [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: 0 } } } }];
  const receiver = await startReceiver(cleanup, {
    usm: onlyPorts([server.port]),
    hasFile: false,
    exporters: { otlp_grpc: { endpoint: `127.0.0.1:${sink.port}`, tls: { insecure: true }, compression: 'none' } },
    env: { NODE_OPTIONS: '--max-semi-space-size=2' },
    args: ['--config', `yaml:service::telemetry::metrics: ${JSON.stringify({ level: 'basic', readers })}`],
  });
  const endpoint = /"endpoint": "(http:[^"]+\/metrics)"/.exec(receiver.stderr())?.[1] ?? '';
  const readShare = async (): Promise<number> => {
    const text = await (await fetch(endpoint)).text();
    return Number(/^otelcol_receiver_usm_overload_share (\S+)$/m.exec(text)?.[1]);
  };
  let first = 0;
  const runLoad = async (forSeconds: number): ReturnType<typeof runFixedRate> => {
    const result = await runFixedRate(server, { connections, rate, seconds: forSeconds, first });
    first += result.sent;
    return result;
  };

  await runLoad(WARM_SECONDS);
  const before = cpuNs([receiver.pid]);
  const free = await runLoad(FREE_SECONDS);
  const needed = (cpuNs([receiver.pid]) - before) / 1e9 / free.seconds;
  report.figure("receiver's CPU without a bound", '% of one', [needed * 100]);

  const booksFree = await booksOf(receiver);
  const slow = throttle(cleanup, receiver.pid, needed / times);
  const memory: number[] = [];
  const shares: number[] = [];
  let isLoaded = true;
  const sample = async (take: () => Promise<void> | void): Promise<void> => {
    while (isLoaded) {
      await take();
      await setTimeout(SAMPLE_INTERVAL_MS);
    }
  };
  const samples = Promise.all([
    sample(() => {
      memory.push(memoryBytes(receiver.pid, 'VmRSS') / 1e6);
    }),
    // Which takes a receiver without CPU time longer.
    sample(async () => {
      shares.push(await readShare());
    }),
  ]);
  const overloaded = await runLoad(seconds);
  const endedMs = performance.now();
  isLoaded = false;
  await samples;
  await waitFor('a share of 0', async () => (await readShare()) === 0, RECOVERY_LIMIT_MS);
  const recoveryMs = performance.now() - endedMs;
  slow.end();

  const booksOverloaded = await booksOf(receiver);
  const after = await runLoad(FREE_SECONDS);
  const { ledger } = await receiver.stop();
  if (ledger === undefined) throw new Error('no ledger');
  const { seen, exported } = ledger.transactions;
  const checked = await sink.stop();

  if (!ledger.balanced) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
  if (checked.wrong > 0) report.doubt(`there are wrong spans: ${checked.examples.join('; ')}`);
  report.figure('requests answered under overload', '', [overloaded.answered]);
  report.figure('followed under overload', '% of all', [
    ((booksOverloaded.transactions.seen - booksFree.transactions.seen) / 2 / overloaded.answered) * 100,
  ]);
  report.figure('followed afterwards', '% of all', [((seen - booksOverloaded.transactions.seen) / 2 / after.answered) * 100]);
  report.figure('exported and acknowledged', '', [exported]);
  report.figure('spans at the backend, without those that came twice, less exported', '', [
    checked.spans - checked.repeated - exported,
  ]);
  report.figure('spans that came twice', '', [checked.repeated]);
  report.figure('spans at the backend that are wrong', '', [checked.wrong]);
  report.figure('exchanges of which both ends are there', '', [checked.pairs]);
  report.figure('of these, not joined', '', [checked.unjoined]);
  report.figure('times a connection was left out', '', [ledger.connections?.shed?.['overload'] ?? 0]);
  report.figure('times the full ring shed a connection', '', [ledger.connections?.shed?.['ring_full'] ?? 0]);
  report.figure('share left out', '', shares);
  report.figure('from the end of the load to a share of 0', 's', [recoveryMs / 1000]);
  const quarter = (number: number): number[] =>
    memory.slice(Math.floor((memory.length * number) / QUARTERS), Math.floor((memory.length * (number + 1)) / QUARTERS));
  const medians = Array.from({ length: QUARTERS }, (_, number) => median(quarter(number)));
  report.figure('resident memory', 'MB', memory);
  for (const [number, value] of medians.entries()) report.figure(`resident memory, quarter ${number + 1}`, 'MB', [value]);
  report.figure('resident memory, last quarter less second', 'MB', [medians[3]! - medians[1]!]);
});
report.write(json);
