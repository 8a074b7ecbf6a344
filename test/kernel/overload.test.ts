import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverloadControl, OverloadGuard } from '../../receiver/kernel/overload.ts';

const SECOND = 1e9;
const WINDOW = 0.1 * SECOND;

/** Looks every millisecond from `from` on; returns when the share was first what `until` wants, or fails after `limit`. */
function run(control: OverloadControl, from: number, fill: number, until: (share: number) => boolean, limit: number): number {
  for (let now = from; now < from + limit; now += 1e6) {
    control.look(now, fill, false);
    if (until(control.share)) return now;
  }
  throw new assert.AssertionError({ message: `the share is still ${control.share}` });
}

test('a ring that is less than half full sheds nothing', () => {
  const control = new OverloadControl({ maxShare: 1 });
  for (let now = 0; now < 10 * SECOND; now += 1e6) assert.equal(control.look(now, 0.49, false), false);
  assert.equal(control.share, 0);
});

test('the share grows while there is pressure, and never beyond its bound', () => {
  const control = new OverloadControl({ maxShare: 0.9 });
  const shares: number[] = [];
  control.look(0, 0.5, false);
  for (let i = 1; i <= 20; i++) {
    control.look(i * WINDOW, 0.5, false);
    shares.push(control.share);
  }
  assert.deepEqual(
    shares,
    [...shares].sort((a, b) => a - b),
  );
  assert.equal(shares[0], 1 / 16);
  assert.ok((shares[4] as number) > 0.66, 'threefold overload is shed within half a second');
  assert.equal(shares.at(-1), 0.9);
});

test('a burst that the ring can take sheds nothing', () => {
  const control = new OverloadControl({ maxShare: 1 });
  for (let i = 0; i < 100; i++) control.look(i * WINDOW, i % 2 === 0 ? 1 : 0.2, false);
  assert.equal(control.share, 0);
});

test('refused events are pressure, however empty the ring is found', () => {
  const control = new OverloadControl({ maxShare: 1 });
  control.look(0, 0, false);
  control.look(1e6, 0, true);
  control.look(2 * WINDOW, 0, false);
  assert.equal(control.share, 1 / 16);
});

test('after the last pressure the share stands for two seconds and is gone within ten', () => {
  const control = new OverloadControl({ maxShare: 1 });
  const pressed = run(control, 0, 1, (share) => share > 0.99, 10 * SECOND);
  const stood = control.share;
  const falling = run(control, pressed + WINDOW, 0, (share) => share < stood, 10 * SECOND);
  assert.ok(falling - pressed >= 2 * SECOND - WINDOW, `stood for ${falling - pressed} ns`);
  const gone = run(control, falling, 0, (share) => share === 0, 10 * SECOND);
  assert.ok(gone - pressed < 10 * SECOND, `gone after ${gone - pressed} ns`);
});

test('the share falls by the time, however seldom somebody looks', () => {
  const control = new OverloadControl({ maxShare: 1 });
  const pressed = run(control, 0, 1, (share) => share > 0.99, 10 * SECOND);
  let now = pressed;
  while (control.share > 0) control.look((now += 1.9 * WINDOW), 0, false);
  assert.ok(now - pressed < 8 * SECOND, `gone after ${now - pressed} ns`);
});

test('look says whether the share moved', () => {
  const control = new OverloadControl({ maxShare: 1 / 16 });
  assert.equal(control.look(0, 1, true), true);
  assert.equal(control.look(WINDOW, 1, true), false, 'at its bound');
});

test('the guard tells the kernel every share, and when overload began and ended', () => {
  const told: number[] = [];
  const log: string[] = [];
  const kernel = { pendingBytes: 0, leaveOut: (share: number) => void told.push(share) };
  const guard = new OverloadGuard({
    kernel,
    ringSizeBytes: 1000,
    maxShare: 0.5,
    onBegin: () => void log.push('begin'),
    onEnd: (highest, duration) => void log.push(`end ${highest} after ${Math.round(duration / SECOND)} s`),
  });
  const lookUntil = (end: number, begin = 0): void => {
    for (let now = begin; now < end; now += WINDOW / 10) guard.look(now);
  };
  lookUntil(SECOND);
  assert.deepEqual([told, log, guard.share], [[], [], 0]);

  kernel.pendingBytes = 500;
  lookUntil(2 * SECOND, SECOND);
  assert.deepEqual([told[0], told.at(-1), guard.share, log], [1 / 16, 0.5, 0.5, ['begin']]);

  kernel.pendingBytes = 499;
  lookUntil(12 * SECOND, 2 * SECOND);
  assert.deepEqual([told.at(-1), guard.share, log.length], [0, 0, 2]);
  assert.match(log[1]!, /^end 0.5 after [5-9] s$/);
  assert.equal(new Set(told).size, told.length, 'nothing is told twice');

  kernel.pendingBytes = 940;
  guard.look(12.2 * SECOND);
  assert.deepEqual([guard.share, log.length], [1 / 16, 3], 'a full ring is no burst');
});
