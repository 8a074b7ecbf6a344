// HTTPS by GnuTLS on the real kernel, at both ends and in all of its ways to read and write: N of N, and what is not followed is given up and counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl } from '../traffic/curl.ts';
import {
  asExpected,
  newRun,
  startClient,
  startServer,
  type ClientKind,
  type EchoServer,
  type ServerKind,
} from '../traffic/traffic.ts';
import { planRequests, type Exchange, type PlannedRequest } from '../traffic/truth.ts';
import { wget } from '../traffic/wget.ts';
import { kernelTestSkip, leavesNothingOut, startReceiver } from './harness.ts';
import { assertSeen, untilProbed } from './probed.ts';

const skip = kernelTestSkip();

async function askByWget({ target, pid, service }: EchoServer, request: PlannedRequest): Promise<Exchange> {
  const result = await wget(`https://${target}${request.target}`, request);
  return asExpected(request, { ...result }, 'tcp', { pid, service }, { pid: result.pid, service: 'wget' });
}

test('every exchange of every client with a server of GnuTLS makes its two spans', { skip }, async (t) => {
  const server = await startServer(t, 'gnutls', { isSecure: true });
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  const earlier: Exchange[] = [];
  for (const kind of ['node', 'go', 'python'] as const satisfies ClientKind[]) {
    const made = await untilProbed(receiver, 2, async () => {
      const client = await startClient(t, kind, server);
      const [exchange] = await client.run(planRequests(newRun(), 1, 'plain'));
      await client.stop();
      return exchange!;
    });
    earlier.push(...made);
    const client = await startClient(t, kind, server);
    truth.push(...(await client.run(planRequests(newRun(), 96, 'plain'), { connections: 4 })));
  }
  assertSeen(await receiver.stop(), truth, earlier);
});

test('every exchange of wget, whose TLS is GnuTLS, with every server makes its two spans', { skip }, async (t) => {
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  const earlier: Exchange[] = [];
  for (const kind of ['node', 'go', 'python', 'gnutls'] as const satisfies ServerKind[]) {
    const server = await startServer(t, kind, { isSecure: true });
    earlier.push(...(await untilProbed(receiver, 2, () => askByWget(server, planRequests(newRun(), 1, 'plain')[0]!))));
    for (const request of planRequests(newRun(), 16, 'plain')) truth.push(await askByWget(server, request));
  }
  assertSeen(await receiver.stop(), truth, earlier);
});

for (const way of ['file', 'range']) {
  test(`a session that gnutls_record_send_${way}() is called for is given up and counted`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm: leavesNothingOut });
    const ordinary = await startServer(t, 'gnutls', { isSecure: true });
    const unfollowed = await startServer(t, 'gnutls', { isSecure: true, env: { WAY: way } });
    const ask = async ({ target, pid, service }: EchoServer, request: PlannedRequest, isSeen: boolean): Promise<Exchange> => {
      const { method, bodySize } = request;
      const args = ['--insecure', '--http1.1'];
      const result = await curl(`https://${target}${request.target}`, { method, bodySize, args });
      const server = isSeen ? { pid, service } : undefined;
      return asExpected(request, { ...result }, 'tcp', server, { pid: result.pid, service: 'curl' });
    };
    const earlier = await untilProbed(receiver, 2, () => ask(ordinary, planRequests(newRun(), 1, 'plain')[0]!, true));
    const truth: Exchange[] = [];
    for (const request of planRequests(newRun(), 8, 'plain')) truth.push(await ask(unfollowed, request, false));
    const stopped = await receiver.stop();
    assertSeen(stopped, truth, earlier);
    assert.equal(stopped.ledger?.connections?.unattributed?.['tls_unfollowed'], truth.length, JSON.stringify(stopped.ledger));
  });
}
