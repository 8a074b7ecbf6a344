// Goes from one span's context into another's in every way that Node.js has, and compares after each what the thread publishes with what is active.
//   switches.cjs ADDON
// Prints a line for each that differs, and {"kind":"done","ways":N,"inSpan":N,"outside":N,"wrong":N}. Beside context-manager.cjs of examples/node-binding.
const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const sleep = require('node:timers/promises').setTimeout;
const { context, ROOT_CONTEXT, trace } = require('@opentelemetry/api');
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { ThreadContextManager } = require('./context-manager.cjs');

const addon = require(process.argv[2]);
const provider = new NodeTracerProvider();
provider.register({ contextManager: new ThreadContextManager(addon) });
const tracer = trace.getTracer('switches');

const ways = new Set();
const counts = { inSpan: 0, outside: 0, wrong: 0 };

function check(way) {
  ways.add(way);
  const expected = trace.getActiveSpan()?.spanContext().spanId;
  counts[expected === undefined ? 'outside' : 'inSpan']++;
  const ids = addon.current();
  const published = ids && Buffer.from(ids).toString('hex', 16, 24);
  if (published === expected) return;
  counts.wrong++;
  console.log(JSON.stringify({ kind: 'wrong', way, published, expected }));
}

const server = http.createServer((_, response) => {
  check('server');
  tracer.startActiveSpan('server', async (span) => {
    check('server span');
    await sleep(1);
    response.end('ok');
    check('answered');
    span.end();
    check('ended');
  });
});

const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
function get(port) {
  return new Promise((resolve) => {
    const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
      check('http response');
      response.on('data', () => check('http data'));
      response.on('end', () => {
        check('http end');
        resolve();
      });
    });
    request.on('socket', () => check('http socket')).on('finish', () => check('http finish'));
  });
}

async function* generate() {
  yield 1;
  await sleep(0);
  check('generator');
  yield 2;
}

const snapshots = [];

async function one(number, port) {
  await tracer.startActiveSpan(`span ${number}`, async (span) => {
    check('startActiveSpan');
    setTimeout(() => check('setTimeout'), number % 3);
    setImmediate(() => check('setImmediate'));
    process.nextTick(() => check('nextTick'));
    queueMicrotask(() => check('queueMicrotask'));
    snapshots.push(AsyncLocalStorage.snapshot());
    const bound = [
      AsyncLocalStorage.bind(() => check('AsyncLocalStorage.bind')),
      AsyncResource.bind(() => check('AsyncResource.bind')),
      context.bind(context.active(), () => check('context.bind')),
    ];
    const resource = new AsyncResource('RESOURCE');
    const emitter = new EventEmitter().on('event', () => check('emit'));
    await null;
    check('await');
    await Promise.all([sleep(number % 4), sleep(1)]);
    check('Promise.all');
    context.with(ROOT_CONTEXT, () => {
      check('with root');
      for (const call of bound) call();
      resource.runInAsyncScope(() => check('runInAsyncScope'));
      check('with root again');
      emitter.emit('event');
    });
    check('after with');
    snapshots[(number * 7) % snapshots.length](() => check('snapshot of another'));
    check('after snapshot');
    tracer.startActiveSpan('inner', (inner) => {
      check('inner');
      inner.end();
    });
    check('after inner');
    await new Promise((resolve) => {
      fs.readFile(__filename, () => {
        check('fs');
        resolve();
      });
    });
    await fs.promises.readFile(__filename);
    check('fs.promises');
    await get(port);
    check('after http');
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    check('after fetch');
    await sleep(0)
      .then(() => Promise.reject(new Error('expected')))
      .catch(() => check('catch'));
    for await (const _ of generate()) check('for await');
    span.end();
  });
  check('outside');
}

process.on('uncaughtException', () => check('uncaughtException'));
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  const many = (count) => Promise.all(Array.from({ length: count }, (_, number) => one(number, port)));
  await many(50);
  tracer.startActiveSpan('throws', () =>
    setTimeout(() => {
      throw new Error('expected');
    }, 0),
  );
  await sleep(10);
  check('after an exception');
  await many(20);
  console.log(JSON.stringify({ kind: 'done', ways: ways.size, ...counts }));
  process.exit(0);
});
