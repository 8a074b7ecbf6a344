// One connection's bytes in their order, whatever order they come in.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { controlLayout } from '../../receiver/kernel/session.ts';
import { type Bench, controlWord, createBench, get, ok, opener, Socket, summary, WINDOW_SIZE } from './socket.ts';

const SECOND = 1e9;

function setUp(role: 'server' | 'client' = 'server'): { readonly bench: Bench; readonly socket: Socket } {
  const bench = createBench();
  return { bench, socket: new Socket(bench.table, 1).open(role) };
}

/** Closes the books and shows what they say of lost bytes. */
function lostAtEnd(bench: Bench): Readonly<Record<string, number>> {
  bench.table.close();
  const report = bench.ledger.report();
  assert.equal(report.balanced, true, JSON.stringify(report));
  return report.bytes.lost;
}

describe('an exchange', () => {
  test('of a server is a transaction of who answered', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a'), { time: 5, pid: 20 }).sent(ok('hello'), { time: 9, pid: 21 });
    const [transaction] = bench.transactions;
    assert.ok(transaction);
    assert.deepEqual(
      [transaction.role, transaction.process.pid, transaction.start, transaction.end, transaction.response],
      ['server', 21, 5, 9, { statusCode: 200, bodySize: 5 }],
    );
    assert.deepEqual(lostAtEnd(bench), {});
    assert.equal(bench.ledger.report().bytes.seen, get('/a').length + ok('hello').length);
  });

  test('of a client is a transaction of who asked', () => {
    const { bench, socket } = setUp('client');
    socket.sent(get('/a'), { pid: 20 }).received(ok(), { pid: 21 });
    assert.deepEqual([bench.transactions[0]?.role, bench.transactions[0]?.process.pid], ['client', 20]);
  });

  test('split over one-byte events is the same transaction', () => {
    const { bench, socket } = setUp();
    for (const c of get('/a')) socket.received(c);
    for (const c of ok('x')) socket.sent(c);
    assert.deepEqual(summary(bench), ['/a 200']);
    assert.deepEqual(lostAtEnd(bench), {});
  });
});

describe('a hole', () => {
  test('in a body is no loss', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).sent('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
    socket.unseen('sent', 900).sent('x'.repeat(100));
    assert.deepEqual(summary(bench), ['/a 200']);
    assert.deepEqual(lostAtEnd(bench), {});
  });

  const reasons = [
    ['of bytes that moved unseen', 'unseen_io', {}],
    ['of events that the full ring refused', 'ring_full', { isResumed: true }],
  ] as const;
  for (const [title, reason, options] of reasons) {
    test(`${title} where a request was is lost as ${reason}, and nothing is paired wrongly`, () => {
      const { bench, socket } = setUp();
      socket.received(get('/a')).sent(ok());
      socket.unseen('received', 30).unseen('sent', 40).received(get('/c'), options).sent(ok('c'));
      socket.received(get('/d')).sent(ok('d')).received(get('/e')).sent(ok('e')).received(get('/f')).sent(ok('f'));
      bench.table.tick(socket.time + 10 * SECOND);
      for (const line of summary(bench)) assert.match(line, /^\/[a-f] 200$/);
      for (const { request, response } of bench.transactions.slice(1)) assert.equal(response?.bodySize, 1, request.target);
      assert.equal(summary(bench).at(-1), '/f 200');
      const lost = lostAtEnd(bench);
      assert.equal(lost[reason], 70);
      assert.deepEqual(Object.keys(lost).sort(), ['resynchronising', reason].sort());
    });
  }

  test('behind what was copied is lost for the reason that the event tells', () => {
    const { bench, socket } = setUp();
    socket.received('GET /a HT', { uncopied: 20, missing: 'unreadable_memory' });
    assert.equal(lostAtEnd(bench)['unreadable_memory'], 20);
  });

  test('without a reason is unseen', () => {
    const { bench, socket } = setUp();
    socket.received('GET /a HT', { uncopied: 20 });
    assert.equal(lostAtEnd(bench)['unseen_io'], 20);
  });

  test('of a response that waits keeps the reason that the response brought', () => {
    const { bench, socket } = setUp('client');
    socket.sent(get('/a')).received(ok());
    socket.unseen('sent', get('/b').length).received(ok('b'), { isResumed: true }).sent(get('/c'));
    const lost = lostAtEnd(bench);
    assert.equal(lost['ring_full'], get('/b').length);
    assert.equal(lost['unseen_io'], undefined);
  });

  for (const [title, role, flow, cause] of [
    ['its own', 'server', 'sent', 'shutdown'],
    ['its peer', 'client', 'received', 'eof'],
  ] as const) {
    test(`in a body until close counts when ${title} end says where it stands`, () => {
      const { bench, socket } = setUp(role);
      const begin = 'HTTP/1.1 200 OK\r\n\r\nhello';
      if (role === 'server') socket.received(get('/a')).sent(begin);
      else socket.sent(get('/a')).received(begin);
      socket.unseen(flow, 6).end(cause);
      assert.equal(bench.transactions[0]?.response?.bodySize, 11);
      assert.deepEqual(lostAtEnd(bench), {});
    });
  }

  test('at the end is accounted for by the final positions', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).sent(ok()).unseen('received', 70).unseen('sent', 7).end('closed');
    bench.table.tick(socket.time + SECOND);
    assert.deepEqual(lostAtEnd(bench), { unseen_io: 77 });
  });
});

