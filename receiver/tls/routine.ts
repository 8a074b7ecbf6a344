// The code of one function → its instructions, who follows whom, and what is known of the registers before each: an abstract interpretation that forgets
// rather than guesses. Registers hold a place on the function's own stack, one of its arguments, a constant, or nobody knows what.
import { type Architecture, bit, type Effect, type Instruction } from './instruction.ts';

export type Value =
  | { readonly kind: 'unknown' }
  /** So many bytes from where the stack pointer was as the function began. */
  | { readonly kind: 'stack'; readonly offset: number }
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface Step {
  readonly instruction: Instruction;
  /** By register, before the instruction. */
  readonly registers: readonly Value[];
  /** Addresses, within the function. */
  readonly next: readonly number[];
  /** It leaves for another function, which returns in its place. */
  readonly isTailJump: boolean;
}

export interface Routine {
  readonly kind: 'routine';
  readonly architecture: Architecture;
  readonly start: number;
  readonly steps: ReadonlyMap<number, Step>;
}

export interface Unreadable {
  readonly kind: 'unreadable';
  readonly reason: string;
}

export interface RoutineCode {
  readonly start: number;
  readonly size: number;
  /** Up to `size` bytes of code at an address; undefined where there is none. */
  readonly codeAt: (address: number, size: number) => Uint8Array | undefined;
}

const MAX_STEPS = 8192;
const MAX_VISITS = 16 * MAX_STEPS;
const MAX_INSTRUCTION = 16;
const UNKNOWN: Value = { kind: 'unknown' };
/** Conditions of both kinds of machine: not equal, equal. */
const X86_NOT_EQUAL = 5;
const X86_EQUAL = 4;

/** `without`: an address that is not entered, to learn how things stand where it was avoided. */
export function readRoutine(architecture: Architecture, code: RoutineCode, without?: number): Routine | Unreadable {
  const { decode, stackPointer, parameters } = architecture;
  const initial: Value[] = Array<Value>(32).fill(UNKNOWN);
  initial[stackPointer] = { kind: 'stack', offset: 0 };
  parameters.forEach((register, index) => (initial[register] = { kind: 'argument', index }));
  const steps = new Map<number, Step>();
  const waiting: { address: number; registers: readonly Value[]; before: Instruction | undefined }[] = [
    { address: code.start, registers: initial, before: undefined },
  ];
  for (let visits = 0; ; visits++) {
    const visit = waiting.pop();
    if (visit === undefined) break;
    const { address, before } = visit;
    if (address === without) continue;
    if (visits > MAX_VISITS || steps.size > MAX_STEPS) return unreadable('too much code');
    const known = steps.get(address);
    const registers = known === undefined ? visit.registers : merge(known.registers, visit.registers);
    if (registers === known?.registers) continue;
    let instruction = known?.instruction;
    if (instruction === undefined) {
      const bytes = code.codeAt(address, MAX_INSTRUCTION);
      instruction = bytes && decode(bytes, 0, address);
    }
    if (instruction === undefined) return unreadable(`no known instruction at ${address.toString(16)}`);
    const following = follow(instruction, registers, before, code, architecture);
    if (typeof following === 'string') return unreadable(following);
    steps.set(address, { instruction, registers, ...following });
    const after = apply(instruction, registers, architecture);
    for (const next of following.next) waiting.push({ address: next, registers: after, before: instruction });
  }
  return { kind: 'routine', architecture, start: code.start, steps };
}

export function stackOffset(step: Step, architecture: Architecture): number | undefined {
  const value = step.registers[architecture.stackPointer];
  return value?.kind === 'stack' ? value.offset : undefined;
}

/** What the instruction may change, as bits. */
export function writtenBy({ effect, flow }: Instruction, architecture: Architecture): number {
  if (flow === 'call') return architecture.callerSaved;
  switch (effect.kind) {
    case 'none':
    case 'test':
      return 0;
    case 'writes':
      return effect.registers;
    case 'copy':
    case 'constant':
    case 'load':
      return bit(effect.to);
    case 'stack':
      return effect.registers | bit(architecture.stackPointer);
    case 'leave':
      return bit(architecture.stackPointer) | bit(architecture.framePointer);
  }
}

