// HTTP/2 frames that the kernel side follows: every byte of a stream is told but the payload of DATA, however the stream is cut up.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Controls } from '../../receiver/connections/controls.ts';
import { controlLayout } from '../../receiver/kernel/session.ts';
import { kernelTest } from '../support/kernel.ts';
import { Random } from '../support/random.ts';
import { type Program, startProgram } from '../traffic/program.ts';
import { filler, frame, frameType, preface, takeApart } from './frames.ts';
import { assertFollowed, faultOf, observe, type Observer, type Told, type ToldConnection } from './told-streams.ts';

const script = path.join(import.meta.dirname, 'stream_pairs.py');
const settings = frame(frameType.settings, 0, Buffer.alloc(18));

interface Move {
  readonly by?: 'client' | 'server';
  readonly stream: Buffer;
  readonly pieces?: readonly number[];
  readonly reads?: readonly number[];
  readonly vectors?: number;
  readonly how?: 'send' | 'splice';
}

interface Bench {
  readonly program: Program;
  /** Where its thread has its context, from the thread pointer on. */
  readonly variable: number;
  readonly observer: Observer;
}

async function start(t: TestContext, ringBufferSizeBytes?: number): Promise<Bench> {
  const program = startProgram(t, 'python3', [script]);
  const { variable } = await program.next('ready');
  return { program, variable: Number(variable), observer: await observe(t, [program.pid], ringBufferSizeBytes) };
}

async function order({ program }: Bench, plan: Readonly<Record<string, unknown>>): Promise<void> {
  program.send(JSON.stringify(plan));
  await program.next('done', 60_000);
}

function move(bench: Bench, { by = 'client', stream, pieces, reads, ...more }: Move): Promise<void> {
  const sizes = { pieces: pieces ?? [1 << 20], reads: reads ?? [1 << 20] };
  return order(bench, { do: 'move', by, base64: stream.toString('base64'), ...sizes, ...more });
}

/** Both ends of the one connection there is. */
function ends(bench: Bench): { readonly client: ToldConnection; readonly server: ToldConnection } {
  // Its control channel is a pair of UNIX sockets, too.
  const all = [...bench.observer.drain().values()];
  const client = all.find(
    ({ sent, info }) => sent.length > 0 && info.role !== 'server' && sent[0]!.position === 0 && sent[0]!.isFramed,
  );
  const server = all.find(({ received, info }) => received.length > 0 && info.role !== 'client' && received[0]!.isFramed);
  assert.ok(client !== undefined && server !== undefined, 'both ends were told of');
  return { client, server };
}

/** A client's stream with bodies of these sizes. */
function requests(sizes: readonly number[]): Buffer {
  const frames = [preface, settings, frame(frameType.windowUpdate, 0, Buffer.from([0, 1, 0, 0]))];
  for (const [index, size] of sizes.entries()) {
    const stream = 2 * index + 1;
    frames.push(frame(frameType.headers, stream, filler(40 + (index % 200), index), 4));
    for (let at = 0; at < size || at === 0; at += 16_384) {
      frames.push(frame(frameType.data, stream, filler(Math.min(size - at, 16_384), at), at + 16_384 >= size ? 1 : 0));
    }
    if (index % 3 === 0) frames.push(frame(frameType.ping, 0, filler(8, index)));
    if (index % 4 === 0) frames.push(frame(frameType.headers, stream, filler(12, index), 5));
  }
  return Buffer.concat(frames);
}

for (const family of ['tcp', 'unix'] as const) {
  test(`frames cut at every byte, over ${family}`, kernelTest(), async (t) => {
    const bench = await start(t);
    const stream = requests([0, 1, 2, 100, 9, 300]);
    const anatomy = takeApart(stream);
    for (const size of [1, 2, 3, 7, 8, 9, 10, 100, 1000]) {
      for (const vectors of [1, 2, 5]) {
        for (const isWriterCut of [true, false]) {
          bench.observer.forget();
          await order(bench, { do: 'open', family });
          // A direction is recognised by the first bytes of one I/O.
          const cut = [24, size];
          await move(bench, {
            stream,
            vectors,
            pieces: isWriterCut ? cut : [stream.length],
            reads: isWriterCut ? [24, stream.length] : cut,
          });
          const { client, server } = ends(bench);
          assertFollowed(anatomy, client.sent);
          assertFollowed(anatomy, server.received);
        }
      }
    }
  });
}

