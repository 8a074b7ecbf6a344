// For Node.js on arm64, with the reader of the package for it: looks at a process as test/otel-thread-context does, and prints what its threads have.
// Arguments: the reader's file, and the process as JSON.
import type * as Reader from '../../otel-thread-context/reader/index.ts';
import { EmulatedProcess } from '../otel-thread-context/reader/emulated.ts';
import type { Publisher } from '../otel-thread-context/reader/publisher.ts';

const [, , reader = '', described = '{}'] = process.argv;
const { ImageCache, locate, readThreadContext, threadSymbols } = (await import(reader)) as typeof Reader;
const publisher = JSON.parse(described) as Publisher;
const observed = new EmulatedProcess(publisher);
const { outcome, schema } = locate(observed, new ImageCache(threadSymbols));
const [slot] = outcome.kind === 'located' ? outcome.slots : [];
if (slot === undefined) throw new Error(outcome.kind);
const contexts = publisher.threads.map(({ thread, threadPointer }) => {
  const record = readThreadContext(observed.readMemory, slot.location, threadPointer, schema?.keyMap ?? []);
  return [thread, record.kind === 'context' ? record.traceId : undefined];
});
observed.close();
console.log(JSON.stringify({ arch: process.arch, contexts: Object.fromEntries(contexts) as object }));
