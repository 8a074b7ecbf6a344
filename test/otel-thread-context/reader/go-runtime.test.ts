import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readsOf } from '../../../otel-thread-context/reader/bytes.ts';
import type { ElfFile } from '../../../otel-thread-context/reader/elf.ts';
import { goRuntime } from '../../../otel-thread-context/reader/go-runtime.ts';

const segment = { vaddr: 0, memorySize: 0, align: 4096 };
const MAGIC = '\xff Go buildinf:';

function programOf(size: number): { readonly file: Buffer; readonly elf: ElfFile } {
  const file = Buffer.alloc(size);
  const loads = [
    { ...segment, offset: 0, fileSize: 4096, isExecutable: true },
    { ...segment, offset: 4096, fileSize: size - 4096, isExecutable: false },
  ];
  return { file, elf: { loads } as unknown as ElfFile };
}

/** As the linker writes it: magic, size of a pointer, flags, and at 32 the version behind its size. */
function write(file: Buffer, at: number, version: string, flags = 2): void {
  file.write(MAGIC, at, 'latin1');
  file[at + 14] = 8;
  file[at + 15] = flags;
  file[at + 32] = version.length;
  file.write(version, at + 33, 'latin1');
}

function runtimeOf(version: string, at = 4096 + 64, flags = 2): unknown {
  const { file, elf } = programOf(300_000);
  write(file, at, version, flags);
  return goRuntime(readsOf(file), elf);
}

test('versions that were tried are known by where they have the labels', () => {
  const table: readonly (readonly [string, number, number])[] = [
    ['go1.24.13', 192, 352],
    ['go1.25', 184, 344],
    ['go1.26.8 X:nodwarf5', 184, 352],
    ['go1.27rc1', 184, 352],
  ];
  for (const [version, current, labels] of table) {
    assert.deepEqual(runtimeOf(version), { kind: 'runtime', version, current, labels });
  }
});

test('others are named and not read', () => {
  for (const version of ['go1.23.4', 'go1.28', 'go1.2', 'go1.240', 'go2.24', 'devel go1.26-abc']) {
    assert.deepEqual(runtimeOf(version), { kind: 'unknown_version', version }, version);
  }
});

test('it is found wherever the data has it, also across blocks, and only where a linker puts it', () => {
  for (const at of [4096, 4096 + 65_536 - 16, 4096 + 65_536, 290_000 - (290_000 % 16)]) {
    assert.deepEqual((runtimeOf('go1.26.8', at) as { kind: string }).kind, 'runtime', String(at));
  }
  for (const at of [0, 4096 + 8]) assert.deepEqual(runtimeOf('go1.26.8', at), { kind: 'not_go' }, String(at));
});

test('what is cut off, or says its version elsewhere, is no program made by Go', () => {
  assert.deepEqual(runtimeOf('go1.26.8', 4160, 0), { kind: 'not_go' });
  assert.deepEqual(runtimeOf(''), { kind: 'not_go' });
  assert.deepEqual(runtimeOf('x'.repeat(65)), { kind: 'not_go' });
  const { file, elf } = programOf(8192);
  write(file, 8192 - 48, 'go1.26.8');
  file[8192 - 16] = 40;
  assert.deepEqual(goRuntime(readsOf(file), elf), { kind: 'not_go' });
  assert.deepEqual(
    goRuntime(() => undefined, elf),
    { kind: 'not_go' },
  );
});
