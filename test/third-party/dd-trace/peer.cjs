// A server or a client of Node.js that is in a span of dd-trace's in each request, which dd-trace publishes for observers. ../README.md has the protocol.
//   peer.cjs serve [worker]        peer.cjs call PORT
// With `worker`, the server is in a thread of its own.
// NODE_PATH leads to the packages.
'use strict';
const http = require('node:http');
const readline = require('node:readline');
const { isMainThread, Worker } = require('node:worker_threads');
// Spans are made by hand, and no header goes with a request: what joins them is what is published.
const tracer = require('dd-trace').init({ plugins: false, startupLogs: false });

const modes = ['both', 'client', 'server', 'none', 'early'];
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function modeOf(mode, number) {
  return mode === 'mixed' ? modes[number % modes.length] : mode;
}

function describe(span, name) {
  const context = span.context();
  return { trace: context.toTraceId(true), span: context.toSpanId(true), name };
}

// Whoever answers does so after some turns of the event loop, with others between.
async function pause() {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function answer(url, response) {
  const id = Number(url.searchParams.get('id'));
  const mode = modeOf(url.searchParams.get('mode'), id);
  const isTold = mode === 'both' || mode === 'server' || mode === 'early';
  if (!isTold) {
    await pause();
    response.end('ok');
    return;
  }
  const parent = tracer.startSpan('server.request');
  await tracer.scope().activate(parent, async () => {
    const span = tracer.startSpan('server.handle', { childOf: parent });
    const told = [describe(parent, 'server.request'), describe(span, 'server.handle')];
    await tracer.scope().activate(span, async () => {
      await pause();
      if (mode !== 'early') {
        await new Promise((resolve) => {
          response.on('finish', resolve);
          response.end('ok');
        });
      }
      span.finish();
    });
    parent.finish();
    say({ kind: 'trace', id, spans: told });
    if (mode === 'early') response.end('ok');
  });
}

function serve() {
  const server = http.createServer((request, response) => {
    void answer(new URL(request.url, 'http://localhost'), response);
  });
  server.listen(0, '127.0.0.1', () => say({ kind: 'ready', port: server.address().port }));
  if (isMainThread) untilInputEnds();
}

function untilInputEnds() {
  process.stdin.on('end', () => process.exit(0)).resume();
}

function fetchOnce(port, agent, id, mode) {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, agent, path: `/t?id=${id}&mode=${mode}` }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => (text += part));
      response.on('end', () => resolve(response.statusCode === 200 && text === 'ok'));
    });
    request.on('error', () => resolve(false));
  });
}

async function request(port, agent, id, mode, traces) {
  if (!['both', 'client', 'early'].includes(modeOf(mode, id))) return fetchOnce(port, agent, id, mode);
  const span = tracer.startSpan('client.request');
  return tracer.scope().activate(span, async () => {
    await pause();
    const isDone = await fetchOnce(port, agent, id, mode);
    traces.push({ kind: 'trace', id, spans: [describe(span, 'client.request')] });
    span.finish();
    return isDone;
  });
}

async function run(port, first, count, concurrency, mode) {
  // As many sockets as there are requests at a time: none waits for another one's.
  const agent = new http.Agent({ keepAlive: true });
  const traces = [];
  let failed = 0;
  let next = first;
  const work = async () => {
    while (next < first + count) if (!(await request(port, agent, next++, mode, traces))) failed++;
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  agent.destroy();
  say({ kind: 'done', failed, traces });
}

function call(port) {
  say({ kind: 'ready' });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [, first, count, concurrency, mode] = line.split(' ');
    void run(port, Number(first), Number(count), Number(concurrency), mode);
  });
  lines.on('close', () => process.exit(0));
}

const [, , command, argument] = process.argv;
if (command === 'call') call(Number(argument));
else if (argument === 'worker') {
  new Worker(__filename, { argv: ['serve'] });
  untilInputEnds();
} else serve();
