// One x86-64 instruction → what becomes of the registers; of what is not followed, which ones it may write.
import { bit, type Effect, NO_EFFECT } from './instruction.ts';
import { addressOf, arrayOf, type Parts, relativeTo, signed } from './x86-parts.ts';

export const Register = {
  ax: 0,
  cx: 1,
  dx: 2,
  bx: 3,
  sp: 4,
  bp: 5,
  si: 6,
  di: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r14: 14,
} as const;

/** All but the stack pointer and the frame pointer, which nothing outside of the tables writes. */
const EVERYTHING = 0xffff & ~bit(Register.sp) & ~bit(Register.bp);

/** Of an instruction after which the next one follows, at `next`. */
export function effectOf(parts: Parts, next: number): Effect | undefined {
  const { code, opcode, rex, modrm, immediate, end } = parts;
  const byte = code[modrm] ?? 0;
  const isRegister = modrm >= 0 && byte >> 6 === 3;
  const operation = (byte >> 3) & 7;
  // Without a prefix, numbers 4 to 7 of byte registers are the second bytes of the first four.
  const mask = rex === 0 && isOfBytes(opcode) ? 3 : 7;
  const reg = (operation & mask) | ((rex & 4) << 1);
  const rm = (byte & mask) | ((rex & 1) << 3);
  const is64 = (rex & 8) !== 0;
  const toRm: Effect = isRegister ? { kind: 'writes', registers: bit(rm) } : NO_EFFECT;
  const toReg: Effect = { kind: 'writes', registers: bit(reg) };
  const both: Effect = { kind: 'writes', registers: isRegister ? bit(reg) | bit(rm) : bit(reg) };

  if (opcode < 0) return { kind: 'writes', registers: EVERYTHING };
  if (opcode < 0x40) {
    const isCompare = opcode >= 0x38;
    switch (opcode & 7) {
      case 0:
      case 1:
        // xor r, r
        if (opcode === 0x31 && isRegister && reg === rm) return { kind: 'constant', to: rm, value: 0 };
        if (opcode === 0x01 && isRegister && is64) return { kind: 'sum', to: rm, other: reg };
        return isCompare ? NO_EFFECT : toRm;
      case 2:
      case 3:
        if (opcode === 0x33 && isRegister && reg === rm) return { kind: 'constant', to: reg, value: 0 };
        if (opcode === 0x03 && isRegister && is64) return { kind: 'sum', to: reg, other: rm };
        return isCompare ? NO_EFFECT : toReg;
      default:
        return isCompare ? comparison(parts) : { kind: 'writes', registers: bit(Register.ax) };
    }
  }
  if (opcode < 0x0f00) {
    const low = (opcode & 7) | ((rex & 1) << 3);
    if (opcode < 0x58) return { kind: 'stack', bytes: parts.hasOperandSize ? -2 : -8, registers: 0 };
    if (opcode < 0x60)
      return low === Register.sp ? undefined : { kind: 'stack', bytes: parts.hasOperandSize ? 2 : 8, registers: bit(low) };
    if (opcode >= 0x91 && opcode <= 0x97) return { kind: 'writes', registers: bit(Register.ax) | bit(low) };
    if (opcode >= 0xb0 && opcode <= 0xb7) return { kind: 'writes', registers: bit(low) | bit(low & 3) };
    if (opcode >= 0xb8 && opcode <= 0xbf) {
      return is64 ? { kind: 'writes', registers: bit(low) } : { kind: 'constant', to: low, value: signed(code, immediate, end) };
    }
    if (opcode >= 0xd8 && opcode <= 0xdf) return { kind: 'writes', registers: bit(Register.ax) };
  }
  switch (opcode) {
    case 0x63: {
      const base = is64 && !isRegister && parts.segment === 0 ? arrayOf(parts) : undefined;
      return base === undefined ? toReg : { kind: 'entry', to: reg, base };
    }
    case 0x69:
    case 0x6b:
      return toReg;
    case 0x68:
    case 0x6a:
      return { kind: 'stack', bytes: -8, registers: 0 };
    case 0x80:
    case 0x81:
    case 0x83:
      return immediateArithmetic(parts, operation, rm, isRegister, toRm);
    case 0x84:
    case 0x85:
      return isRegister && reg === rm && opcode === 0x85 ? { kind: 'test', register: rm } : NO_EFFECT;
    case 0x86:
    case 0x87:
      return both;
    case 0x88:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return toRm;
    case 0xfe:
      return toRm;
    case 0x89:
      return isRegister && is64 ? { kind: 'copy', to: rm, from: reg, offset: 0 } : toRm;
    case 0x8b:
      if (isRegister) return is64 ? { kind: 'copy', to: reg, from: rm, offset: 0 } : toReg;
      return parts.segment === 0 ? (loadOf(parts, reg) ?? toReg) : toReg;
    case 0x8d: {
      const place = is64 ? relativeTo(parts, next) : undefined;
      if (place !== undefined) return { kind: 'place', to: reg, address: place };
      const address = is64 ? addressOf(parts) : undefined;
      return address === undefined ? toReg : { kind: 'copy', to: reg, from: address.base, offset: address.offset };
    }
    case 0x8a:
      return toReg;
    case 0x8c:
      return toRm;
    case 0x8f:
      return { kind: 'stack', bytes: 8, registers: isRegister ? bit(rm) : 0 };
    case 0x90:
    case 0x9b:
    case 0xa8:
    case 0xa9:
    case 0xf5:
    case 0xf8:
    case 0xf9:
    case 0xfc:
    case 0xfd:
      return NO_EFFECT;
    case 0x98:
      return { kind: 'writes', registers: bit(Register.ax) };
    case 0x99:
      return { kind: 'writes', registers: bit(Register.dx) };
    case 0x9c:
      return { kind: 'stack', bytes: -8, registers: 0 };
    case 0x9d:
      return { kind: 'stack', bytes: 8, registers: 0 };
    case 0xc7:
      return isRegister && !is64 ? { kind: 'constant', to: rm, value: signed(code, immediate, end) } : toRm;
    case 0xc8:
      return undefined;
    case 0xc9:
      return { kind: 'leave' };
    case 0xf6:
    case 0xf7:
      if (operation < 2) return NO_EFFECT;
      if (operation < 4) return toRm;
      return { kind: 'writes', registers: bit(Register.ax) | bit(Register.dx) };
    case 0xff:
      return operation === 6 ? { kind: 'stack', bytes: -8, registers: 0 } : toRm;
    default:
      return opcode >= 0x0f00 ? twoByteEffect(opcode, toReg, toRm, both) : { kind: 'writes', registers: EVERYTHING };
  }
}

