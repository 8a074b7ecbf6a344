// What OTEP 4719 demands of a reader of process contexts: names, header protocol, hostile payloads; and the schemas of OTEP 4947.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMappings } from '../../../otel-thread-context/reader/mappings.ts';
import {
  decodePayload,
  findProcessContext,
  publishedAt,
  readProcessContext,
  threadSchema,
  type ProcessContextResult,
} from '../../../otel-thread-context/reader/index.ts';
import {
  anyArray,
  anyInteger,
  anyString,
  field,
  headerBytes,
  type HeaderFields,
  keyValue,
  memoryOf,
  payloadBytes,
  seededRandom,
  varint,
} from './bytes-of.ts';

const HEADER = 0x7f00_0000_1000;
const PAYLOAD = 0x5500_0000_0000;

const payload = payloadBytes(
  { 'service.name': anyString('shop'), 'service.instance.id': anyString('i-1') },
  { 'threadlocal.schema_version': anyString('tls_v1'), 'threadlocal.attribute_key_map': anyArray([anyString('http_route')]) },
);

function mapsOf(...lines: readonly string[]) {
  return parseMappings(Buffer.from(lines.map((line) => `${line}\n`).join('')));
}

const line = (name: string, mode = 'rw-p'): string => `7f0000001000-7f0000002000 ${mode} 00000000 00:01 14136    ${name}`;

function readWith(fields: Partial<HeaderFields>, bytes: Uint8Array = payload): ProcessContextResult {
  const header = headerBytes({ payloadSize: bytes.length, payload: PAYLOAD, ...fields });
  return readProcessContext(memoryOf({ [HEADER]: header, [PAYLOAD]: bytes }), HEADER);
}

function reasonOf(result: ProcessContextResult): string {
  return result.kind === 'refused' ? result.reason : result.kind;
}

test('a context is found by each name that the OTEP has for its mapping', () => {
  const memory = memoryOf({ [HEADER]: headerBytes({ payloadSize: payload.length, payload: PAYLOAD }), [PAYLOAD]: payload });
  const names = ['[anon_shmem:OTEL_CTX]', '[anon:OTEL_CTX]', '/memfd:OTEL_CTX', '/memfd:OTEL_CTX (deleted)'];
  for (const name of names) {
    const result = findProcessContext(memory, mapsOf('00400000-00401000 r--p 00000000 fe:00 1 /bin/shop', line(name)));
    assert.ok(result.kind === 'context', name);
    assert.equal(result.address, HEADER);
    assert.equal(result.publishedAt, 7n);
    assert.deepEqual(
      result.resource,
      new Map([
        ['service.name', 'shop'],
        ['service.instance.id', 'i-1'],
      ]),
    );
  }
});

test('other names, and mappings that may be executed, are not looked at', () => {
  const memory = memoryOf({ [HEADER]: headerBytes({ payloadSize: payload.length, payload: PAYLOAD }), [PAYLOAD]: payload });
  for (const name of ['', '[anon:OTEL]', '/tmp/memfd:OTEL_CTX', '[anon:otel_ctx]', ' [heap]']) {
    assert.equal(findProcessContext(memory, mapsOf(line(name))).kind, 'absent', name);
  }
  assert.equal(findProcessContext(memory, mapsOf(line('/memfd:OTEL_CTX (deleted)', 'r-xp'))).kind, 'absent');
});

test('a mapping of that name without a context in it does not hide the next one', () => {
  const memory = memoryOf({ [HEADER]: headerBytes({ payloadSize: payload.length, payload: PAYLOAD }), [PAYLOAD]: payload });
  const decoy = '7e0000001000-7e0000002000 rw-p 00000000 00:01 14135    /memfd:OTEL_CTX (deleted)';
  assert.equal(findProcessContext(memory, mapsOf(decoy, line('/memfd:OTEL_CTX (deleted)'))).kind, 'context');
  assert.equal(reasonOf(findProcessContext(memory, mapsOf(decoy))), 'unreadable');
});

test('signature, version and time of publication are held to the OTEP', () => {
  assert.equal(reasonOf(readWith({})), 'context');
  assert.equal(reasonOf(readWith({ signature: 'OTEL_CTY' })), 'no_signature');
  assert.equal(reasonOf(readWith({ signature: 'OTEL_CT\0' })), 'no_signature');
  for (const version of [0, 1, 3, 2 ** 31]) assert.equal(reasonOf(readWith({ version })), 'unsupported_version');
  assert.equal(reasonOf(readWith({ publishedAt: 0n })), 'updating');
  assert.equal(reasonOf(readWith({ publishedAt: 2n ** 64n - 1n })), 'context');
});

