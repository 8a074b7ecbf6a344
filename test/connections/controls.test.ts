import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Controls } from '../../receiver/connections/controls.ts';
import { controlLayout as layout } from '../../receiver/kernel/session.ts';
import { Random } from '../support/random.ts';

const SLOTS = 4;

interface Slot {
  readonly cookie: bigint;
  readonly ignore: bigint;
  readonly until: readonly bigint[];
  readonly parsed: readonly bigint[];
  readonly walk: readonly bigint[];
}

function setUp(): { readonly controls: Controls; readonly memory: ArrayBuffer; readonly slot: (index: number) => Slot } {
  const memory = new ArrayBuffer(SLOTS * layout.words * 8);
  const words = new BigUint64Array(memory);
  const word = (index: number, offset: number): bigint => words[index * layout.words + offset] as bigint;
  const pair = (index: number, offset: number): readonly bigint[] => [word(index, offset), word(index, offset + 1)];
  return {
    controls: new Controls(memory, layout),
    memory,
    slot: (index) => ({
      cookie: word(index, layout.cookie),
      ignore: word(index, layout.ignore),
      until: pair(index, layout.until),
      parsed: pair(index, layout.parsed),
      walk: pair(index, layout.walk),
    }),
  };
}

const nothing = { ignore: 0n, until: [0n, 0n], parsed: [0n, 0n], walk: [0n, 0n] };

describe('a wish', () => {
  test('stands in the slot of its cookie, by direction', () => {
    const { controls, slot } = setUp();
    controls.stepOver(6, false, 100);
    controls.stepOver(6, true, 2 ** 40);
    controls.parsed(6, true, 7);
    assert.deepEqual(slot(2), { ...nothing, cookie: 6n, until: [100n, 2n ** 40n], parsed: [0n, 7n] });
  });

  test('for chunks also spares what is before them', () => {
    const { controls, slot } = setUp();
    controls.stepOverChunks(1, true, 500);
    assert.deepEqual(slot(1), { ...nothing, cookie: 1n, until: [0n, 500n], walk: [0n, 500n] });
  });

  test('for frames is told from one for chunks, and takes its place', () => {
    const { controls, slot } = setUp();
    controls.stepOverChunks(1, true, 500);
    controls.followFrames(1, true, 2 ** 52 + 1);
    const bit = 1n << BigInt(layout.knownFrameBit);
    assert.deepEqual(slot(1), { ...nothing, cookie: 1n, until: [0n, 500n], walk: [0n, bit + 2n ** 52n + 1n] });
  });

  test('of a connection whose slot another one holds is not written, and ignore says so', () => {
    const { controls, slot } = setUp();
    controls.parsed(1, false, 10);
    controls.stepOver(5, false, 99);
    assert.equal(controls.ignore(5), false);
    assert.deepEqual(slot(1), { ...nothing, cookie: 1n, parsed: [10n, 0n] });
  });
});

describe('a slot', () => {
  test('is free again when its connection is gone, and the next one finds nothing in it', () => {
    const { controls, slot } = setUp();
    controls.stepOverChunks(1, true, 500);
    controls.parsed(1, false, 10);
    controls.release(1);
    assert.equal(slot(1).cookie, 0n);
    assert.equal(controls.ignore(5), true);
    assert.deepEqual(slot(1), { ...nothing, cookie: 5n, ignore: 1n });
  });

  test('is not released by another connection', () => {
    const { controls, slot } = setUp();
    controls.parsed(1, false, 10);
    controls.release(5);
    assert.equal(slot(1).cookie, 1n);
  });

  test("whose connection is ignored may be taken over, and is then the newcomer's alone", () => {
    const { controls, slot } = setUp();
    controls.ignore(1);
    controls.parsed(5, true, 3);
    assert.deepEqual(slot(1), { ...nothing, cookie: 5n, parsed: [0n, 3n] });
    assert.equal(controls.ignore(9), false, 'the newcomer is not parting');
  });

  test('released after it was taken over stays with the newcomer', () => {
    const { controls, slot } = setUp();
    controls.ignore(1);
    controls.parsed(5, true, 3);
    controls.release(1);
    assert.equal(slot(1).cookie, 5n);
  });
});

test('memory that is no whole number of slots is not written behind the last', () => {
  const memory = new ArrayBuffer(layout.words * 8 * 2 + 8);
  const controls = new Controls(memory, layout);
  for (let cookie = 1; cookie < 20; cookie++) controls.ignore(cookie);
  assert.equal(new BigUint64Array(memory).at(-1), 0n);
});

/** Stores as the kernel could see them: between any two of them it may read. */
function storesOf(action: () => void): readonly { readonly index: number; readonly value: bigint }[] {
  const stores: { index: number; value: bigint }[] = [];
  const { store } = Atomics;
  const recording = (array: BigUint64Array<ArrayBuffer>, index: number, value: bigint): bigint => {
    stores.push({ index, value });
    return store(array, index, value);
  };
  Object.assign(Atomics, { store: recording });
  try {
    action();
  } finally {
    Object.assign(Atomics, { store });
  }
  return stores;
}

test('between any two stores of a change of hands no cookie stands over wishes that are not its own', () => {
  const random = new Random(5);
  const { controls } = setUp();
  const words = new BigUint64Array(SLOTS * layout.words);
  const owners = new BigUint64Array(SLOTS * layout.words);
  for (let round = 0; round < 5000; round++) {
    const cookie = random.below(16) + 1;
    const isSent = random.below(2) === 0;
    const stores = storesOf(() => {
      const kind = random.below(6);
      // Each wish carries its connection's cookie, so that the reader knows whose it is.
      if (kind === 0) controls.stepOver(cookie, isSent, cookie);
      else if (kind === 1) controls.stepOverChunks(cookie, isSent, cookie);
      else if (kind === 2) controls.parsed(cookie, isSent, cookie);
      else if (kind === 3) controls.ignore(cookie);
      else controls.release(cookie);
    });
    for (const { index, value } of stores) {
      words[index] = value;
      owners[index] = value === 0n ? 0n : BigInt(cookie);
      const base = index - (index % layout.words);
      const standing = words[base + layout.cookie] as bigint;
      if (standing === 0n) continue;
      for (let i = base; i < base + layout.words; i++) {
        if (i !== base + layout.cookie) assert.ok(owners[i] === 0n || owners[i] === standing);
      }
    }
  }
});
