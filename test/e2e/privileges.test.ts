// Least privileges: the main job as a user who has exactly the capabilities of the table, and what each of them is for, by taking it away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { privileges } from '../../receiver/kernel/privileges.ts';
import { curl } from '../traffic/curl.ts';
import { newRun, startClient, startServer, type ClientKind, type ServerKind } from '../traffic/traffic.ts';
import { planRequests } from '../traffic/truth.ts';
import { FIRST, numberOf, startPeers, isBelowOwn } from './context-peers.ts';
import { assertBooks, assertTruth, kernelTestSkip, runReceiver, startReceiver } from './harness.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
/** Nobody's: programs that are observed belong to root here. */
const uid = 65534;
const all = privileges.map(({ capability }) => capability);
const without = (missing: string): string[] => all.filter((name) => name !== missing);

/** As traffic.test.ts has them: N of N of each. */
const pairs: readonly { readonly server: ServerKind; readonly client: ClientKind; readonly isSecure: boolean }[] = [
  { server: 'python', client: 'go', isSecure: false },
  { server: 'node', client: 'python', isSecure: true },
  { server: 'go', client: 'node', isSecure: true },
];

test(
  'with these capabilities and no others, every HTTP and HTTPS exchange of other users makes its two spans',
  { skip },
  async (t) => {
    const receiver = await startReceiver(t, { uid, capabilities: all });
    const truths = [];
    for (const { server: kind, client: clientKind, isSecure } of pairs) {
      const server = await startServer(t, kind, { isSecure });
      const client = await startClient(t, clientKind, server);
      truths.push(await client.run(planRequests(newRun(), 42, 'all'), { connections: 3 }));
    }
    const stopped = await receiver.stop();
    assertTruth(stopped, truths.flat());
    assert.doesNotMatch(stopped.stderr, /\twarn\t/);
  },
);

test('with these capabilities and no others, spans are below those that threads of other users publish', { skip }, async (t) => {
  const receiver = await startReceiver(t, { uid, capabilities: all, usm: { thread_context: { enabled: true } } });
  const peers = await startPeers(t, 'library');
  let number = 1;
  await waitFor('spans below published ones', async () => {
    await peers.run('both', number++, 1, 1);
    const found = receiver.spans().filter(({ attributes }) => attributes['usm.correlation.source'] === 'thread_context');
    return ['CLIENT', 'SERVER'].every((kind) => found.some((span) => span.kind === kind));
  });
  await peers.run('both', FIRST, 200, 4);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  const own = stopped.spans.filter((span) => isBelowOwn(span, numberOf(span) ?? 0));
  assert.equal(own.length, 400);
});

for (const capability of ['CAP_BPF', 'CAP_PERFMON']) {
  test(`without ${capability} it ends with 1 and a sentence that names it`, { skip }, async (t) => {
    const stopped = await runReceiver(t, { uid, capabilities: without(capability) });
    assert.equal(stopped.exitCode, 1);
    assert.match(
      stopped.stderr,
      new RegExp(`^Error: cannot .*: this process lacks ${capability}; run it as root, or with ${capability}\n$`, 'm'),
    );
  });
}

test('with no capability it ends with 1 and names all that capture needs', { skip }, async (t) => {
  const stopped = await runReceiver(t, { uid, capabilities: [] });
  assert.equal(stopped.exitCode, 1);
  assert.match(
    stopped.stderr,
    /: this process lacks CAP_BPF and CAP_PERFMON; run it as root, or with CAP_BPF and CAP_PERFMON\n$/,
  );
});

test('with those two alone, HTTP is complete, and each capability that is missing is named once', { skip }, async (t) => {
  const receiver = await startReceiver(t, { uid, capabilities: ['CAP_BPF', 'CAP_PERFMON'] });
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 42, 'all'), { connections: 3 });
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  const warned = [...stopped.stderr.matchAll(/\twarn\tWithout (CAP_\w+), /g)].map(([, name]) => name);
  assert.deepEqual(warned, all.slice(2));
});

test('nothing is warned of where nobody waits for it', { skip }, async (t) => {
  const usm = { tls: { enabled: false }, thread_context: { enabled: false }, process_context: { enabled: false } };
  const stopped = await (await startReceiver(t, { uid, capabilities: ['CAP_BPF', 'CAP_PERFMON'], usm })).stop();
  assert.doesNotMatch(stopped.stderr, /\twarn\t/);
});

interface TlsServer {
  readonly url: string;
  readonly pid: number;
}

/** A program of root's that maps a copy of OpenSSL of its own, to which something is done before and after it starts. */
async function startWithLibrary(
  t: TestContext,
  { before, after }: { before?: (library: string) => void; after?: (library: string) => void },
): Promise<TlsServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-library-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  chmodSync(folder, 0o755);
  const script = 'import _ssl, re; print(re.search(r"/\\S*libssl\\.so\\S*", open("/proc/self/maps").read())[0])';
  const original = execFileSync('python3', ['-c', script], { encoding: 'utf8' }).trim();
  const library = path.join(folder, path.basename(original));
  copyFileSync(original, library);
  before?.(library);
  const { target, pid } = await startServer(t, 'python', { isSecure: true, env: { LD_LIBRARY_PATH: folder } });
  after?.(library);
  return { url: `https://${target}/`, pid };
}

const purposes: readonly {
  readonly capability: string;
  readonly what: string;
  readonly start: (t: TestContext) => Promise<TlsServer>;
}[] = [
  { capability: 'CAP_SYS_PTRACE', what: "another user's program", start: (t) => startWithLibrary(t, {}) },
  {
    capability: 'CAP_DAC_READ_SEARCH',
    what: 'a program whose TLS library nobody else may read',
    start: (t) => startWithLibrary(t, { before: (library) => chmodSync(library, 0o700) }),
  },
  {
    capability: 'CAP_CHECKPOINT_RESTORE',
    what: 'a program whose TLS library was replaced since',
    start: (t) => startWithLibrary(t, { after: unlinkSync }),
  },
];

for (const { capability, what, start } of purposes) {
  test(`${capability} is what ${what} is seen by`, { skip }, async (t) => {
    const { url, pid } = await start(t);
    const isSeen = async (capabilities: readonly string[]): Promise<boolean> => {
      const receiver = await startReceiver(t, { uid, capabilities });
      assert.equal((await curl(url, { args: ['--insecure', '--http1.1'] })).exitCode, 0);
      const stopped = await receiver.stop();
      assertBooks(stopped);
      return stopped.spans.some((span) => span.kind === 'SERVER' && span.resource['process.pid'] === pid);
    };
    assert.deepEqual([await isSeen(all), await isSeen(without(capability))], [true, false]);
  });
}