describe('unordered I/O', () => {
  test('is lost as such, once', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).sent(ok());
    const text = get('/b');
    const first = socket.event(false, text.slice(0, 10));
    const second = socket.event(false, text.slice(10), { isUnordered: true });
    bench.table.io(second);
    bench.table.io(first);
    assert.equal(lostAtEnd(bench)['unordered_io'], text.length);
    assert.deepEqual(summary(bench), ['/a 200']);
  });

  test('of bytes that are known already is nothing', () => {
    const { bench, socket } = setUp();
    const event = socket.event(false, get('/a'));
    bench.table.io(event);
    bench.table.io({ ...event, isUnordered: true });
    socket.sent(ok());
    assert.deepEqual(summary(bench), ['/a 200']);
    assert.deepEqual(lostAtEnd(bench), {});
    assert.equal(bench.ledger.report().bytes.seen, get('/a').length + ok().length);
  });

  test('in a body is no loss', () => {
    const { bench, socket } = setUp();
    socket.received('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n');
    const first = socket.event(false, 'x'.repeat(10));
    const second = socket.event(false, 'y'.repeat(10), { isUnordered: true });
    bench.table.io(second);
    bench.table.io(first);
    socket.sent(ok());
    assert.deepEqual(summary(bench), ['/a 200']);
    assert.deepEqual(lostAtEnd(bench), {});
  });
});

