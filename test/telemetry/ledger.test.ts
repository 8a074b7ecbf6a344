import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Ledger } from '../../receiver/telemetry/ledger.ts';

test('an empty ledger balances, and keeps the shape of the contract', () => {
  assert.deepEqual(new Ledger().report(), {
    balanced: true,
    transactions: { seen: 0, exported: 0, not_exported: {} },
    connections: { seen: 0, shed: {}, not_http: 0, unattributed: {} },
    bytes: { seen: 0, parsed: 0, skipped: 0, lost: {} },
    events: { received: 0, dropped: {} },
    noticed: {},
  });
});

test('every entry moves its own figure', () => {
  const ledger = new Ledger();
  for (let i = 0; i < 6; i++) ledger.transactionSeen();
  ledger.exported(2);
  ledger.notExported('unsampled', 1);
  ledger.notExported('queue_full', 2);
  ledger.notExported('unsampled', 1);
  ledger.connectionSeen();
  ledger.connectionSeen();
  ledger.connectionShed('too_many_connections');
  ledger.connectionNotHttp();
  ledger.connectionUnattributed('role_unknown');
  ledger.bytesSeen(100);
  ledger.bytesParsed(60);
  ledger.bytesSkipped(30);
  ledger.bytesLost('ring_full', 4);
  ledger.bytesLost('connection_unknown', 6);
  ledger.eventsReceived(9);
  ledger.eventsDropped('ring_full', 3);
  ledger.noticed('resynchronised');
  ledger.kernelCounted({ ringFull: 5, overload: 4 }, 7);
  assert.deepEqual(ledger.report(), {
    balanced: true,
    transactions: { seen: 6, exported: 2, not_exported: { queue_full: 2, unsampled: 2 } },
    connections: {
      seen: 2,
      shed: { overload: 4, ring_full: 5, too_many_connections: 1 },
      not_http: 1,
      unattributed: { role_unknown: 1 },
    },
    bytes: { seen: 100, parsed: 60, skipped: 30, lost: { connection_unknown: 6, ring_full: 4 } },
    events: { received: 9, dropped: { recursion: 7, ring_full: 3 } },
    noticed: { resynchronised: 1 },
  });
});

test('reasons that did not happen are left out', () => {
  const ledger = new Ledger();
  ledger.notExported('filtered', 0);
  ledger.kernelCounted({ ringFull: 0, overload: 0 }, 0);
  const report = ledger.report();
  assert.deepEqual([report.transactions.not_exported, report.connections.shed, report.events.dropped], [{}, {}, {}]);
});

test('what an earlier run stored has books of its own, which balance with ours', () => {
  const ledger = new Ledger();
  ledger.transactionSeen();
  ledger.notExported('stored', 1);
  ledger.recovered(10);
  ledger.recoveredSettled(6, 'exported');
  ledger.recoveredSettled(1, 'storage_unreadable');
  assert.deepEqual(ledger.report(0).storage, { recovered: 10, exported: 6, pending: 3, not_exported: { storage_unreadable: 1 } });
  assert.equal(ledger.report(0).balanced, true);
  assert.equal(ledger.report().balanced, false);
  ledger.recoveredSettled(3, 'stored');
  const { balanced, transactions, storage } = ledger.report();
  assert.equal(balanced, true);
  assert.deepEqual(transactions, { seen: 1, exported: 0, not_exported: { stored: 1 } });
  assert.deepEqual(storage, { recovered: 10, exported: 6, not_exported: { storage_unreadable: 1, stored: 3 } });
});

describe('the books do not balance', () => {
  const rows: readonly (readonly [title: string, entry: (ledger: Ledger) => void])[] = [
    ['while a transaction is on its way', (ledger) => ledger.transactionSeen()],
    ['when more is exported than was seen', (ledger) => ledger.exported(1)],
    ['when more is counted out than was seen', (ledger) => ledger.notExported('filtered', 1)],
    ['when bytes were seen and not accounted for', (ledger) => ledger.bytesSeen(1)],
    ['when bytes were parsed that nobody saw', (ledger) => ledger.bytesParsed(1)],
    ['when bytes were skipped that nobody saw', (ledger) => ledger.bytesSkipped(1)],
    ['when bytes were lost that nobody saw', (ledger) => ledger.bytesLost('unseen_io', 1)],
  ];
  for (const [title, entry] of rows) {
    test(title, () => {
      const ledger = new Ledger();
      entry(ledger);
      assert.equal(ledger.report().balanced, false);
    });
  }
});

test('pending is what was seen and is neither exported nor counted out', () => {
  const ledger = new Ledger();
  ledger.transactionSeen();
  ledger.transactionSeen();
  ledger.transactionSeen();
  ledger.exported(1);
  ledger.notExported('export_failed', 1);
  assert.equal(ledger.pending, 1);
});

test('a report in between balances when the stages know of all that is pending', () => {
  const ledger = new Ledger();
  ledger.transactionSeen();
  ledger.transactionSeen();
  ledger.exported(1);
  ledger.bytesSeen(10);
  ledger.bytesParsed(4);
  assert.deepEqual(ledger.report(1).transactions, { seen: 2, exported: 1, pending: 1, not_exported: {} });
  assert.deepEqual([ledger.report(1).balanced, ledger.report(0).balanced, ledger.report(2).balanced], [true, false, false]);
  ledger.bytesSkipped(7);
  assert.equal(ledger.report(1).balanced, false, 'more bytes accounted for than were seen');
});

test('a report is one line of JSON that a log can carry', () => {
  const ledger = new Ledger();
  ledger.bytesSeen(2 ** 50);
  ledger.bytesSkipped(2 ** 50);
  const report = ledger.report();
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
});
