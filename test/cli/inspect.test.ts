import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../receiver/cli/arguments.ts';
import { inspect } from '../../receiver/cli/inspect.ts';
import { formatInspection, type InspectionAnswer } from '../../receiver/cli/inspect-text.ts';
import { ReceiverError } from '../../receiver/errors.ts';
import { serveHttp, text } from '../../receiver/extensions/http-server.ts';
import type { ConnectionInspection } from '../../receiver/model/inspection.ts';

const parse = (line: string) => parseArguments(line.split(' '));

test('arguments become the URL to ask', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['inspect', 'http://localhost:55679/debug/usm', false],
    ['inspect --json', 'http://localhost:55679/debug/usm', true],
    [
      'inspect --endpoint 127.0.0.1:1 --pid 5 --port=80 --connection 9 --limit=2',
      'http://127.0.0.1:1/debug/usm?pid=5&port=80&connection=9&limit=2',
      false,
    ],
    ['inspect --endpoint=http://[::1]:7/', 'http://[::1]:7/debug/usm', false],
  ];
  for (const [line, url, isJson] of table) assert.deepEqual(parse(line), { kind: 'inspect', url, isJson }, line);
  assert.deepEqual(parse('inspect --help'), { kind: 'help' });
});

test('arguments that make no sense are refused with what to do', () => {
  const hint = "; run 'usm-receiver --help' for usage";
  const table: readonly (readonly [string, string])[] = [
    ['inspect now', 'unexpected argument "now"'],
    ['inspect --pids 1', 'unknown flag: --pids (did you mean "--pid"?)'],
    ['inspect --pid', 'flag needs an argument: --pid'],
    ['inspect --pid x', '--pid must be a number, found "x"'],
    ['inspect --json=1', '--json takes no value'],
    ['inspect --endpoint http://', '--endpoint must be host:port, found "http://"'],
    ['--config a inspect', '"inspect" comes first, and its flags behind it'],
  ];
  for (const [line, expected] of table) {
    assert.throws(
      () => parse(line),
      (error: unknown) => error instanceof ReceiverError && error.code === 'USM_USAGE' && error.message === expected + hint,
      line,
    );
  }
});

const connection: ConnectionInspection = {
  connection: 17,
  transport: 'tcp',
  local: '127.0.0.1:8080',
  peer: '[::1]:51000',
  role: 'server',
  role_evidence: 'tcp_state',
  pid: 42,
  executable: '/usr/bin/x',
  network_namespace: 4026531840,
  joined: 'middle',
  protocol: 'http/1.x',
  idle_ms: 1500,
  received: { position: 120, stepped_to: 0 },
  sent: { position: 30, stepped_to: 0 },
  waiting_ms: 12,
  waiting_bytes: 300,
  lost_bytes: 9,
  last_loss: 'unseen_io',
  closing: 'connection_reset',
  conversation: {
    protocol: 'http/1.x',
    request: { phase: 'head', buffered_bytes: 20, body_bytes: 0 },
    response: { phase: 'length', buffered_bytes: 0, body_bytes: 10 },
    pairing: 'firm, in doubt',
    open_exchanges: [
      { request_position: 0, age_ms: 2500, pid: 43, status_code: 200 },
      { request_position: 60, age_ms: 20, pid: 43, status_code: undefined },
    ],
    open: 2,
    held: 1,
  },
};

const answer: InspectionAnswer = {
  receiver: { version: '0.1.0', phase: 'running', uptime_seconds: 12 },
  connections: { tracked: 3, matching: 2, shown: [connection], truncated: true, given_up: undefined },
  exporters: [
    { id: 'otlp/a', signal: 'traces', accepted: 4, rejected: 1, failed: 2, queueFull: 3, queueSize: 5, queueCapacity: 100 },
  ],
  ring: { pending_bytes: 64, capacity_bytes: 8192 },
  ledger: {
    transactions: { seen: 11, exported: 4, pending: 5, not_exported: { queue_full: 2 } },
    bytes: { lost: { unseen_io: 9 } },
    events: { dropped: {} },
  },
};

