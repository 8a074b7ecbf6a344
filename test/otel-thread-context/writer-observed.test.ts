// The C library at one end, the reader at the other: what a program publishes is found and decoded from outside, however the library is
// built and linked. The program says where its variable is, so a place that is found by luck would be noticed.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { describe, test } from 'node:test';
import {
  ImageCache,
  locate,
  type Location,
  openProcess,
  type ProcessHandle,
  readThreadContext,
  threadSymbols,
  variableAddress,
} from '../../otel-thread-context/reader/index.ts';
import { built, isInstalled, make } from './writer.ts';

interface Publisher {
  readonly child: ChildProcessWithoutNullStreams;
  readonly lines: AsyncIterator<string, undefined>;
  readonly interface: Interface;
  readonly threads: readonly { readonly pointer: number; readonly address: number }[];
}

async function nextLine(lines: AsyncIterator<string, undefined>): Promise<string> {
  const { value } = await lines.next();
  assert.ok(value !== undefined, 'the program ended');
  return value;
}

async function start(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<Publisher> {
  const [program = '', ...argv] = command;
  const child = spawn(program, argv, { env: { ...process.env, ...environment } });
  child.stderr.pipe(process.stderr);
  const readline = createInterface({ input: child.stdout });
  const lines = readline[Symbol.asyncIterator]();
  const threads = [];
  for (;;) {
    const line = await nextLine(lines);
    if (line === 'ready') return { child, lines, interface: readline, threads };
    const match = /^thread (0x[0-9a-f]+) (0x[0-9a-f]+)$/.exec(line);
    assert.ok(match, line);
    const [, pointer = '', address = ''] = match;
    threads.push({ pointer: Number(pointer), address: Number(address) });
  }
}

async function say(publisher: Publisher, word: string): Promise<void> {
  publisher.child.stdin.write(`${word}\n`);
  assert.equal(await nextLine(publisher.lines), 'done');
}

async function end(publisher: Publisher): Promise<void> {
  publisher.child.stdin.end();
  if (publisher.child.exitCode === null) await once(publisher.child, 'exit');
  publisher.interface.close();
  assert.equal(publisher.child.exitCode, 0);
}

/** What each thread of the program is in; the place that was found is the one that the thread named. */
function threadContexts(handle: ProcessHandle, location: Location, publisher: Publisher): unknown[] {
  const { outcome, schema } = location;
  assert.ok(outcome.kind === 'located' && schema, JSON.stringify(location.steps, undefined, 1));
  return publisher.threads.map(({ pointer, address }) => {
    const slots = outcome.slots.filter((slot) => {
      const variable = variableAddress(handle.readMemory, slot.location, pointer);
      return variable.kind === 'address' && variable.address === address;
    });
    assert.equal(slots.length, 1, JSON.stringify(location.steps, undefined, 1));
    const context = readThreadContext(handle.readMemory, slots[0]!.location, pointer, schema.keyMap);
    if (context.kind !== 'context') return context;
    const { traceId, spanId, flags, attributes } = context;
    return { traceId, spanId, flags, attributes: Object.fromEntries(attributes) };
  });
}

const first = { traceId: 'a0'.repeat(16), spanId: 'a1'.repeat(8), flags: 3, attributes: { 'http.route': '/first' } };
const second = { traceId: 'b0'.repeat(16), spanId: 'b1'.repeat(8), flags: 3, attributes: { 'http.route': '/second/{id}' } };

const library = [built('static', 'test/loader'), built('static', 'test/publisher.so')];
const clangLibrary = [built('clang', 'test/loader'), built('clang', 'test/publisher.so')];
const noStaticTls = { GLIBC_TUNABLES: 'glibc.rtld.optional_static_tls=0' };
// The last word is the model in which it is reached from somewhere: a program has the offset of a library's variable, too.
const shapes: readonly (readonly [string, string, string, string[], Record<string, string>, string])[] = [
  ['a shared library', 'shared', 'gcc', [], {}, 'static'],
  ['a shared library of clang', 'clang', 'clang', [], {}, 'static'],
  ['a program', 'static', 'gcc', [], {}, 'static'],
  ['a program optimised as a whole', 'lto', 'gcc', [], {}, 'static'],
  ['a static program', 'static-glibc', 'gcc', [], {}, 'static'],
  ['a static-pie program', 'static-pie', 'ld.lld', [], {}, 'static'],
  ['a shared library of musl', 'musl', 'musl-gcc', [], {}, 'static'],
  ['a static program of musl', 'musl-static', 'musl-gcc', [], {}, 'static'],
  ['a loaded library', 'static', 'gcc', library, {}, 'static'],
  ['a loaded library of clang', 'clang', 'clang', clangLibrary, {}, 'dynamic'],
  ['a loaded library without static TLS', 'static', 'gcc', library, noStaticTls, 'dynamic'],
];

for (const [title, variant, compiler, command, environment, model] of shapes) {
  const skip = !isInstalled(compiler) && `${compiler} is not installed`;
  describe(`published from ${title}`, { skip }, () => {
    test('process, threads and a key map that grows are read as they were written', async () => {
      make(`build-${variant}`);
      const publisher = await start(command.length > 0 ? command : [built(variant, 'test/publisher')], environment);
      const handle = openProcess(publisher.child.pid!);
      const cache = new ImageCache(threadSymbols);
      try {
        let location = locate(handle, cache);
        assert.deepEqual(threadContexts(handle, location, publisher), [first, second]);
        assert.deepEqual(Object.fromEntries(location.context!.resource), {
          'service.name': 'publisher',
          'service.version': '1.2.3',
        });
        assert.equal(location.schema?.version, 'tlsdesc_v1_dev');
        assert.deepEqual(location.schema.keyMap, ['http.route']);
        assert.ok(location.outcome.kind === 'located');
        assert.ok(location.outcome.slots.some((slot) => slot.location.model === model));

        await say(publisher, 'grow');
        location = locate(handle, cache);
        assert.deepEqual(location.schema?.keyMap, ['http.route', 'user.id']);
        const grown = { ...first, attributes: { 'http.route': '/first', 'user.id': '42' } };
        assert.deepEqual(threadContexts(handle, location, publisher), [grown, second]);

        await say(publisher, 'detach');
        assert.deepEqual(threadContexts(handle, location, publisher), [{ kind: 'none', reason: 'no_record' }, second]);
      } finally {
        await end(publisher);
        handle.close();
      }
    });
  });
}
