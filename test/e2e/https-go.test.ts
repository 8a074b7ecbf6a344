// HTTPS by Go's crypto/tls on the real kernel, servers and clients: N of N on both sides, once the program is probed.
import { test } from 'node:test';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { type Exchange, planRequest, planRequests } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, type Receiver, startReceiver } from './harness.ts';
import { targetOf } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** Probes are attached in the background: makes exchanges, each on a new connection, until one is seen at both ends. */
async function untilSeen(receiver: Receiver, exchange: () => Promise<Exchange[]>): Promise<Exchange[]> {
  return waitFor('the probes of the program', async () => {
    const truth = await exchange();
    const isSeen = (): boolean => receiver.spans().filter((span) => targetOf(span) === truth[0]!.target).length === 2;
    return waitFor('its spans', isSeen, 1000).then(
      () => truth,
      () => undefined,
    );
  });
}

test('every exchange of a Go client with a Go server makes its two spans', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'go', { isSecure: true });
  const seen = await untilSeen(receiver, async () => {
    const client = await startClient(t, 'go', server);
    const truth = await client.run([planRequest(`${newRun()}-0`, { size: 10 })]);
    await client.stop();
    return truth;
  });
  const client = await startClient(t, 'go', server);
  const truth = await client.run(planRequests(newRun(), 400, 'all'), { connections: 8 });
  assertTruth(await receiver.stop(), [...seen, ...truth]);
});
