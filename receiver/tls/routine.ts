// The code of one function → its instructions, who follows whom, and what is known of the registers before each: an abstract interpretation that forgets
// rather than guesses. Registers hold a place on the function's own stack, one of its arguments, a constant, or nobody knows what.
import { type Architecture, bit, type Effect, type Instruction } from './instruction.ts';

export type Value =
  | { readonly kind: 'unknown' }
  /** So many bytes from where the stack pointer was as the function began. */
  | { readonly kind: 'stack'; readonly offset: number }
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number }
  /** An address in the file. */
  | { readonly kind: 'place'; readonly address: number }
  /** Of an array of distances to code, at this address: one of them, and where one leads that is counted from the array. */
  | { readonly kind: 'distance' | 'way'; readonly table: number };

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
  /** It goes on in code that others may call too. */
  readonly isShared: boolean;
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
  /** The same of anything that is loaded; without it no table of jumps is read. */
  readonly dataAt?: (address: number, size: number) => Uint8Array | undefined;
  /** A direct jump into another function, which returns in its place, is followed; else it is where the function ends. */
  readonly followsJumps?: boolean;
}

const MAX_STEPS = 8192;
const MAX_VISITS = 16 * MAX_STEPS;
/** No instruction is longer. */
export const MAX_INSTRUCTION = 16;
const MAX_WAYS = 512;
const REGISTERS = 32;
/** Not registers, but kept with them: the constant that was compared with last, and what the last branch has found a number not to be above. */
const COMPARED = REGISTERS;
const LIMIT = REGISTERS + 1;
const UNKNOWN: Value = { kind: 'unknown' };
/** Conditions of both kinds of machine: not equal, equal. */
const X86_NOT_EQUAL = 5;
const X86_EQUAL = 4;

/** `without`: an address that is not entered, to learn how things stand where it was avoided. */
export function readRoutine(architecture: Architecture, code: RoutineCode, without?: number): Routine | Unreadable {
  const { decode, stackPointer, parameters } = architecture;
  const initial: Value[] = Array<Value>(LIMIT + 1).fill(UNKNOWN);
  initial[stackPointer] = { kind: 'stack', offset: 0 };
  parameters.forEach((register, index) => (initial[register] = { kind: 'argument', index }));
  const steps = new Map<number, Step>();
  const waiting: { address: number; registers: readonly Value[]; before: Instruction | undefined }[] = [
    { address: code.start, registers: initial, before: undefined },
  ];
  let isShared = false;
  let hasTable = false;
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
    isShared ||= following.isShared;
    hasTable ||= instruction.by !== undefined && following.next.length > 0;
    const after = apply(instruction, registers, architecture);
    for (const next of following.next) {
      waiting.push({ address: next, registers: compared(instruction, after, next, architecture), before: instruction });
    }
  }
  const missed = hasTable && without === undefined ? wayBackBeside(steps, code, architecture) : undefined;
  if (missed !== undefined) return unreadable(`nobody knows how it comes to ${missed.toString(16)}`);
  return { kind: 'routine', architecture, start: code.start, steps, isShared };
}

/** How many entries a table of jumps has is told by a comparison before it. If that were not so, there would be a way back that was not found. */
function wayBackBeside(steps: ReadonlyMap<number, Step>, code: RoutineCode, { decode }: Architecture): number | undefined {
  const end = code.start + code.size;
  for (let at = code.start; at < end;) {
    const bytes = code.codeAt(at, MAX_INSTRUCTION);
    const instruction = bytes && decode(bytes, 0, at);
    if (instruction === undefined) return at;
    const { flow, target } = instruction;
    const mayLeave = flow === 'return' || (flow === 'jump' && !(target !== undefined && target >= code.start && target < end));
    if (mayLeave && !steps.has(at)) return at;
    at += instruction.size;
  }
  return undefined;
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
    case 'compare':
      return 0;
    case 'writes':
      return effect.registers;
    case 'copy':
    case 'constant':
    case 'load':
    case 'place':
    case 'entry':
    case 'sum':
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
): (Pick<Step, 'next' | 'isTailJump'> & { readonly isShared: boolean }) | string {
  const { address, size, flow, target, condition } = instruction;
  const behind = address + size;
  const end = code.start + code.size;
  const isInside = (at: number): boolean => at >= code.start && at < end;
  const stack = registers[architecture.stackPointer];
  // With something of its own on the stack it has not left: compilers put what is rarely needed far away.
  const isElsewhere = (at: number): boolean => !isInside(at) && stack?.kind === 'stack' && stack.offset === 0;
  const goOn = (...next: number[]): ReturnType<typeof follow> => ({ next, isTailJump: false, isShared: false });
  const leave = (target: number | undefined, ...next: number[]): ReturnType<typeof follow> => {
    const isFollowed = code.followsJumps === true && target !== undefined;
    return { next: isFollowed ? [target, ...next] : next, isTailJump: !isFollowed, isShared: isFollowed };
  };
  switch (flow) {
    case 'return':
      if (stack?.kind !== 'stack' || stack.offset !== 0) return `returns with another stack at ${address.toString(16)}`;
      return goOn();
    case 'stop':
      return goOn();
    case 'jump': {
      if (target !== undefined && !isElsewhere(target)) return goOn(target);
      const ways = waysOf(instruction, registers, code);
      if (ways !== undefined) return goOn(...ways);
      if (stack?.kind === 'stack' && stack.offset === 0) return leave(target);
      return `jumps to where nobody knows at ${address.toString(16)}`;
    }
    case 'branch': {
      if (target === undefined) return `branches to where nobody knows at ${address.toString(16)}`;
      const isGuarded = before?.isGuardCheck === true && before.address + before.size === address;
      if (isGuarded && condition === X86_NOT_EQUAL) return goOn(behind);
      if (isGuarded && condition === X86_EQUAL) return goOn(target);
      return isElsewhere(target) ? leave(target, behind) : goOn(target, behind);
    }
    case 'call':
      // Nothing behind it: it does not return.
      return behind === end ? goOn() : goOn(behind);
    case 'next':
      return behind === end ? 'runs beyond its end' : goOn(behind);
  }
}

