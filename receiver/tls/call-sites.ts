// A function of a TLS library → where to probe it: one place where its arguments are still in their registers, and places of which every way back to
// the caller passes one, where the result is known. All at the same depth of the stack, by which a call's places are told from another's; and
// rather at instructions that the kernel emulates than at those that it has to step over.
import { type Architecture, bit, type Instruction } from './instruction.ts';
import {
  MAX_INSTRUCTION,
  readRoutine,
  type Routine,
  type RoutineCode,
  type Step,
  stackOffset,
  type Unreadable,
  writtenBy,
} from './routine.ts';

export interface CallShape {
  /** Parameters that must be in their registers at the entry: their indices. */
  readonly needs: readonly number[];
  /** 'count': above zero it is a number of bytes; 'success': above zero means that it was done; 'none': only the entry is asked for. */
  readonly result: 'count' | 'success' | 'none';
}

export interface Place {
  readonly address: number;
  readonly isEmulated: boolean;
  /** Set: the result is only above zero when there is a count, which is so many bytes above the stack pointer. */
  readonly countAt: number | undefined;
}

export interface CallSites {
  readonly kind: 'sites';
  readonly entry: Place;
  /** Empty when only the entry was asked for. */
  readonly exits: readonly Place[];
}

/** Along the way that a call takes at first, so many instructions are tried. */
const MAX_ENTRIES = 40;
const SLOW = 10;

/** In steps of some milliseconds at most. */
export function* chooseSites(
  architecture: Architecture,
  code: RoutineCode,
  shape: CallShape,
): Generator<void, CallSites | Unreadable> {
  const routine = readRoutine(architecture, code);
  if (routine.kind === 'unreadable') return (shape.result === 'none' ? beginning(architecture, code) : undefined) ?? routine;
  let best: CallSites | undefined;
  let bestCost = Infinity;
  let reason = 'no place where the arguments are still at hand';
  for (const step of entryCandidates(routine, shape)) {
    yield;
    const entry = place(step.instruction, undefined);
    const mayAvoid = canAvoid(architecture, code, entry.address, shape);
    if (mayAvoid !== undefined) {
      reason = mayAvoid;
      continue;
    }
    const exitChoices =
      shape.result === 'none' ? [[]] : [exitsFor(routine, step, false), exitsFor(routine, step, shape.result === 'count')];
    for (const exits of exitChoices) {
      if (typeof exits === 'string') {
        reason = exits;
        continue;
      }
      const cost = costOf(entry, exits);
      if (cost >= bestCost) continue;
      bestCost = cost;
      best = { kind: 'sites', entry, exits };
    }
  }
  return best ?? { kind: 'unreadable', reason };
}

/** Every call begins there, whatever becomes of it. */
function beginning({ decode }: Architecture, { start, codeAt }: RoutineCode): CallSites | undefined {
  const bytes = codeAt(start, MAX_INSTRUCTION);
  const first = bytes && decode(bytes, 0, start);
  return first && { kind: 'sites', entry: place(first, undefined), exits: [] };
}

/** The instructions that are carried out first, up to the first call, at which what is needed is in place. */
function* entryCandidates({ architecture, start, steps, isShared }: Routine, { needs }: CallShape): Generator<Step> {
  let step = steps.get(start);
  for (let tried = 0; step !== undefined && tried < MAX_ENTRIES; tried++) {
    const { instruction, next } = step;
    const depth = stackOffset(step, architecture);
    // Where others come too, all have to agree on the depth: that is where a function begins.
    if (isIntact(step, needs, architecture) && depth !== undefined && (depth === 0 || !isShared)) yield step;
    if (instruction.flow === 'call' || instruction.flow === 'return') return;
    // On past a branch, or with a jump.
    step = steps.get(
      next.includes(instruction.address + instruction.size) ? instruction.address + instruction.size : (next[0] ?? -1),
    );
  }
}

/** Whether these arguments are still in their registers. */
function isIntact({ registers }: Step, needs: readonly number[], { parameters }: Architecture): boolean {
  return needs.every((index) => {
    const value = registers[parameters[index] ?? -1];
    return value?.kind === 'argument' && value.index === index;
  });
}

