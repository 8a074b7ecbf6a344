// Both ends of many connections in one process: overload-pairs.mjs TCP_COUNT UNIX_COUNT
// stdin: `open`; then `ask` writes 18 bytes from each client, and `answer` 27 from each server. Each is answered by {"kind":"done"} when
// the other ends have them. To be started with pipes, so that it has no other connections.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [tcpCount, unixCount] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(path.join(tmpdir(), 'usm-pairs-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const pairs = [];

async function open(count, where) {
  const server = net.createServer();
  server.listen(where);
  await once(server, 'listening');
  const target = where.path === undefined ? { port: server.address().port, host: where.host } : where;
  for (let i = 0; i < count; i++) {
    const accepted = once(server, 'connection');
    const client = net.connect(target);
    await once(client, 'connect');
    const [accepting] = await accepted;
    pairs.push({ client: client.setNoDelay(true), server: accepting.setNoDelay(true) });
  }
  server.close();
}

async function move(from, to, text) {
  let left = text.length;
  const arrived = new Promise((resolve) => {
    const take = (data) => {
      left -= data.length;
      if (left > 0) return;
      to.off('data', take);
      resolve();
    };
    to.on('data', take);
  });
  from.write(text);
  await arrived;
}

const steps = {
  async open() {
    await open(tcpCount, { port: 0, host: '127.0.0.1' });
    await open(unixCount, { path: path.join(folder, 'socket') });
  },
  async ask() {
    for (const { client, server } of pairs) await move(client, server, 'GET / HTTP/1.1\r\n\r\n');
  },
  async answer() {
    for (const { client, server } of pairs) await move(server, client, 'HTTP/1.1 204 No Content\r\n\r\n');
  },
};

const input = createInterface({ input: process.stdin });
input.once('close', () => process.exit());
say({ kind: 'ready', pid: process.pid });
for await (const step of input) {
  await steps[step]();
  say({ kind: 'done' });
}
