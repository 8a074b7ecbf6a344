// Lines of /proc/PID/maps, as the kernel prints them and as nobody should.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMappings } from '../../../otel-thread-context/reader/mappings.ts';

const parse = (text: string) => parseMappings(Buffer.from(text));

test('a mapping has a range, an offset, a device, an inode and a name', () => {
  const line = '7f9243698000-7f9243699000 r-xp 0001f000 fe:00 316527                     /usr/lib/a b (deleted)\n';
  assert.deepEqual(parse(line), [
    {
      start: 0x7f9243698000,
      end: 0x7f9243699000,
      offset: 0x1f000,
      isExecutable: true,
      device: 'fe:00',
      inode: 316527,
      name: '/usr/lib/a b (deleted)',
    },
  ]);
});

test('mappings without a name, and addresses of the kernel, are left out', () => {
  const text = [
    '7f9243698000-7f9243699000 rw-p 00000000 00:00 0 ',
    '7fff83350000-7fff83371000 rw-p 00000000 00:00 0                          [stack]',
    'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
    '',
  ].join('\n');
  assert.deepEqual(
    parse(text).map(({ name }) => name),
    ['[stack]'],
  );
});

test('files that are mapped shared are left out, unless a process may publish in them', () => {
  const names = ['/data/segment.1', '/memfd:OTEL_CTX (deleted)', '[anon_shmem:OTEL_CTX]'];
  const text = names.map((name) => `1000-2000 rw-s 00000000 fe:00 1 ${name}\n`).join('');
  assert.deepEqual(
    parse(text).map(({ name }) => name),
    names.slice(1),
  );
});

test('a listing that was cut off loses its last line, at any place of it', () => {
  const line = '7f9243698000-7f9243699000 r--p 00000000 fe:00 316527                     /usr/lib/a\n';
  for (let size = 0; size < line.length; size++) assert.deepEqual(parse(line + line.slice(0, size)), parse(line), `${size}`);
});

test('lines that make no sense are left out', () => {
  for (const line of [
    '',
    ' ',
    'x',
    '1-2',
    '2-1 r--p 0 0:0 1 /a',
    'x-y r--p 0 0:0 1 /a',
    '1-2 r--p 0 0:0 x /a',
    '1-2 r--p z 0:0 1 /a',
  ]) {
    assert.deepEqual(parse(`${line}\n`), [], line);
  }
});

test('no more than 65,536 mappings are kept', () => {
  const line = '1000-2000 r--p 00000000 fe:00 1 /a\n';
  assert.equal(parse(line.repeat(70_000)).length, 65_536);
});
