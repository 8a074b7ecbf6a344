import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecoratedExporter } from '../../receiver/export/export-lane.ts';
import { directDelivery } from '../../receiver/export/export-lane.ts';
import type { ExportOutcome, ExportResult } from '../../receiver/export/exporter.ts';
import type { ExportPath } from '../../receiver/export/fan-out.ts';
import { createExportPath } from '../../receiver/export/fan-out.ts';
import { ManualTimers, settle } from './manual-timers.ts';
import { accepted, CountingEncoder, deferred, invalid, MemoryExporter, unavailable } from './memory-exporter.ts';

const item = 'item';

interface Started {
  readonly path: ExportPath<string>;
  readonly timers: ManualTimers;
  readonly settled: Map<ExportOutcome, number>;
  readonly records: string[];
}

function start(exporters: readonly DecoratedExporter<unknown>[], random: () => number = () => 0.5): Started {
  const timers = new ManualTimers();
  const settled = new Map<ExportOutcome, number>();
  const records: string[] = [];
  const log =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      void records.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const path = createExportPath(
    exporters,
    (spans, outcome) => {
      assert.ok(spans > 0);
      settled.set(outcome, (settled.get(outcome) ?? 0) + spans);
    },
    { timers, random, logger: { info: log('info'), warn: log('warn'), error: log('error') } },
  );
  return { path, timers, settled, records };
}

function decorate(
  exporter: MemoryExporter,
  changes: { minSize?: number; queueSize?: number; consumers?: number; retry?: boolean; bytesPerItem?: number } = {},
): DecoratedExporter<unknown> {
  return {
    exporter,
    encoder: new CountingEncoder(changes.bytesPerItem),
    sendingQueue: {
      enabled: true,
      numConsumers: changes.consumers ?? 1,
      queueSize: changes.queueSize ?? 1000,
      sizer: 'items',
      batch: { flushTimeoutMs: 200, minSize: changes.minSize ?? 4, maxSize: 0 },
    },
    retryOnFailure: {
      enabled: changes.retry ?? false,
      initialIntervalMs: 1000,
      multiplier: 2,
      randomizationFactor: 0,
      maxIntervalMs: 8000,
      maxElapsedTimeMs: 60_000,
    },
  };
}

function push(path: ExportPath<string>, count: number): void {
  for (let i = 0; i < count; i++) path.push(item);
}

function total(settled: ReadonlyMap<ExportOutcome, number>): number {
  return [...settled.values()].reduce((sum, count) => sum + count, 0);
}

test('a span is exported when its exporter acknowledged it, not before', async () => {
  const answer = deferred<ExportResult>();
  const { path, settled } = start([decorate(new MemoryExporter('otlp', () => answer.promise))]);
  push(path, 4);
  await settle();
  assert.equal(total(settled), 0);
  assert.equal(path.outstanding(), 4);
  answer.resolve(accepted);
  await settle();
  assert.deepEqual([...settled], [['exported', 4]]);
  assert.equal(path.outstanding(), 0);
});

test('a batch that does not fill up is sent by its age', async () => {
  const { path, timers, settled } = start([decorate(new MemoryExporter('otlp'))]);
  push(path, 3);
  await timers.advance(199);
  assert.equal(total(settled), 0);
  await timers.advance(1);
  assert.deepEqual([...settled], [['exported', 3]]);
});

test('each outcome of an exporter has its name and its counter', async () => {
  const answers: ExportResult[] = [accepted, { kind: 'accepted', rejected: 3, message: 'old' }, invalid, unavailable];
  const { path, settled } = start([decorate(new MemoryExporter('otlp', (_, attempt) => answers[attempt - 1] ?? accepted))]);
  push(path, 16);
  await settle();
  assert.deepEqual(Object.fromEntries(settled), { exported: 5, export_rejected: 7, export_failed: 4 });
  const [counters] = path.counters();
  assert.deepEqual(counters, {
    id: 'otlp',
    signal: 'traces',
    accepted: 5,
    rejected: 7,
    failed: 4,
    queueFull: 0,
    stored: 0,
    storageFailed: 0,
    recovered: 0,
    queueSize: 0,
    queueCapacity: 1000,
  });
});

