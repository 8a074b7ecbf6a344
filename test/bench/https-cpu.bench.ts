// CPU time of an observed HTTPS server per request, keep-alive, with the real receiver ÷ without, in pairs of one run. The load is a closed
// loop (wrk): CPU time per request is what is compared, not the rate.
//   --rounds N  pairs      --seconds N  of each half      --connections N      --only A,B  of: nginx, node, go, python
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { placeOnCpus } from './support/cpus.ts';
import { buildLoad, cpuNs, keepAwake, runWrk } from './support/load.ts';
import { lostIn, onlyPorts, startReceiver, startSink, type Sink } from './support/receiver.ts';
import { Report } from './support/report.ts';
import { startServer, type Server, type ServerName } from './support/servers.ts';
import type { TargetId } from './support/targets.ts';

const { numbers, json, only } = readArguments({ rounds: 7, seconds: 4, connections: 16 });
const { rounds, seconds, connections } = numbers;
const targets: Readonly<Record<ServerName, TargetId>> = {
  nginx: 'nginxHttpsCpu',
  node: 'nodeHttpsCpu',
  go: 'goHttpsCpu',
  python: 'pythonHttpsCpu',
};

buildLoad();
const report = new Report('https-cpu');
const places = placeOnCpus();

/** Microseconds of the server's CPU per request. */
async function load(server: Server): Promise<{ readonly cost: number; readonly requests: number }> {
  const warmUp = await runWrk(server, connections, 1, places.measured);
  const before = cpuNs(server.pids);
  const { requests } = await runWrk(server, connections, seconds, places.measured);
  return { cost: (cpuNs(server.pids) - before) / requests / 1000, requests: warmUp.requests + requests };
}

function observed(server: Server, sink: Sink): Promise<number> {
  return withCleanup(async (cleanup) => {
    const receiver = await startReceiver(cleanup, sink, onlyPorts([server.port]), places.observer);
    const { cost, requests } = await load(server);
    const ledger = await receiver.stop();
    // wrk ends in the middle of its last requests, and each of its runs opens connections anew.
    const allowed = 4 * connections;
    if (Math.abs(ledger.transactions.seen - 2 * requests) > allowed || lostIn(ledger) > allowed)
      report.doubt(`${requests} requests, and the books say ${JSON.stringify(ledger)}`);
    return cost;
  });
}

await withCleanup(async (cleanup) => {
  await keepAwake(cleanup);
  const sink = await startSink(cleanup, places.observer);
  for (const name of Object.keys(targets) as ServerName[]) {
    if (only?.has(name) === false) continue;
    await withCleanup(async (inner) => {
      const server = await startServer(inner, name, places.measured, { isSecure: true });
      const without: number[] = [];
      const costs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) without.push((await load(server)).cost);
        costs.push(await observed(server, sink));
        if (round % 2 === 1) without.push((await load(server)).cost);
      }
      const ratios = costs.map((cost, round) => cost / without[round]!);
      report.figure(`${name}: CPU per HTTPS request without`, 'µs', without);
      report.figure(`${name}: CPU per HTTPS request with`, 'µs', costs);
      report.figure(`${name}: with ÷ without`, '×', ratios, targets[name]);
    });
  }
});
report.write(json);
