import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { curl } from './curl.ts';
import { startNginx } from './nginx.ts';
import { startRawPair } from './raw.ts';
import { startClient, startServer, type ClientKind, type Family, type ServerKind } from './traffic.ts';
import { planRequest, planRequests, type Mix } from './truth.ts';
import { handovers, wayCases } from './ways.ts';

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-traffic-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

for (const serverKind of ['node', 'go', 'python', 'asyncio'] as const satisfies ServerKind[]) {
  for (const clientKind of ['node', 'go', 'python'] as const satisfies ClientKind[]) {
    test(`a ${clientKind} client gets from a ${serverKind} server what it asks for`, async (t) => {
      const server = await startServer(t, serverKind);
      const client = await startClient(t, clientKind, server);
      const mix: Mix = serverKind === 'asyncio' ? 'plain' : 'all';
      const exchanges = await client.run(planRequests('a', 28, mix), { connections: 3 });
      assert.equal(exchanges.length, 28);
      for (const exchange of exchanges) {
        assert.equal(exchange.server?.pid, server.pid);
        assert.equal(exchange.client?.pid, client.pid);
      }
    });
  }
}

for (const [serverKind, clientKind] of [
  ['node', 'python'],
  ['go', 'node'],
  ['python', 'go'],
  ['asyncio', 'node'],
] as const satisfies [ServerKind, ClientKind][]) {
  test(`a ${clientKind} client gets from a ${serverKind} server by HTTPS what it asks for`, async (t) => {
    const server = await startServer(t, serverKind, { isSecure: true });
    const client = await startClient(t, clientKind, server);
    const exchanges = await client.run(planRequests('s', 28, serverKind === 'asyncio' ? 'plain' : 'all'), { connections: 3 });
    assert.equal(exchanges.length, 28);
    const plain = await curl(`http://${server.target}/echo?id=x`);
    assert.notEqual(plain.status, 200);
    assert.equal((await curl(`https://${server.target}/echo?id=x`, { args: ['--insecure', '--http1.1'] })).status, 200);
  });
}

test('the node client pipelines, and sends 100-continue', async (t) => {
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  assert.equal((await client.run(planRequests('p', 30, 'bodiless'), { pipeline: 10 })).length, 30);
  const expecting = { ...planRequest('c', { method: 'POST', bodySize: 50_000, size: 5 }), expectContinue: true };
  assert.equal((await client.run([expecting]))[0]?.requestBodySize, 50_000);
});

for (const family of ['ipv4', 'ipv6', 'unix'] as const satisfies Family[]) {
  test(`c/io.c does every system call over ${family}`, async (t) => {
    const folder = temporaryFolder(t);
    let n = 0;
    for (const { name, ways } of wayCases(family, 'inline')) {
      await t.test(name, async (t) => {
        const server = await startServer(t, 'io', { family, socketPath: path.join(folder, `${n++}.sock`), ways });
        const client = await startClient(t, 'io', server, { ways });
        assert.equal((await client.run(planRequests('w', 16, 'plain'))).length, 16);
      });
    }
  });
}

for (const handover of handovers) {
  test(`c/io.c names the right processes with handover ${handover}`, async (t) => {
    const ways = { handover, sendHead: 'write', sendBody: 'write', receiveHead: 'read', receiveBody: 'read' };
    const server = await startServer(t, 'io', { ways });
    const client = await startClient(t, 'io', server, { ways });
    const [exchange] = await client.run(planRequests('h', 2, 'plain'));
    const isOther = {
      inline: [false, false],
      dup: [false, false],
      thread: [false, false],
      fork: [true, true],
      pass: [true, true],
      process: [true, false],
    };
    assert.deepEqual([exchange?.server?.pid !== server.pid, exchange?.client?.pid !== client.pid], isOther[handover]);
  });
}

test('curl talks to nginx: static, fixed, and through it to an upstream', async (t) => {
  const upstream = await startServer(t, 'go');
  const nginx = await startNginx(t, { upstream: upstream.target, files: { 'a.bin': 200_000 } });
  const file = await curl(`http://127.0.0.1:${nginx.port}/files/a.bin`);
  assert.deepEqual([file.status, file.responseBodySize], [200, 200_000]);
  const fixed = await curl(`http://127.0.0.1:${nginx.port}/fixed`, { method: 'HEAD' });
  assert.deepEqual([fixed.status, fixed.responseBodySize], [200, 0]);
  const proxied = await curl(`http://127.0.0.1:${nginx.port}/echo?status=201&size=7`, { method: 'POST', bodySize: 3 });
  assert.deepEqual([proxied.status, proxied.responseBodySize], [201, 7]);
  assert.equal(proxied.headers.get('server-pid'), String(upstream.pid));
  assert.equal(proxied.headers.get('nginx-pid'), file.headers.get('nginx-pid'));
  assert.notEqual(Number(file.headers.get('nginx-pid')), nginx.masterPid);
});

test('raw peers play their steps in order', async (t) => {
  const { server, client } = await startRawPair(t);
  await client.send('GET / HTTP/1.1\r\n\r\n');
  await server.expect('\r\n\r\n');
  await server.sendBytes(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'));
  await client.expect(19);
  await server.reset();
  await client.expectEnd();
  assert.notEqual(server.pid, client.pid);
});
