import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { Instruction } from '../../receiver/tls/instruction.ts';
import { Register, x86 } from '../../receiver/tls/x86.ts';
import { disassemble, findLibrary } from './objdump.ts';

function decode(hex: string, address = 0x1000): Instruction | undefined {
  return x86.decode(Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')), 0, address);
}

const library = findLibrary('libssl.so.3');
const hasObjdump = spawnSync('objdump', ['--version']).status === 0 && process.arch === 'x64';

test('lengths, flow and targets are what objdump says, for all code of a real library', { skip: !hasObjdump }, () => {
  const wrong: string[] = [];
  let compared = 0;
  for (const { address, bytes, text } of disassemble(library)) {
    if (text.includes('(bad)')) continue;
    const code = new Uint8Array(16);
    code.set(bytes);
    const instruction = x86.decode(code, 0, address);
    compared++;
    const [mnemonic = '', operand = ''] = text
      .replace(/^((bnd|notrack|rep|repz|repnz|lock|data16|cs|rex\.\w+|rex) )+/, '')
      .split(/\s+/, 2);
    const flow = flowOf(mnemonic);
    const target = /^[0-9a-f]+$/.test(operand) && flow !== 'next' ? parseInt(operand, 16) : undefined;
    if (instruction?.size === bytes.length && instruction.flow === flow && instruction.target === target) continue;
    wrong.push(`${address.toString(16)} ${Buffer.from(bytes).toString('hex')} ${text}: ${JSON.stringify(instruction)}`);
  }
  assert.ok(compared > 50_000, `${String(compared)} instructions`);
  assert.deepEqual(wrong.slice(0, 20), []);
});

function flowOf(mnemonic: string): string {
  if (mnemonic.startsWith('jmp')) return 'jump';
  if (mnemonic.startsWith('j') || mnemonic.startsWith('loop')) return 'branch';
  if (mnemonic.startsWith('call')) return 'call';
  if (mnemonic === 'ret') return 'return';
  return mnemonic === 'ud2' || mnemonic === 'hlt' || mnemonic === 'int3' ? 'stop' : 'next';
}

test('every instruction that is cut off is none', () => {
  for (const hex of [
    '48 8b 05 01 02 03 04',
    'e8 00 00 00 00',
    '66 0f 3a 0f c1 08',
    '48 b8 01 02 03 04 05 06 07 08',
    'c5 f8 77',
  ]) {
    const whole = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    assert.equal(x86.decode(Uint8Array.from(whole), 0, 0)?.size, whole.length, hex);
    for (let size = 0; size < whole.length; size++)
      assert.equal(x86.decode(Uint8Array.from(whole.subarray(0, size)), 0, 0), undefined, hex);
  }
  assert.equal(decode('66'.repeat(20)), undefined);
  assert.equal(decode('06'), undefined);
});

test('what moves the stack pointer is followed', () => {
  assert.deepEqual(decode('41 55')?.effect, { kind: 'stack', bytes: -8, registers: 0 });
  assert.deepEqual(decode('5b')?.effect, { kind: 'stack', bytes: 8, registers: 1 << Register.bx });
  assert.deepEqual(decode('48 83 ec 18')?.effect, { kind: 'copy', to: Register.sp, from: Register.sp, offset: -24 });
  assert.deepEqual(decode('48 81 c4 00 01 00 00')?.effect, { kind: 'copy', to: Register.sp, from: Register.sp, offset: 256 });
  assert.deepEqual(decode('48 8d 65 e0')?.effect, { kind: 'copy', to: Register.sp, from: Register.bp, offset: -32 });
  assert.deepEqual(decode('c9')?.effect, { kind: 'leave' });
  assert.equal(decode('5c'), undefined, 'pop %rsp');
});

test('what goes from register to register is followed', () => {
  assert.deepEqual(decode('48 89 fb')?.effect, { kind: 'copy', to: Register.bx, from: Register.di, offset: 0 });
  assert.deepEqual(decode('48 8d 4d a8')?.effect, { kind: 'copy', to: Register.cx, from: Register.bp, offset: -88 });
  assert.deepEqual(decode('48 89 e1')?.effect, { kind: 'copy', to: Register.cx, from: Register.sp, offset: 0 });
  assert.deepEqual(decode('31 c0')?.effect, { kind: 'constant', to: Register.ax, value: 0 });
  assert.deepEqual(decode('b8 ff ff ff ff')?.effect, { kind: 'constant', to: Register.ax, value: -1 });
  assert.deepEqual(decode('83 c8 ff')?.effect, { kind: 'constant', to: Register.ax, value: -1 });
  assert.deepEqual(decode('8b 04 24')?.effect, { kind: 'load', to: Register.ax, base: Register.sp, offset: 0 });
  assert.deepEqual(decode('8b 45 a8')?.effect, { kind: 'load', to: Register.ax, base: Register.bp, offset: -88 });
  assert.deepEqual(decode('85 c0')?.effect, { kind: 'test', register: Register.ax });
  // 32 bits of a register, an index, the instruction pointer, another segment: nobody knows.
  for (const hex of ['89 fb', '8b 04 8c', '8d 05 00 00 00 00', '64 48 8b 04 25 28 00 00 00']) {
    assert.equal(decode(hex)?.effect.kind, 'writes', hex);
  }
  // mov $1, %ah writes to rax, not to rsp.
  assert.deepEqual(decode('c6 c4 01')?.effect, { kind: 'writes', registers: 1 << Register.ax });
});

test('a table of jumps is known by what leads to it', () => {
  assert.deepEqual(decode('83 bf 48 05 00 00 05')?.effect, { kind: 'compare', limit: 5 });
  assert.deepEqual(decode('3d 00 01 00 00')?.effect, { kind: 'compare', limit: 256 });
  assert.equal(decode('83 f8 ff')?.effect.kind, 'none', 'without a sign that is not a small number');
  assert.deepEqual(decode('48 8d 15 10 00 00 00')?.effect, { kind: 'place', to: Register.dx, address: 0x1017 });
  assert.deepEqual(decode('48 63 04 82')?.effect, { kind: 'entry', to: Register.ax, base: Register.dx });
  assert.deepEqual(decode('49 63 44 85 00')?.effect, { kind: 'entry', to: Register.ax, base: 13 });
  for (const hex of ['48 63 04 c2', '48 63 44 82 04', '48 63 04 85 00 00 00 00', '48 63 c2', '63 04 82'])
    assert.equal(decode(hex)?.effect.kind, 'writes', hex);
  assert.deepEqual(decode('48 01 d0')?.effect, { kind: 'sum', to: Register.ax, other: Register.dx });
  assert.deepEqual(decode('48 03 c2')?.effect, { kind: 'sum', to: Register.ax, other: Register.dx });
  assert.equal(decode('01 d0')?.effect.kind, 'writes');
  assert.deepEqual(decode('3e ff e0')?.by, { register: Register.ax });
  assert.deepEqual(decode('41 ff e5')?.by, { register: 13 });
  assert.deepEqual(decode('ff 25 10 00 00 00')?.by, { word: 0x1016 });
  assert.equal(decode('ff 24 c5 00 00 00 00')?.by, undefined);
});

test('what the kernel emulates is known', () => {
  for (const hex of ['55', '41 57', '90', 'e8 00 00 00 00', 'e9 00 00 00 00', 'eb 00', '7e 03', '0f 8e 00 00 00 00']) {
    assert.equal(decode(hex)?.isEmulated, true, hex);
  }
  for (const hex of [
    'c3',
    'ff d0',
    'ff 50 50',
    'ff e0',
    'f3 0f 1e fa',
    '48 83 ec 08',
    '68 00 00 00 00',
    '66 55',
    '0f 1f 00',
    'f3 90',
  ]) {
    assert.equal(decode(hex)?.isEmulated ?? false, hex === 'f3 90', hex);
  }
});

test('the check of the stack guard is known', () => {
  assert.equal(decode('64 48 2b 14 25 28 00 00 00')?.isGuardCheck, true);
  assert.equal(decode('64 48 33 04 25 28 00 00 00')?.isGuardCheck, true);
  assert.equal(decode('64 48 8b 04 25 28 00 00 00')?.isGuardCheck, false, 'the load at the beginning');
  assert.equal(decode('64 48 2b 14 25 30 00 00 00')?.isGuardCheck, false);
  assert.equal(decode('48 2b 14 25 28 00 00 00')?.isGuardCheck, false);
});
