// Every system call that reaches a stream socket, over TCP and UNIX sockets, and every way for a socket to change hands.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { newRun, plainWays, startClient, startServer, type Family } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { handovers, wayCases } from '../traffic/ways.ts';
import { compareTruth, type CompareOptions } from './compare.ts';
import { assertBooks, assertTruth, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-io-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

for (const family of ['ipv4', 'ipv6', 'unix'] as const satisfies Family[]) {
  test(`every system call over ${family}`, { skip }, async (t) => {
    const receiver = await startReceiver(t);
    const folder = temporaryFolder(t);
    const cases: { name: string; truth: Exchange[]; options: CompareOptions }[] = [];
    for (const { name, ways, isSendReadable, isReceiveReadable, hidesReceivedBodies } of wayCases(family, 'inline')) {
      const socketPath = path.join(folder, `${cases.length}.sock`);
      const server = await startServer(t, 'io', { family, socketPath, ways });
      const client = await startClient(t, 'io', server, { ways });
      const truth = await client.run(planRequests(newRun(), 24, 'plain'));
      // Both ends send and receive heads the same way: what one end cannot show, the other cannot either.
      const isReadable = isSendReadable && isReceiveReadable;
      // An unreadable head is counted, never guessed: then there is no span of these exchanges at all.
      const unseen = truth.map((exchange) => ({ ...exchange, server: undefined, client: undefined }));
      const options = { areSizesOptional: hidesReceivedBodies, mayMiss: hidesReceivedBodies && family === 'unix' };
      cases.push({ name, truth: isReadable ? truth : unseen, options });
      await client.stop();
      await server.stop();
    }
    const stopped = await receiver.stop();
    for (const { name, truth, options } of cases) {
      await t.test(name, () => {
        const difference = compareTruth(truth, stopped.spans, options);
        if (difference !== undefined) assert.fail(difference);
      });
    }
    assertBooks(stopped);
  });

  test(`every handover over ${family}`, { skip }, async (t) => {
    const receiver = await startReceiver(t);
    const folder = temporaryFolder(t);
    const cases: { name: string; truth: Exchange[] }[] = [];
    for (const handover of handovers) {
      const ways = { ...plainWays, handover };
      const server = await startServer(t, 'io', { family, socketPath: path.join(folder, `${handover}.sock`), ways });
      const client = await startClient(t, 'io', server, { ways });
      cases.push({ name: handover, truth: await client.run(planRequests(newRun(), 24, 'plain')) });
      await client.stop();
      await server.stop();
    }
    const stopped = await receiver.stop();
    for (const { name, truth } of cases) {
      await t.test(name, () => {
        const difference = compareTruth(truth, stopped.spans);
        if (difference !== undefined) assert.fail(difference);
      });
    }
    assertBooks(stopped);
  });
}

// The other end reads and writes plainly, so it sees everything; and after the unreadable exchange the readable ones are found again.
for (const [name, sendHead] of [
  ['sendfile', 'sendfile'],
  ['splice', 'splice'],
  ['io_uring', 'uring_send'],
] as const) {
  test(`a server that sends its heads by ${name} is seen exactly from the client's end`, { skip }, async (t) => {
    const receiver = await startReceiver(t);
    const server = await startServer(t, 'io', { ways: { ...plainWays, sendHead } });
    const client = await startClient(t, 'io', server);
    const truth = await client.run(planRequests(newRun(), 24, 'plain'));
    assertTruth(
      await receiver.stop(),
      truth.map((exchange) => ({ ...exchange, server: undefined })),
    );
  });
}
