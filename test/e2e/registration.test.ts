// A program in which nobody can find it registers where its threads have their contexts: from then on every transaction is below the span of its own
// thread, in that process and its children, until it executes another program. What cannot be proven is refused, and changes nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { buildContextLibrary, buildGoRegistrant, buildRegistrant } from '../traffic/build.ts';
import { serverCertificate } from '../traffic/certificate.ts';
import { type Program, startProgram } from '../traffic/program.ts';
import {
  assertBooks,
  kernelTestSkip,
  readyMessage,
  type Receiver,
  receiverMain,
  runReceiver,
  startReceiver,
  type Stopped,
} from './harness.ts';
import { readSpans, targetOf, type SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** C library, then what has the variable: the static program, or a library. */
type Build = 'glibc program' | 'glibc library' | 'musl program' | 'musl library';

interface SetUp {
  readonly receiver: Receiver;
  readonly socket: string;
  readonly port: number;
  readonly start: (build: Build, prefix?: readonly string[]) => Promise<Program>;
}

async function setUp(
  t: TestContext,
  registration: object = {},
  usm: (folder: string) => object = () => ({}),
  threadContext: object = {},
): Promise<SetUp> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-registration-'));
  chmodSync(folder, 0o755);
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const socket = path.join(folder, 'register.sock');
  const server = http.createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const receiver = await startReceiver(t, {
    usm: {
      ...usm(folder),
      thread_context: { enabled: true, ...threadContext, registration: { endpoint: socket, ...registration } },
    },
  });
  return {
    receiver,
    socket,
    port: (server.address() as AddressInfo).port,
    start: async (build, prefix = []) => {
      const [libc, linkage] = build.split(' ') as Parameters<typeof buildRegistrant>;
      // Where other users get at it.
      const file = path.join(folder, 'registrant');
      if (!existsSync(file)) copyFileSync(buildRegistrant(libc, linkage), file);
      const program = startProgram(t, file, [socket], { prefix });
      await program.next('ready');
      return program;
    },
  };
}

async function register(program: Program): Promise<void> {
  program.send('register');
  assert.deepEqual(await program.next('registered'), { kind: 'registered', result: 0, text: '' });
}

async function run(
  program: Program,
  verb: 'get' | 'fork' | 'exec' | 'odd',
  port: number,
  first: number,
  count: number,
): Promise<void> {
  program.send(`${verb} ${String(port)} ${String(first)} ${String(count)}`);
  await program.next('done');
}

/** The CLIENT spans of requests, by number; one that comes twice is an error. */
function clientsOf(spans: readonly SpanRecord[], from = 0): Map<number, SpanRecord> {
  const clients = new Map<number, SpanRecord>();
  for (const span of spans) {
    const number = Number(/^\/r\?id=(\d+)$/.exec(targetOf(span))?.[1] ?? -1);
    if (span.kind !== 'CLIENT' || number < from) continue;
    assert.equal(clients.has(number), false, `two spans of ${String(number)}`);
    clients.set(number, span);
  }
  return clients;
}

const traceIdOf = (number: number): string => 'c1'.repeat(9) + number.toString(16).padStart(14, '0');
const spanIdOf = (number: number): string => 'c1' + number.toString(16).padStart(14, '0');

interface Planned {
  readonly first: number;
  readonly count: number;
  readonly isBelow: boolean;
}

/** Exactly those, each below its own span or none. Numbers below `from` do not count. */
function assertPlanned(stopped: Stopped, planned: readonly Planned[], from = 0): void {
  assertBooks(stopped);
  const clients = clientsOf(stopped.spans, from);
  const faults: string[] = [];
  for (const { first, count, isBelow } of planned) {
    for (let number = first; number < first + count; number++) {
      const span = clients.get(number);
      clients.delete(number);
      const isOwn =
        span?.traceId === traceIdOf(number) &&
        span.parentSpanId === spanIdOf(number) &&
        span.attributes['usm.correlation.source'] === 'thread_context';
      const isRoot = span?.parentSpanId === '' && span.attributes['usm.correlation.source'] === 'none';
      if (isBelow ? !isOwn : !isRoot) {
        faults.push(`${String(number)}: ${span === undefined ? 'no span' : `${span.traceId} ${span.parentSpanId}`}`);
      }
    }
  }
  assert.deepEqual([faults.length, faults.slice(0, 3), clients.size], [0, [], 0]);
}

