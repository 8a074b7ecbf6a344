// Programs in which a tracer that is not ours publishes the spans of the threads, and what must become of their requests: each below a span of its own, by
// what the tracer itself tells of the spans that it made.
import assert from 'node:assert/strict';
import { assertBooks, type Receiver, type Stopped } from '../e2e/harness.ts';
import { targetOf, type SpanRecord } from '../e2e/spans.ts';
import { waitFor } from '../e2e/wait.ts';
import { startProgram, type Line, type Program } from '../traffic/program.ts';
import type { Cleanup } from '../traffic/program.ts';

/** Which ends are in a span; `early`: the server's is over before it answers. `mixed`: these five in turns. */
export const modes = ['both', 'client', 'server', 'none', 'early'] as const;
export type Mode = (typeof modes)[number];

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

interface TracerSpan {
  readonly trace: string;
  readonly span: string;
  readonly name: string;
}

/** The spans that the tracers of both ends have made, by the number of the request. */
interface Truth {
  readonly client: Map<number, readonly TracerSpan[]>;
  readonly server: Map<number, readonly TracerSpan[]>;
}

export interface Peers {
  readonly port: number;
  readonly truth: Truth;
  readonly server: Program;
  readonly client: Program;
  /** Requests `first` … `first + count - 1`; has their truth when it resolves. */
  run(mode: Mode | 'mixed', first: number, count: number, concurrency: number): Promise<void>;
}

/** No run opens more. */
const MAX_CONNECTIONS = 16;

/** Numbers of requests whose spans are looked at begin here. */
export const FIRST = 1000;

export async function startPeers(t: Cleanup, serve: Command, call: Command): Promise<Peers> {
  const env = ({ env = {} }: Command): { env: Readonly<Record<string, string>> } => ({ env });
  const server = startProgram(t, serve.file, serve.args, env(serve));
  const { port } = await server.next('ready', 30_000);
  const client = startProgram(t, call.file, [...call.args, String(port)], env(call));
  await client.next('ready', 30_000);
  const truth: Truth = { client: new Map(), server: new Map() };
  return {
    port: Number(port),
    truth,
    server,
    client,
    async run(mode, first, count, concurrency) {
      client.send(`run ${first} ${count} ${concurrency} ${mode}`);
      const done = await client.next('done', 30_000);
      assert.equal(done['failed'], 0);
      for (const line of done['traces'] as readonly Line[]) note(truth.client, line);
      for (let number = first; number < first + count; number++) {
        if (['both', 'server', 'early'].includes(modeOf(mode, number))) note(truth.server, await server.next('trace'));
      }
    },
  };
}

function note(spans: Map<number, readonly TracerSpan[]>, line: Line): void {
  const number = Number(line['id']);
  assert.ok(!spans.has(number), `two traces of request ${number}`);
  spans.set(number, line['spans'] as readonly TracerSpan[]);
}

export function modeOf(mode: Mode | 'mixed', number: number): Mode {
  return mode === 'mixed' ? modes[number % modes.length]! : mode;
}

export function isPublished(span: SpanRecord): boolean {
  return span.attributes['usm.correlation.source'] === 'thread_context';
}

/** Requests until both processes have been found to publish. Several servers share the port of one that forks: all of them. */
export async function untilLocated(receiver: Receiver, peers: Peers, servers = 1): Promise<void> {
  let number = 1;
  await waitFor(
    'spans below published ones at both ends',
    async () => {
      await peers.run('both', number++, 1, 1);
      const found = ofPeers(receiver.spans(), peers).filter(isPublished);
      const pids = new Set(found.filter((span) => span.kind === 'SERVER').map((span) => span.resource['process.pid']));
      return pids.size === servers && found.some((span) => span.kind === 'CLIENT');
    },
    30_000,
  );
}

export function ofPeers(spans: readonly SpanRecord[], { port }: Peers): readonly SpanRecord[] {
  return spans.filter((span) => span.attributes['server.port'] === port && targetOf(span).startsWith('/t?id='));
}

interface Pair {
  client: SpanRecord | undefined;
  server: SpanRecord | undefined;
}

