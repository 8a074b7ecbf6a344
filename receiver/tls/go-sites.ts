// The code of two functions of Go's crypto/tls → the instructions to probe, at which all that is needed is in registers or on the stack:
// the entry of writeRecordLocked, and the place where Read copies to its caller what was decrypted. Neither waits for a return, so it
// does not matter that goroutines change threads and that their stacks move.
// https://go.dev/s/regabi (src/cmd/compile/abi-internal.md), src/crypto/tls/conn.go
import type { Architecture, Instruction } from './instruction.ts';
import { readRoutine, type Routine, type RoutineCode, type Step, stackOffset, type Unreadable } from './routine.ts';

/** What the rest has to know of Go's own calling convention on a kind of machine. */
export interface GoArchitecture {
  readonly registers: Architecture;
  /** Of the branch that checks for room on the stack: the condition under which there is none. */
  readonly noRoom: number;
  /** Where the instruction stores the first argument's register, from the stack pointer on; undefined: it does not. */
  readonly storesFirstArgument: (code: Uint8Array, size: number) => number | undefined;
}

export interface GoSite {
  readonly address: number;
  readonly isEmulated: boolean;
}

export interface WriteSite extends GoSite {
  readonly kind: 'site';
  /** It is the branch that checks for room on the stack: only when it is not taken the function begins. */
  readonly isBranch: boolean;
}

export interface ReadSite extends GoSite {
  readonly kind: 'site';
  /** Where the connection object's address is, from the stack pointer on. */
  readonly connSlot: number;
}

/** So many instructions may come before the check for room on the stack is over. */
const MAX_CHECK = 4;
/** Behind the call, so many instructions may come before the object is loaded again. */
const MAX_RELOAD = 4;
/** Where the caller leaves room for the first argument, from the stack pointer at entry on: above the return address. */
const FIRST_SLOT = 8;

export function chooseWriteSite(architecture: GoArchitecture, code: RoutineCode): WriteSite | Unreadable {
  const start = enter(architecture, code);
  if (start.kind === 'unreadable') return start;
  const { routine, check } = start;
  const first = routine.steps.get(check.address + check.size);
  if (first === undefined || !hasArguments(routine, first)) return unreadable('its arguments are not where they should be');
  // Where the kernel emulates neither, the one that is not come by twice.
  const isBranch = check.isEmulated && !first.instruction.isEmulated;
  const { address, isEmulated } = isBranch ? check : first.instruction;
  return { kind: 'site', address, isEmulated, isBranch };
}

/** `copies`: addresses of runtime.memmove. */
export function chooseReadSite(
  architecture: GoArchitecture,
  code: RoutineCode,
  copies: readonly number[],
): ReadSite | Unreadable {
  const start = enter(architecture, code);
  if (start.kind === 'unreadable') return start;
  const { routine } = start;
  const steps = [...routine.steps.values()];
  const calls = steps.filter(
    ({ instruction: { flow, target } }) => flow === 'call' && target !== undefined && copies.includes(target),
  );
  const [call] = calls;
  if (call === undefined) return unreadable('it copies nothing: built for debugging or to look for races');
  if (calls.length > 1) return unreadable('it copies in several places');
  const depth = stackOffset(call, architecture.registers);
  if (depth === undefined) return unreadable('the depth of its stack is not known');
  const connSlot = FIRST_SLOT - depth;
  if (!steps.some((step) => keepsFirstArgument(architecture, code, step)))
    return unreadable('it does not keep its object on the stack');
  if (!isReloaded(routine, call, connSlot)) return unreadable('behind the copy it does not come back to its object');
  const { address, isEmulated } = call.instruction;
  return { kind: 'site', address, isEmulated, connSlot };
}

interface Entered {
  readonly kind: 'entered';
  /** Without the way that makes room on the stack and begins anew. */
  readonly routine: Routine;
  readonly check: Instruction;
}

function enter({ registers, noRoom }: GoArchitecture, code: RoutineCode): Entered | Unreadable {
  let at = code.start;
  for (let i = 0; i < MAX_CHECK; i++) {
    const bytes = code.codeAt(at, 16);
    const instruction = bytes && registers.decode(bytes, 0, at);
    if (instruction === undefined) break;
    if (instruction.flow === 'branch') {
      if (instruction.condition !== noRoom) break;
      const routine = readRoutine(registers, code, instruction.target);
      return routine.kind === 'routine' ? { kind: 'entered', routine, check: instruction } : routine;
    }
    if (instruction.flow !== 'next') break;
    at += instruction.size;
  }
  return unreadable('it does not begin as functions of Go do');
}

/** At a step, all arguments are in their registers and the stack is as it was. */
function hasArguments({ architecture }: Routine, step: Step): boolean {
  const isThere = (register: number, index: number): boolean => {
    const value = step.registers[register];
    return value?.kind === 'argument' && value.index === index;
  };
  return stackOffset(step, architecture) === 0 && architecture.parameters.every(isThere);
}

/** The step stores the first argument, still in its register, where the caller has left room for it. */
function keepsFirstArgument({ registers, storesFirstArgument }: GoArchitecture, code: RoutineCode, step: Step): boolean {
  const { address, size } = step.instruction;
  const value = step.registers[registers.parameters[0] ?? -1];
  const depth = stackOffset(step, registers);
  if (depth === undefined || value?.kind !== 'argument' || value.index !== 0) return false;
  const bytes = code.codeAt(address, size);
  const slot = bytes && storesFirstArgument(bytes, size);
  return slot !== undefined && slot + depth === FIRST_SLOT;
}

function isReloaded({ architecture, steps }: Routine, call: Step, slot: number): boolean {
  let address = call.instruction.address + call.instruction.size;
  for (let i = 0; i < MAX_RELOAD; i++) {
    const instruction = steps.get(address)?.instruction;
    if (instruction?.flow !== 'next') return false;
    const { effect } = instruction;
    if (effect.kind === 'load' && effect.base === architecture.stackPointer && effect.offset === slot) return true;
    address += instruction.size;
  }
  return false;
}

function unreadable(reason: string): Unreadable {
  return { kind: 'unreadable', reason };
}
