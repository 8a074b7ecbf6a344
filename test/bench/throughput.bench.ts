// Closed-loop requests per second of nginx (wrk waits for each answer), in turns: with nothing, with the real receiver, with our BPF
// programs alone (drained, not parsed), with a bare capture by raw sys_enter and sys_exit (drained alike).
//   --rounds N  turns      --seconds N  of each      --connections N
import { readArguments } from './support/arguments.ts';
import { openCapture } from './support/capture.ts';
import { withCleanup } from './support/cleanup.ts';
import { buildLoad, runWrk } from './support/load.ts';
import { onlyPorts, startReceiver, startSink } from './support/receiver.ts';
import { Report } from './support/report.ts';
import { startServer } from './support/servers.ts';
import type { TargetId } from './support/targets.ts';

const { numbers, json } = readArguments({ rounds: 5, seconds: 5, connections: 16 });
const { rounds, seconds, connections } = numbers;
const variants = ['none', 'receiver', 'captured', 'raw'] as const;
const targets: Readonly<Record<Exclude<(typeof variants)[number], 'none'>, TargetId>> = {
  receiver: 'throughput',
  captured: 'captureThroughput',
  raw: 'rawThroughput',
};

buildLoad();
const report = new Report('throughput');

await withCleanup(async (cleanup) => {
  const sink = await startSink(cleanup);
  const server = await startServer(cleanup, 'nginx');

  /** Events that found the ring full: a closed loop takes every CPU there is, also from the receiver. */
  const lost: number[] = [];
  const measure = (variant: (typeof variants)[number]): Promise<number> =>
    withCleanup(async (inner) => {
      if (variant === 'receiver') {
        const receiver = await startReceiver(inner, sink, onlyPorts([server.port]));
        const { rate } = await runWrk(server, connections, seconds);
        const ledger = await receiver.stop();
        lost.push(ledger.events?.dropped?.['ring_full'] ?? 0);
        if (!ledger.balanced) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
        return rate;
      }
      const capture = await openCapture(variant);
      inner.after(() => {
        const records = capture.close();
        if (records > 0) report.doubt(`the ring was full for ${records} records of '${variant}'`);
      });
      return (await runWrk(server, connections, seconds)).rate;
    });

  await runWrk(server, connections, 1); // warms up
  const rates = new Map<string, number[]>(variants.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      const variant = variants[(i + round) % variants.length]!;
      rates.get(variant)!.push(await measure(variant));
    }
  }
  const base = rates.get('none')!;
  for (const variant of variants) {
    report.figure(`nginx, ${connections} connections, ${variant}`, 'requests/s', rates.get(variant)!);
    if (variant === 'none') continue;
    const ratios = rates.get(variant)!.map((rate, round) => rate / base[round]!);
    report.figure(`nginx, ${connections} connections, ${variant} ÷ none`, '×', ratios, targets[variant]);
  }
  report.figure('events that found the ring full, receiver', '', lost);
});
report.write(json);
