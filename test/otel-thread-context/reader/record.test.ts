// What OTEP 4947 demands of a reader of records, rule by rule.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeRecord,
  type DecodedRecord,
  readThreadContext,
  type ThreadContext,
} from '../../../otel-thread-context/reader/index.ts';
import { memoryOf, recordBytes, seededRandom, SPAN_ID, TRACE_ID, words } from './bytes-of.ts';

const keyMap = ['http_route', 'http_method', 'user_id'];
const none = (reason: string) => ({ kind: 'none', reason });
const refused = (reason: string) => ({ kind: 'refused', reason });

function contextOf(bytes: Uint8Array, keys: readonly string[] = keyMap): ThreadContext {
  const decoded = decodeRecord(bytes, keys);
  assert.equal(decoded.kind, 'context');
  return decoded;
}

test('a record is a trace id, a span id, flags, and attributes by the key map', () => {
  const bytes = recordBytes({
    flags: 3,
    attributes: [
      [0, '/cart/{id}'],
      [2, 'bärbel'],
    ],
  });
  assert.deepEqual(contextOf(bytes), {
    kind: 'context',
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    flags: 3,
    attributes: new Map([
      ['http_route', '/cart/{id}'],
      ['user_id', 'bärbel'],
    ]),
    unknownKeys: [],
    isTruncated: false,
  });
});

test('only the value 1 is valid', () => {
  for (let valid = 0; valid < 256; valid++) {
    const decoded = decodeRecord(recordBytes({ valid }), keyMap);
    if (valid === 1) assert.equal(decoded.kind, 'context');
    else assert.deepEqual(decoded, none('not_valid'), `valid = ${valid}`);
  }
});

test('both ids zero is no context; one of them is a fault of the writer', () => {
  const noTrace = '0'.repeat(32);
  const noSpan = '0'.repeat(16);
  assert.deepEqual(decodeRecord(recordBytes({ traceId: noTrace, spanId: noSpan }), keyMap), none('zero_ids'));
  assert.deepEqual(decodeRecord(recordBytes({ traceId: noTrace }), keyMap), refused('half_set'));
  assert.deepEqual(decodeRecord(recordBytes({ spanId: noSpan }), keyMap), refused('half_set'));
});

test('an id of which a single bit is set is an id', () => {
  for (let i = 0; i < 16; i++) {
    const traceId = Buffer.alloc(16);
    traceId[i] = 1;
    assert.equal(contextOf(recordBytes({ traceId: traceId.toString('hex') })).traceId, traceId.toString('hex'));
  }
});

test('trace flags come as they are, bits without a meaning included', () => {
  for (const flags of [0, 1, 2, 0x80, 0xff]) assert.equal(contextOf(recordBytes({ flags })).flags, flags);
});

test('an entry that is cut off ends the attributes and keeps those before it', () => {
  const whole = recordBytes({
    attributes: [
      [0, '/a'],
      [1, 'GET'],
    ],
  });
  const entryEnd = 28 + 4;
  for (let size = 0; size <= whole.length - 28; size++) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt16LE(size, 26);
    const { attributes, isTruncated } = contextOf(bytes);
    assert.equal(attributes.has('http_route'), 28 + size >= entryEnd, `size ${size}`);
    assert.equal(attributes.has('http_method'), 28 + size === whole.length, `size ${size}`);
    assert.equal(isTruncated, ![0, 4, 9].includes(size), `size ${size}`);
  }
});

test('the last of entries with one key counts', () => {
  const attributes: [number, string][] = [
    [0, 'first'],
    [1, 'GET'],
    [0, 'last'],
  ];
  assert.deepEqual(
    contextOf(recordBytes({ attributes })).attributes,
    new Map([
      ['http_route', 'last'],
      ['http_method', 'GET'],
    ]),
  );
});

test('an empty value is a value', () => {
  assert.deepEqual(contextOf(recordBytes({ attributes: [[1, '']] })).attributes, new Map([['http_method', '']]));
});

test('a key that the map does not have is reported and left out', () => {
  const attributes: [number, string][] = [
    [3, 'unknown'],
    [0, '/a'],
    [255, 'unknown'],
  ];
  const context = contextOf(recordBytes({ attributes }));
  assert.deepEqual(context.attributes, new Map([['http_route', '/a']]));
  assert.deepEqual(context.unknownKeys, [3, 255]);
});

test('entries of a key without a name are left out', () => {
  const context = contextOf(recordBytes({ attributes: [[0, 'x']] }), ['']);
  assert.equal(context.attributes.size, 0);
  assert.deepEqual(context.unknownKeys, []);
});

test('all 256 keys can be used', () => {
  const keys = Array.from({ length: 256 }, (_, i) => `key.${i}`);
  const attributes = Array.from({ length: 200 }, (_, i) => [255 - i, 'x'] as const);
  const { attributes: found } = contextOf(recordBytes({ attributes }), keys);
  assert.equal(found.size, 200);
  assert.equal(found.get('key.255'), 'x');
});

test('a value that is cut inside a character keeps what is whole', () => {
  const value = Buffer.from('grün€');
  const expected = ['', 'g', 'gr', 'gr', 'grü', 'grün', 'grün', 'grün', 'grün€'];
  for (let size = 0; size <= value.length; size++) {
    const { attributes } = contextOf(recordBytes({ attributes: [[0, value.subarray(0, size)]] }));
    assert.equal(attributes.get('http_route'), expected[size]);
  }
  const { attributes } = contextOf(recordBytes({ attributes: [[0, Buffer.from([0x61, 0xff, 0x62])]] }));
  assert.equal(attributes.get('http_route'), 'a');
});

