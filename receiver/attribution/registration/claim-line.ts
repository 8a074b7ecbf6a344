// The line in which a program claims where its threads have their contexts → a place, or why not. Only what no program could mean is
// refused here; whether the claim is true is the kernel's to see. otel-thread-context/ABI.md, Registration.
import { dtvLayout, type DtvLayout } from '../../../otel-thread-context/reader/index.ts';
import type { ContextPlace } from '../../model/thread-context.ts';

export type RefusalCode = 'version' | 'syntax' | 'identity' | 'claim' | 'proof' | 'limit' | 'unsupported';

export interface Refusal {
  readonly kind: 'refused';
  readonly code: RefusalCode;
  /** For people: what was found and what to do. Printable ASCII. */
  readonly words: string;
}

export type ClaimLine = { readonly kind: 'claimed'; readonly place: ContextPlace } | Refusal;

export type Machine = 'x86-64' | 'aarch64';

/** Bytes, newline included. */
export const MAX_LINE = 512;
const VERSION = '1';
/** A thread's block is on its stack or mapped at its start: none is larger. */
const MAX_OFFSET = 16 * 1024 * 1024;
const MAX_MODULE = 65_535;
const POINTER_SIZE = 8;

/** `line`: without its newline. `machine`: the one that we run on. */
export function parseClaim(line: string, machine: Machine): ClaimLine {
  const [name, version, verb, form, ...words] = line.split(' ');
  if (name !== 'otel-thread-context' || version === undefined || !/^[1-9]\d{0,8}$/.test(version)) return notTheProtocol;
  if (version !== VERSION) return refused('version', `only version ${VERSION} is spoken here`);
  if (verb !== 'register') return notTheProtocol;
  if (form === 'static' && words.length === 1) return staticPlace(parseInteger(words[0]), machine);
  const [module, offset, libc] = words;
  if (form === 'dtv' && words.length === 3 && (libc === 'glibc' || libc === 'musl')) {
    return modulePlace(parseInteger(module), parseInteger(offset), dtvLayout(libc, machine));
  }
  return notTheProtocol;
}

export function refused(code: RefusalCode, words: string): Refusal {
  return { kind: 'refused', code, words };
}

const notTheProtocol = refused(
  'syntax',
  'expected "otel-thread-context 1 register static OFFSET" or "... dtv MODULE OFFSET LIBC"',
);

function staticPlace(offset: number | undefined, machine: Machine): ClaimLine {
  if (offset === undefined) return notTheProtocol;
  // Thread-local storage is below the thread pointer on the one, above it on the other.
  const [lowest, highest] = machine === 'x86-64' ? [-MAX_OFFSET, -POINTER_SIZE] : [0, MAX_OFFSET];
  if (!isPointerAt(offset, lowest, highest)) {
    return refused('claim', `on ${machine} the offset is a multiple of 8 from ${String(lowest)} to ${String(highest)}`);
  }
  return { kind: 'claimed', place: { kind: 'static', offset } };
}

function modulePlace(moduleId: number | undefined, offset: number | undefined, dtv: DtvLayout): ClaimLine {
  if (moduleId === undefined || offset === undefined) return notTheProtocol;
  if (moduleId < 1 || moduleId > MAX_MODULE) return refused('claim', `the module is from 1 to ${String(MAX_MODULE)}`);
  if (!isPointerAt(offset, 0, MAX_OFFSET)) {
    return refused('claim', `the offset in a module is a multiple of 8 from 0 to ${String(MAX_OFFSET)}`);
  }
  const { pointerOffset, countOffset, entrySize } = dtv;
  return {
    kind: 'claimed',
    place: { kind: 'module', offset, moduleId, generation: 0, dtvOffset: pointerOffset, countOffset, entrySize },
  };
}

function isPointerAt(offset: number, lowest: number, highest: number): boolean {
  return offset >= lowest && offset <= highest && offset % POINTER_SIZE === 0;
}

/** Decimal, without a leading `+` or zeros. */
function parseInteger(word: string | undefined): number | undefined {
  return word !== undefined && /^(?:0|-?[1-9]\d{0,14})$/.test(word) ? Number(word) : undefined;
}
