// Bytes → one x86-64 instruction. What is not in the tables is undefined, never guessed. Intel SDM volume 2, appendix A.
import { type Architecture, bit, type Effect, type Flow, type Instruction, NO_EFFECT } from './instruction.ts';
import { effectOf, Register } from './x86-effects.ts';
import { type Parts, relativeTo, signed, split } from './x86-parts.ts';

export { Register } from './x86-effects.ts';

export const x86: Architecture = {
  decode: decodeX86,
  stackPointer: Register.sp,
  framePointer: Register.bp,
  parameters: [Register.di, Register.si, Register.dx, Register.cx],
  result: Register.ax,
  callerSaved: 0x0fc7,
  notAboveZero: 0xe,
  aboveZero: 0xf,
  notAbove: 0x6,
  above: 0x7,
};

/** %fs:0x28, where glibc and musl keep the stack guard. */
const GUARD_OFFSET = 0x28;
const FS = 0x64;
const MAX_SIZE = 15;

function decodeX86(code: Uint8Array, at: number, address: number): Instruction | undefined {
  const parts = split(code, at);
  if (parts === undefined || parts.end > code.length || parts.end - at > MAX_SIZE) return undefined;
  const size = parts.end - at;
  const flow = flowOf(parts);
  const effect = flow === 'next' ? effectOf(parts, address + size) : flow === 'call' ? NO_EFFECT : effectOfFlow(parts);
  if (effect === undefined) return undefined;
  return {
    address,
    size,
    flow,
    target: targetOf(parts, flow, address + size),
    condition: isConditional(parts.opcode) ? parts.opcode & 0xf : undefined,
    isEmulated: isEmulated(parts),
    effect,
    keepsFlags: flow === 'next' && keepsFlags(parts.opcode),
    by: flow === 'jump' && parts.opcode === 0xff ? placeOfTarget(parts, address + size) : undefined,
    isGuardCheck: isGuardCheck(parts),
  };
}

function isConditional(opcode: number): boolean {
  return (opcode & 0xfff0) === 0x70 || (opcode & 0xfff0) === 0x0f80;
}

function flowOf({ code, opcode, modrm }: Parts): Flow {
  if (isConditional(opcode) || (opcode >= 0xe0 && opcode <= 0xe3)) return 'branch';
  switch (opcode) {
    case 0xe8:
      return 'call';
    case 0xe9:
    case 0xeb:
      return 'jump';
    case 0xc2:
    case 0xc3:
      return 'return';
    case 0xca:
    case 0xcb:
    case 0xcc:
    case 0xcf:
    case 0xf1:
    case 0xf4:
    case 0x0f0b:
    case 0x0fb9:
    case 0x0fff:
      return 'stop';
    case 0xff: {
      const operation = ((code[modrm] ?? 0) >> 3) & 7;
      if (operation === 2 || operation === 3) return 'call';
      return operation === 4 || operation === 5 ? 'jump' : 'next';
    }
    default:
      return 'next';
  }
}

function targetOf(parts: Parts, flow: Flow, next: number): number | undefined {
  if (parts.opcode === 0xff || (flow !== 'jump' && flow !== 'branch' && flow !== 'call')) return undefined;
  return next + signed(parts.code, parts.immediate, parts.end);
}

/** PUSH, POP, MOV in most of its forms, LEA. */
function keepsFlags(opcode: number): boolean {
  const isMove = (opcode >= 0x88 && opcode <= 0x8b) || (opcode >= 0xb0 && opcode <= 0xbf) || (opcode & ~1) === 0xc6;
  const isExtension = (opcode >= 0x0fb6 && opcode <= 0x0fb7) || (opcode >= 0x0fbe && opcode <= 0x0fbf) || opcode === 0x63;
  return isMove || isExtension || opcode === 0x8d || (opcode >= 0x50 && opcode < 0x60);
}

/** `jmp *%reg`, and `jmp *address(%rip)`. */
function placeOfTarget(parts: Parts, next: number): Instruction['by'] {
  const byte = parts.code[parts.modrm] ?? 0;
  if (byte >> 6 === 3) return { register: (byte & 7) | ((parts.rex & 1) << 3) };
  const word = relativeTo(parts, next);
  return word === undefined ? undefined : { word };
}

/** LOOP and JRCXZ count in a register; `ret n` takes arguments off, which no code here does. */
function effectOfFlow({ opcode }: Parts): Effect | undefined {
  if (opcode >= 0xe0 && opcode <= 0xe3) return { kind: 'writes', registers: bit(Register.cx) };
  return opcode === 0xc2 ? undefined : NO_EFFECT;
}

/** arch/x86/kernel/uprobes.c: branch_setup_xol_ops() and push_setup_xol_ops(). Longer NOPs only in newer kernels. */
function isEmulated({ code, opcode, rex, hasOperandSize, modrm, immediate, end }: Parts): boolean {
  if (hasOperandSize) return false;
  if (opcode >= 0x50 && opcode <= 0x57) {
    const size = rex === 0 ? 1 : 2;
    return (rex === 0 || rex === 0x41) && code[end - size] === (rex === 0 ? opcode : 0x41) && immediate === end;
  }
  return (
    isConditional(opcode) || opcode === 0xe8 || opcode === 0xe9 || opcode === 0xeb || (opcode === 0x90 && rex === 0 && modrm < 0)
  );
}

/** `sub`, `xor` or `cmp` of a register with the guard, as GCC and Clang check it. */
function isGuardCheck({ code, opcode, segment, modrm }: Parts): boolean {
  if (segment !== FS || (opcode !== 0x2b && opcode !== 0x33 && opcode !== 0x3b && opcode !== 0x39)) return false;
  // mod 0, SIB without base and index, 32-bit displacement.
  return ((code[modrm] ?? 0) & 0xc7) === 4 && code[modrm + 1] === 0x25 && signed(code, modrm + 2, modrm + 6) === GUARD_OFFSET;
}
