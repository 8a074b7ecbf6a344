import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProcesses } from '../../receiver/attribution/processes.ts';
import { imageOf } from './image.ts';

const image = (pid: number, startTime = 1, executablePath = '/bin/a') => imageOf({ pid, startTime, executablePath });

test('a process is found by its pid and start time, and by nothing less', () => {
  const processes = createProcesses({ maxProcesses: 10 });
  const a = image(1, 5);
  processes.onImage(a);
  assert.equal(processes.lookup({ pid: 1, startTime: 5 }), a);
  assert.equal(processes.lookup({ pid: 1, startTime: 6 }), undefined);
  assert.equal(processes.lookup({ pid: 2, startTime: 5 }), undefined);
  assert.deepEqual(processes.counters(), { images: 1, exits: 0, published: 0, evictedExited: 0, evictedLive: 0, unknown: 2 });
});

test('exec gives a process another image', () => {
  const processes = createProcesses({ maxProcesses: 10 });
  processes.onImage(image(1));
  const after = image(1, 1, '/bin/b');
  processes.onImage(after);
  assert.equal(processes.lookup(after), after);
  assert.equal(processes.counters().images, 2);
});

test('an image told twice stays the object it was', () => {
  const processes = createProcesses({ maxProcesses: 10 });
  const first = imageOf({ environment: { OTEL_SERVICE_NAME: 'a' } });
  processes.onImage(first);
  processes.onImage(imageOf({ environment: { OTEL_SERVICE_NAME: 'a' }, comm: 'renamed' }));
  assert.equal(processes.lookup(first), first);
  const changes = [
    imageOf({ environment: { OTEL_SERVICE_NAME: 'b' } }),
    imageOf({ environment: { OTEL_OTHER: 'a' } }),
    imageOf({ args: ['x'] }),
    imageOf({ cgroupPath: '/x' }),
  ];
  for (const change of changes) {
    processes.onImage(change);
    assert.equal(processes.lookup(first), change);
  }
});

test('a process that ended is remembered, and forgotten after the retention', () => {
  const processes = createProcesses({ maxProcesses: 10, retentionNs: 100 });
  const [a, b] = [image(1), image(2)];
  processes.onImage(a);
  processes.onImage(b);
  processes.onExit(a, 1_000);
  processes.onExit({ pid: 9, startTime: 1 }, 1_099);
  assert.equal(processes.lookup(a), a);
  processes.onExit({ pid: 9, startTime: 1 }, 1_100);
  assert.equal(processes.lookup(a), undefined);
  assert.equal(processes.lookup(b), b);
  assert.equal(processes.counters().exits, 1);
});

test('a pid that is used again names two processes, and the end of one is not the end of the other', () => {
  const processes = createProcesses({ maxProcesses: 10, retentionNs: 100 });
  const [first, second, third] = [image(1, 1), image(1, 2), image(1, 3)];
  processes.onImage(first);
  processes.onExit(first, 1_000);
  processes.onImage(second);
  assert.equal(processes.lookup(first), first);
  assert.equal(processes.lookup(second), second);
  processes.onExit(second, 1_050);
  processes.onImage(third);
  // The first is the last of the chain of this pid, the second its middle.
  processes.onExit({ pid: 9, startTime: 1 }, 1_120);
  assert.deepEqual([first, second, third].map(processes.lookup), [undefined, second, third]);
  processes.onExit({ pid: 9, startTime: 1 }, 1_200);
  assert.deepEqual([first, second, third].map(processes.lookup), [undefined, undefined, third]);
});

test('a process whose end was missed ends when its pid is used again', () => {
  const processes = createProcesses({ maxProcesses: 2, retentionNs: 100 });
  const [lost, other, next] = [image(1, 1), image(2), image(1, 2)];
  processes.onImage(lost);
  processes.onImage(other);
  processes.onExit({ pid: 9, startTime: 1 }, 1_000);
  processes.lookup(lost);
  processes.lookup(other);
  processes.onImage(next);
  const another = image(3);
  processes.onImage(another);
  assert.equal(processes.lookup(next), next);
  assert.equal(processes.lookup(another), another);
  assert.deepEqual([processes.lookup(lost), processes.lookup(other)], [undefined, undefined]);
});

test('the one that ended first makes room, before any live one does', () => {
  const processes = createProcesses({ maxProcesses: 3 });
  const [a, b, c, d] = [image(1), image(2), image(3), image(4)];
  for (const each of [a, b, c]) processes.onImage(each);
  processes.onExit(c, 10);
  processes.onExit(b, 20);
  processes.onImage(d);
  assert.deepEqual([a, b, c, d].map(processes.lookup), [a, b, undefined, d]);
  assert.equal(processes.counters().evictedExited, 1);
  assert.equal(processes.counters().evictedLive, 0);
});

test('among live ones those that nobody asks for make room', () => {
  const processes = createProcesses({ maxProcesses: 3 });
  const [a, b, c, d] = [image(1), image(2), image(3), image(4)];
  for (const each of [a, b, c]) processes.onImage(each);
  processes.lookup(a);
  processes.onImage(d);
  assert.deepEqual([a, b, c, d].map(processes.lookup), [a, undefined, c, d]);
  assert.equal(processes.counters().evictedLive, 1);
});

test('the bound holds when all are live and in use, and when pids are used again and again', () => {
  const processes = createProcesses({ maxProcesses: 100 });
  const all = Array.from({ length: 1_000 }, (_, i) => image(i % 50, i));
  for (const each of all) {
    processes.onImage(each);
    assert.equal(processes.lookup(each), each);
    if (each.startTime % 3 === 0) processes.onExit(each, each.startTime);
  }
  const found = all.filter((each) => processes.lookup(each) !== undefined);
  assert.ok(found.length <= 100 && found.length > 50, String(found.length));
});

test('what a process publishes makes it another image, as long as it runs the same program', () => {
  const processes = createProcesses({ maxProcesses: 10 });
  const first = image(1);
  const published = new Map([['service.name', 'cart']]);
  processes.onPublished(first, published);
  assert.equal(processes.lookup(first), undefined, 'of a process that is not known');
  processes.onImage(first);
  processes.onPublished(first, published);
  const after = processes.lookup(first);
  assert.deepEqual(after, { ...first, published });
  assert.deepEqual([processes.isAlive(first), processes.isAlive(after)], [false, true]);
  processes.onPublished(first, new Map(published));
  processes.onImage(image(1));
  assert.equal(processes.lookup(first), after, 'told again, it changes nothing');
  processes.onPublished(first, new Map([['service.name', 'shop']]));
  assert.equal(processes.lookup(first)?.published?.get('service.name'), 'shop');
  assert.equal(processes.counters().published, 2);
  processes.onImage(image(1, 1, '/bin/b'));
  assert.equal(processes.lookup(first)?.published, undefined, 'another program has published nothing');
});
