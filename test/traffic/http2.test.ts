import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl } from './curl.ts';
import { planBroken, planCalls, startCallClient, startCallServer, type CallPeer } from './grpc.ts';
import { runH2load, startNghttpd } from './nghttp2.ts';
import { startNginx } from './nginx.ts';
import { startClient, startServer } from './traffic.ts';
import { planRequest, planRequests, planResets } from './truth.ts';

for (const isSecure of [false, true]) {
  const how = isSecure ? 'by TLS' : 'by prior knowledge';
  for (const serverKind of ['node', 'go'] as const) {
    for (const clientKind of ['node', 'go'] as const) {
      test(`a ${clientKind} client gets from a ${serverKind} server over HTTP/2 what it asks for, ${how}`, async (t) => {
        const server = await startServer(t, serverKind, { isHttp2: true, isSecure });
        const client = await startClient(t, clientKind, server);
        const ways = { connections: 2, streams: 20 };
        assert.equal((await client.run(planRequests('a', 64, 'http2'), ways)).length, 64);
        assert.equal((await client.run(planResets('r', 10), ways)).length, 10);
        const insecure = isSecure ? ['--insecure', '--http2'] : ['--http2-prior-knowledge'];
        const { status } = await curl(`${isSecure ? 'https' : 'http'}://${server.target}/echo?id=x`, { args: insecure });
        assert.equal(status, 200);
      });
    }
  }

  for (const serverKind of ['go', 'node', 'python'] as const satisfies CallPeer[]) {
    for (const clientKind of ['go', 'node', 'python'] as const satisfies CallPeer[]) {
      if (isSecure && serverKind === clientKind) continue;
      test(`a ${clientKind} client gets from a ${serverKind} server by gRPC what it calls for, ${how}`, async (t) => {
        const server = await startCallServer(t, serverKind, { isSecure });
        const client = await startCallClient(t, clientKind, server);
        const ways = { connections: 2, streams: 12 };
        assert.equal((await client.run(planCalls('a', 96), ways)).length, 96);
        assert.equal((await client.run(planBroken('b', 8), ways)).length, 8);
      });
    }
  }

  test(`h2load gets files from nghttpd, ${how}`, async (t) => {
    const { port } = await startNghttpd(t, { 'a.txt': 500 }, { isSecure });
    const targets = Array.from({ length: 50 }, (_, i) => `/a.txt?id=${i}`);
    await runH2load(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, targets, { connections: 2, streams: 100 });
  });
}

test('the node peers push, pad and tunnel', async (t) => {
  const server = await startServer(t, 'node', { isHttp2: true, env: { PADDING: '1' } });
  const client = await startClient(t, 'node', server, { env: { PADDING: '1' } });
  const pushing = planRequest('p', { size: 10, query: '&push=1' });
  const tunnel = { ...planRequest('c', { method: 'CONNECT', size: 1000, bodySize: 1000 }), protocol: 'websocket' };
  assert.equal((await client.run([pushing, tunnel])).length, 2);
});

test('curl asks nginx over HTTP/2 for what an upstream answers', async (t) => {
  const upstream = await startServer(t, 'go');
  const nginx = await startNginx(t, { isHttp2: true, isSecure: true, upstream: upstream.target });
  const answer = await curl(`https://127.0.0.1:${nginx.port}/echo?status=201&size=7`, { args: ['--insecure', '--http2'] });
  assert.deepEqual([answer.status, answer.responseBodySize], [201, 7]);
  assert.equal(answer.headers.get('server-pid'), String(upstream.pid));
});
