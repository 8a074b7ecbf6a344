// Connections that go from HTTP/1.1 to HTTP/2 in their middle (RFC 7540, 3.2): the request that offers it is stream 1, and is one exchange.
// FUZZ_INPUTS and FUZZ_SEED choose how many random connections there are, and which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transaction } from '../../receiver/model/transaction.ts';
import * as h2 from '../protocols/http2/frames.ts';
import { Random } from '../support/random.ts';
import { get, type IoOptions, ok } from './socket.ts';
import { Wire } from './wire.ts';

const inputs = Number(process.env['FUZZ_INPUTS'] ?? 20_000);
const seed = Number(process.env['FUZZ_SEED'] ?? 20261122);

const whole = h2.END_HEADERS | h2.END_STREAM;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
/** MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, ENABLE_PUSH: as curl says them. */
const SETTINGS = 'AAMAAABkAAQCAAAAAAIAAAAA';

interface Offer {
  readonly target?: string;
  readonly settings?: string;
  readonly upgrade?: string;
  readonly body?: string;
  readonly more?: string;
}

function offer({ target = '/1', settings = SETTINGS, upgrade = 'h2c', body = '', more = '' }: Offer = {}): string {
  const method = body === '' ? 'GET' : 'POST';
  const length = body === '' ? '' : `Content-Length: ${String(body.length)}\r\n`;
  const fields = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: ${settings}\r\n${length}${more}`;
  return `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
}

/** What this end's client says, or its server. */
class Ends extends Wire {
  readonly #isClient: boolean;

  constructor(role: 'client' | 'server' = 'server') {
    super(role, true);
    this.#isClient = role === 'client';
  }

