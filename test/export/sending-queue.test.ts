import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExportResult, Payload } from '../../receiver/export/exporter.ts';
import type { QueueOptions } from '../../receiver/export/sending-queue.ts';
import { SendingQueue } from '../../receiver/export/sending-queue.ts';
import { settle } from './manual-timers.ts';
import { accepted, deferred, MemoryExporter } from './memory-exporter.ts';

const payload = (items: number, bytes = 1): Payload => ({ items, body: new Uint8Array(bytes).fill(items) });

function start(options: Partial<QueueOptions>) {
  const answers: ((result: ExportResult) => void)[] = [];
  const exporter = new MemoryExporter('otlp', () => {
    const answer = deferred<ExportResult>();
    answers.push(answer.resolve);
    return answer.promise;
  });
  const settled: [number | undefined, string][] = [];
  const queue = new SendingQueue(
    exporter,
    { enabled: true, numConsumers: 2, queueSize: 10, sizer: 'items', ...options },
    (one, ending) => settled.push([one.firstItem, ending.kind]),
  );
  return { queue, answers, settled, exporter };
}

test('payloads are sent in order by so many consumers at a time', async () => {
  const { queue, answers, settled, exporter } = start({});
  for (let i = 0; i < 5; i++) assert.ok(queue.offer(payload(1), i));
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
  assert.ok(queue.offer(payload(6), 0));
  assert.ok(!queue.offer(payload(5), 0));
  assert.ok(queue.offer(payload(4), 0));
  assert.ok(!queue.offer(payload(1), 0));
  assert.equal(queue.size, 10);
  await settle();
  answers[0]?.(accepted);
  await settle();
  assert.equal(queue.size, 4);
  assert.ok(queue.offer(payload(6), 0));
});

test('sized in requests, spans do not matter', () => {
  const { queue } = start({ sizer: 'requests', queueSize: 2 });
  assert.ok(queue.offer(payload(1_000_000), 0));
  assert.ok(queue.offer(payload(1_000_000), 0));
  assert.ok(!queue.offer(payload(1), 0));
});

test('sized in bytes, those of the requests count', () => {
  const { queue } = start({ sizer: 'bytes', queueSize: 100 });
  assert.ok(queue.offer(payload(1_000, 60), 0));
  assert.ok(!queue.offer(payload(1, 41), 0));
  assert.ok(queue.offer(payload(1, 40), 0));
  assert.equal(queue.size, 100);
});

test('one that blocks takes what does not fit, and says that it is full until there is room', async () => {
  const { queue, answers, settled } = start({ blockOnOverflow: true, queueSize: 2, numConsumers: 1 });
  for (let i = 0; i < 3; i++) assert.ok(queue.offer(payload(1), i));
  assert.equal(queue.size, 3);
  assert.ok(queue.isFull);
  for (const isFull of [true, false]) {
    await settle();
    answers.at(-1)?.(accepted);
    await settle();
    assert.equal(queue.isFull, isFull);
  }
  assert.equal(settled.length, 2);
});

test('switched off, one is sent and one may wait', async () => {
  const { queue, exporter } = start({ enabled: false, queueSize: 1000 });
  assert.ok(queue.offer(payload(1000), 0));
  assert.ok(queue.offer(payload(1000), 0));
  assert.ok(!queue.offer(payload(1), 0));
  await settle();
  assert.equal(exporter.attempts.length, 1);
});

test('abandon settles everything once, and late answers change nothing', async () => {
  const { queue, answers, settled } = start({});
  for (let i = 0; i < 4; i++) queue.offer(payload(1), i);
  await settle();
  queue.abandon();
  for (const answer of answers) answer(accepted);
  await settle();
  assert.deepEqual(settled, [
    [0, 'abandoned'],
    [1, 'abandoned'],
    [2, 'abandoned'],
    [3, 'abandoned'],
  ]);
  assert.equal(queue.size, 0);
});

test('an exporter that breaks its promise loses no accounting', async () => {
  const settled: string[] = [];
  const exporter = new MemoryExporter('otlp', () => Promise.reject(new Error('bug')));
  const queue = new SendingQueue(exporter, { enabled: true, numConsumers: 1, queueSize: 10, sizer: 'items' }, (_, ending) =>
    settled.push(ending.kind),
  );
  queue.offer(payload(1), 0);
  queue.offer(payload(1), 0);
  await settle();
  assert.deepEqual(settled, ['refused', 'refused']);
});
