import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { kernelTest } from '../support/kernel.ts';
import { openProbe, trigger, u32, uniqueTarget } from './probe.ts';

const program = fileURLToPath(new URL('probe-program.ts', import.meta.url));

function run(ending: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ending, String(uniqueTarget())], { encoding: 'utf8', timeout: 20_000 });
}

function startWorker(ending: string): Worker {
  return new Worker(program, { workerData: [ending, String(uniqueTarget())] });
}

/** What this process holds of BPF: programs, maps, links. */
function heldDescriptors(): string[] {
  return readdirSync('/proc/self/fd')
    .map(readDescriptor)
    .filter((target) => target.includes('bpf'));
}

function readDescriptor(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // that of the listing itself
  }
}

function isProgramLoaded(id: number): boolean {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
  return spawnSync('bpftool', ['prog', 'show', 'id', String(id)], { env }).status === 0;
}

describe('the end of', kernelTest(), () => {
  test('a process is not delayed by an open watch', () => {
    const { status, stdout, stderr } = run('return');
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'ready\n', stderr: '' });
  });

  test('a process may come right after close()', () => {
    assert.equal(run('close-exit').status, 0);
  });

  test('a callback by an exception is an uncaught exception', () => {
    const { status, stderr } = run('throw');
    assert.equal(status, 1);
    assert.match(stderr, /Error: from the callback/);
  });

  test('a process by SIGKILL leaves no program behind', async () => {
    const child = spawn(process.execPath, [program, 'busy', String(uniqueTarget())], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [announcement] = (await once(child.stdout, 'data')) as [Buffer];
    const id = Number(/program (\d+)/.exec(announcement.toString())?.[1]);
    assert.ok(isProgramLoaded(id));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const deadline = performance.now() + 10_000;
    while (isProgramLoaded(id) && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!isProgramLoaded(id));
  });

  test('a worker that returns gives everything back', async () => {
    const before = heldDescriptors();
    const worker = startWorker('return');
    const [code] = (await once(worker, 'exit')) as [number];
    assert.equal(code, 0);
    assert.deepEqual(heldDescriptors(), before);
  });

  test('a worker that is terminated amid callbacks gives everything back', async () => {
    const before = heldDescriptors();
    for (let round = 0; round < 5; round++) {
      const worker = startWorker('busy');
      for (let turn = 0; turn < 20; turn++) await once(worker, 'message');
      assert.equal(await worker.terminate(), 1);
    }
    assert.deepEqual(heldDescriptors(), before);
  });

  test('a worker that is terminated while objects are opened gives everything back', async () => {
    const before = heldDescriptors();
    for (let round = 0; round < 5; round++) {
      const worker = startWorker('opening');
      await once(worker, 'message');
      await worker.terminate();
    }
    assert.deepEqual(heldDescriptors(), before);
  });

  test('one worker leaves another, and this thread, undisturbed', async () => {
    const target = uniqueTarget();
    const object = openProbe(target);
    object.attach();
    const [first, second] = [startWorker('busy'), startWorker('busy')];
    await Promise.all([once(first, 'message'), once(second, 'message')]);
    await first.terminate();
    for (let turn = 0; turn < 20; turn++) await once(second, 'message');
    await second.terminate();
    trigger(target);
    assert.equal(object.map('.bss').lookup(u32(0))?.[0], 1);
    object.close();
  });

  test('an object that was forgotten gives everything back when it is collected', () => {
    const script = `
      const { openProbe, setOrder } = await import(${JSON.stringify(new URL('probe.ts', import.meta.url).href)});
      const { readdirSync, readlinkSync } = await import('node:fs');
      const held = () => readdirSync('/proc/self/fd').filter((fd) => {
        try { return readlinkSync('/proc/self/fd/' + fd).includes('bpf'); } catch { return false; }
      }).length;
      (() => { const object = openProbe(1); object.attach(); object.ring('ring'); object.memory('orders'); })();
      if (held() === 0) throw new Error('nothing was opened');
      for (let round = 0; round < 100 && held() > 0; round++) {
        gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      console.log(held());
    `;
    const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(child.stderr, '');
    assert.equal(child.stdout, '0\n');
  });
});
