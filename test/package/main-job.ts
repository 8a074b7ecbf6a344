// The main job of a receiver, whatever runs it: HTTP and HTTPS between programs of this host, and each exchange makes its two spans.
import assert from 'node:assert/strict';
import { assertTruth, startReceiver, type ReceiverOptions, type Stopped } from '../e2e/harness.ts';
import type { Cleanup } from '../traffic/program.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequests } from '../traffic/truth.ts';

type Launcher = NonNullable<ReceiverOptions['launcher']>;

/** The receiver's configuration and what it writes are below /tmp. */
export async function assertMainJob(cleanup: Cleanup, launcher: Launcher): Promise<Stopped> {
  const servers = await Promise.all([
    startServer(cleanup, 'go'),
    startServer(cleanup, 'go', { isSecure: true }),
    startServer(cleanup, 'python', { isSecure: true }),
  ]);
  const clients = await Promise.all(servers.map((server) => startClient(cleanup, 'node', server)));
  const receiver = await startReceiver(cleanup, { launcher });
  const truths = await Promise.all(clients.map((client) => client.run(planRequests(newRun(), 42, 'all'), { connections: 3 })));
  const stopped = await receiver.stop();
  assertTruth(stopped, truths.flat());
  // Another receiver of this host may have the port.
  const isOfPort = (line: string): boolean => line.includes('\tThe default port for metrics about usm-receiver is taken');
  const warnings = stopped.stderr.split('\n').filter((line) => line.includes('\twarn\t') && !isOfPort(line));
  assert.deepEqual(warnings, []);
  return stopped;
}
