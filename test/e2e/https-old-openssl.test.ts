// HTTPS by OpenSSL 1.1.1 on the real kernel, shared and in an executable: N of N, none wrong.
import { test } from 'node:test';
import { oldLibraries, oldNode } from '../traffic/old-openssl.ts';
import { newRun, startClient, startServer, type EchoServer, type ServerOptions } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { kernelTestSkip, leavesNothingOut, startReceiver } from './harness.ts';
import { assertSeen, untilProbed } from './probed.ts';

const skip = kernelTestSkip();

test('OpenSSL 1.1.1 as a library and in Node.js 16, at both ends', { skip }, async (t) => {
  const interpreter = oldNode();
  if (interpreter === undefined) {
    t.skip('no Node.js 16');
    return;
  }
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  const earlier: Exchange[] = [];
  const servers: readonly (readonly ['node' | 'openssl', ServerOptions])[] = [
    ['node', { isSecure: true, interpreter }],
    ['openssl', { isSecure: true, env: oldLibraries() }],
  ];
  for (const [kind, options] of servers) {
    const server: EchoServer = await startServer(t, kind, options);
    for (const clientOptions of [{ interpreter }, {}]) {
      const made = await untilProbed(receiver, 2, async () => {
        const client = await startClient(t, 'node', server, clientOptions);
        const [exchange] = await client.run(planRequests(newRun(), 1, 'plain'));
        await client.stop();
        return exchange!;
      });
      earlier.push(...made);
      const client = await startClient(t, 'node', server, clientOptions);
      truth.push(...(await client.run(planRequests(newRun(), 96, 'plain'), { connections: 4 })));
    }
  }
  assertSeen(await receiver.stop(), truth, earlier);
});