test('with several exporters a span is exported only if all took it, else the first reason counts', async () => {
  const good = new MemoryExporter('debug');
  const slow = deferred<ExportResult>();
  const bad = new MemoryExporter('otlp', (_, attempt) => (attempt === 1 ? slow.promise : invalid));
  const { path, settled } = start([decorate(good), decorate(bad, { minSize: 3, consumers: 2 })]);
  push(path, 12);
  await settle();
  assert.deepEqual([...settled], [['export_rejected', 9]]);
  slow.resolve(accepted);
  await settle();
  assert.deepEqual(Object.fromEntries(settled), { export_rejected: 9, exported: 3 });
  assert.deepEqual(
    path.counters().map(({ id, accepted: taken, rejected }) => ({ id, taken, rejected })),
    [
      { id: 'debug', taken: 12, rejected: 0 },
      { id: 'otlp', taken: 3, rejected: 9 },
    ],
  );
});

test('a full queue drops whole batches, counted, and never grows', async () => {
  const answer = deferred<ExportResult>();
  const { path, settled, records } = start([decorate(new MemoryExporter('otlp', () => answer.promise), { queueSize: 10 })]);
  push(path, 100);
  await settle();
  assert.deepEqual([...settled], [['queue_full', 92]]);
  assert.equal(path.counters()[0]?.queueSize, 8);
  assert.equal(records.length, 1);
  assert.match(records[0] ?? '', /^error Sending queue is full\. Dropping data\..*"exporter":"otlp"/);
});

test('a queue smaller than a batch still takes batches of its own size', async () => {
  const exporter = new MemoryExporter('otlp');
  const { path, settled } = start([decorate(exporter, { minSize: 8192, queueSize: 5 })]);
  for (let i = 0; i < 4; i++) {
    push(path, 5);
    await settle();
  }
  assert.deepEqual([...settled], [['exported', 20]]);
});

test('a batch is cut before its payload is too large', async () => {
  const exporter = new MemoryExporter('otlp', () => accepted, 1000);
  const { path, settled } = start([decorate(exporter, { minSize: 64, bytesPerItem: 100 })]);
  push(path, 100);
  await path.flush(0);
  await settle();
  assert.deepEqual(
    exporter.attempts.map((payload) => payload.items),
    [...new Array<number>(12).fill(8), 4],
  );
  assert.deepEqual([...settled], [['exported', 100]]);
});

test('the memory of a request goes back to its encoder when the backend has it all, and only then', async () => {
  const released: number[] = [];
  const encoder = Object.assign(new CountingEncoder(), { release: (request: Uint8Array) => void released.push(request.length) });
  const answers = [accepted, unavailable, invalid, accepted];
  const exporter = new MemoryExporter('otlp', (_, attempt) => answers[attempt - 1] ?? accepted);
  const { path } = start([{ ...decorate(exporter, { minSize: 1 }), encoder }]);
  for (let i = 0; i < 3; i++) push(path, 1);
  await settle();
  assert.deepEqual(released, [1]);
  push(path, 1);
  await settle();
  assert.deepEqual(released, [1, 1]);
});

test('one span that is too large by itself is still offered to the backend', async () => {
  const exporter = new MemoryExporter('otlp', () => invalid, 10);
  const { path, settled } = start([decorate(exporter, { minSize: 2, bytesPerItem: 100 })]);
  push(path, 2);
  await settle();
  assert.deepEqual([...settled], [['export_rejected', 2]]);
});

test('the log speaks at changes of state only', async () => {
  let answer: ExportResult = unavailable;
  const { path, timers, records } = start([decorate(new MemoryExporter('otlp', () => answer), { retry: true, consumers: 3 })]);
  push(path, 12);
  await timers.advance(5000);
  assert.equal(records.length, 1);
  assert.match(
    records[0] ?? '',
    /^warn Exporting failed\. Will retry the request after interval\..*"error":"unavailable","interval":"1\.0s"/,
  );
  await timers.advance(60_000);
  assert.equal(records.length, 2);
  assert.match(records[1] ?? '', /^error Exporting failed\. Dropping data\..*"dropped_items":4/);
  answer = accepted;
  push(path, 8);
  await settle();
  assert.equal(records.length, 3);
  assert.match(records[2] ?? '', /^info Exporting works again\..*"dropped_items":12/);
});

test('flush sends at once and says whether everything ended in time', async () => {
  const answer = deferred<ExportResult>();
  const { path, timers } = start([decorate(new MemoryExporter('otlp', () => answer.promise))]);
  assert.equal(await path.flush(100), true);
  push(path, 1);
  const late = path.flush(100);
  await timers.advance(100);
  assert.equal(await late, false);
  const intime = path.flush(100);
  answer.resolve(accepted);
  assert.equal(await intime, true);
  assert.equal(timers.waiting, 0);
});