function unreadable(reason: string): Unreadable {
  return { kind: 'unreadable', reason };
}

function follow(
  instruction: Instruction,
  registers: readonly Value[],
  before: Instruction | undefined,
  code: RoutineCode,
  architecture: Architecture,
): Pick<Step, 'next' | 'isTailJump'> | string {
  const { address, size, flow, target, condition } = instruction;
  const behind = address + size;
  const end = code.start + code.size;
  const isInside = (at: number): boolean => at >= code.start && at < end;
  const stack = registers[architecture.stackPointer];
  // With something of its own on the stack it has not left: compilers put what is rarely needed far away.
  const isElsewhere = (at: number): boolean => !isInside(at) && stack?.kind === 'stack' && stack.offset === 0;
  switch (flow) {
    case 'return':
      if (stack?.kind !== 'stack' || stack.offset !== 0) return `returns with another stack at ${address.toString(16)}`;
      return { next: [], isTailJump: false };
    case 'stop':
      return { next: [], isTailJump: false };
    case 'jump':
      if (target !== undefined && !isElsewhere(target)) return { next: [target], isTailJump: false };
      if (stack?.kind === 'stack' && stack.offset === 0) return { next: [], isTailJump: true };
      return `jumps to where nobody knows at ${address.toString(16)}`;
    case 'branch': {
      if (target === undefined) return `branches to where nobody knows at ${address.toString(16)}`;
      const isGuarded = before?.isGuardCheck === true && before.address + before.size === address;
      if (isGuarded && condition === X86_NOT_EQUAL) return { next: [behind], isTailJump: false };
      if (isGuarded && condition === X86_EQUAL) return { next: [target], isTailJump: false };
      return isElsewhere(target) ? { next: [behind], isTailJump: true } : { next: [target, behind], isTailJump: false };
    }
    case 'call':
      // Nothing behind it: it does not return.
      return { next: behind === end ? [] : [behind], isTailJump: false };
    case 'next':
      return behind === end ? 'runs beyond its end' : { next: [behind], isTailJump: false };
  }
}

function apply(instruction: Instruction, before: readonly Value[], architecture: Architecture): readonly Value[] {
  const { effect, flow } = instruction;
  const { stackPointer, framePointer } = architecture;
  const written = writtenBy(instruction, architecture);
  if (written === 0) return before;
  const after = before.map((value, register) => ((written & bit(register)) === 0 ? value : UNKNOWN));
  if (flow === 'call') return after;
  const set = setValue(effect, before, stackPointer, framePointer);
  if (set !== undefined) after[set.register] = set.value;
  return after;
}

function setValue(
  effect: Effect,
  before: readonly Value[],
  stackPointer: number,
  framePointer: number,
): { register: number; value: Value } | undefined {
  switch (effect.kind) {
    case 'constant':
      return { register: effect.to, value: { kind: 'constant', value: effect.value } };
    case 'copy':
      return { register: effect.to, value: moved(before[effect.from], effect.offset) };
    case 'stack':
      return { register: stackPointer, value: moved(before[stackPointer], effect.bytes) };
    case 'leave':
      return { register: stackPointer, value: moved(before[framePointer], 8) };
    default:
      return undefined;
  }
}

function moved(value: Value | undefined, by: number): Value {
  if (value === undefined) return UNKNOWN;
  if (value.kind === 'stack') return { kind: 'stack', offset: value.offset + by };
  return by === 0 ? value : UNKNOWN;
}

/** What both agree on; the first itself when that is all of it. */
function merge(known: readonly Value[], other: readonly Value[]): readonly Value[] {
  const isKept = known.map((value, register) => value.kind === 'unknown' || isSame(value, other[register]));
  return isKept.every(Boolean) ? known : known.map((value, register) => (isKept[register] === true ? value : UNKNOWN));
}

function isSame(a: Value, b: Value | undefined): boolean {
  switch (a.kind) {
    case 'unknown':
      return b?.kind === 'unknown';
    case 'stack':
      return b?.kind === 'stack' && a.offset === b.offset;
    case 'argument':
      return b?.kind === 'argument' && a.index === b.index;
    case 'constant':
      return b?.kind === 'constant' && a.value === b.value;
  }
}
