// Start, stop and what is left behind (contract: Start and stop, Ledger).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../traffic/listener.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests } from '../traffic/truth.ts';
import { assertBooks, assertTruth, kernelTestSkip, readyMessage, runReceiver, startReceiver } from './harness.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

test('it is ready, says so once, and ends with 0 at SIGTERM', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.equal(stopped.stderr.split(readyMessage).length - 1, 1);
  assert.equal(stopped.stderr.split('\tLedger\t').length - 1, 1);
  assert.equal(stopped.exitCode, 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} reports what is complete and counts what is open`, { skip }, async (t) => {
    const server = await startServer(t, 'node');
    const client = await startClient(t, 'node', server);
    const receiver = await startReceiver(t);
    const run = newRun();
    const truth = await client.run(planRequests(run, 28, 'all'), { connections: 4 });
    const open = client.run([planRequest(`${run}-open`, { query: '&delay=600000' })]);
    open.catch(() => {}); // never answered: ends with its process
    const idle = await startClient(t, 'node', server);
    await idle.run([planRequest(`${run}-after`)]).then((more) => truth.push(...more)); // by now the open one is with the server
    receiver.signal(signal);
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    assert.equal(stopped.ledger?.transactions.not_exported?.['open_at_exit'], 2, JSON.stringify(stopped.ledger));
    assert.ok(stopped.tookMs < 5500, `took ${stopped.tookMs} ms`);
  });
}

test('SIGUSR2 tells the books as they stand, and changes nothing', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const receiver = await startReceiver(t);
  const run = newRun();
  const open = client.run([planRequest(`${run}-open`, { query: '&delay=600000' })]);
  open.catch(() => {}); // never answered: ends with its process
  const other = await startClient(t, 'node', server);
  const truth = await other.run(planRequests(run, 14, 'plain'));
  process.kill(receiver.pid, 'SIGUSR2');
  await waitFor('the books', () => receiver.stderr().includes('\tLedger\t'));
  truth.push(...(await other.run([planRequest(`${run}-after`)])));
  const stopped = await receiver.stop();
  const [now, end] = stopped.stderr
    .split('\n')
    .filter((line) => line.includes('\tLedger\t'))
    .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as { balanced: boolean; transactions: Record<string, number> });
  assert.ok(now !== undefined && end !== undefined, stopped.stderr);
  assert.equal(now.balanced, true, stopped.stderr);
  assert.ok((now.transactions['pending'] ?? -1) >= 0, stopped.stderr);
  assert.equal(end.transactions['pending'], undefined);
  assertTruth(stopped, truth);
});

interface Held {
  readonly programs: Set<number>;
  readonly maps: Set<number>;
}

/** Ids of the BPF programs and maps that a process holds, from /proc/<pid>/fdinfo. */
function heldBy(pid: number): Held {
  const held: Held = { programs: new Set(), maps: new Set() };
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    let info: string;
    try {
      info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
    } catch {
      continue; // closed meanwhile
    }
    const program = /^prog_id:\s*(\d+)/m.exec(info);
    const map = /^map_id:\s*(\d+)/m.exec(info);
    if (program) held.programs.add(Number(program[1]));
    if (map) held.maps.add(Number(map[1]));
  }
  return held;
}

function idsInKernel(what: 'prog' | 'map'): Set<number> {
  const list = JSON.parse(execFileSync('bpftool', ['-j', what, 'show'], { encoding: 'utf8' })) as { id: number }[];
  return new Set(list.map(({ id }) => id));
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`${signal} leaves no BPF program and no map behind`, { skip }, async (t) => {
    const receiver = await startReceiver(t);
    const held = heldBy(receiver.pid);
    assert.ok(held.programs.size > 3 && held.maps.size > 3, 'the receiver holds programs and maps while it runs');
    receiver.signal(signal);
    await receiver.stop();
    // The kernel frees them after a grace period.
    await waitFor('programs and maps to go', () => {
      const [programs, maps] = [idsInKernel('prog'), idsInKernel('map')];
      return ![...held.programs].some((id) => programs.has(id)) && ![...held.maps].some((id) => maps.has(id));
    });
  });
}

test('a second signal ends it at once', { skip }, async (t) => {
  // A backend that takes the connection and never answers keeps the first signal busy.
  const sockets: Socket[] = [];
  const backend = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    backend.close();
  });
  const { port } = backend.address() as { port: number };
  const receiver = await startReceiver(t, { hasFile: false, exporters: { otlp_http: { endpoint: `http://127.0.0.1:${port}` } } });
  const server = await startServer(t, 'go');
  await (await startClient(t, 'go', server)).run(planRequests(newRun(), 8, 'plain'));
  receiver.signal('SIGTERM');
  await waitFor('the export that hangs', () => sockets.length > 0);
  receiver.signal('SIGTERM');
  const stopped = await receiver.stop();
  assert.ok(stopped.tookMs < 1000, `took ${stopped.tookMs} ms after the second signal`);
});

for (const [name, open] of [
  ['that refuses connections', false],
  ['that takes connections and never answers', true],
] as const) {
  test(`with a backend ${name} it ends within the shutdown timeout, everything counted`, { skip }, async (t) => {
    const sockets: Socket[] = [];
    let port = await freePort();
    if (open) {
      const backend = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
      await once(backend, 'listening');
      t.after(() => {
        for (const socket of sockets) socket.destroy();
        backend.close();
      });
      port = (backend.address() as { port: number }).port;
    }
    const receiver = await startReceiver(t, {
      hasFile: false,
      exporters: { otlp_grpc: { endpoint: `127.0.0.1:${port}`, tls: { insecure: true } } },
    });
    const server = await startServer(t, 'go');
    const truth = await (await startClient(t, 'go', server)).run(planRequests(newRun(), 20, 'plain'));
    const stopped = await receiver.stop();
    assertBooks(stopped);
    assert.ok(stopped.tookMs < 6000, `took ${stopped.tookMs} ms`);
    const { seen, exported, not_exported = {} } = stopped.ledger!.transactions;
    assert.ok(seen >= 2 * truth.length);
    assert.equal(exported, 0);
    assert.ok((not_exported['export_failed'] ?? 0) >= 2 * truth.length, JSON.stringify(stopped.ledger));
  });
}

test('a wrong configuration ends it with 1 and the path of the key', { skip }, async (t) => {
  const stopped = await runReceiver(t, { usm: { fliter: {} } });
  assert.equal(stopped.exitCode, 1);
  assert.match(stopped.stderr, /receivers::usm[^]*fliter[^]*filter/);
  assert.doesNotMatch(stopped.stderr, /\n\s+at /, 'no stack');
});

test('a file that is not there ends it with 1 and its name', { skip }, async (t) => {
  const stopped = await runReceiver(t, { configFile: 'no-such-file.yaml' });
  assert.equal(stopped.exitCode, 1);
  assert.match(stopped.stderr, /no-such-file\.yaml/);
});

test('without privileges it ends with 1 and says which are missing', { skip }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-user-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const configFile = path.join(folder, 'config.yaml');
  writeFileSync(
    configFile,
    'receivers: {usm: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [usm], exporters: [debug]}}}\n',
  );
  const stopped = await runReceiver(t, { configFile, uid: 65534 });
  assert.equal(stopped.exitCode, 1, stopped.stderr);
  assert.match(stopped.stderr, /root|CAP_BPF|privilege/i);
  assert.doesNotMatch(stopped.stderr, /\n\s+at /, 'no stack');
});
