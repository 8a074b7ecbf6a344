import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContextPlaces } from '../../receiver/kernel/context-places.ts';
import { contextPlace, placeFlag } from '../../receiver/kernel/layout.ts';

function setUp() {
  const map = new Map<number, DataView>();
  const changes = new ArrayBuffer(8);
  const pidOf = (key: Uint8Array): number => new DataView(key.buffer).getUint32(0, true);
  const places = new ContextPlaces(
    {
      update: (key, value) => void map.set(pidOf(key), new DataView(value.buffer)),
      delete: (key) => map.delete(pidOf(key)),
    },
    changes,
  );
  return { map, places, generation: () => new DataView(changes).getBigUint64(0, true) };
}

const instance = { pid: 77, startTime: 2n ** 60n + 1n, execId: 5 };

test('a constant offset is told with exactly the process and program that it is of', () => {
  const { map, places } = setUp();
  places.set(instance, { kind: 'static', offset: -8 });
  const value = map.get(77);
  assert.equal(value?.byteLength, contextPlace.sizeOf);
  assert.equal(value.getBigUint64(contextPlace.startTime, true), 2n ** 60n + 1n);
  assert.equal(value.getUint32(contextPlace.execId, true), 5);
  assert.equal(value.getBigInt64(contextPlace.offset, true), -8n);
  assert.equal(value.getUint32(contextPlace.module, true), 0);
  assert.equal(value.getUint32(contextPlace.flags, true), placeFlag.resolved);
});

test('the description of a way is told as such', () => {
  const { map, places } = setUp();
  places.set(instance, { kind: 'static', form: 'nodejs', offset: -8 });
  assert.equal(map.get(77)?.getUint32(contextPlace.flags, true), placeFlag.resolved | placeFlag.nodejs);
});

test('of goroutines the offsets in them are told', () => {
  const { map, places } = setUp();
  places.set(instance, { kind: 'goroutine', current: 184, labels: 352 });
  const value = map.get(77);
  assert.equal(value?.getUint32(contextPlace.flags, true), placeFlag.resolved | placeFlag.go);
  assert.deepEqual([value.getInt32(contextPlace.dtvOffset, true), value.getInt32(contextPlace.countOffset, true)], [184, 352]);
});

test('a place in a module is told with all that finding it takes', () => {
  const { map, places } = setUp();
  const place = {
    kind: 'module',
    offset: 32,
    moduleId: 3,
    generation: 4,
    dtvOffset: -8,
    countOffset: -16,
    entrySize: 16,
  } as const;
  places.set(instance, place);
  const value = map.get(77);
  assert.ok(value);
  assert.equal(value.getBigInt64(contextPlace.offset, true), 32n);
  assert.equal(value.getUint32(contextPlace.module, true), 3);
  assert.equal(value.getBigUint64(contextPlace.generation, true), 4n);
  assert.equal(value.getInt32(contextPlace.dtvOffset, true), -8);
  assert.equal(value.getInt32(contextPlace.countOffset, true), -16);
  assert.equal(value.getUint32(contextPlace.entrySize, true), 16);
});

test('each change gives another generation, and what changes nothing does not', () => {
  const { map, places, generation } = setUp();
  assert.equal(generation(), 0n);
  places.set(instance, { kind: 'static', offset: -8 });
  assert.equal(generation(), 1n);
  places.delete(78);
  assert.equal(generation(), 1n);
  places.delete(77);
  assert.deepEqual([generation(), map.size], [2n, 0]);
});
