// HTTP/2 client of the traffic generator (see ../README.md): http2-client.mjs HOST:PORT | PATH
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { createInterface } from 'node:readline';
import { filler } from './http2-decoy.mjs';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const target = process.argv[2];
const colon = target.lastIndexOf(':');
const where = target.startsWith('/')
  ? { path: target }
  : { host: target.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(target.slice(colon + 1)) };
const authority = where.path ? 'localhost' : target;
const isSecure = process.env.TLS !== undefined;
const { PADDING } = process.env;

/** They stay open between plans. */
const sessions = [];

async function openSession() {
  const session = http2.connect(`${isSecure ? 'https' : 'http'}://${authority}`, {
    createConnection: () =>
      isSecure ? tls.connect({ ...where, ALPNProtocols: ['h2'], rejectUnauthorized: false }) : net.connect(where),
    ...(PADDING === undefined ? {} : { paddingStrategy: http2.constants.PADDING_STRATEGY_MAX }),
    settings: { initialWindowSize: 1 << 20 },
  });
  session.on('error', () => {});
  session.on('stream', (pushed) => pushed.on('error', () => {}).resume());
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('close', reject));
  return session;
}

function exchange(session, planned) {
  return new Promise((resolve) => {
    const body = filler(planned.bodySize ?? 0);
    const headers = {
      ':method': planned.method,
      ':path': planned.target,
      ...(planned.protocol === undefined ? {} : { ':protocol': planned.protocol }),
      ...planned.headers,
    };
    const hasTrailers = planned.trailers === true && body.length > 0;
    const stream = session.request(headers, {
      endStream: body.length === 0 && planned.protocol === undefined,
      waitForTrailers: hasTrailers,
    });
    const cancel = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    let responseBodySize = 0;
    let facts = {};
    let error;
    if (hasTrailers) stream.on('wantTrailers', () => stream.sendTrailers({ 'client-took': '2' }));
    stream.on('response', (response) => {
      facts = { status: response[':status'], serverPid: Number(response['server-pid']), headers: response };
      if (planned.cancel === 'head') cancel();
      if (planned.protocol !== undefined) stream.end(filler(1000));
    });
    stream.on('data', (data) => {
      responseBodySize += data.length;
      if (planned.cancel === 'body') cancel();
    });
    stream.on('error', (reason) => (error = reason.code ?? String(reason)));
    stream.on('close', () => {
      if (stream.rstCode !== 0) error = `reset ${stream.rstCode}`;
      say({ kind: 'exchange', id: planned.id, ...facts, responseBodySize, ...(error === undefined ? {} : { error }) });
      resolve();
    });
    if (planned.cancel === 'request') setTimeout(cancel, 20);
    if (planned.protocol !== undefined) return;
    if (planned.chunked) for (let i = 0; i < body.length; i += 1000) stream.write(body.subarray(i, i + 1000));
    else if (body.length > 0) stream.write(body);
    stream.end();
  });
}

async function run({ requests, connections = 1, streams = 1 }) {
  while (sessions.length < connections) sessions.push(await openSession());
  let next = 0;
  const worker = async (session) => {
    while (next < requests.length) await exchange(session, requests[next++]);
  };
  await Promise.all(sessions.slice(0, connections).flatMap((session) => Array.from({ length: streams }, () => worker(session))));
  say({ kind: 'done' });
}

say({ kind: 'ready', pid: process.pid });
for await (const line of createInterface({ input: process.stdin })) await run(JSON.parse(line));
process.exit(0);
