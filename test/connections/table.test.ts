// From a connection's first event to its last, and what comes after.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { controlLayout } from '../../receiver/kernel/session.ts';
import { type Bench, controlWord, createBench, get, ok, Socket, summary } from './socket.ts';

const MS = 1e6;
const SECOND = 1e9;

function setUp(role: 'server' | 'client' = 'server', maxConnections = 100): { readonly bench: Bench; readonly socket: Socket } {
  const bench = createBench(maxConnections);
  return { bench, socket: new Socket(bench.table, 1).open(role) };
}

function balancedReport(bench: Bench): ReturnType<Bench['ledger']['report']> {
  bench.table.close();
  const report = bench.ledger.report();
  assert.equal(report.balanced, true, JSON.stringify(report));
  return report;
}

describe('a close', () => {
  const causes = [
    ['closed', {}, 'connection_closed'],
    ['closed', { error: 104 }, 'connection_reset'],
    ['closed', { error: 32 }, 'connection_reset'],
    ['closed', { error: 110 }, 'connection_closed'],
    ['closed', { isExiting: true }, 'process_exited'],
    ['error', { error: 104 }, 'connection_reset'],
    ['shutdown', { isExiting: true }, 'process_exited'],
  ] as const;
  for (const [cause, more, abort] of causes) {
    test(`(${cause} ${JSON.stringify(more)}) ends an unanswered request as ${abort}, at its own time`, () => {
      const { bench, socket } = setUp();
      socket.received(get('/a')).end(cause, more);
      const closedAt = socket.time;
      bench.table.tick(closedAt + SECOND);
      assert.deepEqual(summary(bench), [`/a ${abort}`]);
      assert.equal(bench.transactions[0]?.end, closedAt);
      assert.equal(bench.table.size, 0);
      balancedReport(bench);
    });
  }

  test('waits 50 ms for the events that are still under way', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).end('closed');
    const closedAt = socket.time;
    bench.table.tick(closedAt + 49 * MS);
    assert.equal(bench.table.size, 1);
    socket.sent(ok());
    bench.table.tick(closedAt + 50 * MS);
    assert.deepEqual([summary(bench), bench.table.size], [['/a 200'], 0]);
  });

  test('ends by the events of others, while the ring is never empty', () => {
    const bench = createBench();
    const socket = new Socket(bench.table, 1).open('server').received(get('/a')).sent(ok()).end('closed');
    const other = new Socket(bench.table, 2).open('server').received(get('/b'), { time: socket.time + 49 * MS });
    bench.table.tick();
    assert.equal(bench.table.size, 2);
    other.sent(ok(), { time: socket.time + 50 * MS });
    bench.table.tick();
    assert.equal(bench.table.size, 1);
  });

  test('keeps its first cause: a reset is followed by the end of the socket', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).end('error', { error: 104 }).end('closed');
    bench.table.tick(socket.time + SECOND);
    assert.deepEqual(summary(bench), ['/a connection_reset']);
  });

  test('told a thousand times is one', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'));
    for (let i = 0; i < 1000; i++) socket.end('error', { error: 104 });
    bench.table.tick(socket.time + SECOND);
    assert.deepEqual(summary(bench), ['/a connection_reset']);
  });

  test('is not told by a broken pipe: the answer may still come', () => {
    const { bench, socket } = setUp('client');
    socket.sent(get('/a')).end('error', { error: 32 });
    bench.table.tick(socket.time + SECOND);
    socket.received(ok());
    assert.deepEqual(summary(bench), ['/a 200']);
  });

  test('gives the control slot back', () => {
    const { bench, socket } = setUp();
    socket.received('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    assert.equal(controlWord(bench, 1, controlLayout.cookie), 1);
    socket.end('closed');
    bench.table.tick(socket.time + SECOND);
    assert.equal(controlWord(bench, 1, controlLayout.cookie), 0);
  });

  test('of one direction leaves the other open', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).end('eof');
    bench.table.tick(socket.time + SECOND);
    socket.sent(ok());
    assert.deepEqual(summary(bench), ['/a 200']);
  });

  test('of an unknown connection is nothing', () => {
    const bench = createBench();
    new Socket(bench.table, 5).end('closed').end('eof');
    assert.equal(balancedReport(bench).connections.seen, 0);
  });
});

