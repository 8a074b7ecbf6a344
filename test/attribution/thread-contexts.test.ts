// When processes are looked at, and what of it the kernel side is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Location } from '../../otel-thread-context/reader/index.ts';
import { PublicationWatch, type PublicationWatchOptions } from '../../receiver/attribution/publication-watch.ts';
import { ThreadContexts } from '../../receiver/attribution/thread-contexts.ts';
import type { ProcessId } from '../../receiver/model/process.ts';
import type { ContextPlace, ProcessInstance } from '../../receiver/model/thread-context.ts';

type Slots = Extract<Location['outcome'], { readonly kind: 'located' }>['slots'];
type Slot = Slots[number];

const form = { kind: 'record_pointer', symbol: { name: 'otel_thread_ctx_v1', size: 8 } } as const;
const nodejs = { kind: 'nodejs', symbol: { name: 'otel_thread_ctx_nodejs_v1', size: 32 } } as const;

function slotAt(location: Slot['location'], machine = 'x86-64'): Slot {
  return {
    symbol: form.symbol.name,
    access: 'local-exec',
    words: undefined,
    location,
    object: { image: { elf: { machine } } },
  } as Slot;
}

function located(
  slots: readonly Slot[],
  keyMap: readonly string[] = [],
  kind: typeof form | typeof nodejs = form,
  constants = new Map<string, bigint>(),
): Location {
  const schema = {
    kind: 'schema',
    version: 'tls_v1',
    form: kind,
    keyMap,
    constants,
    isMisplaced: false,
  } as const;
  return { outcome: { kind: 'located', slots }, context: undefined, schema, steps: [] };
}

const notPublished: Location = { outcome: { kind: 'not_published' }, context: undefined, schema: undefined, steps: [] };
const here = slotAt({ model: 'static', offset: -64 });

class Bench {
  now = 0;
  /** Milliseconds that a look takes. */
  takes = 0;
  answer: Location | undefined = notPublished;
  readonly looks: [pid: number, now: number][] = [];
  readonly places = new Map<number, readonly [ProcessInstance, ContextPlace]>();
  readonly #deferred: (() => void)[] = [];
  readonly contexts: ThreadContexts;

  constructor(maxProcesses = 100, watch?: PublicationWatchOptions) {
    this.contexts = new ThreadContexts({
      locate: ({ pid }) => {
        this.looks.push([pid, this.now]);
        this.now += this.takes;
        return this.answer;
      },
      places: {
        set: (instance, place) => void this.places.set(instance.pid, [instance, place]),
        delete: (pid) => void this.places.delete(pid),
      },
      machine: 'x86-64',
      nowMs: () => this.now,
      maxProcesses,
      watch: watch && new PublicationWatch(watch),
      defer: (callback) => void this.#deferred.push(callback),
    });
  }

  start(pid: number, execId = 1, startTime = 5n): ProcessInstance {
    const instance = { pid, startTime, execId };
    this.contexts.started(instance);
    return instance;
  }

