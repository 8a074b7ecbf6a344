// Programs of Go, built in all the ways in which they are built, with objdump as the judge of what stands where we probe.
// GO_VERSIONS=1.17.13,1.20.14 tries further versions, which the go command fetches.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type ElfFile, type ReadAt, readElf } from '../../otel-thread-context/reader/index.ts';
import { probeFlag, tlsTarget } from '../../receiver/kernel/layout.ts';
import { examineGo } from '../../receiver/tls/go.ts';
import type { Finding, Probes } from '../../receiver/tls/probes.ts';
import { disassemble } from './objdump.ts';

const source = path.join(import.meta.dirname, 'go');
const cache = path.resolve(import.meta.dirname, '../../.cache/traffic');
const versions = ['', ...(process.env['GO_VERSIONS'] ?? '').split(',').filter((version) => version !== '')];
const hasTools = spawnSync('go', ['version']).status === 0 && spawnSync('objdump', ['--version']).status === 0;
const skip = !hasTools || process.arch !== 'x64';

function build(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const hash = createHash('sha256').update(readFileSync(path.join(source, 'main.go')));
  hash.update(JSON.stringify([args, env])).update(execFileSync('go', ['version']));
  const binary = path.join(cache, `go-${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(binary)) return binary;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${binary}.${String(process.pid)}`;
  execFileSync('go', ['build', '-o', unfinished, ...args, '.'], {
    cwd: source,
    env: { ...process.env, GOFLAGS: '-mod=mod', CGO_ENABLED: '0', ...env },
    stdio: 'pipe',
  });
  renameSync(unfinished, binary);
  return binary;
}

function readsOf(bytes: Uint8Array): ReadAt {
  return (at, size) => (at >= 0 && size >= 0 && at + size <= bytes.length ? bytes.subarray(at, at + size) : undefined);
}

function examine(bytes: Uint8Array): readonly Finding[] {
  const read = readsOf(bytes);
  const elf = readElf(read);
  if (elf.kind === 'malformed') return [];
  const steps = examineGo({ read }, elf);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function probesOf(binary: string): Probes {
  const [finding, ...others] = examine(readFileSync(binary));
  assert.deepEqual(others, []);
  assert.ok(finding?.kind === 'probes', finding?.kind === 'refused' ? finding.detail : 'nothing found');
  return finding;
}

function addressOf(elf: ElfFile, offset: number): number {
  const load = elf.loads.find((segment) => offset >= segment.offset && offset < segment.offset + segment.fileSize);
  assert.ok(load);
  return offset - load.offset + load.vaddr;
}

/** What objdump says stands at each site, with the functions that the addresses belong to. */
function judge(binary: string, { sites }: Probes): string[] {
  const elf = readElf(readsOf(readFileSync(binary)));
  assert.equal(elf.kind, 'elf');
  return sites.map(({ offset, cookie }) => {
    const address = addressOf(elf, offset);
    const range = [`--start-address=${String(address)}`, `--stop-address=${String(address + 16)}`];
    return `${Number(cookie) & probeFlag.sent ? 'write' : 'read'}: ${
      disassemble(binary, range)[0]
        ?.text.replace(/\s+/g, ' ')
        .replace(/[0-9a-f]{5,} /, '') ?? ''
    }`;
  });
}

for (const version of versions) {
  const env: Record<string, string> = version === '' ? {} : { GOTOOLCHAIN: `go${version}` };
  const name = version === '' ? 'the Go that is here' : `Go ${version}`;

  test(`${name}: the copy to the caller of Read, and the entry of the function that writes records`, { skip }, () => {
    const binary = build('plain', [], env);
    const [reads, writes] = judge(binary, probesOf(binary));
    assert.equal(reads, 'read: call <runtime.memmove>');
    assert.match(writes ?? '', /^write: (push %rbp|jbe .*writeRecordLocked.*)$/);
  });

  test(`${name}: a stripped program has its probes where the same program has them that is not`, { skip }, () => {
    const whole = probesOf(build('plain', [], env));
    const stripped = probesOf(build('stripped', ['-ldflags=-s -w'], env));
    assert.deepEqual(stripped.sites, whole.sites);
    assert.deepEqual(stripped.target, whole.target);
    assert.match(stripped.version, /^go1\.\d+/);
  });

  for (const [variant, args] of [
    ['position-independent', ['-buildmode=pie']],
    ['with C', ['-ldflags=-linkmode external']],
    ['position-independent, with C', ['-buildmode=pie', '-ldflags=-linkmode external']],
  ] as const) {
    test(`${name}, ${variant}: the same places, also when it is stripped`, { skip }, () => {
      const cgo = variant.includes('C') ? { CGO_ENABLED: '1' } : {};
      const binary = build('variant', args, { ...env, ...cgo });
      const probes = probesOf(binary);
      assert.equal(judge(binary, probes)[0], 'read: call <runtime.memmove>');
      const copy = `${binary}-stripped`;
      if (!existsSync(copy)) execFileSync('strip', ['-o', copy, binary]);
      assert.deepEqual(probesOf(copy).sites, probes.sites);
    });
  }
}

test('aarch64: the call of the copy, and a place before anything is changed', { skip }, () => {
  const probes = probesOf(build('arm64', [], { GOARCH: 'arm64' }));
  assert.deepEqual(
    probes.sites.map(({ program, cookie, isEmulated }) => [program, Number(cookie) & probeFlag.sent, isEmulated]),
    [
      ['tls_go', 0, true],
      ['tls_go', probeFlag.sent, true],
    ],
  );
});

test('the target names both sites and net.(*TCPConn).Close, as in the file', { skip }, () => {
  const binary = build('plain', []);
  const probes = probesOf(binary);
  const elf = readElf(readsOf(readFileSync(binary)));
  assert.ok(elf.kind === 'elf' && probes.target !== undefined);
  const view = new DataView(probes.target.buffer);
  const [reads, writes] = probes.sites;
  assert.equal(Number(view.getBigUint64(tlsTarget.readSite, true)), addressOf(elf, reads?.offset ?? 0));
  assert.equal(Number(view.getBigUint64(tlsTarget.writeSite, true)), addressOf(elf, writes?.offset ?? 0));
  const symbols = execFileSync('nm', [binary], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const close = /^([0-9a-f]+) T net\.\(\*TCPConn\)\.Close$/m.exec(symbols)?.[1] ?? '';
  assert.equal(Number(view.getBigUint64(tlsTarget.tcpClose, true)), parseInt(close, 16));
});

test('a program that is built without optimisation is refused, and it says why', { skip }, () => {
  const [finding] = examine(readFileSync(build('debug', ['-gcflags=all=-N -l'])));
  assert.ok(finding?.kind === 'refused');
  assert.equal(finding.reason, 'no probe site');
  assert.match(finding.detail, /crypto\/tls\.\(\*Conn\)\.Read: it copies nothing/);
});

test('a version that nobody has verified is refused', { skip }, () => {
  const bytes = new Uint8Array(readFileSync(build('plain', [])));
  const at = Buffer.from(bytes.buffer).indexOf('\xff Go buildinf:', 0, 'latin1') + 32;
  assert.match(Buffer.from(bytes.subarray(at + 1, at + 6)).toString(), /^go1\.\d$/);
  Buffer.from(bytes.buffer).write('go1.99', at + 1);
  const [finding] = examine(bytes);
  assert.ok(finding?.kind === 'refused');
  assert.equal(finding.reason, 'not supported');
});

test('a damaged file is a refusal or nothing, never an error, and never another place', { skip }, () => {
  const whole = readFileSync(build('plain', []));
  const { sites } = probesOf(build('plain', []));
  const table = whole.indexOf(Buffer.from([0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]));
  assert.ok(table > 0);
  let refused = 0;
  for (let i = 0; i < 64; i++) {
    const bytes = new Uint8Array(whole);
    bytes[table + i] = (bytes[table + i] ?? 0) ^ 0x41;
    const [finding] = examine(bytes);
    if (finding?.kind === 'probes') assert.deepEqual(finding.sites, sites, `byte ${String(i)}`);
    else refused++;
  }
  assert.ok(refused > 0);
  for (let size = 0; size < whole.length; size += 499_979) examine(new Uint8Array(whole.subarray(0, size)));
});