/** Where a jump by a table leads that is as long as the last branch has made sure of. */
function waysOf({ by }: Instruction, registers: readonly Value[], { dataAt }: RoutineCode): readonly number[] | undefined {
  const way = by !== undefined && 'register' in by ? registers[by.register] : undefined;
  const limit = registers[LIMIT];
  if (way?.kind !== 'way' || limit?.kind !== 'constant' || limit.value >= MAX_WAYS) return undefined;
  const size = (limit.value + 1) * 4;
  const bytes = dataAt?.(way.table, size);
  if (bytes?.length !== size) return undefined;
  const distances = new DataView(bytes.buffer, bytes.byteOffset, size);
  return Array.from({ length: limit.value + 1 }, (_, index) => way.table + distances.getInt32(index * 4, true));
}

/** What comparisons and branches tell, on the way to `next`. */
function compared(
  { effect, flow, address, size, condition, keepsFlags }: Instruction,
  registers: readonly Value[],
  next: number,
  { above, notAbove }: Architecture,
): readonly Value[] {
  const isNotAbove = condition === (next === address + size ? above : notAbove);
  const kept = flow === 'next' ? registers[LIMIT] : undefined;
  const limit = (flow === 'branch' && isNotAbove ? registers[COMPARED] : kept) ?? UNKNOWN;
  const known = keepsFlags ? registers[COMPARED] : undefined;
  const constant: Value = effect.kind === 'compare' ? { kind: 'constant', value: effect.limit } : (known ?? UNKNOWN);
  if (isSame(limit, registers[LIMIT]) && isSame(constant, registers[COMPARED])) return registers;
  const after = [...registers];
  after[COMPARED] = constant;
  after[LIMIT] = limit;
  return after;
}

function apply(instruction: Instruction, before: readonly Value[], architecture: Architecture): readonly Value[] {
  const { effect, flow } = instruction;
  const { stackPointer, framePointer } = architecture;
  const written = writtenBy(instruction, architecture);
  if (written === 0) return before;
  const after = before.map((value, register) => (register >= REGISTERS || (written & bit(register)) === 0 ? value : UNKNOWN));
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
    case 'place':
      return { register: effect.to, value: { kind: 'place', address: effect.address } };
    case 'entry': {
      const base = before[effect.base];
      return { register: effect.to, value: base?.kind === 'place' ? { kind: 'distance', table: base.address } : UNKNOWN };
    }
    case 'sum':
      return { register: effect.to, value: sum(before[effect.to], before[effect.other]) };
    default:
      return undefined;
  }
}

/** Of a distance and the table that it is from, in either order. */
function sum(a: Value | undefined, b: Value | undefined): Value {
  const distance = a?.kind === 'distance' ? a : b;
  const place = a?.kind === 'distance' ? b : a;
  const isWay = distance?.kind === 'distance' && place?.kind === 'place' && place.address === distance.table;
  return isWay ? { kind: 'way', table: distance.table } : UNKNOWN;
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
    case 'place':
      return b?.kind === 'place' && a.address === b.address;
    case 'distance':
    case 'way':
      return b?.kind === a.kind && a.table === b.table;
  }
}
