// Whatever the kernel tells, in whatever order, with whatever missing: nothing throws, the books balance, and no answer goes to another's
// question. STREAM_CONNECTIONS and STREAM_SEED choose how many connections there are of each kind, and which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../support/random.ts';
import { type Message, Script, type ScriptOptions } from './random-script.ts';
import { SimulatedSocket, type Weather } from './simulated-socket.ts';
import { type Bench, createBench } from './socket.ts';

const connections = Number(process.env['STREAM_CONNECTIONS'] ?? 2000);
const seed = Number(process.env['STREAM_SEED'] ?? 7);
/** Connections over one table, one after the other. */
const TABLE_CONNECTIONS = 40;

const calm: Weather = { lost: 0, unseen: 0, cut: 0, stalled: 0, swapped: 0, threads: 'one' };
const lossy: Weather = { ...calm, lost: 50 };
const racing: Weather = { ...calm, stalled: 150, swapped: 100, threads: 'one_each' };
const wild: Weather = { lost: 30, unseen: 10, cut: 20, stalled: 150, swapped: 100, threads: 'two_each' };

const waiting: ScriptOptions = { clients: ['waits'], old: 0, unix: 200, interim: 100, early: 0 };
const pipelining: ScriptOptions = { ...waiting, clients: ['batches', 'slides'] };
const anything: ScriptOptions = { clients: ['waits', 'batches', 'slides'], old: 200, unix: 200, interim: 200, early: 50 };

/** What is wrong with the transactions of one connection, if anything. */
function mistakeIn(bench: Bench, first: number, socket: SimulatedSocket, messages: readonly Message[]): string | undefined {
  const told = new Set<string>();
  for (const { request, response, start, end, abort } of bench.transactions.slice(first)) {
    const message = messages.find(({ target }) => target === request.target);
    if (message === undefined) return `${request.target} was never asked`;
    if (told.has(request.target)) return `${request.target} was told twice`;
    told.add(request.target);
    if (response !== undefined && response.statusCode !== message.status) return `${request.target} got another's answer`;
    if (abort === undefined && response?.bodySize !== undefined && response.bodySize !== message.responseSize) {
      return `${request.target}: ${response.bodySize} of ${message.responseSize} bytes answered`;
    }
    if (request.bodySize !== undefined && request.bodySize !== message.requestSize) {
      return `${request.target}: ${request.bodySize} of ${message.requestSize} bytes asked`;
    }
    if (abort !== undefined && socket.isComplete(message)) return `${request.target} was answered, and told as ${abort}`;
    if (end < start) return `${request.target} ends before it starts`;
  }
  return undefined;
}

/** Runs connections and returns the share of complete exchanges that were told. */
function shareOf(weather: Weather, options: ScriptOptions): number {
  const random = new Random(seed);
  let complete = 0;
  let told = 0;
  for (let done = 0; done < connections; done += TABLE_CONNECTIONS) {
    const bench = createBench();
    let time = 0;
    for (let id = 1; id <= TABLE_CONNECTIONS; id++) {
      const connectionSeed = random.below(2 ** 31);
      const own = new Random(connectionSeed);
      const script = new Script(own, options, id);
      const socket = new SimulatedSocket(bench, own, weather, script, id, time);
      const first = bench.transactions.length;
      socket.run();
      time = socket.time;
      const mistake = mistakeIn(bench, first, socket, script.messages);
      assert.equal(mistake, undefined, `connection ${done + id}, number ${id} with seed ${connectionSeed}`);
      complete += script.messages.filter((message) => socket.isComplete(message)).length;
      told += bench.transactions.slice(first).filter(({ abort }) => abort === undefined).length;
    }
    assert.equal(bench.table.size, 0, 'connections are left');
    bench.table.close();
    const report = bench.ledger.report();
    assert.ok(report.balanced, JSON.stringify(report));
    assert.equal(report.transactions.seen, bench.transactions.length + sum(report.transactions.not_exported));
  }
  return told / complete;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** At least `share` of the exchanges are told, and none wrongly. */
const cases: readonly (readonly [title: string, share: number, weather: Weather, options: ScriptOptions])[] = [
  ['in calm weather', 1, calm, waiting],
  ['one in twenty events lost', 0.64, lossy, waiting],
  ['one in twenty events lost, without interim responses and UNIX sockets', 0.65, lossy, { ...waiting, interim: 0, unix: 0 }],
  ['answers before the request is whole, and events lost', 0.64, lossy, { ...waiting, early: 200 }],
  ['reads and writes of two threads', 0.97, racing, waiting],
  ['reads and writes of two threads, and events lost', 0.62, { ...racing, lost: 50 }, waiting],
  ['pipelined requests', 0.95, racing, pipelining],
  ['pipelined requests, and events lost', 0.5, { ...racing, lost: 50 }, pipelining],
  ['reads of two threads, and writes of two', 0.4, { ...racing, threads: 'two_each' }, waiting],
  ['connections older than the receiver', 0.88, calm, { ...waiting, old: 1000 }],
  ['connections older than the receiver, and events lost', 0.47, lossy, { ...waiting, old: 1000 }],
  ['everything at once from clients that wait', 0.27, wild, { ...anything, clients: ['waits'] }],
  ['everything at once', 0.18, wild, anything],
];

for (const [title, least, weather, options] of cases) {
  test(`${title}: nothing wrong, and enough`, (t) => {
    const share = shareOf(weather, options);
    t.diagnostic(`${(share * 100).toFixed(1)} % of the exchanges`);
    assert.ok(share >= least, `${share} of the exchanges were told`);
  });
}
