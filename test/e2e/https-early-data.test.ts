// Requests in TLS 1.3's early data: read of a server; a client, who may have to send them again, is given up and counted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { newRun, startServer } from '../traffic/traffic.ts';
import { assertBooks, kernelTestSkip, leavesNothingOut, startReceiver } from './harness.ts';
import { targetOf } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** Runs `openssl s_client` until it has an answer, to what it is told or to what it sends early. */
async function ask(t: TestContext, target: string, args: readonly string[], request: string): Promise<void> {
  const child = spawn('openssl', ['s_client', '-connect', target, '-tls1_3', '-quiet', ...args], { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stderr.resume();
  child.stdin.write(request);
  await waitFor('the answer', () => said.includes('HTTP/1.1 200'));
  child.kill('SIGKILL');
}

const requestOf = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: early\r\n\r\n`;

test('a request in early data is seen at the server', { skip }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-early-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [session, early] = [path.join(folder, 'session'), path.join(folder, 'early')];
  const receiver = await startReceiver(t, { usm: leavesNothingOut });
  const server = await startServer(t, 'openssl', { isSecure: true, env: { OPENSSL: 'libssl.so.3', EARLY: '1' } });
  const run = newRun();
  const ends = (target: string): string[] =>
    receiver
      .spans()
      .filter((span) => targetOf(span) === target)
      .map(({ kind }) => kind)
      .sort();
  let count = 0;
  await waitFor('the probes', async () => {
    const target = `/${run}/ordinary/${++count}`;
    await ask(t, server.target, ['-sess_out', session], requestOf(target));
    return waitFor('its spans', () => ends(target).length === 2, 1000).catch(() => false);
  });
  const target = `/${run}/early`;
  writeFileSync(early, requestOf(target));
  await ask(t, server.target, ['-sess_in', session, '-early_data', early], '');
  await waitFor('its span', () => ends(target).length > 0);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.deepEqual(ends(target), ['SERVER']);
  // The handshake within the call clears the object, which is given up nevertheless.
  assert.equal(stopped.ledger?.connections?.unattributed?.['tls_unfollowed'], 1, JSON.stringify(stopped.ledger));
});
