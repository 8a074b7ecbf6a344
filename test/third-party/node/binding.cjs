// An HTTP server or client with spans by OpenTelemetry's API, published by examples/node-binding. Protocol and modes: ../README.md.
//   binding.cjs ADDON serve
//   binding.cjs ADDON call PORT
const http = require('node:http');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { trace } = require('@opentelemetry/api');
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { ThreadContextManager } = require('./context-manager.cjs');

const modes = ['both', 'client', 'server', 'none', 'early'];
const [addonFile, role, port] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const addon = require(addonFile);
addon.publish(`binding-${role}`);

const traces = [];
const tell = role === 'serve' ? say : (line) => traces.push(line);
const processor = {
  onStart() {},
  onEnd(span) {
    const { traceId, spanId } = span.spanContext();
    tell({ kind: 'trace', id: span.attributes['request.id'], spans: [{ trace: traceId, span: spanId, name: span.name }] });
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};
new NodeTracerProvider({ spanProcessors: [processor] }).register({ contextManager: new ThreadContextManager(addon) });
const tracer = trace.getTracer('binding');

/** work, in a span of that name if it is wanted. */
function inSpan(name, number, isWanted, work) {
  if (!isWanted) return work();
  return tracer.startActiveSpan(name, { attributes: { 'request.id': number } }, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

async function serve() {
  const server = http.createServer(async (request, response) => {
    const query = new URL(request.url, 'http://any').searchParams;
    const number = Number(query.get('id'));
    const mode = query.get('mode');
    // Others have their turn while this request is in its span.
    await inSpan('serve', number, mode === 'early', () => sleep(number % 5));
    await inSpan('serve', number, mode === 'both' || mode === 'server', async () => {
      await sleep(number % 3);
      response.setHeader('content-length', 2);
      response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1', () => say({ kind: 'ready', port: server.address().port }));
  process.stdin.resume().on('end', () => process.exit(0));
}

const agent = new http.Agent({ keepAlive: true });

function get(target) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: target, agent }, (response) => {
      let body = '';
      response.on('data', (data) => (body += data));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
}

async function call() {
  say({ kind: 'ready' });
  for await (const line of createInterface({ input: process.stdin })) {
    const [, first, count, concurrency, mode] = line.split(' ');
    const end = Number(first) + Number(count);
    let next = Number(first);
    let failed = 0;
    agent.maxSockets = Number(concurrency);
    const work = async () => {
      while (next < end) {
        const number = next++;
        const its = mode === 'mixed' ? modes[number % modes.length] : mode;
        const isWanted = its === 'both' || its === 'client' || its === 'early';
        const body = await inSpan('call', number, isWanted, () => get(`/t?id=${number}&mode=${its}`));
        if (body !== 'ok') failed++;
      }
    };
    // Twice as many as there are connections, so that requests wait for each other's.
    await Promise.all(Array.from({ length: 2 * Number(concurrency) }, work));
    say({ kind: 'done', failed, traces: traces.splice(0) });
  }
  process.exit(0);
}

if (role === 'serve') serve();
else call();
