import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { type BpfObject, enableStats, NativeError, openObject, openObjectInBackground } from '../../native/index.ts';
import { kernelTest } from '../support/kernel.ts';
import { openProbe, openProbeInBackground, probePath, rejectedPath, trigger, u32, u64, uniqueTarget } from './probe.ts';

const options = kernelTest();
const target = uniqueTarget();
const open: BpfObject[] = [];

function probe(): BpfObject {
  const object = openProbe(target);
  open.push(object);
  return object;
}

after(() => {
  for (const object of open) object.close();
});

function callCount(object: BpfObject): bigint {
  const bytes = object.map('.bss').lookup(u32(0));
  assert.ok(bytes);
  return new BigUint64Array(bytes.buffer)[0]!;
}

test('a constant set before the load decides what an attached program sees', options, () => {
  const object = probe();
  object.attach();
  trigger(target);
  trigger(target + 1);
  trigger(target);
  assert.equal(callCount(object), 2n);
});

test('opened in the background, it is the same object', options, async () => {
  const target = uniqueTarget();
  const object = await openProbeInBackground(target);
  open.push(object);
  object.attach();
  trigger(target);
  trigger(target + 1);
  assert.equal(callCount(object), 1n);
});

test('what goes wrong in the background is told as it would be at once', options, async () => {
  const failing = { object: probePath, constants: { targett: u32(1) } };
  const messageOf = (error: unknown): string => {
    assert.ok(error instanceof NativeError);
    return error.message;
  };
  let message = '';
  assert.throws(
    () => openObject(failing),
    (error) => (message = messageOf(error)) !== '',
  );
  await assert.rejects(openObjectInBackground(failing), (error) => messageOf(error) === message);
});

test('a program that is not attached does not run', options, () => {
  const object = probe();
  trigger(target);
  assert.equal(callCount(object), 0n);
});

test('attaching again changes nothing', options, () => {
  const object = probe();
  object.attach();
  object.attach(['on_kill']);
  trigger(target);
  assert.equal(callCount(object), 1n);
});

test('attaching by a name that the object does not have names it', options, () => {
  const object = probe();
  assert.throws(
    () => {
      object.attach(['on_kill', 'on_nothing']);
    },
    (error) => error instanceof NativeError && error.code === 'ENOENT' && error.programs.join() === 'on_nothing',
  );
  trigger(target);
  assert.equal(callCount(object), 1n, 'the others are attached');
});

test('a program whose hook does not exist is named, with the reason', options, () => {
  const object = openObject({ object: rejectedPath, autoload: { reads_null: false, attaches_nowhere: true } });
  open.push(object);
  assert.throws(
    () => {
      object.attach();
    },
    (error) => error instanceof NativeError && error.code === 'ENOENT' && error.programs.join() === 'attaches_nowhere',
  );
});

test('a file that is not there is ENOENT, with its path', () => {
  assert.throws(
    () => openObject({ object: '/no/such/object.bpf.o' }),
    (error) => error instanceof NativeError && error.code === 'ENOENT' && error.operation === "open '/no/such/object.bpf.o'",
  );
});

test('a file that is no ELF object is refused, and says so', () => {
  const path = fileURLToPath(new URL('../../package.json', import.meta.url));
  assert.throws(
    () => openObject({ object: path }),
    (error) => error instanceof NativeError && error.code === 'LIBBPF_FORMAT' && error.log.includes('ELF'),
  );
});

test('a constant that the object does not have is refused by name', () => {
  assert.throws(
    () => openObject({ object: probePath, constants: { targett: u32(1) } }),
    (error) => error instanceof NativeError && error.code === 'ENOENT' && error.operation === "set constant 'targett'",
  );
});

test('a constant of the wrong size is refused, with both sizes', () => {
  assert.throws(
    () => openObject({ object: probePath, constants: { target: u64(1) } }),
    (error) => error instanceof NativeError && error.code === 'EINVAL' && error.log === 'it has 4 bytes, 8 were given',
  );
});

test('a map or program to set up that the object does not have is refused by name', () => {
  assert.throws(() => openObject({ object: probePath, mapEntries: { rings: 4096 } }), /size map 'rings': ENOENT/);
  assert.throws(() => openObject({ object: probePath, autoload: { nothing: false } }), /select program 'nothing': ENOENT/);
});

test('what the verifier said comes with the error', options, () => {
  assert.throws(
    () => openObject({ object: rejectedPath }),
    (error) =>
      error instanceof NativeError && error.code === 'EACCES' && error.log.includes("invalid mem access 'map_value_or_null'"),
  );
});

test('an iterator program over a map returns what it wrote', options, () => {
  const object = probe();
  const numbers = object.map('numbers');
  numbers.update(u32(1), u64(10));
  numbers.update(u32(2), u64(20));
  const bytes = object.iterate('dump_numbers', 'numbers');
  const values = [...new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8)];
  assert.deepEqual(
    values.sort((a, b) => Number(a - b)),
    [10n, 20n],
  );
});

test('an iterator program over the kernel returns what it wrote', options, () => {
  const bytes = probe().iterate('list_maps');
  assert.ok(bytes.byteLength >= 5 * 4 && bytes.byteLength % 4 === 0, `${String(bytes.byteLength)} bytes`);
});

test('only iterators are iterated, over maps that exist', options, () => {
  const object = probe();
  assert.throws(() => object.iterate('on_kill'), /iterate 'on_kill': EINVAL/);
  assert.throws(() => object.iterate('nothing'), /iterate 'nothing': ENOENT/);
  assert.throws(
    () => object.iterate('dump_numbers', 'nothing'),
    /iterate 'dump_numbers': ENOENT: the object has no map 'nothing'/,
  );
});

test('program statistics move while they are enabled', options, () => {
  const object = probe();
  const stats = enableStats();
  object.attach();
  trigger(target);
  stats.close();
  stats.close();
  const program = object.programs().find((candidate) => candidate.name === 'on_kill');
  assert.ok(program);
  assert.ok(program.runCount >= 1 && program.runTimeNs > 0 && program.id > 0);
  assert.equal(program.recursionMisses, 0);
});

test('two objects from one file do not share anything', options, () => {
  const first = probe();
  const second = probe();
  first.attach();
  trigger(target);
  assert.equal(callCount(first), 1n);
  assert.equal(callCount(second), 0n);
});

test('a closed object detaches, refuses further use and may be closed again', options, () => {
  const witness = probe();
  witness.attach();
  const object = probe();
  object.attach();
  const map = object.map('numbers');
  object.close();
  object.close();
  trigger(target);
  assert.equal(callCount(witness), 1n);
  for (const use of [
    () => object.programs(),
    () => map.lookup(u32(1)),
    () => object.ring('ring'),
    () => object.iterate('list_maps'),
  ]) {
    assert.throws(use, (error) => error instanceof NativeError && error.code === 'EBADF');
  }
});