/** Where a function goes on that does nothing by itself but to go there, with these arguments and for good. */
export function forwardsTo(architecture: Architecture, code: RoutineCode, { needs }: CallShape): number | undefined {
  const routine = readRoutine(architecture, { ...code, followsJumps: false });
  if (routine.kind === 'unreadable') return undefined;
  let step = routine.steps.get(routine.start);
  while (step?.instruction.flow === 'next') step = routine.steps.get(step.next[0] ?? -1);
  const isForwarded = step?.isTailJump === true && step.next.length === 0 && isIntact(step, needs, architecture);
  return isForwarded ? step?.instruction.target : undefined;
}

/** Undefined, or why a call might go by without the entry and yet move something. */
function canAvoid(architecture: Architecture, code: RoutineCode, entry: number, { result }: CallShape): string | undefined {
  const rest = readRoutine(architecture, code, entry);
  if (rest.kind === 'unreadable') return rest.reason;
  for (const { instruction, isTailJump, registers } of rest.steps.values()) {
    if (isTailJump) return 'a way into another function';
    if (instruction.flow !== 'return') continue;
    const value = registers[architecture.result];
    if (result === 'none' || value?.kind !== 'constant' || value.value > 0) return 'a way back that passes no entry';
  }
  return undefined;
}

function exitsFor(routine: Routine, entry: Step, mayLoad: boolean): readonly Place[] | string {
  const { architecture, steps } = routine;
  const depth = stackOffset(entry, architecture);
  const isFinal = finalResults(routine);
  const exits = new Map<number, Place>();
  const exitAt = (step: Step): Place | undefined => {
    const { instruction } = step;
    if (stackOffset(step, architecture) !== depth) return undefined;
    if (isFinal.has(instruction.address)) return place(instruction, undefined);
    const slot = mayLoad ? countSlot(routine, step, isFinal) : undefined;
    return slot === undefined || depth === undefined ? undefined : place(instruction, slot - depth);
  };
  const isCutAhead = emulatedAhead(routine, exitAt);
  for (const step of stepsFrom(steps, entry.next, (address) => exits.has(address))) {
    const exit = exitAt(step);
    if (exit !== undefined && (exit.isEmulated || !isCutAhead.has(exit.address))) exits.set(exit.address, exit);
    else if (step.isTailJump) return 'ends in another function';
    else if (step.instruction.flow === 'return') return 'no place where the result is known at the depth of the entry';
  }
  if (exits.size === 0) return 'never returns';
  const twice = dropPassedTwice(routine, exits);
  return twice ?? [...exits.values()].sort((a, b) => a.address - b.address);
}

/** What comes from these addresses on, as far as where the way `ends`. */
function* stepsFrom(
  steps: ReadonlyMap<number, Step>,
  from: readonly number[],
  ends: (address: number) => boolean,
): Generator<Step> {
  const seen = new Set<number>();
  const waiting = [...from];
  for (let address = waiting.pop(); address !== undefined; address = waiting.pop()) {
    const step = steps.get(address);
    if (step === undefined || seen.has(address)) continue;
    seen.add(address);
    yield step;
    if (!ends(address)) waiting.push(...step.next);
  }
}

/**
 * A call that is seen to end twice, with a result above zero, looks like another one whose beginning was not seen. Undefined, or why that
 * cannot be helped.
 */
function dropPassedTwice({ architecture, steps }: Routine, exits: Map<number, Place>): string | undefined {
  const isExit = ({ instruction }: Step): boolean => exits.has(instruction.address);
  const isBeside = (step: Step): boolean => !isExit(step) && (step.isTailJump || step.instruction.flow === 'return');
  for (const [address, exit] of [...exits]) {
    const step = steps.get(address);
    if (step === undefined) continue;
    const behind = [...stepsFrom(steps, waysOfSuccess(step, exit, architecture), (at) => exits.has(at))];
    if (!behind.some(isExit)) continue;
    if (behind.includes(step) || behind.some(isBeside)) return 'ends at one place behind the other';
    exits.delete(address);
  }
  return undefined;
}