function isOfBytes(opcode: number): boolean {
  if (opcode < 0x40) return (opcode & 1) === 0;
  if (opcode >= 0x0f00) return (opcode >= 0x0f90 && opcode <= 0x0f9f) || opcode === 0x0fb0 || opcode === 0x0fc0;
  return (opcode & 1) === 0 && ((opcode >= 0x80 && opcode <= 0x8a) || opcode >= 0xc0);
}

function immediateArithmetic(parts: Parts, operation: number, rm: number, isRegister: boolean, toRm: Effect): Effect {
  const { code, opcode, rex, immediate, end } = parts;
  if (operation === 7) return comparison(parts);
  if (!isRegister || opcode === 0x80) return toRm;
  const value = signed(code, immediate, end);
  // or $-1, %reg
  if (operation === 1 && value === -1) return { kind: 'constant', to: rm, value };
  if ((rex & 8) === 0) return toRm;
  if (operation === 0) return { kind: 'copy', to: rm, from: rm, offset: value };
  if (operation === 5) return { kind: 'copy', to: rm, from: rm, offset: -value };
  return toRm;
}

/** Of numbers without a sign, so one that is extended to the left is none of these. */
function comparison({ code, immediate, end }: Parts): Effect {
  const limit = signed(code, immediate, end);
  return limit < 0 ? NO_EFFECT : { kind: 'compare', limit };
}

function twoByteEffect(opcode: number, toReg: Effect, toRm: Effect, both: Effect): Effect {
  const second = opcode & 0xff;
  // NOP, prefetch, endbr64: hints.
  if (second === 0x0d || (second >= 0x18 && second <= 0x1f && second !== 0x1a && second !== 0x1b)) return NO_EFFECT;
  // Vectors only: moves, arithmetic, logic.
  if (
    (second >= 0x10 && second <= 0x17) ||
    second === 0x28 ||
    second === 0x29 ||
    second === 0x2b ||
    second === 0x2e ||
    second === 0x2f
  ) {
    return NO_EFFECT;
  }
  if ((second >= 0x51 && second <= 0x6f) || (second >= 0x74 && second <= 0x76) || second === 0x7f || second === 0xef)
    return NO_EFFECT;
  if (second >= 0x40 && second <= 0x4f) return toReg;
  if (second === 0x7e || second === 0xd6) return toRm;
  if (second >= 0x90 && second <= 0x9f) return toRm;
  if (second === 0xaf || (second >= 0xb6 && second <= 0xb8) || (second >= 0xbc && second <= 0xbf)) return toReg;
  if (second === 0xc0 || second === 0xc1) return both;
  if (second === 0xa3) return NO_EFFECT;
  return { kind: 'writes', registers: EVERYTHING };
}

function loadOf(parts: Parts, to: number): Effect | undefined {
  const address = addressOf(parts);
  return address === undefined ? undefined : { kind: 'load', to, base: address.base, offset: address.offset };
}
