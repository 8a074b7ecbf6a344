// otel-thread-context/ABI.md, Registration: what a program may claim, and with which code everything else is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClaim } from '../../../receiver/attribution/registration/claim-line.ts';

const codeOf = (line: string, machine: 'x86-64' | 'aarch64' = 'x86-64'): string => {
  const claim = parseClaim(line, machine);
  return claim.kind === 'refused' ? claim.code : claim.kind;
};

test('a constant offset is claimed on the side of the thread pointer on which the machine has it', () => {
  assert.deepEqual(parseClaim('otel-thread-context 1 register static -72', 'x86-64'), {
    kind: 'claimed',
    place: { kind: 'static', offset: -72 },
  });
  assert.deepEqual(parseClaim('otel-thread-context 1 register static 16', 'aarch64'), {
    kind: 'claimed',
    place: { kind: 'static', offset: 16 },
  });
  assert.equal(codeOf('otel-thread-context 1 register static 72'), 'claim');
  assert.equal(codeOf('otel-thread-context 1 register static 0'), 'claim');
  assert.equal(codeOf('otel-thread-context 1 register static -72', 'aarch64'), 'claim');
  assert.equal(codeOf('otel-thread-context 1 register static 0', 'aarch64'), 'claimed');
});

test('a place in a module is claimed with the layout of its C library', () => {
  const place = { kind: 'module', moduleId: 3, offset: 64, generation: 0 };
  const cases = [
    ['x86-64', 'glibc', { dtvOffset: 8, countOffset: -16, entrySize: 16 }],
    ['x86-64', 'musl', { dtvOffset: 8, countOffset: 0, entrySize: 8 }],
    ['aarch64', 'glibc', { dtvOffset: 0, countOffset: -16, entrySize: 16 }],
    ['aarch64', 'musl', { dtvOffset: -8, countOffset: 0, entrySize: 8 }],
  ] as const;
  for (const [machine, libc, layout] of cases) {
    assert.deepEqual(parseClaim(`otel-thread-context 1 register dtv 3 64 ${libc}`, machine), {
      kind: 'claimed',
      place: { ...place, ...layout },
    });
  }
});

test('a place that cannot be a pointer of a thread is refused as a claim', () => {
  for (const words of [
    'static -4',
    'static -8000000000',
    'static -16777224',
    'dtv 0 0 glibc',
    'dtv -1 0 glibc',
    'dtv 65536 0 glibc',
    'dtv 1 4 musl',
    'dtv 1 -8 musl',
    'dtv 1 16777224 musl',
  ]) {
    assert.equal(codeOf(`otel-thread-context 1 register ${words}`), 'claim', words);
  }
});

test('another version is refused as such, whatever it says', () => {
  assert.equal(codeOf('otel-thread-context 2 register static -8'), 'version');
  assert.equal(codeOf('otel-thread-context 17 enlist'), 'version');
});

test('everything else is no line of the protocol', () => {
  for (const line of [
    '',
    'proof',
    'GET / HTTP/1.1',
    'otel-thread-context',
    'otel-thread-context 0 register static -8',
    'otel-thread-context 01 register static -8',
    'otel-thread-context one register static -8',
    'otel-thread-context 1',
    'otel-thread-context 1 register',
    'otel-thread-context 1 register static',
    'otel-thread-context 1 register static -8 ',
    'otel-thread-context 1 register static -8\r',
    'otel-thread-context  1 register static -8',
    ' otel-thread-context 1 register static -8',
    'otel-thread-context 1 register static +8',
    'otel-thread-context 1 register static -08',
    'otel-thread-context 1 register static -0',
    'otel-thread-context 1 register static 0x8',
    'otel-thread-context 1 register static -8.0',
    'otel-thread-context 1 register static -8e0',
    'otel-thread-context 1 register static -9999999999999999999',
    'otel-thread-context 1 register dtv 1 0',
    'otel-thread-context 1 register dtv 1 0 bionic',
    'otel-thread-context 1 register dtv 1 0 glibc 0',
    'otel-thread-context 1 register pid 1 static -8',
  ]) {
    assert.equal(codeOf(line), 'syntax', JSON.stringify(line));
  }
});

test('what is refused says why in words that a line of the protocol can hold', () => {
  for (const line of [
    '',
    'otel-thread-context 9 x',
    'otel-thread-context 1 register static 1',
    'otel-thread-context 1 register dtv 0 0 musl',
  ]) {
    const claim = parseClaim(line, 'x86-64');
    assert.ok(claim.kind === 'refused');
    assert.match(`error ${claim.code} ${claim.words}`, /^error [a-z]+ [ -~]{10,480}$/);
  }
});
