// The threads of one process, or of all, and their thread pointers: by a task iterator of the kernel (bpf/threads.bpf.c), which needs no running
// receiver and stops nobody.
import { fileURLToPath } from 'node:url';
import { NativeError, openObject } from '../../native/index.ts';
import type { ThreadEntry } from '../model/examination.ts';
import { threadEntry } from './layout.ts';

export type ThreadList =
  { readonly kind: 'threads'; readonly threads: readonly ThreadEntry[] } | { readonly kind: 'refused'; readonly reason: string };

/** From receiver/kernel as well as from dist/receiver/kernel. */
const objectPath = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../build/threads.bpf.o' : '../../../build/threads.bpf.o', import.meta.url),
);
const MAX_ADDRESS = 2n ** 52n;

/** `pid` in the initial pid namespace; 0: of all processes. Needs what loading a BPF program needs. */
export function listThreads(pid: number): ThreadList {
  try {
    const object = openObject({
      object: objectPath,
      constants: { wanted_tgid: new Uint8Array(Uint32Array.of(pid).buffer) },
    });
    try {
      return { kind: 'threads', threads: decodeThreads(object.iterate('list_threads')) };
    } finally {
      object.close();
    }
  } catch (error) {
    if (error instanceof NativeError) return { kind: 'refused', reason: error.message };
    throw error;
  }
}

/** What the iterator wrote. A cut-off entry at the end is none. */
export function decodeThreads(bytes: Uint8Array): readonly ThreadEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const threads: ThreadEntry[] = [];
  for (let at = 0; at + threadEntry.sizeOf <= bytes.length; at += threadEntry.sizeOf) {
    const name = bytes.subarray(at + threadEntry.comm, at + threadEntry.sizeOf);
    const end = name.indexOf(0);
    const pointer = view.getBigUint64(at + threadEntry.threadPointer, true);
    threads.push({
      pid: view.getUint32(at + threadEntry.tgid, true),
      tid: view.getUint32(at + threadEntry.tid, true),
      name: Buffer.from(name.subarray(0, end === -1 ? undefined : end)).toString('utf8'),
      startTime: view.getBigUint64(at + threadEntry.startTime, true),
      threadPointer: pointer < MAX_ADDRESS ? Number(pointer) : 0,
    });
  }
  return threads;
}
