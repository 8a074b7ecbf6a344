// Header blocks: the examples of RFC 7541, what is none, and what an index means after entries were lost.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import http2 from 'node:http2';
import { Field } from '../../../receiver/protocols/http2/fields.ts';
import { HeaderList } from '../../../receiver/protocols/http2/header-list.ts';
import { HeaderTable } from '../../../receiver/protocols/http2/header-table.ts';
import { BlockDecoder } from '../../../receiver/protocols/http2/hpack.ts';
import { decodedBound, decodeHuffman } from '../../../receiver/protocols/http2/huffman.ts';
import * as h2 from './frames.ts';
import { Player } from './player.ts';
import { tap } from './recording.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

class Direction {
  readonly table = new HeaderTable();
  readonly list = new HeaderList(32 * 1024);
  readonly #decoder = new BlockDecoder();

  read(...parts: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(parts);
    return this.#decoder.decode(bytes, 0, bytes.length, this.table, this.list);
  }

  get sizes(): number[] {
    return Array.from({ length: this.table.count }, (_, index) => this.table.sizeAt(this.table.slotOf(index)));
  }
}

test('requests of appendix C.4', () => {
  const direction = new Direction();
  const { list } = direction;
  assert.ok(direction.read(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')));
  assert.equal(list.get(Field.method), 'GET');
  assert.equal(list.get(Field.scheme), 'http');
  assert.equal(list.get(Field.path), '/');
  assert.equal(list.get(Field.authority), 'www.example.com');
  assert.deepEqual(direction.sizes, [57]);
  assert.ok(direction.read(hex('8286 84be 5886 a8eb 1064 9cbf')));
  assert.equal(list.get(Field.authority), 'www.example.com');
  assert.deepEqual(direction.sizes, [53, 57]);
  assert.ok(direction.read(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')));
  assert.equal(list.get(Field.scheme), 'https');
  assert.equal(list.get(Field.path), '/index.html');
  assert.equal(list.get(Field.authority), 'www.example.com');
  assert.deepEqual(direction.sizes, [54, 53, 57]);
});

test('responses of appendix C.6, whose table has 256 bytes', () => {
  const direction = new Direction();
  const { list } = direction;
  direction.table.resize(256);
  const first =
    '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3';
  assert.ok(direction.read(hex(first)));
  assert.equal(list.get(Field.status), '302');
  assert.deepEqual(direction.sizes, [63, 65, 52, 42]);
  assert.ok(direction.read(hex('4883 640e ffc1 c0bf')));
  assert.equal(list.get(Field.status), '307');
  assert.deepEqual(direction.sizes, [42, 63, 65, 52]);
  const third =
    '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07';
  assert.ok(direction.read(hex(third)));
  assert.equal(list.get(Field.status), '200');
  assert.deepEqual(direction.sizes, [98, 52, 65]);
});

describe('no header block', () => {
  const blocks: Readonly<Record<string, Uint8Array>> = {
    'index 0': hex('80'),
    'an index beyond the static table, with nothing in the other': h2.indexed(62),
    'a name beyond it': h2.insertedAs(62, 'x'),
    'an index without end': hex('ff'),
    'an index of 36 bits': hex('ff ff ff ff ff 0f'),
    'an index of endless zeros': hex('ff 80 80 80 80 80 80 80 00'),
    'a text longer than the block': hex('00 03 61 62'),
    'a text whose length is beyond all': hex('00 7f ff ff ff 7f'),
    'a name without a value': hex('00 01 61'),
    'a size beyond 64 KiB': h2.resized(65_537),
    'a size behind a field': Buffer.concat([h2.indexed(2), h2.resized(0)]),
    'EOS in a text': hex('00 01 61 84 ff ff ff ff'),
    'padding of eight bits': hex('00 01 61 82 1f ff'),
    'padding of zeros': hex('00 01 61 81 18'),
    'padding of ones and a zero': hex('00 01 61 81 1e'),
  };
  for (const [name, block] of Object.entries(blocks)) {
    test(name, () => {
      assert.equal(new Direction().read(block), false);
    });
  }
});

test('several sizes may begin a block, and the table is as small as the smallest was', () => {
  const direction = new Direction();
  assert.ok(direction.read(h2.inserted('x', 'y'), h2.inserted('host', 'a')));
  assert.ok(direction.read(h2.resized(40), h2.resized(4096), h2.indexed(62)));
  assert.equal(direction.list.get(Field.host), 'a');
  assert.equal(direction.table.count, 1);
  assert.equal(direction.read(h2.indexed(63)), false);
});

test('an entry that is larger than the table empties it', () => {
  const direction = new Direction();
  direction.table.resize(64);
  assert.ok(direction.read(h2.inserted('host', 'a')));
  assert.ok(direction.read(h2.inserted('host', 'x'.repeat(40))));
  assert.equal(direction.list.get(Field.host), 'x'.repeat(40));
  assert.equal(direction.table.count, 0);
});

test('an entry goes under the name of another, and stays when that is evicted', () => {
  const direction = new Direction();
  direction.table.resize(80);
  assert.ok(direction.read(h2.inserted('user-agent', 'a')));
  assert.ok(direction.read(h2.insertedAs(62, 'b')));
  assert.equal(direction.table.count, 1);
  assert.ok(direction.read(h2.indexed(62)));
  assert.equal(direction.list.get(Field.userAgent), 'b');
});

test('a table grows to many entries and keeps their order', () => {
  const direction = new Direction();
  direction.table.resize(65_536);
  for (let i = 0; i < 3000; i++) {
    assert.ok(direction.read(h2.inserted('host', String(i))));
    for (const back of [0, 1, 5, 17, 300]) {
      if (back > i) continue;
      assert.ok(direction.read(h2.indexed(62 + back)));
      assert.equal(direction.list.get(Field.host), String(i - back));
    }
  }
  assert.ok(direction.sizes.reduce((sum, size) => sum + size) <= 65_536);
});

describe('after entries were lost', () => {
  test('those inserted since are known, all others are unknown, also as names', () => {
    const direction = new Direction();
    direction.read(h2.inserted('host', 'before'));
    direction.table.forget();
    assert.ok(direction.read(h2.inserted('host', 'a'), h2.insertedAs(63, 'value of a name that is not known')));
    assert.equal(direction.list.hasUnknown, true);
    assert.ok(direction.read(h2.indexed(63)));
    assert.equal(direction.list.get(Field.host), 'a');
    assert.equal(direction.list.hasUnknown, false);
    for (const index of [62, 64, 100]) {
      assert.ok(direction.read(h2.indexed(index)));
      assert.equal(direction.list.hasUnknown, true, String(index));
      assert.equal(direction.list.get(Field.host), undefined);
    }
  });

  test('a table of size 0 has nothing unknown in it', () => {
    const direction = new Direction();
    direction.table.forget();
    assert.ok(direction.read(h2.resized(0), h2.resized(4096), h2.inserted('host', 'a')));
    assert.equal(direction.read(h2.indexed(63)), false);
  });

  test('what an encoder inserted that does not fit its table shifts no index', () => {
    // It has 100 bytes, which nobody who came later knows: the long entry empties it, and the next is its only one.
    const direction = new Direction();
    direction.table.forget();
    assert.ok(direction.read(h2.inserted('host', 'x'.repeat(200)), h2.inserted('host', 'a')));
    assert.ok(direction.read(h2.indexed(62)));
    assert.equal(direction.list.get(Field.host), 'a');
  });
});

test('lists: lines of one field are joined, of others the first counts', () => {
  const direction = new Direction();
  const lines = [
    h2.literal('x-forwarded-for', '10.0.0.1'),
    h2.literal('x-forwarded-for', '10.0.0.2'),
    h2.literal('user-agent', 'a'),
    h2.literal('user-agent', 'b'),
  ];
  assert.ok(direction.read(...lines));
  assert.equal(direction.list.get(Field.xForwardedFor), '10.0.0.1,10.0.0.2');
  assert.equal(direction.list.get(Field.userAgent), 'a');
});

test('random bytes are decoded to at most the bound, or not at all', () => {
  const bytes = Buffer.alloc(64);
  for (let round = 0; round < 20_000; round++) {
    const size = round % 65;
    for (let i = 0; i < size; i++) bytes[i] = (round * 2_654_435_761 * (i + 1)) >>> 11;
    const out = new Uint8Array(decodedBound(size) + 1).fill(0xee);
    const length = decodeHuffman(bytes, 0, size, out);
    assert.ok(length <= decodedBound(size));
    assert.equal(out[out.length - 1], 0xee);
  }
});

test('every byte of UTF-8 comes as it was sent by nghttp2', async () => {
  const points = [0x20, 0x7e, 0x80, 0xff, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff];
  for (let point = 0x21; point < 0x7f; point++) points.push(point);
  for (let point = 0x80; point < 0x800; point += 33) points.push(point);
  for (let point = 0x800; point < 0xd800; point += 1023) points.push(point);
  for (let point = 0x10000; point < 0x110000; point += 0x8421) points.push(point);
  // Among letters, so that the code is shorter than the text and is used.
  const values = points.map((point) => `${'aeiost'.repeat(8)}${String.fromCodePoint(point)}aeiost`);
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const chunks = await tap(server, {}, async (client) => {
    for (const value of values) {
      const stream = client.request({ ':path': '/', traceparent: Buffer.from(value).toString('latin1') });
      stream.resume();
      await new Promise((resolve) => stream.on('close', resolve));
    }
  });
  const player = new Player();
  for (const { side, bytes } of chunks) player.say(side, bytes);
  assert.deepEqual(
    player.transactions.map(({ request }) => request.traceparent),
    values,
  );
});
