// Node.js talks HTTP/2 to itself through a proxy that writes down every byte: what the kernel side tells of both ends is what was said.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../e2e/wait.ts';
import { kernelTest } from '../support/kernel.ts';
import { startProgram } from '../traffic/program.ts';
import { takeApart } from './frames.ts';
import { assertFollowed, observe, type Told, type ToldConnection } from './told-streams.ts';

const script = path.join(import.meta.dirname, 'http2-peer.mjs');

const sizes = [0, 1, 100, 16_384, 16_385, 1 << 20];

for (const [title, requests] of [
  ['one exchange at a time', sizes.flatMap((up) => sizes.map((down) => [[up, down]]))],
  [
    'hundreds of exchanges at a time',
    [Array.from({ length: 400 }, (_, index) => [(index * 7919) % 30_000, (index * 104_729) % 40_000])],
  ],
  ['long bodies at a time', [Array.from({ length: 4 }, (_, index) => [1 << 20, (1 << 20) + index])]],
] as const) {
  test(`${title}: both ends, both directions`, kernelTest(), async (t) => {
    const server = startProgram(t, process.execPath, [script, 'server']);
    const { port } = await server.next('listening');
    const proxy = startProgram(t, process.execPath, [script, 'proxy', String(port)]);
    const { port: proxyPort } = await proxy.next('listening');
    const client = startProgram(t, process.execPath, [script, 'client', String(proxyPort)]);
    await client.next('ready');
    const observer = await observe(t, [server.pid, client.pid]);
    for (const plan of requests) {
      client.send(JSON.stringify({ requests: plan }));
      await client.next('done', 60_000);
      observer.drain();
    }
    const endOf = (role: string): ToldConnection | undefined =>
      [...observer.drain().values()].find(({ info }) => info.role === role && info.transport === 'tcp');
    const size = (told: readonly Told[] = []): number => told.reduce((sum, event) => sum + event.size, 0);
    // The connection stays, and both ends may have something to acknowledge.
    const { asked, answered } = await waitFor('the last bytes', async () => {
      proxy.send('tell');
      const carried = await proxy.next('carried');
      const [up, down] = [carried['asked'], carried['answered']].map((bytes) => takeApart(Buffer.from(String(bytes), 'base64')));
      const [clientEnd, serverEnd] = [endOf('client'), endOf('server')];
      const isAsked = size(clientEnd?.sent) === up!.stream.length && size(serverEnd?.received) === up!.stream.length;
      const isAnswered = size(serverEnd?.sent) === down!.stream.length && size(clientEnd?.received) === down!.stream.length;
      return isAsked && isAnswered ? { asked: up!, answered: down! } : undefined;
    });
    assert.ok(asked.headers.length > requests.length && asked.headers.at(-1) === asked.stream.length);
    const [clientEnd, serverEnd] = [endOf('client')!, endOf('server')!];
    assertFollowed(asked, clientEnd.sent);
    assertFollowed(asked, serverEnd.received);
    assertFollowed(answered, serverEnd.sent);
    assertFollowed(answered, clientEnd.received);
  });
}