test('sizes and pointers that lie are refused', () => {
  assert.equal(reasonOf(readWith({ payloadSize: payload.length + 1 })), 'unreadable');
  assert.equal(reasonOf(readWith({ payloadSize: 2 ** 18 + 1 })), 'oversize');
  assert.equal(reasonOf(readWith({ payloadSize: 2 ** 32 - 1 })), 'oversize');
  assert.equal(reasonOf(readWith({ payload: 0 })), 'unreadable');
  assert.equal(reasonOf(readWith({ payload: 2n ** 64n - 1n })), 'unreadable');
  assert.equal(reasonOf(readWith({ payload: 2n ** 53n })), 'unreadable');
  assert.equal(reasonOf(readProcessContext(memoryOf({}), HEADER)), 'unreadable');
  for (const address of [0, -8, NaN, Infinity]) assert.equal(reasonOf(readProcessContext(memoryOf({}), address)), 'unreadable');
});

test('an empty payload is a context that says nothing', () => {
  const result = readWith({ payloadSize: 0, payload: 0 });
  assert.ok(result.kind === 'context');
  assert.equal(result.resource.size + result.attributes.size, 0);
});

/** Memory in which an update goes on: `step` is called before each read. */
function whileUpdating(header: Buffer, step: (read: number) => void) {
  let reads = 0;
  const memory = memoryOf({ [HEADER]: header, [PAYLOAD]: payload });
  return (address: number, size: number) => {
    step(++reads);
    return memory(address, size);
  };
}

test('an update between two looks at the time is noticed, and the new context is read', () => {
  const header = headerBytes({ payloadSize: payload.length, payload: PAYLOAD });
  const memory = whileUpdating(header, (read) => {
    if (read === 2) header.writeBigUInt64LE(0n, 16);
    if (read === 4) header.writeBigUInt64LE(8n, 16);
  });
  const result = readProcessContext(memory, HEADER);
  assert.ok(result.kind === 'context');
  assert.equal(result.publishedAt, 8n);
});

test('a payload that an update has freed is an update, not a fault', () => {
  const header = headerBytes({ payloadSize: payload.length, payload: 0x1234_5678 });
  const memory = whileUpdating(header, (read) => {
    if (read !== 3) return;
    header.writeBigUInt64LE(BigInt(PAYLOAD), 24);
    header.writeBigUInt64LE(9n, 16);
  });
  const result = readProcessContext(memory, HEADER);
  assert.ok(result.kind === 'context');
  assert.equal(result.publishedAt, 9n);
});

test('a context that changes with every look is given up after three', () => {
  const header = headerBytes({ payloadSize: payload.length, payload: PAYLOAD });
  let reads = 0;
  const memory = whileUpdating(header, (read) => {
    reads = read;
    header.writeBigUInt64LE(BigInt(read), 16);
  });
  assert.equal(reasonOf(readProcessContext(memory, HEADER)), 'updating');
  assert.equal(reads, 9);
});

test('the time of publication alone tells whether to look again', () => {
  const header = headerBytes({ payloadSize: 0, payload: 0, publishedAt: 11n });
  assert.equal(publishedAt(memoryOf({ [HEADER]: header }), HEADER), 11n);
  header.writeBigUInt64LE(0n, 16);
  assert.equal(publishedAt(memoryOf({ [HEADER]: header }), HEADER), undefined);
  assert.equal(publishedAt(memoryOf({}), HEADER), undefined);
});

test('values of every type are decoded, and fields of later versions skipped', () => {
  const double = Buffer.concat([varint(4 * 8 + 1), Buffer.from(new Float64Array([0.5]).buffer)]);
  const bool = Buffer.concat([varint(2 * 8), varint(1)]);
  const map = field(6, field(1, keyValue('inner', anyString('x'))));
  const later = Buffer.concat([field(99, 'later'), varint(98 * 8 + 5), Buffer.alloc(4), varint(97 * 8 + 1), Buffer.alloc(8)]);
  const bytes = Buffer.concat([
    payloadBytes(
      {},
      {
        bool,
        double,
        map,
        text: anyString('é'),
        integer: anyInteger(-3n),
        bytes: field(7, Uint8Array.of(1, 2)),
        none: Buffer.alloc(0),
      },
    ),
    later,
  ]);
  assert.deepEqual(
    decodePayload(bytes)?.attributes,
    new Map<string, unknown>([
      ['bool', true],
      ['double', 0.5],
      ['map', new Map([['inner', 'x']])],
      ['text', 'é'],
      ['integer', -3n],
      ['bytes', Uint8Array.of(1, 2)],
      ['none', undefined],
    ]),
  );
});

test('a payload that is cut anywhere is decoded only where a field ends', () => {
  const ends = new Set<number>([0]);
  for (let at = 0; at < payload.length;) {
    at += 2 + (payload[at + 1] ?? 0);
    ends.add(at);
  }
  assert.equal(ends.size, 4);
  for (let size = 0; size <= payload.length; size++) {
    assert.equal(decodePayload(payload.subarray(0, size)) !== undefined, ends.has(size), `${size} bytes`);
  }
});

