// The threads of one process, or of all, and their thread pointers; and how much each process has mapped. By task iterators of the kernel
// (bpf/threads.bpf.c), which need no running receiver and stop nobody.
import { type BpfObject, builtPath, NativeError, openObject } from '../../native/index.ts';
import type { ThreadEntry } from '../model/examination.ts';
import { processSize, threadEntry } from './layout.ts';

export type ThreadList =
  { readonly kind: 'threads'; readonly threads: readonly ThreadEntry[] } | { readonly kind: 'refused'; readonly reason: string };

const NOTHING = new Uint8Array(0);
const MAX_ADDRESS = 2n ** 52n;

/** `pid` in the initial pid namespace; 0: of all processes. Needs what loading a BPF program needs. */
export function listThreads(pid: number): ThreadList {
  try {
    const object = openObject({
      object: builtPath('threads.bpf.o'),
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

/** `mark` is another number when the process has mapped or unmapped something. */
export type VisitProcess = (pid: number, startTime: bigint, mark: number) => void;

/** How much processes have mapped, again and again. Owns the iterator. */
export class ProcessSizes {
  readonly #object: BpfObject;
  #isClosed = false;

  constructor(object: BpfObject) {
    this.#object = object;
  }

  /** A tenth of a millisecond for some hundred processes. */
  visit(visit: VisitProcess): void {
    const bytes = this.#list();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + processSize.sizeOf <= bytes.length; at += processSize.sizeOf) {
      const mark =
        Number(view.getBigUint64(at + processSize.pages, true)) * 65_536 + view.getUint32(at + processSize.mappings, true);
      visit(view.getUint32(at + processSize.tgid, true), view.getBigUint64(at + processSize.startTime, true), mark);
    }
  }

  /** May be called twice; nothing is visited any more. */
  close(): void {
    this.#isClosed = true;
    this.#object.close();
  }

  #list(): Uint8Array {
    if (this.#isClosed) return NOTHING;
    try {
      return this.#object.iterate('list_processes');
    } catch (error) {
      // Short of memory, perhaps: there is another time.
      if (error instanceof NativeError) return NOTHING;
      throw error;
    }
  }
}

/** Undefined: the kernel does not let us, and who asks has to do without. */
export function openProcessSizes(): ProcessSizes | undefined {
  try {
    return new ProcessSizes(openObject({ object: builtPath('threads.bpf.o') }));
  } catch (error) {
    if (error instanceof NativeError) return undefined;
    throw error;
  }
}
