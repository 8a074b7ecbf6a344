import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { aarch64 } from '../../receiver/tls/aarch64.ts';
import { examineFile } from '../../receiver/tls/examine.ts';
import type { Instruction } from '../../receiver/tls/instruction.ts';
import { openTarget } from '../../receiver/tls/target-file.ts';
import { disassemble } from './objdump.ts';

const compiler = 'aarch64-linux-gnu-gcc';
const objdump = 'aarch64-linux-gnu-objdump';
const source = fileURLToPath(new URL('calls.c', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'usm-aarch64-'));
const skip = spawnSync(compiler, ['--version']).status === 0 ? false : `there is no ${compiler}`;

after(() => {
  rmSync(directory, { recursive: true, force: true });
});

function decode(word: number, address = 0x1000): Instruction | undefined {
  return aarch64.decode(new Uint8Array(Uint32Array.of(word).buffer), 0, address);
}

function compile(flags: readonly string[]): string {
  const path = join(directory, `calls${flags.join('')}`);
  const { status, stderr } = spawnSync(compiler, [...flags, '-rdynamic', source, '-o', path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return path;
}

function flowOf(mnemonic: string): string {
  if (/^(b|br|braa)$/.test(mnemonic)) return 'jump';
  if (/^(b\.\w+|cbn?z|tbn?z)$/.test(mnemonic)) return 'branch';
  if (/^(bl|blr)$/.test(mnemonic)) return 'call';
  if (mnemonic.startsWith('ret')) return 'return';
  return /^(udf|brk|hlt)$/.test(mnemonic) ? 'stop' : 'next';
}

test('flow and targets are what objdump says, for all code of a program with its C library', { skip }, () => {
  const wrong: string[] = [];
  let compared = 0;
  for (const { address, bytes, text } of disassemble(compile(['-O2', '-static']), [], objdump)) {
    if (text.startsWith('.')) continue;
    compared++;
    const [mnemonic = '', operands = ''] = text.split(/\s+(.*)/);
    const instruction = aarch64.decode(new Uint8Array(bytes), 0, address);
    const flow = flowOf(mnemonic);
    const target = flow === 'next' || flow === 'return' ? undefined : /(?:^|, )([0-9a-f]+) </.exec(operands)?.[1];
    // Vector extensions are none of ours: nothing is said about them.
    if (instruction === undefined && flow === 'next') continue;
    if (instruction?.flow === flow && instruction.target === (target === undefined ? undefined : parseInt(target, 16))) continue;
    wrong.push(`${address.toString(16)} ${Buffer.from(bytes).toString('hex')} ${text}: ${JSON.stringify(instruction)}`);
  }
  assert.ok(compared > 50_000, `${String(compared)} instructions`);
  assert.deepEqual(wrong.slice(0, 20), []);
});

test('what moves the stack pointer or goes from register to register is followed', () => {
  assert.deepEqual(decode(0xa9bd7bfd)?.effect, { kind: 'stack', bytes: -48, registers: 0 }, 'stp x29, x30, [sp, #-48]!');
  assert.deepEqual(
    decode(0xa8c37bfd)?.effect,
    { kind: 'stack', bytes: 48, registers: (1 << 29) | (1 << 30) },
    'ldp x29, x30, [sp], #48',
  );
  assert.deepEqual(decode(0xd10083ff)?.effect, { kind: 'copy', to: 31, from: 31, offset: -32 }, 'sub sp, sp, #32');
  assert.deepEqual(decode(0x910003fd)?.effect, { kind: 'copy', to: 29, from: 31, offset: 0 }, 'mov x29, sp');
  assert.deepEqual(decode(0x9100a3e3)?.effect, { kind: 'copy', to: 3, from: 31, offset: 40 }, 'add x3, sp, #40');
  assert.deepEqual(decode(0xaa0003f3)?.effect, { kind: 'copy', to: 19, from: 0, offset: 0 }, 'mov x19, x0');
  assert.deepEqual(decode(0x52800000)?.effect, { kind: 'constant', to: 0, value: 0 }, 'mov w0, #0');
  assert.deepEqual(decode(0x12800000)?.effect, { kind: 'constant', to: 0, value: -1 }, 'mov w0, #-1');
  assert.deepEqual(decode(0xb9402be0)?.effect, { kind: 'load', to: 0, base: 31, offset: 40 }, 'ldr w0, [sp, #40]');
  assert.deepEqual(decode(0x7100001f)?.effect, { kind: 'test', register: 0 }, 'cmp w0, #0');
  assert.deepEqual(decode(0xd503233f)?.effect, { kind: 'none' }, 'paciasp');
  assert.deepEqual(decode(0xf9000fe0)?.effect, { kind: 'writes', registers: 0 }, 'str x0, [sp, #24]');
});

test('what the kernel emulates is known', () => {
  for (const word of [0x14000001, 0x94000001, 0x54000041, 0xb4000040, 0x36000040, 0xd61f0200, 0xd63f0000, 0xd65f03c0]) {
    assert.equal(decode(word)?.isEmulated, true, word.toString(16));
  }
  for (const word of [0xa9bd7bfd, 0xd65f0bff, 0x910003fd, 0xf9400fe0])
    assert.equal(decode(word)?.isEmulated, false, word.toString(16));
});

for (const flags of [['-O1'], ['-O2'], ['-O3'], ['-Os'], ['-O2', '-DINLINED'], ['-O2', '-mbranch-protection=standard']]) {
  test(`functions compiled with ${flags.join(' ')} have places for probes, at instructions`, { skip }, (t) => {
    const path = compile(flags);
    const target = openTarget(path);
    assert.ok(target);
    const steps = examineFile({ read: target.read, path, isProgram: true }, []);
    let result = steps.next();
    while (result.done !== true) result = steps.next();
    target.close();
    const [finding] = result.value;
    assert.ok(finding?.kind === 'probes', finding?.kind === 'refused' ? finding.detail : 'nothing found');
    const entries = finding.sites.filter(({ program }) => program === 'tls_enter');
    assert.deepEqual(entries.map(({ description }) => description.replace(/\+.*/, '')).sort(), [
      'SSL_read',
      'SSL_read_ex',
      'SSL_write',
      'SSL_write_ex',
    ]);
    for (const { offset } of finding.sites) assert.equal(offset % 4, 0);
    t.diagnostic(finding.sites.map(({ description, isEmulated }) => `${description}${isEmulated ? '' : '!'}`).join(' '));
  });
}
