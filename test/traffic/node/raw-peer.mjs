// Plays a script at one end of a connection: raw-peer.mjs listen|connect HOST:PORT|PATH
// stdin: one step a line, played in order; each answered on stdout by {"kind":"step","n":…} once it is done.
//   {"do":"open"}             connect, or wait for the next connection (a former one is forgotten, not closed)
//   {"do":"send","text":"…"}  written in one call; or "base64"
//   {"do":"expect","bytes":n} wait until n more bytes have come; {"do":"expect","text":"…"}: until this was seen
//   {"do":"expectEnd"}        wait for the peer's FIN or reset
//   {"do":"end"}              shut the writing half down
//   {"do":"close"} {"do":"reset"} {"do":"exit"}
import net from 'node:net';
import { createInterface } from 'node:readline';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [side, target] = process.argv.slice(2);
const colon = target.lastIndexOf(':');
const where = target.startsWith('/') ? { path: target } : { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };

let socket;
let received = Buffer.alloc(0);
let isOver = false;
const waiting = [];
let wake = () => {};

async function until(condition) {
  while (!condition()) await new Promise((resolve) => (wake = resolve));
}

function adopt(opened) {
  socket = opened;
  received = Buffer.alloc(0);
  isOver = false;
  socket.setNoDelay(true);
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    wake();
  });
  const over = () => {
    isOver = true;
    wake();
  };
  socket.on('error', over).on('end', over).on('close', over);
}

const steps = {
  async open() {
    if (side === 'connect') {
      await new Promise((resolve, reject) => {
        adopt(net.connect({ ...where, allowHalfOpen: true }, resolve));
        socket.once('error', reject);
      });
    } else {
      await until(() => waiting.length > 0);
      adopt(waiting.shift());
    }
  },
  send: ({ text, base64 }) =>
    new Promise((resolve) =>
      socket.write(base64 !== undefined ? Buffer.from(base64, 'base64') : Buffer.from(text, 'latin1'), resolve),
    ),
  async expect({ bytes, text }) {
    const find = () =>
      text === undefined
        ? received.length >= bytes
          ? bytes
          : -1
        : received.indexOf(text) < 0
          ? -1
          : received.indexOf(text) + text.length;
    await until(() => find() >= 0 || isOver);
    if (find() < 0) throw new Error(`the peer was gone before ${text ?? `${bytes} bytes`} came`);
    received = received.subarray(find());
  },
  expectEnd: () => until(() => isOver),
  end: () => new Promise((resolve) => socket.end(resolve)),
  close: () => void socket.destroy(),
  reset: () => void socket.resetAndDestroy(),
  exit: () => process.exit(0),
};

if (side === 'listen') {
  const server = net.createServer({ allowHalfOpen: true }, (opened) => {
    waiting.push(opened);
    wake();
  });
  server.listen(where, () =>
    say({ kind: 'listening', pid: process.pid, ...(where.path ? { path: where.path } : { port: server.address().port }) }),
  );
} else {
  say({ kind: 'ready', pid: process.pid });
}

let n = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  try {
    await steps[step.do](step);
    say({ kind: 'step', n: n++ });
  } catch (error) {
    say({ kind: 'step', n: n++, error: String(error) });
  }
}
process.exit(0);
