// Frames in the plaintext of TLS sessions are followed as on sockets: OpenSSL and Go.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { maxTlsTargets } from '../../receiver/kernel/session.ts';
import { createTlsTargets } from '../../receiver/tls/open.ts';
import { kernelTest } from '../support/kernel.ts';
import { buildGoPairs } from '../traffic/build.ts';
import { serverCertificate } from '../traffic/certificate.ts';
import { type Program, startProgram } from '../traffic/program.ts';
import { filler, frame, frameType, preface, takeApart } from './frames.ts';
import { assertFollowed, observe, type Observer, type ToldConnection } from './told-streams.ts';

const FIRST_SESSION = 2 ** 52;
const settings = frame(frameType.settings, 0, Buffer.alloc(18));

interface Ends {
  readonly client: ToldConnection;
  readonly server: ToldConnection;
}

/** Probes what the host and the program have of TLS. */
async function probe(t: TestContext, observer: Observer, program: Program): Promise<void> {
  const { session } = observer;
  const begun = performance.now();
  const targets = createTlsTargets({
    kernel: {
      attachProbes: (name, file, sites) => session.attachProbes(name, file, sites),
      activateTarget: (index, known) => session.activateTarget(index, known, () => process.hrtime.bigint()),
      clearTarget: (index) => session.clearTarget(index),
    },
    maxTargets: maxTlsTargets,
    now: () => (performance.now() - begun) * 1e6,
  });
  t.after(() => targets.close());
  targets.executed(program.pid);
  await new Promise<void>((resolve) => {
    targets.start(resolve);
  });
}

async function order(program: Program, plan: Readonly<Record<string, unknown>>): Promise<void> {
  program.send(JSON.stringify(plan));
  await program.next('done', 60_000);
}

function sessions(observer: Observer): Ends | undefined {
  const all = [...observer.drain()].filter(([id]) => id >= FIRST_SESSION).map(([, told]) => told);
  const client = all.find(({ sent }) => sent[0]?.bytes.subarray(0, 3).equals(preface.subarray(0, 3)));
  const server = all.find(({ received }) => received[0]?.bytes.subarray(0, 3).equals(preface.subarray(0, 3)));
  return client !== undefined && server !== undefined ? { client, server } : undefined;
}

const asked = Buffer.concat([
  preface,
  settings,
  ...Array.from({ length: 40 }, (_, index) =>
    Buffer.concat([
      frame(frameType.headers, 2 * index + 1, filler(30 + index, index), 4),
      frame(frameType.data, 2 * index + 1, filler((index * 997) % 16_384, index), 1),
    ]),
  ),
]);
const answered = Buffer.concat([
  settings,
  frame(frameType.headers, 1, filler(50, 1)),
  frame(frameType.data, 1, filler(200_000, 2)),
]);

for (const [title, start] of [
  ['OpenSSL', (t: TestContext) => startProgram(t, 'python3', [path.join(import.meta.dirname, 'stream_pairs.py')])],
  ['Go', (t: TestContext) => startProgram(t, buildGoPairs(), [])],
] as const) {
  test(`frames in sessions of ${title}, cut up in many ways`, kernelTest(), async (t) => {
    const program = start(t);
    await program.next('ready');
    const observer = await observe(t, [program.pid]);
    await probe(t, observer, program);
    for (const size of [1, 7, 9, 10, 100, 5000, 16_384, 40_000]) {
      for (const [pieces, reads] of [
        [[24, size], [40_000]],
        [[40_000], [24, size]],
      ]) {
        observer.forget();
        await order(program, { do: 'open', family: 'tls', ...serverCertificate() });
        const from = size < 5000 ? 3000 : asked.length;
        const stream = asked.subarray(0, from);
        const answer = answered.subarray(0, from);
        await order(program, { do: 'move', by: 'client', base64: stream.toString('base64'), pieces, reads });
        await order(program, { do: 'move', by: 'server', base64: answer.toString('base64'), pieces, reads });
        const ends = sessions(observer);
        assert.ok(ends !== undefined, 'both sessions were told of');
        assertFollowed(takeApart(stream), ends.client.sent);
        assertFollowed(takeApart(stream), ends.server.received);
        assertFollowed(takeApart(answer), ends.server.sent);
        assertFollowed(takeApart(answer), ends.client.received);
      }
    }
  });
}