test('the table says where everything stands', () => {
  assert.equal(
    formatInspection(answer),
    `usm-receiver 0.1.0, running, up 12 s
transactions  11 seen, 4 exported, 5 pending; not exported: queue_full 2
losses        bytes lost: unseen_io 9
ring          64 of 8192 bytes
exporter      otlp/a (traces): 4 delivered, 1 refused, 2 given up, 3 not queued; queue 5 of 100

connections   3 tracked, 2 matching, 1 shown
CONNECTION  ROLE    BY         PID  LOCAL           PEER         PROTOCOL  RECEIVED  SENT  REQUEST          RESPONSE           OPEN  IDLE
17          server  tcp_state  42   127.0.0.1:8080  [::1]:51000  http/1.x  120       30    head (20 bytes)  length (10 bytes)  3     1.5 s
  process 42: /usr/bin/x
  joined in the middle
  pairing: firm, in doubt
  over: connection_reset
  events wait for 12 ms, 300 bytes
  9 bytes lost, the last ones: unseen_io
  request at 0, 2.5 s old, process 43: is being answered with 200
  request at 60, 20 ms old, process 43: waits for its answer
  1 finished exchanges held in doubt
`,
  );
});

test('a receiver that does not capture yet, a connection that was given up, one without a conversation', () => {
  const { receiver } = answer;
  assert.equal(formatInspection({ receiver: { ...receiver, phase: 'starting' } }), 'usm-receiver 0.1.0, starting, up 12 s\n');
  const none = { tracked: 1, matching: 0, shown: [], truncated: false, given_up: 'not_http' };
  assert.match(
    formatInspection({ receiver, connections: none }),
    /1 tracked, 0 matching, 0 shown\nThis connection was given up: not_http\./,
  );
  const shown = [{ ...connection, conversation: undefined, protocol: 'undecided', local: '/run/a\u001b[2J\n' }];
  const lines = formatInspection({
    receiver,
    connections: { tracked: 1, matching: 1, shown, truncated: false, given_up: undefined },
  });
  assert.match(lines, /\/run\/a\\x1b\[2J\\x0a {2}\[::1\]:51000 {2}undecided/, 'text of others cannot steer the terminal');
});

test('the answer of a running receiver is printed, or said why there is none', async () => {
  const server = await serveHttp('test', { host: '127.0.0.1', port: 0 }, ({ path }) => {
    if (path === '/debug/usm') return text(200, JSON.stringify(answer));
    if (path === '/no-json') return text(200, 'hello');
    if (path === '/other') return text(200, '[]');
    return text(404, 'not here\nnor there\n');
  });
  const ask = (path: string, isJson = false) =>
    inspect({ kind: 'inspect', url: `http://${server.address}${path}`, isJson }, fetch);
  try {
    assert.equal(await ask('/debug/usm'), formatInspection(JSON.parse(JSON.stringify(answer)) as InspectionAnswer));
    assert.equal(await ask('/debug/usm', true), JSON.stringify(answer));
    const failed = async (path: string, happened: RegExp): Promise<void> => {
      await assert.rejects(ask(path), (error: unknown) => {
        assert.ok(error instanceof ReceiverError && error.code === 'USM_INSPECT');
        assert.match(error.message, happened);
        assert.match(error.message, /configure the zpages extension/);
        return true;
      });
    };
    await failed('/nothing', /it answered 404: not here;/);
    await failed('/no-json', /its answer is not JSON;/);
    await failed('/other', /its answer is not that of usm-receiver;/);
    const closed = await serveHttp('test', { host: '127.0.0.1', port: 0 }, () => text(200, ''));
    await closed.close();
    await assert.rejects(inspect({ kind: 'inspect', url: `http://${closed.address}/`, isJson: false }, fetch), /ECONNREFUSED/);
  } finally {
    await server.close();
  }
});
