// HTTP/2 by `Upgrade: h2c` between real programs on the real kernel: the request that asks for it is one exchange with its answer on stream 1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl } from '../traffic/curl.ts';
import { runNghttp, startNghttpx } from '../traffic/nghttp2.ts';
import { type RawPeer, startRawClient, startRawServer } from '../traffic/raw.ts';
import * as h2 from '../protocols/http2/frames.ts';
import { asExpected, newRun, startServer } from '../traffic/traffic.ts';
import { type Exchange, planRequest, planRequests } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';
import { joinsOf } from './joins.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

test('nghttp and curl change to HTTP/2 with nghttpx, and each exchange is one at both ends', { skip }, async (t) => {
  const upstream = await startServer(t, 'go');
  const nghttpx = await startNghttpx(t, upstream.target);
  const origin = `http://127.0.0.1:${nghttpx.port}`;
  const front = { pid: nghttpx.pid, service: nghttpx.service };
  const behind = { pid: upstream.pid, service: upstream.service };
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (let round = 0; round < 10; round++) {
    const run = newRun();
    const sizes = [round * 1000, 0, 200, 40_000, 5];
    const requests = sizes.map((size, i) => planRequest(`${run}-${i}`, { size, status: i === 0 ? 404 : 200 }));
    const { pid, statuses } = await runNghttp(
      origin,
      requests.map(({ target }) => target),
    );
    for (const request of requests) {
      const answer = { status: statuses.get(request.target), responseBodySize: request.size };
      truth.push({ ...asExpected(request, answer, 'tcp', front, { pid, service: 'nghttp' }), version: '2' });
      truth.push({ ...asExpected(request, answer, 'tcp', behind, front), version: '1.1' });
    }
  }
  // nghttpx changes before it has the whole of a long body, and curl 7.88 fails of that.
  const shortOnes = planRequests(newRun(), 24, 'plain').filter(({ bodySize }) => bodySize < 1000);
  for (const request of shortOnes) {
    const { method, target, bodySize } = request;
    const result = await curl(`${origin}${target}`, { method, bodySize, args: ['--http2'] });
    const outcome = { status: result.status, responseBodySize: result.responseBodySize };
    assert.equal(result.version, '2', target);
    truth.push({ ...asExpected(request, outcome, 'tcp', front, { pid: result.pid, service: 'curl' }), version: '2' });
    truth.push({ ...asExpected(request, outcome, 'tcp', behind, front), version: '1.1' });
  }
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  // Of the two hops the one that is upgraded.
  const isFirstHop = (kind: string, pid: unknown): boolean => pid !== upstream.pid && !(kind === 'CLIENT' && pid === front.pid);
  const spans = stopped.spans.filter(({ kind, resource }) => isFirstHop(kind, resource['process.pid']));
  const { joined, apart, wrong } = joinsOf(spans);
  assert.deepEqual(wrong, []);
  // A server's transaction waits for its other end for some milliseconds only, which a busy machine may not give it.
  assert.equal(joined + apart, truth.length / 2);
  assert.ok(joined > 0);
});

test('a server that does not know of it answers in HTTP/1.1', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  const receiver = await startReceiver(t);
  const truth: Exchange[] = [];
  for (const request of planRequests(newRun(), 8, 'plain')) {
    const { method, target, bodySize } = request;
    const result = await curl(`http://127.0.0.1:${server.port}${target}`, { method, bodySize, args: ['--http2'] });
    const outcome = { status: result.status, responseBodySize: result.responseBodySize };
    const ends = [
      { pid: server.pid, service: server.service },
      { pid: result.pid, service: 'curl' },
    ] as const;
    truth.push({ ...asExpected(request, outcome, 'tcp', ...ends), version: '1.1' });
  }
  assertTruth(await receiver.stop(), truth);
});

const whole = h2.END_HEADERS | h2.END_STREAM;
const frameSize = 16_384;

/** Each waits for all that the other says. */
async function say(from: RawPeer, to: RawPeer, ...parts: readonly Uint8Array[]): Promise<void> {
  const bytes = Buffer.concat(parts);
  const expected = to.expect(bytes.length);
  await from.sendBytes(bytes);
  await expected;
}

for (const [title, begin] of [
  [
    'by an upgrade',
    async (client: RawPeer, server: RawPeer, id: string): Promise<void> => {
      const settings = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk';
      await say(client, server, Buffer.from(`GET /${id} HTTP/1.1\r\nHost: a\r\n${settings}\r\n\r\n`));
      const switching = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
      await say(server, client, switching, h2.settings(), h2.response(1, {}, whole));
      await say(client, server, h2.PREFACE, h2.settings());
    },
  ],
  [
    'with a preface in pieces',
    async (client: RawPeer, server: RawPeer, id: string): Promise<void> => {
      await say(client, server, h2.PREFACE.subarray(0, 3));
      await say(client, server, h2.PREFACE.subarray(3), h2.settings(), h2.request(1, { ':path': `/${id}` }));
      await say(server, client, h2.settings().subarray(0, 5));
      await say(server, client, h2.settings().subarray(5), h2.response(1, {}, whole));
    },
  ],
] as const) {
  test(`on a connection that comes to HTTP/2 ${title}, no head is lost behind a long body`, { skip }, async (t) => {
    const server = await startRawServer(t);
    const client = await startRawClient(t, `127.0.0.1:${server.port}`);
    const pids = [server.pid, client.pid];
    const receiver = await startReceiver(t, { usm: { filter: { include: [{ pids }] } } });
    await client.open();
    await server.open();
    const run = newRun();
    await begin(client, server, `${run}-0`);
    // Once it is told, the kernel side has been told of it too, and follows the frames.
    await waitFor('the first exchange', () => receiver.spans().length === 2);
    const frames = 512;
    const body = Buffer.concat(
      Array.from({ length: frames }, (_, i) => h2.data(3, frameSize, i === frames - 1 ? h2.END_STREAM : 0)),
    );
    await say(client, server, h2.request(3, { ':path': `/${run}-1` }), h2.request(5, { ':path': `/${run}-2` }));
    await say(server, client, h2.response(3, {}, h2.END_HEADERS), body, h2.response(5, { ':status': '404' }, whole));
    await client.close();
    const stopped = await receiver.stop();
    const ends = { server: { pid: server.pid, service: server.service }, client: { pid: client.pid, service: client.service } };
    const truth = [200, 200, 404].map((status, i): Exchange => {
      const sizes = { requestBodySize: 0, responseBodySize: i === 1 ? frames * frameSize : 0 };
      const id = `${run}-${i}`;
      return { id, method: 'GET', target: `/${id}`, status, ...sizes, transport: 'tcp', version: '2', ...ends };
    });
    assertTruth(stopped, truth);
    assert.deepEqual(stopped.ledger?.bytes?.lost, {});
  });
}
