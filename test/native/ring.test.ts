import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type BpfObject, NativeError, RECORD_HEADER_SIZE, type Ring } from '../../native/index.ts';
import { kernelTest } from '../support/kernel.ts';
import { openProbe, orderFlags, readRecords, setOrder, trigger, uniqueTarget } from './probe.ts';

const RING_SIZE = 4096;

describe('rings', kernelTest(), () => {
  const target = uniqueTarget();
  const all = new Uint8Array(2 * RING_SIZE);
  let object: BpfObject;
  let ring: Ring;

  function write(size: number, count: number, flags: number = orderFlags.none): void {
    setOrder(object, size, count, flags);
    trigger(target);
  }

  function drainRecords(into = all): { index: number; length: number }[] {
    return readRecords(into, ring.drain(into));
  }

  before(() => {
    object = openProbe(target, RING_SIZE);
    object.attach();
    ring = object.ring('ring');
  });

  beforeEach(() => {
    ring.drain(all);
  });

  after(() => {
    object.close();
  });

  test('an empty ring drains to nothing', () => {
    assert.equal(ring.pending(), 0);
    assert.equal(ring.drain(all), 0);
    assert.equal(ring.drain(new Uint8Array(0)), 0);
  });

  test('records come out whole and in order, behind their lengths and padded to 8 bytes', () => {
    write(13, 3);
    assert.equal(ring.pending(), 3 * 24);
    all.fill(0xff);
    assert.equal(ring.drain(all), 3 * 24);
    const view = new DataView(all.buffer);
    assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true)], [13, 0]);
    assert.deepEqual(
      [...all.subarray(RECORD_HEADER_SIZE, 24)],
      new Array(16).fill(0),
      'the record (index 0, zeros) and its padding',
    );
    assert.deepEqual(readRecords(all, 72), [
      { index: 0, length: 13 },
      { index: 1, length: 13 },
      { index: 2, length: 13 },
    ]);
    assert.equal(ring.pending(), 0);
  });

  test('every record survives the ring wrapping around at every offset', () => {
    for (let size = 4; size <= 600; size += 4) {
      write(size, 5);
      assert.deepEqual(
        drainRecords(),
        [0, 1, 2, 3, 4].map((index) => ({ index, length: size })),
      );
    }
  });

  test('a record that does not fit stays for the next drain', () => {
    write(16, 3);
    const room = new Uint8Array(2 * 24 + 23);
    assert.deepEqual(
      drainRecords(room).map((record) => record.index),
      [0, 1],
    );
    assert.equal(ring.pending(), 24);
    assert.deepEqual(
      drainRecords(room).map((record) => record.index),
      [2],
    );
  });

  test('a target with exactly enough room takes the record', () => {
    write(16, 1);
    assert.equal(ring.drain(new Uint8Array(24)), 24);
  });

  test('a record that exceeds the whole target is an error and stays', () => {
    write(16, 1);
    assert.throws(
      () => ring.drain(new Uint8Array(23)),
      (error) => error instanceof NativeError && error.code === 'EMSGSIZE' && error.operation === "drain ring 'ring'",
    );
    assert.equal(drainRecords().length, 1);
  });

  test('nothing is written beyond the view that was given', () => {
    write(16, 4);
    const surroundings = new Uint8Array(200).fill(0xee);
    assert.equal(ring.drain(surroundings.subarray(50, 50 + 2 * 24)), 2 * 24);
    assert.ok(surroundings.subarray(0, 50).every((byte) => byte === 0xee));
    assert.ok(surroundings.subarray(98).every((byte) => byte === 0xee));
  });

  test('discarded records are passed over', () => {
    write(0, 2, orderFlags.discard);
    write(8, 1);
    write(0, 2, orderFlags.discard);
    assert.deepEqual(drainRecords(), [{ index: 0, length: 8 }]);
    assert.equal(ring.pending(), 0);
  });

  test('a full ring loses what came last', () => {
    write(1000, 10);
    assert.deepEqual(
      drainRecords().map((record) => record.index),
      [0, 1, 2, 3],
    );
    write(1000, 1);
    assert.equal(drainRecords().length, 1);
  });

  test('a wake-up calls back once, and again only for the next one', async () => {
    let calls = 0;
    let signal = Promise.withResolvers<undefined>();
    ring.onReadable(() => {
      calls++;
      signal.resolve(undefined);
    });
    const keepAlive = setTimeout(() => undefined, 10_000);
    write(8, 3, orderFlags.forceWakeup);
    await signal.promise;
    signal = Promise.withResolvers<undefined>();
    await turns(20);
    assert.equal(calls, 1, 'records are still there, but nobody woke us');
    write(8, 1, orderFlags.noWakeup);
    await turns(20);
    assert.equal(calls, 1, 'a record without wake-up is silent');
    write(8, 1, orderFlags.forceWakeup);
    await signal.promise;
    assert.equal(calls, 2);
    assert.equal(drainRecords().length, 5);
    clearTimeout(keepAlive);
  });

  test('records that were there before are announced', async () => {
    write(8, 1, orderFlags.noWakeup);
    const keepAlive = setTimeout(() => undefined, 10_000);
    await new Promise<void>((resolve) => {
      ring.onReadable(resolve);
    });
    clearTimeout(keepAlive);
    assert.equal(drainRecords().length, 1);
  });

  test('a ring may be closed in its own callback, and twice', async () => {
    const other = object.ring('ring');
    const keepAlive = setTimeout(() => undefined, 10_000);
    await new Promise<void>((resolve) => {
      other.onReadable(() => {
        other.close();
        other.close();
        resolve();
      });
      write(8, 1, orderFlags.forceWakeup);
    });
    clearTimeout(keepAlive);
    assert.throws(() => other.drain(all), /use a closed ring 'ring': EBADF/);
    assert.throws(() => {
      other.onReadable(() => undefined);
    }, /use a closed ring 'ring': EBADF/);
  });

  test('only ring buffers are rings', () => {
    assert.throws(() => object.ring('numbers'), /open ring 'numbers': EINVAL: it is not a ring buffer/);
  });
});

/** Lets the event loop go round, polling included. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}
