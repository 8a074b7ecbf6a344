// How each libc finds a module's thread-local block: its dynamic thread vector (DTV). These layouts are what compiled code and the
// libc's own assembly rely on, so they don't change. https://www.akkadia.org/drepper/tls.pdf
import { readWord, type ReadAt } from './bytes.ts';
import type { Machine } from './elf.ts';
import type { Libc } from './tls-image.ts';

export interface DtvLayout {
  readonly libc: Libc;
  /** Where the pointer to the DTV is, from the thread pointer. */
  readonly pointerOffset: number;
  /** Module m's entry is at dtv + m × entrySize. */
  readonly entrySize: 8 | 16;
  /** Where the number of entries is, from the DTV; a module beyond it has no block in this thread. */
  readonly countOffset: number;
  /** Whether dtv[0] is the generation of this thread's DTV. */
  readonly hasGeneration: boolean;
}

export function dtvLayout(libc: Libc, machine: Machine): DtvLayout {
  if (libc === 'glibc') {
    // union { size_t counter; struct { void *val; void *to_free; } }; dtv[-1] counts, dtv[0] is the generation
    return { libc, pointerOffset: machine === 'x86-64' ? 8 : 0, entrySize: 16, countOffset: -16, hasGeneration: true };
  }
  return { libc, pointerOffset: machine === 'x86-64' ? 8 : -8, entrySize: 8, countOffset: 0, hasGeneration: false };
}

export type TlsBlock =
  | { readonly kind: 'block'; readonly address: number }
  /** This thread never touched the module's variables, or the module is gone. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly what: string };

/** The block of a module in one thread. `generation` is that of the module's arrival, 0 when not known. */
export function tlsBlock(read: ReadAt, layout: DtvLayout, threadPointer: number, moduleId: number, generation: number): TlsBlock {
  const dtv = readWord(read, threadPointer + layout.pointerOffset);
  if (dtv === undefined) return { kind: 'unreadable', what: 'the pointer to the DTV' };
  const count = readWord(read, dtv + layout.countOffset);
  if (count === undefined) return { kind: 'unreadable', what: 'the DTV' };
  if (moduleId > count) return { kind: 'none' };
  if (layout.hasGeneration && generation > 0) {
    const seen = readWord(read, dtv);
    if (seen === undefined || seen < generation) return { kind: 'none' };
  }
  const address = readWord(read, dtv + moduleId * layout.entrySize);
  if (address === undefined) return { kind: 'unreadable', what: 'the DTV entry' };
  // Not allocated: 0, or (void *)-1, which is no exact number here.
  if (address === 0 || !Number.isFinite(address)) return { kind: 'none' };
  return { kind: 'block', address };
}
