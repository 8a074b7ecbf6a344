import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExportResult } from '../../receiver/export/exporter.ts';
import type { RetryOptions } from '../../receiver/export/retrying.ts';
import { RetryingExporter } from '../../receiver/export/retrying.ts';
import { ManualTimers, settle } from './manual-timers.ts';
import { accepted, invalid, MemoryExporter, unavailable } from './memory-exporter.ts';

const options: RetryOptions = {
  enabled: true,
  initialIntervalMs: 5000,
  multiplier: 1.5,
  randomizationFactor: 0,
  maxIntervalMs: 30_000,
  maxElapsedTimeMs: 300_000,
};
const payload = { items: 3, body: new Uint8Array(3) };

function start(answer: (attempt: number) => ExportResult, changes: Partial<RetryOptions> = {}, random = (): number => 0.5) {
  const timers = new ManualTimers();
  const exporter = new MemoryExporter('otlp', (_, attempt) => answer(attempt));
  const delays: (number | undefined)[] = [];
  const retrying = new RetryingExporter(exporter, { ...options, ...changes }, timers, random, (_, spans, retryInMs) => {
    assert.equal(spans, payload.items);
    delays.push(retryInMs);
  });
  return { timers, exporter, retrying, delays };
}

test('what works is tried once', async () => {
  const { retrying, exporter, delays } = start(() => accepted);
  assert.deepEqual(await retrying.export(payload), accepted);
  assert.equal(exporter.attempts.length, 1);
  assert.deepEqual(delays, [undefined]);
});

test('what is refused is not tried again', async () => {
  const { retrying, exporter } = start(() => invalid);
  assert.deepEqual(await retrying.export(payload), invalid);
  assert.equal(exporter.attempts.length, 1);
});

test('waits grow by the multiplier up to the largest interval', async () => {
  const { retrying, timers, delays } = start((attempt) => (attempt < 8 ? unavailable : accepted));
  const result = retrying.export(payload);
  await timers.advance(300_000);
  assert.deepEqual(await result, accepted);
  assert.deepEqual(delays, [5000, 7500, 11_250, 16_875, 25_312.5, 30_000, 30_000, undefined]);
});

test('waits vary by the randomization factor', async () => {
  for (const [random, expected] of [
    [0, 2500],
    [0.5, 5000],
    [0.999_999, 7499.995],
  ] as const) {
    const { retrying, timers, delays } = start(
      (attempt) => (attempt === 1 ? unavailable : accepted),
      { randomizationFactor: 0.5 },
      () => random,
    );
    const result = retrying.export(payload);
    await timers.advance(10_000);
    await result;
    assert.equal(delays[0], expected);
  }
});

test('it gives up when the next attempt would be later than the elapsed time allows', async () => {
  const { retrying, timers, delays, exporter } = start(() => unavailable, { maxElapsedTimeMs: 20_000 });
  const result = retrying.export(payload);
  await timers.advance(20_000);
  assert.deepEqual(await result, unavailable);
  assert.deepEqual(delays, [5000, 7500, undefined]);
  assert.equal(exporter.attempts.length, 3);
});

test('an elapsed time of 0 means for ever', async () => {
  const { retrying, timers, exporter } = start((attempt) => (attempt < 1000 ? unavailable : accepted), { maxElapsedTimeMs: 0 });
  const result = retrying.export(payload);
  await timers.advance(30_000 * 1000);
  assert.deepEqual(await result, accepted);
  assert.equal(exporter.attempts.length, 1000);
});

test('a delay that the backend asks for is honoured when it is longer than our own', async () => {
  const { retrying, timers, delays } = start((attempt) =>
    attempt === 1
      ? { kind: 'retryable', message: 'later', retryAfterMs: 60_000 }
      : attempt === 2
        ? { kind: 'retryable', message: 'later', retryAfterMs: 1 }
        : accepted,
  );
  const result = retrying.export(payload);
  await timers.advance(100_000);
  await result;
  assert.deepEqual(delays, [60_000, 7500, undefined]);
});

test('switched off, it tries once', async () => {
  const { retrying, exporter } = start(() => unavailable, { enabled: false });
  assert.deepEqual(await retrying.export(payload), unavailable);
  assert.equal(exporter.attempts.length, 1);
});

test('stop wakes those who wait for one last attempt, and nobody waits any more', async () => {
  const { retrying, timers, exporter } = start(() => unavailable);
  const waiting = [retrying.export(payload), retrying.export(payload)];
  await settle();
  assert.equal(timers.waiting, 2);
  retrying.stop();
  assert.deepEqual(await Promise.all(waiting), [unavailable, unavailable]);
  assert.equal(exporter.attempts.length, 4);
  assert.deepEqual(await retrying.export(payload), unavailable);
  assert.equal(exporter.attempts.length, 5);
  assert.equal(timers.waiting, 0);
});
