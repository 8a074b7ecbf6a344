// How the command ends: signals, exit codes and what it says, with a stand-in for the receiver itself.
import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../receiver/main.ts', import.meta.url));
const standIn = new URL('./stand-in-receiver.ts', import.meta.url).href;
const hooks = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  // A start that takes as long as standard input lasts.
  const late = \`data:text/javascript,await new Promise((resolve) => process.stdin.on('close', () => setImmediate(resolve)));
    export const limitHeap = () => {}; export const createCollector = () => () => {};\`;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === './heap.ts' && process.env.BEHAVIOUR === 'starts late' ? { url: late, format: 'module', shortCircuit: true } :
      specifier === './receiver.ts' ? { url: ${JSON.stringify(standIn)}, format: 'module-typescript', shortCircuit: true } : next(specifier, context),
  });
`)}`;
const config =
  'receivers: { usm: { shutdown_timeout: 100ms } }\nexporters: { debug: "${env:UNSET}" }\nservice: { pipelines: { traces: { receivers: [usm], exporters: [debug] } } }';

interface Run {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Waits until standard error holds the text. */
  readonly sees: (text: string) => Promise<void>;
  readonly ends: () => Promise<{ readonly status: number | null; readonly log: string }>;
}

function start(behaviour: string, args: readonly string[] = ['--config=env:CONFIG']): Run {
  const child = spawn(process.execPath, ['--import', hooks, main, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], CONFIG: config, BEHAVIOUR: behaviour },
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  let log = '';
  const closed = once(child, 'close');
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  return {
    child,
    sees: async (text) => {
      while (!log.includes(text)) {
        const isClosed = await Promise.race([closed.then(() => true), once(child.stderr, 'data').then(() => false)]);
        if (isClosed && !log.includes(text)) assert.fail(`ended without "${text}": ${log}`);
      }
    },
    ends: async () => {
      await closed;
      return { status: child.exitCode, log };
    },
  };
}

const ready = 'Everything is ready.';

/** Records without their times. */
function recordsOf(log: string): readonly string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t/, ''));
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} stops the receiver and exits 0`, async () => {
    const { child, sees, ends } = start('obeys');
    await sees(ready);
    child.kill(signal);
    const { status, log } = await ends();
    assert.equal(status, 0);
    assert.deepEqual(recordsOf(log), [
      'warn\tConfiguration references unset environment variable\t{"name": "UNSET"}',
      'info\tEverything is ready. Begin running and processing data.',
      `info\tShutting down\t{"reason": "${signal}"}`,
      'info\tShutdown complete',
    ]);
  });
}

test('a second signal exits at once with its number', async () => {
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const { child, sees, ends } = start('hangs');
    await sees(ready);
    child.kill('SIGTERM');
    await sees('Shutting down');
    child.kill(signal);
    assert.equal((await ends()).status, status);
  }
});

test('a receiver that is stuck is ended after shutdown_timeout', async () => {
  const { child, sees, ends } = start('hangs');
  await sees(ready);
  child.kill('SIGTERM');
  const { status, log } = await ends();
  assert.equal(status, 1);
  assert.match(
    log,
    /\terror\tcannot stop: the receiver is still busy 1 s after shutdown_timeout; report it if it happens with a reachable backend\n$/,
  );
});

test('a receiver that cannot start or stop is one sentence and exit 1', async () => {
  const refused = await start('refuses').ends();
  assert.equal(refused.status, 1);
  assert.match(refused.log, /\nError: cannot observe this host: this is Linux 4\.19; run on Linux 6\.1 or newer\n$/);
  const failing = start('fails');
  await failing.sees(ready);
  failing.child.kill('SIGTERM');
  const failed = await failing.ends();
  assert.equal(failed.status, 1);
  assert.match(failed.log, /\nError: Error: cannot stop\n/);
});

test('an unexpected error is logged and exits 1', async () => {
  const { status, log } = await start('breaks').ends();
  assert.equal(status, 1);
  assert.match(log, /\terror\tUnexpected error, exiting\t\{"error": "a bug", "stack": "Error: a bug\\n/);
});

test('SIGHUP is ignored and said to be', async () => {
  const { child, sees, ends } = start('obeys');
  await sees(ready);
  child.kill('SIGHUP');
  await sees('SIGHUP is ignored; restart to apply a new configuration');
  child.kill('SIGTERM');
  assert.equal((await ends()).status, 0);
});

test('the end of standard output is the end of the run', async () => {
  const { child, sees, ends } = start('talks');
  await sees(ready);
  child.stdout.destroy();
  const { status, log } = await ends();
  assert.equal(status, 0);
  assert.match(log, /\tinfo\tShutting down\t\{"reason": "standard output was closed"\}\n/);
});

const supervised = {
  receivers: { usm: { shutdown_timeout: '100ms' } },
  service: { pipelines: { traces: { receivers: ['usm'] } }, telemetry: { logs: { encoding: 'json' } } },
};

/** Messages of a log in JSON, with the reason where there is one. */
function messagesOf(log: string): readonly string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly msg: string; readonly reason?: string })
    .map(({ msg, reason }) => (reason === undefined ? msg : `${msg}: ${reason}`));
}

test('a receiver that a Collector has started stops when that Collector is gone', async () => {
  const { child, sees, ends } = start('obeys', ['attach', '--supervised']);
  // In pieces, as a pipe may bring it; what follows the line is not looked at.
  const line = JSON.stringify(supervised);
  child.stdin.write(line.slice(0, 20));
  child.stdin.write(`${line.slice(20)}\nwhatever`);
  await sees(ready);
  child.stdin.end();
  const { status, log } = await ends();
  assert.equal(status, 0, log);
  assert.deepEqual(messagesOf(log), [
    'Everything is ready. Begin running and processing data.',
    'Shutting down: the Collector is gone',
    'Shutdown complete',
  ]);
});

test('a receiver whose Collector is gone before it has started stops as well', async () => {
  const { child, ends } = start('starts late', ['attach', '--supervised']);
  child.stdin.end(`${JSON.stringify(supervised)}\n`);
  const { status, log } = await ends();
  assert.equal(status, 0, log);
  assert.deepEqual(messagesOf(log).slice(-2), ['Shutting down: the Collector is gone', 'Shutdown complete']);
});

test('a receiver that a Collector has started obeys signals', async () => {
  const { child, sees, ends } = start('obeys', ['attach', '--supervised']);
  child.stdin.write(`${JSON.stringify(supervised)}\n`);
  await sees(ready);
  child.kill('SIGTERM');
  const { status, log } = await ends();
  assert.equal(status, 0, log);
  assert.equal(messagesOf(log)[1], 'Shutting down: SIGTERM');
});

test('without its line on standard input a supervised receiver says what that is for', async () => {
  const { child, ends } = start('obeys', ['attach', '--supervised']);
  child.stdin.end('{"receivers":');
  const { status, log } = await ends();
  assert.equal(status, 1);
  assert.equal(
    log,
    'Error: cannot read the configuration on standard input: it ended before the end of its first line; --supervised is for a Collector that starts this command; give a file with --config instead\n',
  );
});

test('beside a Collector its own file is read', async () => {
  const { child, sees, ends } = start('obeys', ['attach', '--config=env:CONFIG']);
  await sees(ready);
  child.kill('SIGTERM');
  assert.equal((await ends()).status, 0);
});
