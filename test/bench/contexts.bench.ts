// Requests between two programs that publish another span for each of them on their threads (OTEP 4947): how many spans are below exactly
// that one, and how many below any other.
//   --requests N      --batch N  of them at a time      --threads N
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FIRST, isBelowOwn, numberOf, startPeers, type Pair } from '../e2e/context-peers.ts';
import { booksOf, startReceiver } from '../e2e/harness.ts';
import { parseRequests, type SpanRecord } from '../e2e/spans.ts';
import { waitFor } from '../e2e/wait.ts';
import { readArguments } from './support/arguments.ts';
import { withCleanup } from './support/cleanup.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ requests: 1_000_000, batch: 2_000, threads: 1 });
const PIECE = 4 * 1024 * 1024;
const LF = 10;
const CATCH_UP_MS = 1_000;
const report = new Report('contexts');

/** The spans that have been written to a file since it was last asked. */
function follow(file: string): () => Generator<SpanRecord> {
  let rest = Buffer.alloc(0);
  let position = 0;
  return function* () {
    const fd = openSync(file, 'r');
    try {
      for (;;) {
        const piece = Buffer.alloc(PIECE);
        const count = readSync(fd, piece, 0, PIECE, position);
        if (count === 0) return;
        position += count;
        const bytes = Buffer.concat([rest, piece.subarray(0, count)]);
        const end = bytes.lastIndexOf(LF) + 1;
        rest = bytes.subarray(end);
        yield* parseRequests(bytes.toString('utf8', 0, end));
      }
    } finally {
      closeSync(fd);
    }
  };
}

await withCleanup(async (cleanup) => {
  const { requests, batch, threads } = numbers;
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-contexts-'));
  cleanup.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const file = path.join(folder, 'spans.json');
  const peers = await startPeers(cleanup, 'program');
  const pids = [peers.server.pid, peers.client.pid];
  const receiver = await startReceiver(cleanup, {
    usm: { thread_context: { enabled: true }, filter: { include: [{ pids }] } },
    hasFile: false,
    exporters: { file: { path: file, flush_interval: '50ms' } },
  });
  const read = follow(file);
  const pairs = new Map<number, Pair>();
  const wrong: number[] = [];
  let right = 0;
  const note = (number: number): void => {
    wrong.push(number);
  };
  const check = (): void => {
    for (const span of read()) {
      const number = numberOf(span);
      if (number === undefined) continue;
      const pair = pairs.get(number) ?? { client: undefined, server: undefined };
      const role = span.kind === 'CLIENT' ? 'client' : 'server';
      if (pair[role] !== undefined) throw new Error(`two ${role} spans of ${String(number)}`);
      pair[role] = span;
      pairs.set(number, pair);
      if (pair.client === undefined || pair.server === undefined) continue;
      pairs.delete(number);
      if (isBelowOwn(pair.client, number) && isBelowOwn(pair.server, number)) right++;
      else note(number);
    }
  };

  await waitFor('spans below published ones', async () => {
    await peers.run('both', 1, 1, 1);
    return [...read()].some((span) => isBelowOwn(span, 1) && span.kind === 'SERVER');
  });
  const begun = performance.now();
  for (let first = 0; first < requests; first += batch) {
    const end = Math.min(first + batch, requests);
    await peers.run('both', FIRST + first, end - first, threads);
    // The programs leave the receiver no CPU; what it is behind, it catches up with between batches.
    await waitFor(
      'the spans of a batch',
      () => {
        check();
        return right + wrong.length >= end;
      },
      CATCH_UP_MS,
    ).catch(() => undefined);
  }
  const seconds = (performance.now() - begun) / 1000;
  await waitFor('all to be exported', async () => {
    const { seen, exported, not_exported = {} } = (await booksOf(receiver)).transactions;
    return exported + Object.values(not_exported).reduce((sum, count) => sum + count, 0) === seen;
  });
  const { ledger } = await receiver.stop();
  check();
  const complete = right + wrong.length;
  // Those of which the other end was not followed.
  for (const [number, { client, server }] of pairs) if (!isBelowOwn(client ?? server, number)) note(number);
  if (ledger?.balanced !== true) report.doubt(`the books do not balance: ${JSON.stringify(ledger)}`);
  report.figure('connections that the full ring shed', '', [ledger?.connections?.shed?.['ring_full'] ?? 0]);
  report.figure('requests', '/s', [requests / seconds]);
  report.figure('both spans below the span of their own thread', '% of the requests', [(right / requests) * 100]);
  report.figure('a span below another one, or below none', '', [wrong.length]);
  report.figure('one span missing', '', [pairs.size]);
  report.figure('both missing', '', [requests - complete - pairs.size]);
  if (wrong.length > 0) report.doubt(`wrong: ${wrong.slice(0, 5).join(', ')}`);
});
report.write(json);
