// HTTP/2 as Node.js speaks it: http2-peer.mjs server | proxy PORT | client PORT
// A proxy knows nothing of it. Asked for it, by any line, it tells all bytes that it has carried, by direction.
// A client takes plans, a JSON line each: {"requests": [[up, down], …]}, all under way at once on one connection that the first one opens; "done" when all
// are answered. Bodies are bytes that have nothing to do with HTTP.
import http2 from 'node:http2';
import net from 'node:net';
import { createInterface } from 'node:readline';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const body = (size) => Buffer.alloc(size, 'body of no interest, ');

function serve() {
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    stream.resume().on('end', () => {
      const down = Number(headers['x-down']);
      stream.respond(
        { ':status': 200, 'content-type': 'text/plain', 'x-long': 'y'.repeat(down % 300) },
        { waitForTrailers: down > 0 },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-size': String(down) }));
      stream.end(body(down));
    });
  });
  server.listen(0, '127.0.0.1', () => say({ kind: 'listening', port: server.address().port }));
  process.stdin.resume().on('end', () => process.exit());
}

function ask(session, [up, down]) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': `/${up}/${down}`, 'x-down': String(down) });
    let size = 0;
    stream.on('data', (data) => (size += data.length));
    stream.on('error', reject).on('end', () => (size === down ? resolve() : reject(new Error(`${size} of ${down} bytes`))));
    stream.end(body(up));
  });
}

async function askAll(port) {
  say({ kind: 'ready' });
  let session;
  for await (const line of createInterface({ input: process.stdin })) {
    session ??= http2.connect(`http://127.0.0.1:${port}`);
    await Promise.all(JSON.parse(line).requests.map((request) => ask(session, request)));
    say({ kind: 'done' });
  }
  session?.close();
}

function carry(to) {
  const asked = [];
  const answered = [];
  const server = net.createServer((client) => {
    const onward = net.connect(to, '127.0.0.1');
    client.on('data', (data) => asked.push(data)).pipe(onward);
    onward.on('data', (data) => answered.push(data)).pipe(client);
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
  });
  server.listen(0, '127.0.0.1', () => say({ kind: 'listening', port: server.address().port }));
  createInterface({ input: process.stdin })
    .on('line', () => {
      const [up, down] = [asked, answered].map((parts) => Buffer.concat(parts).toString('base64'));
      say({ kind: 'carried', asked: up, answered: down });
    })
    .on('close', () => process.exit());
}

const [side, port] = process.argv.slice(2);
if (side === 'server') serve();
else if (side === 'proxy') carry(Number(port));
else await askAll(Number(port));
