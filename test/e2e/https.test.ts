// Plaintext of TLS connections on the real kernel, with real libraries on both ends: N of N, none of the wrong process or connection.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { buildGoPeer } from '../traffic/build.ts';
import { curl } from '../traffic/curl.ts';
import { startHaproxy } from '../traffic/haproxy.ts';
import { freePort } from '../traffic/listener.ts';
import { startNginx } from '../traffic/nginx.ts';
import { startProgram } from '../traffic/program.ts';
import path from 'node:path';
import { serverCertificate } from '../traffic/certificate.ts';
import {
  asExpected,
  newRun,
  startClient,
  startServer,
  type ClientKind,
  type EchoClient,
  type EchoServer,
  type ServerKind,
} from '../traffic/traffic.ts';
import { planRequests, type Exchange, type Mix } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, assertTruth, kernelTestSkip, leavesNothingOut, startReceiver, type Stopped } from './harness.ts';
import { type SpanRecord, targetOf } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const insecure = ['--insecure', '--http1.1'];

/** A folder with a copy of OpenSSL that nobody has seen before: another file. */
function copyOpenSsl(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-openssl-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const module = execFileSync('python3', ['-c', 'import _ssl; print(_ssl.__file__)'], { encoding: 'utf8' }).trim();
  const library = /libssl\S+ => (\S+)/.exec(execFileSync('ldd', [module], { encoding: 'utf8' }))?.[1];
  assert.ok(library !== undefined, 'Python has no OpenSSL of its own file');
  copyFileSync(library, path.join(folder, path.basename(library)));
  return folder;
}

/** Every span tells that its exchange was encrypted. */
function assertHttps({ spans }: Stopped): void {
  for (const { kind, attributes } of spans) {
    if (kind === 'SERVER') assert.equal(attributes['url.scheme'], 'https');
    else assert.match(String(attributes['url.full']), /^https:/);
  }
}

test('every HTTPS exchange of every client with every server makes its two spans', { skip }, async (t) => {
  const pairs: { readonly client: EchoClient; readonly mix: Mix }[] = [];
  for (const serverKind of ['node', 'go', 'python', 'asyncio'] as const satisfies ServerKind[]) {
    const server = await startServer(t, serverKind, { isSecure: true });
    const mix = serverKind === 'asyncio' ? 'plain' : 'all';
    for (const clientKind of ['node', 'go', 'python'] as const satisfies ClientKind[])
      pairs.push({ client: await startClient(t, clientKind, server), mix });
  }
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const truth: Exchange[] = [];
  for (const { client, mix } of pairs) truth.push(...(await client.run(planRequests(newRun(), 84, mix), { connections: 4 })));
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assertHttps(stopped);
});

test('curl asks nginx by HTTPS: fixed answers, files, and an upstream that is plain or encrypted', { skip }, async (t) => {
  for (const isUpstreamSecure of [false, true]) {
    const upstream = await startServer(t, 'node', { isSecure: isUpstreamSecure });
    const nginx = await startNginx(t, { isSecure: true, isUpstreamSecure, upstream: upstream.target });
    const receiver = await startReceiver(t);
    const truth: Exchange[] = [];
    for (const request of planRequests(newRun(), 24, 'plain')) {
      const { method, target, bodySize } = request;
      const result = await curl(`https://127.0.0.1:${nginx.port}${target}`, { method, bodySize, args: insecure });
      const worker = { pid: Number(result.headers.get('nginx-pid')), service: 'nginx' };
      const outcome = { status: result.status, responseBodySize: result.responseBodySize };
      truth.push(asExpected(request, outcome, 'tcp', worker, { pid: result.pid, service: 'curl' }));
      truth.push(asExpected(request, outcome, 'tcp', { pid: upstream.pid, service: 'echo-server' }, worker));
    }
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    if (isUpstreamSecure) assertHttps(stopped);
  }
});

for (const isUpstreamSecure of [false, true]) {
  const upstreamText = isUpstreamSecure ? 'encrypted' : 'plain';
  test(`HAProxy ends TLS in front of an ${upstreamText} upstream: both hops, each with its own process`, { skip }, async (t) => {
    const upstream = await startServer(t, 'go', { isSecure: isUpstreamSecure });
    const proxy = await startHaproxy(t, { upstream: upstream.target, isUpstreamSecure });
    const receiver = await startReceiver(t);
    const front: EchoServer = {
      ...upstream,
      service: 'haproxy',
      target: `127.0.0.1:${proxy.port}`,
      port: proxy.port,
      isSecure: true,
    };
    const client = await startClient(t, 'python', front);
    const seen = await client.run(planRequests(newRun(), 56, 'plain'), { connections: 3 });
    const between = { pid: proxy.pid, service: 'haproxy' };
    const truth = seen.flatMap((exchange) => [
      { ...exchange, server: between },
      { ...exchange, client: between, server: { pid: upstream.pid, service: upstream.service } },
    ]);
    assertTruth(await receiver.stop(), truth);
  });
}