for (const build of ['glibc program', 'glibc library', 'musl program', 'musl library'] as const) {
  test(
    `a process (${build}) that has registered is known with its children, until it executes another one`,
    { skip },
    async (t) => {
      const { receiver, port, start } = await setUp(t);
      const program = await start(build);
      await run(program, 'get', port, 1_000, 50);
      await register(program);
      await run(program, 'get', port, 2_000, 200);
      await run(program, 'fork', port, 3_000, 100);
      await run(program, 'get', port, 4_000, 50);
      await register(program);
      await run(program, 'get', port, 5_000, 50);
      await run(program, 'exec', port, 6_000, 50);
      await run(program, 'fork', port, 7_000, 50);
      await register(program);
      await run(program, 'get', port, 8_000, 50);
      assertPlanned(await receiver.stop(), [
        { first: 1_000, count: 50, isBelow: false },
        { first: 2_000, count: 200, isBelow: true },
        { first: 3_000, count: 100, isBelow: true },
        { first: 4_000, count: 50, isBelow: true },
        { first: 5_000, count: 50, isBelow: true },
        { first: 6_000, count: 50, isBelow: false },
        { first: 7_000, count: 50, isBelow: false },
        { first: 8_000, count: 50, isBelow: true },
      ]);
    },
  );
}

/** An HTTPS server in this process. */
async function startSecureServer(t: TestContext): Promise<number> {
  const { certificate, key } = serverCertificate();
  const tls = { cert: readFileSync(certificate), key: readFileSync(key) };
  const server = https.createServer(tls, (_, response) => response.end('ok')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Requests, numbered from 1, until one has such a span: the library that it is encrypted with, or the variable, has been found. */
async function untilSeen(receiver: Receiver, program: Program, port: number, isIt: (span: SpanRecord) => boolean): Promise<void> {
  let number = 1;
  await waitFor('a span of a request by HTTPS', async () => {
    await run(program, 'get', port, number++, 1);
    return [...clientsOf(receiver.spans()).values()].some(isIt);
  });
}

const pythonClient = path.join(import.meta.dirname, '../traffic/python/context_client.py');

for (const [name, commandOf] of [
  ["OpenSSL's", (socket: string) => ['python3', pythonClient, buildContextLibrary(), socket] as const],
  ["Go's", (socket: string) => [buildGoRegistrant(), socket] as const],
] as const) {
  test(`requests by HTTPS (${name}) are below the span of the registered thread as well`, { skip }, async (t) => {
    const { receiver, socket } = await setUp(t);
    const port = await startSecureServer(t);
    const [command, ...args] = commandOf(socket);
    const program = startProgram(t, command, args);
    await program.next('ready');
    await untilSeen(receiver, program, port, () => true);
    await run(program, 'get', port, 1_000, 30);
    await register(program);
    await run(program, 'get', port, 2_000, 100);
    const planned = [
      { first: 1_000, count: 30, isBelow: false },
      { first: 2_000, count: 100, isBelow: true },
    ];
    assertPlanned(await receiver.stop(), planned, 1_000);
  });
}

test('requests by HTTPS are below the span of a thread that is found without registration as well', { skip }, async (t) => {
  const { receiver, socket } = await setUp(t);
  const port = await startSecureServer(t);
  const program = startProgram(t, 'python3', [pythonClient, buildContextLibrary(), socket]);
  await program.next('ready');
  program.send('publish');
  assert.deepEqual(await program.next('published'), { kind: 'published', result: 0 });
  await untilSeen(receiver, program, port, ({ attributes }) => attributes['usm.correlation.source'] === 'thread_context');
  await run(program, 'get', port, 2_000, 100);
  assertPlanned(await receiver.stop(), [{ first: 2_000, count: 100, isBelow: true }], 2_000);
});

type Oddity = 'contextNone' | 'contextHalfSet' | 'contextImplausible' | 'contextFault';

/** What c/registrant.c may have as a record, and as what it counts; undefined: as the context that it is. */
const oddRecords: readonly (readonly [description: string, counted: Oddity | undefined])[] = [
  ['as it should be', undefined],
  ['no pointer', 'contextNone'],
  ['valid: 0', 'contextNone'],
  ['valid: 2', 'contextNone'],
  ['valid: 0x80', 'contextNone'],
  ['valid: 255', 'contextNone'],
  ['no ids', 'contextNone'],
  ['no trace id', 'contextHalfSet'],
  ['no span id', 'contextHalfSet'],
  ['an odd address', 'contextImplausible'],
  ['613 bytes of attributes', 'contextImplausible'],
  ['65,535 bytes of attributes', 'contextImplausible'],
  ['612 bytes of attributes', undefined],
  ['attributes where no memory is', undefined],
  ['an address where no memory is', 'contextFault'],
  ['a record that ends where memory does, too early', 'contextFault'],
  ["an address of the kernel's", 'contextFault'],
  ['as it should be, after all of these', undefined],
];

test('whatever a thread has as its record, only a whole one is a context, and each other one is counted', { skip }, async (t) => {
  // So that attributes are read at all.
  const { receiver, port, start } = await setUp(t, {}, undefined, { attributes: ['any'] });
  const program = await start('glibc program');
  await register(program);
  await run(program, 'odd', port, 1_000, oddRecords.length);
  const stopped = await receiver.stop();
  const planned = oddRecords.map(([, counted], kind) => ({ first: 1_000 + kind, count: 1, isBelow: counted === undefined }));
  assertPlanned(stopped, planned);
  const counted = (oddity: Oddity): number => oddRecords.filter(([, one]) => one === oddity).length;
  const kernel = stopped.ledger?.kernel ?? {};
  for (const oddity of ['contextHalfSet', 'contextImplausible', 'contextFault'] as const)
    assert.equal(kernel[oddity], counted(oddity), oddity);
  // What it writes to its standard output is in no span either.
  assert.ok((kernel['contextNone'] ?? 0) >= counted('contextNone'), JSON.stringify(kernel));
});

test('a program that says where the variable is not is refused, and nothing is read there from then on', { skip }, async (t) => {
  const { receiver, socket, port, start } = await setUp(t);
  const program = await start('glibc program');
  for (const [claim, reason] of [
    ['static -72', /^error proof .*no record with the nonce/],
    ['static -16777216', /^error proof /],
    ['dtv 1 0 glibc', /^error proof /],
    ['dtv 60000 0 glibc', /^error proof nothing could be read/],
    ['dtv 1 0 musl', /^error proof /],
  ] as const) {
    assert.match(await answerTo(t, socket, `otel-thread-context 1 register ${claim}\n`), reason, claim);
  }
  // This process, which has been refused, in no span; and one that is believed.
  for (let number = 1; number <= 20; number++) {
    await (await fetch(`http://127.0.0.1:${String(port)}/r?id=${String(number)}`)).text();
  }
  await register(program);
  await run(program, 'get', port, 2_000, 20);
  assertPlanned(await receiver.stop(), [
    { first: 1, count: 20, isBelow: false },
    { first: 2_000, count: 20, isBelow: true },
  ]);
});

/** What a program is told that claims this and then says that it is proven. */
async function answerTo(t: TestContext, socket: string, claim: string): Promise<string> {
  const client = net.connect(socket);
  t.after(() => client.destroy());
  let text = '';
  client.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    if (/^challenge [0-9a-f]{32}\n$/.test(text)) client.write('proof\n');
  });
  client.write(claim);
  await once(client, 'close');
  return text.slice(text.indexOf('\n') + 1);
}

