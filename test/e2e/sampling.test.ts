// Sampling of real traffic, at a real Collector: a trace is there at both ends or at none, by its id alone; errors and slow exchanges are all
// there; and metrics and the ledger know of every exchange.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCollector } from '../peers/peers.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, kernelTestSkip, startReceiver } from './harness.ts';
import type { PointRecord } from './metric-points.ts';
import { readSpans, targetOf, type SpanRecord } from './spans.ts';

const skip = kernelTestSkip();
const SLOW_MS = 500;
/** The last 56 bits of a trace id that is kept with a ratio of one half. */
const THRESHOLD = '80000000000000';
const randomPart = ({ traceId }: SpanRecord): string => traceId.slice(-THRESHOLD.length);
const isChosen = (span: SpanRecord): boolean => randomPart(span) >= THRESHOLD;
const durationMs = ({ start, end }: SpanRecord): number => Number(end - start) / 1e6;

/** Its random part is below the threshold. */
const incoming = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

test(
  'half of the traces are there, whole, and all that failed or took long; what is counted is everything',
  { skip },
  async (t) => {
    const collector = await startCollector(t);
    const server = await startServer(t, 'go');
    const client = await startClient(t, 'node', server);
    const receiver = await startReceiver(t, {
      usm: {
        filter: { include: [{ pids: [server.pid, client.pid] }] },
        // On a machine that leaves the receiver no CPU for a while, nothing is to be shed here.
        capture: { ring_buffer_size: '64MiB' },
        sampling: { ratio: 0.5, keep_errors: true, keep_slower_than: `${SLOW_MS}ms` },
      },
      exporters: { otlp_grpc: { endpoint: `127.0.0.1:${collector.grpcPort}`, tls: { insecure: true } } },
      signals: ['traces', 'metrics'],
    });
    const small = planRequests(newRun(), 460, 'plain').filter(({ size }) => size < 1000);
    const quick = await client.run(small, { connections: 4 });
    const slowRun = newRun();
    const slow = await client.run(
      Array.from({ length: 16 }, (_, i) => planRequest(`${slowRun}-${i}`, { query: `&delay=${SLOW_MS + 1}` })),
      { connections: 8 },
    );
    const headers = { traceparent: `00-${incoming.traceId}-${incoming.spanId}-01` };
    const joined = await client.run(planRequests(newRun(), 20, 'bodiless').map((request) => ({ ...request, headers })));
    const stopped = await receiver.stop();
    await collector.stop();

    const begun = [...quick, ...slow];
    const spans = readSpans(collector.file);
    const wrong = compareTruth([...begun, ...joined], spans, { mayMiss: true });
    assert.equal(wrong, undefined, wrong);
    const byTarget = new Map<string, SpanRecord[]>();
    for (const span of spans) byTarget.set(targetOf(span), [...(byTarget.get(targetOf(span)) ?? []), span]);

    let chosen = 0;
    for (const { target, status } of begun) {
      const ends = byTarget.get(target) ?? [];
      for (const span of ends) {
        assert.equal(span.traceState, isChosen(span) ? 'ot=th:8' : 'ot=th:0', target);
        assert.ok(isChosen(span) || span.isError || durationMs(span) >= SLOW_MS, `${target} is neither chosen, failed nor slow`);
      }
      assert.equal(new Set(ends.map(({ traceId }) => traceId)).size, Math.min(ends.length, 1), target);
      const kinds = ends.map(({ kind }) => kind).sort();
      if (ends.some(isChosen)) chosen++;
      if (ends.some(isChosen) || status === 500 || target.includes('delay='))
        assert.deepEqual(kinds, ['CLIENT', 'SERVER'], target);
      else if (status === 404) assert.ok(kinds.includes('CLIENT'), target);
    }
    // Six standard deviations.
    assert.ok(Math.abs(chosen - begun.length / 2) < 3 * Math.sqrt(begun.length), `${chosen} of ${begun.length} traces`);

    for (const { target } of joined) {
      const [span, ...others] = byTarget.get(target) ?? [];
      assert.deepEqual([span?.kind, span?.traceId, span?.parentSpanId, others.length], ['SERVER', ...Object.values(incoming), 0]);
      assert.equal(span?.traceState, '', 'its own sampling is not ours to tell');
    }

    assertBooks(stopped);
    assert.deepEqual(stopped.ledger?.transactions.not_exported, {
      sampled_out: 2 * begun.length + joined.length - spans.length,
      sdk_duplicate: joined.length,
    });
    const total = (metric: string): number =>
      stopped.points.filter((point: PointRecord) => point.metric === metric).reduce((sum, { count }) => sum + count, 0);
    assert.equal(total('http.server.request.duration'), begun.length + joined.length);
    assert.equal(total('http.client.request.duration'), begun.length + joined.length);
    const there = new Set([...spans, incoming].map(({ traceId, spanId }) => `${traceId}-${spanId}`));
    const exemplars = stopped.points.flatMap((point) => point.exemplars);
    assert.ok(exemplars.length > 0);
    for (const { traceId, spanId } of exemplars) assert.ok(there.has(`${traceId}-${spanId}`), 'an exemplar leads to a span');
  },
);
