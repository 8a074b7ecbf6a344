import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createHealthHandler,
  type Deliveries,
  Health,
  type HealthOptions,
  type HealthSources,
  type Phase,
} from '../../receiver/extensions/health-check.ts';

/** A receiver whose state the test sets. */
class State implements HealthSources {
  currentPhase: Phase = 'running';
  now = 1_000_000;
  lastTaken = 1_000_000;
  exporters: readonly Deliveries[] = [];
  phase = (): Phase => this.currentPhase;
  nowMs = (): number => this.now;
  lastTakenMs = (): number => this.lastTaken;
  deliveries = (): readonly Deliveries[] => this.exporters;
  upSinceMs = (): number | undefined => Date.UTC(2026, 0, 1);
}

const options: HealthOptions = {
  path: '/',
  healthyBody: undefined,
  unhealthyBody: undefined,
  stallTimeoutMs: 10_000,
  exporterFailureTimeoutMs: 60_000,
};

function exporter(changes: Partial<Deliveries>): Deliveries {
  return { id: 'otlp', signal: 'traces', accepted: 0, rejected: 0, failed: 0, queueFull: 0, queueSize: 0, ...changes };
}

/** `seconds` of life, looked at each second, with events taken all the time. */
function live(state: State, health: Health, seconds: number, exporters?: (second: number) => readonly Deliveries[]): void {
  for (let second = 1; second <= seconds; second++) {
    state.now += 1_000;
    state.lastTaken = state.now;
    if (exporters !== undefined) state.exporters = exporters(second);
    health.look();
  }
}

const ask = async (state: State, health: Health, changes: Partial<HealthOptions> = {}, path = '/') => {
  const handler = createHealthHandler(health, state, { ...options, ...changes });
  return handler({ path, query: new URLSearchParams(), signal: new AbortController().signal });
};

test('200 while capture runs, 503 before and after', async () => {
  const state = new State();
  const health = new Health(state, options);
  const table: readonly (readonly [Phase, number, string])[] = [
    ['starting', 503, '{"status":"Server not available","problems":[{"component":"capture","problem":"not running yet"}]}\n'],
    ['running', 200, '{"status":"Server available","upSince":"2026-01-01T00:00:00.000Z"}\n'],
    ['stopping', 503, '{"status":"Server not available","problems":[{"component":"capture","problem":"shutting down"}]}\n'],
  ];
  for (const [phase, status, body] of table) {
    state.currentPhase = phase;
    const answer = await ask(state, health);
    assert.deepEqual([answer.status, answer.body], [status, body]);
  }
});

test('bodies of the user’s choice, and one path', async () => {
  const state = new State();
  const health = new Health(state, options);
  const bodies = { path: '/health', healthyBody: 'fine', unhealthyBody: 'not fine' };
  assert.deepEqual((await ask(state, health, bodies, '/health')).body, 'fine');
  assert.equal((await ask(state, health, bodies, '/')).status, 404);
  state.currentPhase = 'stopping';
  const { status, body } = await ask(state, health, bodies, '/health');
  assert.deepEqual([status, body], [503, 'not fine']);
});

test('503 when no events are taken from the kernel for longer than stall_timeout', () => {
  const state = new State();
  const health = new Health(state, options);
  state.now += 10_000;
  assert.deepEqual(health.problems(), []);
  state.now += 1_500;
  assert.deepEqual(health.problems(), [{ component: 'capture', problem: 'no events were taken from the kernel for 11.5 s' }]);
  state.lastTaken = state.now;
  assert.deepEqual(health.problems(), []);
});

test('503 when an exporter has something to deliver and delivers nothing for long, 200 as soon as it delivers again', () => {
  const state = new State();
  const health = new Health(state, options);
  state.exporters = [exporter({ accepted: 5 })];
  live(state, health, 100);
  assert.deepEqual(health.problems(), [], 'without traffic nothing fails');
  live(state, health, 61, () => [exporter({ accepted: 5, queueSize: 7 })]);
  assert.deepEqual(health.problems(), []);
  live(state, health, 1);
  assert.deepEqual(health.problems(), [
    {
      component: 'otlp (traces)',
      problem: 'has delivered nothing for 61.0 s: 7 in the queue, 0 given up, 0 refused',
    },
  ]);
  live(state, health, 1, () => [exporter({ accepted: 6, queueSize: 6 })]);
  assert.deepEqual(health.problems(), []);
});

test('a backend that refuses, gives up or fills the queue is failing although nothing waits', () => {
  for (const key of ['rejected', 'failed', 'queueFull'] as const) {
    const state = new State();
    const health = new Health(state, options);
    // With pauses, in which there is nothing to deliver.
    live(state, health, 80, (second) => [exporter({ [key]: Math.floor(second / 10) })]);
    assert.equal(health.problems().length, 1, key);
    // With some deliveries in between it is a matter of the data, not of the backend.
    live(state, health, 62, (second) => [exporter({ [key]: 100 + second, accepted: second })]);
    assert.deepEqual(health.problems(), [], key);
  }
});

test('each exporter and signal is looked at by itself, and none with a timeout of 0', () => {
  const state = new State();
  const failing = (): readonly Deliveries[] => [
    exporter({ accepted: state.now }),
    exporter({ signal: 'metrics', queueSize: 1 }),
    exporter({ id: 'file', queueSize: 2 }),
  ];
  const health = new Health(state, options);
  live(state, health, 63, failing);
  assert.deepEqual(
    health.problems().map(({ component }) => component),
    ['otlp (metrics)', 'file (traces)'],
  );
  const lenient = new Health(state, { ...options, exporterFailureTimeoutMs: 0 });
  live(state, lenient, 200, failing);
  assert.deepEqual(lenient.problems(), []);
});