test('a direction is followed from where user space knows a frame to begin', kernelTest(), async (t) => {
  const bench = await start(t);
  const controls = new Controls(bench.observer.session.controls, controlLayout);
  const before = Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  const data = frame(frameType.data, 1, filler(900, 3));
  const rest = requests([0, 100, 20_000, 70_000]).subarray(preface.length);
  for (const family of ['tcp', 'unix'] as const) {
    // Within DATA when it is told, or at its end, or nothing is under way; at once, or after more that was not looked at.
    for (const [there, known] of [
      [0, 0],
      [100, data.length],
      [data.length, data.length],
    ] as const) {
      bench.observer.forget();
      await order(bench, { do: 'open', family });
      await move(bench, { stream: Buffer.concat([before, data.subarray(0, there)]) });
      const told = [...bench.observer.drain().values()];
      const client = told.find(({ sent }) => sent.length > 0 && sent[0]!.bytes.indexOf(before) === 0)!;
      const server = told.find(({ received }) => received.length > 0 && received[0]!.bytes.indexOf(before) === 0)!;
      controls.followFrames(client.info.id, true, before.length + known);
      controls.followFrames(server.info.id, false, before.length + known);
      const stream = Buffer.concat([known > 0 ? data : Buffer.alloc(0), rest]);
      // What comes next is told as bytes as long as all of it is before that place.
      const pieces = there < known ? [200, 5000, 30_000] : [5000, 30_000];
      await move(bench, { stream: stream.subarray(there), pieces });
      bench.observer.drain();
      const anatomy = takeApart(stream);
      for (const events of [client.sent, server.received]) {
        const plain = events.filter(({ isFramed }) => !isFramed);
        const framed = events.filter(({ isFramed }) => isFramed);
        assert.equal(plain.length, there < known ? 2 : 1);
        assert.ok(framed.length > 1);
        for (const event of framed)
          assert.equal(faultOf(anatomy, { ...event, position: event.position - before.length }), undefined);
        const followed = framed.reduce((sum, { size }) => sum + size, 0);
        assert.equal(followed, stream.length - there - (there < known ? 200 : 0));
      }
    }
  }
});

/** Frames of all kinds and lengths. */
function randomStream(random: Random): Buffer {
  const frames = [preface, settings];
  const count = 1 + random.below(60);
  for (let index = 0; index < count; index++) {
    const size = random.oneOf([0, 1, random.below(30), random.below(700), random.below(20_000)]);
    const type = random.oneOf([frameType.data, frameType.data, frameType.headers, frameType.continuation, 2, 0x10, 0xfa]);
    frames.push(frame(type, 1 + random.below(100), filler(size, index), random.below(256)));
    if (random.below(4) === 0) frames.push(frame(frameType.ping, 0, filler(8, index)));
  }
  return Buffer.concat(frames);
}

function randomSizes(random: Random): number[] {
  const least = random.oneOf([1, 5, 100, 3000]);
  return Array.from({ length: 200 }, () => least + random.below(random.oneOf([3, 20, 500, 40_000])));
}

