// The words that a loader filled in for a thread-local symbol → where each thread has it: a constant distance from the thread pointer,
// or a module and an offset by way of the DTV. What the words don't prove is unresolved, with the reason.
// https://www.akkadia.org/drepper/tls.pdf, https://www.fsfla.org/~lxoliva/writeups/TLS/RFC-TLSDESC-x86.txt
import { hexAddress, isAddress, type ReadAt, s64, signedHex, u64, viewOf } from './bytes.ts';
import type { Machine, Segment } from './elf.ts';
import type { TlsRelocation } from './elf-tables.ts';
import { type DtvLayout, dtvLayout } from './libc.ts';
import type { Libc } from './tls-image.ts';

export type TlsLocation =
  | { readonly model: 'static'; /** From the thread pointer. Never 0. */ readonly offset: number }
  | {
      readonly model: 'dynamic';
      readonly moduleId: number;
      /** In the module's block. */
      readonly offset: number;
      /** A thread whose DTV is older than this has no block of the module; 0 when not known. */
      readonly generation: number;
      readonly dtv: DtvLayout;
    }
  | Unresolved;

export interface Unresolved {
  readonly model: 'unresolved';
  readonly reason: UnresolvedReason;
  readonly detail: string;
}

export type UnresolvedReason =
  | 'not_accessed'
  | 'not_relocated'
  | 'unreadable'
  | 'unknown_resolver'
  | 'undefined_symbol'
  | 'contradiction'
  | 'unknown_libc'
  | 'zero_offset'
  | 'implausible';

/** What a word must agree with. */
export interface SymbolFacts {
  readonly machine: Machine;
  readonly libc: Libc | undefined;
  /** Offsets, in their own blocks, of every definition in the process that the word could be about. */
  readonly offsets: readonly number[];
  /** For a relocation without a symbol: the definition's offset; its word is about the block's start plus the addend. */
  readonly ownOffset: number | undefined;
}

const MAX_MODULE_ID = 65_535;
const MAX_STATIC_OFFSET = 2 ** 31 - 1;
const ALIGNMENT = 8;

export function unresolved(reason: UnresolvedReason, detail: string): Unresolved {
  return { model: 'unresolved', reason, detail };
}

/** Of the program itself, whose block lies next to the thread pointer: below it on x86-64, above two reserved words on aarch64. */
export function localExecLocation(machine: Machine, tls: Segment, value: number): TlsLocation {
  const { vaddr, memorySize, align } = tls;
  if (machine === 'x86-64') return staticLocation(machine, value - memorySize - modulo(-vaddr - memorySize, align));
  return staticLocation(machine, value + 16 + modulo(vaddr - 16, align));
}

/** What a relocation's words say, in a process where its object is loaded at `bias`. */
export function locationOf(read: ReadAt, relocation: TlsRelocation, bias: number, facts: SymbolFacts): TlsLocation {
  const address = relocation.vaddr + bias;
  const words = isAddress(address) ? read(address, 16) : undefined;
  if (!words) return unresolved('unreadable', `the words at ${hexAddress(address)}`);
  const view = viewOf(words);
  // Without a symbol the word is about block start + addend, and the variable lies at its own offset from the block's start.
  const distance = facts.ownOffset === undefined ? 0 : facts.ownOffset - relocation.addend;
  if (relocation.kind === 'tpoff') return initialExec(s64(view, 0), distance, facts.machine);
  if (relocation.kind === 'dtpmod') return dynamicLocation(u64(view, 0), facts.ownOffset ?? u64(view, 8), 0, facts);
  return descriptor(read, u64(view, 0), s64(view, 8), distance, facts);
}

function initialExec(word: number, distance: number, machine: Machine): TlsLocation {
  if (word === 0) return unresolved('not_relocated', 'the offset is still 0');
  return staticLocation(machine, word + distance);
}

