import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { type BpfObject, NativeError, openObject } from '../../native/index.ts';
import { kernelTest } from '../support/kernel.ts';

const options = kernelTest();
const objectPath = fileURLToPath(new URL('../../build/test/uprobe.bpf.o', import.meta.url));
const programPath = fileURLToPath(new URL('../../build/test/called', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'usm-uprobe-'));
const open: { close(): void }[] = [];

after(() => {
  for (const each of open) each.close();
  rmSync(directory, { recursive: true, force: true });
});

function openUprobe(): BpfObject {
  const object = openObject({ object: objectPath });
  open.push(object);
  return object;
}

/** Each test has a file of its own: a probe is for all processes of a file. */
function copyProgram(name: string): string {
  const path = join(directory, name);
  copyFileSync(programPath, path);
  return path;
}

class Program {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string, undefined>;
  readonly #reader: Interface;

  private constructor(path: string) {
    this.#child = spawn(path);
    this.#reader = createInterface(this.#child.stdout);
    this.#lines = this.#reader[Symbol.asyncIterator]();
    open.push(this);
  }

  static async start(path: string): Promise<{ program: Program; offset: number }> {
    const program = new Program(path);
    return { program, offset: Number(await program.#line()) };
  }

  async call(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      this.#child.stdin.write('\n');
      assert.equal(await this.#line(), 'called');
    }
  }

  /** The program's file as the kernel keeps it for the process. */
  mappedFile(): string {
    const folder = `/proc/${String(this.#child.pid)}`;
    const [range] = readFileSync(`${folder}/maps`, 'utf8').split(' ', 1);
    assert.ok(range !== undefined);
    return `${folder}/map_files/${range}`;
  }

  async #line(): Promise<string> {
    const next: IteratorResult<string, undefined> = await this.#lines.next();
    assert.ok(next.done !== true, 'the program has ended');
    return next.value;
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

function hits(object: BpfObject, cookie: bigint): number {
  const value = object.map('hits').lookup(new Uint8Array(BigUint64Array.of(cookie).buffer));
  return value === undefined ? 0 : Number(new BigUint64Array(value.buffer)[0]);
}

function isFailure(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof NativeError && error.code === code && pattern.test(error.message);
}

test(
  'a probe runs with its cookie, in processes that are there and in those that come, until it is closed',
  options,
  async () => {
    const path = copyProgram('all');
    const object = openUprobe();
    const { program: first, offset } = await Program.start(path);
    await first.call(2);
    const cookie = 0xfedc_ba98_7654_3210n;
    const probe = object.attachProbes('on_call', path, [{ offset, cookie }]);
    await first.call(3);
    assert.equal(hits(object, cookie), 3);
    const { program: second } = await Program.start(path);
    await second.call(4);
    assert.equal(hits(object, cookie), 7);
    probe.close();
    probe.close();
    await first.call(1);
    await second.call(1);
    assert.equal(hits(object, cookie), 7);
  },
);

test('probes that are released are gone soon, and nobody waits for it', options, async () => {
  const path = copyProgram('released');
  const object = openUprobe();
  const { program, offset } = await Program.start(path);
  const probe = object.attachProbes('on_call', path, [{ offset, cookie: 1n }]);
  await program.call(1);
  probe.release();
  probe.release();
  probe.close();
  const deadline = performance.now() + 10_000;
  for (let before = -1; before !== hits(object, 1n);) {
    assert.ok(performance.now() < deadline, 'it still runs');
    before = hits(object, 1n);
    await program.call(1);
  }
  // What is on its way as the object is closed does no harm.
  object.attachProbes('on_call', path, [{ offset, cookie: 2n }]).release();
  object.close();
  await program.call(1);
});

test('two probes at one instruction both run', options, async () => {
  const path = copyProgram('two');
  const object = openUprobe();
  const { program, offset } = await Program.start(path);
  const probe = object.attachProbes('on_call', path, [{ offset, cookie: 1n }]);
  object.attachProbes('on_call', path, [{ offset, cookie: 2n }]);
  await program.call(2);
  probe.close();
  await program.call(1);
  assert.deepEqual([hits(object, 1n), hits(object, 2n)], [2, 3]);
});

test('a file that takes the name of a probed one is not probed', options, async () => {
  const path = copyProgram('replaced');
  const object = openUprobe();
  const { program: old, offset } = await Program.start(path);
  object.attachProbes('on_call', path, [{ offset, cookie: 1n }]);
  renameSync(copyProgram('replacement'), path);
  const { program: replaced } = await Program.start(path);
  await replaced.call(5);
  assert.equal(hits(object, 1n), 0);
  await old.call(1);
  assert.equal(hits(object, 1n), 1);
  object.attachProbes('on_call', path, [{ offset, cookie: 2n }]);
  await replaced.call(2);
  await old.call(1);
  assert.deepEqual([hits(object, 1n), hits(object, 2n)], [2, 2]);
});

test('a file is found through the mapping of a process, also when it has no name any more', options, async () => {
  const path = copyProgram('deleted');
  const object = openUprobe();
  const { program, offset } = await Program.start(path);
  rmSync(path);
  object.attachProbes('on_call', program.mappedFile(), [{ offset, cookie: 1n }]);
  await program.call(2);
  assert.equal(hits(object, 1n), 2);
});

test('closing the object detaches its probes; closing them afterwards is allowed', options, async () => {
  const path = copyProgram('closed');
  const witness = openUprobe();
  const object = openUprobe();
  const { program, offset } = await Program.start(path);
  const probe = object.attachProbes('on_call', path, [{ offset, cookie: 1n }]);
  witness.attachProbes('on_call', path, [{ offset, cookie: 1n }]);
  await program.call(1);
  assert.equal(hits(object, 1n), 1);
  object.close();
  probe.close();
  await program.call(1);
  await program.end();
  assert.equal(hits(witness, 1n), 2);
  assert.throws(() => object.attachProbes('on_call', path, [{ offset, cookie: 1n }]), isFailure('EBADF', /closed/));
});

test('attaching everything leaves out programs that are probes', options, () => {
  const object = openUprobe();
  object.attach();
  assert.deepEqual(
    object.programs().map(({ name }) => name),
    ['on_call', 'on_site', 'on_exit'],
  );
});

test('what cannot be attached is refused with the reason', options, () => {
  const path = copyProgram('refused');
  const object = openUprobe();
  const attach =
    (program: string, file: string, offset: number, cookie = 0n) =>
    () =>
      object.attachProbes(program, file, [{ offset, cookie }]);
  assert.throws(attach('on_call', path, statSync(path).size + 4096), isFailure('EINVAL', /on_call' to file '.*refused' at \d+/));
  assert.throws(attach('on_call', path, -1), isFailure('EINVAL', /-1 is no offset/));
  assert.throws(attach('on_call', path, 0.5), isFailure('EINVAL', /0\.5 is no offset/));
  assert.throws(attach('on_call', path, 0, 1n << 64n), isFailure('EINVAL', /more than 64 bits/));
  assert.throws(attach('on_call', join(directory, 'nothing'), 0), isFailure('ENOENT', /nothing' at 0/));
  assert.throws(attach('on_call', directory, 0), isFailure('EBADF', /at 0/));
  assert.throws(attach('on_nothing', path, 0), isFailure('ENOENT', /no such program/));
  assert.throws(attach('on_exit', path, 0), isFailure('EINVAL', /not a probe/));
});
