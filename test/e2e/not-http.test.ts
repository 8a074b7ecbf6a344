// What is no HTTP makes no span, however much it looks like it (contract: What is HTTP).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRawPair } from '../traffic/raw.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

/** Turns of client and server. */
type Talk = readonly (readonly [client: string, server: string])[];

const http: Talk = [['GET /later?id=no HTTP/1.1\r\nHost: a.test\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok']];

const talks: Readonly<Record<string, Talk>> = {
  'a Redis-like protocol': [
    ['*1\r\n$4\r\nPING\r\n', '+PONG\r\n'],
    ['GET key\r\n', '$5\r\nvalue\r\n'],
    ['SET GET HTTP/1.1\r\n', '+OK\r\n'],
    ...http,
  ],
  'a text protocol whose first line is that of a request without version': [['GET /key\r\n', 'VALUE 3\r\nabc\r\n'], ...http],
  RTSP: [['OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n', 'RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n'], ...http],
  SIP: [['INVITE sip:bob@b.test SIP/2.0\r\nContent-Length: 0\r\n\r\n', 'SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'], ...http],
  'a whole HTTP request that something else answers': [
    ['GET /?id=no HTTP/1.1\r\nHost: a.test\r\n\r\n', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ...http,
  ],
  'SMTP, which the server opens': [['', '220 mail.test ESMTP\r\n'], ['EHLO a.test\r\n', '250 HELP\r\n'], ...http],
  'a client that sends what a server should': [
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'],
    ...http,
  ],
  'an HTTP/2 preface': [['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', '\0\0\0\x04\0\0\0\0\0']],
};

test('protocols that are not HTTP make no spans', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const played: { name: string; pids: number[] }[] = [];
  for (const [name, talk] of Object.entries(talks)) {
    const { server, client } = await startRawPair(t);
    for (const [question, answer] of talk) {
      await client.send(question);
      await server.expect(question.length);
      await server.send(answer);
      await client.expect(answer.length);
    }
    await client.close();
    await server.expectEnd();
    await server.close();
    played.push({ name, pids: [client.pid, server.pid] });
  }
  const stopped = await receiver.stop();
  for (const { name, pids } of played) {
    await t.test(name, () => {
      const difference = compareTruth([], stopped.spans, { silentPids: pids });
      if (difference !== undefined) assert.fail(difference);
    });
  }
  assertBooks(stopped);
});

test('random bytes in both directions make no spans', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const { server, client } = await startRawPair(t);
  let seed = 1;
  const random = (size: number): Uint8Array =>
    Uint8Array.from({ length: size }, () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed >> 16;
    });
  for (let i = 0; i < 60; i++) {
    const bytes = random(2 + ((i * i * 7) % 5000));
    await client.sendBytes(bytes);
    await server.expect(bytes.length);
    await server.sendBytes(bytes.subarray(0, bytes.length >> 1));
    await client.expect(bytes.length >> 1);
  }
  await client.close();
  await server.close();
  const stopped = await receiver.stop();
  assert.equal(compareTruth([], stopped.spans, { silentPids: [client.pid, server.pid] }), undefined);
  assertBooks(stopped);
});
