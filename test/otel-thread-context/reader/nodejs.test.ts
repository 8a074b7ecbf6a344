// The way through V8's heap, on heaps made by hand: where it leads, and that nothing a process may hold there leads it astray or keeps it busy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodejsRecord, type NodejsRecord } from '../../../otel-thread-context/reader/nodejs.ts';
import { seededRandom } from './bytes-of.ts';

/** Sparse memory of 64-bit words; what was never written cannot be read. */
class Heap {
  readonly words = new Map<number, bigint>();
  reads = 0;

  write(address: number, ...words: readonly (number | bigint)[]): void {
    for (const [index, word] of words.entries()) this.words.set(address + index * 8, BigInt.asUintN(64, BigInt(word)));
  }

  readonly read = (address: number, size: number): Uint8Array | undefined => {
    this.reads++;
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < size; at += 8) {
      const word = this.words.get(address + at);
      if (word === undefined) return undefined;
      view.setBigUint64(at, word, true);
    }
    return bytes;
  };

  record(): NodejsRecord {
    return nodejsRecord(this.read, DESCRIPTION);
  }
}

const DESCRIPTION = 0x1000;
const FRAME_SLOT = 0x2000;
const STORAGE_HANDLE = 0x3000;
const MAP = 0x4000;
const TABLE = 0x5000;
const WRAPPER = 0x9000;
const RECORD = 0xa000;
const STORAGE = 0xb001;
const UNDEFINED = 0xc001;
const HASH = 0x2_0006;
const BUCKETS = 4;
const ENTRIES = TABLE + 16 + 24 + BUCKETS * 8;

const smi = (value: number): bigint => BigInt(value) << 32n;

/** A frame with three entries in the bucket of the storage, of which its own is the last; the record is in the second slot, as in Node.js 24. */
function heap(): Heap {
  const made = new Heap();
  made.write(DESCRIPTION, FRAME_SLOT, STORAGE_HANDLE, HASH, UNDEFINED);
  made.write(FRAME_SLOT, MAP + 1);
  made.write(STORAGE_HANDLE, STORAGE);
  made.write(MAP, 0, 0, 0, TABLE + 1);
  made.write(TABLE, 0, 0, smi(3), smi(0), smi(BUCKETS), smi(-1), smi(-1), smi(2), smi(-1));
  made.write(ENTRIES, STORAGE, WRAPPER + 1, smi(-1), 0xd001, 0xd101, smi(0), 0xe001, 0xe101, smi(1));
  made.write(WRAPPER, 0, 0, 0, 0, RECORD);
  return made;
}

const none: NodejsRecord = { kind: 'none' };

test('the record is found behind the entry of its own storage, in either slot of the wrapper', () => {
  const made = heap();
  assert.deepEqual(made.record(), { kind: 'record', address: RECORD });
  made.write(WRAPPER + 24, 0xa100);
  assert.deepEqual(made.record(), { kind: 'record', address: 0xa100 });
});

test('no JavaScript, no frame, no entry, a context that was left and a wrapper without a record are none', () => {
  const changes: readonly (readonly [number, number | bigint])[] = [
    [DESCRIPTION, 0],
    [FRAME_SLOT, UNDEFINED],
    [STORAGE_HANDLE, 0xb101],
    [TABLE + 40 + 16, smi(-1)],
    [ENTRIES + 8, UNDEFINED],
    [WRAPPER + 32, 0],
  ];
  for (const [address, word] of changes) {
    const made = heap();
    made.write(address, word);
    assert.deepEqual(made.record(), none, address.toString(16));
  }
});

test('what is no heap of V8 is not readable', () => {
  const changes: readonly (readonly [number, number | bigint, string])[] = [
    [DESCRIPTION, 0x7000, 'the current frame'],
    [DESCRIPTION + 8, 0x7000, 'the current frame'],
    [FRAME_SLOT, MAP, 'the map of the frame'],
    [FRAME_SLOT, smi(5), 'the map of the frame'],
    [MAP + 24, 0x7001, 'the map of the frame'],
    [MAP + 24, TABLE, 'the map of the frame'],
    [TABLE + 32, smi(3), 'the size of the map'],
    [TABLE + 32, smi(0), 'the size of the map'],
    [TABLE + 32, smi(-4), 'the size of the map'],
    [TABLE + 32, smi(2048), 'the size of the map'],
    [ENTRIES + 8, WRAPPER, 'the wrapper'],
    [ENTRIES + 8, 0x7001, 'the wrapper'],
  ];
  for (const [address, word, what] of changes) {
    const made = heap();
    made.write(address, word);
    assert.deepEqual(made.record(), { kind: 'unreadable', what }, `${address.toString(16)} ${String(word)}`);
  }
  assert.deepEqual(new Heap().record(), { kind: 'unreadable', what: 'the description' });
});

test('a chain that bites its tail ends, and an entry beyond the table is none', () => {
  const made = heap();
  made.write(STORAGE_HANDLE, 0xb101);
  made.write(ENTRIES + 16, smi(2));
  assert.deepEqual(made.record(), none);
  assert.ok(made.reads < 20);
  const beyond = heap();
  beyond.write(TABLE + 40 + 16, smi(2 * BUCKETS));
  assert.deepEqual(beyond.record(), none);
});

test('whatever is in memory, it ends after few reads and throws nothing', () => {
  const random = seededRandom(7);
  const places = [DESCRIPTION, FRAME_SLOT, STORAGE_HANDLE, MAP, TABLE, ENTRIES, WRAPPER];
  for (let round = 0; round < 20_000; round++) {
    const made = heap();
    const changes = 1 + Math.floor(random(4));
    for (let i = 0; i < changes; i++) {
      const place = places[Math.floor(random(places.length))] ?? DESCRIPTION;
      const at = place + 8 * Math.floor(random(9));
      const target = (places[Math.floor(random(places.length))] ?? 0) + Math.floor(random(3));
      made.write(at, random(2) < 1 ? target : smi(Math.floor(random(64)) - 8));
    }
    assert.ok(['record', 'none', 'unreadable'].includes(made.record().kind));
    assert.ok(made.reads < 20);
  }
});