describe('a response before its request', () => {
  /** The answer's event comes first: two threads share the socket. */
  function racing(): { readonly bench: Bench; readonly socket: Socket; readonly askLate: () => void } {
    const { bench, socket } = setUp('client');
    socket.sent(get('/a')).received(ok());
    const request = socket.event(true, get('/b'));
    socket.received(ok('b'));
    return {
      bench,
      socket,
      askLate: () => {
        bench.table.io(request);
      },
    };
  }

  test('waits for the event of the request', () => {
    const { bench, askLate } = racing();
    assert.deepEqual(summary(bench), ['/a 200']);
    askLate();
    assert.deepEqual(summary(bench), ['/a 200', '/b 200']);
    assert.equal(bench.transactions[1]?.response?.bodySize, 1);
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('shows that the request was there before it, whatever its event says', () => {
    const { bench, socket } = setUp('client');
    const request = socket.event(true, get('/a'), { time: 900 });
    socket.received(ok(), { time: 500 });
    bench.table.io(request);
    assert.deepEqual([bench.transactions[0]?.start, bench.transactions[0]?.end], [500, 500]);
  });

  test('waits also at the beginning of the connection', () => {
    const { bench, socket } = setUp('client');
    const request = socket.event(true, get('/a'));
    socket.received(ok());
    bench.table.io(request);
    assert.deepEqual(summary(bench), ['/a 200']);
  });

  test('keeps its bytes although the buffer of its event is used again', () => {
    const { bench, socket } = setUp('client');
    const request = socket.event(true, get('/a'));
    const answer = socket.event(false, ok('body'));
    bench.table.io(answer);
    answer.bytes.fill(0x21);
    bench.table.io(request);
    assert.deepEqual(summary(bench), ['/a 200']);
  });

  test('in several events, each of which waits for the request that it answers', () => {
    const { bench, socket } = setUp('client');
    const first = socket.event(true, get('/a'));
    socket.received(ok('a'));
    const second = socket.event(true, get('/b'));
    socket.received(ok('bb'));
    bench.table.io(first);
    assert.deepEqual(summary(bench), ['/a 200']);
    bench.table.io(second);
    assert.deepEqual(
      bench.transactions.map(({ request, response }) => [request.target, response?.bodySize]),
      [
        ['/a', 1],
        ['/b', 2],
      ],
    );
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('whose request does not come within half a second has lost it, and does not answer what comes late', () => {
    const { bench, socket, askLate } = racing();
    bench.table.tick(socket.time + 0.4 * SECOND);
    assert.deepEqual(bench.ledger.report().bytes.lost, {});
    bench.table.tick(socket.time + 0.6 * SECOND);
    assert.deepEqual(bench.ledger.report().bytes.lost, { unseen_io: get('/b').length, resynchronising: ok('b').length });
    askLate();
    // Whose turn it is is known again with an answer to a request that came in time.
    socket.sent(get('/c')).received(ok()).sent(get('/d')).received(ok());
    bench.table.tick(socket.time + 10 * SECOND);
    assert.deepEqual(summary(bench), ['/a 200', '/d 200']);
    lostAtEnd(bench);
  });

  test('is handed over by the close, after its request if that came before', () => {
    const { bench, socket, askLate } = racing();
    socket.end('closed');
    askLate();
    bench.table.tick(socket.time + SECOND);
    assert.deepEqual(summary(bench), ['/a 200', '/b 200']);
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('waits on although the peer sends no more', () => {
    const { bench, socket, askLate } = racing();
    socket.end('eof');
    askLate();
    assert.deepEqual(summary(bench), ['/a 200', '/b 200']);
  });

  test('until the end of the connection ends there, once its request has come', () => {
    const { bench, socket } = setUp('client');
    const request = socket.event(true, get('/a'));
    socket.received('HTTP/1.1 200 OK\r\n\r\nbody');
    socket.end('eof');
    const endedAt = socket.time;
    bench.table.io(request);
    assert.deepEqual(summary(bench), ['/a 200']);
    assert.equal(bench.transactions[0]?.end, endedAt);
  });

  test('does not wait for a body that the kernel was told to step over', () => {
    const { bench, socket } = setUp();
    socket.received('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    socket.unseen('received', 500_000);
    socket.sent('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual(summary(bench), ['/a 413']);
  });

  test('waits half a second for a body that moved unseen, and keeps its time', () => {
    const { bench, socket } = setUp();
    socket.received('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n').unseen('received', 100);
    socket.sent(ok(), { time: 5000 });
    bench.table.tick(0.6 * SECOND);
    assert.deepEqual([summary(bench), bench.transactions[0]?.end], [['/a 200'], 5000]);
  });

  test('waits for a pipelined request too, whatever else is unanswered', () => {
    const { bench, socket } = setUp('client');
    socket.sent(get('/a'));
    const second = socket.event(true, get('/b'));
    socket.received(ok('a') + ok('bb'));
    bench.table.io(second);
    assert.deepEqual(
      bench.transactions.map(({ request, response }) => [request.target, response?.bodySize]),
      [
        ['/a', 1],
        ['/b', 2],
      ],
    );
  });

  test('takes the place of its request where that was lost', () => {
    const { bench, socket } = setUp();
    socket.received(get('/a')).sent(ok());
    socket.unseen('received', get('/b').length).sent(ok('b'));
    const inner = get('/decoy');
    socket.received(`POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n`).received(inner).sent(ok('cc'));
    socket.received(get('/d')).sent(ok('ddd'));
    bench.table.tick(socket.time + 10 * SECOND);
    assert.deepEqual(
      bench.transactions.map(({ request, response }) => [request.target, response?.bodySize]),
      [
        ['/a', 0],
        ['/c', 2],
        ['/d', 3],
      ],
    );
  });

  test('holds no more than 64 events', () => {
    const { bench, socket } = setUp('client');
    socket.unseen('sent', 50);
    for (let i = 0; i < 64; i++) socket.received(ok());
    assert.equal(bench.ledger.report().bytes.seen, 0);
    socket.received(ok());
    assert.equal(bench.ledger.report().bytes.seen > 0, true);
    lostAtEnd(bench);
  });

  test('holds no more than 512 KiB', () => {
    const { bench, socket } = setUp('client');
    socket.unseen('sent', 50);
    const chunk = 'x'.repeat(100 * 1024);
    for (let i = 0; i < 5; i++) socket.received(chunk);
    assert.equal(bench.ledger.report().bytes.seen, 0);
    socket.received(chunk);
    assert.equal(bench.ledger.report().bytes.seen > 0, true);
    lostAtEnd(bench);
  });

  test('of a connection that turns out not to be HTTP waits no more', () => {
    const { bench, socket } = setUp('client');
    const request = socket.event(true, '\x16\x03\x01 hello');
    socket.received('\x16\x03\x01 hello back', { otherPosition: 1000 });
    bench.table.io(request);
    assert.equal(bench.ledger.report().bytes.skipped, socket.position.sent + socket.position.received);
    assert.equal(bench.ledger.report().connections.not_http, 1);
    bench.table.close();
  });
});

describe('a role that the kernel could not tell', () => {
  const unknown = (more = {}): { readonly bench: Bench; readonly socket: Socket } => {
    const bench = createBench();
    return { bench, socket: new Socket(bench.table, 1).open('unknown', { transport: 'unix', ...more }) };
  };

  test("is the server's where requests are received", () => {
    const { bench, socket } = unknown();
    socket.received(get('/a')).sent(ok());
    const [transaction] = bench.transactions;
    assert.deepEqual(
      [transaction?.role, transaction?.connection.role, transaction?.connection.roleEvidence],
      ['server', 'server', 'grammar'],
    );
  });

  test("is the client's where requests are sent", () => {
    const { bench, socket } = unknown();
    socket.sent(get('/a')).received(ok());
    assert.equal(bench.transactions[0]?.role, 'client');
  });

  test('is told by a response too', () => {
    const { bench, socket } = unknown({ transport: 'tcp' });
    socket.received(ok());
    socket.sent(get('/a')).received(ok());
    assert.deepEqual([bench.transactions[0]?.role, summary(bench)], ['client', ['/a 200']]);
  });

  test('is found in first bytes that come one by one', () => {
    const { bench, socket } = unknown();
    // 'H' may begin both HEAD and HTTP/1.1.
    for (const c of 'HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n') socket.received(c);
    for (const c of 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n') socket.sent(c);
    assert.deepEqual([bench.transactions[0]?.role, summary(bench)], ['server', ['/a 200']]);
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('is waited for, not guessed: time alone decides nothing', () => {
    const { bench, socket } = unknown();
    socket.received('H');
    bench.table.tick(socket.time + 5 * SECOND);
    socket.received('EAD /a HTTP/1.1\r\nHost: a\r\n\r\n', { time: 6 * SECOND }).sent(ok());
    assert.deepEqual([bench.transactions[0]?.role, summary(bench)], ['server', ['/a 200']]);
  });

  test('is not guessed from unreadable first bytes', () => {
    const { bench, socket } = unknown();
    // What was sent is a request, by sendfile; nobody can read it.
    socket.sent('', { uncopied: 50, missing: 'not_in_user_memory' });
    bench.table.tick(socket.time + 5 * SECOND);
    socket.received(ok(), { time: 6 * SECOND });
    socket.sent(get('/b')).received(ok()).sent(get('/c')).received(ok());
    bench.table.tick(socket.time + 20 * SECOND);
    for (const { role } of bench.transactions) assert.equal(role, 'client');
    assert.deepEqual(summary(bench), ['/b 200', '/c 200']);
    lostAtEnd(bench);
  });

  test('that no bytes tell makes the connection not HTTP', () => {
    const { bench, socket } = unknown();
    socket.received('\x01\x02\x03').sent(get('/late')).received(ok());
    const report = bench.ledger.report();
    assert.deepEqual([report.connections.not_http, report.transactions.seen], [1, 0]);
    assert.equal(report.bytes.skipped, 3 + get('/late').length + ok().length);
    lostAtEnd(bench);
  });

  test('and bytes that might be anything end in not HTTP after 64 events', () => {
    const { bench, socket } = unknown();
    for (let i = 0; i < 70; i++) socket.received('\r\n');
    assert.equal(bench.ledger.report().connections.not_http, 1);
    assert.deepEqual(lostAtEnd(bench), {});
    assert.equal(bench.ledger.report().bytes.skipped, 140);
  });

  test('at the end of an undecided connection leaves its bytes skipped', () => {
    for (const finish of ['close', 'abandon'] as const) {
      const { bench, socket } = unknown();
      socket.received('H').sent('H');
      if (finish === 'close') {
        socket.end('closed');
        bench.table.tick(socket.time + SECOND);
      }
      bench.table.close();
      const { bytes, balanced, connections } = bench.ledger.report();
      assert.deepEqual([balanced, bytes.seen, bytes.skipped], [true, 2, 2], finish);
      assert.deepEqual(connections.unattributed, { role_unknown: 1 });
    }
  });
});

describe('the protocol', () => {
  test('is decided once: what began otherwise is data, however much it looks like HTTP later', () => {
    const { bench, socket } = setUp();
    socket.received('SSH-2.0-x\r\n').received(get('/a')).sent(ok());
    assert.deepEqual([bench.ledger.report().connections.not_http, bench.transactions.length], [1, 0]);
    assert.equal(bench.table.size, 0);
    assert.equal(controlWord(bench, 1, controlLayout.ignore), 1);
    assert.equal(bench.ledger.report().bytes.skipped, 11 + get('/a').length + ok().length);
  });

  test('is decided on first bytes that come in pieces', () => {
    const { bench, socket } = setUp();
    socket.received('GE').received('T').received('\0');
    assert.equal(bench.ledger.report().connections.not_http, 1);
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('is looked for again behind unreadable first bytes', () => {
    const { bench, socket } = setUp();
    socket.received('', { uncopied: 100, missing: 'not_in_user_memory' }).sent(ok());
    for (const path of ['/b', '/c', '/d']) socket.received(get(path)).sent(ok());
    bench.table.tick(socket.time + 10 * SECOND);
    assert.deepEqual(summary(bench), ['/b 200', '/c 200', '/d 200']);
    assert.equal(lostAtEnd(bench)['not_in_user_memory'], 100);
  });
});

describe('a connection that is older than the receiver', () => {
  const old = (role: 'server' | 'client' | 'unknown', lastFlow: 'sent' | 'received' | 'unknown' = 'unknown') => {
    const bench = createBench();
    const socket = new Socket(bench.table, 1).open(
      role,
      { isFromStart: false },
      { sentPosition: 5000, receivedPosition: 2 ** 33, lastFlow },
    );
    return { bench, socket };
  };

  test('is adopted at its next request', () => {
    for (const role of ['server', 'unknown'] as const) {
      const { bench, socket } = old(role, 'sent');
      socket.received(get('/a')).sent(ok()).received(get('/b')).sent(ok());
      bench.table.tick(socket.time + 10 * SECOND);
      assert.deepEqual(summary(bench), ['/a 200', '/b 200'], role);
      assert.deepEqual(lostAtEnd(bench), {});
    }
  });

  test('whose role is unknown is adopted after any length of body', () => {
    const { bench, socket } = old('unknown', 'received');
    for (let i = 0; i < 100; i++) socket.received('\0body\0');
    // The first exchange shows whose turn it is.
    for (const path of ['/a', '/b', '/c']) socket.sent(get(path)).received(ok());
    bench.table.tick(socket.time + 10 * SECOND);
    assert.deepEqual(summary(bench), ['/b 200', '/c 200']);
    assert.equal(bench.transactions[0]?.role, 'client');
  });

  test('whose role is unknown is not taken in by a body that looks like a request or a response', () => {
    for (const body of [get('/fake'), ok()]) {
      const { bench, socket } = old('unknown');
      socket.sent(body).sent(body);
      for (const path of ['/a', '/b', '/c']) socket.received(get(path)).sent(ok());
      bench.table.tick(socket.time + 10 * SECOND);
      assert.deepEqual(summary(bench), ['/b 200', '/c 200']);
      for (const { role, connection } of bench.transactions)
        assert.deepEqual([role, connection.roleEvidence], ['server', 'grammar']);
      lostAtEnd(bench);
    }
  });

  test('whose role is unknown waits for an answer in pieces, and for one behind a long request', () => {
    const { bench, socket } = old('unknown', 'received');
    socket.sent('POST /a HTTP/1.1\r\nContent-Length: 40\r\n\r\n');
    for (let i = 0; i < 4; i++) socket.sent('0123456789');
    for (const c of ok()) socket.received(c);
    socket.sent(get('/b')).received(ok());
    bench.table.tick(socket.time + 10 * SECOND);
    assert.deepEqual(summary(bench), ['/a 200', '/b 200']);
    assert.equal(bench.transactions[0]?.role, 'client');
    assert.deepEqual(lostAtEnd(bench), {});
  });

  for (const role of ['server', 'unknown'] as const) {
    test(`and speaks something else is given up after some turns, its books balanced (${role})`, () => {
      const { bench, socket } = old(role);
      for (let i = 0; i < 40 && bench.table.size > 0; i++) socket.received(`\x01${String(i)}`).sent('\x02');
      assert.equal(bench.table.size, 0);
      assert.equal(bench.ledger.report().connections.not_http, 1);
      lostAtEnd(bench);
    });
  }

  test('and is given up with messages under way has its books balanced', () => {
    const { bench, socket } = old('server', 'sent');
    for (let i = 0; i < 17; i++) socket.received('\x01').sent('\x02');
    socket.received(get('/a')).sent('HTT').received('\x01');
    assert.equal(bench.table.size, 0);
    lostAtEnd(bench);
  });
});

describe('a walk', () => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

  function walking(): {
    readonly bench: Bench;
    readonly socket: Socket;
    readonly walk: (position: number, size: number, body: number) => void;
  } {
    const { bench, socket } = setUp();
    socket.received(get('/a')).sent(head);
    return {
      bench,
      socket,
      walk: (position, size, body) => {
        socket.position.sent = position + size;
        bench.table.walked({
          connection: 1,
          time: (socket.time += 1000),
          isSent: true,
          position,
          end: position + size,
          next: position + size,
          body,
        });
      },
    };
  }

  test('at the chunk-size line is followed', () => {
    const { bench, socket, walk } = walking();
    // Three chunks of 1000 bytes: 3E8, CR, LF, payload, CR, LF.
    walk(head.length, 3 * 1007, 3000);
    socket.sent('5\r\nhello\r\n0\r\n\r\n');
    assert.deepEqual(bench.transactions[0]?.response, { statusCode: 200, bodySize: 3005 });
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('that ends within a chunk is followed too', () => {
    const { bench, socket } = walking();
    const position = socket.position.sent;
    socket.unseen('sent', 505);
    bench.table.walked({
      connection: 1,
      time: 5,
      isSent: true,
      position,
      end: position + 505,
      next: position + 1007,
      body: 1000,
    });
    socket.sent(`${'x'.repeat(500)}\r\n0\r\n\r\n`);
    assert.deepEqual(bench.transactions[0]?.response, { statusCode: 200, bodySize: 1000 });
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('that begins elsewhere is lost, and its response is not invented', () => {
    const { bench, socket, walk } = walking();
    socket.sent('ffff\r\nabc');
    walk(socket.position.sent, 1007, 1000);
    socket.sent('0\r\n\r\n');
    assert.equal(bench.transactions.length, 0);
    lostAtEnd(bench);
  });

  test('that begins behind a hole is lost with it', () => {
    const { bench, socket, walk } = walking();
    walk(socket.position.sent + 100, 1007, 1000);
    assert.equal(bench.transactions.length, 0);
    const lost = lostAtEnd(bench);
    assert.equal(Object.values(lost).reduce((a, b) => a + b, 0) >= 1107, true, JSON.stringify(lost));
    assert.equal(bench.ledger.report().bytes.seen, get('/a').length + socket.position.sent);
  });

  test('over bytes that are known already adds nothing', () => {
    const { bench, socket, walk } = walking();
    socket.sent('5\r\nhello\r\n');
    walk(head.length, 10, 5);
    socket.sent('0\r\n\r\n');
    assert.deepEqual(bench.transactions[0]?.response, { statusCode: 200, bodySize: 5 });
    assert.deepEqual(lostAtEnd(bench), {});
  });

  test('that begins within known bytes and ends behind them is lost, counted once', () => {
    const { bench, socket, walk } = walking();
    socket.sent('3e8\r\nhel');
    const known = socket.position.sent;
    walk(head.length, 1007, 1000);
    assert.equal(bench.ledger.report().bytes.seen, get('/a').length + socket.position.sent);
    assert.ok(socket.position.sent > known);
    lostAtEnd(bench);
  });

  test('of a connection that was given up, or that nobody knows, is passed over', () => {
    const { bench, socket } = setUp();
    socket.received('\x01');
    const walk = { time: 1, isSent: true, position: 0, end: 50, next: 50, body: 40 };
    bench.table.walked({ connection: 1, ...walk });
    bench.table.walked({ connection: 2, ...walk });
    assert.deepEqual(lostAtEnd(bench), {});
  });
});

describe('what the kernel is told', () => {
  test('is that a long body need not be copied', () => {
    const { bench, socket } = setUp();
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n';
    socket.received(get('/a')).sent(head);
    assert.equal(controlWord(bench, 1, controlLayout.until + 1), head.length + 1_000_000);
    assert.equal(controlWord(bench, 1, controlLayout.cookie), 1);
  });

  test('is that a long run of small events was followed', () => {
    const { bench, socket } = setUp();
    socket.received(get('/events')).sent('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const event = `3e8\r\n${'x'.repeat(1000)}\r\n`;
    for (let i = 0; i < 40; i++) socket.sent(event);
    const parsed = controlWord(bench, 1, controlLayout.parsed + 1);
    assert.ok(parsed > socket.position.sent - WINDOW_SIZE / 2, `${String(parsed)} of ${String(socket.position.sent)}`);
  });

  test('is nothing where every run is short: the turn opens a new window', () => {
    const { bench, socket } = setUp();
    for (let i = 0; i < 100; i++) socket.received(get(`/${'x'.repeat(1000)}`)).sent(ok('y'.repeat(1000)));
    assert.ok(socket.position.sent > WINDOW_SIZE);
    assert.equal(controlWord(bench, 1, controlLayout.cookie), 0);
  });
});

test('the process of each event is the one that it names', () => {
  const { bench, socket } = setUp();
  socket.received(get('/a')).sent(ok());
  assert.equal(bench.transactions[0]?.process, opener);
});