/** By the request's number, those from FIRST on; a span that comes twice is an error. */
export function pairsOf(spans: readonly SpanRecord[], peers: Peers): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  for (const span of ofPeers(spans, peers)) {
    const number = Number(/id=(\d+)/.exec(targetOf(span))?.[1]);
    if (number < FIRST) continue;
    const pair = pairs.get(number) ?? { client: undefined, server: undefined };
    const role = span.attributes['url.full'] === undefined ? 'server' : 'client';
    assert.equal(pair[role], undefined, `two ${role} spans of ${number}`);
    pair[role] = span;
    pairs.set(number, pair);
  }
  return pairs;
}

/** The name of the tracer's span that this one is below; undefined: it is below none. */
export function parentIn(spans: readonly TracerSpan[] | undefined, span: SpanRecord): string | undefined {
  return spans?.find((one) => one.trace === span.traceId && one.span === span.parentSpanId)?.name;
}

/** What is wrong with the pair; undefined: nothing. */
function faultOf(mode: Mode, number: number, { client, server }: Pair, truth: Truth, names: Names): string | undefined {
  if (client === undefined || server === undefined) return 'a span is missing';
  if (mode === 'none' || mode === 'server') {
    if (client.parentSpanId !== '') return 'the client is no root';
  } else if (!isPublished(client) || parentIn(truth.client.get(number), client) !== names.client) {
    return 'the client is not below its own span';
  }
  if (mode === 'both' || mode === 'server') {
    const isBelow = isPublished(server) && parentIn(truth.server.get(number), server) === names.server;
    return isBelow ? undefined : 'the server is not below its own span';
  }
  if (isApart(mode, server)) return undefined;
  const isBelow = server.parentSpanId === client.spanId && server.traceId === client.traceId;
  return isBelow ? undefined : 'the server is not below the client';
}

/** The first transaction of a server's connection waits 20 ms for the client's end of it, which on a very busy machine can be too little. */
function isApart(mode: Mode, server: SpanRecord): boolean {
  return mode !== 'both' && mode !== 'server' && server.parentSpanId === '';
}

function serviceFaultOf({ client, server }: Pair, { services }: Names): string | undefined {
  if (services === undefined) return undefined;
  const isNamed = (span: SpanRecord | undefined, name: string): boolean => span?.resource['service.name'] === name;
  return isNamed(client, services.client) && isNamed(server, services.server) ? undefined : 'a service is not called by its name';
}

/** Of the tracer's spans that those of the receiver must be below. */
export interface Names {
  readonly client: string;
  readonly server: string;
  /** What the tracer calls the two services, if it publishes process contexts as well. */
  readonly services?: { readonly client: string; readonly server: string };
}

/** Exactly these requests have spans, both ends, each below the right one; and the books balance. */
export function assertWritten(stopped: Stopped, peers: Peers, mode: Mode | 'mixed', count: number, names: Names): void {
  assertBooks(stopped);
  const pairs = pairsOf(stopped.spans, peers);
  const faults: string[] = [];
  let apart = 0;
  for (let number = FIRST; number < FIRST + count; number++) {
    const pair = pairs.get(number) ?? { client: undefined, server: undefined };
    pairs.delete(number);
    const its = modeOf(mode, number);
    if (pair.server !== undefined && isApart(its, pair.server)) apart++;
    const fault = faultOf(its, number, pair, peers.truth, names) ?? serviceFaultOf(pair, names);
    if (fault !== undefined) {
      const { client, server } = peers.truth;
      const all = { pair, client: client.get(number), server: server.get(number) };
      const text = JSON.stringify(all, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      faults.push(`${its} ${number}: ${fault}: ${text}`);
    }
  }
  assert.deepEqual(
    [faults.length, faults.slice(0, 3)],
    [0, []],
    `${faults.slice(0, 3).join('\n')}\n${JSON.stringify(stopped.ledger)}`,
  );
  assert.equal(pairs.size, 0, 'spans of no request');
  assert.ok(apart <= MAX_CONNECTIONS, `${apart} servers are roots`);
}
