// CPU time of an observed server per request at a fixed rate, with the real receiver ÷ without, in pairs of one run; beside it what the
// receiver itself takes per transaction. Server and load share a CPU, receiver and OTLP backend have the others (support/cpus.ts says why).
//   --rounds N  pairs      --seconds N  of each half      --connections N      --only A,B  of: nginx, node, go, python
//   --nginx-rate N, --node-rate N, --go-rate N, --python-rate N  requests per second
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { placeOnCpus } from './support/cpus.ts';
import { buildLoad, cpuNs, keepAwake, runFixedRate } from './support/load.ts';
import { lostIn, onlyPorts, startReceiver, startSink, type Sink } from './support/receiver.ts';
import { format, median, Report } from './support/report.ts';
import { startServer, type Server, type ServerName } from './support/servers.ts';
import type { TargetId } from './support/targets.ts';

const { numbers, json, only } = readArguments({
  rounds: 7,
  seconds: 4,
  connections: 16,
  'nginx-rate': 8000,
  'node-rate': 2500,
  'go-rate': 4000,
  'python-rate': 800,
});
const { rounds, seconds, connections } = numbers;
const targets: Readonly<Record<ServerName, TargetId>> = { nginx: 'nginxCpu', node: 'nodeCpu', go: 'goCpu', python: 'pythonCpu' };

buildLoad();
const report = new Report('server-cpu');
const places = placeOnCpus();

/** Before each measurement: a receiver that has just started compiles its own code first. */
const WARM_UP_SECONDS = 1;

interface Load {
  /** Microseconds of the server's CPU per request. */
  readonly cost: number;
  /** Microseconds of the observer's CPU per transaction, of which a request makes two: one at each end. */
  readonly own: number;
  readonly answered: number;
}

async function load(server: Server, rate: number, observer: readonly number[] = []): Promise<Load> {
  const warmUp = await runFixedRate(server, { connections, rate, seconds: WARM_UP_SECONDS, prefix: places.measured });
  const before = cpuNs(server.pids);
  const observerBefore = cpuNs(observer);
  const { answered } = await runFixedRate(server, { connections, rate, seconds, prefix: places.measured });
  return {
    cost: (cpuNs(server.pids) - before) / answered / 1000,
    own: (cpuNs(observer) - observerBefore) / (2 * answered) / 1000,
    answered: warmUp.answered + answered,
  };
}

function observed(server: Server, rate: number, sink: Sink): Promise<Load> {
  return withCleanup(async (cleanup) => {
    const receiver = await startReceiver(cleanup, sink, onlyPorts([server.port]), places.observer);
    const result = await load(server, rate, [receiver.pid]);
    const { answered } = result;
    const ledger = await receiver.stop();
    const { seen } = ledger.transactions;
    if (seen !== 2 * answered || lostIn(ledger) > 0)
      report.doubt(`${answered} requests, and the books say ${JSON.stringify(ledger)}`);
    return result;
  });
}

await withCleanup(async (cleanup) => {
  await keepAwake(cleanup);
  const sink = await startSink(cleanup, places.observer);
  for (const name of Object.keys(targets) as ServerName[]) {
    if (only?.has(name) === false) continue;
    await withCleanup(async (inner) => {
      const rate = numbers[`${name}-rate`];
      const server = await startServer(inner, name, places.measured);
      const without: number[] = [];
      const costs: number[] = [];
      const own: number[] = [];
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) without.push((await load(server, rate)).cost);
        const sample = await observed(server, rate, sink);
        costs.push(sample.cost);
        own.push(sample.own);
        if (round % 2 === 1) without.push((await load(server, rate)).cost);
      }
      const ratios = costs.map((cost, round) => cost / without[round]!);
      report.figure(`${name}, ${rate}/s: CPU per request without`, 'µs', without);
      report.figure(`${name}, ${rate}/s: CPU per request with`, 'µs', costs);
      report.figure(`${name}, ${rate}/s: with ÷ without`, '×', ratios, targets[name]);
      report.figure(`${name}, ${rate}/s: receiver's CPU per transaction`, 'µs', own);
      const busy = (median(costs) * rate) / 1e6;
      if (busy > 0.85) report.doubt(`${name} is busy ${format(busy * 100)} % of the time: the rate is no longer fixed`);
    });
  }
});
report.write(json);