test('close delivers what is queued, closes the exporters, and may be called twice', async () => {
  const exporter = new MemoryExporter('otlp');
  const { path, settled, timers } = start([decorate(exporter)]);
  push(path, 11);
  await Promise.all([path.close(1000), path.close(1000)]);
  assert.deepEqual([...settled], [['exported', 11]]);
  assert.ok(exporter.isClosed);
  assert.equal(timers.waiting, 0);
  path.push(item);
  assert.deepEqual(Object.fromEntries(settled), { exported: 11, export_failed: 1 });
});

test('close does not wait between attempts: one last try each', async () => {
  const exporter = new MemoryExporter('otlp', (_, attempt) => (attempt <= 2 ? unavailable : accepted));
  const { path, settled } = start([decorate(exporter, { retry: true, consumers: 2 })]);
  push(path, 8);
  await settle();
  await path.close(1000);
  assert.deepEqual([...settled], [['exported', 8]]);
});

test('close ends within its time when the backend does not answer, and the rest is counted as failed once', async () => {
  const silent = new MemoryExporter('otlp', () => new Promise(() => undefined));
  const { path, settled, timers } = start([
    decorate(silent, { consumers: 2 }),
    { ...decorate(new MemoryExporter('debug')), ...directDelivery(10) },
  ]);
  push(path, 30);
  let isClosed = false;
  const closed = path.close(3000).then(() => (isClosed = true));
  await timers.advance(2999);
  assert.equal(isClosed, false);
  await timers.advance(1);
  await closed;
  assert.deepEqual([...settled], [['export_failed', 30]]);
  assert.equal(path.outstanding(), 0);
});

test('an exporter that does not close cannot hold the receiver', async () => {
  const exporter = new MemoryExporter('otlp');
  exporter.close = () => new Promise(() => undefined);
  const { path, timers } = start([decorate(exporter)]);
  const closed = path.close(1000);
  await timers.advance(250);
  await closed;
});

test('whatever exporters answer and whenever, every span ends exactly once and the books agree', async () => {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 4_294_967_296;
  };
  for (let round = 0; round < 60; round++) {
    const timers: { current: ManualTimers | undefined } = { current: undefined };
    const flaky = (): ExportResult | Promise<ExportResult> => {
      const draw = random();
      const result: ExportResult =
        draw < 0.4
          ? accepted
          : draw < 0.55
            ? { kind: 'accepted', rejected: 1 }
            : draw < 0.65
              ? invalid
              : draw < 0.9
                ? unavailable
                : { kind: 'retryable', message: 'later', retryAfterMs: 3000 };
      if (random() < 0.5) return result;
      // Some answers take time, and some never come.
      const delayMs = random() < 0.1 ? 1e9 : random() * 2000;
      return new Promise((resolve) => timers.current?.after(delayMs, () => resolve(result)));
    };
    const count = 1 + Math.floor(random() * 3);
    const exporters = Array.from({ length: count }, (_, index) =>
      decorate(new MemoryExporter(`otlp/${index}`, flaky), {
        minSize: 1 + Math.floor(random() * 40),
        queueSize: 20 + Math.floor(random() * 200),
        consumers: 1 + Math.floor(random() * 4),
        retry: random() < 0.5,
      }),
    );
    const started = start(exporters, random);
    timers.current = started.timers;
    let pushed = 0;
    for (let burst = 0; burst < 20; burst++) {
      const size = Math.floor(random() * 600);
      push(started.path, size);
      pushed += size;
      await started.timers.advance(Math.floor(random() * 1500));
      assert.ok(total(started.settled) <= pushed);
      assert.equal(started.path.outstanding(), pushed - total(started.settled));
    }
    const closed = started.path.close(2000);
    await started.timers.advance(3000);
    await closed;
    await started.timers.advance(2e9);
    assert.equal(total(started.settled), pushed, `round ${round}`);
    for (const counters of started.path.counters()) {
      assert.equal(counters.accepted + counters.rejected + counters.failed + counters.queueFull, pushed, `round ${round}`);
      assert.ok((started.settled.get('exported') ?? 0) <= counters.accepted);
    }
    if (count === 1) assert.equal(started.settled.get('exported') ?? 0, started.path.counters()[0]?.accepted);
  }
});