  ask(bytes: Uint8Array | string, options: IoOptions = {}): void {
    if (this.#isClient) this.sent(bytes, options);
    else this.received(bytes, options);
  }

  answer(bytes: Uint8Array | string, options: IoOptions = {}): void {
    if (this.#isClient) this.received(bytes, options);
    else this.sent(bytes, options);
  }

  lose(isRequest: boolean, size: number): void {
    this.unseen(isRequest === this.#isClient, size);
  }
}

const begin = Buffer.concat([h2.PREFACE, h2.settings()]);
const agreed = Buffer.concat([Buffer.from(SWITCHING), h2.settings()]);

for (const role of ['server', 'client'] as const) {
  test(`at the ${role}, the answer of stream 1 is that of the request of HTTP/1.1, and other streams follow`, () => {
    const ends = new Ends(role);
    ends.ask(get('/0'));
    ends.answer(ok('x'));
    ends.ask(offer());
    ends.answer(Buffer.concat([agreed, h2.response(1, { ':status': '404' }), h2.data(1, 7)]));
    ends.ask(Buffer.concat([begin, h2.request(3, { ':path': '/3' })]));
    ends.answer(h2.response(3, {}, whole));
    assert.deepEqual(ends.end(), ['1.1 /0 200', '2 /1 404', '2 /3 200']);
    const first = ends.transactions[1] as Transaction;
    assert.equal(first.response?.bodySize, 7);
    assert.equal(first.request.bodySize, 0);
    // Who asked when it was HTTP/1.1 has hold of the exchange that was answered in HTTP/2.
    assert.deepEqual(
      ends.requested.map((exchange) => ends.transactions.findIndex((one) => one.exchange === exchange)),
      [0, 1, 2],
    );
    assert.equal(ends.connection.exchangeAt(first.requestPosition), undefined, 'the conversation is over');
  });
}

test('it is one exchange wherever reads and writes cut the bytes', () => {
  const answers = Buffer.concat([agreed, h2.response(1, { 'content-type': 'text/plain' }, h2.END_HEADERS), h2.data(1, 3)]);
  const asked = Buffer.from(offer({ body: 'abc' }));
  for (let cut = 1; cut < answers.length; cut++) {
    const ends = new Ends();
    const at = 1 + (cut % (asked.length - 1));
    ends.ask(asked.subarray(0, at));
    ends.ask(asked.subarray(at));
    ends.answer(answers.subarray(0, cut));
    ends.answer(answers.subarray(cut), { isIoStart: cut % 2 === 0 });
    const more = Buffer.concat([begin, h2.request(3, { ':path': '/3' })]);
    ends.ask(more.subarray(0, 1 + (cut % (more.length - 1))));
    ends.ask(more.subarray(1 + (cut % (more.length - 1))));
    ends.answer(h2.response(3, {}, whole));
    assert.deepEqual(ends.end(), ['2 /1 200', '2 /3 200'], String(cut));
    assert.equal(ends.transactions[0]?.request.bodySize, 3);
    assert.deepEqual(ends.ledger.report().bytes.lost, {});
  }
});

test('what of the bytes at hand was not copied is missing in the protocol that has begun', () => {
  const ends = new Ends();
  ends.ask(offer());
  // The rest of a DATA frame, of which only the header is there.
  const data = h2.data(1, 500);
  const copied = Buffer.concat([agreed, h2.response(1), data.subarray(0, 9)]);
  ends.answer(copied, { uncopied: 500, missing: 'capture_window' });
  assert.deepEqual(ends.end(), ['2 /1 200']);
  assert.equal(ends.transactions[0]?.response?.bodySize, 500);
  assert.deepEqual(ends.ledger.report().bytes.lost, {});
});

test('where the kernel follows the frames from a later one on, nothing is lost of those before', () => {
  for (const inData of [false, true]) {
    const ends = new Ends();
    ends.ask(offer());
    const data = h2.data(1, 500);
    ends.answer(Buffer.concat([agreed, h2.response(1, {}, h2.END_HEADERS), ...(inData ? [data.subarray(0, 109)] : [])]));
    ends.ask(Buffer.concat([begin, h2.request(3, { ':path': '/3' })]));
    const rest = inData ? Buffer.alloc(0) : data.subarray(0, 9);
    const framing = { toFrame: inData ? 400 : 0, isInData: inData };
    ends.answer(Buffer.concat([rest, h2.response(3, {}, whole)]), { framing, uncopied: inData ? 400 : 500 });
    assert.deepEqual(ends.end(), ['2 /1 200', '2 /3 200']);
    assert.equal(ends.transactions[0]?.response?.bodySize, 500);
    assert.deepEqual(ends.ledger.report().bytes.lost, {});
  }
});

test('an offer that is not taken is answered in HTTP/1.1, which goes on', () => {
  const ends = new Ends();
  ends.ask(offer());
  ends.answer('HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n');
  ends.ask(offer({ target: '/2' }));
  ends.answer(ok());
  assert.deepEqual(ends.end(), ['1.1 /1 200', '1.1 /2 200']);
});

test('interim answers before and behind the change are none', () => {
  const ends = new Ends();
  ends.ask(offer());
  ends.answer('HTTP/1.1 103 Early Hints\r\n\r\n');
  ends.answer(agreed);
  ends.ask(begin);
  ends.answer(h2.response(1, { ':status': '103' }));
  ends.answer(h2.response(1, { ':status': '204' }, whole));
  assert.deepEqual(ends.end(), ['2 /1 204']);
});

test('any other protocol ends what is told, with the exchange that led to it', () => {
  for (const named of ['websocket', 'h2c, websocket', 'h2', '']) {
    const ends = new Ends();
    ends.ask(offer({ upgrade: 'h2c, websocket' }));
    ends.answer(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${named}\r\n\r\n`);
    ends.answer(Buffer.concat([h2.settings(), h2.response(1, {}, whole)]));
    assert.deepEqual(ends.end(), ['1.1 /1 101'], named);
  }
});

test('a protocol is named in any case, and what is said twice is no name', () => {
  for (const [fields, expected] of [
    ['upgrade:H2C', '2 /1 200'],
    ['Upgrade: h2c\r\nUpgrade: websocket', '1.1 /1 101'],
    ['Upgrade: websocket\r\nUpgrade: h2c', '1.1 /1 101'],
  ] as const) {
    const ends = new Ends();
    ends.ask(offer());
    ends.answer(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${fields}\r\n\r\n`);
    ends.answer(Buffer.concat([h2.settings(), h2.response(1, {}, whole)]));
    assert.deepEqual(ends.end(), [expected], fields);
  }
});

test('a server that changes without having been offered it, or before it has all of the request, is not followed', () => {
  const unasked = new Ends();
  unasked.ask(get('/1'));
  unasked.answer(Buffer.concat([agreed, h2.response(1, {}, whole)]));
  assert.deepEqual(unasked.end(), ['1.1 /1 101']);
  const early = new Ends();
  early.ask(offer({ body: 'abc' }).slice(0, -1));
  early.answer(Buffer.concat([agreed, h2.response(1, {}, whole)]));
  early.ask('c');
  early.ask(begin);
  assert.deepEqual(early.end(), ['1.1 /1 101']);
});

test('the settings of the offer are those of the client: how large frames may be', () => {
  const large = Buffer.from('000500008000', 'hex').toString('base64url');
  for (const [settings, expected] of [
    [large, ['2 /1 200']],
    [SETTINGS, []],
    ['not base64 at all!', []],
  ] as const) {
    const ends = new Ends();
    ends.ask(offer({ settings }));
    ends.answer(Buffer.concat([agreed, h2.response(1), h2.data(1, 0x8000)]));
    assert.deepEqual(ends.end(), expected, settings);
  }
});

test("the server's table of headers may be larger or smaller than usual, as it says itself", () => {
  for (const size of [0, 100, 4096, 65_536]) {
    const ends = new Ends();
    const settings = Buffer.concat([Buffer.from([0, 1]), h2.uint32(size)]).toString('base64url');
    ends.ask(offer({ settings }));
    const fields = [
      h2.resized(size),
      h2.indexed(8),
      h2.inserted('content-type', 'text/plain'),
      h2.inserted('x', 'y'.repeat(4000)),
    ];
    ends.answer(Buffer.concat([agreed, h2.frame(h2.TYPES.headers, whole, 1, Buffer.concat(fields))]));
    ends.ask(Buffer.concat([begin, h2.request(3, { ':path': '/3' })]));
    // The older entry is there only if there is room for both.
    const block = Buffer.concat([h2.indexed(8), ...(size > 4096 ? [h2.indexed(63)] : [])]);
    ends.answer(h2.frame(h2.TYPES.headers, whole, 3, block));
    assert.deepEqual(ends.end(), ['2 /1 200', '2 /3 200'], String(size));
  }
});

test('stream 1 ends early as any other does', () => {
  for (const unseen of [0, 100]) {
    const cut = new Ends();
    cut.ask(offer());
    cut.answer(agreed);
    cut.ask(begin);
    cut.close('connection_closed', unseen);
    // Bytes that nobody has told of may have had its end.
    assert.deepEqual(cut.end(), unseen === 0 ? ['2 /1 undefined'] : []);
  }
  const reset = new Ends('client');
  reset.ask(offer());
  reset.answer(agreed);
  reset.ask(Buffer.concat([begin, h2.frame(h2.TYPES.rstStream, 0, 1, h2.uint32(8))]));
  assert.deepEqual(reset.end(), ['2 /1 undefined']);
  assert.equal(reset.transactions[0]?.reset, 'CANCEL');
});

test('a client that has agreed to HTTP/2 and speaks something else is malformed, and not anything but HTTP', () => {
  const ends = new Ends();
  ends.ask(offer());
  ends.answer(agreed);
  ends.ask(get('/2'));
  assert.equal(ends.connection.inspect(0).protocol, 'given up');
  assert.deepEqual(ends.end(), []);
  const { connections, transactions } = ends.ledger.report();
  assert.equal(connections.not_http, 0);
  assert.deepEqual(transactions.not_exported, { malformed_message: 1 });
});

test("where the client's bytes behind its offer were lost, it is found again at a frame", () => {
  const ends = new Ends();
  ends.ask(offer());
  ends.answer(agreed);
  ends.lose(true, begin.length);
  ends.ask(h2.request(3, { ':path': '/3' }), { isResumed: true });
  ends.answer(Buffer.concat([h2.response(1, {}, whole), h2.response(3, {}, whole)]));
  assert.deepEqual(ends.end(), ['2 /1 200', '2 /3 200']);
  // It may also have spoken before it had the answer.
  const hasty = new Ends();
  hasty.ask(offer());
  hasty.ask(begin);
  hasty.answer(Buffer.concat([agreed, h2.response(1, {}, whole)]));
  hasty.ask(h2.request(3, { ':path': '/3' }));
  hasty.answer(h2.response(3, {}, whole));
  assert.deepEqual(hasty.end(), ['2 /1 200', '2 /3 200']);
});

test('the context of the thread that writes the change is that of stream 1, if its answer is in the same write', () => {
  for (const together of [true, false]) {
    const ends = new Ends();
    ends.ask(offer());
    const answer = h2.response(1, {}, whole);
    const change = together ? Buffer.concat([agreed, answer]) : agreed;
    const context = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: 1, traceState: undefined };
    ends.answer(change, { context: { position: 0, end: change.length, context: context as never, record: undefined } });
    if (!together) ends.answer(answer);
    assert.deepEqual(ends.end(), ['2 /1 200']);
    const { responseContext } = ends.transactions[0]?.exchange ?? {};
    assert.equal(responseContext?.context.spanId, together ? context.spanId : undefined);
  }
});

// Random connections

interface Turn {
  readonly isRequest: boolean;
  readonly bytes: Buffer;
}

interface Conversation {
  readonly turns: readonly Turn[];
  readonly truth: readonly string[];
}

function someConversation(random: Random): Conversation {
  const turns: Turn[] = [];
  const truth: string[] = [];
  const say = (isRequest: boolean, ...bytes: readonly (Buffer | string)[]): void => {
    turns.push({ isRequest, bytes: Buffer.concat(bytes.map((part) => Buffer.from(part as string, 'latin1'))) });
  };
  for (let i = random.below(3); i > 0; i--) {
    say(true, get(`/a${String(i)}`));
    say(false, ok('x'.repeat(random.below(50))));
    truth.push(`1.1 /a${String(i)} 200`);
  }
  say(true, offer({ target: '/1', body: 'b'.repeat(random.below(3) * 20) }));
  if (random.below(8) === 0) {
    say(false, ok());
    truth.push('1.1 /1 200');
    return { turns, truth };
  }
  const first = [h2.response(1, { ':status': '404' }), h2.data(1, random.below(100))];
  if (random.below(2) === 0) {
    say(false, agreed, ...first);
    say(true, begin);
  } else {
    say(false, agreed);
    say(true, begin);
    say(false, ...first);
  }
  truth.push('2 /1 404');
  for (let stream = 3; stream < 3 + 2 * random.below(4); stream += 2) {
    const block = Buffer.concat([h2.literals({ ...h2.GET, ':path': `/${String(stream)}` }), h2.inserted('user-agent', 'a')]);
    say(true, h2.frame(h2.TYPES.headers, whole, stream, block));
    const answer = Buffer.concat([h2.indexed(8), h2.inserted('server', 'b'), h2.indexed(62)]);
    say(false, h2.frame(h2.TYPES.headers, h2.END_HEADERS, stream, answer), h2.data(stream, random.below(300)));
    truth.push(`2 /${String(stream)} 200`);
  }
  return { turns, truth };
}

/** How many of a thousand I/Os nobody tells of, and how many bytes are other ones. */
interface Weather {
  readonly lost: number;
  readonly wrong: number;
}

function play(
  random: Random,
  { turns }: Conversation,
  weather: Weather,
): { readonly told: string[]; readonly isSpoilt: boolean } {
  const ends = new Ends(random.oneOf(['client', 'server']));
  let isSpoilt = false;
  let isResumed = false;
  for (const { isRequest, bytes } of turns) {
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.length - at;
      const size = random.below(3) === 0 ? random.below(rest) + 1 : rest;
      const part = Buffer.from(bytes.subarray(at, at + size));
      at += size;
      if (random.below(1000) < weather.lost) {
        ends.lose(isRequest, size);
        isResumed = true;
        continue;
      }
      if (random.below(1000) < weather.wrong) {
        part[random.below(size)] = random.below(256);
        isSpoilt = true;
      }
      if (isRequest) ends.ask(part, { isResumed });
      else ends.answer(part, { isResumed });
      isResumed = false;
    }
  }
  return { told: ends.end(), isSpoilt };
}

test(`${String(inputs)} connections of seed ${String(seed)}, whatever of them is lost: nothing wrong, balanced books`, () => {
  const random = new Random(seed);
  let whole_ = 0;
  let part = 0;
  for (let input = 0; input < inputs; input++) {
    const weather = random.oneOf([
      { lost: 0, wrong: 0 },
      { lost: 100, wrong: 0 },
      { lost: 20, wrong: 200 },
    ]);
    const inputSeed = random.below(2 ** 31);
    const own = new Random(inputSeed);
    const conversation = someConversation(own);
    const { told, isSpoilt } = play(own, conversation, weather);
    const where = `input ${String(input)} (seed ${String(inputSeed)})`;
    if (weather.lost === 0) {
      assert.deepEqual(told, conversation.truth, where);
      whole_++;
    } else if (!isSpoilt) {
      for (const one of told) assert.ok(conversation.truth.includes(one), `${where}: ${one}`);
      assert.equal(new Set(told).size, told.length, where);
      if (told.includes('2 /1 404')) part++;
    }
  }
  assert.ok(whole_ > inputs / 5 && part > inputs / 10, `${String(whole_)} whole, ${String(part)} in part`);
});