test('what comes after the end is lost bytes, and no other connection', () => {
  const { bench, socket } = setUp();
  socket.received(get('/a')).sent(ok()).end('closed');
  bench.table.tick(socket.time + SECOND);
  socket.received(get('/late')).sent(ok());
  const report = balancedReport(bench);
  assert.deepEqual(report.bytes.lost, { connection_unknown: get('/late').length + ok().length });
  assert.deepEqual([report.connections.seen, report.connections.shed], [1, {}]);
});

describe('a connection whose beginning was lost', () => {
  test('is shed, once, and the kernel told', () => {
    const bench = createBench();
    new Socket(bench.table, 7).received(get('/a')).sent(ok()).received(get('/b'));
    const report = balancedReport(bench);
    assert.deepEqual([report.connections.seen, report.connections.shed], [1, { ring_full: 1 }]);
    assert.equal(report.bytes.lost['connection_unknown'], get('/a').length);
    assert.equal(controlWord(bench, 7, controlLayout.ignore), 1);
    assert.equal(bench.transactions.length, 0);
  });

  test('stays shed when its beginning comes late', () => {
    const bench = createBench();
    const socket = new Socket(bench.table, 7).received(get('/a'));
    socket.open('server').sent(ok());
    const report = balancedReport(bench);
    assert.deepEqual([report.connections.seen, report.connections.shed, report.transactions.seen], [1, { ring_full: 1 }, 0]);
  });
});

test('a connection that is told twice goes on: two threads may do its first I/O at once', () => {
  const { bench, socket } = setUp();
  socket.received(get('/a'));
  const { sent, received } = socket.position;
  socket.open('server', {}, { sentPosition: sent, receivedPosition: received }).sent(ok());
  const report = balancedReport(bench);
  assert.deepEqual([summary(bench), report.connections.seen], [['/a 200'], 1]);
});

describe('more connections than allowed', () => {
  test('are shed, their bytes skipped, and the others go on', () => {
    const bench = createBench(2);
    const sockets = [1, 2, 3].map((id) => new Socket(bench.table, id).open('server'));
    for (const socket of sockets) socket.received(get(`/${socket.id}`)).sent(ok());
    assert.deepEqual([summary(bench), bench.table.size], [['/1 200', '/2 200'], 2]);
    const report = balancedReport(bench);
    assert.deepEqual([report.connections.seen, report.connections.shed], [3, { too_many_connections: 1 }]);
    assert.equal(report.bytes.skipped, get('/3').length + ok().length);
    assert.equal(controlWord(bench, 3, controlLayout.ignore), 1);
  });

  test('find room again when one has ended', () => {
    const { bench, socket } = setUp('server', 1);
    socket.end('closed');
    bench.table.tick(socket.time + SECOND);
    new Socket(bench.table, 2).open('server').received(get('/b')).sent(ok());
    assert.deepEqual(summary(bench), ['/b 200']);
  });
});

