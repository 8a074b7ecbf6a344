import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRST_SESSION } from '../../receiver/model/connection.ts';
import type { SecuredEvent } from '../../receiver/model/stream-event.ts';
import { type Bench, createBench, opener, Socket } from './socket.ts';

const CARRIER = 7;
const SESSION = FIRST_SESSION + 1;
const CARRIER_TIME = 500;
const request = 'GET /a HTTP/1.1\r\nHost: shop\r\n\r\n';
const response = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const MINUTE_NS = 60e9;

function binding(more: Partial<SecuredEvent> = {}): SecuredEvent {
  const who = { session: SESSION, carrier: CARRIER, process: opener, library: 'openssl', evidence: 'nested_io' } as const;
  return { ...who, since: 0, isFirst: true, time: 0, ...more };
}

function endOf(connection: number): Parameters<Bench['table']['end']>[0] {
  return { connection, time: 1e6, cause: 'closed', sentPosition: 0, receivedPosition: 0, error: 0, isExiting: false };
}

/** A server whose TLS connections are complete from their first byte. */
function setUp(): { readonly bench: Bench; readonly carrier: Socket; readonly session: Socket } {
  const bench = createBench();
  const carrier = new Socket(bench.table, CARRIER).open('server', { pair: 'aabb' }, { isSecure: true });
  return { bench, carrier, session: new Socket(bench.table, SESSION) };
}

