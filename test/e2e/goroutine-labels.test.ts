// Servers made by Go join the spans that the pprof labels of their goroutines name: each transaction its own, also of a stripped program. Where nothing says that
// the labels are there, they are read only if that was asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildContextPeer, buildGoLabels } from '../traffic/build.ts';
import { startProgram } from '../traffic/program.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';
import { targetOf, type SpanRecord } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const FIRST = 1_000_000;
const modes = ['both', 'server', 'none', 'client'] as const;

const numberOf = (span: SpanRecord): number => Number(/^\/c\?id=(\d+)&mode=/.exec(targetOf(span))?.[1] ?? 0);
const isPublished = (span: SpanRecord): boolean => span.attributes['usm.correlation.source'] === 'thread_context';
const ownTrace = (number: number): string => '5e'.repeat(8) + number.toString(16).padStart(16, '0');
const ownSpan = (number: number): string => `5e${number.toString(16).padStart(14, '0')}`;

const cases = [
  { name: 'a program that publishes that it has labels', flags: '', args: [], asks: false, isRead: true },
  { name: 'a stripped program', flags: '-s -w', args: [], asks: false, isRead: true },
  {
    name: 'a program that publishes nothing, read because that was asked for',
    flags: '',
    args: ['silent'],
    asks: true,
    isRead: true,
  },
  { name: 'a program that publishes nothing', flags: '', args: ['silent'], asks: false, isRead: false },
] as const;

for (const { name, flags, args, asks, isRead } of cases) {
  test(`labels of goroutines: ${name}`, { skip }, async (t) => {
    const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true, go_labels: asks } } });
    const server = startProgram(t, buildGoLabels(flags), args);
    t.after(() => server.stop());
    const { port } = await server.next('ready');
    const client = startProgram(t, buildContextPeer('program'), ['call', String(port)]);
    t.after(() => client.stop());
    await client.next('ready');
    const run = async (mode: string, first: number, count: number, threads: number): Promise<void> => {
      client.send(`run ${first} ${count} ${threads} ${mode}`);
      assert.equal((await client.next('done'))['failed'], 0);
    };
    let number = 1;
    await waitFor('published spans of both ends', async () => {
      await run('both', number++, 1, 1);
      const found = receiver.spans().filter((span) => numberOf(span) > 0 && isPublished(span));
      return found.some(({ kind }) => kind === 'CLIENT') && found.some(({ kind }) => kind === 'SERVER') === isRead;
    });
    for (const [index, mode] of modes.entries()) await run(mode, FIRST + index * 1_000, 300, 8);
    const stopped = await receiver.stop();
    assertBooks(stopped);
    const clients = new Map<number, SpanRecord>();
    const servers = new Map<number, SpanRecord>();
    for (const span of stopped.spans)
      if (numberOf(span) >= FIRST) (span.kind === 'CLIENT' ? clients : servers).set(numberOf(span), span);
    assert.deepEqual([clients.size, servers.size], [1_200, 1_200]);
    const faults: string[] = [];
    for (const [id, span] of servers) {
      const mode = modes[Math.floor((id - FIRST) / 1_000)];
      const isOwn = isPublished(span) && span.traceId === ownTrace(id) && span.parentSpanId === ownSpan(id);
      // An answer that overtakes the request's event finds no client to be below; it is below nothing else then.
      const isNobodys = span.parentSpanId === '' && span.attributes['usm.correlation.source'] === 'none';
      const isJoined = span.parentSpanId === clients.get(id)?.spanId && span.traceId === clients.get(id)?.traceId;
      if (!(isRead && (mode === 'both' || mode === 'server') ? isOwn : isJoined || isNobodys)) {
        const { traceId, parentSpanId, attributes } = span;
        const { traceId: clientTrace, spanId } = clients.get(id) as SpanRecord;
        faults.push(JSON.stringify({ mode, id, traceId, parentSpanId, attributes, clientTrace, spanId }));
      }
    }
    assert.deepEqual([faults.length, faults.slice(0, 5)], [0, []]);
  });
}
