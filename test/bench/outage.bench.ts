// A Collector that is away for a while, under constant traffic, with the queue in memory and on disk: resident memory, what the queue held,
// what was lost, and how long it took to catch up. And a receiver that is killed in the middle of such a time: what the next one sends.
//   --rate N  transactions per second (two for each request)   --outage N  seconds without a Collector   --before N  seconds with it
//   --only memory,storage,killed
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { booksOf, startReceiver, type Ledger, type Receiver } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { startCollector, type Collector } from '../peers/peers.ts';
import { freePort } from '../traffic/listener.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { buildLoad, cpuNs, runFixedRate } from './support/load.ts';
import { memoryBytes } from './support/processes.ts';
import { lostIn, onlyPorts, startCheckingSink } from './support/receiver.ts';
import { Report } from './support/report.ts';
import { startServer } from './support/servers.ts';

const { numbers, json, only } = readArguments({ rate: 2000, outage: 30, before: 5 });
/** Traffic goes on for this long after the Collector came back. */
const AFTER_SECONDS = 10;
const CATCH_UP_TIMEOUT_MS = 15 * 60 * 1000;
const SAMPLE_INTERVAL_MS = 1000;

buildLoad();
const report = new Report('outage');

interface Samples {
  readonly residentMb: number[];
  queuedMost: number;
  diskMb: number;
}

function queued(ledger: Ledger): number {
  return ledger.exporters?.[0]?.queueSize ?? 0;
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0) / 1e6;
}

/** Samples until `isOver`. */
async function watch(receiver: Receiver, folder: string, samples: Samples, isOver: (ledger: Ledger) => boolean): Promise<void> {
  await waitFor(
    'it to be over',
    async () => {
      const ledger = await booksOf(receiver);
      samples.residentMb.push(memoryBytes(receiver.pid, 'VmRSS') / 1e6);
      samples.queuedMost = Math.max(samples.queuedMost, queued(ledger));
      samples.diskMb = Math.max(samples.diskMb, sizeOf(folder));
      if (isOver(ledger)) return true;
      await setTimeout(SAMPLE_INTERVAL_MS);
      return false;
    },
    CATCH_UP_TIMEOUT_MS + numbers.outage * 1000,
  );
}