describe('plaintext of a TLS session', () => {
  test('is a transaction of the connection that carries it', () => {
    const { bench, session } = setUp();
    bench.table.secured(binding());
    session.received(request).sent(response);
    bench.table.tick(MINUTE_NS);
    const [transaction, ...others] = bench.transactions;
    assert.equal(others.length, 0);
    assert.equal(transaction?.secure, true);
    assert.equal(transaction.role, 'server');
    assert.deepEqual(transaction.connection.local, { address: '127.0.0.1', port: 80 });
    assert.equal(transaction.connection.pair, 'aabb');
    assert.deepEqual(transaction.connection.security, { library: 'openssl', evidence: 'nested_io', carrier: CARRIER });
  });

  test('waits until it is known whose it is', () => {
    const { bench, session } = setUp();
    session.received(request).sent(response);
    assert.equal(bench.ledger.report().transactions.seen, 0);
    bench.table.secured(binding({ evidence: 'ciphertext' }));
    bench.table.tick(MINUTE_NS);
    assert.equal(bench.transactions.length, 1);
    assert.equal(bench.transactions[0]?.start, 1000);
  });

  test('of which it is never known is lost, counted, and later plaintext with it', () => {
    const { bench, session } = setUp();
    session.received(request);
    bench.table.end(endOf(SESSION));
    session.sent(response);
    bench.table.close();
    const { transactions, connections, bytes } = bench.ledger.report();
    assert.equal(transactions.seen, 0);
    assert.equal(connections.unattributed['tls_unbound'], 1);
    assert.deepEqual(bytes.lost, { tls_unbound: request.length, connection_unknown: response.length });
  });

  test("is nobody's once the evidence contradicts itself", () => {
    const { bench, session } = setUp();
    bench.table.secured(binding());
    session.received(request).sent(response).received(request);
    bench.table.secured(binding({ carrier: 0, evidence: 'contradiction' }));
    session.sent(response);
    bench.table.close();
    const { transactions, connections } = bench.ledger.report();
    assert.deepEqual([transactions.seen, transactions.exported, transactions.not_exported], [2, 1, { bytes_lost: 1 }]);
    assert.equal(connections.unattributed['tls_contradiction'], 1);
    assert.ok(bench.ledger.report().balanced);
  });

  test('is lost and counted once some of it goes a way that is not followed', () => {
    const { bench, session } = setUp();
    session.received(request);
    bench.table.secured(binding({ carrier: 0, evidence: 'unfollowed' }));
    session.sent(response);
    bench.table.close();
    const { transactions, connections, bytes } = bench.ledger.report();
    assert.equal(transactions.seen, 0);
    assert.equal(connections.unattributed['tls_unfollowed'], 1);
    assert.equal(bytes.lost['tls_unbound'], request.length);
    assert.ok(bench.ledger.report().balanced);
  });

  test('of a connection that is not observed is not wanted', () => {
    const { bench, session } = setUp();
    session.received(request);
    bench.table.secured(binding({ carrier: 99 }));
    session.sent(response);
    bench.table.close();
    assert.equal(bench.ledger.report().transactions.seen, 0);
    assert.equal(bench.ledger.report().connections.unattributed['tls_unbound'], undefined);
  });

  test('is bounded while it waits', () => {
    const { bench, session } = setUp();
    for (let i = 0; i < 100; i++) session.received('x'.repeat(8000));
    bench.table.secured(binding());
    session.sent(response);
    bench.table.close();
    assert.equal(bench.transactions.length, 0);
    assert.equal(bench.ledger.report().connections.unattributed['tls_unbound'], 1);
  });

  test('with a long body waits, too: only its size matters', () => {
    const { bench, session } = setUp();
    session.received('POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 800000\r\n\r\n');
    for (let i = 0; i < 50; i++) session.received('x'.repeat(16_000));
    session.sent(response);
    bench.table.secured(binding({ evidence: 'ciphertext' }));
    session.received(request).sent(response);
    bench.table.tick(MINUTE_NS);
    const sizes = bench.transactions.map(({ request: { bodySize } }) => bodySize);
    assert.deepEqual(new Set(sizes), new Set([800_000, 0]));
    assert.equal(sizes.length, 2);
    assert.deepEqual(bench.ledger.report().bytes.lost, {});
    assert.ok(bench.ledger.report().balanced);
  });

  test('ends with the connection that carries it', () => {
    const { bench, session } = setUp();
    bench.table.secured(binding());
    session.received(request);
    bench.table.end(endOf(CARRIER));
    bench.table.tick(MINUTE_NS);
    bench.table.tick(2 * MINUTE_NS);
    assert.equal(bench.transactions[0]?.abort, 'connection_closed');
  });

  test('is followed by that of another session on the same connection, whose exchanges are others', () => {
    const { bench, session } = setUp();
    bench.table.secured(binding());
    session.received(request).sent(response);
    bench.table.end({ ...endOf(SESSION), sentPosition: session.position.sent, receivedPosition: session.position.received });
    bench.table.tick(MINUTE_NS);
    bench.table.secured(binding({ session: SESSION + 1 }));
    new Socket(bench.table, SESSION + 1).received(request).sent(response);
    bench.table.tick(2 * MINUTE_NS);
    const [first, second, ...others] = bench.transactions;
    assert.equal(others.length, 0);
    assert.deepEqual([first?.connection.pair, second?.connection.pair], ['aabb', '']);
    assert.deepEqual([first?.exchange.position, second?.exchange.position], [0, 0]);
  });

  test('that was not seen from its first byte has no other end', () => {
    for (const since of [undefined, CARRIER_TIME + 1]) {
      const bench = createBench();
      new Socket(bench.table, CARRIER).open('server', { pair: 'aabb' }, { isSecure: true, lastFlow: 'sent', time: CARRIER_TIME });
      bench.table.secured(binding({ since }));
      new Socket(bench.table, SESSION).received(request).sent(response);
      bench.table.tick(MINUTE_NS);
      assert.equal(bench.transactions[0]?.connection.pair, '');
      assert.equal(bench.transactions[0].connection.isFromStart, false);
    }
  });

  test('is seen from its first byte when its library was probed before its connection began, whatever was probed since', () => {
    const bench = createBench();
    new Socket(bench.table, CARRIER).open('server', { pair: 'aabb' }, { isSecure: true, time: CARRIER_TIME });
    bench.table.secured(binding({ since: CARRIER_TIME }));
    new Socket(bench.table, SESSION).received(request).sent(response);
    bench.table.tick(MINUTE_NS);
    assert.equal(bench.transactions[0]?.connection.pair, 'aabb');
    assert.equal(bench.transactions[0].connection.isFromStart, true);
  });

  test('of a connection that has carried another session, of which nothing was told, has no other end', () => {
    const { bench, session } = setUp();
    bench.table.secured(binding({ isFirst: false }));
    session.received(request).sent(response);
    bench.table.tick(MINUTE_NS);
    assert.equal(bench.transactions[0]?.connection.pair, '');
    assert.equal(bench.transactions[0].connection.isFromStart, true);
  });
});

test('a connection whose TLS nobody reads is counted at its end', () => {
  const { bench } = setUp();
  bench.table.end(endOf(CARRIER));
  bench.table.tick(MINUTE_NS);
  assert.deepEqual(bench.ledger.report().connections, {
    ...bench.ledger.report().connections,
    seen: 1,
    not_http: 0,
    unattributed: { tls_unread: 1 },
  });
});

test('a connection that the kernel no longer knows takes its session with it', () => {
  const { bench, session } = setUp();
  bench.table.secured(binding());
  session.received(request);
  bench.table.sweep(new Set([CARRIER]), MINUTE_NS);
  bench.table.tick(2 * MINUTE_NS);
  assert.equal(bench.table.size, 1);
  bench.table.sweep(new Set(), 2 * MINUTE_NS);
  bench.table.tick(3 * MINUTE_NS);
  assert.equal(bench.table.size, 0);
  assert.equal(bench.table.needsSweep(), false);
});