test('nobody proves for another process, not even with its connection', { skip }, async (t) => {
  const { receiver, port, start } = await setUp(t);
  const program = await start('glibc program');
  program.send('stranger');
  assert.match(String((await program.next('answer'))['text']), /^error identity .*not the one that connected/);
  await run(program, 'get', port, 1_000, 20);
  assertPlanned(await receiver.stop(), [{ first: 1_000, count: 20, isBelow: false }]);
});

test('a process of another pid and mount namespace registers like any other', { skip }, async (t) => {
  const { receiver, port, start } = await setUp(t);
  const program = await start('musl program', ['unshare', '--pid', '--mount', '--fork', '--kill-child']);
  await register(program);
  await run(program, 'get', port, 1_000, 50);
  await run(program, 'fork', port, 2_000, 50);
  await program.stop();
  assertPlanned(await receiver.stop(), [
    { first: 1_000, count: 50, isBelow: true },
    { first: 2_000, count: 50, isBelow: true },
  ]);
});

test('of a receiver in a pid namespace, whoever is in it registers, and nobody outside', { skip }, async (t) => {
  const { receiver, socket, port, start } = await setUp(t);
  await receiver.stop();
  const folder = path.dirname(socket);
  const output = path.join(folder, 'spans.json');
  const config = {
    receivers: { usm: { thread_context: { enabled: true, registration: { endpoint: socket } } } },
    exporters: { file: { path: output, flush_interval: '50ms' } },
    service: { pipelines: { traces: { receivers: ['usm'], exporters: ['file'] } } },
  };
  writeFileSync(path.join(folder, 'config.yaml'), JSON.stringify(config));
  const command = [process.execPath, receiverMain, '--config', path.join(folder, 'config.yaml')];
  const unshare = spawn('unshare', ['--pid', '--fork', '--kill-child', ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => unshare.kill('SIGKILL')); // and with it the receiver
  let log = '';
  unshare.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  await waitFor('the receiver to be ready', () => log.includes(readyMessage), 20_000);
  const pid = String(unshare.pid);
  const inside = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();

  const outsider = await start('glibc program');
  outsider.send('register');
  const { result, text } = await outsider.next('registered');
  assert.deepEqual([result, /identity .*pid namespace/.test(String(text))], [-13, true]);
  const insider = await start('glibc program', ['nsenter', '--pid', '--target', inside]);
  await register(insider);
  await run(outsider, 'get', port, 1_000, 10);
  await run(insider, 'get', port, 2_000, 10);
  const spans = await waitFor('all spans', () => {
    const clients = clientsOf(readSpans(output));
    return clients.size === 20 && clients;
  });
  for (const [number, { parentSpanId }] of spans) assert.equal(parentSpanId, number < 2_000 ? '' : spanIdOf(number));
});

test('the mode of the socket says who may register', { skip }, async (t) => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65533', '--clear-groups'];
  const closed = await setUp(t);
  const refused = await closed.start('glibc program', nobody);
  refused.send('register');
  const { result, text } = await refused.next('registered');
  assert.deepEqual([result, String(text).includes('errno 13')], [-13, true]);
  await closed.receiver.stop();

  const open = await setUp(t, { mode: '0660', group: 65533 });
  const { mode, gid } = statSync(open.socket);
  assert.deepEqual([mode & 0o7777, gid], [0o660, 65533]);
  const program = await open.start('glibc program', nobody);
  await register(program);
  await run(program, 'get', open.port, 1_000, 20);
  assertPlanned(await open.receiver.stop(), [{ first: 1_000, count: 20, isBelow: true }]);
});