test('random frames, cut up at random', kernelTest(), async (t) => {
  const bench = await start(t);
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(seed * 7919);
    const stream = randomStream(random);
    bench.observer.forget();
    await order(bench, { do: 'open', family: random.oneOf(['tcp', 'unix']) });
    const vectors = random.oneOf([1, 1, 2, 3, 4, 5, 30]);
    const rest = { vectors, pieces: randomSizes(random), reads: randomSizes(random) };
    await move(bench, { stream: stream.subarray(0, preface.length) });
    await move(bench, { stream: stream.subarray(preface.length), ...rest });
    const { client, server } = ends(bench);
    for (const told of [client.sent, server.received]) {
      try {
        assertFollowed(takeApart(stream), told);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  }
});

test('a preface of which nine bytes are there at first is one', kernelTest(), async (t) => {
  const bench = await start(t);
  const stream = requests([0, 100, 20_000]);
  const anatomy = takeApart(stream);
  for (const first of [9, 13, 14, 15, 16, 23]) {
    bench.observer.forget();
    await order(bench, { do: 'open', family: 'tcp' });
    await move(bench, { stream, pieces: [first, 1000], reads: [first, 9, 1000] });
    const { client, server } = ends(bench);
    assertFollowed(anatomy, client.sent);
    assertFollowed(anatomy, server.received);
  }
  for (const first of ['PRI * HTTP/1', 'PRI * HTTP/2.1', 'PRI * HTTP/2.0\n\n']) {
    bench.observer.forget();
    await order(bench, { do: 'open', family: 'tcp' });
    await move(bench, { stream: Buffer.concat([Buffer.from(first), stream]), pieces: [first.length, 1000] });
    for (const { sent, received } of bench.observer.drain().values()) {
      assert.ok([...sent, ...received].every(({ isFramed }) => !isFramed));
    }
  }
});

test('both directions, one after the other and in turns', kernelTest(), async (t) => {
  const bench = await start(t);
  const asked = requests([0, 100, 70_000]);
  const answered = Buffer.concat([settings, requests([1, 5, 16_384, 1 << 20]).subarray(preface.length + settings.length)]);
  await order(bench, { do: 'open', family: 'tcp' });
  await move(bench, { stream: asked.subarray(0, 200) });
  await move(bench, { by: 'server', stream: answered.subarray(0, 1000) });
  for (let at = 0; at < asked.length || at < answered.length; at += 30_001) {
    await move(bench, { stream: asked.subarray(200 + at, 200 + at + 30_001), pieces: [4096] });
    await move(bench, { by: 'server', stream: answered.subarray(1000 + at, 1000 + at + 30_001), reads: [9, 8000] });
  }
  const { client, server } = ends(bench);
  assertFollowed(takeApart(asked), client.sent);
  assertFollowed(takeApart(asked), server.received);
  assertFollowed(takeApart(answered), server.sent);
  assertFollowed(takeApart(answered), client.received);
});

test('hundreds of vectors, megabytes of DATA, and headers that fill several records', kernelTest(), async (t) => {
  const bench = await start(t);
  const heads = [60_000, 16_384, 1, 65_536].map((size, index) => frame(frameType.headers, 2 * index + 1, filler(size, index), 4));
  const stream = Buffer.concat([
    requests([3 << 20, 0, 1 << 20, 5]),
    ...heads,
    frame(frameType.data, 1, filler(1_500_000, 7)),
    settings,
  ]);
  const anatomy = takeApart(stream);
  for (const [pieces, vectors] of [
    [[1 << 20], 1],
    [[1 << 20], 700],
    [[1 << 19], 1024],
    [[100_001], 33],
    [[32 * 1024], 3],
  ] as const) {
    bench.observer.forget();
    await order(bench, { do: 'open', family: 'tcp' });
    await move(bench, { stream, pieces, vectors });
    const { client, server } = ends(bench);
    assertFollowed(anatomy, client.sent);
    assertFollowed(anatomy, server.received);
  }
});

test('thousands of frames in one I/O are followed', kernelTest(), async (t) => {
  const bench = await start(t);
  const small = Array.from({ length: 6000 }, (_, index) =>
    frame(index % 2 === 0 ? frameType.headers : frameType.data, 1, filler(5, index)),
  );
  const stream = Buffer.concat([preface, settings, ...small]);
  await order(bench, { do: 'open', family: 'tcp' });
  await move(bench, { stream });
  await move(bench, { stream: requests([10]).subarray(preface.length) });
  const { client, server } = ends(bench);
  const anatomy = takeApart(Buffer.concat([stream, requests([10]).subarray(preface.length)]));
  assertFollowed(anatomy, client.sent);
  assertFollowed(anatomy, server.received);
});

/** Nothing that is told as followed is wrong; nothing is told as followed behind the first event that is not. */
function assertTruthful(stream: Buffer, told: readonly Told[]): void {
  const anatomy = takeApart(stream);
  let isFollowed = true;
  for (const event of told) {
    if (!event.isFramed) isFollowed = false;
    assert.equal(event.isFramed, isFollowed);
    assert.equal(faultOf(anatomy, event, false), undefined);
  }
}

const good = requests([100, 20]);
test('behind an implausible frame its direction is followed no more, and told as bytes', kernelTest(), async (t) => {
  const bench = await start(t);
  const answer = Buffer.concat([settings, frame(frameType.data, 1, filler(1000, 3)), frame(frameType.headers, 1, filler(10, 2))]);
  let framesLost = 0;
  for (const [title, bad] of [
    ['DATA without a stream', frame(frameType.data, 0, filler(40, 1))],
    ['HEADERS of 70 KB', frame(frameType.headers, 1, filler(70_000, 1))],
    ['an unknown frame of 16 MiB', Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0x77, 0, 0, 0, 0, 1]), filler(5000, 1)])],
    ['SETTINGS of five bytes', frame(frameType.settings, 0, filler(5, 1))],
    ['PING of nine bytes', frame(frameType.ping, 0, filler(9, 1))],
  ] as const) {
    await t.test(title, async () => {
      bench.observer.forget();
      await order(bench, { do: 'open', family: 'tcp' });
      for (const stream of [good, bad, good.subarray(preface.length)]) await move(bench, { stream });
      await move(bench, { by: 'server', stream: answer });
      const { client, server } = ends(bench);
      const stream = Buffer.concat([good, bad, good.subarray(preface.length)]);
      for (const told of [client.sent, server.received]) {
        assertTruthful(stream, told);
        assert.equal(told.at(-1)!.isFramed, false);
        assert.equal(faultOf(takeApart(stream), told.at(-1)!), undefined);
      }
      framesLost += 2;
      assert.equal(bench.observer.session.counters().framesLost, framesLost);
      // The other direction is another one.
      assertFollowed(takeApart(answer), server.sent);
      assertFollowed(takeApart(answer), client.received);
    });
  }
});

