// The search for TLS libraries on this host, joined to the kernel side.
import { type ReadAt, readElf } from '../../otel-thread-context/reader/index.ts';
import { recognizeText } from './recognize.ts';
import type { ProbeSite, Refused } from './probes.ts';
import { examineFile, type Examination } from './examine.ts';
import { examineGo } from './go.ts';
import { createProcfs } from './procfs.ts';
import { TlsTargets } from './targets.ts';

export interface TlsKernel {
  attachProbes(program: string, file: string, sites: readonly ProbeSite[]): { close(): void };
  /** From now on the probes of this index tell. `known`: what those of Go have to know. */
  activateTarget(index: number, known: Uint8Array | undefined): void;
  clearTarget(index: number): void;
}

export interface TlsTargetsParts {
  readonly kernel: TlsKernel;
  readonly maxTargets: number;
  /** Pipeline time. */
  readonly now: () => number;
  readonly examinations?: readonly Examination[];
}

const NS_PER_MS = 1e6;

/** Beside those of C libraries. */
export const tlsExaminations: readonly Examination[] = [examineGo];

function* recognizeFile(read: ReadAt): Generator<void, Refused | undefined> {
  const elf = readElf(read);
  return elf.kind === 'elf' ? yield* recognizeText(read, elf) : undefined;
}

export function createTlsTargets({ kernel, maxTargets, now, examinations = tlsExaminations }: TlsTargetsParts): TlsTargets {
  const used = new Set<number>();
  return new TlsTargets({
    examine: (file) => examineFile(file, examinations),
    recognize: recognizeFile,
    attach: (program, file, sites) => kernel.attachProbes(program, file, sites),
    addTarget: (target) => {
      let index = 0;
      while (used.has(index)) index++;
      if (index >= maxTargets) throw new Error('no room for another program');
      used.add(index);
      return {
        index,
        activate: () => {
          kernel.activateTarget(index, target);
        },
        close: () => {
          if (used.delete(index)) kernel.clearTarget(index);
        },
      };
    },
    procfs: createProcfs(),
    now,
    nowMs: () => now() / NS_PER_MS,
    defer: setImmediate,
  });
}