function descriptor(read: ReadAt, resolver: number, argument: number, distance: number, facts: SymbolFacts): TlsLocation {
  if (resolver === 0) return unresolved('not_relocated', 'the descriptor has no resolver yet');
  const code = isAddress(resolver) ? read(resolver, 24) : undefined;
  if (!code) return unresolved('unreadable', `the resolver at ${hexAddress(resolver)}`);
  const kind = resolverKind(code, facts.machine);
  if (kind === 'undefined') return unresolved('undefined_symbol', 'the loader found no definition of the weak symbol');
  if (kind === 'static') return staticLocation(facts.machine, argument + distance);
  // x86-64: only offsets are negative, and only the static resolver gets one.
  const index = isAddress(argument) ? read(argument, 24) : undefined;
  if (!index) return unresolved('unknown_resolver', `resolver ${hexAddress(resolver)}, argument ${signedHex(argument)}`);
  const view = viewOf(index);
  // { module, offset }, and from glibc the generation of the module
  return dynamicLocation(u64(view, 0), u64(view, 8) + distance, facts.libc === 'glibc' ? u64(view, 16) : 0, facts);
}

/** The static resolver returns the descriptor's second word, in both libcs; that of an undefined weak symbol gives null in every thread. */
function resolverKind(code: Uint8Array, machine: Machine): 'static' | 'undefined' | 'other' {
  const view = viewOf(code);
  if (machine === 'aarch64') {
    let at = 0;
    // HINT space: bti c, paciasp
    while (at < 8 && (view.getUint32(at, true) & 0xfffff01f) >>> 0 === 0xd503201f) at += 4;
    const isLoad = view.getUint32(at, true) === 0xf9400400; // ldr x0, [x0, #8]
    if (isLoad && view.getUint32(at + 4, true) === 0xd65f03c0) return 'static'; // ret
    // str x1, [sp, #-16]!; mrs x1, tpidr_el0; ldr x0, [x0, #8]; sub x0, x0, x1
    const isUndefined = view.getUint32(at, true) === 0xf81f0fe1 && view.getUint32(at + 12, true) === 0xcb010000;
    return isUndefined ? 'undefined' : 'other';
  }
  // endbr64
  const at = view.getUint32(0, false) === 0xf30f1efa ? 4 : 0;
  if (view.getUint32(at, false) !== 0x488b4008) return 'other'; // mov 8(%rax), %rax
  if (code[at + 4] === 0xc3) return 'static'; // ret
  return view.getUint32(at + 4, false) === 0x64482b04 ? 'undefined' : 'other'; // sub %fs:0, %rax
}

function staticLocation(machine: Machine, offset: number): TlsLocation {
  if (offset === 0) return unresolved('zero_offset', 'offset 0 cannot be told from a word that was not filled in');
  const isBeyond = machine === 'x86-64' ? offset > 0 : offset < 0;
  if (isBeyond || !(Math.abs(offset) <= MAX_STATIC_OFFSET) || offset % ALIGNMENT !== 0) {
    return unresolved('implausible', `offset ${signedHex(offset)} from the thread pointer`);
  }
  return { model: 'static', offset };
}

function dynamicLocation(moduleId: number, offset: number, generation: number, facts: SymbolFacts): TlsLocation {
  if (moduleId === 0) return unresolved('not_relocated', 'the module id is still 0');
  if (!(moduleId <= MAX_MODULE_ID)) return unresolved('implausible', `module id ${moduleId}`);
  if (!facts.offsets.includes(offset)) {
    return unresolved('contradiction', `offset ${hexAddress(offset)} in module ${moduleId} is not where the symbol is defined`);
  }
  if (!facts.libc) return unresolved('unknown_libc', 'neither glibc nor musl, so the layout of the DTV is not known');
  if (!Number.isFinite(generation)) return unresolved('implausible', 'the generation of the module');
  return { model: 'dynamic', moduleId, offset, generation, dtv: dtvLayout(facts.libc, facts.machine) };
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