test('an implausible frame within an I/O: what is behind it is missing', kernelTest(), async (t) => {
  const bench = await start(t);
  const stream = Buffer.concat([good, frame(frameType.ping, 0, filler(9, 1)), good.subarray(preface.length)]);
  await order(bench, { do: 'open', family: 'tcp' });
  await move(bench, { stream });
  const { client } = ends(bench);
  assert.equal(client.sent.length, 1);
  const [told] = client.sent;
  assert.equal(told!.size, stream.length);
  assert.equal(told!.missing, 'capture_window');
  const upTo = good.length + 9;
  const anatomy = takeApart(stream.subarray(0, upTo));
  assert.deepEqual(told!.bytes, Buffer.from(stream.subarray(0, upTo).filter((_, at) => anatomy.isLeftOut[at] === 0)));
});

test('spliced bytes: within DATA they are passed over, in a header the direction is lost', kernelTest(), async (t) => {
  const bench = await start(t);
  const begin = Buffer.concat([preface, settings]);
  const data = frame(frameType.data, 1, filler(3000, 1));
  const head = frame(frameType.headers, 1, filler(30, 1));
  await order(bench, { do: 'open', family: 'tcp' });
  await move(bench, { stream: Buffer.concat([begin, data.subarray(0, 1000)]) });
  await move(bench, { stream: data.subarray(1000, 2500), how: 'splice' });
  await move(bench, { stream: Buffer.concat([data.subarray(2500), head]) });
  const stream = Buffer.concat([begin, data, head]);
  assertFollowed(takeApart(stream), ends(bench).client.sent);
  assertFollowed(takeApart(stream), ends(bench).server.received);

  await move(bench, { stream: head, how: 'splice' });
  await move(bench, { stream: Buffer.concat([data, head]) });
  const whole = Buffer.concat([stream, head, data, head]);
  const { client, server } = ends(bench);
  assertTruthful(whole, client.sent);
  assert.equal(client.sent.at(-1)!.isFramed, false);
  assertFollowed(takeApart(whole), server.received);
});

