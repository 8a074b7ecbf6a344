// Traffic by TLS libraries that are probed while it goes on: what comes before is made until it is seen, what comes then is held against the truth.
import assert from 'node:assert/strict';
import type { Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, type Receiver, type Stopped } from './harness.ts';
import { targetOf } from './spans.ts';
import { waitFor } from './wait.ts';

/** Makes exchanges, each on a new connection, until one is seen at so many ends. All of them. */
export async function untilProbed(receiver: Receiver, ends: number, exchange: () => Promise<Exchange>): Promise<Exchange[]> {
  const made: Exchange[] = [];
  await waitFor('the probes', async () => {
    const { target } = await exchange().then((one) => (made.push(one), one));
    const isSeen = (): boolean => receiver.spans().filter((span) => targetOf(span) === target).length === ends;
    return waitFor('its spans', isSeen, 1000).catch(() => false);
  });
  return made;
}

/** `truth` was seen, all of it; `earlier` perhaps, and then as it was. */
export function assertSeen(stopped: Stopped, truth: readonly Exchange[], earlier: readonly Exchange[]): void {
  assertBooks(stopped);
  const targets = new Set(earlier.map(({ target }) => target));
  const later = stopped.spans.filter((span) => !targets.has(targetOf(span)));
  const ledger = JSON.stringify(stopped.ledger);
  assert.equal(compareTruth(truth, later), undefined, ledger);
  assert.equal(compareTruth([...truth, ...earlier], stopped.spans, { mayMiss: true }), undefined, ledger);
}