test('the socket goes with the receiver, and what a killed one leaves is replaced', { skip }, async (t) => {
  const { receiver, socket } = await setUp(t);
  assert.equal(lstatSync(socket).isSocket(), true);
  assert.equal((await receiver.stop()).exitCode, 0);
  assert.equal(existsSync(socket), false);

  const usm = { thread_context: { enabled: true, registration: { endpoint: socket } } };
  const killed = await startReceiver(t, { usm });
  killed.signal('SIGKILL');
  await killed.stop();
  assert.equal(existsSync(socket), true);
  const next = await startReceiver(t, { usm });
  const second = await runReceiver(t, { usm });
  assert.equal(second.exitCode, 1);
  assert.match(second.stderr, /cannot take registrations of thread contexts on .*register\.sock: another process listens there;/);
  await next.stop();
  assert.equal(existsSync(socket), false);
});

/** Connects as fast as it can, says nonsense, half a line, nothing, or a claim that it cannot prove. */
const flood = `
  const net = require('node:net');
  const texts = ['x\\n', 'otel-thread-context 1 reg', '', 'otel-thread-context 1 register static -72\\n', 'y'.repeat(5000)];
  let n = 0;
  const one = () => {
    const socket = net.connect(process.argv[1]);
    socket.on('error', () => {}).on('close', () => setImmediate(one)).on('data', () => socket.write('proof\\n'));
    const text = texts[n++ % texts.length];
    if (text !== '') socket.write(text);
    else setTimeout(() => socket.destroy(), 50);
  };
  for (let i = 0; i < 50; i++) one();
  console.log('flooding');
`;

test('a user that floods the socket costs nobody else a registration, a transaction or a context', { skip }, async (t) => {
  const { receiver, socket, port, start } = await setUp(t, { mode: '0666' });
  const program = await start('glibc program');
  const child = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', flood, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await register(program);
  await run(program, 'get', port, 1_000, 500);
  await register(program);
  await run(program, 'get', port, 2_000, 500);
  child.kill('SIGKILL');
  await once(child, 'close');
  assertPlanned(await receiver.stop(), [
    { first: 1_000, count: 500, isBelow: true },
    { first: 2_000, count: 500, isBelow: true },
  ]);
});

test('registering is no traffic: it appears in no book', { skip }, async (t) => {
  const { receiver, port, start } = await setUp(t, {}, (folder) => ({
    filter: { include: [{ executables: [path.join(folder, 'registrant')] }] },
  }));
  const program = await start('glibc program');
  for (let time = 0; time < 10; time++) await register(program);
  await run(program, 'get', port, 1_000, 10);
  const stopped = await receiver.stop();
  assertPlanned(stopped, [{ first: 1_000, count: 10, isBelow: true }]);
  // Its standard input and output are UNIX sockets, too.
  assert.deepEqual([stopped.ledger?.connections?.seen, stopped.ledger?.connections?.not_http], [12, 2]);
});
