import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { examineFile } from '../../receiver/tls/examine.ts';
import type { Finding } from '../../receiver/tls/probes.ts';
import { recognizeText } from '../../receiver/tls/recognize.ts';
import { readElf, type ReadAt } from '../../otel-thread-context/reader/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'usm-examine-'));
const calls = fileURLToPath(new URL('calls.c', import.meta.url));

after(() => {
  rmSync(directory, { recursive: true, force: true });
});

function build(name: string, flags: readonly string[], source = calls, libraries: readonly string[] = []): Uint8Array {
  const path = join(directory, name);
  const { status, stderr } = spawnSync('gcc', [...flags, source, '-o', path, ...libraries], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return new Uint8Array(readFileSync(path));
}

function readsOf(bytes: Uint8Array): ReadAt {
  return (offset, size) =>
    offset >= 0 && size >= 0 && offset + size <= bytes.length ? bytes.subarray(offset, offset + size) : undefined;
}

const MAX_STEPS = 20_000;

function finish<T>(work: Generator<void, T>): T {
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
  throw new Error('it does not end');
}

function examine(bytes: Uint8Array, path = '/app/program', isProgram = true): readonly Finding[] {
  return finish(examineFile({ read: readsOf(bytes), path, isProgram }, []));
}

/** The functions with an entry. */
function entries(findings: readonly Finding[]): string[] {
  const [finding] = findings;
  assert.ok(finding?.kind === 'probes', finding?.kind === 'refused' ? finding.detail : 'nothing was found');
  return finding.sites.filter(({ program }) => program === 'tls_enter').map(({ description }) => description.replace(/\+.*/, ''));
}

const all = ['SSL_read', 'SSL_write', 'SSL_read_ex', 'SSL_write_ex'];

test('functions are found whether they are exported, only named, or listed by either kind of hash table', () => {
  assert.deepEqual(entries(examine(build('exported', ['-O2', '-rdynamic']))), all);
  assert.deepEqual(entries(examine(build('sysv', ['-O2', '-rdynamic', '-Wl,--hash-style=sysv']))), all);
  assert.deepEqual(entries(examine(build('named', ['-O2']))), all);
  assert.deepEqual(entries(examine(build('static', ['-O2', '-static']))), all);
  assert.deepEqual(entries(examine(build('library', ['-O2', '-shared', '-fPIC']), '/lib/libssl.so.3', false)), all);
  assert.deepEqual(examine(build('stripped', ['-O2', '-s'])), []);
});

test('a library without these names is not searched symbol by symbol, unless its name says TLS', () => {
  const bytes = build('hidden', ['-O2', '-shared', '-fPIC', '-fvisibility=hidden']);
  assert.deepEqual(examine(bytes, '/lib/libother.so', false), []);
  assert.deepEqual(entries(examine(bytes, '/lib/mod_ssl.so', false)), all);
});

test('libraries that are not read are named', () => {
  const bytes = build('any', ['-O2', '-shared', '-fPIC']);
  for (const [name, library] of [
    ['libjvm.so', 'jsse'],
    ['libssl3.so', 'nss'],
    ['libmbedtls.so.14', 'mbedtls'],
  ] as const) {
    const [finding] = examine(bytes, `/usr/lib/${name}`, false);
    assert.ok(finding?.kind === 'refused');
    assert.equal(finding.library, library);
  }
});

test('what a stripped program holds is known by what the library says of itself', () => {
  const recognized = (
    texts: readonly string[],
    flags: readonly string[] = [],
  ): { library: string; version: string; reason: string } | undefined => {
    const source = join(directory, 'texts.c');
    const list = texts.map((text) => JSON.stringify(text)).join(', ');
    writeFileSync(
      source,
      `#include <stdio.h>\nconst char *texts[] = { ${list}, 0 };\nint main(void) { return puts(texts[0]); }\n`,
    );
    const bytes = build('texts', ['-O1', '-s'], source, flags);
    const elf = readElf(readsOf(bytes));
    assert.ok(elf.kind === 'elf');
    const found = finish(recognizeText(readsOf(bytes), elf));
    return found && { library: found.library, version: found.version, reason: found.reason };
  };
  assert.deepEqual(recognized(['OpenSSL 3.0.19 27 Jan 2026']), { library: 'openssl', version: '3.0.19', reason: 'no symbols' });
  assert.deepEqual(recognized(['OpenSSL 1.1.1w  11 Sep 2023']), { library: 'openssl', version: '1.1.1w', reason: 'no symbols' });
  assert.deepEqual(recognized(['OpenSSL 1.1.1 (compatible; BoringSSL)']), {
    library: 'boringssl',
    version: '',
    reason: 'not supported',
  });
  assert.deepEqual(recognized(['/root/.cargo/registry/src/rustls-0.23.12/src/conn.rs']), {
    library: 'rustls',
    version: '0.23.12',
    reason: 'not supported',
  });
  // It is linked to the library, and says with which it was built.
  build('libssl.so', ['-O1', '-shared', '-fPIC']);
  const flags = ['-Wl,--no-as-needed', `-L${directory}`, '-lssl'];
  assert.equal(recognized(['OpenSSL 3.0.19 27 Jan 2026'], flags), undefined);
  assert.equal(recognized(['needs OpenSSL 3.0 or newer', 'OpenSSL']), undefined);
});

test('a file that is cut off anywhere says nothing or something, but never throws', () => {
  const whole = build('whole', ['-O2', '-rdynamic']);
  for (let size = 0; size < whole.length; size += 61) {
    for (const finding of examine(whole.subarray(0, size))) assert.ok(finding.library.length > 0);
  }
});

test('a file with any byte changed says nothing or something, but never throws nor goes on for ever', () => {
  const whole = build('changed', ['-O2', '-rdynamic']);
  let seed = 7;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  for (let round = 0; round < 3_000; round++) {
    const bytes = whole.slice();
    // Headers and tables at the beginning more often than the rest.
    for (let changes = random(4); changes >= 0; changes--) {
      const at = random(round % 2 === 0 ? 4096 : bytes.length);
      bytes[at] = random(3) === 0 ? 0xff : random(256);
    }
    for (const finding of examine(bytes)) {
      if (finding.kind === 'probes') for (const { offset } of finding.sites) assert.ok(offset >= 0 && offset < bytes.length);
    }
  }
});