describe('a connection of no interest', () => {
  test("is asked for to be ignored again while its events go on: the slot may have been another one's", () => {
    const bench = createBench();
    const holder = new Socket(bench.table, 1)
      .open('server')
      .received('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    // 65 shares the slot of 1.
    const socket = new Socket(bench.table, 65).open('server').received('\x01');
    assert.equal(controlWord(bench, 65, controlLayout.cookie), 1);
    holder.end('closed');
    bench.table.tick(holder.time + SECOND);
    socket.received('\x01');
    assert.deepEqual([controlWord(bench, 65, controlLayout.cookie), controlWord(bench, 65, controlLayout.ignore)], [65, 1]);
  });

  test('gives its slot back when it ends', () => {
    const { bench, socket } = setUp();
    socket.received('\x01').end('closed');
    assert.equal(controlWord(bench, 1, controlLayout.cookie), 0);
  });

  test('is no shed connection, however many there are', () => {
    const { bench, socket } = setUp();
    socket.received('\x01');
    socket.received('\x01').sent('\x01');
    const report = balancedReport(bench);
    assert.deepEqual([report.connections.seen, report.connections.not_http, report.connections.shed], [1, 1, {}]);
  });
});

describe('a sweep', () => {
  test('is needed while there are connections: any end may have been lost', () => {
    const { bench, socket } = setUp();
    assert.equal(bench.table.needsSweep(), true);
    socket.end('closed');
    bench.table.tick(socket.time + SECOND);
    assert.equal(bench.table.needsSweep(), false);
  });

  test('ends a UNIX socket that the kernel does not know any more, at its last event', () => {
    const bench = createBench();
    const socket = new Socket(bench.table, 1).open('server', { transport: 'unix' });
    const alive = new Socket(bench.table, 2).open('server').received(get('/b'));
    socket.received(get('/a'));
    const last = socket.time;
    bench.table.sweep(new Set([2]), last + SECOND);
    bench.table.tick(last + 2 * SECOND);
    assert.deepEqual([summary(bench), bench.transactions[0]?.end, bench.table.size], [['/a connection_closed'], last, 1]);
    alive.sent(ok());
    assert.deepEqual(summary(bench), ['/a connection_closed', '/b 200']);
    balancedReport(bench);
  });

  for (const transport of ['tcp', 'unix'] as const) {
    test(`reports nothing of a ${transport} connection whose end, and perhaps whose answer, was lost`, () => {
      const bench = createBench();
      const socket = new Socket(bench.table, 1).open('server', { transport });
      socket.received(get('/a')).sent(ok()).received(get('/b'));
      // Every end of a TCP connection is told, so that silence is loss enough; a UNIX socket ends in silence.
      if (transport === 'unix') bench.table.noteLoss();
      bench.table.sweep(new Set(), socket.time + SECOND);
      bench.table.tick(socket.time + 2 * SECOND);
      assert.deepEqual(summary(bench), ['/a 200']);
      assert.deepEqual(balancedReport(bench).transactions.not_exported, { bytes_lost: 1 });
    });
  }

  test('waits for the events that are in the ring still', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'), { time: 5 });
    bench.table.sweep(new Set(), SECOND);
    socket.sent(ok(), { time: SECOND - 1 });
    bench.table.tick(2 * SECOND);
    assert.deepEqual([summary(bench), bench.table.size], [['/a 200'], 0]);
  });

  test('gives way to the end that the kernel tells', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'));
    bench.table.sweep(new Set(), socket.time + SECOND);
    socket.end('closed', { error: 104 });
    bench.table.tick(socket.time + 2 * SECOND);
    assert.deepEqual(summary(bench), ['/a connection_reset']);
  });

  test('leaves a connection that was heard of later than it looked', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'), { time: SECOND });
    bench.table.sweep(new Set(), SECOND - 1);
    bench.table.tick(5 * SECOND);
    assert.equal(bench.table.size, 1);
  });

  test('a second time, before the first has ended, changes nothing', () => {
    const bench = createBench();
    const socket = new Socket(bench.table, 1).open('server', { transport: 'unix' });
    socket.received(get('/a'));
    for (let i = 0; i < 5; i++) bench.table.sweep(new Set(), socket.time + SECOND);
    bench.table.tick(socket.time + 2 * SECOND);
    assert.deepEqual(summary(bench), ['/a connection_closed']);
    balancedReport(bench);
  });
});

describe('at the stop of the receiver', () => {
  test('what is open is counted, what lingers is finished, what is complete was told', () => {
    const bench = createBench();
    new Socket(bench.table, 1).open('server').received(get('/done')).sent(ok());
    new Socket(bench.table, 2).open('server').received(get('/first')).sent(ok()).received(get('/open'));
    new Socket(bench.table, 3).open('server').received(get('/closing')).end('closed');
    new Socket(bench.table, 4).open('server').received('GET /half');
    const report = balancedReport(bench);
    assert.deepEqual(summary(bench), ['/done 200', '/first 200', '/closing connection_closed']);
    assert.deepEqual([report.transactions.seen, report.transactions.not_exported], [4, { open_at_exit: 1 }]);
  });

  test('a second close is nothing', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'));
    bench.table.close();
    const before = bench.ledger.report();
    bench.table.close();
    assert.deepEqual(bench.ledger.report(), before);
  });
});

test('what a conversation holds in doubt is settled by silence', () => {
  const bench = createBench();
  const socket = new Socket(bench.table, 1).open('server', { isFromStart: false }, { lastFlow: 'sent' });
  socket.received(get('/a')).sent(ok());
  assert.equal(bench.transactions.length, 0);
  for (let tick = 1; tick <= 12; tick++) bench.table.tick(socket.time + tick * 500 * MS);
  assert.deepEqual(summary(bench), ['/a 200']);
});
