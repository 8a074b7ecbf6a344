// What people see of connections: where each stands, and what is pending on it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionTable } from '../../receiver/connections/table.ts';
import type { ConnectionFilter, ConnectionsInspection } from '../../receiver/model/inspection.ts';
import type { ProcessId } from '../../receiver/model/process.ts';
import { createBench, get, ok, opener, Socket } from './socket.ts';

const all: ConnectionFilter = { connection: undefined, pid: undefined, port: undefined, limit: 10 };
const MS = 1e6;
const executableOf = ({ pid }: ProcessId): string => `/bin/${pid}`;

function inspectAll(table: ConnectionTable, now: number): ConnectionsInspection {
  return table.inspect(all, now, executableOf);
}

test('an open request shows its position, its age, its process and that nothing has answered', () => {
  const { table } = createBench();
  const first = get('/secret-path');
  const socket = new Socket(table, 7).open('server').received(first).sent(ok('x'));
  socket.received(get('/secret-path'), { time: 5 * MS, pid: 44 });
  const { shown, ...counts } = inspectAll(table, 305 * MS);
  assert.deepEqual(counts, { tracked: 1, matching: 1, truncated: false, given_up: undefined });
  assert.deepEqual(shown, [
    {
      connection: 7,
      transport: 'tcp',
      local: '127.0.0.1:80',
      peer: '127.0.0.1:50000',
      role: 'server',
      role_evidence: 'tcp_state',
      pid: opener.pid,
      executable: '/bin/10',
      network_namespace: 1,
      joined: 'beginning',
      protocol: 'http/1.x',
      idle_ms: 300,
      received: { position: first.length * 2, stepped_to: 0 },
      sent: { position: ok('x').length, stepped_to: 0 },
      waiting_ms: undefined,
      waiting_bytes: 0,
      lost_bytes: 0,
      last_loss: undefined,
      closing: undefined,
      conversation: {
        protocol: 'http/1.x',
        request: { phase: 'boundary', buffered_bytes: 0, body_bytes: 0 },
        response: { phase: 'boundary', buffered_bytes: 0, body_bytes: 0 },
        pairing: 'firm',
        open_exchanges: [{ request_position: first.length, age_ms: 300, pid: 44, status_code: undefined }],
        open: 1,
        held: 0,
      },
    },
  ]);
  assert.doesNotMatch(JSON.stringify(shown), /secret|GET|Host/, 'nothing of what was said');
});

test('a head that is not whole is counted as bytes, a body that is under way as what came of it', () => {
  const { table } = createBench();
  const socket = new Socket(table, 1).open('server');
  const conversation = () => inspectAll(table, 0).shown[0]?.conversation;
  socket.received(get('/').slice(0, 20));
  assert.deepEqual(conversation()?.request, { phase: 'head', buffered_bytes: 20, body_bytes: 0 });
  socket.received(get('/').slice(20)).sent(ok('0123456789').slice(0, -4));
  assert.deepEqual(conversation()?.response, { phase: 'length', buffered_bytes: 0, body_bytes: 6 });
  assert.equal(conversation()?.open_exchanges[0]?.status_code, 200);
  socket.sent('6789');
  assert.equal(conversation()?.open, 0);
});

test('pipelined requests are all counted, and only the oldest are shown', () => {
  const { table } = createBench();
  new Socket(table, 1).open('server').received(get('/').repeat(20));
  const conversation = inspectAll(table, 0).shown[0]?.conversation;
  assert.equal(conversation?.open, 20);
  assert.deepEqual(
    conversation.open_exchanges.map(({ request_position }) => request_position),
    Array.from({ length: 8 }, (_, at) => at * get('/').length),
  );
});

test('what was lost shows, as the ledger has it, with the last reason, and that a place has to be found again', () => {
  const { table, ledger } = createBench();
  const socket = new Socket(table, 1).open('server').received(get('/')).unseen('received', 50).received('half a head');
  const shown = inspectAll(table, 0).shown[0];
  const lost = ledger.report().bytes.lost;
  assert.equal(lost['unseen_io'], 50);
  assert.equal(
    shown?.lost_bytes,
    Object.values(lost).reduce((sum, count) => sum + count, 0),
  );
  assert.ok(Object.keys(lost).includes(shown.last_loss ?? ''));
  assert.equal(shown.conversation?.pairing, 'none, in doubt');
  assert.equal(shown.received.position, socket.position.received);
});

test('events that wait show since when and how much', () => {
  const { table } = createBench();
  const socket = new Socket(table, 1).open('server');
  const late = socket.event(false, get('/'));
  socket.sent(ok('abc'), { time: 10 * MS });
  const waiting = inspectAll(table, 22 * MS).shown[0];
  assert.deepEqual([waiting?.waiting_ms, waiting?.waiting_bytes], [12, ok('abc').length]);
  table.io(late);
  assert.equal(inspectAll(table, 22 * MS).shown[0]?.waiting_ms, undefined);
});

test('a connection that is over says how, until it has lingered', () => {
  const { table } = createBench();
  const socket = new Socket(table, 1).open('server').received(get('/')).end('closed', { error: 104 });
  assert.equal(inspectAll(table, 0).shown[0]?.closing, 'connection_reset');
  table.tick(socket.time + 1000 * MS);
  assert.deepEqual(inspectAll(table, 0), { tracked: 0, matching: 0, shown: [], truncated: false, given_up: undefined });
});

test('connections of which nobody knows who asks, and those that were given up', () => {
  const { table } = createBench();
  new Socket(table, 1).open('unknown');
  assert.equal(inspectAll(table, 0).shown[0]?.protocol, 'undecided: the role is unknown');
  new Socket(table, 2).open('server').received('\u0000\u0001 no HTTP at all').sent('indeed');
  assert.deepEqual(table.inspect({ ...all, connection: 2 }, 0, executableOf), {
    tracked: 1,
    matching: 0,
    shown: [],
    truncated: false,
    given_up: 'not_http',
  });
});

test('filters by process, port and cookie; the limit shows the most recent and says that there are more', () => {
  const { table } = createBench();
  for (let id = 1; id <= 6; id++) {
    new Socket(table, id)
      .open('server', {
        openedBy: { pid: id % 2 === 0 ? 100 : 200, startTime: 1 },
        local: { address: '::1', port: 8000 + id },
        peer: { address: '::1', port: 9000 },
      })
      .received(get('/'), { time: id * MS });
  }
  const ids = (filter: Partial<ConnectionFilter>) =>
    table.inspect({ ...all, ...filter }, 0, executableOf).shown.map(({ connection }) => connection);
  assert.deepEqual(ids({}), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(ids({ pid: 100 }), [6, 4, 2]);
  assert.deepEqual(ids({ port: 8003 }), [3]);
  assert.deepEqual(ids({ port: 9000, pid: 200 }), [5, 3, 1]);
  assert.deepEqual(ids({ connection: 4 }), [4]);
  assert.deepEqual(ids({ connection: 4, port: 1 }), []);
  const { shown, matching, truncated } = table.inspect({ ...all, limit: 2 }, 0, executableOf);
  assert.deepEqual([shown.map(({ connection }) => connection), matching, truncated], [[6, 5], 6, true]);
  assert.equal(shown[0]?.local, '[::1]:8006');
});