test('a beginning that is none of HTTP/2 is told as bytes', kernelTest(), async (t) => {
  const bench = await start(t);
  for (const [title, first] of [
    ['HTTP/1', Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')],
    ['a preface of another version', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    ['SETTINGS that acknowledge', frame(frameType.settings, 0, Buffer.alloc(0), 1)],
    ['SETTINGS of a stream', frame(frameType.settings, 1, Buffer.alloc(6))],
    ['8 bytes of SETTINGS', settings.subarray(0, 8)],
  ] as const) {
    await t.test(title, async () => {
      bench.observer.forget();
      await order(bench, { do: 'open', family: 'tcp' });
      await move(bench, { stream: first });
      await move(bench, { stream: settings });
      const told = [...bench.observer.drain().values()].flatMap(({ sent, received }) => [...sent, ...received]);
      assert.ok(told.some(({ bytes }) => bytes.equals(first)));
      assert.ok(told.every(({ isFramed }) => !isFramed));
    });
  }
});

test('a flood of frames does not fill the ring, and is followed all the same', kernelTest(), async (t) => {
  const bench = await start(t, 1 << 20);
  const head = frame(frameType.headers, 1, filler(4000, 1));
  const stream = Buffer.concat([preface, settings, ...Array.from({ length: 2000 }, () => head)]);
  await order(bench, { do: 'open', family: 'tcp' });
  await move(bench, { stream, pieces: [10_000], reads: [1 << 20] });
  assert.equal(bench.observer.session.counters().ringFull, 0);
  assertTruthful(stream, ends(bench).client.sent);
  const end = frame(frameType.headers, 1, filler(200, 5));
  await move(bench, { by: 'server', stream: settings });
  await move(bench, { stream: end });
  const { client, server } = ends(bench);
  for (const told of [client.sent, server.received]) {
    assert.ok(told.some(({ missing }) => missing === 'capture_window'));
    assert.equal(faultOf(takeApart(Buffer.concat([stream, end])), told.at(-1)!), undefined);
    assert.equal(told.at(-1)!.isFramed, true);
  }
});

test('frames are followed while the ring is full', kernelTest(), async (t) => {
  const bench = await start(t, 256 * 1024);
  await order(bench, { do: 'open', family: 'tcp' });
  const begin = Buffer.concat([preface, settings]);
  await move(bench, { stream: begin });
  // Events of a few bytes, until not even those find a place.
  const data = frame(frameType.data, 1, filler(10_000, 1));
  const parts: Buffer[] = [begin];
  for (let i = 0; bench.observer.session.counters().shed === 0; i++) {
    assert.ok(i < 1000);
    await move(bench, { stream: data, pieces: [9, 1] });
    parts.push(data);
  }
  for (let i = 0; i < 20; i++) {
    parts.push(frame(frameType.headers, 1, filler(i, 1)), data);
    await move(bench, { stream: Buffer.concat(parts.slice(-2)), pieces: [5, 1000] });
  }
  bench.observer.drain();
  const end = frame(frameType.headers, 1, filler(200, 5));
  await move(bench, { stream: end });
  const anatomy = takeApart(Buffer.concat([...parts, end]));
  const { client, server } = ends(bench);
  for (const told of [client.sent, server.received]) {
    const last = told.at(-1)!;
    assert.equal(last.isResumed, true);
    assert.equal(last.isFramed, true);
    assert.equal(last.position, anatomy.stream.length - end.length);
    assert.equal(faultOf(anatomy, last), undefined);
  }
});

test(
  "each write that has more than DATA has its thread's context, also in several records and without a turn",
  process.arch === 'x64' ? kernelTest() : { skip: 'where a thread pointer is, the peer knows on x86-64 alone' },
  async (t) => {
    const bench = await start(t);
    const { observer, program, variable } = bench;
    await order(bench, { do: 'open', family: 'tcp' });
    await move(bench, { stream: Buffer.from('hello') });
    observer.drain();
    observer.session.contextPlaces.set(observer.instances.get(program.pid)!, { kind: 'static', offset: variable });
    observer.forget();
    await order(bench, { do: 'open', family: 'tcp' });
    const publish = (span: string): Promise<void> =>
      order(bench, { do: 'publish', context: span === '' ? '' : `${'0a'.repeat(16)}${span.repeat(16)}01010000` });
    const head = frame(frameType.headers, 1, filler(40, 1));
    const long = [1, 2, 3].map((seed) => frame(frameType.headers, 1, filler(30_000, seed)));
    const data = frame(frameType.data, 1, filler(1000, 4));
    for (const [span, stream] of [
      ['1', Buffer.concat([preface, settings, head])],
      ['2', Buffer.concat(long)],
      ['3', Buffer.concat([head, data.subarray(0, 100)])],
      ['4', data.subarray(100, 500)],
      ['5', Buffer.concat([data.subarray(500), head])],
      ['', head],
    ] as const) {
      await publish(span);
      await move(bench, { stream });
    }
    const { client, server } = ends(bench);
    const spans = (told: readonly Told[]): unknown[] => told.map(({ context }) => context?.context.spanId[0]);
    assert.deepEqual(spans(client.sent), ['1', '2', '2', '2', '3', undefined, '5', undefined]);
    assert.ok(spans(server.received).every((span) => span === undefined));
  },
);
