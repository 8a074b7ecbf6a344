// What the built C library shows to linkers and to observers, as readelf and nm see it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { built, isInstalled, make } from './writer.ts';

const header = readFileSync(new URL('../../otel-thread-context/include/otel_thread_context.h', import.meta.url), 'utf8');

interface ElfSymbol {
  readonly size: number;
  readonly type: string;
  readonly binding: string;
  readonly visibility: string;
  readonly name: string;
}

function tool(command: string, ...argv: string[]): string {
  return execFileSync(command, argv, { encoding: 'utf8' });
}

/** Defined dynamic symbols, without their versions. */
function exportedBy(path: string): ElfSymbol[] {
  return tool('readelf', '-W', '--dyn-syms', path)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([number, , , type, , , section]) => /^\d+:$/.test(number ?? '') && section !== 'UND' && type !== 'NOTYPE')
    .map(([, , size = '', type = '', binding = '', visibility = '', , name = '']) => ({
      size: Number(size),
      type,
      binding,
      visibility,
      name: name.replace(/@.*/, ''),
    }))
    .filter(({ name }) => name !== 'OTEL_THREAD_CONTEXT_0');
}

/** Relocations that name the variable. */
function relocationsOf(path: string): string[] {
  return tool('readelf', '-W', '-r', path)
    .split('\n')
    .filter((line) => line.includes('otel_thread_ctx_v1'))
    .map((line) => line.trim().split(/\s+/)[2] ?? '');
}

const anchor: ElfSymbol = { size: 8, type: 'TLS', binding: 'GLOBAL', visibility: 'DEFAULT', name: 'otel_thread_ctx_v1' };

describe('the shared library', () => {
  const path = built('shared', 'libotel-thread-context.so');

  before(() => {
    make('library-shared');
  });

  test('exports what the header declares, the variable, and nothing else', () => {
    const declared = [...header.matchAll(/^OTEL_THREAD_CONTEXT_API[^;]*?\b(otel_thread_context_\w+)\(/gms)].map(
      ([, name = '']) => name,
    );
    assert.equal(declared.length, 14);
    assert.deepEqual(
      exportedBy(path)
        .map(({ name }) => name)
        .sort(),
      [...declared, anchor.name].sort(),
    );
  });

  test('has the variable among its dynamic symbols as observers want it', () => {
    assert.deepEqual(
      exportedBy(path).filter(({ type }) => type === 'TLS'),
      [anchor],
    );
  });

  test('reaches the variable by a TLS descriptor alone', { skip: process.arch !== 'x64' && 'x86-64' }, () => {
    assert.deepEqual(relocationsOf(path), ['R_X86_64_TLSDESC']);
  });

  test('has a soname, binds at once, and is never unloaded', () => {
    const dynamic = tool('readelf', '-W', '-d', path);
    assert.match(dynamic, /\(SONAME\).*\[libotel-thread-context\.so\.0\]/);
    assert.match(dynamic, /\(FLAGS_1\).*\bNOW\b.*\bNODELETE\b/);
    assert.deepEqual(
      [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
      ['libc.so.6'],
    );
    assert.doesNotMatch(dynamic, /TEXTREL|STATIC_TLS/);
  });

  test('has a thread-local block that fits into optional static TLS', () => {
    const [, size = ''] = /^\s+TLS\s+(?:0x\S+\s+){4}(0x\S+)/m.exec(tool('readelf', '-W', '-l', path)) ?? [];
    assert.ok(Number(size) >= 8 && Number(size) <= 512, `${size} bytes`);
  });

  test('calls nothing in attach, detach and changes of records but memory functions', () => {
    for (const object of ['thread.o', 'record.o']) {
      const called = [...tool('nm', '-u', built('shared', object)).matchAll(/\bU (\S+)/g)].map(([, name]) => name);
      assert.deepEqual(
        called.filter(
          (name) => !['memcpy', 'memmove', 'memset', '_GLOBAL_OFFSET_TABLE_', '__stack_chk_fail'].includes(name ?? ''),
        ),
        [],
      );
    }
  });
});

test('a program with the static library inside shows the variable when asked to', () => {
  make('build-static');
  assert.deepEqual(
    exportedBy(built('static', 'test/thread_test')).filter(({ type }) => type === 'TLS'),
    [anchor],
  );
});

test('a static-pie program shows the variable too', { skip: !isInstalled('ld.lld') && 'lld is not installed' }, () => {
  make('build-static-pie');
  assert.deepEqual(
    exportedBy(built('static-pie', 'test/thread_test')).filter(({ type }) => type === 'TLS'),
    [anchor],
  );
});

test(
  'a static musl program has the variable in .symtab',
  { skip: !isInstalled('musl-gcc') && 'musl-tools is not installed' },
  () => {
    make('build-musl-static');
    assert.match(
      tool('readelf', '-W', '-s', built('musl-static', 'test/thread_test')),
      /\b8 TLS\s+GLOBAL\s+DEFAULT\s+\d+ otel_thread_ctx_v1$/m,
    );
  },
);

test(
  'clang reaches the variable in the general dynamic way, or by a descriptor',
  { skip: process.arch !== 'x64' && 'x86-64' },
  () => {
    make('library-clang');
    const relocations = relocationsOf(built('clang', 'libotel-thread-context.so')).join(' ');
    assert.ok(['R_X86_64_DTPMOD64 R_X86_64_DTPOFF64', 'R_X86_64_TLSDESC'].includes(relocations), relocations);
  },
);

test('on aarch64 the variable has a TLS descriptor', { skip: !isInstalled('aarch64-linux-gnu-gcc') && 'not installed' }, () => {
  make('library-aarch64');
  const path = built('aarch64', 'libotel-thread-context.so');
  assert.deepEqual(
    exportedBy(path).filter(({ type }) => type === 'TLS'),
    [anchor],
  );
  // readelf cuts the type's name.
  assert.deepEqual(
    relocationsOf(path).map((type) => type.slice(0, 17)),
    ['R_AARCH64_TLSDESC'],
  );
});