  /** One turn of the event loop at that time; how many looks it had. */
  turn(now = this.now): number {
    const before = this.looks.length;
    this.now = now;
    this.contexts.tick();
    this.contexts.tick();
    for (const callback of this.#deferred.splice(0)) callback();
    return this.looks.length - before;
  }
}

test('a process that publishes is told of, with the place of its only slot', () => {
  const bench = new Bench();
  bench.answer = located([here], ['http.route']);
  const instance = bench.start(7);
  assert.equal(bench.looks.length, 0, 'not at once');
  assert.equal(bench.turn(), 1);
  assert.deepEqual([...bench.places.values()], [[instance, { kind: 'static', offset: -64 }]]);
  assert.deepEqual(bench.contexts.keyMapOf({ pid: 7, startTime: 5 }), ['http.route']);
  assert.deepEqual(bench.contexts.keyMapOf({ pid: 7, startTime: 6 }), []);
  assert.deepEqual(bench.contexts.counters(), { looks: 1, located: 1, unresolved: 0, evicted: 0 });
});

test('a place in a module keeps all that finding it takes, and a generation only where threads have one', () => {
  const bench = new Bench();
  const dtv = { libc: 'glibc', pointerOffset: 8, entrySize: 16, countOffset: -16, hasGeneration: true } as const;
  bench.answer = located([slotAt({ model: 'dynamic', moduleId: 3, offset: 16, generation: 9, dtv })]);
  bench.start(1);
  bench.turn();
  const place = { kind: 'module', offset: 16, moduleId: 3, generation: 9, dtvOffset: 8, countOffset: -16, entrySize: 16 };
  assert.deepEqual(bench.places.get(1)?.[1], place);
  const musl = { ...dtv, libc: 'musl', hasGeneration: false } as const;
  bench.answer = located([slotAt({ model: 'dynamic', moduleId: 3, offset: 16, generation: 9, dtv: musl })]);
  bench.start(2);
  bench.turn();
  assert.deepEqual(bench.places.get(2)?.[1], { ...place, generation: 0 });
});

test('of Go the place is that of the labels of a goroutine, told once', () => {
  const bench = new Bench();
  const runtime = { version: 'go1.26.8', current: 184, labels: 352 };
  bench.answer = { ...notPublished, outcome: { kind: 'goroutines', runtime } };
  bench.start(1);
  bench.turn();
  bench.turn(1_000);
  assert.deepEqual(bench.places.get(1)?.[1], { kind: 'goroutine', current: 184, labels: 352 });
  assert.equal(bench.contexts.counters().located, 1);
});

test('of Node.js the place is that of the way to the record', () => {
  const constants = new Map([
    ['native_wrap_fields_offset', 24n],
    ['js_object_record_offset', 24n],
  ]);
  for (const answer of [located([here], [], nodejs), located([here], [], nodejs, constants)]) {
    const bench = new Bench();
    bench.answer = answer;
    bench.start(1);
    bench.turn();
    assert.deepEqual(bench.places.get(1)?.[1], { kind: 'static', form: 'nodejs', offset: -64 });
  }
});

test('what is no proof of one place of a record is none', () => {
  for (const answer of [
    located([here, slotAt({ model: 'static', offset: -72 })]),
    located([here], [], nodejs, new Map([['native_wrap_fields_offset', 24n]])),
    located([slotAt({ model: 'static', offset: 64 }, 'aarch64')]),
    { ...notPublished, outcome: { kind: 'unresolved' } } as const,
  ]) {
    const bench = new Bench();
    bench.answer = answer;
    bench.start(1);
    bench.turn();
    assert.equal(bench.places.size, 0);
    assert.equal(bench.contexts.counters().unresolved, 1);
  }
});

test('a process that publishes nothing is looked at ever more rarely', () => {
  const bench = new Bench();
  bench.start(1);
  bench.turn();
  for (let now = 100; now <= 2_000_000; now += 100) bench.turn(now);
  assert.deepEqual(
    bench.looks.map(([, now]) => now),
    [0, 1_000, 6_000, 36_000, 156_000, 756_000, 1_356_000, 1_956_000],
  );
});

test('with a watch, a process is looked at when it may have published something, and else every ten minutes', () => {
  const sizes = new Map([[1, 7]]);
  const bench = new Bench(100, {
    visitSizes: (visit) => {
      for (const [pid, mark] of sizes) visit(pid, 5n, mark);
    },
    publishedAt: () => undefined,
  });
  bench.start(1);
  for (let now = 0; now <= 700_000; now += 100) {
    if (now === 20_000) sizes.set(1, 8);
    bench.turn(now);
  }
  // At first nobody knows how much it has mapped.
  assert.deepEqual(
    bench.looks.map(([, now]) => now),
    [0, 1_100, 20_100, 620_100],
  );
});

test('with a watch, what cannot be read yet is tried again as without', () => {
  const bench = new Bench(100, { visitSizes: () => undefined, publishedAt: () => undefined });
  bench.answer = { ...notPublished, outcome: { kind: 'unresolved' } };
  bench.start(1);
  for (let now = 0; now <= 40_000; now += 100) bench.turn(now);
  assert.deepEqual(
    bench.looks.map(([, now]) => now),
    [0, 1_000, 6_000, 36_000],
  );
});

test('a context that is being changed leaves what is known of its process as it is', () => {
  const bench = new Bench();
  bench.answer = located([here], ['a']);
  bench.start(1);
  bench.turn();
  const step = { name: 'process context', outcome: 'refused', detail: '', reason: 'updating' } as const;
  bench.answer = { ...notPublished, steps: [step] };
  bench.turn(1_000);
  assert.equal(bench.places.size, 1);
  assert.deepEqual(bench.contexts.keyMapOf({ pid: 1, startTime: 5 }), ['a']);
  bench.answer = notPublished;
  bench.turn(6_000);
  assert.equal(bench.places.size, 0);
});

test('one process is looked at in a turn, and then there is rest for nine times as long', () => {
  const bench = new Bench();
  bench.takes = 10;
  for (const pid of [1, 2, 3]) bench.start(pid);
  assert.equal(bench.turn(0), 1);
  assert.equal(bench.turn(99), 0);
  assert.equal(bench.turn(100), 1);
  assert.equal(bench.turn(200), 1);
  assert.deepEqual(
    bench.looks.map(([pid]) => pid),
    [1, 2, 3],
  );
});

test('late publication is found, and told once', () => {
  const bench = new Bench();
  bench.start(1);
  bench.turn();
  bench.answer = located([here]);
  bench.turn(1_000);
  assert.equal(bench.places.size, 1);
  bench.places.clear();
  bench.turn(6_000);
  assert.equal(bench.places.size, 0, 'the same place is not told again');
  bench.answer = located([slotAt({ model: 'static', offset: -128 })]);
  bench.turn(36_000);
  assert.deepEqual(bench.places.get(1)?.[1], { kind: 'static', offset: -128 });
  bench.answer = notPublished;
  bench.turn(156_000);
  assert.equal(bench.places.size, 0, 'what is not published any more is taken back');
});

test('the Resource that a process publishes is told whenever it is published anew, and is gone with the program', () => {
  const bench = new Bench();
  const told: (readonly [ProcessId, readonly (readonly [string, unknown])[]])[] = [];
  bench.contexts.listen((process, resource) => void told.push([process, [...resource]]));
  const publishing = (publishedAt: bigint, name: string): Location => ({
    ...notPublished,
    context: {
      kind: 'context',
      address: 4096,
      publishedAt,
      resource: new Map([['service.name', name]]),
      attributes: new Map(),
    },
  });
  bench.start(1);
  bench.turn();
  assert.deepEqual(told, []);
  bench.answer = publishing(7n, 'cart');
  bench.turn(1_000);
  bench.turn(6_000);
  bench.answer = notPublished;
  bench.turn(36_000);
  bench.answer = publishing(8n, 'shop');
  bench.turn(156_000);
  const process = { pid: 1, startTime: 5 };
  assert.deepEqual(told.splice(0), [
    [process, [['service.name', 'cart']]],
    [process, [['service.name', 'shop']]],
  ]);
  bench.start(1, 2);
  assert.deepEqual(told.splice(0), [[process, []]]);
  bench.start(1, 3);
  assert.deepEqual(told, []);
});

test('an exec, an exit and a process that is not there end it', () => {
  const bench = new Bench();
  bench.answer = located([here]);
  bench.start(1);
  bench.start(1);
  bench.turn();
  assert.equal(bench.turn(500), 0, 'the same program told twice is one');
  const after = bench.start(1, 2);
  assert.equal(bench.places.size, 0);
  bench.turn();
  assert.deepEqual(bench.places.get(1)?.[0], after);
  bench.contexts.exited({ pid: 1, startTime: 4 });
  assert.equal(bench.places.size, 1, 'the end of another process with the same id');
  bench.contexts.exited({ pid: 1, startTime: 5 });
  assert.equal(bench.places.size, 0);
  bench.answer = undefined;
  bench.start(2);
  bench.turn();
  assert.equal(bench.turn(10_000), 0);
});

test('of too many processes the oldest is forgotten', () => {
  const bench = new Bench(2);
  bench.answer = located([here]);
  for (const pid of [1, 2, 3]) {
    bench.start(pid);
    bench.turn();
  }
  assert.deepEqual([...bench.places.keys()], [2, 3]);
  assert.equal(bench.contexts.counters().evicted, 1);
});

test('a key map that has grown is read again, once a second at most', () => {
  const bench = new Bench();
  bench.answer = located([here], ['a']);
  bench.start(1);
  bench.turn();
  bench.answer = located([here], ['a', 'b']);
  bench.contexts.lookAgain({ pid: 1, startTime: 5 });
  assert.equal(bench.turn(999), 0);
  assert.equal(bench.turn(1_000), 1);
  bench.contexts.lookAgain({ pid: 1, startTime: 5 });
  assert.equal(bench.turn(1_500), 0);
  bench.now = 2_001;
  bench.contexts.lookAgain({ pid: 1, startTime: 5 });
  assert.equal(bench.turn(2_001), 1);
  assert.deepEqual(bench.contexts.keyMapOf({ pid: 1, startTime: 5 }), ['a', 'b']);
});

test('nothing is looked at after the end', () => {
  const bench = new Bench();
  bench.start(1);
  bench.contexts.tick();
  bench.contexts.close();
  assert.equal(bench.turn(), 0);
});
