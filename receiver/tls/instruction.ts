// One machine instruction, as far as the choice of probe sites needs it: how long it is, where control goes next, what becomes of the registers.

export interface Instruction {
  /** As in the file's symbols (add the load bias to have it in memory). */
  readonly address: number;
  readonly size: number;
  readonly flow: Flow;
  /** Of a direct jump, branch or call. */
  readonly target: number | undefined;
  /** Of a branch: the low four bits of the opcode (x86: 0xe is "less or equal, signed"), or of B.cond. */
  readonly condition: number | undefined;
  /** Linux carries it out itself at a probe, without the single step out of line that costs several times as much. */
  readonly isEmulated: boolean;
  readonly effect: Effect;
  /** The result of a comparison before it still stands behind it; false where that is not known. */
  readonly keepsFlags: boolean;
  /** Of a jump without a target: the register that says where to, or the address of the word that does. */
  readonly by: { readonly register: number } | { readonly word: number } | undefined;
  /** It compares with the thread's stack guard: of the branch behind it, the way for "not equal" does not return. */
  readonly isGuardCheck: boolean;
}

/**
 * 'jump' goes to its target or, without one, to where nobody knows; 'branch' goes there or on; 'call' comes back, unless it calls
 * something that does not return; 'stop' goes nowhere.
 */
export type Flow = 'next' | 'jump' | 'branch' | 'call' | 'return' | 'stop';

/** What an instruction does to registers, by their numbers. What is not told here stays as it is; flags are not followed. */
export type Effect =
  | { readonly kind: 'none' }
  /** These get values that nobody knows. A set, as bits. */
  | { readonly kind: 'writes'; readonly registers: number }
  /** `to` = `from` + `offset`, all 64 bits. */
  | { readonly kind: 'copy'; readonly to: number; readonly from: number; readonly offset: number }
  /** A 32-bit number. */
  | { readonly kind: 'constant'; readonly to: number; readonly value: number }
  /** From the memory at `base` + `offset`. */
  | { readonly kind: 'load'; readonly to: number; readonly base: number; readonly offset: number }
  /** The stack pointer moves by `bytes` (negative: down), and these registers get values that nobody knows. */
  | { readonly kind: 'stack'; readonly bytes: number; readonly registers: number }
  /** x86: the stack pointer goes to the saved frame pointer's place and above it. */
  | { readonly kind: 'leave' }
  /** Compares a register with zero, nothing else. */
  | { readonly kind: 'test'; readonly register: number }
  /** Compares something with a constant, nothing else. */
  | { readonly kind: 'compare'; readonly limit: number }
  /** An address in the file. */
  | { readonly kind: 'place'; readonly to: number; readonly address: number }
  /** A signed 32-bit number from an array at `base`. */
  | { readonly kind: 'entry'; readonly to: number; readonly base: number }
  /** `to` = `to` + `other`, all 64 bits. */
  | { readonly kind: 'sum'; readonly to: number; readonly other: number };

/** What the rest has to know of a kind of machine. */
export interface Architecture {
  /** The instruction at `at` of `code`, which stands at `address`; undefined: not known, or cut off. */
  readonly decode: (code: Uint8Array, at: number, address: number) => Instruction | undefined;
  readonly stackPointer: number;
  readonly framePointer: number;
  /** Registers of the first four arguments. */
  readonly parameters: readonly number[];
  readonly result: number;
  /** Those that a call may change, as bits. */
  readonly callerSaved: number;
  /** Of a branch behind a 'test': taken when the number is not above zero, or when it is. */
  readonly notAboveZero: number;
  readonly aboveZero: number;
  /** Of a branch behind a 'compare': taken when the number is not above the constant, or when it is, both without a sign. */
  readonly notAbove: number;
  readonly above: number;
}

export const NO_EFFECT: Effect = { kind: 'none' };

export function bit(register: number): number {
  return 1 << register;
}
