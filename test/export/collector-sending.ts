// What `usm-receiver attach` sends with: the exporters that go to a Collector on this host, with their queue, retries and books.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { loadSupervised } from '../../receiver/config/load-attached.ts';
import type { CollectorExporterConfig } from '../../receiver/config/types.ts';
import type { ExportOutcome } from '../../receiver/export/exporter.ts';
import { createExportPath, type ExportPath } from '../../receiver/export/fan-out.ts';
import { createTimers } from '../../receiver/export/timers.ts';
import { openExporters } from '../../receiver/exporters.ts';
import type { Span } from '../../receiver/model/span.ts';
import { clock, makeSpan, scope } from './spans.ts';

export const uid = process.geteuid?.() ?? 0;

export interface LogRecord {
  readonly level: string;
  readonly message: string;
  readonly error: string;
}

export function makeSocketPath(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-link-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'collector.sock');
}

export function makeLog() {
  const records: LogRecord[] = [];
  const take =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      void records.push({ level, message, error: typeof fields['error'] === 'string' ? fields['error'] : '' });
  return { records, logger: { info: take('info'), warn: take('warn'), error: take('error') } };
}

/** As `usm-receiver attach` has it. */
export function configOf(socketPath: string): CollectorExporterConfig {
  const text = JSON.stringify({
    receivers: { usm: { collector: { socket: socketPath } } },
    service: { pipelines: { traces: { receivers: ['usm'] } } },
  });
  const [exporter] = loadSupervised(text, undefined, { readFile: () => '', env: {} }).config.exporters;
  assert.equal(exporter?.kind, 'collector');
  return exporter;
}

export interface Sending {
  readonly path: ExportPath<Span>;
  readonly outcomes: Map<ExportOutcome, number>;
  readonly records: readonly LogRecord[];
}

/** Small batches, and the whole export stage around them. */
export async function openSending(
  t: TestContext,
  socketPath: string,
  changes: Partial<CollectorExporterConfig> = {},
): Promise<Sending> {
  const base = configOf(socketPath);
  const config: CollectorExporterConfig = {
    ...base,
    sendingQueue: { ...base.sendingQueue, batch: { flushTimeoutMs: 5, sizer: 'items', minSize: 20, maxSize: 20 } },
    retryOnFailure: { ...base.retryOnFailure, initialIntervalMs: 20, maxIntervalMs: 100 },
    ...changes,
  };
  const timers = createTimers();
  const { records, logger } = makeLog();
  const exporters = await openExporters(
    { traces: [config], metrics: [] },
    {
      scope,
      clock: { ...clock, originMonotonicNs: 0n, resync: () => undefined },
      timers,
      logger,
      extensions: [],
      write: () => undefined,
      ownUid: uid,
    },
  );
  const outcomes = new Map<ExportOutcome, number>();
  const exportPath = createExportPath(
    exporters.traces,
    (items, outcome) => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + items),
    { timers, random: Math.random, logger },
  );
  t.after(() => exportPath.close(0));
  return { path: exportPath, outcomes, records };
}

export const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => `span ${from + at}`);

export function push({ path }: Sending, from: number, to: number): void {
  for (const name of names(from, to)) path.push(makeSpan({ name }));
}
