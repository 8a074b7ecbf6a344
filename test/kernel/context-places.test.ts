import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContextPlaces } from '../../receiver/kernel/context-places.ts';
import { bound, contextPlace, placeFlag, placeSlot } from '../../receiver/kernel/layout.ts';

const SLOTS = 64;

function setUp() {
  const slots = new DataView(new ArrayBuffer(SLOTS * placeSlot.sizeOf));
  const changes = new ArrayBuffer(8);
  const versionOf = (slot: number): bigint => slots.getBigUint64(slot * placeSlot.sizeOf + placeSlot.version, true);
  const tgidOf = (slot: number): number => slots.getUint32(slot * placeSlot.sizeOf + placeSlot.tgid, true);
  /** As the kernel side looks it up. */
  const placeOf = (pid: number): DataView | undefined => {
    for (let way = 0; way < bound.placeWays; way++) {
      const slot = (pid + way) % SLOTS;
      if (tgidOf(slot) === 0) return undefined;
      if (versionOf(slot) !== 0n && tgidOf(slot) === pid)
        return new DataView(slots.buffer, slot * placeSlot.sizeOf + placeSlot.place, contextPlace.sizeOf);
    }
    return undefined;
  };
  const places = new ContextPlaces(slots.buffer, changes);
  return { placeOf, versionOf, places, generation: () => new DataView(changes).getBigUint64(0, true) };
}

const instance = { pid: 77, startTime: 2n ** 60n + 1n, execId: 5 };
const place = { kind: 'static', offset: -8 } as const;

test('a constant offset is told with exactly the process and program that it is of', () => {
  const { placeOf, places } = setUp();
  places.set(instance, place);
  const value = placeOf(77);
  assert.equal(value?.getBigUint64(contextPlace.startTime, true), 2n ** 60n + 1n);
  assert.equal(value.getUint32(contextPlace.execId, true), 5);
  assert.equal(value.getBigInt64(contextPlace.offset, true), -8n);
  assert.equal(value.getUint32(contextPlace.module, true), 0);
  assert.equal(value.getUint32(contextPlace.flags, true), placeFlag.resolved);
});

test('the description of a way is told as such', () => {
  const { placeOf, places } = setUp();
  places.set(instance, { kind: 'static', form: 'nodejs', offset: -8 });
  assert.equal(placeOf(77)?.getUint32(contextPlace.flags, true), placeFlag.resolved | placeFlag.nodejs);
});

test('of goroutines the offsets in them are told', () => {
  const { placeOf, places } = setUp();
  places.set(instance, { kind: 'goroutine', current: 184, labels: 352 });
  const value = placeOf(77);
  assert.equal(value?.getUint32(contextPlace.flags, true), placeFlag.resolved | placeFlag.go);
  assert.deepEqual([value.getInt32(contextPlace.dtvOffset, true), value.getInt32(contextPlace.countOffset, true)], [184, 352]);
});

test('a place in a module is told with all that finding it takes', () => {
  const { placeOf, places } = setUp();
  places.set(instance, {
    kind: 'module',
    offset: 32,
    moduleId: 3,
    generation: 4,
    dtvOffset: -8,
    countOffset: -16,
    entrySize: 16,
  });
  const value = placeOf(77);
  assert.ok(value);
  assert.equal(value.getBigInt64(contextPlace.offset, true), 32n);
  assert.equal(value.getUint32(contextPlace.module, true), 3);
  assert.equal(value.getBigUint64(contextPlace.generation, true), 4n);
  assert.equal(value.getInt32(contextPlace.dtvOffset, true), -8);
  assert.equal(value.getInt32(contextPlace.countOffset, true), -16);
  assert.equal(value.getUint32(contextPlace.entrySize, true), 16);
});

test('each change gives another generation, and what changes nothing does not', () => {
  const { placeOf, places, generation } = setUp();
  assert.equal(generation(), 0n);
  places.set(instance, place);
  assert.equal(generation(), 1n);
  places.delete(78);
  assert.equal(generation(), 1n);
  places.delete(77);
  assert.deepEqual([generation(), placeOf(77)], [2n, undefined]);
});

test('no version of a slot comes back', () => {
  const { versionOf, places } = setUp();
  const slot = 77 % SLOTS;
  const versions = new Set<bigint>();
  for (let i = 0; i < 3; i++) {
    places.set(instance, place);
    versions.add(versionOf(slot));
    places.set(instance, { ...place, offset: -16 });
    versions.add(versionOf(slot));
    places.delete(77);
    assert.equal(versionOf(slot), 0n);
  }
  assert.equal(versions.size, 6);
});

test('processes whose ids share a slot have the next ones, and are found behind one that is gone', () => {
  const { placeOf, places } = setUp();
  const pids = Array.from({ length: bound.placeWays }, (_, index) => 77 + index * SLOTS);
  const offsets = (): (bigint | undefined)[] => pids.map((pid) => placeOf(pid)?.getBigInt64(contextPlace.offset, true));
  for (const pid of pids) places.set({ ...instance, pid }, { ...place, offset: -pid });
  assert.deepEqual(
    offsets(),
    pids.map((pid) => BigInt(-pid)),
  );
  const more = { ...instance, pid: 77 + pids.length * SLOTS };
  assert.throws(() => {
    places.set(more, place);
  }, /no slot is free for the place of process 333/);
  places.delete(77);
  assert.deepEqual(
    offsets(),
    pids.map((pid) => (pid === 77 ? undefined : BigInt(-pid))),
  );
  places.set(more, place);
  assert.equal(placeOf(more.pid)?.getBigInt64(contextPlace.offset, true), -8n);
});
