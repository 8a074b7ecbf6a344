// Where functions in the forms of OpenSSL's and GnuTLS's are probed, whatever the compiler made of them: what the probes see must be what was called.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openObject, RECORD_HEADER_SIZE } from '../../native/index.ts';
import { probeFlag } from '../../receiver/kernel/layout.ts';
import { examineFile } from '../../receiver/tls/examine.ts';
import type { Finding, ProbeSite } from '../../receiver/tls/probes.ts';
import { openTarget } from '../../receiver/tls/target-file.ts';
import { kernelTest } from '../support/kernel.ts';
import { disassemble } from './objdump.ts';

const options = kernelTest();
const sourceOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const objectPath = fileURLToPath(new URL('../../build/test/uprobe.bpf.o', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'usm-calls-'));
const isX86 = process.arch === 'x64';

after(() => {
  rmSync(directory, { recursive: true, force: true });
});

function hasTool(name: string): boolean {
  return spawnSync(name, ['--version']).status === 0;
}

const levels = ['-O0', '-O1', '-O2', '-O3', '-Os'];
const frames = [[], ['-fno-omit-frame-pointer'], ['-fstack-protector-strong']];
const forms = [[], ['-DINLINED']];
const variants: (readonly string[])[] = levels.flatMap((level) =>
  frames.flatMap((frame) => forms.map((form) => [level, ...frame, ...form])),
);
if (isX86)
  variants.push(
    ['-O2', '-fcf-protection=full'],
    ['-O2', '-fcf-protection=full', '-fstack-protector-all', '-fno-omit-frame-pointer'],
  );
variants.push(['-O2', '-no-pie'], ['-O2', '-fno-plt', '-flto'], ['-O2', '-freorder-blocks-and-partition', '-DINLINED']);

async function compile(compiler: string, flags: readonly string[], source = 'calls.c'): Promise<string> {
  const path = join(directory, `${compiler}${flags.join('')}${source}`);
  await promisify(execFile)(compiler, [...flags, '-rdynamic', sourceOf(source), '-o', path]);
  return path;
}

function examine(path: string): Finding | undefined {
  const target = openTarget(path);
  assert.ok(target);
  const steps = examineFile({ read: target.read, path, isProgram: true }, []);
  for (;;) {
    const { done, value } = steps.next();
    if (done !== true) continue;
    target.close();
    return value[0];
  }
}

interface Told {
  readonly program: string;
  readonly flags: number;
  readonly stack: bigint;
  readonly arguments: readonly bigint[];
  readonly result: number;
  readonly count: number;
}

function isQuiet(frame: Told | undefined): boolean {
  return ((frame?.flags ?? 0) & probeFlag.isQuiet) !== 0;
}

/** Plaintext as the kernel side would tell it: `read|write object buffer count place`, and the objects that are forgotten. */
function follow(records: readonly Told[]): { lines: string[]; open: number } {
  const lines: string[] = [];
  const frames: Told[] = [];
  for (const record of records) {
    if (record.program === 'tls_forget') {
      lines.push(`free ${record.arguments[0]}`);
      continue;
    }
    if (record.program === 'tls_enter') {
      const outer = frames.at(-1);
      const [object, buffer] = outer?.arguments ?? [];
      // One function is made of another: the outer one tells, or nobody does.
      const isTold = buffer === record.arguments[1] || isQuiet(outer);
      if (object !== record.arguments[0] || !isTold) frames.push(record);
      continue;
    }
    const frame = frames.at(-1);
    // The kernel side would take that for a call that began before its library was probed.
    if (frame === undefined && record.result > 0) lines.push('an end without a beginning');
    if (frame?.stack !== record.stack) continue;
    frames.pop();
    if (record.result <= 0 || isQuiet(frame)) continue;
    const [object, buffer, , place] = frame.arguments;
    const name = (frame.flags & probeFlag.sent) !== 0 ? 'write' : 'read';
    const hasPlace = (frame.flags & probeFlag.countPointer) !== 0;
    const count = (record.flags & probeFlag.countOnStack) !== 0 ? record.count : record.result;
    lines.push(`${name} ${object} ${buffer} ${hasPlace ? `at ${place}` : count}`);
  }
  return { lines, open: frames.length };
}

function expected(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [name, object, buffer, count = '', place] = line.split(' ');
    if (name === 'free') return [`free ${object}`];
    if (Number(count) <= 0) return [];
    return [`${name} ${object} ${buffer} ${place === '0' ? count : `at ${place}`}`];
  });
}