/** What a Collector's `debug` exporter says that it was given. */
function spansIn(collector: Collector): number {
  return [...collector.log().matchAll(/"spans": (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function outage(name: 'memory' | 'storage'): Promise<void> {
  await withCleanup(async (cleanup) => {
    const { rate, outage: seconds, before } = numbers;
    const folder = mkdtempSync(path.join(tmpdir(), 'usm-outage-'));
    cleanup.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const server = await startServer(cleanup, 'nginx');
    const first = await startCollector(cleanup, { hasFile: false });
    const receiver = await startReceiver(cleanup, {
      usm: onlyPorts([server.port]),
      hasFile: false,
      env: { NODE_OPTIONS: '--max-semi-space-size=2' },
      exporters: {
        otlp_grpc: {
          endpoint: `127.0.0.1:${first.grpcPort}`,
          tls: { insecure: true },
          sending_queue: {
            sizer: 'items',
            queue_size: Math.ceil(rate * (seconds + AFTER_SECONDS) * 1.2) + 65_536,
            ...(name === 'storage' ? { storage: 'file_storage' } : {}),
          },
          retry_on_failure: { max_elapsed_time: '0' },
        },
      },
      ...(name === 'storage' ? { extensions: { file_storage: { directory: folder } } } : {}),
    });
    const samples: Samples = { residentMb: [], queuedMost: 0, diskMb: 0 };
    const load = runFixedRate(server, { connections: 16, rate: rate / 2, seconds: before + seconds + AFTER_SECONDS });
    const startedMs = performance.now();
    const cpuBefore = cpuNs([receiver.pid]);
    await watch(receiver, folder, samples, () => performance.now() - startedMs > before * 1000);
    const residentBefore = samples.residentMb.at(-1) ?? NaN;
    await first.stop();
    const stoppedMs = performance.now();
    await watch(receiver, folder, samples, () => performance.now() - stoppedMs > seconds * 1000);
    const residentDuring = samples.residentMb.at(-1) ?? NaN;
    const second = await startCollector(cleanup, { hasFile: false, ports: first });
    const backMs = performance.now();
    // Caught up: no more is queued than a second of traffic makes.
    await watch(receiver, folder, samples, (ledger) => queued(ledger) < rate);
    const caughtUpMs = performance.now() - backMs;
    const { answered } = await load;
    const used = cpuNs([receiver.pid]) - cpuBefore;
    const peak = memoryBytes(receiver.pid, 'VmHWM') / 1e6;
    const { ledger, stderr } = await receiver.stop();
    await second.stop();
    if (ledger === undefined) throw new Error(`no ledger:\n${stderr}`);
    const arrived = spansIn(first) + spansIn(second);

    if (!ledger.balanced) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
    if (lostIn(ledger) > 0) report.doubt(`lost: ${JSON.stringify(ledger)}`);
    const figure = (text: string, unit: string, value: number): void => {
      report.figure(`${name}: ${text}`, unit, [value]);
    };
    figure('transactions', '', 2 * answered);
    figure('seen less 2 × answered', '', Math.abs(ledger.transactions.seen - 2 * answered));
    figure('lost, by the ledger', '', lostIn(ledger));
    figure('arrived less exported', '', arrived - ledger.transactions.exported);
    figure('in the queue, most', 'spans', samples.queuedMost);
    figure('on disk, most', 'MB', samples.diskMb);
    figure('resident memory before', 'MB', residentBefore);
    figure('resident memory at the end of the outage', 'MB', residentDuring);
    figure('resident memory, peak', 'MB', peak);
    figure('time to catch up', 's', caughtUpMs / 1000);
    figure("receiver's CPU per transaction", 'µs', used / ledger.transactions.seen / 1000);
  });
}

/** No backend from the beginning, and half way the receiver is killed; the next one has what is on disk. */
async function killed(): Promise<void> {
  await withCleanup(async (cleanup) => {
    const { rate, outage: seconds } = numbers;
    const folder = mkdtempSync(path.join(tmpdir(), 'usm-outage-'));
    cleanup.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const requests = Math.ceil((rate / 2) * (seconds + AFTER_SECONDS));
    const server = await startServer(cleanup, 'nginx', [], { isNumbered: true });
    const port = await freePort();
    const options = {
      usm: onlyPorts([server.port]),
      hasFile: false,
      env: { NODE_OPTIONS: '--max-semi-space-size=2' },
      extensions: { file_storage: { directory: folder } },
      exporters: {
        otlp_grpc: {
          endpoint: `127.0.0.1:${port}`,
          tls: { insecure: true },
          compression: 'none',
          sending_queue: { sizer: 'items', queue_size: 2 * requests + 65_536, storage: 'file_storage' },
          retry_on_failure: { max_elapsed_time: '0' },
        },
      },
    };
    const first = await startReceiver(cleanup, options);
    const load = runFixedRate(server, { connections: 16, rate: rate / 2, seconds: seconds + AFTER_SECONDS });
    await setTimeout((seconds / 2) * 1000);
    const before = await booksOf(first);
    first.signal('SIGKILL');
    const killedMs = performance.now();
    await first.stop();
    const second = await startReceiver(cleanup, options);
    const awayMs = performance.now() - killedMs;
    await setTimeout((seconds / 2) * 1000);
    const sink = await startCheckingSink(cleanup, requests, port);
    const { answered } = await load;
    await waitFor('the queue to be empty', async () => queued(await booksOf(second)) === 0, CATCH_UP_TIMEOUT_MS);
    const { ledger, stderr } = await second.stop();
    const { spans, wrong, repeated, examples } = await sink.stop();
    if (ledger?.storage === undefined) throw new Error(`no ledger of a storage:\n${stderr}`);

    const { seen, exported } = ledger.transactions;
    const { recovered } = ledger.storage;
    if (!ledger.balanced) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
    if (wrong > 0) report.doubt(`there are wrong spans: ${examples.join('; ')}`);
    const figure = (text: string, unit: string, value: number): void => {
      report.figure(`killed: ${text}`, unit, [value]);
    };
    figure('transactions', '', 2 * answered);
    figure('seen by the first run just before its end', '', before.transactions.seen);
    figure('found on disk by the second', '', recovered);
    figure('of these, delivered', '', ledger.storage.exported);
    figure('seen by the second run', '', seen);
    figure('of these, delivered', '', exported);
    figure('arrived', '', spans);
    figure('arrived more than once', '', repeated);
    figure('arrived wrong', '', wrong);
    figure('from the kill to the ready message', 's', awayMs / 1000);
    figure('not there, as time of the load', 's', (2 * answered - (spans - repeated)) / rate);
  });
}

if (only?.has('memory') !== false) await outage('memory');
if (only?.has('storage') !== false) await outage('storage');
if (only?.has('killed') !== false) await killed();
report.write(json);
