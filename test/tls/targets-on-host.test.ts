// The search for TLS libraries among the processes of this host: what is probed is really probed, in time, and holds nobody up.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { type BpfObject, openObject } from '../../native/index.ts';
import { createTlsTargets } from '../../receiver/tls/open.ts';
import type { TlsTargets } from '../../receiver/tls/targets.ts';
import { kernelTest } from '../support/kernel.ts';

const options = kernelTest();
const source = fileURLToPath(new URL('calls.c', import.meta.url));
const objectPath = fileURLToPath(new URL('../../build/test/uprobe.bpf.o', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'usm-targets-'));
const children = new Set<ChildProcessWithoutNullStreams>();
const objects: BpfObject[] = [];

before(() => {
  const { status, stderr } = spawnSync('gcc', ['-O2', '-rdynamic', source, '-o', join(directory, 'calls')], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

after(() => {
  for (const object of objects) object.close();
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Each test has a file of its own: a probe is for all processes of a file. */
function copyProgram(name: string): string {
  const path = join(directory, name);
  copyFileSync(join(directory, 'calls'), path);
  return path;
}

async function start(path: string): Promise<ChildProcessWithoutNullStreams> {
  const child = spawn(path);
  children.add(child);
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
  children.delete(child);
}

interface Search {
  readonly targets: TlsTargets;
  /** How often each file is attached to, by its path. Other processes of the host come and go meanwhile, and are probed as well. */
  readonly attached: Map<string, number>;
  readonly begun: number;
}

function openSearch(): Search {
  const object = openObject({ object: objectPath });
  objects.push(object);
  const attached = new Map<string, number>();
  const begun = performance.now();
  const targets = createTlsTargets({
    kernel: {
      attachProbes: (_program, file, sites) => {
        const probes = object.attachProbes('on_call', file, sites);
        const path = readlinkSync(file);
        attached.set(path, (attached.get(path) ?? 0) + 1);
        return {
          close: () => {
            probes.release();
            attached.set(path, (attached.get(path) ?? 0) - 1);
          },
        };
      },
      activateTarget: () => undefined,
      clearTarget: () => undefined,
    },
    maxTargets: 64,
    now: () => (performance.now() - begun) * 1e6,
  });
  return { targets, attached, begun };
}

function found(targets: TlsTargets): Promise<void> {
  return new Promise((resolve) => {
    targets.start(resolve);
  });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'not in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('200 processes of one file are probed within a second of work', options, async (t) => {
  const path = copyProgram('many');
  const processes = await Promise.all(Array.from({ length: 200 }, () => start(path)));
  const { targets, attached } = openSearch();
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const begun = performance.now();
  const cpu = process.cpuUsage();
  await found(targets);
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const cpuMs = (user + system) / 1e3;
  delays.disable();
  const { probed, sites, looks } = targets.counters();
  t.diagnostic(
    `${took.toFixed(0)} ms (${cpuMs.toFixed(0)} ms of CPU) for ${String(looks)} processes, ${String(probed)} files, ${String(sites)} sites; longest turn ${(delays.max / 1e6).toFixed(1)} ms`,
  );
  assert.ok(looks >= 200);
  assert.ok((attached.get(path) ?? 0) > 0);
  // The clock on the wall also counts what others do meanwhile.
  assert.ok(cpuMs < 1_000, `${cpuMs.toFixed(0)} ms`);
  targets.close();
  await Promise.all(processes.map(end));
});

test('a program that begins later is probed, and no longer when it has ended', options, async (t) => {
  const path = copyProgram('late');
  const { targets, attached } = openSearch();
  await found(targets);
  assert.equal(attached.get(path), undefined);
  const child = await start(path);
  const begun = performance.now();
  const { probed } = targets.counters();
  targets.executed(child.pid ?? 0);
  // All of its probes: an end that is told meanwhile is only noticed by the next sweep.
  await until(() => (attached.get(path) ?? 0) > 0 && targets.counters().probed > probed);
  t.diagnostic(`probed ${(performance.now() - begun).toFixed(1)} ms after it was told of`);
  await end(child);
  const ended = performance.now();
  targets.exited({ pid: child.pid ?? 0, startTime: 0 });
  await until(() => attached.get(path) === 0);
  t.diagnostic(`released ${(performance.now() - ended).toFixed(1)} ms after its end was told`);
  targets.close();
});

test('a process that encrypts is probed also when nobody told of its beginning', options, async () => {
  const path = copyProgram('untold');
  const { targets, attached } = openSearch();
  await found(targets);
  assert.equal(attached.get(path), undefined);
  const child = await start(path);
  targets.encrypts({ pid: child.pid ?? 0, startTime: 1 });
  await until(() => (attached.get(path) ?? 0) > 0);
  await end(child);
  targets.close();
});
