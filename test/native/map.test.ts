import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type BpfObject, NativeError } from '../../native/index.ts';
import { kernelTest } from '../support/kernel.ts';
import { openProbe, trigger, u32, u64, uniqueTarget } from './probe.ts';

describe('maps', kernelTest(), () => {
  const target = uniqueTarget();
  let object: BpfObject;

  before(() => {
    object = openProbe(target);
    object.attach();
  });

  after(() => {
    object.close();
  });

  test('what was put in can be read, replaced and deleted', () => {
    const map = object.map('numbers');
    assert.equal(map.lookup(u32(1)), undefined);
    map.update(u32(1), u64(11));
    assert.deepEqual(map.lookup(u32(1)), u64(11));
    map.update(u32(1), u64(12));
    assert.deepEqual(map.lookup(u32(1)), u64(12));
    assert.equal(map.delete(u32(1)), true);
    assert.equal(map.delete(u32(1)), false);
    assert.equal(map.lookup(u32(1)), undefined);
  });

  test('a lookup can write where the caller wants it', () => {
    const map = object.map('numbers');
    map.update(u32(2), u64(22));
    const into = new Uint8Array(8);
    assert.equal(map.lookup(u32(2), into), into);
    assert.deepEqual(into, u64(22));
    map.delete(u32(2));
  });

  test('entries lists all keys and values', () => {
    const map = object.map('numbers');
    for (const key of [3, 1, 2]) map.update(u32(key), u64(key * 10));
    const entries = [...map.entries()].sort((a, b) => a[0][0]! - b[0][0]!);
    assert.deepEqual(
      entries,
      [1, 2, 3].map((key) => [u32(key), u64(key * 10)]),
    );
    for (const key of [3, 1, 2]) map.delete(u32(key));
    assert.deepEqual(map.entries(), []);
  });

  test('a full map says so', () => {
    const map = object.map('numbers');
    for (let key = 0; key < map.maxEntries; key++) map.update(u32(key), u64(0));
    assert.throws(
      () => {
        map.update(u32(100), u64(0));
      },
      (error) => error instanceof NativeError && error.code === 'E2BIG' && error.operation === "update map 'numbers'",
    );
    for (let key = 0; key < map.maxEntries; key++) map.delete(u32(key));
  });

  test('a per-CPU value has a slot of its own for each possible CPU', () => {
    const map = object.map('calls_by_cpu');
    assert.equal(map.lookupSize, map.slots * 8);
    map.update(u32(0), new Uint8Array(map.lookupSize));
    for (let call = 0; call < 5; call++) trigger(target);
    const value = map.lookup(u32(0));
    assert.ok(value);
    const slots = new Uint32Array(value.buffer).filter((_, index) => index % 2 === 0);
    assert.equal(slots.length, map.slots);
    assert.equal(
      slots.reduce((sum, calls) => sum + calls, 0),
      5,
    );
  });

  test('keys and values of the wrong size never reach the kernel', () => {
    const map = object.map('numbers');
    assert.throws(() => map.lookup(u64(1)), /its key has 4 bytes, 8 were given/);
    assert.throws(() => map.lookup(u32(1), new Uint8Array(4)), /its value has 8 bytes, 4 were given/);
    assert.throws(() => map.delete(new Uint8Array(0)), /its key has 4 bytes, 0 were given/);
    assert.throws(() => {
      map.update(u32(1), u32(1));
    }, /its value has 8 bytes, 4 were given/);
  });

  test('a map that the object does not have is refused by name', () => {
    assert.throws(() => object.map('nothing'), /find map 'nothing': ENOENT/);
  });

  test('shared memory is the map itself', () => {
    const words = new BigUint64Array(object.memory('orders'));
    assert.equal(words.length, 4 * 3, 'as large as the values, not as the pages');
    words[3] = 7n;
    assert.equal(object.map('orders').lookup(u32(1))?.[0], 7);
    object.map('orders').update(u32(2), Uint8Array.from([...u64(1), ...u64(2), ...u64(3)]));
    assert.deepEqual([...words.subarray(6, 9)], [1n, 2n, 3n]);
    assert.equal(object.memory('orders'), words.buffer, 'asking again gives the same buffer');
    words.fill(0n);
  });

  test('only memory-mappable maps are shared', () => {
    assert.throws(() => object.memory('numbers'), /share memory of map 'numbers': EINVAL: it is not BPF_F_MMAPABLE/);
  });

  test('shared memory becomes empty when the object is closed', () => {
    const other = openProbe(target);
    const words = new BigUint64Array(other.memory('orders'));
    other.close();
    assert.equal(words.length, 0);
    words[0] = 1n;
    assert.equal(words[0], undefined);
  });
});
