import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from '../../../receiver/attribution/registration/admission.ts';

const limits = { connections: 6, connectionsOfUser: 3, burst: 10, perSecond: 2 };

function enterMany(admission: Admission, uid: number, count: number, nowMs = 0): string[] {
  return Array.from({ length: count }, () => admission.enter(uid, nowMs));
}

test('a user has so many connections at a time, and others have theirs', () => {
  const admission = new Admission(limits);
  assert.deepEqual(enterMany(admission, 1, 4), ['admitted', 'admitted', 'admitted', 'too_many_of_user']);
  assert.deepEqual(enterMany(admission, 2, 1), ['admitted']);
  admission.leave(1);
  assert.deepEqual(enterMany(admission, 1, 2), ['admitted', 'too_many_of_user']);
});

test('all together have so many', () => {
  const admission = new Admission(limits);
  enterMany(admission, 1, 3);
  enterMany(admission, 2, 3);
  assert.deepEqual(enterMany(admission, 3, 1), ['too_many']);
  admission.leave(2);
  assert.deepEqual(enterMany(admission, 3, 2), ['admitted', 'too_many']);
});

test('a user who comes often waits, and others do not', () => {
  const admission = new Admission(limits);
  const comeAndGo = (uid: number, nowMs: number): string => {
    const admitted = admission.enter(uid, nowMs);
    if (admitted === 'admitted') admission.leave(uid);
    return admitted;
  };
  const outcomes = Array.from({ length: 12 }, () => comeAndGo(1, 0));
  assert.deepEqual([outcomes.filter((outcome) => outcome === 'admitted').length, outcomes.at(-1)], [10, 'too_often']);
  assert.equal(comeAndGo(1, 400), 'too_often');
  assert.equal(comeAndGo(1, 500), 'admitted');
  assert.equal(comeAndGo(1, 501), 'too_often');
  assert.equal(comeAndGo(2, 501), 'admitted');
  // A long rest gives no more than the burst.
  const later = Array.from({ length: 12 }, () => comeAndGo(1, 1e9));
  assert.equal(later.filter((outcome) => outcome === 'admitted').length, 10);
});

test('the greediest is who has more than somebody else would have with one more', () => {
  const admission = new Admission(limits);
  enterMany(admission, 1, 3);
  enterMany(admission, 2, 2);
  assert.equal(admission.greedierThan(3), 1);
  assert.equal(admission.greedierThan(2), undefined);
  assert.equal(admission.greedierThan(1), undefined);
});

test('ten thousand users are too many to remember, and none of their connections is forgotten', () => {
  const admission = new Admission({ ...limits, connections: 4 });
  enterMany(admission, 1, 3);
  for (let uid = 100; uid < 10_100; uid++) {
    assert.equal(admission.enter(uid, 0), 'admitted');
    admission.leave(uid);
  }
  assert.deepEqual(enterMany(admission, 1, 1), ['too_many_of_user']);
  admission.leave(1);
  assert.deepEqual(enterMany(admission, 1, 1), ['admitted']);
});

test('one who leaves without having come changes nothing', () => {
  const admission = new Admission(limits);
  admission.leave(7);
  enterMany(admission, 1, 3);
  enterMany(admission, 2, 3);
  admission.leave(7);
  assert.deepEqual(enterMany(admission, 3, 1), ['too_many']);
});
