// Run after run over one storage, each closed or killed: every item ends once, and what one run leaves is what the next one finds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExportOutcome, ExportResult } from '../../receiver/export/exporter.ts';
import { createExportPath, type ExportPath } from '../../receiver/export/fan-out.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';
import { ManualTimers, settle } from './manual-timers.ts';
import { accepted, CountingEncoder, invalid, MemoryExporter, unavailable } from './memory-exporter.ts';
import { MemoryStore } from './memory-store.ts';

interface Run {
  readonly path: ExportPath<string>;
  readonly timers: ManualTimers;
  readonly ledger: Ledger;
  readonly records: string[];
  readonly store: MemoryStore;
  /** Items that the exporter said were taken. */
  delivered: number;
}

function start(store: MemoryStore, answer: (run: Run) => ExportResult | Promise<ExportResult>, queueSize = 1000): Run {
  const timers = new ManualTimers();
  const ledger = new Ledger();
  const records: string[] = [];
  const log =
    (level: string) =>
    (message: string, fields: object = {}): void =>
      void records.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const settled = (items: number, outcome: ExportOutcome): void => {
    if (outcome === 'exported') ledger.exported(items);
    else ledger.notExported(outcome, items);
  };
  const exporter = new MemoryExporter('otlp', async ({ items }) => {
    const result = await answer(run);
    if (result.kind === 'accepted') run.delivered += items - result.rejected;
    return result;
  });
  const sendingQueue = {
    enabled: true,
    numConsumers: 3,
    queueSize,
    sizer: 'items' as const,
    batch: { flushTimeoutMs: 200, minSize: 7, maxSize: 7 },
  };
  const retryOnFailure = {
    enabled: true,
    initialIntervalMs: 100,
    multiplier: 2,
    randomizationFactor: 0,
    maxIntervalMs: 400,
    maxElapsedTimeMs: 0,
  };
  const logger = { info: log('info'), warn: log('warn'), error: log('error') };
  const path = createExportPath<string>(
    [{ exporter, encoder: new CountingEncoder(), sendingQueue, retryOnFailure, store }],
    settled,
    { timers, random: () => 0.5, logger, recovery: ledger },
  );
  const run: Run = { path, timers, ledger, records, store, delivered: 0 };
  return run;
}

function push(run: Run, count: number): void {
  for (let i = 0; i < count; i++) {
    run.ledger.transactionSeen();
    run.path.push('item');
  }
}

async function close(run: Run): Promise<void> {
  const closed = run.path.close(1000);
  await run.timers.advance(1500);
  await closed;
}

function itemsIn(store: MemoryStore): number {
  return [...store.rows.values()].reduce((sum, { items }) => sum + items, 0);
}

test('a run with a dead backend leaves everything, the next one sends it; both say so', async () => {
  const first = start(new MemoryStore(), () => unavailable);
  push(first, 50);
  await first.timers.advance(5000);
  await close(first);
  assert.deepEqual(first.ledger.report().transactions, { seen: 50, exported: 0, not_exported: { stored: 50 } });
  assert.equal(first.ledger.report().balanced, true);
  assert.equal(first.path.counters()[0]?.stored, 50);
  assert.deepEqual(
    first.records.map((record) => record.split(' {', 1)[0]),
    ['warn Exporting failed. Will retry the request after interval.', 'warn Data is left in the storage, for the next start.'],
  );
  assert.ok(first.store.isClosed);

  const second = start(new MemoryStore(first.store.rows), () => accepted);
  assert.deepEqual(second.ledger.report(0).storage, { recovered: 50, exported: 0, pending: 50, not_exported: {} });
  push(second, 5);
  await close(second);
  const { balanced, transactions, storage } = second.ledger.report();
  assert.deepEqual(
    { balanced, transactions, storage },
    {
      balanced: true,
      transactions: { seen: 5, exported: 5, not_exported: {} },
      storage: { recovered: 50, exported: 50, not_exported: {} },
    },
  );
  assert.match(
    second.records.join(),
    /info Found stored data, which will be sent\. \{"exporter":"otlp","signal":"traces","items":50\}/,
  );
  assert.equal(second.store.rows.size, 0);
});

test('a disk that fails is said once, and again when it works', async () => {
  const run = start(new MemoryStore(), () => accepted);
  run.store.failure = 'disk full';
  push(run, 70);
  await settle();
  run.store.failure = undefined;
  push(run, 7 * 16);
  await close(run);
  const { exported, not_exported } = run.ledger.report().transactions;
  assert.equal(exported + (not_exported['storage_failed'] ?? 0), 70 + 7 * 16);
  assert.deepEqual(
    run.records.map((record) => record.split('. ', 1)[0]),
    ['error Storing failed', 'info Storing works again'],
  );
  assert.equal(run.path.counters()[0]?.storageFailed, not_exported['storage_failed']);
});

test('closed or killed, whatever disk and backend do, nothing that was stored is lost, and the books agree', async () => {
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 4_294_967_296;
  };
  const answer = (run: Run): ExportResult | Promise<ExportResult> => {
    const draw = random();
    const result =
      draw < 0.4 ? accepted : draw < 0.5 ? { kind: 'accepted' as const, rejected: 1 } : draw < 0.55 ? invalid : unavailable;
    if (random() < 0.5) return result;
    const delayMs = random() < 0.05 ? 1e9 : random() * 500;
    return new Promise((resolve) => run.timers.after(delayMs, () => resolve(result)));
  };
  let rows: MemoryStore['rows'] = new Map();
  let killed = 0;
  for (let round = 0; round < 200; round++) {
    const left = itemsIn(new MemoryStore(rows));
    const run = start(new MemoryStore(rows), answer, 50 + Math.floor(random() * 300));
    for (let burst = 0; burst < 5; burst++) {
      run.store.failure = random() < 0.15 ? 'disk full' : undefined;
      push(run, Math.floor(random() * 120));
      await run.timers.advance(Math.floor(random() * 600));
      assert.ok(run.ledger.report(run.path.outstanding()).balanced, `round ${round}`);
    }
    assert.equal(run.ledger.report(0).storage?.recovered ?? 0, left, `round ${round}`);
    if (random() < 0.5) {
      await close(run);
      const { balanced, transactions, storage } = run.ledger.report();
      assert.ok(balanced, `round ${round}`);
      const stored = (transactions.not_exported['stored'] ?? 0) + (storage?.not_exported['stored'] ?? 0);
      assert.equal(itemsIn(run.store), stored, `round ${round}: what the books say is stored is stored`);
      assert.equal(run.path.counters()[0]?.stored, stored);
    } else {
      killed++;
    }
    assert.ok(
      run.ledger.report(run.path.outstanding()).transactions.exported + (run.ledger.report(0).storage?.exported ?? 0) <=
        run.delivered,
    );
    rows = new Map(run.store.rows);
  }
  assert.ok(killed > 50);
});