test('many connections on one thread, of which the TLS objects take the addresses of others', { skip }, async (t) => {
  const servers = await Promise.all((['node', 'python', 'go'] as const).map((kind) => startServer(t, kind, { isSecure: true })));
  const receiver = await startReceiver(t);
  const script = path.join(import.meta.dirname, '../traffic/python/interleaved_client.py');
  const client = startProgram(t, 'python3', [script, ...servers.map(({ target }) => target)]);
  const { pid } = await client.next('ready');
  const requests = planRequests(newRun(), 600, 'plain');
  client.send(JSON.stringify({ requests }));
  const truth: Exchange[] = [];
  for (let i = 0; i < requests.length; i++) {
    const line = await client.next('exchange', 60_000);
    const server = servers.find((candidate) => candidate.pid === Number(line['serverPid']));
    const request = requests.find(({ id }) => id === line['id']);
    assert.ok(server !== undefined && request !== undefined);
    const party = { pid: server.pid, service: server.service };
    truth.push(asExpected(request, line, 'tcp', party, { pid: Number(pid), service: 'interleaved_client' }));
  }
  assertTruth(await receiver.stop(), truth);
});

test('every connection is seen from its first byte while the libraries of other programs are probed', { skip }, async (t) => {
  const server = await startServer(t, 'node', { isSecure: true });
  const receiver = await startReceiver(t);
  const stopping = new AbortController();
  let copies = 0;
  /** Programs and libraries that nobody has seen before: other files, with TLS that is used. */
  const others = (async () => {
    const { certificate, key } = serverCertificate();
    const env = { TLS_CERTIFICATE: certificate, TLS_KEY: key };
    for (; !stopping.signal.aborted; copies++) {
      const folder = copyOpenSsl(t);
      const program = path.join(folder, 'go-peer');
      copyFileSync(buildGoPeer(), program);
      const other = startProgram(t, program, ['server', '127.0.0.1:0'], { env });
      const { port } = await other.next('listening');
      await curl(`https://127.0.0.1:${String(port)}/`, { args: insecure, env: { LD_LIBRARY_PATH: folder } });
      await other.stop();
    }
  })();
  const requests = planRequests(newRun(), 140, 'plain');
  const truth: Exchange[] = [];
  const ask = async (): Promise<void> => {
    for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
      const { method, target, bodySize } = request;
      const result = await curl(`https://${server.target}${target}`, { method, bodySize, args: insecure });
      const party = { pid: server.pid, service: server.service };
      truth.push(asExpected(request, { ...result }, 'tcp', party, { pid: result.pid, service: 'curl' }));
    }
  };
  await Promise.all([ask(), ask(), ask(), ask()]);
  stopping.abort();
  await others;
  assert.ok(copies >= 5, `${String(copies)} copies`);
  assertTruth(await receiver.stop(), truth);
});

test(
  'a call that began before the library was probed is no beginning: positions would name another exchange',
  { skip },
  async (t) => {
    const receiver = await startReceiver(t);
    const { certificate, key } = serverCertificate();
    const env = { TLS_CERTIFICATE: certificate, TLS_KEY: key, LD_LIBRARY_PATH: copyOpenSsl(t) };
    const script = path.join(import.meta.dirname, '../traffic/python/late_handshake_server.py');
    const server = startProgram(t, 'python3', [script], { env });
    const port = Number((await server.next('listening'))['port']);
    const ofServer = (): SpanRecord[] =>
      receiver.spans().filter(({ kind, resource }) => kind === 'SERVER' && resource['process.pid'] === server.pid);
    const socket = net.connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    const thread = Number((await server.next('reading'))['thread']);
    await waitFor('the server to read', () => readFileSync(`/proc/${thread}/wchan`, 'utf8').includes('wait'));
    // Another connection makes the library known. The first one has not said anything yet.
    await waitFor('the probes', async () => {
      await curl(`https://127.0.0.1:${port}/201`, { args: insecure });
      return ofServer().length > 0;
    });
    const secure = tls.connect({ socket, rejectUnauthorized: false });
    for (const status of [404, 202, 203]) {
      // Of one size: the beginning of one could be taken for that of another.
      secure.write(`GET /${status} HTTP/1.1\r\nHost: late\r\n\r\n`);
      const [answer] = (await once(secure, 'data')) as [Buffer];
      assert.match(answer.toString(), new RegExp(`^HTTP/1.1 ${status} `));
    }
    await waitFor('what follows', () => ofServer().some((span) => targetOf(span) === '/203'));
    const stopped = await receiver.stop();
    assertBooks(stopped);
    for (const { traceId, attributes } of ofServer()) {
      const ends = stopped.spans.filter((span) => span.traceId === traceId);
      const told = ends.map((span) => [targetOf(span), span.attributes['http.response.status_code']]);
      const status = Number(attributes['http.response.status_code']);
      assert.deepEqual(told, Array(ends.length).fill([`/${status}`, status]));
    }
  },
);