/** Where it goes on from an exit with a result above zero. */
function waysOfSuccess(
  { instruction, registers, next }: Step,
  { countAt }: Place,
  architecture: Architecture,
): readonly number[] {
  const { result, notAboveZero } = architecture;
  const { address, size, target = -1, condition } = instruction;
  const value = registers[result];
  if (value?.kind === 'constant' && value.value <= 0) return [];
  if (countAt === undefined) return next;
  return [condition === notAboveZero ? address + size : target];
}

/** Where the result register holds the result: no way back from there writes to it. */
function finalResults({ architecture, steps }: Routine): ReadonlySet<number> {
  const result = bit(architecture.result);
  return greatest(steps, ({ instruction, next, isTailJump }, isIn) => {
    if (isTailJump || (writtenBy(instruction, architecture) & result) !== 0) return false;
    return next.every(isIn);
  });
}

/** Where every way back passes an exit that the kernel emulates. */
function emulatedAhead({ steps }: Routine, exitAt: (step: Step) => Place | undefined): ReadonlySet<number> {
  return greatest(steps, (step, isIn) => {
    if (exitAt(step)?.isEmulated === true) return true;
    return !step.isTailJump && step.instruction.flow !== 'return' && step.next.every(isIn);
  });
}

/** The largest set of addresses that all meet a condition on themselves and on who follows. */
function greatest(
  steps: ReadonlyMap<number, Step>,
  holds: (step: Step, isIn: (address: number) => boolean) => boolean,
): ReadonlySet<number> {
  const set = new Set(steps.keys());
  const isIn = (address: number): boolean => set.has(address);
  const backwards = [...steps.entries()].sort(([a], [b]) => b - a);
  for (let hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (const [address, step] of backwards) {
      if (!set.has(address) || holds(step, isIn)) continue;
      set.delete(address);
      hasChanged = true;
    }
  }
  return set;
}

/**
 * `test result, result; jle done; mov slot(stack), result; done:` — where on the function's stack the slot is: a result above zero
 * becomes what stands there, any other is final.
 */
function countSlot({ architecture, steps }: Routine, { instruction }: Step, isFinal: ReadonlySet<number>): number | undefined {
  const { address, size, flow, target, condition } = instruction;
  if (flow !== 'branch' || target === undefined) return undefined;
  if (condition !== architecture.notAboveZero && condition !== architecture.aboveZero) return undefined;
  if (!isTested(steps, instruction, architecture)) return undefined;
  const behind = address + size;
  const [loads, done] = condition === architecture.notAboveZero ? [behind, target] : [target, behind];
  const load = steps.get(loads);
  const effect = load?.instruction.effect;
  if (load === undefined || effect?.kind !== 'load' || effect.to !== architecture.result || !isFinal.has(done)) return undefined;
  const base = load.registers[effect.base];
  return base?.kind === 'stack' && load.next.every((next) => isFinal.has(next)) ? base.offset + effect.offset : undefined;
}

/** Whoever comes to this branch comes from the instruction before it, which tests the result. */
function isTested(steps: ReadonlyMap<number, Step>, branch: Instruction, { result }: Architecture): boolean {
  let isTestBefore = false;
  for (const { instruction, next } of steps.values()) {
    if (!next.includes(branch.address)) continue;
    const { effect } = instruction;
    if (instruction.address + instruction.size !== branch.address || effect.kind !== 'test' || effect.register !== result)
      return false;
    isTestBefore = true;
  }
  return isTestBefore;
}

function place({ address, isEmulated }: Instruction, countAt: number | undefined): Place {
  return { address, isEmulated, countAt };
}

/** A call that succeeds goes where the count is, when there is such a place; else nobody knows which exit it takes. */
function costOf(entry: Place, exits: readonly Place[]): number {
  const cost = ({ isEmulated }: Place): number => (isEmulated ? 1 : SLOW);
  const counting = exits.filter(({ countAt }) => countAt !== undefined);
  const usual = counting.length > 0 ? counting : exits;
  const average = usual.reduce((sum, exit) => sum + cost(exit), 0) / Math.max(usual.length, 1);
  return cost(entry) + average + exits.length / 100;
}
