// The context that a thread has published is told with exactly the writes that it does first in a turn, whatever their size and however many buffers they
// are in: in the I/O's own record or in one before it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { bound } from '../../receiver/kernel/layout.ts';
import { kernelTest } from '../support/kernel.ts';
import { startProgram } from '../traffic/program.ts';
import { filler } from './frames.ts';
import { observe, type Observer, type Told } from './told-streams.ts';

const script = path.join(import.meta.dirname, 'stream_pairs.py');
const options = process.arch === 'x64' ? kernelTest() : { skip: 'where a thread pointer is, the peer knows on x86-64 alone' };

interface Bench {
  readonly observer: Observer;
  readonly pid: number;
  /** Has the kernel side told of its place, and a new connection. */
  locate(): Promise<void>;
  /** Publishes the bytes of a record, or that there is none (''). */
  publish(context: string): Promise<void>;
  write(by: 'client' | 'server', bytes: Buffer, vectors?: number): Promise<void>;
  /** What the two ends of the last connection have sent. */
  sent(): Told[];
}

async function start(t: TestContext): Promise<Bench> {
  const program = startProgram(t, 'python3', [script]);
  const { variable } = await program.next('ready');
  const observer = await observe(t, [program.pid]);
  const order = async (plan: Readonly<Record<string, unknown>>): Promise<void> => {
    program.send(JSON.stringify(plan));
    await program.next('done', 60_000);
  };
  const reads = [1 << 20];
  const write: Bench['write'] = (by, bytes, vectors = 1) =>
    order({ do: 'move', by, base64: bytes.toString('base64'), pieces: reads, reads, vectors });
  return {
    observer,
    pid: program.pid,
    async locate() {
      await order({ do: 'open', family: 'tcp' });
      await write('client', Buffer.from('hello'));
      observer.drain();
      const instance = observer.instances.get(program.pid);
      assert.ok(instance !== undefined);
      observer.session.contextPlaces.set(instance, { kind: 'static', offset: Number(variable) });
      await order({ do: 'open', family: 'tcp' });
      observer.drain();
      observer.forget();
    },
    publish: (context) => order({ do: 'publish', context }),
    write,
    sent: () => {
      // Its control channel is a pair of UNIX sockets, too.
      const all = [...observer.drain().values()].filter(({ info }) => info.transport === 'tcp');
      return all.flatMap(({ sent }) => sent).toSorted((a, b) => a.time - b.time);
    },
  };
}

const traceId = '0a'.repeat(16);
const spanOf = (number: number): string => `c5${number.toString(16).padStart(14, '0')}`;
const record = (number: number, valid = '01', attributesSize = '0000'): string =>
  `${traceId}${spanOf(number)}${valid}01${attributesSize}`;

/** About each size that a record may have, with a context and without, and those for which there is another way. */
const sizes = [1, 95, 96, 97, 128, 129, 224, 225, 256, 480, 481, 512, 992, 993, 1024, 4064, 4065, 4096, 4097, 40_000];

test('every write that is first in a turn has it, whatever its size and in however many buffers', options, async (t) => {
  const bench = await start(t);
  await bench.locate();
  let number = 0;
  const expected = new Map<number, Buffer>();
  for (const vectors of [1, 2, 3]) {
    for (const size of sizes) {
      for (const by of ['client', 'server'] as const) {
        const bytes = filler(size, ++number);
        expected.set(number, bytes);
        await bench.publish(record(number));
        await bench.write(by, bytes, vectors);
      }
    }
  }
  const told = new Map<string, Buffer>();
  for (const { context, bytes } of bench.sent()) {
    const spanId = context?.context.spanId ?? 'none';
    assert.equal(context?.context.traceId, traceId);
    told.set(spanId, Buffer.concat([told.get(spanId) ?? Buffer.alloc(0), bytes]));
  }
  assert.equal(told.size, number);
  for (const [index, bytes] of expected) {
    assert.ok(told.get(spanOf(index))?.equals(bytes), `write ${index}, of ${bytes.length} bytes`);
  }
});

test('a second write of a turn has none, and what is no context is told as none and counted', options, async (t) => {
  const bench = await start(t);
  await bench.locate();
  const before = bench.observer.session.counters();
  const contexts: (string | undefined)[] = [];
  const write = async (by: 'client' | 'server', context: string, size = 200): Promise<void> => {
    await bench.publish(context);
    await bench.write(by, filler(size, 1));
    contexts.push(bench.sent().at(-1)?.context?.context.spanId);
  };
  await write('client', record(1));
  await write('client', record(2));
  assert.equal(bench.sent().length, 2);
  await write('server', '');
  await write('client', record(4, '00'));
  await write('server', record(5, '02'));
  await write('client', `${'00'.repeat(16)}${spanOf(6)}01010000`, 4096);
  await write('server', `${traceId}${'00'.repeat(8)}01010000`, 5000);
  await write('client', record(8, '01', 'ffff'));
  await write('server', record(9));
  const none = undefined;
  assert.deepEqual(contexts, [spanOf(1), none, none, none, none, none, none, none, spanOf(9)]);
  const after = bench.observer.session.counters();
  const risen = (name: keyof typeof after): number => after[name] - before[name];
  assert.deepEqual([risen('contextNone'), risen('contextHalfSet'), risen('contextImplausible')], [3, 2, 1]);
});

test("a place that is in none of its first slots but the last is found, and is nobody else's", options, async (t) => {
  const bench = await start(t);
  const others = Array.from({ length: bound.placeWays - 1 }, (_, index) => bench.pid + (index + 1) * bound.maxPlaces);
  const nowhere = { kind: 'static', offset: 8 } as const;
  for (const pid of others) {
    bench.observer.session.contextPlaces.set({ pid, startTime: 1n, execId: 1 }, nowhere);
  }
  await bench.locate();
  await bench.publish(record(1));
  await bench.write('client', filler(200, 1));
  // The slots before it are no longer anybody's.
  for (const pid of others) bench.observer.session.contextPlaces.delete(pid);
  await bench.publish(record(2));
  await bench.write('server', filler(200, 2));
  assert.deepEqual(
    bench.sent().map(({ context }) => context?.context.spanId),
    [spanOf(1), spanOf(2)],
  );
});
