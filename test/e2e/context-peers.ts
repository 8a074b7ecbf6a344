// context-peer (../traffic/c): a server and a client that publish the span of each request for their threads, and what must come of it.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { buildContextPeer } from '../traffic/build.ts';
import { startProgram, type Cleanup, type Program } from '../traffic/program.ts';
import { targetOf, type SpanRecord } from './spans.ts';

export type Linkage = Parameters<typeof buildContextPeer>[0];
export type Mode = 'both' | 'client' | 'server' | 'none' | 'sdk' | 'carry' | 'contradict' | 'linger' | 'mixed';

export interface Peers {
  readonly server: Program;
  readonly client: Program;
  /** Requests `first` … `first + count - 1`. */
  run(mode: Mode, first: number, count: number, threads: number): Promise<void>;
}

export async function startPeers(cleanup: Cleanup, linkage: Linkage, ...serverArgs: string[]): Promise<Peers> {
  const file = buildContextPeer(linkage);
  const server = startProgram(cleanup, file, ['serve', ...serverArgs]);
  cleanup.after(() => server.stop());
  const { port } = await server.next('ready');
  const client = startProgram(cleanup, file, ['call', String(port)]);
  cleanup.after(() => client.stop());
  await client.next('ready');
  return {
    server,
    client,
    async run(mode, first, count, threads) {
      client.send(`run ${first} ${count} ${threads} ${mode}`);
      assert.equal((await client.next('done'))['failed'], 0);
    },
  };
}

/** Requests are numbered from here on; what has a smaller number only makes the processes known. */
export const FIRST = 1_000_000;

/** Undefined: a span of something else; others on this host may speak HTTP, too. */
export function numberOf(span: SpanRecord): number | undefined {
  const number = Number(/^\/c\?id=(\d+)&mode=/.exec(targetOf(span))?.[1] ?? 0);
  return number < FIRST ? undefined : number;
}

/** The spans of a request. */
export interface Pair {
  client: SpanRecord | undefined;
  server: SpanRecord | undefined;
}

const traceIdOf = (tag: string, number: number): string => tag.repeat(8) + number.toString(16).padStart(16, '0');
const spanIdOf = (tag: string, number: number): string => tag + number.toString(16).padStart(14, '0');
const sourceOf = (span: SpanRecord): unknown => span.attributes['usm.correlation.source'];

/** It is the child of the span that its own thread has published for this request. */
export function isBelowOwn(span: SpanRecord | undefined, number: number): boolean {
  const tag = span?.kind === 'CLIENT' ? 'c1' : '5e';
  return (
    span?.traceId === traceIdOf(tag, number) && span.parentSpanId === spanIdOf(tag, number) && sourceOf(span) === 'thread_context'
  );
}

/** What is wrong with the pair, for a mode; undefined: nothing. */
export function faultOf(mode: Mode, number: number, { client, server }: Pair): string | undefined {
  const isJoined = client !== undefined && server?.parentSpanId === client.spanId && server.traceId === client.traceId;
  const isRoot = client?.parentSpanId === '' && sourceOf(client) === 'none';
  switch (mode) {
    case 'both':
      return isBelowOwn(client, number) && isBelowOwn(server, number) ? undefined : 'not below their own';
    case 'client':
      return isBelowOwn(client, number) && isJoined
        ? undefined
        : 'the server is not below the client, or the client not below its own';
    case 'server':
    case 'linger':
      return isRoot && isBelowOwn(server, number) ? undefined : 'the client is no root, or the server not below its own';
    case 'none':
      return isRoot && isJoined ? undefined : 'not one trace of their own';
    case 'sdk':
      return client === undefined && server === undefined ? undefined : 'spans that an SDK has made already';
    case 'mixed':
      return faultOf((number - FIRST) % 2 === 0 ? 'linger' : 'none', number, { client, server });
    case 'carry':
    case 'contradict': {
      const confidence = mode === 'carry' ? 'confirmed' : 'observed';
      const links = mode === 'carry' ? [] : [{ traceId: traceIdOf('5e', number), spanId: spanIdOf('5e', number) }];
      const isBelow = server?.traceId === traceIdOf('c1', number) && server.parentSpanId === spanIdOf('c2', number);
      const isSo = server?.attributes['usm.correlation.confidence'] === confidence && isDeepStrictEqual(server.links, links);
      return client === undefined && isBelow && isSo ? undefined : `not ${confidence} below the traceparent`;
    }
  }
}
