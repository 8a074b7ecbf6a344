// HTTP/2: (1) N of N at many concurrent streams, of several servers, plain and by TLS; (2) CPU time of a Go gRPC server per unary call at a fixed
// rate, with the real receiver ÷ without, in pairs of one run. The load is h2load's.
//   --requests N  of each server      --connections N, --streams N  at a time, of (1)
//   --rounds N  pairs      --seconds N  of each half      --rate N  calls per second, of (2)      --only A,B  of: nghttpd, nginx, node, go, grpc
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startCallServer } from '../traffic/grpc.ts';
import { startNghttpd } from '../traffic/nghttp2.ts';
import { startNginx } from '../traffic/nginx.ts';
import type { Cleanup } from '../traffic/program.ts';
import { startServer } from '../traffic/traffic.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { placeOnCpus } from './support/cpus.ts';
import { buildLoad, cpuNs, keepAwake } from './support/load.ts';
import { lostIn, onlyPorts, startReceiver, startSink, type Sink } from './support/receiver.ts';
import { format, median, Report } from './support/report.ts';

const { numbers, json, only } = readArguments({
  requests: 20_000,
  connections: 50,
  streams: 100,
  rounds: 7,
  seconds: 4,
  rate: 4000,
});
const run = promisify(execFile);

interface Target {
  readonly port: number;
  readonly path: string;
}

type Start = (cleanup: Cleanup, isSecure: boolean) => Promise<Target>;

const servers: Readonly<Record<string, Start>> = {
  nghttpd: async (cleanup, isSecure) => ({ ...(await startNghttpd(cleanup, { a: 200 }, { isSecure })), path: '/a' }),
  nginx: async (cleanup, isSecure) => ({ ...(await startNginx(cleanup, { isSecure, isHttp2: true })), path: '/fixed' }),
  node: async (cleanup, isSecure) => ({
    ...(await startServer(cleanup, 'node', { isSecure, isHttp2: true })),
    path: '/echo?size=200',
  }),
  go: async (cleanup, isSecure) => ({
    ...(await startServer(cleanup, 'go', { isSecure, isHttp2: true })),
    path: '/echo?size=200',
  }),
};

buildLoad();
const report = new Report('http2');

/** Requests per second; throws unless all were answered. */
async function h2load(prefix: readonly string[], requests: number, args: readonly string[]): Promise<number> {
  const [file, ...rest] = [...prefix, 'h2load', `--requests=${requests}`, '--threads=1', ...args] as [string, ...string[]];
  const { stdout } = await run(file, rest);
  const rate = Number(/([\d.]+) req\/s/.exec(stdout)?.[1]);
  if (!(rate > 0) || !stdout.includes(`${requests} succeeded, 0 failed`)) throw new Error(`h2load went wrong:\n${stdout}`);
  return rate;
}

/** Both ends of each exchange make a transaction, which is exported. */
async function countStreams(name: string, start: Start, isSecure: boolean, sink: Sink): Promise<void> {
  const { requests, connections, streams } = numbers;
  await withCleanup(async (cleanup) => {
    const { port, path: target } = await start(cleanup, isSecure);
    const receiver = await startReceiver(cleanup, sink, onlyPorts([port]));
    const scheme = isSecure ? 'https' : 'http';
    const load = [`--clients=${connections}`, `--max-concurrent-streams=${streams}`, `${scheme}://127.0.0.1:${port}${target}`];
    const rate = await h2load([], requests, load);
    const ledger = await receiver.stop();
    const unseen = 2 * requests - ledger.transactions.exported;
    const what = `${name}, ${isSecure ? 'TLS' : 'plain'}, ${connections} × ${streams} streams`;
    report.figure(`${what}: requests`, '/s', [rate]);
    report.figure(`${what}: of ${format(2 * requests)} transactions not exported`, '', [unseen], 'http2Unseen');
    if (unseen !== 0 || lostIn(ledger) > 0) report.doubt(`the books say ${JSON.stringify(ledger)}`);
  });
}

/** What a unary call of 100 bytes is on the wire: a request with its prefix of five bytes. */
function requestFile(cleanup: Cleanup): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-bench-grpc-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'request');
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(100, 1);
  writeFileSync(file, Buffer.concat([prefix, Buffer.alloc(100)]));
  return file;
}

async function weighCalls(sink: Sink): Promise<void> {
  const { rounds, seconds, rate } = numbers;
  const places = placeOnCpus();
  const connections = 16;
  await withCleanup(async (cleanup) => {
    await keepAwake(cleanup);
    const server = await startCallServer(cleanup, 'go', { prefix: places.measured });
    const headers = ['content-type: application/grpc', 'te: trailers', 'plan: messages=1&size=100'].map(
      (text) => `--header=${text}`,
    );
    const args = [
      ...[`--clients=${connections}`, '--max-concurrent-streams=10', `--rps=${rate / connections}`],
      ...[`--data=${requestFile(cleanup)}`, ...headers, `http://${server.target}/usm.test.Echo/Unary`],
    ];
    /** Microseconds of the server's CPU per call. */
    const load = async (): Promise<number> => {
      await h2load(places.measured, rate, args);
      const before = cpuNs([server.pid]);
      const calls = rate * seconds;
      await h2load(places.measured, calls, args);
      return (cpuNs([server.pid]) - before) / calls / 1000;
    };
    const port = Number(server.target.split(':')[1]);
    const observed = (): Promise<number> =>
      withCleanup(async (inner) => {
        const receiver = await startReceiver(inner, sink, onlyPorts([port]), places.observer);
        const cost = await load();
        const ledger = await receiver.stop();
        const wanted = 2 * rate * (seconds + 1);
        if (ledger.transactions.exported !== wanted || lostIn(ledger) > 0)
          report.doubt(`${wanted} transactions, and the books say ${JSON.stringify(ledger)}`);
        return cost;
      });
    const without: number[] = [];
    const costs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      if (round % 2 === 0) without.push(await load());
      costs.push(await observed());
      if (round % 2 === 1) without.push(await load());
    }
    const ratios = costs.map((cost, round) => cost / without[round]!);
    report.figure(`Go gRPC, ${rate}/s: CPU per call without`, 'µs', without);
    report.figure(`Go gRPC, ${rate}/s: CPU per call with`, 'µs', costs);
    report.figure(`Go gRPC, ${rate}/s: with ÷ without`, '×', ratios, 'grpcGoCpu');
    const busy = (median(costs) * rate) / 1e6;
    if (busy > 0.85) report.doubt(`the server is busy ${format(busy * 100)} % of the time: the rate is no longer fixed`);
  });
}

await withCleanup(async (cleanup) => {
  const sink = await startSink(cleanup);
  for (const [name, start] of Object.entries(servers)) {
    if (only?.has(name) === false) continue;
    for (const isSecure of [false, true]) await countStreams(name, start, isSecure, sink);
  }
  if (only?.has('grpc') !== false) await weighCalls(sink);
});
report.write(json);
