// HTTP client of the traffic generator (see ../README.md): echo-client.mjs HOST:PORT | PATH
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { createInterface } from 'node:readline';

const DECOY = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n';
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const target = process.argv[2];
const colon = target.lastIndexOf(':');
const where = target.startsWith('/')
  ? { path: target }
  : { host: target.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(target.slice(colon + 1)) };
const authority = where.path ? 'localhost' : target;
const isSecure = process.env.TLS !== undefined;
const { Agent, request: open } = isSecure ? https : http;
const agent = new Agent({ keepAlive: true, maxSockets: 1, scheduling: 'fifo', rejectUnauthorized: false });

function exchange(planned) {
  return new Promise((resolve) => {
    const headers = { host: authority, ...planned.headers };
    const body = Buffer.alloc(planned.bodySize ?? 0, DECOY);
    if (planned.chunked) headers['transfer-encoding'] = 'chunked';
    else if (body.length > 0) headers['content-length'] = body.length;
    if (planned.expectContinue) headers.expect = '100-continue';
    const endpoint = where.path ? { socketPath: where.path } : where;
    const request = open({ ...endpoint, agent, method: planned.method, path: planned.target, headers });
    let isDone = false;
    const done = (line) => {
      if (isDone) return;
      isDone = true;
      say({ kind: 'exchange', id: planned.id, ...line });
      resolve();
    };
    request.on('error', (error) => done({ error: error.code ?? String(error) }));
    request.on('response', (response) => {
      let responseBodySize = 0;
      const facts = () => ({
        status: response.statusCode,
        responseBodySize,
        serverPid: Number(response.headers['server-pid']),
        headers: response.headers,
      });
      response.on('data', (data) => (responseBodySize += data.length));
      response.on('end', () => done(facts()));
      response.on('error', (error) => done({ ...facts(), error: error.code ?? String(error) }));
      response.on('aborted', () => done({ ...facts(), error: 'aborted' }));
    });
    const sendBody = () => {
      if (planned.chunked) for (let i = 0; i < body.length; i += 1000) request.write(body.subarray(i, i + 1000));
      else if (body.length > 0) request.write(body);
      request.end();
    };
    if (planned.expectContinue) request.on('continue', sendBody).flushHeaders();
    else sendBody();
  });
}

/** `depth` requests (without bodies) in one write, then their answers: framing by Content-Length only, which is what the server sends. */
function pipelined(requests) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(where);
    let received = Buffer.alloc(0);
    let next = 0;
    socket.on('error', reject);
    socket.on('connect', () =>
      socket.write(requests.map((r) => `${r.method} ${r.target} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`).join('')),
    );
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (;;) {
        const headEnd = received.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const head = received.toString('latin1', 0, headEnd);
        const planned = requests[next];
        const status = Number(head.slice(9, 12));
        const length =
          planned.method === 'HEAD' || status === 204 || status === 304 ? 0 : Number(/content-length: (\d+)/i.exec(head)[1]);
        if (received.length < headEnd + 4 + length) return;
        received = received.subarray(headEnd + 4 + length);
        next += 1;
        say({
          kind: 'exchange',
          id: planned.id,
          status,
          responseBodySize: length,
          serverPid: Number(/server-pid: (\d+)/i.exec(head)[1]),
        });
        if (next === requests.length) return socket.end(resolve);
      }
    });
  });
}

async function run(plan) {
  const { requests, pipeline = 1, connections = 1 } = plan;
  agent.maxSockets = connections;
  if (pipeline > 1) {
    for (let i = 0; i < requests.length; i += pipeline) await pipelined(requests.slice(i, i + pipeline));
  } else {
    let next = 0;
    const worker = async () => {
      while (next < requests.length) await exchange(requests[next++]);
    };
    await Promise.all(Array.from({ length: connections }, worker));
  }
  say({ kind: 'done' });
}

say({ kind: 'ready', pid: process.pid });
for await (const line of createInterface({ input: process.stdin })) await run(JSON.parse(line));
process.exit(0);
