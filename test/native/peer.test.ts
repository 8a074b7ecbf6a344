// Who is at the other end of a UNIX socket: as the kernel has it, and not as anybody says.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { NativeError, peerOf } from '../../native/index.ts';

const isRoot = process.getuid?.() === 0;

function newSocketPath(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-peer-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return path.join(folder, 's');
}

const fdOf = (socket: net.Socket): number => (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;

async function accept(t: TestContext, file: string): Promise<() => Promise<net.Socket>> {
  const server = net.createServer().listen(file);
  t.after(() => server.close());
  await once(server, 'listening');
  return async () => {
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    t.after(() => socket.destroy());
    return socket;
  };
}

const connectAndWait = "require('node:net').connect(process.argv[1]).on('close', () => process.exit())";

test('a peer is the process that connected, and each connection has a cookie of its own', async (t) => {
  const file = newSocketPath(t);
  const next = await accept(t, file);
  const peers = [];
  for (let index = 0; index < 2; index++) {
    const child = spawn(process.execPath, ['-e', connectAndWait, file], { stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const peer = peerOf(fdOf(await next()));
    assert.deepEqual([peer.pid, peer.uid], [child.pid, process.getuid?.()]);
    peers.push(peer);
  }
  assert.ok(peers[0]?.cookie !== 0n && peers[0]?.cookie !== peers[1]?.cookie);
});

test('a peer of another user is of that user', { skip: isRoot ? false : 'not root' }, async (t) => {
  const file = newSocketPath(t);
  const next = await accept(t, file);
  const script = `process.setgid(65533); process.setuid(65534); ${connectAndWait}`;
  chmodSync(path.dirname(file), 0o755);
  chmodSync(file, 0o777);
  const other = spawn(process.execPath, ['-e', script, file], { stdio: 'ignore' });
  t.after(() => other.kill('SIGKILL'));
  assert.equal(peerOf(fdOf(await next())).uid, 65534);
});

test('a peer outside of our pid namespace has none', { skip: isRoot ? false : 'not root' }, async (t) => {
  const file = newSocketPath(t);
  const script = `
    import { peerOf } from ${JSON.stringify(new URL('../../native/index.ts', import.meta.url).href)};
    import net from 'node:net';
    net.createServer((socket) => { console.log(peerOf(socket._handle.fd).pid); process.exit(); })
      .listen(process.argv[1], () => console.log('listening'));`;
  const args = ['--pid', '--fork', '--kill-child', process.execPath, '--input-type=module', '-e', script, file];
  const inside = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => inside.kill('SIGKILL'));
  let text = '';
  inside.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text === 'listening\n') net.connect(file).on('error', () => undefined);
  });
  await once(inside, 'close');
  assert.equal(text, 'listening\n0\n');
});

test('what is no socket has no peer', (t) => {
  const fd = openSync('/dev/null', 'r');
  t.after(() => {
    closeSync(fd);
  });
  for (const bad of [fd, -1]) {
    assert.throws(
      () => peerOf(bad),
      (error) => error instanceof NativeError && ['ENOTSOCK', 'EBADF'].includes(error.code),
    );
  }
});
