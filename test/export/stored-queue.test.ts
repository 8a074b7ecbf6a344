// The sending queue with a store: what is on disk when, and how each payload ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExportResult, Payload } from '../../receiver/export/exporter.ts';
import type { QueueOptions } from '../../receiver/export/sending-queue.ts';
import { SendingQueue } from '../../receiver/export/sending-queue.ts';
import { settle } from './manual-timers.ts';
import { accepted, deferred, invalid, MemoryExporter, unavailable } from './memory-exporter.ts';
import { MemoryStore } from './memory-store.ts';

const payload = (items: number): Payload => ({ items, body: new Uint8Array(3).fill(items) });

function start(store: MemoryStore, options: Partial<QueueOptions> = {}) {
  const answers: ((result: ExportResult) => void)[] = [];
  const exporter = new MemoryExporter('otlp', () => {
    const answer = deferred<ExportResult>();
    answers.push(answer.resolve);
    return answer.promise;
  });
  const settled: [number | undefined, string][] = [];
  const failures: string[] = [];
  const queue = new SendingQueue(
    exporter,
    { enabled: true, numConsumers: 1, queueSize: 10, sizer: 'items', ...options },
    (entry, ending) => settled.push([entry.firstItem, ending.kind]),
    store,
    (failure) => {
      if (failure !== undefined) failures.push(failure);
    },
  );
  /** Lets the attempt that is running end so. */
  const answer = async (result: ExportResult): Promise<void> => {
    answers.shift()?.(result);
    await settle();
  };
  return { queue, answer, settled, failures, exporter };
}

test('a payload is stored before it is sent, and deleted when it was delivered', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled, exporter } = start(store);
  assert.ok(queue.offer(payload(2), 0));
  assert.equal(exporter.attempts.length, 0);
  assert.equal(queue.size, 2);
  await settle();
  assert.equal(exporter.attempts.length, 1);
  assert.deepEqual([...store.rows.values()], [{ items: 2, body: new Uint8Array([2, 2, 2]) }]);
  assert.equal(store.reads, 0, 'what is sent at once is not read back');
  await answer(accepted);
  assert.deepEqual(settled, [[0, 'accepted']]);
  assert.equal(store.rows.size, 0);
  assert.equal(queue.size, 0);
});

test('what waits is read back when its turn comes, in order, and is what was stored', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled, exporter } = start(store);
  for (let i = 1; i <= 4; i++) queue.offer(payload(i), i);
  await settle();
  for (const result of [accepted, invalid, unavailable, accepted]) await answer(result);
  assert.deepEqual(
    exporter.attempts.map(({ items, body }) => [items, ...body]),
    [1, 2, 3, 4].map((n) => [n, n, n, n]),
  );
  assert.equal(store.reads, 3);
  assert.deepEqual(settled, [
    [1, 'accepted'],
    [2, 'refused'],
    [3, 'retryable'],
    [4, 'accepted'],
  ]);
  assert.equal(store.rows.size, 0, 'what was refused or given up is not kept either');
});

test('what an earlier run stored is sent first, counts, and is told apart', async () => {
  const body = new Uint8Array([7]);
  const store = new MemoryStore(
    new Map([
      [5, { items: 4, body }],
      [9, { items: 5, body }],
    ]),
  );
  const { queue, answer, settled } = start(store);
  assert.equal(queue.size, 9);
  assert.ok(!queue.offer(payload(2), 0));
  assert.ok(queue.offer(payload(1), 0));
  await settle();
  assert.deepEqual([...store.rows.keys()], [5, 9, 10], 'ids go on where they were');
  for (let i = 0; i < 3; i++) await answer(accepted);
  assert.deepEqual(settled, [
    [undefined, 'accepted'],
    [undefined, 'accepted'],
    [0, 'accepted'],
  ]);
  assert.equal(queue.size, 0);
});

test('what cannot be stored is sent if nobody else is being sent, else dropped', async () => {
  const store = new MemoryStore();
  store.failure = 'disk full';
  const { queue, answer, settled, failures } = start(store);
  queue.offer(payload(1), 1);
  queue.offer(payload(1), 2);
  await settle();
  assert.deepEqual(settled, [[2, 'not_stored']]);
  assert.equal(failures.length, 2);
  store.failure = undefined;
  queue.offer(payload(1), 3);
  await settle();
  assert.equal(store.rows.size, 1);
  await answer(accepted);
  await answer(accepted);
  assert.deepEqual(settled.slice(1), [
    [1, 'accepted'],
    [3, 'accepted'],
  ]);
  assert.equal(queue.size, 0);
});

test('what cannot be read back is skipped, and the next one is sent', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled } = start(store);
  for (let i = 1; i <= 3; i++) queue.offer(payload(1), i);
  await settle();
  store.delete(2);
  await answer(accepted);
  await answer(accepted);
  assert.deepEqual(settled, [
    [1, 'accepted'],
    [2, 'unreadable'],
    [3, 'accepted'],
  ]);
});

test('stopped with a dead backend, everything stays stored after one failure; what was only in memory is tried', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled, exporter } = start(store);
  store.failure = 'disk full';
  queue.offer(payload(1), 1);
  await settle();
  store.failure = undefined;
  for (let i = 2; i <= 4; i++) queue.offer(payload(1), i);
  await settle();
  queue.stop();
  await answer(unavailable);
  await answer(unavailable);
  queue.offer(payload(1), 5);
  await settle();
  assert.deepEqual(settled, [
    [1, 'retryable'],
    [2, 'stored'],
    [3, 'stored'],
    [4, 'stored'],
    [5, 'stored'],
  ]);
  assert.equal(exporter.attempts.length, 2);
  assert.equal(store.rows.size, 4);
  assert.equal(queue.size, 0);
});

test('stopped with a backend that works, everything is delivered', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled } = start(store);
  for (let i = 1; i <= 3; i++) queue.offer(payload(1), i);
  await settle();
  queue.stop();
  for (let i = 0; i < 3; i++) await answer(accepted);
  assert.equal(settled.filter(([, kind]) => kind === 'accepted').length, 3);
  assert.equal(store.rows.size, 0);
});

test('abandoned, each ends once: stored, given up, or not stored in time', async () => {
  const store = new MemoryStore();
  const { queue, answer, settled } = start(store, { numConsumers: 2 });
  queue.offer(payload(1), 1);
  queue.offer(payload(1), 2);
  queue.offer(payload(1), 3);
  await settle();
  queue.offer(payload(1), 4);
  queue.abandon();
  await settle();
  await answer(accepted);
  assert.deepEqual(settled, [
    [1, 'stored'],
    [2, 'stored'],
    [3, 'stored'],
    [4, 'not_stored'],
  ]);
  assert.equal(queue.size, 0);
});
