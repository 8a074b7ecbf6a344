import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PublicationWatch } from '../../receiver/attribution/publication-watch.ts';
import type { ProcessInstance } from '../../receiver/model/thread-context.ts';

class Bench {
  /** pid → start time, mark */
  readonly sizes = new Map<number, readonly [bigint, number]>();
  readonly times = new Map<number, bigint>();
  rounds = 0;
  timesRead = 0;
  readonly watch = new PublicationWatch({
    visitSizes: (visit) => {
      this.rounds++;
      for (const [pid, [startTime, mark]] of this.sizes) visit(pid, startTime, mark);
    },
    publishedAt: (pid) => {
      this.timesRead++;
      return this.times.get(pid);
    },
  });

  /** Who changed, of those that were looked at. */
  tick(now: number): number[] {
    const changed: number[] = [];
    this.watch.tick(now, ({ pid }) => changed.push(pid));
    return changed;
  }

  instance(pid: number, mark = 1): ProcessInstance {
    this.sizes.set(pid, [BigInt(pid), mark]);
    return { pid, startTime: BigInt(pid), execId: 1 };
  }

  map(pid: number, mark: number): void {
    this.sizes.set(pid, [BigInt(pid), mark]);
  }
}

test('a process that has mapped something since it was looked at is named, and another one is not', () => {
  const bench = new Bench();
  const [one, other] = [bench.instance(1), bench.instance(2)];
  for (const instance of [one, other]) bench.watch.looked(instance, undefined, false, 0);
  assert.deepEqual(bench.tick(0), [], 'not as soon as it was looked at');
  // Nobody knew how much it had when it was looked at first.
  assert.deepEqual(bench.tick(1_000), [1, 2]);
  for (const instance of [one, other]) bench.watch.looked(instance, undefined, false, 1_000);
  for (let now = 2_000; now < 100_000; now += 1_000) assert.deepEqual(bench.tick(now), []);
  bench.map(2, 5);
  assert.deepEqual(bench.tick(100_000), [2]);
  assert.deepEqual(bench.tick(101_000), [2], 'until it is looked at');
  bench.watch.looked(other, undefined, true, 101_000);
  assert.deepEqual(bench.tick(200_000), []);
});

test('a process that maps all the time and publishes nothing is named ever more rarely, at last once a minute', () => {
  const bench = new Bench();
  const instance = bench.instance(1);
  const looks: number[] = [0];
  bench.watch.looked(instance, undefined, false, 0);
  for (let now = 1_000; now <= 600_000; now += 1_000) {
    bench.map(1, now);
    if (bench.tick(now).length === 0) continue;
    looks.push(now);
    bench.watch.looked(instance, undefined, false, now);
  }
  assert.deepEqual(looks.slice(0, 8), [0, 1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000]);
  const gaps = looks.slice(8).map((look, index) => look - (looks[index + 7] ?? 0));
  assert.ok(gaps.every((gap) => gap === 30_000));
});

test('a context whose time is another one, or gone, names its process', () => {
  const bench = new Bench();
  const instance = bench.instance(1);
  const looked = (publishedAt: bigint, now: number): void => {
    bench.watch.looked(instance, { address: 4096, publishedAt }, true, now);
  };
  bench.times.set(1, 7n);
  looked(7n, 0);
  bench.tick(0);
  looked(7n, 0);
  for (let now = 1_000; now < 10_000; now += 1_000) assert.deepEqual(bench.tick(now), []);
  bench.times.set(1, 8n);
  assert.deepEqual(bench.tick(10_000), [1]);
  looked(8n, 10_000);
  assert.deepEqual(bench.tick(20_000), []);
  bench.times.delete(1);
  assert.deepEqual(bench.tick(30_000), [1]);
});

test('no more than 64 times are read in a round, and all have their turn', () => {
  const bench = new Bench();
  for (let pid = 1; pid <= 150; pid++) {
    const instance = bench.instance(pid);
    bench.times.set(pid, 1n);
    bench.watch.looked(instance, { address: 4096, publishedAt: 1n }, true, 0);
  }
  bench.tick(0);
  for (let pid = 1; pid <= 150; pid++)
    bench.watch.looked({ pid, startTime: BigInt(pid), execId: 1 }, { address: 4096, publishedAt: 1n }, true, 0);
  bench.tick(1_000);
  for (const pid of [1, 70, 150]) bench.times.set(pid, 2n);
  const found = new Set<number>();
  for (let round = 2; round <= 4; round++) {
    bench.timesRead = 0;
    for (const pid of bench.tick(round * 10_000)) if ([1, 70, 150].includes(pid)) found.add(pid);
    assert.ok(bench.timesRead <= 64);
  }
  assert.deepEqual(
    [...found].sort((a, b) => a - b),
    [1, 70, 150],
  );
});

test('the process of now counts, not one that had its id or its program', () => {
  const bench = new Bench();
  const before = bench.instance(1);
  bench.watch.looked(before, undefined, false, 0);
  bench.sizes.set(1, [99n, 5]);
  assert.deepEqual(bench.tick(1_000), [], 'another process');
  const after: ProcessInstance = { pid: 1, startTime: 99n, execId: 2 };
  bench.watch.looked(after, undefined, false, 1_000);
  assert.deepEqual(bench.tick(3_000), [1]);
  bench.watch.forget(1);
  assert.deepEqual(bench.tick(4_000), []);
});

test('processes are asked for once a second, and not at all while there are none', () => {
  const bench = new Bench();
  for (let now = 0; now < 5_000; now += 5) bench.tick(now);
  assert.equal(bench.rounds, 0);
  bench.watch.looked(bench.instance(1), undefined, false, 5_000);
  for (let now = 5_000; now < 10_000; now += 5) bench.tick(now);
  assert.equal(bench.rounds, 5);
});
