// Real servers and clients of several languages on the real kernel: N of N on both sides.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRun, startClient, startServer, type ClientKind, type ServerKind } from '../traffic/traffic.ts';
import { planRequest, planRequests, type Exchange, type Mix } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, leavesNothingOut, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

test('every exchange of every client with every server makes its two spans', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  for (const serverKind of ['node', 'go', 'python', 'asyncio'] as const satisfies ServerKind[]) {
    const server = await startServer(t, serverKind);
    const mix: Mix = serverKind === 'asyncio' ? 'plain' : 'all';
    for (const clientKind of ['node', 'go', 'python'] as const satisfies ClientKind[]) {
      const client = await startClient(t, clientKind, server);
      truth.push(...(await client.run(planRequests(newRun(), 84, mix), { connections: 4 })));
    }
  }
  assertTruth(await receiver.stop(), truth);
});

test('the first exchange after the ready message is captured, on both ends', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  const receiver = await startReceiver(t);
  const truth = await client.run([planRequest(`${newRun()}-0`, { size: 10 })]);
  assertTruth(await receiver.stop(), truth);
});

test('2,000 keep-alive exchanges on 50 connections of 8 clients', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const server = await startServer(t, 'node');
  const run = newRun();
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, i) => startClient(t, (['node', 'go', 'python'] as const)[i % 3]!, server)),
  );
  const truths = await Promise.all(
    clients.map((client, i) => client.run(planRequests(`${run}-${i}`, 250, 'all'), { connections: i < 2 ? 7 : 6 })),
  );
  const truth = truths.flat();
  assert.equal(truth.length, 2000);
  assertTruth(await receiver.stop(), truth);
});

test('pipelined requests are paired with their own answers', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 120, 'bodiless'), { pipeline: 20 });
  assertTruth(await receiver.stop(), truth);
});

test('informational answers are not the answer: 100 and 103', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const run = newRun();
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const truth = await client.run([
    { ...planRequest(`${run}-0`, { method: 'POST', bodySize: 30_000, size: 3 }), expectContinue: true },
    planRequest(`${run}-1`, { size: 4, query: '&hints=1' }),
    { ...planRequest(`${run}-2`, { method: 'POST', bodySize: 10, size: 5, query: '&hints=1' }), expectContinue: true },
    planRequest(`${run}-3`, { size: 6 }),
  ]);
  assertTruth(await receiver.stop(), truth);
});

test('bodies until close', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (const [serverKind, clientKind] of [
    ['node', 'go'],
    ['go', 'python'],
    ['python', 'node'],
  ] as const) {
    const run = newRun();
    const server = await startServer(t, serverKind);
    const client = await startClient(t, clientKind, server);
    const requests = [0, 10, 100_000].map((size, i) => planRequest(`${run}-${i}`, { size, query: '&close=1' }));
    truth.push(...(await client.run(requests)));
  }
  assertTruth(await receiver.stop(), truth);
});
