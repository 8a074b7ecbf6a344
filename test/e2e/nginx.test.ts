// nginx and curl: static files by sendfile, fixed answers, and a reverse proxy, each hop with its own process.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { curl } from '../traffic/curl.ts';
import { startNginx } from '../traffic/nginx.ts';
import { asExpected, newRun, startClient, startServer, type EchoServer } from '../traffic/traffic.ts';
import { planRequest, planRequests, type Exchange } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

test('curl gets static files and fixed answers from nginx', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const run = newRun();
  const files = { 'empty.bin': 0, 'small.bin': 100, 'large.bin': 3_000_000 };
  const nginx = await startNginx(t, { files, workers: 2 });
  const truth: Exchange[] = [];
  let n = 0;
  for (const [place, size] of [
    ...Object.entries(files).map(([name, size]) => [`/files/${name}`, size] as const),
    ['/fixed', 10] as const,
    ['/files/none', 0] as const,
  ]) {
    for (const method of ['GET', 'HEAD']) {
      const id = `${run}-${n++}`;
      const target = `${place}?id=${id}&x=1`;
      const result = await curl(`http://127.0.0.1:${nginx.port}${target}`, { method });
      assert.equal(result.exitCode, 0);
      const responseBodySize = place === '/files/none' ? result.responseBodySize : method === 'HEAD' ? 0 : size;
      assert.equal(result.responseBodySize, responseBodySize);
      const server = { pid: Number(result.headers.get('nginx-pid')), service: 'nginx' };
      const client = { pid: result.pid, service: 'curl' };
      const status = place === '/files/none' ? 404 : 200;
      assert.equal(result.status, status);
      truth.push({ id, method, target, status, requestBodySize: 0, responseBodySize, transport: 'tcp', server, client });
    }
  }
  assertTruth(await receiver.stop(), truth, { silentPids: [nginx.masterPid] });
});

for (const upstreamKind of ['node', 'go'] as const) {
  test(`nginx in front of a ${upstreamKind} server: both hops, each with its own process`, { skip }, async (t) => {
    const upstream = await startServer(t, upstreamKind);
    const nginx = await startNginx(t, { upstream: upstream.target });
    // The client names the upstream by `server-pid`; the worker in front is asked for once, before: there is only one.
    const worker = Number((await curl(`http://127.0.0.1:${nginx.port}/fixed`)).headers.get('nginx-pid'));
    const receiver = await startReceiver(t);
    const front: EchoServer = { ...upstream, service: 'nginx', target: `127.0.0.1:${nginx.port}`, port: nginx.port };
    const client = await startClient(t, 'go', front);
    const requests = planRequests(newRun(), 56, 'all');
    const seen = await client.run(requests, { connections: 3 });
    const inFront = { pid: worker, service: 'nginx' };
    const truth = seen.flatMap((exchange) => [
      { ...exchange, server: inFront },
      { ...exchange, client: inFront, server: { pid: upstream.pid, service: upstream.service } },
    ]);
    assertTruth(await receiver.stop(), truth);
  });
}

test(
  'chunks are followed in the kernel, from the first message of a connection on, whatever the receiver does meanwhile',
  { skip },
  async (t) => {
    const upstream = await startServer(t, 'go');
    const nginx = await startNginx(t, { upstream: upstream.target });
    const worker = Number((await curl(`http://127.0.0.1:${nginx.port}/fixed`)).headers.get('nginx-pid'));
    const receiver = await startReceiver(t);
    const front: EchoServer = { ...upstream, service: 'nginx', target: `127.0.0.1:${nginx.port}`, port: nginx.port };
    const client = await startClient(t, 'go', front);
    const run = newRun();
    const requests = Array.from({ length: 12 }, (_, i) => planRequest(`${run}-${i}`, { size: 1_000_000, query: '&chunks=40' }));
    process.kill(receiver.pid, 'SIGSTOP');
    const seen = await client.run(requests, { connections: 3 });
    process.kill(receiver.pid, 'SIGCONT');
    const inFront = { pid: worker, service: 'nginx' };
    const stopped = await receiver.stop();
    assertTruth(
      stopped,
      seen.flatMap((exchange) => [
        { ...exchange, server: inFront },
        { ...exchange, client: inFront, server: { pid: upstream.pid, service: upstream.service } },
      ]),
    );
  },
);

test('curl over a UNIX socket', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const socketPath = path.join(tmpdir(), `usm-${newRun()}.sock`);
  const server = await startServer(t, 'go', { family: 'unix', socketPath });
  const truth: Exchange[] = [];
  for (const request of planRequests(newRun(), 8, 'plain')) {
    const { method, bodySize } = request;
    const result = await curl(`http://localhost${request.target}`, { method, bodySize, args: ['--unix-socket', socketPath] });
    truth.push(
      asExpected(
        request,
        { status: result.status, responseBodySize: result.responseBodySize },
        'unix',
        { pid: server.pid, service: 'go-peer' },
        { pid: result.pid, service: 'curl' },
      ),
    );
  }
  assertTruth(await receiver.stop(), truth);
});