test('lying lengths, endless varints and groups end the message', () => {
  const lies = [
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.concat([Uint8Array.of(0x0a), Buffer.alloc(9, 0xff), Uint8Array.of(1)]),
    Buffer.alloc(64, 0xff),
    Buffer.alloc(64, 0x80),
    Buffer.concat([Uint8Array.of(0x10), Buffer.alloc(11, 0x80)]),
    Buffer.from([0x0b, 0x0c]),
    Buffer.from([0x02, 0x00]),
    Buffer.from([0x09, 1, 2, 3]),
    Buffer.from([0x0d, 1, 2, 3]),
  ];
  for (const bytes of lies) assert.equal(decodePayload(bytes), undefined, bytes.toString('hex'));
});

test('values nested without end, or too many of them, end the message', () => {
  let value: Buffer = anyString('deep');
  const nested: Buffer[] = [];
  for (let depth = 0; depth < 12; depth++) {
    nested.push(payloadBytes({}, { key: value }));
    value = anyArray([value]);
  }
  assert.deepEqual(
    nested.map((bytes) => decodePayload(bytes) !== undefined),
    nested.map((_, depth) => depth < 8),
  );
  const many = (count: number): Buffer =>
    payloadBytes({}, { key: anyArray(Array.from({ length: count }, () => Buffer.alloc(0))) });
  assert.notEqual(decodePayload(many(32_000)), undefined);
  assert.equal(decodePayload(many(33_000)), undefined);
});

test('a million mutated payloads are decoded or refused', () => {
  const random = seededRandom(4719);
  const bytes = Uint8Array.from(payload);
  const counts = { decoded: 0, refused: 0 };
  for (let i = 0; i < 1_000_000; i++) {
    const at = Math.floor(random(bytes.length));
    const other = Math.floor(random(bytes.length));
    bytes[at] = random(256);
    bytes[other] = random(256);
    if (decodePayload(bytes)) counts.decoded++;
    else counts.refused++;
    bytes[at] = payload[at] ?? 0;
    bytes[other] = payload[other] ?? 0;
  }
  assert.ok(counts.decoded > 100_000 && counts.refused > 100_000, JSON.stringify(counts));
});

function schemaOf(attributes: Readonly<Record<string, Uint8Array>>, resource: Readonly<Record<string, Uint8Array>> = {}) {
  const decoded = decodePayload(payloadBytes(resource, attributes));
  assert.ok(decoded);
  return threadSchema(decoded);
}

test('every version in use is known by what it needs', () => {
  const kinds = {
    tlsdesc_v1_dev: 'record_pointer',
    tlsdesc_v1: 'record_pointer',
    tls_v1: 'record_pointer',
    nodejs_v1_dev: 'nodejs',
    nodejs_v1: 'nodejs',
    go_pprof_labels_v1: 'go_labels',
  };
  for (const [version, kind] of Object.entries(kinds)) {
    const schema = schemaOf({ 'threadlocal.schema_version': anyString(version) });
    assert.ok(schema.kind === 'schema');
    assert.equal(schema.form.kind, kind);
    assert.equal(schema.version, version);
  }
});

test('an unknown version is unsupported, and none is absent', () => {
  assert.deepEqual(schemaOf({ 'threadlocal.schema_version': anyString('tls_v2') }), { kind: 'unsupported', version: '"tls_v2"' });
  assert.deepEqual(schemaOf({ 'threadlocal.schema_version': anyString('') }), { kind: 'unsupported', version: '""' });
  assert.deepEqual(schemaOf({ 'threadlocal.schema_version': anyInteger(1n) }), { kind: 'unsupported', version: 'a bigint' });
  assert.deepEqual(schemaOf({ 'threadlocal.attribute_key_map': anyArray([]) }), { kind: 'absent' });
});

test('the key map has 256 keys at most, and a place for what is no string', () => {
  const keys = Array.from({ length: 300 }, (_, i) => (i === 1 ? anyInteger(1n) : anyString(`key.${i}`)));
  const schema = schemaOf({
    'threadlocal.schema_version': anyString('tls_v1'),
    'threadlocal.attribute_key_map': anyArray(keys),
    'threadlocal.wrapped_object_offset': anyInteger(24n),
  });
  assert.ok(schema.kind === 'schema');
  assert.equal(schema.keyMap.length, 256);
  assert.deepEqual(schema.keyMap.slice(0, 3), ['key.0', '', 'key.2']);
  assert.deepEqual(schema.constants, new Map([['wrapped_object_offset', 24n]]));
  assert.equal(schema.isMisplaced, false);
});

test('keys that a writer put among the attributes of the resource are found there', () => {
  const keys = {
    'threadlocal.schema_version': anyString('tlsdesc_v1_dev'),
    'threadlocal.attribute_key_map': anyArray([anyString('k')]),
  };
  const schema = schemaOf({}, keys);
  assert.ok(schema.kind === 'schema');
  assert.equal(schema.isMisplaced, true);
  assert.deepEqual(schema.keyMap, ['k']);
});
