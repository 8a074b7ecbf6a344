// Both ends of a connection through one table, in the orders in which their events can come.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bench, createBench, Socket } from './socket.ts';

const REQUEST = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
const TRACED = 'GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n';
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const MS = 1e6;

interface Ends {
  readonly bench: Bench;
  readonly client: Socket;
  readonly server: Socket;
}

function ends(pairs: readonly [string, string] = ['one', 'one']): Ends {
  const bench = createBench();
  const client = new Socket(bench.table, 1).open('client', { pair: pairs[0] });
  const server = new Socket(bench.table, 2).open('server', { pair: pairs[1] });
  return { bench, client, server };
}

/** What each transaction of a server was told of its other end: its id and request position. */
function paired({ bench }: Ends): readonly (readonly [connection: number, position: number] | undefined)[] {
  return bench.transactions.flatMap(({ role }, index) => {
    if (role === 'client') return [];
    const other = bench.otherEnds[index];
    return [other === undefined ? undefined : ([other.connection.id, other.position] as const)];
  });
}

describe('a server transaction', () => {
  test('gets the exchange that the client has under way', () => {
    const both = ends();
    both.client.sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    assert.deepEqual(paired(both), [[1, 0]]);
  });

  test('gets the exchange that the client has just ended', () => {
    const both = ends();
    both.client.sent(REQUEST).received(RESPONSE);
    both.server.received(REQUEST).sent(RESPONSE);
    assert.deepEqual(paired(both), [[1, 0]]);
  });

  test('gets the one of its own request, of several on a connection', () => {
    const both = ends();
    both.client.sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    both.client.received(RESPONSE).sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    assert.deepEqual(paired(both), [
      [1, 0],
      [1, REQUEST.length],
    ]);
  });

  test('gets the ones of its own requests when they are pipelined', () => {
    const both = ends();
    both.client.sent(REQUEST + REQUEST + REQUEST);
    both.server.received(REQUEST + REQUEST + REQUEST).sent(RESPONSE + RESPONSE + RESPONSE);
    assert.deepEqual(paired(both), [
      [1, 0],
      [1, REQUEST.length],
      [1, 2 * REQUEST.length],
    ]);
  });

  test('waits for a client whose own event is late', () => {
    const both = ends();
    both.server.received(REQUEST).sent(RESPONSE);
    assert.deepEqual(both.bench.transactions, []);
    assert.equal(both.bench.table.openTransactions, 1);
    both.client.sent(REQUEST);
    both.bench.table.tick(0);
    assert.deepEqual(paired(both), [[1, 0]]);
  });

  test('waits for a client whose connection has not been told of yet', () => {
    const bench = createBench();
    const server = new Socket(bench.table, 2).open('server', { pair: 'one' });
    server.received(REQUEST).sent(RESPONSE);
    const client = new Socket(bench.table, 1).open('client', { pair: 'one' });
    client.sent(REQUEST);
    bench.table.tick(0);
    assert.deepEqual(paired({ bench, client, server }), [[1, 0]]);
  });

  test('does not wait long, nor for the second exchange of a connection', () => {
    const bench = createBench();
    const server = new Socket(bench.table, 2).open('server', { pair: 'one' });
    server.received(REQUEST).sent(RESPONSE);
    bench.table.tick(99 * MS);
    assert.equal(bench.transactions.length, 0);
    bench.table.tick(101 * MS);
    assert.equal(bench.transactions.length, 1);
    server.received(REQUEST).sent(RESPONSE);
    assert.equal(bench.transactions.length, 2);
    assert.deepEqual(bench.otherEnds, [undefined, undefined]);
  });

  test('waits longer for a client that is here: it may have lost the CPU before its event is made', () => {
    for (const isTold of [true, false]) {
      const both = ends();
      both.server.received(REQUEST).sent(RESPONSE);
      both.bench.table.tick(999 * MS);
      assert.equal(both.bench.transactions.length, 0);
      if (isTold) both.client.sent(REQUEST);
      both.bench.table.tick(isTold ? 999 * MS : 1001 * MS);
      assert.deepEqual(paired(both), [isTold ? [1, 0] : undefined]);
    }
  });

  test('does not wait while too many others do', () => {
    const count = 5000;
    const bench = createBench(count);
    for (let id = 1; id <= count; id++)
      new Socket(bench.table, id)
        .open('server', { pair: String(id) })
        .received(REQUEST)
        .sent(RESPONSE);
    assert.equal(bench.transactions.length, count - 4096);
    assert.equal(bench.table.openTransactions, 4096);
  });

  test('does not wait when the request itself names the trace, nor without a pair', () => {
    for (const [pair, request] of [
      ['one', TRACED],
      ['', REQUEST],
    ] as const) {
      const bench = createBench();
      new Socket(bench.table, 2).open('server', { pair }).received(request).sent(RESPONSE);
      assert.equal(bench.transactions.length, 1);
    }
  });

  test('has no other end on a connection of another pair', () => {
    const both = ends(['one', 'two']);
    both.client.sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    both.bench.table.tick(101 * MS);
    assert.deepEqual(paired(both), [undefined]);
  });

  test('gets its own request also while it is in doubt which answer the client has got', () => {
    const both = ends();
    both.client.sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    // Of the client's answer and its next request nothing is seen.
    both.client.unseen('received', RESPONSE.length).unseen('sent', REQUEST.length);
    both.server.received(REQUEST).sent(RESPONSE);
    both.client.received(RESPONSE).sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    both.bench.table.tick(1001 * MS);
    // The second one waited for a client's event that never came.
    assert.deepEqual(paired(both), [[1, 0], [1, 2 * REQUEST.length], undefined]);
  });

  test('is not lost when the receiver stops', () => {
    const bench = createBench();
    new Socket(bench.table, 2).open('server', { pair: 'one' }).received(REQUEST).sent(RESPONSE);
    bench.table.close();
    assert.equal(bench.transactions.length, 1);
    assert.equal(bench.ledger.report().balanced, true);
  });
});

test('ends that are over are forgotten, whichever goes first', () => {
  for (const first of ['client', 'server'] as const) {
    const both = ends();
    both.client.sent(REQUEST);
    both.server.received(REQUEST).sent(RESPONSE);
    both.client.received(RESPONSE);
    both[first].end('closed');
    both.bench.table.tick(100 * MS);
    // Should a new connection have the same pair, it is not the one that ended.
    const second = new Socket(both.bench.table, 3).open(first, { pair: 'one' });
    const survivor = first === 'client' ? both.server : both.client;
    if (first === 'client') {
      second.sent(REQUEST);
      survivor.received(REQUEST).sent(RESPONSE);
    } else {
      survivor.sent(REQUEST);
      second.received(REQUEST).sent(RESPONSE);
    }
    both.bench.table.tick(200 * MS);
    assert.deepEqual(paired(both), [[1, 0], undefined]);
  }
});
