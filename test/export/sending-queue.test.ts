import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExportResult } from '../../receiver/export/exporter.ts';
import type { QueuedPayload, QueueOptions } from '../../receiver/export/sending-queue.ts';
import { SendingQueue } from '../../receiver/export/sending-queue.ts';
import { settle } from './manual-timers.ts';
import { accepted, deferred, MemoryExporter } from './memory-exporter.ts';

const entry = (items: number, firstItem = 0): QueuedPayload => ({ payload: { items, body: new Uint8Array(1) }, firstItem });

function start(options: Partial<QueueOptions>) {
  const answers: ((result: ExportResult) => void)[] = [];
  const exporter = new MemoryExporter('otlp', () => {
    const answer = deferred<ExportResult>();
    answers.push(answer.resolve);
    return answer.promise;
  });
  const settled: [number, string | undefined][] = [];
  const queue = new SendingQueue(
    exporter,
    { enabled: true, numConsumers: 2, queueSize: 10, sizer: 'items', ...options },
    (one, result) => settled.push([one.firstItem, result?.kind]),
  );
  return { queue, answers, settled, exporter };
}

test('payloads are sent in order by so many consumers at a time', async () => {
  const { queue, answers, settled, exporter } = start({});
  for (let i = 0; i < 5; i++) assert.ok(queue.offer(entry(1, i)));
  await settle();
  assert.equal(exporter.attempts.length, 2);
  answers[1]?.(accepted);
  await settle();
  assert.equal(exporter.attempts.length, 3);
  for (const index of [0, 2]) answers[index]?.(accepted);
  await settle();
  for (const index of [3, 4]) answers[index]?.(accepted);
  await settle();
  assert.deepEqual(
    settled.map(([first]) => first),
    [1, 0, 2, 3, 4],
  );
  assert.equal(queue.size, 0);
});

test('what does not fit is not taken, and what is being sent still counts', async () => {
  const { queue, answers } = start({});
  assert.ok(queue.offer(entry(6)));
  assert.ok(!queue.offer(entry(5)));
  assert.ok(queue.offer(entry(4)));
  assert.ok(!queue.offer(entry(1)));
  assert.equal(queue.size, 10);
  await settle();
  answers[0]?.(accepted);
  await settle();
  assert.equal(queue.size, 4);
  assert.ok(queue.offer(entry(6)));
});

test('sized in requests, spans do not matter', () => {
  const { queue } = start({ sizer: 'requests', queueSize: 2 });
  assert.ok(queue.offer(entry(1_000_000)));
  assert.ok(queue.offer(entry(1_000_000)));
  assert.ok(!queue.offer(entry(1)));
});

test('switched off, one is sent and one may wait', async () => {
  const { queue, exporter } = start({ enabled: false, queueSize: 1000 });
  assert.ok(queue.offer(entry(1000)));
  assert.ok(queue.offer(entry(1000)));
  assert.ok(!queue.offer(entry(1)));
  await settle();
  assert.equal(exporter.attempts.length, 1);
});

test('abandon settles everything once, and late answers change nothing', async () => {
  const { queue, answers, settled } = start({});
  for (let i = 0; i < 4; i++) queue.offer(entry(1, i));
  await settle();
  queue.abandon();
  for (const answer of answers) answer(accepted);
  await settle();
  assert.deepEqual(settled, [
    [0, undefined],
    [1, undefined],
    [2, undefined],
    [3, undefined],
  ]);
  assert.equal(queue.size, 0);
});

test('an exporter that breaks its promise loses no accounting', async () => {
  const settled: string[] = [];
  const exporter = new MemoryExporter('otlp', () => Promise.reject(new Error('bug')));
  const queue = new SendingQueue(exporter, { enabled: true, numConsumers: 1, queueSize: 10, sizer: 'items' }, (_, result) =>
    settled.push(result?.kind ?? ''),
  );
  queue.offer(entry(1));
  queue.offer(entry(1));
  await settle();
  assert.deepEqual(settled, ['refused', 'refused']);
});