test('attributes above the limit are refused, not cut; the limit can be told', () => {
  const attributes = Array.from({ length: 3 }, () => [0, 'x'.repeat(202)] as const);
  const record = recordBytes({ attributes });
  assert.equal(record.length, 640);
  assert.equal(decodeRecord(record, keyMap).kind, 'context');
  const larger = recordBytes({ attributes: [...attributes, [1, '']] });
  assert.deepEqual(decodeRecord(larger, keyMap), refused('oversize'));
  assert.equal(decodeRecord(larger, keyMap, 65_535).kind, 'context');
});

test('bytes that end before the record does are refused', () => {
  const record = recordBytes({ attributes: [[0, 'value']] });
  for (let size = 0; size < record.length; size++) {
    assert.deepEqual(decodeRecord(record.subarray(0, size), keyMap), refused('short'), `${size} bytes`);
  }
});

test('a million random records are decoded or refused, and never more than they hold comes out', () => {
  const random = seededRandom(4947);
  const bytes = new Uint8Array(96);
  const seen = new Map<string, number>();
  for (let i = 0; i < 1_000_000; i++) {
    for (let at = 0; at < bytes.length; at += 4) {
      const word = random(2 ** 32) >>> 0;
      bytes[at] = word;
      bytes[at + 1] = word >>> 8;
      bytes[at + 2] = word >>> 16;
      bytes[at + 3] = word >>> 24;
    }
    if (random(4) > 1) bytes[24] = 1;
    if (random(4) > 1) bytes[27] = 0;
    if (random(4) > 3) bytes.fill(0, 0, 16);
    const decoded = decodeRecord(bytes, keyMap);
    seen.set(decoded.kind, (seen.get(decoded.kind) ?? 0) + 1);
    if (decoded.kind === 'context') assert.ok(decoded.attributes.size <= 3 && decoded.unknownKeys.length <= 34);
  }
  assert.deepEqual([...seen.keys()].sort(), ['context', 'none', 'refused']);
  for (const count of seen.values()) assert.ok(count > 50_000);
});

const THREAD = 0x7000_0000;
const RECORD = 0x5000_0000;
const location = { model: 'static', offset: -8 } as const;

function read(pointer: number, record: Uint8Array, at = RECORD): DecodedRecord {
  return readThreadContext(memoryOf({ [THREAD - 8]: words(pointer), [at]: record }), location, THREAD, keyMap);
}

test('in a thread, a null pointer is no context', () => {
  assert.deepEqual(read(0, recordBytes()), none('no_record'));
});

test('in a thread, a record at an odd address is refused', () => {
  assert.equal(read(RECORD + 2, recordBytes(), RECORD + 2).kind, 'context');
  assert.deepEqual(read(RECORD + 1, recordBytes(), RECORD + 1), refused('misaligned'));
});

test('in a thread, a pointer to nowhere is refused', () => {
  for (const pointer of [8, RECORD + 0x1000, 2 ** 47, 2 ** 53 - 2, -2]) {
    assert.deepEqual(read(pointer, recordBytes()), refused('unreadable'), `${pointer}`);
  }
});

test('in a thread, attributes beyond the end of memory are refused, and those of an invalid record not even read', () => {
  const record = recordBytes({ attributes: [[0, 'value']], size: 400 });
  assert.deepEqual(read(RECORD, record), refused('unreadable'));
  assert.deepEqual(read(RECORD, recordBytes({ valid: 0, size: 400 })), none('not_valid'));
  assert.deepEqual(read(RECORD, recordBytes({ size: 613 })), refused('oversize'));
});

test('in a thread, a record that changes while it is read is torn', () => {
  const changes: readonly ((record: Buffer) => void)[] = [
    (record) => (record[24] = 0),
    (record) => (record[3] = 0x55),
    (record) => (record[20] = 0x55),
    (record) => record.writeUInt16LE(3, 26),
  ];
  for (const change of changes) {
    for (let after = 2; after <= 3; after++) {
      const record = recordBytes({ attributes: [[0, 'value']] });
      const memory: Record<number, Uint8Array> = { [THREAD - 8]: words(RECORD), [RECORD]: record };
      let reads = 0;
      const whileChanging = (address: number, size: number): Uint8Array | undefined => {
        const bytes = memoryOf(memory)(address, size);
        // The pointer is read, then the header, then all of it.
        if (++reads === after) change(record);
        return bytes;
      };
      assert.deepEqual(readThreadContext(whileChanging, location, THREAD, keyMap), refused('torn'), `after ${after} reads`);
    }
  }
});

test('in a thread, a pointer that changes while its record is read is torn', () => {
  const variable = words(RECORD);
  const memory = memoryOf({ [THREAD - 8]: variable, [RECORD]: recordBytes() });
  let reads = 0;
  const whileChanging = (address: number, size: number): Uint8Array | undefined => {
    if (++reads === 3) variable.writeBigUInt64LE(BigInt(RECORD + 64));
    return memory(address, size);
  };
  assert.deepEqual(readThreadContext(whileChanging, location, THREAD, keyMap), refused('torn'));
});