async function run(path: string, sites: readonly ProbeSite[]): Promise<{ lines: string[]; records: Told[] }> {
  const object = openObject({ object: objectPath });
  const child = spawn(path);
  const reader = createInterface(child.stdout)[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
  try {
    assert.equal((await reader.next()).value, 'ready');
    const ring = object.ring('sites');
    // Of the cookie, the high half is used as it is; the low half only has to say which site it was.
    const given = sites.map(({ offset, cookie }, index) => ({ offset, cookie: (cookie & ~0xffffffffn) | BigInt(index) }));
    object.attachProbes('on_site', path, given);
    child.stdin.write('\n');
    const lines: string[] = [];
    for (;;) {
      const { value } = await reader.next();
      assert.ok(value !== undefined, 'it ended before it was done');
      if (value === 'done') break;
      lines.push(value);
    }
    const bytes = new Uint8Array(2 * 1024 * 1024);
    const size = ring.drain(bytes);
    const view = new DataView(bytes.buffer);
    const records: Told[] = [];
    for (let at = RECORD_HEADER_SIZE; at < size; at += RECORD_HEADER_SIZE + 72) {
      const word = (index: number): bigint => view.getBigUint64(at + index * 8, true);
      const site = sites[Number(word(0) & 0xffffffffn)];
      assert.ok(site);
      if (Number(word(8)) !== child.pid) continue;
      records.push({
        program: site.program,
        flags: Number(site.cookie & 0xffn),
        stack: word(1),
        arguments: [word(2), word(3), word(4), word(5)],
        result: Number(BigInt.asIntN(32, word(6))),
        count: Number(BigInt.asIntN(32, word(7))),
      });
    }
    child.stdin.end('\n');
    await once(child, 'exit');
    return { lines, records };
  } finally {
    object.close();
    child.kill('SIGKILL');
  }
}

// One is compiled while another runs: each is a program of its own.
describe('what probes see is what was called', { concurrency: 2 }, () => {
  for (const compiler of ['gcc', 'clang']) {
    const hasCompiler = hasTool(compiler);
    for (const flags of variants) {
      // Only GCC knows these, or they need its linker plugin.
      if (compiler === 'clang' && flags.some((flag) => flag === '-flto' || flag.startsWith('-freorder'))) continue;
      const skip = options.skip !== false ? options.skip : hasCompiler ? false : `there is no ${compiler}`;
      test(`${compiler} ${flags.join(' ')}`, { skip }, async (t) => {
        const path = await compile(compiler, flags);
        const finding = examine(path);
        assert.ok(finding);
        if (finding.kind === 'refused') {
          // Code that was not optimized forgets its arguments early; of optimized code there is always a place.
          t.diagnostic(`refused: ${finding.detail}`);
          assert.ok(finding.detail.length > 0);
          assert.ok(flags.includes('-O0') || flags.includes('-O3'), finding.detail);
          return;
        }
        const { lines, records } = await run(path, finding.sites);
        const followed = follow(records);
        assert.deepEqual(followed.lines, [...expected(lines), 'free 0']);
        assert.equal(followed.open, 0, 'every call was seen to end');
        const slow = finding.sites.filter(({ isEmulated }) => !isEmulated).length;
        t.diagnostic(`${String(finding.sites.length)} sites, ${String(slow)} of them single-stepped`);
      });
    }
  }
});

describe('what probes see is what was called where functions end in others', { concurrency: 2 }, () => {
  const tailVariants = variants.filter((flags) => !flags.includes('-DINLINED'));
  for (const compiler of ['gcc', 'clang']) {
    const hasCompiler = hasTool(compiler);
    for (const flags of tailVariants) {
      if (compiler === 'clang' && flags.includes('-flto')) continue;
      const skip = options.skip !== false ? options.skip : hasCompiler ? false : `there is no ${compiler}`;
      test(`${compiler} ${flags.join(' ')}`, { skip }, async (t) => {
        const path = await compile(compiler, flags, 'tail-calls.c');
        const finding = examine(path);
        assert.ok(finding);
        if (finding.kind === 'refused') {
          t.diagnostic(`refused: ${finding.detail}`);
          // A table of addresses instead of distances is not read.
          assert.ok(flags.includes('-O0') || flags.includes('-no-pie'), finding.detail);
          return;
        }
        const { lines, records } = await run(path, finding.sites);
        const followed = follow(records);
        assert.deepEqual(followed.lines, [...expected(lines), 'free 0']);
        assert.equal(followed.open, 0, 'every call was seen to end');
      });
    }
  }
});

describe('sites of real libraries', { skip: !isX86 || !hasTool('objdump') }, () => {
  const emulated = /^(call|jmp|j\w+|push|nop)\b/;
  for (const name of ['libssl.so.3', 'libcrypto.so.3', 'libgnutls.so.30']) {
    const path = `/usr/lib/x86_64-linux-gnu/${name}`;
    test(`of ${path} stand at instructions of which objdump knows`, (t) => {
      const finding = examine(path);
      if (finding === undefined) {
        t.skip('it is not here');
        return;
      }
      assert.equal(finding.kind, 'probes');
      const text = new Map(disassemble(path).map(({ address, text }) => [address, text]));
      for (const { offset, description, isEmulated } of finding.sites) {
        // In these files code is placed as in memory.
        const instruction = text.get(offset);
        assert.ok(instruction !== undefined, `${description} is no instruction`);
        assert.equal(emulated.test(instruction) && !instruction.includes('*'), isEmulated, `${description}: ${instruction}`);
      }
    });
  }
});
