// Which release of Linux is older than which, and what is said of one that is too old.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOlder, oldestRelease } from '../../receiver/kernel/release.ts';
import { refuseOld } from '../../receiver/kernel/session.ts';

test('releases are compared by their first two numbers', () => {
  const older: readonly (readonly [string, string])[] = [
    ['6.2.0-39-generic', '6.3'],
    ['6.1.0-50-amd64', '6.3'],
    ['5.15.0-1053-aws', '6.1'],
    ['5.19', '6.1'],
    ['4.18.0-553.el8.x86_64', '6.1'],
    ['6.9-rc1', '6.10'],
  ];
  for (const [one, other] of older) {
    assert.ok(isOlder(one, other), `${one} < ${other}`);
    assert.ok(!isOlder(other, one), `${other} > ${one}`);
  }
  for (const [one, other] of [
    ['6.3.0', '6.3'],
    ['6.3-rc1', '6.3'],
    ['6.1.176', '6.1.0-50-amd64'],
  ] as const)
    assert.ok(!isOlder(one, other), `${one} = ${other}`);
});

test('one that is too old is named in one sentence', () => {
  assert.throws(() => refuseOld('5.15.0-1053-aws'), {
    message: 'cannot capture on Linux 5.15.0-1053-aws: its BPF lacks what capture needs; run on Linux 6.1 or newer',
  });
  for (const release of [oldestRelease, '6.1.0-50-amd64', '6.18.44']) refuseOld(release);
});