test('two sessions on one connection have exchanges of their own', { skip }, async (t) => {
  const { certificate, key } = serverCertificate();
  const script = path.join(import.meta.dirname, '../traffic/python/two_sessions.py');
  const both = startProgram(t, 'python3', [script], { env: { TLS_CERTIFICATE: certificate, TLS_KEY: key } });
  await both.next('ready');
  const receiver = await startReceiver(t);
  both.send('');
  await both.next('done');
  const stopped = await receiver.stop();
  assertBooks(stopped);
  const spans = stopped.spans.filter(({ resource }) => resource['process.pid'] === both.pid);
  assert.deepEqual(spans.map((span) => `${span.kind} ${targetOf(span)}`).sort(), [
    'CLIENT /first_',
    'CLIENT /second',
    'SERVER /first_',
    'SERVER /second',
  ]);
  const idsOf = (target: string): Set<unknown> =>
    new Set(
      spans
        .filter((span) => targetOf(span) === target)
        .flatMap(({ traceId, attributes }) => [traceId, attributes['usm.exchange.id']]),
    );
  // Both ends of the first one are one trace and one exchange.
  assert.equal(idsOf('/first_').size, 2);
  assert.deepEqual(
    [...idsOf('/first_')].filter((id) => idsOf('/second').has(id)),
    [],
  );
});

test('each worker of a Node.js cluster has its own exchanges', { skip }, async (t) => {
  const port = await freePort();
  const { certificate, key } = serverCertificate();
  const script = path.join(import.meta.dirname, '../traffic/node/cluster-server.mjs');
  const program = startProgram(t, process.execPath, [script, '3', String(port), '127.0.0.1'], {
    env: { TLS_CERTIFICATE: certificate, TLS_KEY: key },
  });
  for (let i = 0; i < 3; i++) await program.next('listening');
  const server: EchoServer = {
    kind: 'node',
    pid: program.pid,
    service: 'echo-server',
    family: 'ipv4',
    target: `127.0.0.1:${port}`,
    port,
    isSecure: true,
    isHttp2: false,
    program,
    stop: () => program.stop(),
  };
  const receiver = await startReceiver(t);
  const clients = await Promise.all((['go', 'python'] as const).map((kind) => startClient(t, kind, server)));
  const truths = await Promise.all(clients.map((client) => client.run(planRequests(newRun(), 120, 'all'), { connections: 6 })));
  const truth = truths.flat();
  assert.equal(new Set(truth.map((exchange) => exchange.server?.pid)).size, 3);
  assertTruth(await receiver.stop(), truth);
});

for (const [serverKind, clientKind] of [
  ['node', 'go'],
  ['go', 'python'],
  ['python', 'node'],
] as const satisfies [ServerKind, ClientKind][]) {
  test(
    `receivers that come and go see nothing wrong between a ${clientKind} client and a ${serverKind} server`,
    { skip },
    async (t) => {
      const server = await startServer(t, serverKind, { isSecure: true });
      const client = await startClient(t, clientKind, server);
      const truth: Exchange[] = [];
      const stopping = new AbortController();
      const traffic = (async () => {
        while (!stopping.signal.aborted) {
          // Answers that take a moment leave time for the receiver to start in, and requests open when it does.
          const requests = planRequests(newRun(), 8, 'plain').map((one) => ({ ...one, target: `${one.target}&delay=5` }));
          truth.push(...(await client.run(requests, { connections: 4 })));
        }
      })();
      const runs: Stopped[] = [];
      for (let i = 0; i < 4; i++) {
        const receiver = await startReceiver(t);
        const before = truth.length;
        await waitFor('traffic that is seen', () => truth.length > before + 100, 20_000);
        runs.push(await receiver.stop());
      }
      stopping.abort();
      await traffic;
      for (const stopped of runs) {
        assertBooks(stopped);
        assert.equal(compareTruth(truth, stopped.spans, { mayMiss: true }), undefined);
        // The connections are older than the receiver: joined at the next boundary, and followed from there.
        assert.ok(stopped.spans.length >= 100, `${stopped.spans.length} spans: ${JSON.stringify(stopped.ledger)}`);
      }
    },
  );
}
