// HTTP/2 by `Upgrade: h2c` between real programs on the real kernel: the request that asks for it is one exchange with its answer on stream 1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl } from '../traffic/curl.ts';
import { runNghttp, startNghttpx } from '../traffic/nghttp2.ts';
import { asExpected, newRun, startServer } from '../traffic/traffic.ts';
import { type Exchange, planRequest, planRequests } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';
import { joinsOf } from './joins.ts';

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
